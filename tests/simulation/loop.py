"""An event loop whose time is virtual: it never waits, it jumps to the next timer.

The loop's clock is the *awake* clock of the simulated machine, as it is on Linux: a sleep of three days is no time for
it. What counts sleep is kept by `machine.Clocks`.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class StalledError(Exception):
    """Nothing is scheduled and nothing can happen any more."""


SPINNING = 20_000  # turns of the loop in a row without any time passing: somebody asks for "at once" for ever


class _Jump(selectors.SelectSelector):
    """No file is ever ready; waiting makes the time pass."""

    now = 0.0
    turns = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StalledError("the simulated world stands still")
        self.turns = 0 if timeout > 0.0 else self.turns + 1
        if self.turns > SPINNING:
            raise StalledError("the loop spins without any time passing")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual, everything else is asyncio's own."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-6  # s; sums of floats must not make a timer late by a hair

    def time(self) -> float:
        return self._jump.now

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody need be woken."""
