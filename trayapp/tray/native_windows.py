"""The tray backend of Windows: pystray's window and menu, with an icon, clicks and messages of our own.

The window belongs to the thread that created it, and changes reach it as messages. They wait while the menu is open,
because pystray would destroy the menu that is on the screen. The icon is drawn in the size that Windows shows, instead
of scaled to it; it follows the monitor. The notification area may be busy or away, at a login or while Explorer
restarts: what it didn't take is told again.

The classes are made by functions, as in `native.py`, and this module imports everywhere.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from trayapp.core.presentation import IconView
from trayapp.tray import art
from trayapp.tray.balloons import with_balloons
from trayapp.tray.mailbox import ViewUpdate
from trayapp.tray.native import native_class
from trayapp.tray.windows_shell import (
    NIF_ICON,
    NIF_MESSAGE,
    NIF_SHOWTIP,
    NIF_TIP,
    NIM_ADD,
    NIM_MODIFY,
    NIM_SETFOCUS,
    NIM_SETVERSION,
    VERSION_4,
    Shell,
    load_shell,
)

if TYPE_CHECKING:
    from trayapp.core.presentation import Action
    from trayapp.tray.backend import OnHost, TrayBackend

log = logging.getLogger(__name__)

TIP_LIMIT = 127  # UTF-16 units: NOTIFYICONDATAW.szTip holds 128 with the final zero, and ctypes refuses more
RETRY = 2.0  # s until the notification area is told again what it refused
TRIES = 15  # failures until it counts as missing; a slow login may take half a minute

WM_CLOSE, WM_SETTINGCHANGE, WM_CONTEXTMENU = 0x10, 0x1A, 0x7B
WM_DISPLAYCHANGE, WM_TIMER, WM_DPICHANGED = 0x7E, 0x113, 0x2E0
WM_LBUTTONUP, WM_RBUTTONUP = 0x202, 0x205
WM_NOTIFY = 0x400 + 11  # WM_USER + 11, as pystray has it: what happens to the icon
WM_APPLY = 0x400 + 40  # WM_USER + 40: pystray uses + 10 and + 11
NIN_SELECT, NIN_KEYSELECT = 0x400, 0x401


def windows_label(text: str) -> str:
    """The text as Windows wants it: an ampersand marks the access key, so a real one is doubled."""
    return text.replace("&", "&&")


def windows_tooltip(text: str) -> str:
    """The tooltip cut to `TIP_LIMIT`: after a whole line if the first one fits, never within a surrogate pair."""
    if _units(text) <= TIP_LIMIT:
        return text
    lines = text.split("\n")
    while len(lines) > 1:
        lines.pop()
        if _units(shortened := "\n".join([*lines, "…"])) <= TIP_LIMIT:
            return shortened
    return lines[0].encode("utf-16-le")[: 2 * (TIP_LIMIT - 1)].decode("utf-16-le", "ignore") + "…"


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _place(wparam: int) -> tuple[int, int]:
    """Two signed numbers in one: left of the first monitor, and above it, they are negative."""
    x, y = (((wparam >> shift & 0xFFFF) ^ 0x8000) - 0x8000 for shift in (0, 16))
    return x, y


Handler = Callable[[int, int], object]


class Handlers(dict[int, Handler]):
    """pystray's handlers of messages. It answers all others with 0, which keeps Windows from ending the session."""

    def __init__(self, handlers: Mapping[int, Handler], other: Callable[[int, int, int], object]) -> None:
        super().__init__(handlers)
        self._other = other

    def get(self, message: int, default: object = None) -> Handler:
        """The handler of a message; of one without, Windows' own."""
        return super().get(message) or partial(self._other, message)


