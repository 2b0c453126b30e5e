"""The console of Windows: Ctrl-C, Ctrl-Break, the closed window, and the end of the session, told on a thread of Windows.

Python's own handlers run in the main thread only, and not while that waits for a window's messages, as it does with the
icon. Signatures: <consoleapi.h>.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

CTRL_C, CTRL_BREAK, CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN = 0, 1, 2, 5, 6
ENDING = frozenset({CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN})  # the process ends as soon as the handler returns
HOLD_LIMIT = 4.5  # s; Windows ends it after 5 in any case


class ConsoleEvents:
    """Calls `quit_` at each event, and delays an end of the process until `ended`."""

    def __init__(self, quit_: Callable[[], None], hold_limit: float = HOLD_LIMIT) -> None:
        self._quit = quit_
        self._hold_limit = hold_limit
        self._ended = threading.Event()

    def on_event(self, kind: int) -> bool:
        """Handle an event; whether it was one of ours."""
        if kind not in (CTRL_C, CTRL_BREAK, *ENDING):
            return False
        self._quit()
        if kind in ENDING:
            self._ended.wait(self._hold_limit)
        return True

    def ended(self) -> None:
        """Everything is stored: the process may end."""
        self._ended.set()


@contextlib.contextmanager
def console_events(quit_: Callable[[], None], library: Any = None) -> Iterator[None]:
    """Have `quit_` called at each event of the console, from a thread of Windows."""
    if library is None:
        library = _kernel32()
    events = ConsoleEvents(quit_)
    handler = _callback(ctypes.c_int, ctypes.c_uint32)(events.on_event)  # kept alive by this frame
    register = library.SetConsoleCtrlHandler
    register.restype, register.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]
    address = ctypes.cast(handler, ctypes.c_void_p)
    register(address, True)  # it fails only without memory
    try:
        yield
    finally:
        events.ended()
        register(address, False)


def _callback(*types: Any) -> Any:
    """A factory of callbacks in the system's calling convention."""
    if sys.platform == "win32":
        return ctypes.WINFUNCTYPE(*types)
    return ctypes.CFUNCTYPE(*types)


def _kernel32() -> Any:
    if sys.platform != "win32":
        raise OSError("kernel32 is Microsoft's")
    return ctypes.WinDLL("kernel32.dll", winmode=0x00000800)  # LOAD_LIBRARY_SEARCH_SYSTEM32
