"""Serve access tokens to callers that need one now, or tell them why there is none (M15).

The answer comes from the current state. A caller never sends a request to the token endpoint: an expired token only makes
the engine read its clocks, and what is due by then begins as usual.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from trayapp.core import deadlines, view
from trayapp.core.model import AccessToken, Phase, Workload
from trayapp.core.sentences import no_workload
from trayapp.core.snapshot import Detail, Status, Unavailable
from trayapp.engine.ports import CallerHost

ON_TRACK = (Phase.LOADING, Phase.VALID, Phase.REFRESHING, Phase.WAITING)


class Callers:
    """Serves tokens, holds the callers that wait, and remembers which workloads refused one."""

    def __init__(self, engine: CallerHost) -> None:
        self._engine = engine
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self.refused: set[str] = set()
        self.refusals: Counter[tuple[str, str]] = Counter()  # by workload and error, since the start

    async def token(
        self, name: str, min_validity: float, max_wait: float = 0.0, *, counts: bool = True
    ) -> AccessToken | Unavailable:
        """A usable token with more than `min_validity` seconds of life, or why there is none.

        Waits at most `hot_wait` seconds, or `max_wait` if that is longer, and only while nothing has failed since the
        last usable token. Cancelling it cancels the waiting, never the attempt. A usable token with less life than was
        asked for is returned if no better one is to come soon. `counts`: a caller without a token was refused, which is
        what amber notifications speak of; an MCP client that is answered from notes was not.
        """
        answer = await self._token(name, min_validity, max_wait)
        if counts and isinstance(answer, Unavailable) and name in self._engine.workloads:
            self.refused.add(name)
            self.refusals[name, answer.error] += 1
        return answer

    async def _token(self, name: str, min_validity: float, max_wait: float) -> AccessToken | Unavailable:
        known = self.peek(name, min_validity)
        if isinstance(known, Unavailable) and self._engine.update_view(name):
            known = self.peek(name, min_validity)
        if isinstance(known, AccessToken):
            return known
        w = self._engine.workloads.get(name)
        if w is None or not _on_track(w):
            return self.peek(name) if min_validity > 0.0 else known
        self._engine.hot_call(name, min_validity)
        try:
            async with asyncio.timeout(max(w.spec.policy.hot_wait, max_wait)):
                return await self._wait_for_token(name, min_validity, max_wait, _serial(w))
        except TimeoutError:
            return self.peek(name)

    def peek(self, name: str, min_validity: float = 0.0) -> AccessToken | Unavailable:
        """The same from what is known now, without waiting."""
        w = self._engine.workloads.get(name)
        if w is None:
            return _unknown(name)
        now = self._engine.now()
        access, margin = w.access, w.spec.policy.usable_margin
        if access is not None and access.usable(now.at, margin) and access.lasts(now.at, min_validity) and serves(w):
            return access
        seen = self._engine.view_of(name) or view.derive(w, self._engine.gate, now)
        return view.unavailable(w, seen, self._engine.gate, now)

    def workload_changed(self, name: str) -> None:
        """The workload changed: every caller that waits for it checks again."""
        for future in self._waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)

    def clear_refusal(self, name: str) -> None:
        """The workload runs again: the next outage is announced only after a refusal of its own."""
        self.refused.discard(name)

    def forget(self, name: str) -> None:
        """The workload was removed: its callers stop waiting, and a later one of the same name starts without refusals."""
        self.workload_changed(name)
        self.refused.discard(name)
        for key in [key for key in self.refusals if key[0] == name]:
            del self.refusals[key]

    async def _wait_for_token(
        self, name: str, min_validity: float, max_wait: float, serial: int | None
    ) -> AccessToken | Unavailable:
        """Until a token is good enough or none is to be expected. `serial` is the token whose life was too short: if the
        next one's is too, no later one will do."""
        while True:
            answer = self.peek(name, min_validity)
            w = self._engine.workloads.get(name)
            if isinstance(answer, AccessToken):
                return answer
            if w is None or _serial(w) not in (serial, None) or not self._worth_waiting(w, max_wait):
                return self.peek(name)
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = self._waiting.setdefault(name, set())
            waiting.add(future)
            try:
                await future
            finally:
                waiting.discard(future)

    def _worth_waiting(self, w: Workload, max_wait: float) -> bool:
        """Whether an attempt is in flight or begins within the caller's wait; with a usable token, within `hot_wait`."""
        if not _on_track(w):
            return False
        if w.phase in (Phase.LOADING, Phase.REFRESHING):
            return True
        opens = deadlines.opens_at(w, self._engine.gate)
        at, policy = self._engine.now().at, w.spec.policy
        usable = w.access is not None and w.access.usable(at, policy.usable_margin)
        return opens is not None and opens <= at + (policy.hot_wait if usable else max(policy.hot_wait, max_wait))


def _on_track(w: Workload) -> bool:
    """Whether nothing has failed since the last usable token and the workload is not stopped."""
    return w.phase in ON_TRACK and w.failing is None and not w.rechecking and w.keyring is None and serves(w)


def _serial(w: Workload) -> int | None:
    """The serial number of its access token."""
    return None if w.access is None else w.access.serial


def serves(w: Workload) -> bool:
    """Whether the workload may serve a token: not while it is stopped, being removed or wrongly configured (M17)."""
    return w.phase not in (Phase.PAUSED, Phase.BROKEN) and w.after not in ("pause", "remove", "sign_out")


def _unknown(name: str) -> Unavailable:
    return Unavailable(
        error="unknown_workload",
        status=Status.UNKNOWN,
        detail=Detail.CONFIG_ERROR,
        since=0.0,
        retry_after=None,
        next_attempt_at=None,
        help=f"{no_workload(name)} See `amberlight list --all`.",
    )
