"""macOS and Windows through strict stand-ins: a call of the screen in the wrong thread, or at the wrong time, fails.

The stand-ins are pystray's real base class with the shape of its two backends: the same methods, the same order of
numbering, the same message loop.
"""

from __future__ import annotations

import queue
import struct
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from trayapp.core.face import Action, Colour, Glyph, IconView, MenuItem, Verb
from trayapp.tray import native, sni
from trayapp.tray.mailbox import Change

# By way of sni, which imports pystray so that neither GTK nor X is looked for.
_base: Any = vars(sni)["pystray_base"]
pystray = SimpleNamespace(Menu=_base.Menu, MenuItem=_base.MenuItem)
RED = IconView(Glyph.WARNING, Colour.RED, (Colour.RED,))
RETRY, QUIT, SHOW = Action(Verb.RETRY, "a"), Action(Verb.QUIT), Action(Verb.SHOW)
MENU = (
    MenuItem("a", "R&D", items=(MenuItem("a/retry", "Retry now", RETRY),)),
    MenuItem("line", separator=True),
    MenuItem("show", "Open dashboard", SHOW),
    MenuItem("mute", "Mute", Action(Verb.MUTE), checked=True),
    MenuItem("quit", "Quit", QUIT),
)


class Loop:
    """The thread of the screen: runs what is posted to it, in order."""

    def __init__(self) -> None:
        self.posted: queue.Queue[tuple[Callable[..., object], tuple[object, ...]] | None] = queue.Queue()
        self.thread: threading.Thread | None = None
        self.faults: list[BaseException] = []

    def call_after(self, call: Callable[..., object], *arguments: object) -> None:
        self.posted.put((call, arguments))

    def check(self) -> None:
        assert threading.current_thread() is self.thread, f"screen touched by {threading.current_thread().name}"

    def pump(self, until: Callable[[], bool]) -> None:
        while not until():
            entry = self.posted.get(timeout=5)
            if entry is not None:
                try:
                    entry[0](*entry[1])
                except BaseException as fault:  # noqa: BLE001 - a failed assertion too; the test reads them at its end
                    self.faults.append(fault)

    def settle(self) -> None:
        """From another thread: wait until all that was posted before is done."""
        done = threading.Event()
        self.call_after(done.set)
        assert done.wait(5)


