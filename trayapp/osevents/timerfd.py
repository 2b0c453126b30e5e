"""Resume and clock steps, told by the kernel without D-Bus: a timer that is never to fire and is cancelled instead.

timerfd_create(2): with TFD_TIMER_CANCEL_ON_SET a read fails with ECANCELED when somebody sets the clock, and the kernel
counts a resume as setting it (timekeeping_resume). It costs one file descriptor and no wake-up. Python has the call
from 3.13 on; before that the C library is asked.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
import sys
import time
from collections.abc import Callable

from trayapp.osevents.events import ClockStepped, OsEvent, WakeDetected

FAR = 50 * 365 * 86400.0  # s from now; the instant itself must never come
REALTIME = 0  # CLOCK_REALTIME
NONBLOCK, CLOEXEC = 0o4000, 0o2000000  # TFD_*
ABSTIME, CANCEL_ON_SET = 1, 2  # TFD_TIMER_*
SLEPT = 0.05  # s that the clock with sleep gains on the one without: less is the time between two readings
_ITIMERSPEC = struct.Struct("@llll")  # interval and value, each seconds and nanoseconds


class Timerfd:
    """One timer. What a cancelled read means is told by the clocks: `WakeDetected` if they say so, else `ClockStepped`."""

    name = "timerfd"
    power = False  # it tells of every resume, but nobody waits for it: looking at the clocks tells the same
    network = False

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("timerfd is Linux's")
        self.live = False
        self._asleep = self._ahead = 0.0

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled; `OSError` if the kernel has no such timer."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        timer = create()
        try:
            self._arm(timer)
            loop.add_reader(timer, lambda: self._heard(timer, emit, ended))
            self.live = True
            await ended
        finally:
            self.live = False
            loop.remove_reader(timer)
            os.close(timer)

    def _heard(self, timer: int, emit: Callable[[OsEvent], None], ended: asyncio.Future[None]) -> None:
        try:
            os.read(timer, 8)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ECANCELED:
                if not ended.done():
                    ended.set_exception(error)
                return
        asleep, ahead = self._asleep, self._ahead
        self._arm(timer)
        slept = self._asleep - asleep
        emit(WakeDetected(slept) if slept > SLEPT else ClockStepped(self._ahead - ahead))

    def _arm(self, timer: int) -> None:
        """Set it anew, and note how the clocks stand."""
        settle(timer, time.time() + FAR)
        if sys.platform == "linux":
            at, awake = time.clock_gettime(time.CLOCK_BOOTTIME), time.clock_gettime(time.CLOCK_MONOTONIC)
            self._asleep, self._ahead = at - awake, time.time() - at


def create() -> int:
    """A timer on the wall clock, as a file descriptor."""
    if sys.version_info >= (3, 13) and sys.platform == "linux":
        return os.timerfd_create(time.CLOCK_REALTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
    return _checked(_function("timerfd_create")(REALTIME, NONBLOCK | CLOEXEC))


def settle(timer: int, wall: float) -> None:
    """Make it due at that instant, and cancelled by any step of the clock."""
    if sys.version_info >= (3, 13) and sys.platform == "linux":
        flags = os.TFD_TIMER_ABSTIME | os.TFD_TIMER_CANCEL_ON_SET
        os.timerfd_settime(timer, flags=flags, initial=wall)
        return
    due = ctypes.create_string_buffer(_ITIMERSPEC.pack(0, 0, int(wall), 0), _ITIMERSPEC.size)
    _checked(_function("timerfd_settime")(timer, ABSTIME | CANCEL_ON_SET, due, None))


def _function(name: str) -> Callable[..., int]:
    """A function of the C library; `OSError` where it has none of this name."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None, use_errno=True), name)
    except AttributeError:
        raise OSError(f"the C library has no {name}") from None
    return found


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
