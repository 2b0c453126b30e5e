"""The machine's three clocks, and how sleep and clock steps show in their differences.

`at` counts sleep and `awake` does not, so the time slept is what `at` gained on `awake`. Setting the wall clock moves
neither of them, so a clock step is what the wall clock gained on `at`. This is the simplest detector of sleep there is:
it needs no message from the system, and NTP and daylight saving time do not fool it.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from dataclasses import dataclass

from trayapp.core.model import Moment
from trayapp.osevents.events import ClockStepped, OsEvent, WakeDetected

SLEPT = 5.0  # s that `at` gains on `awake`; reading two clocks one after the other never differs so much
STEPPED = 5.0  # s that the wall clock gains or loses on `at`; NTP slews by less

if sys.platform == "win32":
    import ctypes

    def _at() -> float:
        return time.monotonic()  # GetTickCount64, from 3.13 QueryPerformanceCounter; both count sleep

    def _awake() -> float:
        ticks = ctypes.c_ulonglong()
        ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks))
        return ticks.value / 1e7  # it counts units of 100 ns

elif sys.platform == "darwin":

    def _at() -> float:
        return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)  # mach_continuous_time

    def _awake() -> float:
        return time.clock_gettime(time.CLOCK_UPTIME_RAW)  # mach_absolute_time

elif sys.platform == "linux":

    def _at() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def _awake() -> float:
        return time.clock_gettime(time.CLOCK_MONOTONIC)

else:  # an unknown system: sleep shows only as a step of the wall clock

    def _at() -> float:
        return time.monotonic()

    _awake = _at


class SystemClock:
    """The real clock of the engine (`Clock` in `engine/ports.py`)."""

    def now(self) -> Moment:
        """The three clocks, read in turn; `at` first, so that a sleep in between shows at the next reading."""
        return Moment(_at(), _awake(), time.time())

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        return secrets.randbits(53) / (1 << 53)

    async def sleep(self, seconds: float) -> None:
        """Wait by the loop's clock, which stops in sleep on Linux and macOS: keep waits short and read `now` again."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class ClockJump:
    """Sleep and clock step between two readings, in seconds; 0 where there was none."""

    slept: float = 0.0
    stepped: float = 0.0

    def events(self) -> list[OsEvent]:
        """As events, the wake first."""
        woke: list[OsEvent] = [WakeDetected(self.slept)] if self.slept else []
        return [*woke, ClockStepped(self.stepped)] if self.stepped else woke


def compare(before: Moment, after: Moment) -> ClockJump | None:
    """The sleep and the clock step between two readings; None if there was neither. Pure."""
    passed = after.at - before.at
    slept = passed - (after.awake - before.awake)
    stepped = (after.wall - before.wall) - passed
    jump = ClockJump(slept if slept > SLEPT else 0.0, stepped if abs(stepped) > STEPPED else 0.0)
    return jump if jump != ClockJump() else None
