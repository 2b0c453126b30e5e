"""An event loop in virtual time: it never waits, it jumps to the next timer.

The loop's clock is the *awake* clock of the simulated machine, as on Linux: a sleep of three days takes no time on it.
`machine.Clocks` adds the time asleep.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class StalledError(Exception):
    """Nothing is scheduled any more, or the loop runs without time passing."""


SPINNING = 20_000  # iterations in a row without time passing: something reschedules itself immediately, for ever


class _Jump(selectors.SelectSelector):
    """A selector on which no file is ever ready; waiting advances the virtual time."""

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
        self._clock_resolution = 1e-6  # s; rounding must not make a timer late

    def time(self) -> float:
        return self._jump.now

    def _write_to_self(self) -> None:
        """The loop never blocks, so it needs no waking."""
