"""The macOS backend over a strict fake: a screen call outside the main thread fails.

The fake has the shape of pystray's backend: the same methods, the same order of numbering.
"""

from __future__ import annotations

import signal
import struct
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tray.strict_pystray import MENU, QUIT, RED, RunningBackend, ScreenThread, StrictIcon, pystray
from trayapp.core.presentation import Action, MenuItem, Verb
from trayapp.tray import native
from trayapp.tray.mailbox import ViewUpdate


class NsImage:
    """Records what AppKit would be told of an image."""

    made: list[NsImage] = []  # noqa: RUF012 - of one test

    @classmethod
    def alloc(cls) -> NsImage:
        return cls()

    def initWithData_(self, data: bytes) -> NsImage:
        self.width, self.height = struct.unpack(">II", data[16:24])
        NsImage.made.append(self)
        return self

    def setSize_(self, size: tuple[int, int]) -> None:
        self.points = size

    def setTemplate_(self, template: bool) -> None:
        self.template = template


class NsData:
    @staticmethod
    def dataWithBytes_length_(data: bytes, length: int) -> bytes:
        assert len(data) == length
        return data


class MacBase(StrictIcon):
    """Like pystray._darwin.Icon: numbers menu items by the length of a list that its caller may pass."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, screen=mac_screen, **more)
        native_call = self._native
        self._status_bar = SimpleNamespace(
            thickness=lambda: 22.0, removeStatusItem_=lambda item: native_call("removed")
        )
        self._app = SimpleNamespace(run=self._appkit_loop)
        button = SimpleNamespace(setImage_=lambda image: native_call("image"))
        self._status_item = SimpleNamespace(button=lambda: button, setMenu_=lambda menu: native_call("menu"))
        self._menu_handle: Any = None

    def _mark_ready(self) -> None:
        self.screen.thread = threading.current_thread()
        super()._mark_ready()

    def _appkit_loop(self) -> None:
        self.screen.pump(lambda: self.stopped)
        self._visible = False

    def _show(self) -> None:
        super()._show()
        self._assert_image()

    def _create_menu(self, descriptors: Any, callbacks: Any) -> Any:
        self.screen.check()
        if not descriptors:
            return None
        lines = []
        for item in descriptors:
            below = self._create_menu(item.submenu, callbacks) if item.submenu else None
            lines.append((item.text, len(callbacks), below))
            callbacks.append(self._handler(item))
        return lines

    def user_clicks(self, tag: int) -> None:
        """What the menu's delegate does, in the main thread."""
        self.screen.check()
        self._menu_handle[1][tag](self)

    def _stop(self) -> None:
        self._native("stop")
        self.stopped = True


SIGNALS = (signal.SIGINT, signal.SIGTERM)
mac_screen = ScreenThread()
mac_signals: dict[int, Any] = {}


def tag_of(menu: Any, text: str) -> int:
    """The tag of a line of a native menu, at any depth; -1 if there is none."""
    for name, tag, below in menu or ():
        if name == text:
            return int(tag)
        if below and (found := tag_of(below, text)) >= 0:
            return found
    return -1


class Mac(RunningBackend):
    """A running macOS backend."""

    def __init__(self) -> None:
        global mac_screen
        super().__init__()
        mac_screen = self.screen
        NsImage.made.clear()
        appkit, foundation = SimpleNamespace(NSImage=NsImage), SimpleNamespace(NSData=NsData)
        call_after, on_signal = self.screen.call_after, mac_signals.__setitem__
        made = native.mac_class(MacBase, pystray, foundation, appkit, call_after, on_signal)
        self.icon = made("Amberlight", self.actions.append, self.on_host)

    def click(self, tag: int) -> None:
        self.screen.call_after(self.icon.user_clicks, tag)
        self.screen.settle()


