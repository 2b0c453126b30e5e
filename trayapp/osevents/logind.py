"""Sleep and wake from systemd-logind (or elogind), with a *delay* lock that lets a pending token response arrive.

org.freedesktop.login1(5): `PrepareForSleep(true)` comes before the machine sleeps, `(false)` after it woke or when the
sleep was called off. While awake we hold an inhibitor of mode "delay", which any user may take; logind waits for its
release, at most `InhibitDelayMaxSec` (5 s by default). It cannot keep a machine awake.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec

from trayapp.osevents.events import OsEvent, SleepImminent, WakeDetected
from trayapp.osevents.systembus import OWNER, ServiceSignals, subscribed

log = logging.getLogger(__name__)

NAME = "org.freedesktop.login1"
PATH = "/org/freedesktop/login1"
MANAGER = "org.freedesktop.login1.Manager"
SIGNAL = "PrepareForSleep"
RULE = f"type='signal',sender='{NAME}',interface='{MANAGER}',member='{SIGNAL}'"
INHIBIT_ARGUMENTS = ("sleep", "Amberlight", "an answer with a new login is on its way", "delay")


class Logind:
    """Emits `SleepImminent` and `WakeDetected`. Calling the event's `done` releases the lock of that sleep."""

    name = "logind"
    power = True
    network = False

    def __init__(self) -> None:
        if sys.platform != "linux" or find_spec("dbus_fast") is None:
            raise OSError("logind needs Linux and dbus-fast")
        self.live = False
        self._lock: _Lock | None = None
        self._asleep = False
        self._asleep_before = 0.0
        self._logged = ""

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` when the system bus is missing or lost."""
        try:
            async with subscribed(NAME, RULE) as signals:
                await self._check_presence(signals)
                async for message in signals:
                    if message.member == OWNER:
                        self._on_gone(emit)
                        await self._check_presence(signals)
                    elif message.member == SIGNAL and message.body[0]:
                        self._on_sleep(emit)
                    elif message.member == SIGNAL:
                        self._on_wake(emit)
                        await self._take_lock(signals)
        finally:
            self._on_gone(emit)

    async def _check_presence(self, signals: ServiceSignals) -> None:
        """Whether logind runs; if so, take the lock that delays its next sleep."""
        self.live = signals.present
        if signals.present:
            await self._take_lock(signals)
        else:
            self._log_change("logind is not there: the clock notices wakes, and nothing delays sleep for an answer")

    async def _take_lock(self, signals: ServiceSignals) -> None:
        """Take the lock unless it is held already (a sleep that was called off before `done`)."""
        if self._lock is not None and self._lock.held:
            return
        try:
            reply = await signals.bus.ask(NAME, PATH, MANAGER, "Inhibit", "ssss", *INHIBIT_ARGUMENTS)
            self._lock = _Lock(reply.unix_fds[reply.body[0]])
        except (OSError, IndexError, TypeError) as error:
            self._log_change(
                f"logind does not allow delaying sleep ({error}): an answer may be lost on the way to sleep"
            )
            return
        self._log_change("logind tells of sleep and wake, and lets a sleep be held up for an answer")

    def _on_sleep(self, emit: Callable[[OsEvent], None]) -> None:
        lock, self._lock = self._lock, None
        self._asleep, self._asleep_before = True, seconds_asleep()
        emit(SleepImminent(lock.release) if lock is not None else SleepImminent())

    def _on_wake(self, emit: Callable[[OsEvent], None]) -> None:
        self._asleep = False
        emit(WakeDetected(max(0.0, seconds_asleep() - self._asleep_before)))

    def _on_gone(self, emit: Callable[[OsEvent], None]) -> None:
        """logind has gone, or we stop. The wake after an announced sleep can't be reported any more: it counts as over."""
        self.live = False
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        if self._asleep:
            self._on_wake(emit)

    def _log_change(self, sentence: str) -> None:
        """Log a sentence unless it was the last one logged."""
        if sentence != self._logged:
            self._logged = sentence
            log.info("os events: %s", sentence)


class _Lock:
    """The descriptor that logind gave; closing it is the release.

    Each sleep has a lock of its own, so that a late release of the last one cannot release the next.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)  # a browser that we start must not delay a sleep
        self._descriptor: int | None = descriptor

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        """Let the machine sleep; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def seconds_asleep() -> float:
    """How long the machine has slept since it booted, in seconds: CLOCK_BOOTTIME minus CLOCK_MONOTONIC."""
    if sys.platform != "linux":
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
