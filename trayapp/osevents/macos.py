"""The native sources of macOS: the routing socket for the network, IOKit for sleep and wake, without PyObjC or a window.

IOKit's messages arrive on a thread of our own with its own run loop, so they also arrive under `--no-tray`, where no
application runs one on the main thread.

DarkWake: a sleeping Mac wakes for seconds or minutes, with network and without its screen, and may sleep again in the
middle of a request. Programs are not told: `SystemHasPoweredOn` comes only with the screen. So the gate that
`SleepImminent` closed stays closed until that message; `in_dark_wake` tells a maintenance wake from a missed message.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
import threading
from collections.abc import Callable

from trayapp.osevents.events import NetworkChangeHint, OsEvent, SleepImminent, WakeDetected
from trayapp.osevents.macos_iokit import (
    CAN_SLEEP,
    CPU,
    HAS_POWERED_ON,
    VIDEO,
    WILL_NOT_SLEEP,
    WILL_SLEEP,
    PowerCalls,
    load_iokit,
)
from trayapp.osevents.macos_routes import reports_change
from trayapp.osevents.relay import SleepHold, ThreadRelay

log = logging.getLogger(__name__)

HOLD_LIMIT = 4.0  # s that a sleep is delayed for a pending token response; macOS itself would wait 30 s
_STOP_STEP, _STOP_STEPS = 0.05, 20  # s, times; a run loop that is just about to begin misses the first stop
_READ_SIZE = 65536  # bytes; many messages may come in one read


MACOS_ONLY = "the routing socket is macOS's"


def routing_socket() -> socket.socket:
    """An unprivileged socket that receives every routing message; nothing is ever sent. <sys/socket.h>: AF_ROUTE is 17."""
    if sys.platform != "darwin":
        raise OSError(MACOS_ONLY)
    return socket.socket(socket.AF_ROUTE, socket.SOCK_RAW, 0)


def interface_name(index: int) -> str:
    """The name of an interface; empty if it is gone."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


class MacNetwork:
    """Emits `NetworkChangeHint`: one for each batch of messages, however many are in it. `run` opens the socket."""

    name = "routing socket"
    power = False
    network = True

    def __init__(
        self,
        opened: Callable[[], socket.socket] | None = None,
        name_of: Callable[[int], str] = interface_name,
    ) -> None:
        if opened is None and sys.platform != "darwin":
            raise OSError(MACOS_ONLY)
        self.live = False
        self._open = opened or routing_socket
        self._name_of = name_of

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` if the socket fails."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        with self._open() as kernel:
            kernel.setblocking(False)
            loop.add_reader(kernel, self._on_readable, kernel, emit, ended)
            self.live = True
            try:
                await ended
            finally:
                self.live = False
                loop.remove_reader(kernel)

    def _on_readable(self, kernel: socket.socket, emit: Callable[[OsEvent], None], ended: asyncio.Future[None]) -> None:
        try:
            changed = self._drain(kernel)
        except OSError as error:
            if not ended.done():
                ended.set_exception(error)
            return
        if changed:
            emit(NetworkChangeHint())

    def _drain(self, kernel: socket.socket) -> bool:
        """Read every waiting message; whether any of them reports a change."""
        changed = False
        while True:
            try:
                data = kernel.recv(_READ_SIZE)
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                changed = True  # messages were lost as the buffer was full: treat it as a change
                continue
            if not data:
                raise OSError("the routing socket was closed")
            changed = changed or reports_change(data, self._name_of)


class MacPower:
    """Emits `SleepImminent` and `WakeDetected`.

    Each announced sleep is allowed exactly once: by the event's `done`, or after `hold` seconds.
    """

    name = "IOKit power"
    power = True
    network = False

    def __init__(self, calls: PowerCalls | None = None, hold: float = HOLD_LIMIT) -> None:
        self.live = False
        self._calls = calls or load_iokit()
        self._hold_limit = hold

    def in_dark_wake(self) -> bool:
        """Whether the CPU is powered and the video hardware is not. False if unknown.

        This is about the machine, not a display: a Mac without one, or with its lid closed on a desk, is not in DarkWake.
        """
        powered = self._calls.capabilities()
        return powered is not None and bool(powered & CPU) and not powered & VIDEO

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` if IOKit refuses the registration or closes its port."""
        cycle = _SleepCycle(self._calls, ThreadRelay(emit), self._hold_limit)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        thread = threading.Thread(target=self._listen, args=(cycle, ended), name="power events", daemon=True)
        thread.start()
        try:
            await ended
        finally:
            self.live = False
            asleep = cycle.stop()
            self._stop(thread)
            if asleep:  # the wake can't be reported any more
                emit(WakeDetected())

    def _listen(self, cycle: _SleepCycle, ended: asyncio.Future[None]) -> None:
        """The body of the power thread: register, run its loop until stopped, unregister."""
        try:
            self._calls.register(cycle.on_message)
        except OSError as error:
            cycle.relay.call(_end_with, ended, error)
            return
        allow_app_nap = self._calls.prevent_app_nap()
        try:
            cycle.relay.call(self._began, ended)
            if self.in_dark_wake():  # launchd started us during a maintenance wake: this sleep began before us
                cycle.begin_sleep()
            self._calls.listen()
        finally:
            self._calls.unregister()
            allow_app_nap()
            cycle.relay.call(_end_with, ended, OSError("IOKit closed its port for power events"))

    def _began(self, ended: asyncio.Future[None]) -> None:
        self.live = not ended.done()

    def _stop(self, thread: threading.Thread) -> None:
        for _ in range(_STOP_STEPS):
            self._calls.stop()
            thread.join(_STOP_STEP)
            if not thread.is_alive():
                return
        log.warning("os events: the thread for power events does not end")


def _end_with(ended: asyncio.Future[None], error: OSError) -> None:
    if not ended.done():
        ended.set_exception(error)


class _SleepCycle:
    """Turns IOKit's messages into events, on the power thread. Holds at most one announced sleep."""

    def __init__(self, calls: PowerCalls, relay: ThreadRelay, hold_limit: float) -> None:
        self.relay = relay
        self._calls = calls
        self._hold_limit = hold_limit
        self._hold: SleepHold | None = None
        self._asleep = False

    def on_message(self, message: int, argument: int) -> None:
        """Handle one message of IOKit. A message that wants an answer gets one, whatever else fails."""
        if message == CAN_SLEEP:
            self._calls.allow(argument)  # idle sleep is the user's policy, not ours
        elif message == WILL_SLEEP:
            self.begin_sleep(argument)
        elif message == HAS_POWERED_ON or (message == WILL_NOT_SLEEP and self._asleep):
            self._asleep = False
            self.relay.post(WakeDetected())

    def begin_sleep(self, argument: int | None = None) -> None:
        """The machine counts as asleep. With an `argument`, IOKit waits for the answer to it."""
        self._asleep = True
        if argument is None:
            self.relay.post(SleepImminent())
            return
        # Assigned before the post, so that a `stop` in between finds it.
        self._hold = hold = SleepHold(lambda: self._calls.allow(argument), self._hold_limit)
        if not self.relay.post(SleepImminent(hold.release)):
            hold.release()

    def stop(self) -> bool:
        """From the loop: release what is held. Returns whether an announced sleep has had no wake yet."""
        self.relay.stop()
        if self._hold is not None:
            self._hold.release()
        return self._asleep