def test_on_macos_every_call_is_made_in_the_main_thread() -> None:
    """Icon, tooltip, menu and the end; the fake fails on any other thread. That the icon is shown is reported once."""

    with Mac() as mac:
        mac.icon.apply(ViewUpdate(RED, "1 needs sign-in", MENU))
        mac.screen.settle()
        assert "title 1 needs sign-in" in mac.icon.seen
        assert "menu" == mac.icon.seen[-1]
        assert [(True, mac.screen.thread)] == mac.hosts
    assert ["stop", "removed"] == mac.icon.seen[-2:]


def test_on_macos_the_image_is_sharp_and_in_colour() -> None:
    """Two pixels for each point, and not a template image, which would be black."""

    with Mac() as mac:
        mac.icon.apply(ViewUpdate(RED))
        mac.screen.settle()
    image = NsImage.made[-1]
    assert (44, 44, (22, 22), False) == (image.width, image.height, image.points, image.template)


def test_on_macos_a_click_on_the_old_menu_does_what_the_user_read() -> None:
    """pystray would look its tag up in the new menu."""

    with Mac() as mac:
        mac.icon.apply(ViewUpdate(menu=MENU))
        mac.screen.settle()
        old = tag_of(mac.icon._menu_handle[0], "Quit")
        mac.icon.apply(ViewUpdate(menu=(MenuItem("new", "First of all", Action(Verb.ADD)), *MENU)))
        mac.screen.settle()
        mac.click(old)
    assert [QUIT] == mac.actions


def test_on_macos_a_click_on_an_item_that_is_gone_does_nothing() -> None:
    """Neither does a click on a menu several changes old."""

    with Mac() as mac:
        mac.icon.apply(ViewUpdate(menu=MENU))
        mac.screen.settle()
        old = tag_of(mac.icon._menu_handle[0], "Retry now")
        mac.icon.apply(ViewUpdate(menu=MENU[1:]))
        mac.screen.settle()
        mac.click(old)
        for _ in range(3):
            mac.icon.apply(ViewUpdate(menu=MENU[2:]))
        mac.screen.settle()
        mac.click(old)
    assert [] == mac.actions


def test_tags_forget_old_menus() -> None:
    """A week of changes does not grow memory."""

    tags = native.CallbackTags()
    for _ in range(100):
        tags.begin_menu()
        for _ in range(10):
            tags.append(lambda: None)
    assert 1000 == len(tags)
    assert 20 == len(tags._calls)


def test_on_macos_a_program_outside_a_bundle_has_no_icon_in_the_dock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own bundle would show one; and a program without a bundle may show nothing before this."""

    seen: list[object] = []
    application = SimpleNamespace(setActivationPolicy_=seen.append)
    appkit = SimpleNamespace(
        NSApplication=SimpleNamespace(sharedApplication=lambda: application), NSApplicationActivationPolicyAccessory=1
    )

    class Base:
        def __init__(self, *arguments: Any, **more: Any) -> None:
            seen.append("icon")

    modules = {
        "AppKit": appkit,
        "Foundation": SimpleNamespace(),
        "pystray": SimpleNamespace(Icon=Base),
        "PyObjCTools": SimpleNamespace(
            AppHelper=SimpleNamespace(callAfter=print), MachSignals=SimpleNamespace(signal=print)
        ),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    native.mac_backend("Amberlight", print, print)

    assert [1, "icon"] == seen


def test_on_macos_a_signal_reaches_the_handler_that_python_has() -> None:
    """pystray's own would end the process on Ctrl-C, with a login perhaps not stored, and let SIGTERM wait for a click."""

    handled: list[object] = []
    before = {number: signal.signal(number, lambda *given: handled.append(given[0])) for number in SIGNALS}
    try:
        icon = Mac().icon
        icon._stop = lambda: None
        icon._app = SimpleNamespace(run=lambda: [mac_signals[number](number) for number in SIGNALS])
        mac_screen.thread = threading.current_thread()
        icon._run()
        assert list(SIGNALS) == handled
        signal.raise_signal(signal.SIGTERM)
        assert [*SIGNALS, signal.SIGTERM] == handled
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
