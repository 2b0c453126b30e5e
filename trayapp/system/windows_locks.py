"""LockFileEx of kernel32 through ctypes: a lock on one byte of an open file, which ends with the file or the process.

The C library's own function says nothing about why it fails where it stands in for Microsoft's. Signatures: <fileapi.h>.
"""

from __future__ import annotations

import ctypes
import errno
import sys

_AT_ONCE, _EXCLUSIVE = 0x1, 0x2  # LOCKFILE_FAIL_IMMEDIATELY, LOCKFILE_EXCLUSIVE_LOCK
_HELD = frozenset({33, 997})  # ERROR_LOCK_VIOLATION, ERROR_IO_PENDING


class _Overlapped(ctypes.Structure):
    """OVERLAPPED: the offset is in it."""

    _fields_ = (
        ("internal", ctypes.c_void_p),
        ("internal_high", ctypes.c_void_p),
        ("offset", ctypes.c_uint32),
        ("offset_high", ctypes.c_uint32),
        ("event", ctypes.c_void_p),
    )


def lock_byte(descriptor: int, offset: int, *, shared: bool = False) -> None:
    """Lock the byte, which needn't exist. Raises `BlockingIOError` if somebody holds it, or another `OSError`."""
    if sys.platform != "win32":
        raise OSError("kernel32 is Microsoft's")
    import msvcrt

    kernel = ctypes.WinDLL("kernel32.dll", winmode=0x00000800, use_last_error=True)  # LOAD_LIBRARY_SEARCH_SYSTEM32
    call, dword = kernel.LockFileEx, ctypes.c_uint32
    call.restype = ctypes.c_int
    call.argtypes = [ctypes.c_void_p, dword, dword, dword, dword, ctypes.POINTER(_Overlapped)]
    place = _Overlapped(offset=offset)
    flags = _AT_ONCE | (0 if shared else _EXCLUSIVE)
    if not call(msvcrt.get_osfhandle(descriptor), flags, 0, 1, 0, ctypes.byref(place)):
        code = ctypes.get_last_error()
        if code in _HELD:
            raise BlockingIOError(errno.EAGAIN, "another process holds the lock")
        raise ctypes.WinError(code)
