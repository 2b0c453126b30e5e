"""Hot callers: whoever needs an access token now (M15). They are served or refused from what is known; nothing they do
sends a request, except that an expired token makes the engine look at its clocks.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from trayapp.core import deadlines, view
from trayapp.core.model import AccessToken, Phase, Workload
from trayapp.core.snapshot import Detail, Status, Unavailable
from trayapp.engine.ports import CallerHost

HOPEFUL = (Phase.LOADING, Phase.VALID, Phase.REFRESHING, Phase.WAITING)


class Callers:
    """Serves tokens, keeps who waits, and remembers which workloads refused somebody."""

    def __init__(self, engine: CallerHost) -> None:
        self._engine = engine
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self.refused: set[str] = set()
        self.refusals: Counter[tuple[str, str]] = Counter()  # since the start: workload, error

    async def token(self, name: str, min_validity: float, patience: float = 0.0) -> AccessToken | Unavailable:
        """A usable token with more than `min_validity` seconds of life, or why there is none.

        Waits at most `hot_wait` seconds, or `patience` if that is longer, and only while nothing has failed since the
        last usable token. A caller that goes away cancels its own waiting, never the attempt. Less life than was asked
        for is better than none: a usable token is handed out when there will be no better one soon.
        """
        first = self.peek(name, min_validity)
        if isinstance(first, Unavailable) and self._engine.caught_up(name):
            first = self.peek(name, min_validity)
        if isinstance(first, AccessToken):
            return first
        w = self._engine.workloads.get(name)
        if w is None or not _hopeful(w):
            return self._last(name) if min_validity > 0.0 else self._refuse(name, first)
        self._engine.hot(name, min_validity)
        try:
            async with asyncio.timeout(max(w.spec.policy.hot_wait, patience)):
                return await self._served(name, min_validity, patience, _serial(w))
        except TimeoutError:
            return self._last(name)

    def peek(self, name: str, min_validity: float = 0.0) -> AccessToken | Unavailable:
        """The same without waiting."""
        w = self._engine.workloads.get(name)
        if w is None:
            return _unknown(name)
        now = self._engine.now()
        access, margin = w.access, w.spec.policy.usable_margin
        if access is not None and access.usable(now.at, margin) and access.lasts(now.at, min_validity) and serves(w):
            return access
        seen = self._engine.view_of(name) or view.derive(w, self._engine.gate, now)
        return view.unavailable(w, seen, self._engine.gate, now)

    def changed(self, name: str) -> None:
        """Something happened to it: whoever waits looks again."""
        for future in self._waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)

    def forgive(self, name: str) -> None:
        """It runs again: what was refused before is forgotten."""
        self.refused.discard(name)

    def _refuse(self, name: str, why: Unavailable) -> Unavailable:
        if name in self._engine.workloads:
            self.refused.add(name)
            self.refusals[name, why.error] += 1
        return why

    async def _served(
        self, name: str, min_validity: float, patience: float, serial: int | None
    ) -> AccessToken | Unavailable:
        """`serial` is the token that was not good enough: if the next one is not either, none will be."""
        while True:
            answer = self.peek(name, min_validity)
            w = self._engine.workloads.get(name)
            if isinstance(answer, AccessToken):
                return answer
            if w is None or _serial(w) not in (serial, None) or not self._worth_waiting(w, patience):
                return self._last(name)
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = self._waiting.setdefault(name, set())
            waiting.add(future)
            try:
                await future
            finally:
                waiting.discard(future)

    def _last(self, name: str) -> AccessToken | Unavailable:
        last = self.peek(name)
        return last if isinstance(last, AccessToken) else self._refuse(name, last)

    def _worth_waiting(self, w: Workload, patience: float) -> bool:
        """An attempt is in flight, or will be soon; who has a usable token to go on with does not wait for a later one."""
        if not _hopeful(w):
            return False
        if w.phase in (Phase.LOADING, Phase.REFRESHING):
            return True
        opens = deadlines.opens_at(w, self._engine.gate)
        at, policy = self._engine.now().at, w.spec.policy
        usable = w.access is not None and w.access.usable(at, policy.usable_margin)
        return opens is not None and opens <= at + (policy.hot_wait if usable else max(policy.hot_wait, patience))


def _hopeful(w: Workload) -> bool:
    """Nothing has failed since the last usable token, and nobody has stopped it."""
    return w.phase in HOPEFUL and w.failing is None and w.keyring is None and serves(w)


def _serial(w: Workload) -> int | None:
    return None if w.access is None else w.access.serial


def serves(w: Workload) -> bool:
    """M17 and M18: what is stopped, or rejected upstream, hands nothing out."""
    return w.phase not in (Phase.PAUSED, Phase.BROKEN) and w.after not in ("pause", "remove", "sign_out")


def _unknown(name: str) -> Unavailable:
    return Unavailable(
        error="unknown_workload",
        status=Status.UNKNOWN,
        detail=Detail.CONFIG_ERROR,
        since=0.0,
        retry_after=None,
        next_attempt_at=None,
        help=f"There is no workload named {name}. See: amberlight list --all",
    )
