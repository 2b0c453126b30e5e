"""iphlpapi and powrprof through ctypes: the notification calls behind `windows.py`, without any judgement.

Each watch returns the function that cancels it. Windows holds only the address of a callback, so that function keeps the
callback alive, and drops it after Windows has. Signatures: <netioapi.h>, <powerbase.h>, <powrprof.h>.
"""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

log = logging.getLogger(__name__)

Cancel: TypeAlias = Callable[[], None]

_AF_UNSPEC = 0  # <ws2def.h>: IPv4 and IPv6
_DEVICE_NOTIFY_CALLBACK = 2  # <powrprof.h>; the other values mean a window or a service
_NO_ERROR = 0  # <winerror.h>


class NotificationCalls(Protocol):
    """What the two sources call. Callbacks come on threads of Windows; a cancel must never be called from one of them."""

    def watch_addresses(self, notify: Callable[[], None]) -> Cancel:
        """Call `notify` at each change of a unicast address. Raises `OSError`."""
        ...

    def watch_routes(self, notify: Callable[[], None]) -> Cancel:
        """Call `notify` at each change of a route. Raises `OSError`."""
        ...

    def watch_power(self, notify: Callable[[int], None]) -> Cancel:
        """Call `notify` with each PBT_ code; a suspend proceeds when it returns. Raises `OSError`."""
        ...


@dataclass(frozen=True, slots=True)
class WindowsLibraries:
    """The two libraries, and the factory of callbacks in the system's calling convention."""

    iphlpapi: Any
    powrprof: Any
    callback: Callable[..., Any]


def load_windows() -> NotificationCalls:
    """The system's own calls. Raises `OSError` except on Windows (8 or later)."""
    if sys.platform != "win32":
        raise OSError("iphlpapi and powrprof are Microsoft's")
    # Only from the system's own directory: a library of that name beside a script must not be loaded.
    search = 0x00000800  # <libloaderapi.h>: LOAD_LIBRARY_SEARCH_SYSTEM32
    iphlpapi = ctypes.WinDLL("iphlpapi.dll", winmode=search)
    powrprof = ctypes.WinDLL("powrprof.dll", winmode=search)
    return WindowsApi(WindowsLibraries(iphlpapi, powrprof, ctypes.WINFUNCTYPE))


class SubscribeParameters(ctypes.Structure):
    """DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS of <powrprof.h>: {PDEVICE_NOTIFY_CALLBACK_ROUTINE Callback; PVOID Context}."""

    _fields_ = (("callback", ctypes.c_void_p), ("context", ctypes.c_void_p))


class WindowsApi:
    """`NotificationCalls` over the libraries. HANDLE and PVOID are pointers, ULONG and DWORD 32 bits, BOOLEAN one byte."""

    def __init__(self, libraries: WindowsLibraries) -> None:
        ip, power = libraries.iphlpapi, libraries.powrprof
        pointer, ulong = ctypes.c_void_p, ctypes.c_uint32
        # VOID (PVOID CallerContext, PMIB_…_ROW Row, MIB_NOTIFICATION_TYPE NotificationType), for both alike
        self._changed = libraries.callback(None, pointer, pointer, ctypes.c_int)
        # ULONG DEVICE_NOTIFY_CALLBACK_ROUTINE(PVOID Context, ULONG Type, PVOID Setting)
        self._powered = libraries.callback(ulong, pointer, ulong, pointer)

        change = (ctypes.c_uint16, self._changed, pointer, ctypes.c_ubyte, ctypes.POINTER(pointer))
        self._addresses = _typed(ip, "NotifyUnicastIpAddressChange", ulong, *change)
        self._routes = _typed(ip, "NotifyRouteChange2", ulong, *change)
        self._cancel_change = _typed(ip, "CancelMibChangeNotify2", ulong, pointer)
        self._power = _typed(
            power, "PowerRegisterSuspendResumeNotification", ulong, ulong, pointer, ctypes.POINTER(pointer)
        )
        self._cancel_power = _typed(power, "PowerUnregisterSuspendResumeNotification", ulong, pointer)

    def watch_addresses(self, notify: Callable[[], None]) -> Cancel:
        """See `NotificationCalls`."""
        return self._watch("NotifyUnicastIpAddressChange", self._addresses, notify)

    def watch_routes(self, notify: Callable[[], None]) -> Cancel:
        """See `NotificationCalls`."""
        return self._watch("NotifyRouteChange2", self._routes, notify)

    def watch_power(self, notify: Callable[[int], None]) -> Cancel:
        """See `NotificationCalls`."""

        def power_callback(_context: int | None, kind: int, _setting: int | None) -> int:
            notify(kind)
            return _NO_ERROR

        callback = self._powered(power_callback)
        parameters = SubscribeParameters(ctypes.cast(callback, ctypes.c_void_p), None)
        handle = ctypes.c_void_p()
        code = self._power(_DEVICE_NOTIFY_CALLBACK, ctypes.addressof(parameters), ctypes.byref(handle))
        _check("PowerRegisterSuspendResumeNotification", code)
        return _canceller(self._cancel_power, handle, callback, parameters)

    def _watch(self, name: str, register: Any, notify: Callable[[], None]) -> Cancel:
        def change_callback(_context: int | None, _row: int | None, _kind: int) -> None:
            notify()

        callback = self._changed(change_callback)
        handle = ctypes.c_void_p()
        _check(name, register(_AF_UNSPEC, callback, None, False, ctypes.byref(handle)))
        return _canceller(self._cancel_change, handle, callback)


def _canceller(cancel: Any, handle: ctypes.c_void_p, *references: object) -> Cancel:
    """A function that cancels once. Both cancelling calls wait for a running callback, so `references` may go after."""
    held: list[object] = list(references)

    def end() -> None:
        if not held:
            return
        code = cancel(handle)
        if code == _NO_ERROR:
            held.clear()
        else:  # Windows may still call it: leaking the callback is better than freeing it too early
            log.warning("os events: Windows did not end a notification (error %d)", code)
            _LEAKED_CALLBACKS.append(tuple(held))
            held.clear()

    return end


_LEAKED_CALLBACKS: list[object] = []  # callbacks whose notification could not be ended


def _check(name: str, code: int) -> None:
    if code != _NO_ERROR:
        raise OSError(f"{name} was refused (error {code})")


def _typed(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name, None)
    if function is None:
        return _missing(name)
    function.restype, function.argtypes = result, list(arguments)
    return function


def _missing(name: str) -> Any:
    """In the place of a call that this Windows, or what stands in for it, doesn't have: the others work without it."""

    def call(*_: Any) -> Any:
        raise OSError(f"this Windows has no {name}")

    return call
