"""IOKit and CoreFoundation through ctypes: the power-management calls behind `MacPower`, without any judgement.

Signatures and codes come from the public headers that each comment names. Nothing is loaded before `load_iokit`.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

# <IOKit/IOMessage.h>: iokit_common_msg(n) is 0xE0000000 | n
CAN_SLEEP = 0xE0000270  # kIOMessageCanSystemSleep: idle; a veto is possible, an answer is due
WILL_SLEEP = 0xE0000280  # kIOMessageSystemWillSleep: no veto, an answer is due within 30 s
WILL_NOT_SLEEP = 0xE0000290  # kIOMessageSystemWillNotSleep: another program's veto
HAS_POWERED_ON = 0xE0000300  # kIOMessageSystemHasPoweredOn: awake with its screen; never in DarkWake

# IOPMLibPrivate.h of Apple's published IOKitUser: IOPMCapabilityBits. IOPMIsADarkWake() there is "CPU and no video".
CPU, VIDEO = 0x1, 0x2

# NSProcessInfo.h: NSActivityUserInitiatedAllowingIdleSystemSleep: timers on time, the machine may sleep as it likes.
_ACTIVITY = 0x00FFFFFF & ~(1 << 20)

# <IOKit/IOKitLib.h>: IOServiceInterestCallback(refcon, io_service_t, uint32_t messageType, void *messageArgument)
INTEREST = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)


class PowerCalls(Protocol):
    """What `MacPower` calls. `register`, `listen` and `unregister` belong to one thread, the others to any."""

    def register(self, on_message: Callable[[int, int], None]) -> None:
        """Call `on_message(message, argument)` for every message, on the thread that runs `listen`. Raises `OSError`."""
        ...

    def listen(self) -> None:
        """Run the thread's loop until `stop`, or until the system closes the port."""
        ...

    def stop(self) -> None:
        """End `listen`. Has no effect before it has begun, so call it again."""
        ...

    def unregister(self) -> None:
        """End the messages; only after `register`."""
        ...

    def allow(self, argument: int) -> None:
        """Answer the message that came with this argument: the sleep may proceed."""
        ...

    def capabilities(self) -> int | None:
        """Bits of what is powered (`CPU`, `VIDEO`, …); None where the system has no such call."""
        ...

    def prevent_app_nap(self) -> Callable[[], None]:
        """Keep timers on time until the returned function is called."""
        ...


@dataclass(frozen=True, slots=True)
class IoKitLibraries:
    """The two frameworks, and `kCFRunLoopDefaultMode`, which is data of the second."""

    iokit: Any
    corefoundation: Any
    default_mode: Any


def load_iokit() -> PowerCalls:
    """The system's own calls. Raises `OSError` except on macOS."""
    if sys.platform != "darwin":
        raise OSError("IOKit is Apple's")
    # No find_library: these paths exist only in the dyld cache, so a search finds no file.
    iokit = ctypes.CDLL("/System/Library/Frameworks/IOKit.framework/IOKit")
    foundation = ctypes.CDLL("/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation")
    try:
        return IoKit(IoKitLibraries(iokit, foundation, ctypes.c_void_p.in_dll(foundation, "kCFRunLoopDefaultMode")))
    except (AttributeError, ValueError) as missing:
        raise OSError(f"this macOS lacks a call of its power management: {missing}") from missing


class IoKit:
    """`PowerCalls` over the libraries. Types: io_connect_t, io_object_t are uint32_t, references are pointers."""

    def __init__(self, libraries: IoKitLibraries) -> None:
        io, cf, self._mode = libraries.iokit, libraries.corefoundation, libraries.default_mode
        port, pointer = ctypes.c_uint32, ctypes.c_void_p
        # <IOKit/pwr_mgt/IOPMLib.h>
        self._register = _typed(
            io, "IORegisterForSystemPower", port, pointer, ctypes.POINTER(pointer), INTEREST, ctypes.POINTER(port)
        )
        self._deregister = _typed(io, "IODeregisterForSystemPower", ctypes.c_int, ctypes.POINTER(port))
        self._allow = _typed(io, "IOAllowPowerChange", ctypes.c_int, port, ctypes.c_ssize_t)
        # <IOKit/IOKitLib.h>
        self._run_loop_source = _typed(io, "IONotificationPortGetRunLoopSource", pointer, pointer)
        self._destroy = _typed(io, "IONotificationPortDestroy", None, pointer)
        self._close = _typed(io, "IOServiceClose", ctypes.c_int, port)
        # <CoreFoundation/CFRunLoop.h>
        self._current = _typed(cf, "CFRunLoopGetCurrent", pointer)
        self._add_source = _typed(cf, "CFRunLoopAddSource", None, pointer, pointer, pointer)
        self._run = _typed(cf, "CFRunLoopRun", None)
        self._stop = _typed(cf, "CFRunLoopStop", None, pointer)
        # Private but exported since 10.6, without arguments; it asks powerd, and reports everything as powered if that is away.
        self._capabilities = _optional(io, "IOPMConnectionGetSystemCapabilities", ctypes.c_uint32)

        # `stop` and `allow` come from other threads: neither may reach a run loop or a session that has gone.
        self._lock = threading.Lock()
        self._session = 0
        self._port = pointer()
        self._notifier = port()
        self._loop: int | None = None
        self._callback: object = None  # IOKit holds only its address; this reference keeps the function alive

    def register(self, on_message: Callable[[int, int], None]) -> None:
        """See `PowerCalls`."""

        def interest_callback(_refcon: int | None, _service: int, message: int, argument: int | None) -> None:
            on_message(message, argument or 0)

        self._callback = callback = INTEREST(interest_callback)
        self._session = self._register(None, ctypes.byref(self._port), callback, ctypes.byref(self._notifier))
        if not self._session:  # MACH_PORT_NULL
            self._callback = None
            raise OSError("IORegisterForSystemPower was refused")
        self._loop = self._current()
        self._add_source(self._loop, self._run_loop_source(self._port), self._mode)

    def listen(self) -> None:
        """See `PowerCalls`."""
        self._run()

    def stop(self) -> None:
        """See `PowerCalls`."""
        with self._lock:
            if self._loop is not None:
                self._stop(self._loop)

    def unregister(self) -> None:
        """See `PowerCalls`; in the order that IOPMLib.h asks for."""
        with self._lock:
            session, self._session, self._loop = self._session, 0, None
        self._deregister(ctypes.byref(self._notifier))
        self._destroy(self._port)
        self._close(session)
        self._callback = None

    def allow(self, argument: int) -> None:
        """See `PowerCalls`. Once the session is closed, the kernel no longer waits for us."""
        with self._lock:
            if self._session:
                self._allow(self._session, argument)

    def capabilities(self) -> int | None:
        """See `PowerCalls`."""
        return None if self._capabilities is None else int(self._capabilities())

    def prevent_app_nap(self) -> Callable[[], None]:
        """See `PowerCalls`. PyObjC comes with the tray; without it there is no application for App Nap to suspend."""
        try:
            from Foundation import NSProcessInfo
        except ImportError:
            return lambda: None
        information = NSProcessInfo.processInfo()
        token = information.beginActivityWithOptions_reason_(_ACTIVITY, "keeps logins fresh")
        return lambda: information.endActivity_(token)


def _typed(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


def _optional(library: Any, name: str, result: Any) -> Any:
    return _typed(library, name, result) if hasattr(library, name) else None
