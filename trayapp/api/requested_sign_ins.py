"""Sign-ins that programs ask for: one page a while, and whoever asks again meanwhile gets the page that is open."""

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

REAUTHORIZE_EVERY = 10.0  # s per workload: a program in a loop must not fill the desktop with browser tabs
SNAPSHOT_LAG = 0.5  # s; snapshots are published at most 4 times a second, so `signing_in` may lag behind that long


Begin = Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]]


@dataclass(slots=True)
class _Request:
    """The latest sign-in that was asked for: when, and what came of it."""

    at: float
    task: asyncio.Task[str | Problem | None]
    ended: float = math.inf

    def page(self) -> tuple[bool, str | None]:
        """Whether a page was made, and its URL."""
        if not self.task.done() or self.task.cancelled() or self.task.exception() is not None:
            return False, None
        result = self.task.result()
        return (False, None) if isinstance(result, Problem) else (True, result)


class RequestedSignIns:
    """`begin` makes a task of a job that goes on though the caller hangs up; `now` is any steady clock in seconds."""

    def __init__(
        self,
        control: Control,
        begin: Begin,
        now: Callable[[], float],
    ) -> None:
        self._control = control
        self._begin = begin
        self._now = now
        self._asked: dict[
            tuple[str, bool, str], _Request
        ] = {}  # by name, `accept`, flow: agreeing is not asking once more

    async def url(self, view: WorkloadView, *, browser: bool, accept: bool, flow: str = "") -> str | Problem | None:
        """The page of a sign-in that was begun or is under way. Raises `Refusal` (429) if asked too often."""
        asked = self._asked.get((view.name, accept, flow))
        if asked is None or (asked.task.done() and self._now() - asked.at >= REAUTHORIZE_EVERY):
            asked = self._ask(view.name, browser=browser, accept=accept, flow=flow)
        elif asked.task.done():
            return self._again(view, asked)
        return await asyncio.shield(asked.task)

    def forget(self, name: str) -> None:
        """It was removed; another one of the same name is another one."""
        for key in [key for key in self._asked if key[0] == name]:
            del self._asked[key]

    def cancelled(self, name: str) -> None:
        """A person gave it up; beginning again is no loop of a program."""
        self.forget(name)

    def _ask(self, name: str, *, browser: bool, accept: bool, flow: str) -> _Request:
        job = self._control.reauthorize(name, browser=browser, accept=accept, flow=flow)
        asked = _Request(self._now(), self._begin(f"reauthorize {name}", job))

        def ended(_: asyncio.Task[str | Problem | None]) -> None:
            asked.ended = self._now()

        asked.task.add_done_callback(ended)
        self._asked[name, accept, flow] = asked
        return asked

    def _again(self, view: WorkloadView, asked: _Request) -> str | None:
        """Asked again within 10 s: the page that is open already, or "not so fast"."""
        made, url = asked.page()
        if made and (view.auth.signing_in or self._now() - asked.ended < SNAPSHOT_LAG):
            return url
        wait = max(1, math.ceil(asked.at + REAUTHORIZE_EVERY - self._now()))
        message = f"A sign-in of this workload was asked for a moment ago; try again in {wait} s."
        raise Refusal(429, "too_many_requests", message, {"Retry-After": str(wait)})
