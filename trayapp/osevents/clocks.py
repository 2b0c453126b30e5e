"""The three clocks of this machine, and what their disagreement means.

`at` counts sleep and `awake` does not, so sleep is what the one gained on the other; both ignore who sets the clock on the
wall, so a step of the wall clock is what it gained on `at`. No other detector of sleep is as plain: it needs no message
from the system, and NTP and summer time do not fool it. Which clock is which: PLATFORM.md 1.1.
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
STEPPED = 5.0  # s between wall and `at`; NTP slews by less

if sys.platform == "win32":
    import ctypes

    def _at() -> float:
        return time.monotonic()  # GetTickCount64, from 3.13 QueryPerformanceCounter; both go on in sleep

    def _awake() -> float:
        ticks = ctypes.c_ulonglong()
        ctypes.windll.kernel32.QueryUnbiasedInterruptTime(ctypes.byref(ticks))
        return ticks.value / 1e7  # of 100 ns

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

else:  # a system that we do not know: sleep shows only as a step of the wall clock

    def _at() -> float:
        return time.monotonic()

    _awake = _at


class SystemClock:
    """The real `Clock` of `ports.py`."""

    def now(self) -> Moment:
        """The three clocks, read one after the other; `at` first, so that a sleep in between shows the next time."""
        return Moment(_at(), _awake(), time.time())

    def jitter(self) -> float:
        """A number in [0, 1)."""
        return secrets.randbits(53) / (1 << 53)

    async def sleep(self, seconds: float) -> None:
        """By the loop's clock, which stops in sleep on Linux and macOS: keep it short and look at `now` again."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class ClockJump:
    """What happened between two readings besides the passing of time, in seconds; 0 where nothing did."""

    slept: float = 0.0
    stepped: float = 0.0

    def events(self) -> list[OsEvent]:
        """The same as events, the wake first."""
        woke: list[OsEvent] = [WakeDetected(self.slept)] if self.slept else []
        return [*woke, ClockStepped(self.stepped)] if self.stepped else woke


def compare(before: Moment, after: Moment) -> ClockJump | None:
    """Whether the machine slept or its wall clock was set between two readings; None if neither. Pure."""
    passed = after.at - before.at
    slept = passed - (after.awake - before.awake)
    stepped = (after.wall - before.wall) - passed
    jump = ClockJump(slept if slept > SLEPT else 0.0, stepped if abs(stepped) > STEPPED else 0.0)
    return jump if jump != ClockJump() else None