def windows_class(base: type[Any], pystray: Any, shell: Shell) -> type[Any]:
    """The Windows icon class, derived from pystray's `base`."""

    class WindowsIcon(native_class(with_balloons(base, shell.post), pystray, windows_label, windows_tooltip)):  # type: ignore[misc]
        icon: Any
        _icon_handle: Any
        _message_handlers: Mapping[int, Handler]

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._changes: queue.SimpleQueue[ViewUpdate] = queue.SimpleQueue()
            self._menu_open = False
            self._version_4 = False
            self._failed = 0  # times that the notification area refused the icon
            self._activated = float("-inf")
            ours: dict[int, Handler] = {
                WM_APPLY: self._on_apply,
                WM_CLOSE: lambda wparam, lparam: (
                    0
                ),  # the window of osevents/ quits in order; this one goes with the icon
                WM_TIMER: lambda wparam, lparam: self._tell_icon(),
                **{
                    message: partial(self._on_screen_change, message)
                    for message in (WM_DISPLAYCHANGE, WM_SETTINGCHANGE, WM_DPICHANGED)
                },
            }
            self._message_handlers = Handlers({**self._message_handlers, **ours}, self._by_default)

        def _run(self) -> None:
            shell.own_pixels()
            super()._run()

        def _on_stop(self, wparam: int, lparam: int) -> None:
            """Close an open menu first: it would keep the program running until somebody closes it."""
            if self._menu_open:
                shell.end_menu()
            super()._on_stop(wparam, lparam)

        def _by_default(self, message: int, wparam: int, lparam: int) -> int:
            return shell.default(self._hwnd, message, wparam, lparam)

        # --- changes --------------------------------------------------------------------------------------------------

        def apply(self, change: ViewUpdate) -> None:
            self._changes.put(change)
            shell.post(self._hwnd, WM_APPLY)

        def _on_apply(self, wparam: int, lparam: int) -> None:
            """Apply the queued changes. While the menu is open, its own loop delivers our messages too: then they wait."""
            while not self._menu_open and not self._changes.empty():
                self._apply_now(self._changes.get())

        def _shown(self) -> None:
            """Whether there is a host, `_tell_icon` finds out."""

        # --- the icon -------------------------------------------------------------------------------------------------

        def _image(self, view: IconView) -> Any:
            return art.draw(view, shell.icon_side())

        def _assert_icon_handle(self) -> None:
            if not self._icon_handle:
                self._icon_handle = shell.make_icon(self.icon)

        def _update_icon(self) -> None:
            old, self._icon_handle = self._icon_handle, shell.make_icon(self.icon)
            self._icon_valid = True
            self._update_title()
            if old:
                shell.destroy_icon(old)

        def _release_icon(self) -> None:
            if self._icon_handle:
                shell.destroy_icon(self._icon_handle)
                self._icon_handle = None

        def _update_title(self) -> None:
            if self.visible:
                self._tell_icon()

        def _show(self) -> None:
            """The first time, and after Explorer has restarted."""
            self._assert_icon_handle()
            self._tell_icon()

        def _message(self, code: int, flags: int, **fields: Any) -> bool:
            return shell.tell(code, self._hwnd, flags, **fields)

        def _tell_icon(self) -> None:
            """Give the notification area the icon as it is; later, if it takes nothing now."""
            flags = NIF_MESSAGE | NIF_ICON | NIF_TIP | NIF_SHOWTIP
            icon = {"uCallbackMessage": WM_NOTIFY, "hIcon": self._icon_handle, "szTip": self.title}
            if self._message(NIM_MODIFY, flags, **icon):
                self._taken()
            elif self._message(NIM_ADD, flags, **icon):
                self._version_4 = self._message(NIM_SETVERSION, 0, uVersion=VERSION_4)
                self._taken()
            else:
                self._not_taken()

        def _taken(self) -> None:
            if self._failed:
                shell.stop_timer(self._hwnd)
                self._failed = 0
            self._tell_host(True)

        def _not_taken(self) -> None:
            self._failed += 1
            if self._failed == 1:
                log.info("the notification area isn't responding; the icon is tried again every %g s", RETRY)
                shell.set_timer(self._hwnd, RETRY)
            elif self._failed == TRIES:
                self._tell_host(False)

        def _on_screen_change(self, message: int, wparam: int, lparam: int) -> int:
            """Another resolution or scale: the icon's size may be another one, too."""
            if shell.icon_side() != self.icon.width:
                self.icon = self._image(self._view)
            return self._by_default(message, wparam, lparam)

        # --- clicks and keys ------------------------------------------------------------------------------------------

        def _on_notify(self, wparam: int, lparam: int) -> None:
            """Version 4 has a kind of event for what a click or a key means, and its place; older shells have only the
            buttons of the mouse."""
            event = lparam & 0xFFFF
            if event in ((NIN_SELECT, NIN_KEYSELECT) if self._version_4 else (WM_LBUTTONUP,)):
                self._activate()
            elif event == (WM_CONTEXTMENU if self._version_4 else WM_RBUTTONUP):
                self._open_menu(*(_place(wparam) if self._version_4 else shell.cursor()))
            elif event not in (WM_LBUTTONUP, WM_RBUTTONUP):
                super()._on_notify(wparam, event)

        def _activate(self) -> None:
            """Once for a double click, and once for the Enter key, of which Windows tells twice."""
            before, self._activated = self._activated, shell.now()
            if self._activated - before > shell.double_click():
                self()

        def _open_menu(self, x: int, y: int) -> None:
            if self._menu_open or not self._menu_handle:
                return
            menu, callbacks = self._menu_handle
            self._menu_open = True
            try:
                chosen, escaped = shell.track_menu(menu, self._menu_hwnd, x, y)
            finally:
                self._menu_open = False
            if chosen:
                callbacks[chosen - 1](self)
            elif escaped:
                self._message(NIM_SETFOCUS, 0)  # back to where the keyboard was
            self._on_apply(0, 0)

    return WindowsIcon


def windows_backend(title: str, on_action: Callable[[Action], None], on_host: OnHost) -> TrayBackend:
    import pystray
    from pystray._util import win32

    made = windows_class(pystray.Icon, pystray, load_shell(win32))
    backend: TrayBackend = made(title, on_action, on_host)
    return backend
