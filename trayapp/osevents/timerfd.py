"""Resume and clock steps from the Linux kernel, without D-Bus: a timer that never fires but gets cancelled.

timerfd_create(2): with TFD_TIMER_CANCEL_ON_SET a read fails with ECANCELED when the clock is set, and the kernel counts a
resume as setting it (timekeeping_resume). It costs one file descriptor and no wake-up. Python has the call since 3.13;
earlier versions go through the C library.
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

NEVER_DUE = 50 * 365 * 86400.0  # s from now; the instant itself must never come
REALTIME = 0  # CLOCK_REALTIME
NONBLOCK, CLOEXEC = 0o4000, 0o2000000  # TFD_*
ABSTIME, CANCEL_ON_SET = 1, 2  # TFD_TIMER_*
SLEPT = 0.05  # s that CLOCK_BOOTTIME gains on CLOCK_MONOTONIC: less is the time between two readings
_ITIMERSPEC = struct.Struct("@llll")  # interval and value, each seconds and nanoseconds


class Timerfd:
    """Emits `WakeDetected` if the clocks show a sleep when a read is cancelled, else `ClockStepped`."""

    name = "timerfd"
    power = False  # it reports every resume, but its silence means no more than the clocks, which show the same
    network = False

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("timerfd is Linux's")
        self.live = False
        self._seconds_asleep = self._wall_offset = 0.0

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` if the kernel has no such timer."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        timer = create_timer()
        try:
            self._rearm(timer)
            loop.add_reader(timer, lambda: self._on_readable(timer, emit, ended))
            self.live = True
            await ended
        finally:
            self.live = False
            loop.remove_reader(timer)
            os.close(timer)

    def _on_readable(self, timer: int, emit: Callable[[OsEvent], None], ended: asyncio.Future[None]) -> None:
        try:
            os.read(timer, 8)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ECANCELED:
                if not ended.done():
                    ended.set_exception(error)
                return
        seconds_asleep, wall_offset = self._seconds_asleep, self._wall_offset
        self._rearm(timer)
        slept = self._seconds_asleep - seconds_asleep
        emit(WakeDetected(slept) if slept > SLEPT else ClockStepped(self._wall_offset - wall_offset))

    def _rearm(self, timer: int) -> None:
        """Arm the timer again and note the differences between the clocks."""
        arm(timer, time.time() + NEVER_DUE)
        if sys.platform == "linux":
            at, awake = time.clock_gettime(time.CLOCK_BOOTTIME), time.clock_gettime(time.CLOCK_MONOTONIC)
            self._seconds_asleep, self._wall_offset = at - awake, time.time() - at


def create_timer() -> int:
    """The file descriptor of a new timer on the wall clock."""
    if sys.version_info >= (3, 13) and sys.platform == "linux":
        return os.timerfd_create(time.CLOCK_REALTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
    return _checked(_libc_function("timerfd_create")(REALTIME, NONBLOCK | CLOEXEC))


def arm(timer: int, wall: float) -> None:
    """Make the timer due at `wall`, and cancelled by any step of the clock."""
    if sys.version_info >= (3, 13) and sys.platform == "linux":
        flags = os.TFD_TIMER_ABSTIME | os.TFD_TIMER_CANCEL_ON_SET
        os.timerfd_settime(timer, flags=flags, initial=wall)
        return
    due = ctypes.create_string_buffer(_ITIMERSPEC.pack(0, 0, int(wall), 0), _ITIMERSPEC.size)
    _checked(_libc_function("timerfd_settime")(timer, ABSTIME | CANCEL_ON_SET, due, None))


def _libc_function(name: str) -> Callable[..., int]:
    """A function of the C library. Raises `OSError` if it has none of this name."""
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
