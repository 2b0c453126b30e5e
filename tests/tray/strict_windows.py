"""Strict fakes of Windows' shell and of pystray's backend there.

They have the shape of the real ones: the same handlers, a notification area that may be away, and a menu with a message
loop of its own. A call outside the window's thread fails, and so does one under an open menu.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from PIL import Image

from tests.tray.strict_pystray import RunningBackend, ScreenThread, StrictIcon, pystray, texts
from trayapp.tray import native_windows, windows_shell
from trayapp.tray.mailbox import ViewUpdate
from trayapp.tray.native_windows import WM_NOTIFY

WINDOW, MENU_WINDOW = 4711, 4712
WM_MOUSEMOVE, WM_QUERYENDSESSION, TASKBAR_CREATED = 0x200, 0x11, 0xC0DE


class Shell:
    """`windows_shell.Shell`, strict: who calls, what a notification area takes, and which handles live."""

    def __init__(self, screen: ScreenThread) -> None:
        self.screen = screen
        self.running = True  # Explorer
        self.version_4 = True  # whether this shell knows it
        self.icons: dict[int, dict[str, Any]] = {}
        self.handles: dict[int, Image.Image] = {}
        self.told: list[int] = []
        self.side = 16
        self.clock = 1000.0
        self.timer: float | None = None
        self.dispatch: Callable[[int, int, int], int]
        self.menu_at: tuple[int, int] | None = None
        self.choice: queue.Queue[int] = queue.Queue()  # a negative one is Escape
        self.own = False

    def own_pixels(self) -> None:
        self.own = True

    def post(self, window: int, message: int) -> None:
        assert window == WINDOW
        self.screen.call_after(self.dispatch, message, 0, 0)

    def tell(self, code: int, window: int, flags: int, **fields: Any) -> bool:
        self.screen.check()
        assert window == WINDOW
        self.told.append(code)
        if len(fields.get("szTip", "").encode("utf-16-le")) > 2 * 127:
            raise ValueError("string too long")  # as ctypes does
        if "hIcon" in fields:
            assert fields["hIcon"] in self.handles, "a handle that was destroyed"
        if not self.running or (window in self.icons) is (code == windows_shell.NIM_ADD):
            return False
        if code == windows_shell.NIM_SETVERSION:
            return self.version_4 and fields["uVersion"] == 4
        self.icons.setdefault(window, {}).update(fields, flags=flags)
        return True

    def icon_side(self) -> int:
        return self.side

    def make_icon(self, image: Image.Image) -> int:
        self.screen.check()
        handle = 100 + len(self.told) + len(self.handles)
        assert handle not in self.handles
        self.handles[handle] = image
        return handle

    def destroy_icon(self, handle: int) -> None:
        self.screen.check()
        del self.handles[handle]

    def cursor(self) -> tuple[int, int]:
        return 30, 40

    def track_menu(self, menu: Any, window: int, x: int, y: int) -> tuple[int, bool]:
        self.screen.check()
        assert window == MENU_WINDOW
        assert self.menu_at is None, "a menu within a menu"
        self.menu_at = x, y
        self.screen.pump(lambda: not self.choice.empty())
        self.menu_at = None
        chosen = self.choice.get()
        return max(chosen, 0), chosen < 0

    def end_menu(self) -> None:
        self.screen.check()
        assert self.menu_at is not None
        self.choice.put(0)

    def default(self, window: int, message: int, wparam: int, lparam: int) -> int:
        self.screen.check()
        return int(message == WM_QUERYENDSESSION)

    def set_timer(self, window: int, seconds: float) -> None:
        self.timer = seconds

    def stop_timer(self, window: int) -> None:
        self.timer = None

    def double_click(self) -> float:
        return 0.5

    def now(self) -> float:
        return self.clock

    def shown(self) -> dict[str, Any]:
        """The icon in the notification area, with its image."""
        icon = self.icons[WINDOW]
        return {**icon, "image": self.handles[icon["hIcon"]]}


class WindowsBase(StrictIcon):
    """Like pystray._win32.Icon: a window with message handlers, and a menu that is destroyed when it is renewed."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, screen=windows_screen, **more)
        self._message_handlers: dict[int, Callable[[int, int], object]] = {
            WM_NOTIFY: self._on_notify,
            TASKBAR_CREATED: self._on_taskbarcreated,
            0x40A: self._on_stop,
        }
        self._hwnd, self._menu_hwnd = WINDOW, MENU_WINDOW
        self._icon_handle: int | None = None
        self._menu_handle: Any = None
        self.others: list[int] = []

    def _update_menu(self) -> None:
        self._native("menu")
        assert windows_shell_fake.menu_at is None, "DestroyMenu on the menu that is on the screen"
        callbacks: list[Any] = []
        self._menu_handle = (texts(self.menu or ()), [*self._number(self.menu or (), callbacks)])

    def _number(self, menu: Any, callbacks: list[Any]) -> list[Any]:
        for item in menu:
            callbacks.append(self._handler(item))
            if item.submenu:
                self._number(item.submenu, callbacks)
        return callbacks

    def dispatch(self, message: int, wparam: int, lparam: int) -> int:
        """pystray's `_dispatcher`."""
        self.screen.check()
        handler: Any = self._message_handlers.get(message, lambda *_: 0)
        return int(handler(wparam, lparam) or 0)

    def _on_notify(self, wparam: int, lparam: int) -> None:
        self.others.append(lparam)

    def _on_taskbarcreated(self, wparam: int, lparam: int) -> None:
        if self.visible:
            self._show()

    def _on_stop(self, wparam: int, lparam: int) -> None:
        self.stopped = True

    def _stop(self) -> None:
        self.screen.call_after(self.dispatch, 0x40A, 0, 0)


windows_screen = ScreenThread()
windows_shell_fake = Shell(windows_screen)


class Windows(RunningBackend):
    """A running Windows backend."""

    def __init__(self, **shell: Any) -> None:
        global windows_screen, windows_shell_fake
        super().__init__()
        windows_screen = self.screen
        windows_shell_fake = self.shell = Shell(self.screen)
        vars(self.shell).update(shell)
        self.icon = native_windows.windows_class(WindowsBase, pystray, self.shell)(
            "Amberlight", self.actions.append, self.on_host
        )
        self.shell.dispatch = self.icon.dispatch

    def apply(self, change: ViewUpdate) -> None:
        self.icon.apply(change)
        self.screen.settle()

    def send(self, message: int, wparam: int = 0, lparam: int = 0) -> int:
        """The window's answer to a message."""
        answers: queue.Queue[int] = queue.Queue()
        self.screen.call_after(lambda: answers.put(self.icon.dispatch(message, wparam, lparam)))
        return answers.get(timeout=5)

    def happens(self, event: int, x: int = 0, y: int = 0) -> None:
        """Something happens to the icon, as a notification area of version 4 tells it."""
        self.screen.call_after(self.icon.dispatch, WM_NOTIFY, (y & 0xFFFF) << 16 | (x & 0xFFFF), event)
        self.screen.settle()

    def choose(self, index: int) -> None:
        self.shell.choice.put(index)
        self.screen.posted.put(None)
        self.screen.settle()
