"""The calls of Windows behind `windows.py`: iphlpapi and powrprof through ctypes, and nothing decided.

Each watch returns the function that ends it. Windows keeps only the address of a callback, so that function keeps the
callback itself alive, and lets go of it after Windows has. Signatures: <netioapi.h>, <powerbase.h>, <powrprof.h>.
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


class Calls(Protocol):
    """What the two sources need. Callbacks come on threads of Windows; a cancel must never be called from one of them."""

    def watch_addresses(self, heard: Callable[[], None]) -> Cancel:
        """`heard` at each change of a unicast address. Raises `OSError`."""
        ...

    def watch_routes(self, heard: Callable[[], None]) -> Cancel:
        """`heard` at each change of a route. Raises `OSError`."""
        ...

    def watch_power(self, heard: Callable[[int], None]) -> Cancel:
        """`heard` with a PBT_ code; a suspend goes on when it returns. Raises `OSError`."""
        ...


@dataclass(frozen=True, slots=True)
class WindowsLibraries:
    """The two libraries, and what makes a callback of the system's calling convention."""

    iphlpapi: Any
    powrprof: Any
    callback: Callable[..., Any]


def system() -> Calls:
    """The real ones. Raises `OSError` elsewhere than on Windows (8 or later)."""
    if sys.platform != "win32":
        raise OSError("iphlpapi and powrprof are Microsoft's")
    # Only from the system's own directory: a library of that name beside a script must not be taken.
    search = 0x00000800  # <libloaderapi.h>: LOAD_LIBRARY_SEARCH_SYSTEM32
    iphlpapi = ctypes.WinDLL("iphlpapi.dll", winmode=search)
    powrprof = ctypes.WinDLL("powrprof.dll", winmode=search)
    try:
        return Windows(WindowsLibraries(iphlpapi, powrprof, ctypes.WINFUNCTYPE))
    except AttributeError as missing:
        raise OSError(f"this Windows lacks a call for its notifications: {missing}") from missing


class SubscribeParameters(ctypes.Structure):
    """DEVICE_NOTIFY_SUBSCRIBE_PARAMETERS of <powrprof.h>: {PDEVICE_NOTIFY_CALLBACK_ROUTINE Callback; PVOID Context}."""

    _fields_ = (("callback", ctypes.c_void_p), ("context", ctypes.c_void_p))


class Windows:
    """`Calls` over the libraries. HANDLE and PVOID are pointers, ULONG and DWORD 32 bits, BOOLEAN one byte."""

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

    def watch_addresses(self, heard: Callable[[], None]) -> Cancel:
        """See `Calls`."""
        return self._watch("NotifyUnicastIpAddressChange", self._addresses, heard)

    def watch_routes(self, heard: Callable[[], None]) -> Cancel:
        """See `Calls`."""
        return self._watch("NotifyRouteChange2", self._routes, heard)

    def watch_power(self, heard: Callable[[int], None]) -> Cancel:
        """See `Calls`."""

        def powered(_context: int | None, kind: int, _setting: int | None) -> int:
            heard(kind)
            return _NO_ERROR

        callback = self._powered(powered)
        parameters = SubscribeParameters(ctypes.cast(callback, ctypes.c_void_p), None)
        handle = ctypes.c_void_p()
        said = self._power(_DEVICE_NOTIFY_CALLBACK, ctypes.addressof(parameters), ctypes.byref(handle))
        _check("PowerRegisterSuspendResumeNotification", said)
        return _ending(self._cancel_power, handle, callback, parameters)

    def _watch(self, name: str, register: Any, heard: Callable[[], None]) -> Cancel:
        def changed(_context: int | None, _row: int | None, _kind: int) -> None:
            heard()

        callback = self._changed(changed)
        handle = ctypes.c_void_p()
        _check(name, register(_AF_UNSPEC, callback, None, False, ctypes.byref(handle)))
        return _ending(self._cancel_change, handle, callback)


def _ending(cancel: Any, handle: ctypes.c_void_p, *kept: object) -> Cancel:
    """Cancels once. Both cancelling calls wait for a callback that is running, so `kept` is free to go afterwards."""
    holding: list[object] = list(kept)

    def end() -> None:
        if not holding:
            return
        said = cancel(handle)
        if said == _NO_ERROR:
            holding.clear()
        else:  # then Windows may call still: better to keep a callback for ever than to lose it too early
            log.warning("os events: Windows did not end a notification (error %d)", said)
            _KEPT.append(tuple(holding))
            holding.clear()

    return end


_KEPT: list[object] = []  # callbacks whose notification could not be ended


def _check(name: str, said: int) -> None:
    if said != _NO_ERROR:
        raise OSError(f"{name} was refused (error {said})")


def _typed(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function