class Strict(_base.Icon):  # type: ignore[misc]
    """What both stand-ins share: every native call is checked and remembered."""

    def __init__(self, *arguments: Any, loop: Loop, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.loop = loop
        self.seen: list[str] = []
        self.stopped = False

    def _native(self, what: str) -> None:
        self.loop.check()
        self.seen.append(what)

    def _show(self) -> None:
        self._native("show")

    def _hide(self) -> None:
        pass

    def _update_icon(self) -> None:
        self._native("icon")
        self._icon_valid = True

    def _update_title(self) -> None:
        self._native(f"title {self.title}")

    def _run(self) -> None:
        self.loop.thread = threading.current_thread()
        self._mark_ready()
        self.loop.pump(lambda: self.stopped)
        self._visible = False


def texts(menu: Any) -> list[Any]:
    return [(item.text, texts(item.submenu)) if item.submenu else item.text for item in menu]


# --- macOS ------------------------------------------------------------------------------------------------------------


class NsImage:
    """Remembers what AppKit would be told of a picture."""

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


class MacBase(Strict):
    """pystray._darwin.Icon: numbers menu items by the length of a list that its caller may bring."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, loop=mac_loop, **more)
        native_call = self._native
        self._status_bar = SimpleNamespace(thickness=lambda: 22.0)
        button = SimpleNamespace(setImage_=lambda image: native_call("image"))
        self._status_item = SimpleNamespace(button=lambda: button, setMenu_=lambda menu: native_call("menu"))
        self._menu_handle: Any = None

    def _show(self) -> None:
        super()._show()
        self._assert_image()

    def _create_menu(self, descriptors: Any, callbacks: Any) -> Any:
        self.loop.check()
        if not descriptors:
            return None
        lines = []
        for item in descriptors:
            below = self._create_menu(item.submenu, callbacks) if item.submenu else None
            lines.append((item.text, len(callbacks), below))
            callbacks.append(self._handler(item))
        return lines

    def user_clicks(self, tag: int) -> None:
        """What the delegate does, in the main thread."""
        self.loop.check()
        self._menu_handle[1][tag](self)

    def _stop(self) -> None:
        self._native("stop")
        self.stopped = True


mac_loop = Loop()


def tag_of(menu: Any, text: str) -> int:
    """The tag of a line of a native menu, wherever it is."""
    for name, tag, below in menu or ():
        if name == text:
            return int(tag)
        if below and (found := tag_of(below, text)) >= 0:
            return found
    return -1


class Mac:
    """A running macOS backend."""

    def __init__(self) -> None:
        global mac_loop
        mac_loop = self.loop = Loop()
        NsImage.made.clear()
        self.actions: list[Action] = []
        appkit, foundation = SimpleNamespace(NSImage=NsImage), SimpleNamespace(NSData=NsData)
        made = native.mac_class(MacBase, pystray, foundation, appkit, self.loop.call_after)
        self.icon = made("Amberlight", self.actions.append)
        self._ready, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: self.icon.run(self._setup), name="main")

    def _setup(self, icon: Any) -> None:
        self._ready.set()
        self._end.wait(10)
        icon.stop()

    def __enter__(self) -> Mac:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(5)
        assert not self._thread.is_alive()
        assert [] == self.loop.faults

    def click(self, tag: int) -> None:
        self.loop.call_after(self.icon.user_clicks, tag)
        self.loop.settle()


def test_on_macos_every_call_is_made_in_the_main_thread() -> None:
    """Icon, tooltip, menu and the end; the stand-in fails for any other thread."""

    with Mac() as mac:
        mac.icon.apply(Change(RED, "1 needs sign-in", MENU))
        mac.loop.settle()
        assert "title 1 needs sign-in" in mac.icon.seen
        assert "menu" == mac.icon.seen[-1]
    assert "stop" == mac.icon.seen[-1]


def test_on_macos_the_picture_is_sharp_and_in_colour() -> None:
    """Two pixels for each point, and no template image, which would be black."""

    with Mac() as mac:
        mac.icon.apply(Change(RED))
        mac.loop.settle()
    image = NsImage.made[-1]
    assert (44, 44, (22, 22), False) == (image.width, image.height, image.points, image.template)


def test_on_macos_a_click_on_the_old_menu_does_what_the_user_read() -> None:
    """pystray would look its tag up in the new menu."""

    with Mac() as mac:
        mac.icon.apply(Change(menu=MENU))
        mac.loop.settle()
        old = tag_of(mac.icon._menu_handle[0], "Quit")
        mac.icon.apply(Change(menu=(MenuItem("new", "First of all", Action(Verb.ADD)), *MENU)))
        mac.loop.settle()
        mac.click(old)
    assert [QUIT] == mac.actions


def test_on_macos_a_click_on_an_item_that_is_gone_hits_nothing() -> None:
    """Neither does one on a menu from long ago."""

    with Mac() as mac:
        mac.icon.apply(Change(menu=MENU))
        mac.loop.settle()
        old = tag_of(mac.icon._menu_handle[0], "Retry now")
        mac.icon.apply(Change(menu=MENU[1:]))
        mac.loop.settle()
        mac.click(old)
        for _ in range(3):
            mac.icon.apply(Change(menu=MENU[2:]))
        mac.loop.settle()
        mac.click(old)
    assert [] == mac.actions


def test_tags_forget_old_menus() -> None:
    """A week of changes costs no memory."""

    tags = native.Tags()
    for _ in range(100):
        tags.begin()
        for _ in range(10):
            tags.append(lambda: None)
    assert 1000 == len(tags)
    assert 20 == len(tags._calls)


# --- Windows ----------------------------------------------------------------------------------------------------------


class WindowsBase(Strict):
    """pystray._win32.Icon: a window with message handlers, and a menu that runs a loop of its own while it is open."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, loop=windows_loop, **more)
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
        self.loop.check()
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
            self.loop.pump(lambda: not self.choice.empty())  # TrackPopupMenuEx
            self.menu_on_screen = False
            if index := self.choice.get():
                descriptors[index - 1](self)

    def _stop(self) -> None:
        self.loop.call_after(lambda: setattr(self, "stopped", True))


windows_loop = Loop()


class Windows:
    """A running Windows backend."""

    def __init__(self) -> None:
        global windows_loop
        windows_loop = self.loop = Loop()
        self.actions: list[Action] = []
        self.icon = native.windows_class(WindowsBase, pystray, self._post)("Amberlight", self.actions.append)
        self._ready, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: self.icon.run(self._setup), name="main")

    def _post(self, window: int, message: int, wparam: int, lparam: int) -> bool:
        assert 4711 == window
        self.loop.call_after(self.icon.dispatch, message, wparam, lparam)
        return True

    def _setup(self, icon: Any) -> None:
        self._ready.set()
        self._end.wait(10)
        icon.stop()

    def __enter__(self) -> Windows:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(5)
        assert not self._thread.is_alive()
        assert [] == self.loop.faults

    def choose(self, index: int) -> None:
        self.icon.choice.put(index)
        self.loop.posted.put(None)


