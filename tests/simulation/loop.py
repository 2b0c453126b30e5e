"""An event loop in virtual time: it never waits, it jumps to the next timer.

The loop's clock is the *awake* clock of the simulated machine, as on Linux: a sleep of three days takes no time on it.
`machine.Clocks` adds the time asleep.

A simulated day is thousands of turns of this loop, so a turn does only what a world without files, signals, debugging
and other threads needs. The order of callbacks is asyncio's own.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections import deque
from contextvars import Context, copy_context
from typing import Any


class StalledError(Exception):
    """Nothing is scheduled any more, or the loop runs without time passing."""


SPINNING = 20_000  # iterations in a row without time passing: something reschedules itself immediately, for ever
RESOLUTION = 1e-6  # s; rounding must not make a timer late
TIMERS = 100  # with more than that, and more than half of them cancelled, those are removed


class _NoFiles(selectors.SelectSelector):
    """A selector on which no file is ever ready."""

    def select(self, timeout: float | None = None) -> list[Any]:
        return []


class _Handle:
    """What asyncio's `Handle` does, without what is for debugging."""

    __slots__ = ("args", "callback", "context", "dropped")

    def __init__(self, callback: Any, args: tuple[Any, ...], context: Context | None) -> None:
        self.callback, self.args = callback, args
        self.context = copy_context() if context is None else context
        self.dropped = False

    def cancel(self) -> None:
        self.dropped = True
        self.callback, self.args = None, ()

    def cancelled(self) -> bool:
        return self.dropped


class _Timer(_Handle):
    """The same at an instant."""

    __slots__ = ("at", "loop", "waits")

    def __init__(
        self, loop: VirtualLoop, at: float, callback: Any, args: tuple[Any, ...], context: Context | None
    ) -> None:
        super().__init__(callback, args, context)
        self.loop, self.at = loop, at
        self.waits = True  # it is among the loop's timers

    def when(self) -> float:
        return self.at

    def cancel(self) -> None:
        if self.waits and not self.dropped:
            self.loop.cancelled += 1
        super().cancel()


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual; tasks and futures are asyncio's own."""

    _ready: deque[Any]
    _stopping: bool

    def __init__(self) -> None:
        self._now = 0.0
        self._turns = 0
        self._timers: list[tuple[float, int, _Timer]] = []  # a heap; the number keeps those of an instant in order
        self._numbers = itertools.count()
        self.cancelled = 0  # of these
        super().__init__(_NoFiles())

    def time(self) -> float:
        return self._now

    # The arguments of these are not checked, as in asyncio itself.

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        handle = _Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return self.call_soon(callback, *args, context=context)  # there is one thread, and the loop never blocks

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> Any:  # type: ignore[override]
        timer = _Timer(self, when, callback, args, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Context | None = None) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def _run_once(self) -> None:
        """One turn: the timers that are due, then everything that was ready before it began."""
        ready, timers = self._ready, self._timers
        if len(timers) > TIMERS and self.cancelled * 2 > len(timers):
            timers[:] = [each for each in timers if not each[2].dropped]
            heapq.heapify(timers)
            self.cancelled = 0
        while timers and timers[0][2].dropped:
            self.cancelled -= 1
            heapq.heappop(timers)[2].waits = False
        self._turns += 1
        if not (ready or self._stopping):
            self._jump()
        if self._turns > SPINNING:
            raise StalledError("the loop spins without any time passing")
        due = self._now + RESOLUTION
        while timers and timers[0][0] < due:
            timer = heapq.heappop(timers)[2]
            timer.waits = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.dropped:
                try:
                    handle.context.run(handle.callback, *handle.args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 - as asyncio does
                    self.call_exception_handler({"message": "a callback failed", "exception": error})

    def _jump(self) -> None:
        """Let time pass until the next timer."""
        if not self._timers:
            raise StalledError("the simulated world stands still")
        wait = self._timers[0][0] - self._now
        if wait > 0.0:
            self._now += wait
            self._turns = 0
