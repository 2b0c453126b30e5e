"""The native sources of Windows: address and route changes, suspend and resume, without a window or a message loop;
and what only windows are told: the clock was set, the session ends.

All callbacks come on threads of Windows and only post. An announced suspend waits for the callback to return, for about
two seconds in all (PBT_APMSUSPEND in Microsoft's documentation): within that time a pending token response can still be
stored.

Lock and unlock of the session (WM_WTSSESSION_CHANGE) aren't listened to, as they change nothing: the Credential Manager
answers behind the lock screen as well, and attempts go on. On Linux, too, only the keyring's own unlocking counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from trayapp.core.model import Moment
from trayapp.osevents.clocks import SystemClock
from trayapp.osevents.events import ClockStepped, NetworkChangeHint, OsEvent, SleepImminent, WakeDetected
from trayapp.osevents.relay import ThreadRelay
from trayapp.osevents.windows_calls import NotificationCalls, load_windows
from trayapp.osevents.windows_window import (
    WM_ENDSESSION,
    WM_POWERBROADCAST,
    WM_TIMECHANGE,
    WindowCalls,
    load_window_calls,
)

# <winuser.h>
SUSPEND = 4  # PBT_APMSUSPEND
RESUME_CRITICAL = 6  # PBT_APMRESUMECRITICAL: after an unannounced suspend; only on old systems
RESUME_SUSPEND = 7  # PBT_APMRESUMESUSPEND: after 18, and only if a person is there
RESUME_AUTOMATIC = 18  # PBT_APMRESUMEAUTOMATIC: at every resume

HOLD_LIMIT = 1.5  # s that a suspend is delayed; Windows suspends after about 2 whatever we do
END_HOLD_LIMIT = 4.0  # s that the end of the session is delayed; after 5 Windows says that the program doesn't respond

_CLOCK = SystemClock()
_TOLD_BY_CALLBACK = threading.Event()  # whether Windows has ever called the callback of `WindowsPower`


class WindowsNetwork:
    """Emits `NetworkChangeHint` at each notification of iphlpapi."""

    name = "iphlpapi"
    power = False
    network = True

    def __init__(self, calls: NotificationCalls | None = None) -> None:
        self.live = False
        self._calls = calls or load_windows()

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` if Windows refuses the registration."""
        relay = ThreadRelay(emit)

        def on_message() -> None:
            relay.post(NetworkChangeHint())

        with contextlib.ExitStack() as ends:
            ends.callback(relay.stop)
            ends.callback(self._calls.watch_addresses(on_message))
            ends.callback(self._calls.watch_routes(on_message))
            self.live = True
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.live = False


class WindowsPower:
    """Emits `SleepImminent` and `WakeDetected`.

    Not `power`: under Modern Standby neither message is certain, so silence means nothing, and a sleep that only the
    clocks show counts immediately.
    """

    name = "powrprof"
    power = False
    network = False

    def __init__(self, calls: NotificationCalls | None = None, hold: float = HOLD_LIMIT) -> None:
        self.live = False
        self._calls = calls or load_windows()
        self._hold_limit = hold

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` if Windows refuses the registration."""
        cycle = _SuspendCycle(ThreadRelay(emit), self._hold_limit)

        def on_message(kind: int) -> None:
            _TOLD_BY_CALLBACK.set()
            cycle.on_message(kind)

        await _live_until_cancelled(self, cycle, self._calls.watch_power(on_message), emit)


class _SuspendCycle:
    """Turns PBT_ codes into events, on threads of Windows, one at a time."""

    def __init__(self, relay: ThreadRelay, hold_limit: float) -> None:
        self._relay = relay
        self._hold_limit = hold_limit
        self._hold = threading.Event()
        self._asleep = False

    def on_message(self, kind: int) -> None:
        """Handle a PBT_ code. 18 comes at every resume; a 7 after it adds nothing."""
        if kind == SUSPEND:
            self._on_suspend()
        elif kind in (RESUME_AUTOMATIC, RESUME_CRITICAL) or (kind == RESUME_SUSPEND and self._asleep):
            self._asleep = False
            self._relay.post(WakeDetected())

    def _on_suspend(self) -> None:
        self._asleep = True
        self._hold = hold = threading.Event()  # before the post, so that a `stop` in between finds it
        if self._relay.post(SleepImminent(hold.set)):
            hold.wait(self._hold_limit)

    def stop(self) -> bool:
        """From the loop: release what is held. Returns whether an announced sleep has had no wake yet."""
        self._relay.stop()
        self._hold.set()
        return self._asleep


async def _live_until_cancelled(
    source: WindowsPower | WindowsSession,
    cycle: _SuspendCycle,
    cancel: Callable[[], None],
    emit: Callable[[OsEvent], None],
) -> None:
    """Be live, and in the end undo the registration, whatever is held up by it."""
    source.live = True
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        source.live = False
        asleep = (
            cycle.stop()
        )  # first, as cancelling waits for a callback that delays a suspend or the end of the session
        cancel()
        if asleep:  # the wake can't be reported any more
            emit(WakeDetected())


class WindowsSession:
    """Emits `ClockStepped` when the clock is set, and `SleepImminent` when the session ends: then, too, a pending token
    response has a moment to be stored.

    `with_power`: whether to heed what windows are told of suspend and resume, too: until `WindowsPower` has been told the
    same, because Wine registers its callback and never calls it.
    """

    name = "window"
    power = False
    network = False

    def __init__(
        self,
        calls: WindowCalls | None = None,
        hold: float = END_HOLD_LIMIT,
        now: Callable[[], Moment] = _CLOCK.now,
        *,
        with_power: Callable[[], bool] = lambda: not _TOLD_BY_CALLBACK.is_set(),
    ) -> None:
        self.live = False
        self._calls = calls or load_window_calls()
        self._hold_limit = hold
        self._now = now
        self._with_power = with_power
        self._offset = 0.0

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` if Windows opens no window."""
        relay = ThreadRelay(emit)
        cycle = _SuspendCycle(relay, self._hold_limit)
        self._offset = self._wall_offset()

        def on_message(kind: int, wparam: int) -> None:
            if kind == WM_TIMECHANGE:
                before, self._offset = self._offset, self._wall_offset()
                relay.post(ClockStepped(self._offset - before))
            elif kind == WM_ENDSESSION:
                cycle.on_message(SUSPEND if wparam else RESUME_SUSPEND)  # 0: somebody has called it off
            elif kind == WM_POWERBROADCAST and self._with_power():
                cycle.on_message(wparam)

        ended = threading.Event()

        def open_window() -> Callable[[], None]:
            """In a thread, as the first window of a process takes long; who is cancelled meanwhile leaves none behind."""
            end = self._calls.watch(on_message)
            if ended.is_set():
                end()
            return end

        try:
            cancel = await asyncio.to_thread(open_window)
        except asyncio.CancelledError:
            ended.set()
            raise
        await _live_until_cancelled(self, cycle, cancel, emit)

    def _wall_offset(self) -> float:
        now = self._now()
        return now.wall - now.at