def test_on_windows_every_call_is_made_in_the_thread_of_the_window() -> None:
    """The painter only posts a message."""

    with Windows() as windows:
        windows.icon.apply(Change(RED, "1 needs sign-in", MENU))
        windows.loop.settle()
        assert ["title 1 needs sign-in", "menu"] == windows.icon.seen[-2:]
        assert [("R&&D", ["Retry now"]), "- - - -", "Open dashboard", "Mute", "Quit"] == windows.icon._menu_handle[0]


def test_on_windows_an_open_menu_is_left_alone_until_it_is_closed() -> None:
    """Its own loop delivers our message; the change waits, and the click does what the user read."""

    with Windows() as windows:
        windows.icon.apply(Change(menu=MENU))
        windows.loop.settle()
        windows.loop.call_after(windows.icon.dispatch, 0x40B, 0, native.WM_RBUTTONUP)
        windows.loop.settle()
        windows.icon.apply(Change(tooltip="changed", menu=MENU[2:]))
        windows.loop.settle()
        assert "title changed" not in windows.icon.seen
        windows.choose(6)
        windows.loop.settle()
        assert ["title changed", "menu"] == windows.icon.seen[-2:]
    assert [QUIT] == windows.actions


def test_on_windows_a_left_click_asks_for_the_dashboard() -> None:
    """Whatever the menu holds."""

    with Windows() as windows:
        windows.loop.call_after(windows.icon.dispatch, 0x40B, 0, 0x0202)
        windows.loop.settle()
    assert [SHOW] == windows.actions


@pytest.mark.parametrize(("text", "units"), [("short", 5), ("x" * 127, 127), ("x" * 128, 127), ("😀" * 64, 127)])
def test_on_windows_a_tooltip_is_cut_to_what_fits(text: str, units: int) -> None:
    """128 UTF-16 units with the final zero, and no half of a pair."""

    cut = native.windows_tip(text)
    assert units == len(cut.encode("utf-16-le")) // 2
    assert cut == text or cut.endswith("…")


def test_the_default_line_and_the_check_marks_are_pystrays() -> None:
    """What both systems are given of our menu."""

    menu, live = native.make_menu(pystray, MENU, lambda path, action: None, native.plain)
    workload, line, show, mute, quit_ = menu.items
    assert line is _base.Menu.SEPARATOR
    assert (False, True, False) == (workload.default, show.default, quit_.default)
    assert (None, True) == (quit_.checked, mute.checked)
    assert {(("a", "a/retry"), RETRY), (("show",), SHOW), (("mute",), Action(Verb.MUTE)), (("quit",), QUIT)} == live
