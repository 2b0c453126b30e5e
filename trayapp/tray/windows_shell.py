"""Windows' calls for the tray icon, beyond pystray's window. They decide nothing.

`Shell` is what `native_windows.py` uses; `WindowsShell` makes the calls, through the structures that pystray has.
Signatures: <shellapi.h>, <winuser.h>, <shellscalingapi.h>.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import time
from ctypes import wintypes
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

NIM_ADD, NIM_MODIFY, NIM_SETFOCUS, NIM_SETVERSION = 0, 1, 3, 4
NIF_MESSAGE, NIF_ICON, NIF_TIP, NIF_SHOWTIP = 0x01, 0x02, 0x04, 0x80
VERSION_4 = 4  # NOTIFYICON_VERSION_4: keyboard and places of clicks

_TIMER = 1
_SM_CXSMICON, _SM_MENUDROPALIGNMENT = 49, 40
_TPM_RIGHTBUTTON, _TPM_RIGHTALIGN, _TPM_BOTTOMALIGN, _TPM_RETURNCMD = 0x02, 0x08, 0x20, 0x100
_VK_ESCAPE = 0x1B
_PRIMARY = 1  # MONITOR_DEFAULTTOPRIMARY: the notification area is there
_PER_MONITOR_V2 = -4  # DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2
_ICON_FORMAT = 0x00030000  # the only version of icons that CreateIconFromResourceEx knows


class Shell(Protocol):
    """The calls. Only the thread of the icon's window makes them, but for `post`."""

    def own_pixels(self) -> None:
        """Have the windows of this thread drawn in the pixels of their monitor, not scaled by Windows."""
        ...

    def post(self, window: int, message: int) -> object:
        """Post a message to a window. From any thread."""
        ...

    def tell(self, code: int, window: int, flags: int, **fields: Any) -> bool:
        """Shell_NotifyIcon about the icon of this window. False: the notification area didn't take it."""
        ...

    def icon_side(self) -> int:
        """The side of an icon in the notification area, in pixels."""
        ...

    def make_icon(self, image: Image) -> Any:
        """The handle of an icon. Raises OSError."""
        ...

    def destroy_icon(self, handle: Any) -> None:
        """Free the handle of an icon."""
        ...

    def cursor(self) -> tuple[int, int]:
        """Where the mouse is."""
        ...

    def track_menu(self, menu: Any, window: int, x: int, y: int) -> tuple[int, bool]:
        """Show the menu until it is closed: the number of the chosen item, 0 for none, and whether Escape closed it."""
        ...

    def end_menu(self) -> None:
        """Close the open menu; `track_menu` returns as if nothing was chosen."""
        ...

    def default(self, window: int, message: int, wparam: int, lparam: int) -> int:
        """Windows' own answer to a message."""
        ...

    def set_timer(self, window: int, seconds: float) -> None:
        """Send the window WM_TIMER every so many seconds, until `stop_timer`."""
        ...

    def stop_timer(self, window: int) -> None:
        """End it; does nothing if there is none."""
        ...

    def double_click(self) -> float:
        """Within so many seconds, two clicks are one double click."""
        ...

    def now(self) -> float:
        """Seconds of a monotonic clock."""
        ...


def icon_resource(image: Image) -> bytes:
    """An RGBA image as an icon resource: a device-independent bitmap, from below, with its mask beneath it.

    The header counts both. Where the mask is set, nothing is drawn, for whoever doesn't look at the alpha channel.
    """
    width, height = image.size
    row = -(-width // 32) * 4  # a row of the mask, a bit for each pixel, fills whole words
    colours = image.tobytes("raw", "BGRA", 0, -1)
    clear = image.getchannel("A").point(lambda alpha: 255 * (alpha == 0)).convert("1").tobytes()
    step = len(clear) // height
    mask = b"".join(clear[y * step : (y + 1) * step].ljust(row, b"\0") for y in reversed(range(height)))
    header = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 32, 0, len(colours) + len(mask), 0, 0, 0, 0)
    return header + colours + mask


def load_shell(win32: Any) -> Shell:
    """The system's own calls; `win32` is pystray's module of them. Raises OSError except on Windows."""
    if sys.platform != "win32":
        raise OSError("user32 is Microsoft's")
    search = 0x00000800  # LOAD_LIBRARY_SEARCH_SYSTEM32: not a library of that name beside a script
    user, screens = (ctypes.WinDLL(name, winmode=search) for name in ("user32.dll", "shcore.dll"))
    return WindowsShell(win32, user, screens)


