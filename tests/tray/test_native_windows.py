"""The Windows backend over a strict fake: a call outside the window's thread fails, and so does one under an open menu.

The fake has the shape of pystray's backend: the same handlers, and a menu with a message loop of its own.
"""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.tray.strict_pystray import (
    MENU,
    QUIT,
    RED,
    RETRY,
    SHOW,
    RunningBackend,
    ScreenThread,
    StrictIcon,
    pystray,
    pystray_base,
    texts,
)
from trayapp.core.presentation import Action, MenuItem, Verb
from trayapp.tray import native
from trayapp.tray.mailbox import ViewUpdate


class WindowsBase(StrictIcon):
    """Like pystray._win32.Icon: a window with message handlers, and a menu that runs its own loop while it is open."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, screen=windows_screen, **more)
        self._message_handlers: dict[int, Callable[[int, int], object]] = {}
        self._hwnd = 4711
        self._menu_handle: Any = None
        self.menu_on_screen = False
        self.choice: queue.Queue[int] = queue.Queue()

    def _update_title(self) -> None:
        assert len(self.title.encode("utf-16-le")) <= 2 * 127, "ctypes raises ValueError"
        super()._update_title()

    def _update_menu(self) -> None:
        self._native("menu")
        assert not self.menu_on_screen, "DestroyMenu on the menu that is on the screen"
        callbacks: list[Any] = []
        self._menu_handle = (texts(self.menu or ()), [*self._number(self.menu or (), callbacks)])

    def _number(self, menu: Any, callbacks: list[Any]) -> list[Any]:
        for item in menu:
            callbacks.append(self._handler(item))
            if item.submenu:
                self._number(item.submenu, callbacks)
        return callbacks

    def dispatch(self, message: int, wparam: int, lparam: int) -> None:
        self.screen.check()
        if message == 0x40B:
            self._on_notify(wparam, lparam)
        else:
            self._message_handlers[message](wparam, lparam)

    def _on_notify(self, wparam: int, lparam: int) -> None:
        if lparam == 0x0202:
            self()
        elif lparam == native.WM_RBUTTONUP:
            _, descriptors = self._menu_handle
            self.menu_on_screen = True
            self.screen.pump(lambda: not self.choice.empty())  # TrackPopupMenuEx
            self.menu_on_screen = False
            if index := self.choice.get():
                descriptors[index - 1](self)

    def _stop(self) -> None:
        self.screen.call_after(lambda: setattr(self, "stopped", True))


windows_screen = ScreenThread()


class Windows(RunningBackend):
    """A running Windows backend."""

    def __init__(self) -> None:
        global windows_screen
        super().__init__()
        windows_screen = self.screen
        self.icon = native.windows_class(WindowsBase, pystray, self._post)(
            "Amberlight", self.actions.append, self.on_host
        )

    def _post(self, window: int, message: int, wparam: int, lparam: int) -> bool:
        assert 4711 == window
        self.screen.call_after(self.icon.dispatch, message, wparam, lparam)
        return True

    def choose(self, index: int) -> None:
        self.icon.choice.put(index)
        self.screen.posted.put(None)


def test_on_windows_every_call_is_made_in_the_thread_of_the_window() -> None:
    """The painter only posts a message. That the icon is shown is reported once, from that thread."""

    with Windows() as windows:
        windows.icon.apply(ViewUpdate(RED, "1 needs sign-in", MENU))
        windows.screen.settle()
        assert ["title 1 needs sign-in", "menu"] == windows.icon.seen[-2:]
        assert [("R&&D", ["Retry now"]), "- - - -", "Open dashboard", "Mute", "Quit"] == windows.icon._menu_handle[0]
        assert [(True, windows.screen.thread)] == windows.hosts


def test_on_windows_an_open_menu_is_left_alone_until_it_is_closed() -> None:
    """The menu's loop delivers our message; the change waits, and the click does what the user read."""

    with Windows() as windows:
        windows.icon.apply(ViewUpdate(menu=MENU))
        windows.screen.settle()
        windows.screen.call_after(windows.icon.dispatch, 0x40B, 0, native.WM_RBUTTONUP)
        windows.screen.settle()
        windows.icon.apply(ViewUpdate(tooltip="changed", menu=MENU[2:]))
        windows.screen.settle()
        assert "title changed" not in windows.icon.seen
        windows.choose(6)
        windows.screen.settle()
        assert ["title changed", "menu"] == windows.icon.seen[-2:]
    assert [QUIT] == windows.actions


def test_on_windows_a_left_click_opens_the_dashboard() -> None:
    """Whatever the menu contains."""

    with Windows() as windows:
        windows.screen.call_after(windows.icon.dispatch, 0x40B, 0, 0x0202)
        windows.screen.settle()
    assert [SHOW] == windows.actions


@pytest.mark.parametrize(("text", "units"), [("short", 5), ("x" * 127, 127), ("x" * 128, 127), ("😀" * 64, 127)])
def test_on_windows_a_tooltip_is_cut_to_what_fits(text: str, units: int) -> None:
    """128 UTF-16 units with the final zero, and no half of a surrogate pair."""

    cut = native.windows_tooltip(text)
    assert units == len(cut.encode("utf-16-le")) // 2
    assert cut == text or cut.endswith("…")


def test_default_item_and_check_marks_reach_pystray() -> None:
    """The same on both systems; of several items that show the dashboard, one is the default."""

    items = (*MENU, MenuItem("warning:0", "No keyring.", SHOW))
    menu, clickable = native.make_menu(pystray, items, lambda path, action: None, native.plain_label)
    workload, line, show, mute, quit_, warning = menu.items
    assert not warning.default
    assert line is pystray_base.Menu.SEPARATOR
    assert (False, True, False) == (workload.default, show.default, quit_.default)
    assert (None, True) == (quit_.checked, mute.checked)
    assert {
        (("a", "a/retry"), RETRY),
        (("dashboard",), SHOW),
        (("mute",), Action(Verb.MUTE)),
        (("quit",), QUIT),
        (("warning:0",), SHOW),
    } == clickable


def test_the_icon_imports_without_d_bus() -> None:
    """dbus-fast is installed on Linux only."""

    program = (
        "import sys; sys.modules['dbus_fast'] = None\n"
        "import trayapp.tray.icon, trayapp.tray.native, trayapp.tray.notify, trayapp.tray.art, trayapp.tray.mailbox"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
