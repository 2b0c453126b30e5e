"""Opening a file for reading on Windows so that others can rename, replace or delete it meanwhile, as elsewhere.

Python's own `open` prevents that for as long as the file is open. Signature: <fileapi.h>.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import time
from pathlib import Path
from typing import Any

from trayapp.system.replacing import IN_USE

_GENERIC_READ = 0x80000000
_SHARE = 1 | 2 | 4  # FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE
_OPEN_EXISTING = 3
_ACCESS_DENIED = 5  # also for the moment in which the file is being replaced
_SHARING_VIOLATION = 32
_NORMAL = 0x80  # FILE_ATTRIBUTE_NORMAL
TRIES, PAUSE = 10, 0.01  # s
_INVALID = ctypes.c_void_p(-1).value


def open_for_reading(path: Path) -> int:
    """A descriptor. Raises `OSError`."""
    if sys.platform != "win32":
        raise OSError("CreateFile is Microsoft's")
    import msvcrt

    handle, tries = _INVALID, TRIES
    while handle == _INVALID:
        handle = _create_file()(str(path), _GENERIC_READ, _SHARE, None, _OPEN_EXISTING, _NORMAL, None)
        if handle == _INVALID:
            code, tries = ctypes.get_last_error(), tries - 1
            if code != _ACCESS_DENIED or not tries:
                raise _error(path, code)
            time.sleep(PAUSE)
    return msvcrt.open_osfhandle(handle, os.O_RDONLY)  # and not in text mode, where Ctrl-Z would end the file


def _error(path: Path, code: int) -> OSError:
    """The error in the words of Python's own functions: Windows' are whole sentences, in the user's language."""
    error = OSError(0, "", str(path), code)  # this looks up the number that Python has for it
    error.strerror = IN_USE if code == _SHARING_VIOLATION else os.strerror(error.errno or 0)
    return error


@functools.cache
def _create_file() -> Any:
    if sys.platform != "win32":
        raise OSError("CreateFile is Microsoft's")
    # LOAD_LIBRARY_SEARCH_SYSTEM32: not a library of that name beside a script
    function = ctypes.WinDLL("kernel32.dll", winmode=0x00000800, use_last_error=True).CreateFileW
    word, pointer = ctypes.c_uint32, ctypes.c_void_p
    function.argtypes = [ctypes.c_wchar_p, word, word, pointer, word, word, pointer]
    function.restype = pointer
    return function
