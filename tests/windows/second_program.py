"""Another Windows program in Wine: it finds the icon's windows and sends them what Windows sends.

A line of input is a command and its numbers; the line of output is the answer.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import wintypes
from typing import Any

WM_QUERYENDSESSION, WM_CONTEXTMENU = 0x11, 0x7B
WM_NOTIFY = 0x400 + 11  # pystray's message of the icon
NIM_DELETE = 2
HWND_BROADCAST = 0xFFFF
SMTO_ABORTIFHUNG = 2


class Sender:
    """The calls, and the icon's windows."""

    def __init__(self) -> None:
        from pystray._util import win32

        self._win32: Any = win32
        self._user: Any = win32.windll.user32
        self._send = self._user.SendMessageTimeoutW
        self._send.argtypes = (
            wintypes.HWND,
            wintypes.UINT,
            wintypes.WPARAM,
            wintypes.LPARAM,
            wintypes.UINT,
            wintypes.UINT,
            ctypes.POINTER(ctypes.c_size_t),
        )

    def windows(self) -> list[int]:
        """The icon's window, and that of its menu, which is of the same class and takes no notice of these messages."""
        found: list[int] = []
        procedure: Any = vars(ctypes)["WINFUNCTYPE"](wintypes.BOOL, wintypes.HWND, wintypes.LPARAM)

        def see(window: int, _: int) -> bool:
            name = ctypes.create_unicode_buffer(256)
            self._user.GetClassNameW(wintypes.HWND(window), name, 256)
            if name.value.endswith("SystemTrayIcon"):
                found.append(window)
            return True

        self._user.EnumWindows(procedure(see), 0)
        return found

    def send(self, window: int, message: int, wparam: int = 0, lparam: int = 0) -> int:
        """Send a message and wait for the answer; -1 if none comes."""
        answer = ctypes.c_size_t()
        sent = self._send(window, message, wparam, lparam, SMTO_ABORTIFHUNG, 5000, ctypes.byref(answer))
        return answer.value & 0xFFFFFFFF if sent else -1

    def taskbar_created(self) -> int:
        """What a new Explorer tells all windows."""
        return self.send(HWND_BROADCAST, self._win32.WM_TASKBARCREATED)

    def lose_icon(self) -> int:
        """Take the icon out of the notification area, as the end of Explorer does."""
        kind = self._win32.NOTIFYICONDATAW
        lost = [kind(cbSize=ctypes.sizeof(kind), hWnd=window) for window in self.windows()]
        return sum(self._win32.Shell_NotifyIcon(NIM_DELETE, data) for data in lost)

    def may_end(self) -> int:
        """Whether the session may end."""
        return min(self.send(window, WM_QUERYENDSESSION) for window in self.windows())

    def context_menu(self, x: int, y: int) -> int:
        """The menu key, while the keyboard is on the icon at this place."""
        place = y << 16 | x
        return sum(self._win32.PostMessage(window, WM_NOTIFY, place, WM_CONTEXTMENU) for window in self.windows())


def main() -> None:
    """Carry out the commands until the input ends."""
    sender = Sender()
    for line in sys.stdin:
        name, *numbers = line.split()
        sys.stdout.write(f"{getattr(sender, name)(*map(int, numbers))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
