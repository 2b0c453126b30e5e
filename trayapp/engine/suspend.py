"""The way to sleep: nothing begins any more, and what is in flight has a moment to end and to be stored.

The gate is closed by then. Whoever holds the machine's sleep up (logind's delay lock, macOS' acknowledgement) waits for
`settled` and lets go. What has no answer by that time is marked: its token may be spent, and is asked again after the
wake while the server's grace lasts (M9). Its connection is kept, as the answer may already be on this side of it.
"""

from __future__ import annotations

import asyncio
import logging

from trayapp.core.messages import SleepSoon
from trayapp.core.model import Step, Workload
from trayapp.engine.ports import Clock, SuspendHost
from trayapp.engine.tasks import Tasks

log = logging.getLogger(__name__)

PATIENCE = 4.0  # s; logind waits 5 s at most (InhibitDelayMaxSec), macOS 30
CLOSE_LOOK = 0.05  # s between two looks at what is still under way


class SuspendDelay:
    """Belongs to the engine's loop."""

    def __init__(self, engine: SuspendHost, clock: Clock, tasks: Tasks) -> None:
        self._engine = engine
        self._clock = clock
        self._tasks = tasks
        self._holding: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The machine is about to sleep, and the gate is closed."""
        self._holding = self._engine.task("let attempts end before the sleep", self._hold())

    async def settled(self) -> None:
        """Until the machine may sleep: at most `PATIENCE` seconds after `begin`."""
        if self._holding is not None:
            await asyncio.wait({self._holding})

    async def _hold(self) -> None:
        until = self._clock.now().awake + PATIENCE
        while self._engine.gate.sleeping and (late := self._under_way()):
            left = until - self._clock.now().awake
            if left <= 0.0:
                log.warning("going to sleep without an answer to: %s", ", ".join(sorted(late)))
                break
            await self._clock.sleep(min(CLOSE_LOOK, left))
        if self._engine.gate.sleeping:  # else the sleep was called off, or is over
            await self._engine.everyone(SleepSoon)

    def _under_way(self) -> set[str]:
        """What is in flight or being written, by name."""
        attempts = {n for n, w in self._engine.workloads.items() if _sent(w) or w.storing is not None}
        return attempts | {task.get_name() for task in self._tasks.needed}


def _sent(w: Workload) -> bool:
    """What is still being probed is not sent before the wake, so nobody waits for it."""
    return w.attempt is not None and w.attempt.step is not Step.PROBE
