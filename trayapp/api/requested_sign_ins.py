"""Rate limit for sign-ins that programs request: one page per workload every ten seconds, shared by repeated requests.

A program in a loop must not fill the desktop with browser tabs (SECURITY.md 10).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from trayapp.api.controls import Control
from trayapp.core.model import Problem
from trayapp.core.snapshot import WorkloadView
from trayapp.server.replies import Refusal

REAUTHORIZE_EVERY = 10.0  # s per workload
SNAPSHOT_LAG = 0.5  # s; snapshots are published at most 4 times a second, so `signing_in` may be that late

StartTask = Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]]


@dataclass(slots=True)
class _Request:
    """The latest request for a sign-in: when it came and what became of it. Times are those of `now`."""

    at: float
    task: asyncio.Task[str | Problem | None]
    ended: float = math.inf

    def page(self) -> tuple[bool, str | None]:
        """Whether there is a sign-in, and its URL."""
        if not self.task.done() or self.task.cancelled() or self.task.exception() is not None:
            return False, None
        result = self.task.result()
        return (False, None) if isinstance(result, Problem) else (True, result)


class RequestedSignIns:
    """The latest requests by workload, `accept` and flow.

    `start_task` runs a job to its end even if the caller disconnects; `now` is any monotonic clock in seconds.
    """

    def __init__(
        self,
        control: Control,
        start_task: StartTask,
        now: Callable[[], float],
    ) -> None:
        self._control = control
        self._start_task = start_task
        self._now = now
        # By name, `accept` and flow: agreeing to a pending sign-in is not a repetition of asking for it.
        self._latest: dict[tuple[str, bool, str], _Request] = {}

    async def url(self, view: WorkloadView, *, browser: bool, accept: bool, flow: str = "") -> str | Problem | None:
        """The URL of the sign-in that was begun or is in progress. Raises `Refusal` 429 if asked again too soon."""
        request = self._latest.get((view.name, accept, flow))
        if request is None or (request.task.done() and self._now() - request.at >= REAUTHORIZE_EVERY):
            request = self._begin(view.name, browser=browser, accept=accept, flow=flow)
        elif request.task.done():
            return self._repeated(view, request)
        return await asyncio.shield(request.task)

    def forget(self, name: str) -> None:
        """The workload was removed: another one of the same name starts afresh."""
        for key in [key for key in self._latest if key[0] == name]:
            del self._latest[key]

    def cancelled(self, name: str) -> None:
        """A person cancelled the sign-in: beginning another one is no program's loop."""
        self.forget(name)

    def _begin(self, name: str, *, browser: bool, accept: bool, flow: str) -> _Request:
        job = self._control.reauthorize(name, browser=browser, accept=accept, flow=flow)
        request = _Request(self._now(), self._start_task(f"reauthorize {name}", job))

        def ended(_: asyncio.Task[str | Problem | None]) -> None:
            request.ended = self._now()

        request.task.add_done_callback(ended)
        self._latest[name, accept, flow] = request
        return request

    def _repeated(self, view: WorkloadView, request: _Request) -> str | None:
        """Asked again within 10 s: the URL of the page that is open, or 429."""
        made, url = request.page()
        if made and (view.auth.signing_in or self._now() - request.ended < SNAPSHOT_LAG):
            return url
        wait = max(1, math.ceil(request.at + REAUTHORIZE_EVERY - self._now()))
        message = f"A sign-in to this workload was just requested. Try again in {wait} {'second' if wait == 1 else 'seconds'}."
        raise Refusal(429, "too_many_requests", message, {"Retry-After": str(wait)})
