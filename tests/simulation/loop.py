"""An event loop in virtual time: it never waits, it jumps to the next timer.

The loop's clock is the *awake* clock of the simulated machine, as on Linux: a sleep of three days takes no time on it.
`machine.Clocks` adds the time asleep.

A simulated day is thousands of turns of this loop, so a turn does only what a world without files, signals and other
threads needs. The order of callbacks is asyncio's own.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
from asyncio.events import Handle, TimerHandle
from collections import deque
from contextvars import Context
from typing import Any, cast


class StalledError(Exception):
    """Nothing is scheduled any more, or the loop runs without time passing."""


SPINNING = 20_000  # iterations in a row without time passing: something reschedules itself immediately, for ever
RESOLUTION = 1e-6  # s; rounding must not make a timer late
TIMERS = 100  # with more than that, and more than half of them cancelled, those are removed


class _NoFiles(selectors.SelectSelector):
    """A selector on which no file is ever ready."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual; tasks, futures and timers are asyncio's own."""

    _ready: deque[Any]  # of `Handle`
    _scheduled: list[Any]  # a heap of `TimerHandle`
    _stopping: bool
    _timer_cancelled_count: int

    def __init__(self) -> None:
        self._now = 0.0
        self._turns = 0
        super().__init__(_NoFiles())

    def time(self) -> float:
        return self._now

    # The arguments of these three are not checked, as in asyncio itself.

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        handle = Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> Handle:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)  # there is one thread, and the loop never blocks

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> TimerHandle:  # type: ignore[override]
        timer: Any = TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # so that its cancelling is counted
        return cast("TimerHandle", timer)

    def _run_once(self) -> None:
        """One turn: the timers that are due, then everything that was ready before it began."""
        ready, scheduled = self._ready, self._scheduled
        if len(scheduled) > TIMERS and self._timer_cancelled_count * 2 > len(scheduled):
            scheduled[:] = [timer for timer in scheduled if not timer._cancelled]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False
        self._turns += 1
        if not (ready or self._stopping):
            self._jump()
        if self._turns > SPINNING:
            raise StalledError("the loop spins without any time passing")
        due = self._now + RESOLUTION
        while scheduled and scheduled[0]._when < due:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _jump(self) -> None:
        """Let time pass until the next timer."""
        if not self._scheduled:
            raise StalledError("the simulated world stands still")
        wait = self._scheduled[0].when() - self._now
        if wait > 0.0:
            self._now += wait
            self._turns = 0
