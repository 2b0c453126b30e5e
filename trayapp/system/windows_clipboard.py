"""Windows' clipboard through user32: text in any script, without another program and its code page.

It stays out of the clipboard's history and off other devices, because it may be the address of a sign-in. Signatures:
<winuser.h>, <winbase.h>.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

TEXT = 13  # CF_UNICODETEXT: UTF-16 with a final zero, and lines that end with CR and LF
PRIVATE = "ExcludeClipboardContentFromMonitorProcessing"  # a format whose presence is enough
TRIES, PAUSE = 20, 0.05  # s; another program may have it open, usually for milliseconds
MOVEABLE = 2  # GMEM_MOVEABLE


class ClipboardCalls(Protocol):
    """What is called. A clipboard that nobody's window owns takes no data, so there is a window."""

    def open(self) -> bool:
        """Open the clipboard for a window of this thread; False while another program has it open."""
        ...

    def put(self, kind: int, data: bytes) -> bool: ...

    def empty(self) -> bool: ...

    def format(self, name: str) -> int:
        """The number of a format with this name."""
        ...

    def close(self) -> None: ...


def copy(text: str, calls: ClipboardCalls | None = None, sleep: Callable[[float], object] = time.sleep) -> bool:
    """Whether the clipboard has the text now. Blocks for at most a second."""
    calls = calls or load_clipboard()
    lines = text.replace("\0", "").replace("\r\n", "\n").replace("\n", "\r\n")
    for attempt in range(TRIES):
        if attempt:
            sleep(PAUSE)
        if calls.open():
            break
    else:
        return False
    try:
        taken = calls.empty() and calls.put(TEXT, f"{lines}\0".encode("utf-16-le", "replace"))
        if taken:
            calls.put(calls.format(PRIVATE), b"\0")
        return taken
    finally:
        calls.close()


@dataclass(frozen=True, slots=True)
class ClipboardLibraries:
    """The two libraries."""

    user32: Any
    kernel32: Any


@functools.cache
def load_clipboard() -> ClipboardCalls:
    """The system's own calls. Raises `OSError` except on Windows."""
    if sys.platform != "win32":
        raise OSError("this clipboard is Microsoft's")
    search = 0x00000800  # LOAD_LIBRARY_SEARCH_SYSTEM32: not a library of that name beside a script
    return WindowsClipboard(
        ClipboardLibraries(ctypes.WinDLL("user32.dll", winmode=search), ctypes.WinDLL("kernel32.dll", winmode=search))
    )


class WindowsClipboard:
    """`ClipboardCalls` over the libraries. Handles are of the size of a pointer, BOOL is an int."""

    def __init__(self, libraries: ClipboardLibraries) -> None:
        user, kernel = libraries.user32, libraries.kernel32
        pointer, uint, text, yes = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_wchar_p, ctypes.c_int
        self._create = _typed(user, "CreateWindowExW", pointer, uint, text, text, uint, *(yes,) * 4, *(pointer,) * 4)
        self._destroy = _typed(user, "DestroyWindow", yes, pointer)
        self._open = _typed(user, "OpenClipboard", yes, pointer)
        self._empty = _typed(user, "EmptyClipboard", yes)
        self._set = _typed(user, "SetClipboardData", pointer, uint, pointer)
        self._format = _typed(user, "RegisterClipboardFormatW", uint, text)
        self._close = _typed(user, "CloseClipboard", yes)
        self._allocate = _typed(kernel, "GlobalAlloc", pointer, uint, ctypes.c_size_t)
        self._lock = _typed(kernel, "GlobalLock", pointer, pointer)
        self._unlock = _typed(kernel, "GlobalUnlock", yes, pointer)
        self._free = _typed(kernel, "GlobalFree", pointer, pointer)
        self._window: int | None = None

    def open(self) -> bool:
        """See `ClipboardCalls`."""
        message_only = ctypes.c_void_p(-3)  # HWND_MESSAGE
        window = self._create(0, "STATIC", None, 0, 0, 0, 0, 0, message_only, None, None, None)
        if not window:
            return False
        if self._open(window):
            self._window = window
            return True
        self._destroy(window)
        return False

    def empty(self) -> bool:
        """See `ClipboardCalls`."""
        return bool(self._empty())

    def put(self, kind: int, data: bytes) -> bool:
        """See `ClipboardCalls`. The memory is the clipboard's as soon as that has taken it."""
        memory = self._allocate(MOVEABLE, len(data))
        place = self._lock(memory) if memory else None
        if place:
            ctypes.memmove(place, data, len(data))
            self._unlock(memory)
            if self._set(kind, memory):
                return True
        if memory:
            self._free(memory)
        return False

    def format(self, name: str) -> int:
        """See `ClipboardCalls`."""
        return int(self._format(name))

    def close(self) -> None:
        """See `ClipboardCalls`."""
        self._close()
        self._destroy(self._window)
        self._window = None


def _typed(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function
