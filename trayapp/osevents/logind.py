"""Sleep and wake from systemd-logind (or elogind), and a *delay* lock that holds the sleep up for an answer.

org.freedesktop.login1(5): `PrepareForSleep(true)` comes before the machine sleeps, `(false)` after it woke or when the
sleep was called off. While awake we hold an inhibitor of mode "delay", which any user may take; logind waits for its
release, at most `InhibitDelayMaxSec` (5 s as it comes). It cannot keep a machine awake.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

from trayapp.osevents.events import OsEvent, SleepImminent, WakeDetected
from trayapp.osevents.systembus import OWNER, ServiceSignals, listening

log = logging.getLogger(__name__)

NAME = "org.freedesktop.login1"
PATH = "/org/freedesktop/login1"
MANAGER = "org.freedesktop.login1.Manager"
SIGNAL = "PrepareForSleep"
RULE = f"type='signal',sender='{NAME}',interface='{MANAGER}',member='{SIGNAL}'"
WISH = ("sleep", "Amberlight", "an answer with a new login is on its way", "delay")


class Logind:
    """Emits `SleepImminent` and `WakeDetected`. Whoever hears of the sleep calls its `done`; then the lock of that night is gone."""

    name = "logind"
    power = True
    network = False

    def __init__(self) -> None:
        if sys.platform != "linux" or find_spec("dbus_fast") is None:
            raise OSError("logind needs Linux and dbus-fast")
        self.live = False
        self._lock: _Lock | None = None
        self._asleep = False
        self._gained = 0.0
        self._said = ""

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled; `OSError` when there is no system bus, or no longer."""
        try:
            async with listening(NAME, RULE) as line:
                await self._look(line)
                async for message in line:
                    if message.member == OWNER:
                        self._gone(emit)
                        await self._look(line)
                    elif message.member == SIGNAL and message.body[0]:
                        self._sleeps(emit)
                    elif message.member == SIGNAL:
                        self._wakes(emit)
                        await self._hold(line)
        finally:
            self._gone(emit)

    async def _look(self, line: ServiceSignals) -> None:
        """Whether it is there; if so its sleep is held up from now on."""
        self.live = line.present
        if line.present:
            await self._hold(line)
        else:
            self._say("logind is not there: a wake is noticed by the clock, and nothing holds a sleep up for an answer")

    async def _hold(self, line: ServiceSignals) -> None:
        """Take the lock, unless it is held (a sleep that was called off before we were done)."""
        if self._lock is not None and self._lock.held:
            return
        try:
            reply = await line.bus.ask(NAME, PATH, MANAGER, "Inhibit", "ssss", *WISH)
            self._lock = _Lock(reply.unix_fds[reply.body[0]])
        except (OSError, IndexError, TypeError) as error:
            self._say(f"logind does not let a sleep be held up ({error}): an answer may be lost on the way to sleep")
            return
        self._say("logind tells of sleep and wake, and lets a sleep be held up for an answer")

    def _sleeps(self, emit: Callable[[OsEvent], None]) -> None:
        lock, self._lock = self._lock, None
        self._asleep, self._gained = True, gained()
        emit(SleepImminent(lock.release) if lock is not None else SleepImminent())

    def _wakes(self, emit: Callable[[OsEvent], None]) -> None:
        self._asleep = False
        emit(WakeDetected(max(0.0, gained() - self._gained)))

    def _gone(self, emit: Callable[[OsEvent], None]) -> None:
        """It went away, or we do. A sleep that was announced will not be called off any more: it counts as over."""
        self.live = False
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._asleep:
            self._wakes(emit)

    def _say(self, sentence: str) -> None:
        """Once per change."""
        if sentence != self._said:
            self._said = sentence
            log.info("os events: %s", sentence)


class _Lock:
    """The descriptor that logind gave; closing it is the release. Each night has its own, so a late release of the
    last one cannot let go of the next."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # a browser that we start must not hold a sleep up
        self._descriptor: int | None = descriptor

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        """Let the machine sleep; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def gained() -> float:
    """What the clock that counts sleep has gained on the one that does not, in seconds since the boot."""
    if sys.platform != "linux":
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