class WindowsShell:
    """`Shell` over the libraries, of Windows 10 (version 1809) or newer."""

    def __init__(self, win32: Any, user: Any, screens: Any) -> None:
        self._win32 = win32
        pointer, uint, number = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
        size, signed = ctypes.c_size_t, ctypes.c_ssize_t
        self._context = _typed(user, "SetThreadDpiAwarenessContext", pointer, pointer)
        self._metric = _typed(user, "GetSystemMetrics", number, number)
        self._metric_for = _typed(user, "GetSystemMetricsForDpi", number, number, uint)
        self._system_dpi = _typed(user, "GetDpiForSystem", uint)
        self._monitor = _typed(user, "MonitorFromPoint", pointer, wintypes.POINT, uint)
        self._dpi = _typed(
            screens, "GetDpiForMonitor", number, pointer, number, ctypes.POINTER(uint), ctypes.POINTER(uint)
        )
        self._icon = _typed(
            user, "CreateIconFromResourceEx", pointer, ctypes.c_char_p, uint, number, uint, number, number, uint
        )
        self._destroy = _typed(user, "DestroyIcon", number, pointer)
        self._end_menu = _typed(user, "EndMenu", number)
        self._key = _typed(user, "GetKeyState", ctypes.c_short, number)
        self._default = _typed(user, "DefWindowProcW", signed, pointer, uint, size, signed)
        self._timer = _typed(user, "SetTimer", size, pointer, size, uint, pointer)
        self._kill_timer = _typed(user, "KillTimer", number, pointer, size)
        self._double_click = _typed(user, "GetDoubleClickTime", uint)

    def own_pixels(self) -> None:
        """See `Shell`. An embedded manifest could say it too, but not for a program that python.exe runs."""
        self._context(_PER_MONITOR_V2)

    def post(self, window: int, message: int) -> object:
        """See `Shell`."""
        return self._win32.PostMessage(window, message, 0, 0)

    def tell(self, code: int, window: int, flags: int, **fields: Any) -> bool:
        """See `Shell`."""
        kind = self._win32.NOTIFYICONDATAW
        data = kind(cbSize=ctypes.sizeof(kind), hWnd=window, uFlags=flags, **fields)
        return bool(self._win32.Shell_NotifyIcon(code, data))

    def icon_side(self) -> int:
        """See `Shell`."""
        across, down = ctypes.c_uint32(), ctypes.c_uint32()
        failed = self._dpi(self._monitor(wintypes.POINT(0, 0), _PRIMARY), 0, ctypes.byref(across), ctypes.byref(down))
        return int(self._metric_for(_SM_CXSMICON, self._system_dpi() if failed else across.value))

    def make_icon(self, image: Image) -> Any:
        """See `Shell`."""
        resource, side = icon_resource(image), image.width
        handle = self._icon(resource, len(resource), True, _ICON_FORMAT, side, side, 0)
        if not handle:
            raise OSError("Windows made no icon")
        return handle

    def destroy_icon(self, handle: Any) -> None:
        """See `Shell`."""
        self._destroy(handle)

    def cursor(self) -> tuple[int, int]:
        """See `Shell`."""
        point = wintypes.POINT()
        self._win32.GetCursorPos(ctypes.byref(point))
        return point.x, point.y

    def track_menu(self, menu: Any, window: int, x: int, y: int) -> tuple[int, bool]:
        """See `Shell`. A click elsewhere closes the menu only of a window in front, and after an empty message."""
        self._win32.SetForegroundWindow(window)
        side = _TPM_RIGHTALIGN if self._metric(_SM_MENUDROPALIGNMENT) else 0
        flags = _TPM_RETURNCMD | _TPM_RIGHTBUTTON | _TPM_BOTTOMALIGN | side
        chosen = int(self._win32.TrackPopupMenuEx(menu, flags, x, y, window, None))
        escaped = not chosen and self._key(_VK_ESCAPE) < 0
        self.post(window, 0)
        return chosen, escaped

    def end_menu(self) -> None:
        """See `Shell`."""
        self._end_menu()

    def default(self, window: int, message: int, wparam: int, lparam: int) -> int:
        """See `Shell`."""
        return int(self._default(window, message, wparam, lparam))

    def set_timer(self, window: int, seconds: float) -> None:
        """See `Shell`."""
        self._timer(window, _TIMER, int(seconds * 1000), None)

    def stop_timer(self, window: int) -> None:
        """See `Shell`."""
        self._kill_timer(window, _TIMER)

    def double_click(self) -> float:
        """See `Shell`."""
        return int(self._double_click()) / 1000

    def now(self) -> float:
        """See `Shell`."""
        return time.monotonic()


def _typed(library: Any, name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function
