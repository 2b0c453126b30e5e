"""What Windows tells by itself: changes of addresses and routes, suspend and resume. No window, no message loop.

All callbacks come on threads of Windows and only post. An announced suspend waits for the callback to return, for about
two seconds in all (PBT_APMSUSPEND in Microsoft's documentation); that is the time in which an answer can still be stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from trayapp.osevents.events import NetworkChangeHint, OsEvent, SleepImminent, WakeDetected
from trayapp.osevents.relay import ThreadRelay
from trayapp.osevents.windows_calls import Calls, system

# <winuser.h>
SUSPEND = 4  # PBT_APMSUSPEND
RESUME_CRITICAL = 6  # PBT_APMRESUMECRITICAL: after a suspend that nobody announced; of old systems
RESUME_SUSPEND = 7  # PBT_APMRESUMESUSPEND: after 18, and only if a person is there
RESUME_AUTOMATIC = 18  # PBT_APMRESUMEAUTOMATIC: at every resume

HOLD = 1.5  # s that a suspend waits for us; Windows goes on after about 2 whatever we do


class WindowsNetwork:
    """Emits `NetworkStirred` at each message; what it was only a look can tell."""

    name = "iphlpapi"
    power = False
    network = True

    def __init__(self, calls: Calls | None = None) -> None:
        self.live = False
        self._calls = calls or system()

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled; `OSError` if Windows refuses."""
        relay = ThreadRelay(emit)

        def heard() -> None:
            relay.post(NetworkChangeHint())

        with contextlib.ExitStack() as ends:
            ends.callback(relay.end)
            ends.callback(self._calls.watch_addresses(heard))
            ends.callback(self._calls.watch_routes(heard))
            self.live = True
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.live = False


class WindowsPower:
    """Emits `SleepImminent` and `WakeDetected`.

    Not `power`: under Modern Standby neither message is certain, so silence means nothing, and a sleep that only the
    clocks show is believed at once.
    """

    name = "powrprof"
    power = False
    network = False

    def __init__(self, calls: Calls | None = None, hold: float = HOLD) -> None:
        self.live = False
        self._calls = calls or system()
        self._limit = hold

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled; `OSError` if Windows refuses."""
        night = _SuspendCycle(ThreadRelay(emit), self._limit)
        cancel = self._calls.watch_power(night.heard)
        self.live = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.live = False
            asleep = night.end()  # first: cancelling waits for a callback that holds a suspend up
            cancel()
            if asleep:  # nobody will say any more that it is over
                emit(WakeDetected())


class _SuspendCycle:
    """From codes to events, on threads of Windows, one at a time."""

    def __init__(self, relay: ThreadRelay, limit: float) -> None:
        self._relay = relay
        self._limit = limit
        self._hold = threading.Event()
        self._asleep = False

    def heard(self, kind: int) -> None:
        """18 comes at every resume, and 7 after it tells nothing new."""
        if kind == SUSPEND:
            self._falls()
        elif kind in (RESUME_AUTOMATIC, RESUME_CRITICAL) or (kind == RESUME_SUSPEND and self._asleep):
            self._asleep = False
            self._relay.post(WakeDetected())

    def _falls(self) -> None:
        self._asleep = True
        self._hold = hold = threading.Event()  # before the post: whoever ends meanwhile must find it
        if self._relay.post(SleepImminent(hold.set)):
            hold.wait(self._limit)

    def end(self) -> bool:
        """From the loop: nothing is held up any more. Whether a sleep was announced that nobody called over."""
        self._relay.end()
        self._hold.set()
        return self._asleep
