"""Before the machine sleeps: attempts in flight get up to 4 seconds to end and to be stored.

The gate is closed by then, so nothing new begins. Whatever delays the sleep (logind's delay lock, macOS' acknowledgement)
waits for `settled`, then releases it. An attempt without an answer by that time gets the mark: its token may be spent and
is sent again after the wake, while the server's grace lasts (M9). Its connection is kept, because the answer may already
have reached this machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from trayapp.core.messages import SleepSoon
from trayapp.core.model import Step, Workload
from trayapp.engine.ports import Clock, SuspendHost
from trayapp.engine.tasks import Tasks

log = logging.getLogger(__name__)

SUSPEND_LIMIT = 4.0  # s; logind waits 5 s at most (InhibitDelayMaxSec), macOS 30
END_POLL = 0.05  # s between two checks of what is still under way


class SuspendDelay:
    """One wait per announced sleep, on the engine's loop."""

    def __init__(self, engine: SuspendHost, clock: Clock, tasks: Tasks) -> None:
        self._engine = engine
        self._clock = clock
        self._tasks = tasks
        self._holding: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The machine is about to sleep. The gate is already closed."""
        self._holding = self._engine.task("let attempts end before the sleep", self._hold())

    async def settled(self) -> None:
        """Wait until the machine may sleep: at most `SUSPEND_LIMIT` seconds after `begin`."""
        if self._holding is not None:
            await asyncio.wait({self._holding})

    async def delay(self, done: Callable[[], None]) -> None:
        """Call `done`, which lets the machine sleep, as soon as it may."""
        try:
            await self.settled()
        finally:
            done()

    async def _hold(self) -> None:
        until = self._clock.now().awake + SUSPEND_LIMIT
        while self._engine.gate.sleeping and (unanswered := self._under_way()):
            left = until - self._clock.now().awake
            if left <= 0.0:
                log.warning("going to sleep without an answer to: %s", ", ".join(sorted(unanswered)))
                break
            await self._clock.sleep(min(END_POLL, left))
        if self._engine.gate.sleeping:  # else the sleep was called off, or is over
            await self._engine.apply_to_all(SleepSoon)

    def _under_way(self) -> set[str]:
        """The names of attempts in flight and of tasks that write."""
        attempts = {n for n, w in self._engine.workloads.items() if _sent(w) or w.storing is not None}
        return attempts | {task.get_name() for task in self._tasks.needed}


def _sent(w: Workload) -> bool:
    """Whether its request has left. An attempt that is still probing sends nothing before the wake, so no wait for it."""
    return w.attempt is not None and w.attempt.step is not Step.PROBE
