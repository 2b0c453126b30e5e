"""kernel32 through ctypes: whether a process runs, and which programs do.

Signatures: <processthreadsapi.h>, <synchapi.h>, <tlhelp32.h>.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Iterator
from typing import Any

_SYNCHRONIZE = 0x100000
_RUNNING = 0x102  # WAIT_TIMEOUT: its handle isn't signalled yet
_DENIED = 5  # ERROR_ACCESS_DENIED: it is another user's
_PROCESSES = 2  # TH32CS_SNAPPROCESS


class _Entry(ctypes.Structure):
    """PROCESSENTRY32W."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("usage", ctypes.c_uint32),
        ("pid", ctypes.c_uint32),
        ("heap", ctypes.c_void_p),
        ("module", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("parent", ctypes.c_uint32),
        ("priority", ctypes.c_long),
        ("flags", ctypes.c_uint32),
        ("name", ctypes.c_wchar * 260),
    )


def exists(pid: int) -> bool:
    """Whether a process of this id runs. One that has ended stays known for as long as somebody has it open."""
    if not 0 < pid < 1 << 32:
        return False
    calls = _kernel()
    handle = calls.open(_SYNCHRONIZE, False, pid)
    if not handle:
        return _last_error() == _DENIED
    try:
        return bool(calls.wait(handle, 0) == _RUNNING)
    finally:
        calls.close(handle)


def names() -> set[str]:
    """The programs that run on this computer, for whomever, without `.exe`; empty if Windows doesn't say."""
    return set(by_id().values())


def by_id() -> dict[int, str]:
    """The same by process; empty if Windows doesn't say."""
    return {pid: name[:-4] if name.lower().endswith(".exe") else name for pid, name in _programs()}


def _programs() -> Iterator[tuple[int, str]]:
    calls = _kernel()
    snapshot = calls.snapshot(_PROCESSES, 0)
    if snapshot in (None, ctypes.c_void_p(-1).value):
        return
    entry = _Entry()
    entry.size = ctypes.sizeof(_Entry)
    try:
        more = calls.first(snapshot, ctypes.byref(entry))
        while more:
            yield entry.pid, entry.name
            more = calls.next(snapshot, ctypes.byref(entry))
    finally:
        calls.close(snapshot)


class _Kernel:
    """The calls with their types. HANDLE is a pointer, DWORD 32 bits, BOOL an int."""

    def __init__(self, library: Any) -> None:
        handle, dword, yes, entry = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.POINTER(_Entry)
        self.open = _typed(library, "OpenProcess", handle, dword, yes, dword)
        self.wait = _typed(library, "WaitForSingleObject", dword, handle, dword)
        self.close = _typed(library, "CloseHandle", yes, handle)
        self.snapshot = _typed(library, "CreateToolhelp32Snapshot", handle, dword, dword)
        self.first = _typed(library, "Process32FirstW", yes, handle, entry)
        self.next = _typed(library, "Process32NextW", yes, handle, entry)


@functools.cache
def _kernel() -> _Kernel:
    if sys.platform != "win32":
        raise OSError("kernel32 is Microsoft's")
    # LOAD_LIBRARY_SEARCH_SYSTEM32: not a library of that name beside a script
    return _Kernel(ctypes.WinDLL("kernel32.dll", winmode=0x00000800, use_last_error=True))


def _last_error() -> int:
    if sys.platform == "win32":
        return ctypes.get_last_error()
    return 0


def _typed(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function
