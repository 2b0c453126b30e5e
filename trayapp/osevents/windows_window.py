"""A hidden window through user32, for what Windows tells only to windows: a thread of its own with its message loop.

The window is a top-level one, because messages to all windows don't reach others. Nothing is judged here. Signatures:
<winuser.h>, <libloaderapi.h>.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

TITLE = "Amberlight events"
WM_DESTROY, WM_CLOSE, WM_QUERYENDSESSION, WM_ENDSESSION = 0x02, 0x10, 0x11, 0x16
WM_TIMECHANGE, WM_POWERBROADCAST = 0x1E, 0x218
END_LIMIT = 5.0  # s until the thread has ended; it has nothing to do but to destroy its window

OnMessage: TypeAlias = Callable[[int, int], None]  # with the message and its wParam; the sender waits for its return
_numbers = itertools.count(1)


class WindowCalls(Protocol):
    """What the source calls. Messages come on a thread of Windows; the function that it returns must not be called there."""

    def watch(self, on_message: OnMessage) -> Callable[[], None]:
        """Open the window and call `on_message` with each message until the returned function is called. Raises `OSError`."""
        ...


@dataclass(frozen=True, slots=True)
class WindowLibraries:
    """The two libraries, and the factory of callbacks in the system's calling convention."""

    user32: Any
    kernel32: Any
    callback: Callable[..., Any]


def load_window_calls() -> WindowCalls:
    """The system's own calls. Raises `OSError` except on Windows."""
    if sys.platform != "win32":
        raise OSError("user32 is Microsoft's")
    search = 0x00000800  # LOAD_LIBRARY_SEARCH_SYSTEM32: not a library of that name beside a script
    return Windows(
        WindowLibraries(
            ctypes.WinDLL("user32.dll", winmode=search),
            ctypes.WinDLL("kernel32.dll", winmode=search),
            ctypes.WINFUNCTYPE,
        )
    )


_POINTER, _UINT, _INT, _TEXT, _SIZE = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_wchar_p, ctypes.c_ssize_t


class WindowClass(ctypes.Structure):
    """WNDCLASSW."""

    _fields_ = (
        ("style", _UINT),
        ("procedure", _POINTER),
        ("class_extra", _INT),
        ("window_extra", _INT),
        ("instance", _POINTER),
        ("icon", _POINTER),
        ("cursor", _POINTER),
        ("background", _POINTER),
        ("menu", _TEXT),
        ("name", _TEXT),
    )


class Message(ctypes.Structure):
    """MSG, which only Windows reads; 48 bytes, on 64 bits."""

    _fields_ = (("window", _POINTER), ("kind", _UINT), ("rest", ctypes.c_byte * 64))


class Windows:
    """`WindowCalls` over the libraries. WPARAM, LPARAM and LRESULT are of the size of a pointer."""

    def __init__(self, libraries: WindowLibraries) -> None:
        user, message = libraries.user32, ctypes.POINTER(Message)
        self._procedure = libraries.callback(_SIZE, _POINTER, _UINT, ctypes.c_size_t, _SIZE)
        self._module = _typed(libraries.kernel32, "GetModuleHandleW", _POINTER, _TEXT)
        self._register = _typed(user, "RegisterClassW", ctypes.c_uint16, ctypes.POINTER(WindowClass))
        self._unregister = _typed(user, "UnregisterClassW", _INT, _TEXT, _POINTER)
        self._create = _typed(
            user, "CreateWindowExW", _POINTER, _UINT, _TEXT, _TEXT, _UINT, *(_INT,) * 4, *(_POINTER,) * 4
        )
        self._default = _typed(user, "DefWindowProcW", _SIZE, _POINTER, _UINT, ctypes.c_size_t, _SIZE)
        self._get = _typed(user, "GetMessageW", _INT, message, _POINTER, _UINT, _UINT)
        self._dispatch = _typed(user, "DispatchMessageW", _SIZE, message)
        self._post = _typed(user, "PostMessageW", _INT, _POINTER, _UINT, ctypes.c_size_t, _SIZE)
        self._quit = _typed(user, "PostQuitMessage", None, _INT)

    def watch(self, on_message: OnMessage) -> Callable[[], None]:
        """See `WindowCalls`."""
        opened: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        thread = threading.Thread(target=self._run, args=(on_message, opened), name="messages of Windows", daemon=True)
        thread.start()
        window = opened.get()
        if window is None:
            thread.join(END_LIMIT)
            raise OSError("Windows opened no window")

        def end() -> None:
            if thread.is_alive():
                self._post(window, WM_CLOSE, 0, 0)
                thread.join(END_LIMIT)

        return end

    def _run(self, on_message: OnMessage, opened: queue.SimpleQueue[int | None]) -> None:
        def procedure(window: int | None, kind: int, wparam: int, lparam: int) -> int:
            if kind == WM_DESTROY:
                self._quit(0)
            elif kind in (WM_ENDSESSION, WM_TIMECHANGE, WM_POWERBROADCAST):
                with contextlib.suppress(Exception):  # a callback of C has nowhere to raise to
                    on_message(kind, wparam)
            # What WM_QUERYENDSESSION and a suspend ask is allowed by the default.
            return int(self._default(window, kind, wparam, lparam))

        callback, instance = self._procedure(procedure), self._module(None)
        name = f"{TITLE} {next(_numbers)}"
        made = WindowClass(procedure=ctypes.cast(callback, _POINTER), instance=instance, name=name)
        window = None
        if self._register(ctypes.byref(made)):
            window = self._create(0, name, TITLE, 0, 0, 0, 0, 0, None, None, instance, None)
        opened.put(window)
        if window:
            message = Message()
            while self._get(ctypes.byref(message), None, 0, 0) > 0:
                self._dispatch(ctypes.byref(message))
        self._unregister(name, instance)


def _typed(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function
