"""What macOS tells by itself: the routing socket for the network, IOKit for sleep and wake. Neither needs PyObjC or a window.

IOKit's messages come on a thread of its own with a run loop, so they come under `--no-tray` too, where no application
runs one on the main thread.

DarkWake: a Mac that sleeps surfaces for seconds or minutes, with network and without its screen, and may be gone again in
the middle of a request. It says nothing of that to programs: `SystemHasPoweredOn` comes only with the screen. So the gate
that `SleepImminent` closed stays closed, and that message alone is the green light; `dark` answers whoever doubts the silence.
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
    system,
)
from trayapp.osevents.macos_routes import stirs
from trayapp.osevents.relay import SleepHold, ThreadRelay

log = logging.getLogger(__name__)

HOLD = 4.0  # s that a sleep waits for an answer on its way (DESIGN.md section 12); macOS itself waits for 30
_STOP_STEP, _STOP_STEPS = 0.05, 20  # s, times; a run loop that is just about to begin does not hear the first stop
_ENOUGH = 65536  # bytes; many messages may come in one read


def routing_socket() -> socket.socket:
    """Unprivileged: it hears everything and is asked nothing. <sys/socket.h>: AF_ROUTE is 17."""
    if sys.platform != "darwin":
        raise OSError("the routing socket is macOS's")
    return socket.socket(socket.AF_ROUTE, socket.SOCK_RAW, 0)


def interface_name(index: int) -> str:
    """Empty if it is gone."""
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


class MacNetwork:
    """Emits `NetworkStirred`. One socket, opened in `run`; however many messages a read brings, one event."""

    name = "routing socket"
    power = False
    network = True

    def __init__(
        self,
        opened: Callable[[], socket.socket] | None = None,
        name_of: Callable[[int], str] = interface_name,
    ) -> None:
        if opened is None and sys.platform != "darwin":
            raise OSError("the routing socket is macOS's")
        self.live = False
        self._open = opened or routing_socket
        self._name_of = name_of

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled; `OSError` if the kernel stops telling."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        with self._open() as kernel:
            kernel.setblocking(False)
            loop.add_reader(kernel, self._heard, kernel, emit, ended)
            self.live = True
            try:
                await ended
            finally:
                self.live = False
                loop.remove_reader(kernel)

    def _heard(self, kernel: socket.socket, emit: Callable[[OsEvent], None], ended: asyncio.Future[None]) -> None:
        try:
            stirred = self._empty(kernel)
        except OSError as error:
            if not ended.done():
                ended.set_exception(error)
            return
        if stirred:
            emit(NetworkChangeHint())

    def _empty(self, kernel: socket.socket) -> bool:
        """Read all that is there; whether any of it matters."""
        stirred = False
        while True:
            try:
                data = kernel.recv(_ENOUGH)
            except BlockingIOError:
                return stirred
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                stirred = True  # messages were lost for want of room: a change like any other
                continue
            if not data:
                raise OSError("the routing socket was closed")
            stirred = stirred or stirs(data, self._name_of)


class MacPower:
    """Emits `SleepImminent` and `WakeDetected`. Each announced sleep is allowed exactly once: by `done`, or after `hold` seconds."""

    name = "IOKit power"
    power = True
    network = False

    def __init__(self, calls: PowerCalls | None = None, hold: float = HOLD) -> None:
        self.live = False
        self._calls = calls or system()
        self._limit = hold

    def in_dark_wake(self) -> bool:
        """Whether the machine runs without its screen's half being powered: DarkWake. False where nobody knows.

        It is about the machine, not about a display: a Mac without one, or with its lid closed on a desk, is not dark.
        """
        powered = self._calls.capabilities()
        return powered is not None and bool(powered & CPU) and not powered & VIDEO

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled; `OSError` if the system refuses, or stops telling."""
        night = _SleepCycle(self._calls, ThreadRelay(emit), self._limit)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        thread = threading.Thread(target=self._listen, args=(night, ended), name="power events", daemon=True)
        thread.start()
        try:
            await ended
        finally:
            self.live = False
            asleep = night.end()
            self._stop(thread)
            if asleep:  # nobody will say any more that it is over
                emit(WakeDetected())

    def _listen(self, night: _SleepCycle, ended: asyncio.Future[None]) -> None:
        """The thread's life."""
        try:
            self._calls.register(night.heard)
        except OSError as error:
            night.relay.call(_fail, ended, error)
            return
        punctual = self._calls.stay_punctual()
        try:
            night.relay.call(self._began, ended)
            if self.in_dark_wake():  # started by launchd in the night: this sleep began before us
                night.falls()
            self._calls.listen()
        finally:
            self._calls.unregister()
            punctual()
            night.relay.call(_fail, ended, OSError("IOKit closed its port for power events"))

    def _began(self, ended: asyncio.Future[None]) -> None:
        self.live = not ended.done()

    def _stop(self, thread: threading.Thread) -> None:
        for _ in range(_STOP_STEPS):
            self._calls.stop()
            thread.join(_STOP_STEP)
            if not thread.is_alive():
                return
        log.warning("os events: the thread for power events does not end")


def _fail(ended: asyncio.Future[None], error: OSError) -> None:
    if not ended.done():
        ended.set_exception(error)


class _SleepCycle:
    """From messages to events, on the thread that listens. It knows whether a sleep is announced, and who waits."""

    def __init__(self, calls: PowerCalls, relay: ThreadRelay, limit: float) -> None:
        self.relay = relay
        self._calls = calls
        self._limit = limit
        self._hold: SleepHold | None = None
        self._asleep = False

    def heard(self, message: int, argument: int) -> None:
        """What IOKit says. A message that wants an answer gets one, whatever else goes wrong."""
        if message == CAN_SLEEP:
            self._calls.allow(argument)  # what an idle machine may do is not ours to say
        elif message == WILL_SLEEP:
            self.falls(argument)
        elif message == HAS_POWERED_ON or (message == WILL_NOT_SLEEP and self._asleep):
            self._asleep = False
            self.relay.post(WakeDetected())

    def falls(self, argument: int | None = None) -> None:
        """Asleep as far as people are concerned; with an argument IOKit waits for the answer to it."""
        self._asleep = True
        if argument is None:
            self.relay.post(SleepImminent())
            return
        # Kept before the post: whoever ends meanwhile must find it.
        self._hold = hold = SleepHold(lambda: self._calls.allow(argument), self._limit)
        if not self.relay.post(SleepImminent(hold.release)):
            hold.release()

    def end(self) -> bool:
        """From the loop: nothing is held up any more. Whether a sleep was announced that nobody called over."""
        self.relay.end()
        if self._hold is not None:
            self._hold.release()
        return self._asleep
