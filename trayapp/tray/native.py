"""The tray backend of macOS, and what it shares with that of Windows (`native_windows.py`): pystray's own, with every
screen call made in the thread that owns the screen.

pystray leaves that to its caller there (pystray#60): setters act in the calling thread. So `apply` only posts; on macOS
the change travels by `AppHelper.callAfter`. And as in `dbusmenu.py`, a click on an old menu does what the user read, or
nothing: pystray renumbers its items with every menu, so each item carries its own identity.

The classes are made by functions that take pystray's base class and the system's calls. So this module imports
everywhere, and the tests pass strict fakes that check the thread of each call.
"""

from __future__ import annotations

import io
import logging
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trayapp.core.presentation import Action, IconView, MenuItem, Verb
from trayapp.tray import art, pixmap
from trayapp.tray.mailbox import ViewUpdate
from trayapp.tray.menu import Path, paths

if TYPE_CHECKING:
    from trayapp.tray.backend import OnHost, TrayBackend

log = logging.getLogger(__name__)

SHOW = Action(Verb.SHOW)
DASHBOARD: Path = ("dashboard",)  # of the several items that show it, the one that a click on the icon stands for
ICON_SIZE = 64  # px; both systems draw their own size instead, once they know it
RETINA = 2  # pixels of the image for each point of the menu bar

Clickable = set[tuple[Path, Action]]


def plain_label(text: str) -> str:
    return text


def make_menu(
    pystray: Any, items: tuple[MenuItem, ...], click: Callable[[Path, Action], None], label: Callable[[str], str]
) -> tuple[Any, Clickable]:
    """Our menu as pystray's, and the identities of all items in it that can be clicked."""
    clickable: Clickable = set()

    def build(level: tuple[MenuItem, ...], parent: Path) -> Any:
        return pystray.Menu(*(build_item(path, item) for path, item in paths(level, parent)))

    def build_item(path: Path, item: MenuItem) -> Any:
        if item.separator:
            return pystray.Menu.SEPARATOR
        checked = None if item.checked is None else lambda _: bool(item.checked)
        action = item.action
        if item.items:
            return pystray.MenuItem(label(item.text), build(item.items, path), checked=checked, enabled=item.enabled)
        if action is None:
            return pystray.MenuItem(label(item.text), None, checked=checked, enabled=item.enabled)
        if item.enabled:
            clickable.add((path, action))
        return pystray.MenuItem(
            label(item.text),
            lambda: click(path, action),
            checked=checked,
            enabled=item.enabled,
            default=path == DASHBOARD,
        )

    return build(items, ()), clickable


def native_class(
    base: type[Any], pystray: Any, label: Callable[[str], str], tooltip_text: Callable[[str], str]
) -> type[Any]:
    """The icon class that macOS and Windows share, derived from pystray's `base`."""

    class NativeIcon(base):  # type: ignore[misc]
        def __init__(
            self, title: str, on_action: Callable[[Action], None], on_host: OnHost = lambda present: None
        ) -> None:
            self._on_host = on_host
            self._host: bool | None = None  # until the icon is shown
            self._view = pixmap.FIRST_VIEW
            super().__init__(title, icon=self._image(pixmap.FIRST_VIEW), title=title)
            self._on_action = on_action
            self._clickable: Clickable = set()

        def _image(self, view: IconView) -> Any:
            return art.draw(view, ICON_SIZE)

        def run(self, setup: Callable[[Any], None]) -> None:
            def show_first(icon: Any) -> None:
                self.apply(ViewUpdate(icon=pixmap.FIRST_VIEW))
                setup(icon)

            super().run(show_first)

        def apply(self, change: ViewUpdate) -> None:
            raise NotImplementedError

        def _apply_now(self, change: ViewUpdate) -> None:
            """Show the change, in the thread that owns the screen."""
            if change.icon is not None:
                self._view = change.icon
                self.icon = self._image(change.icon)
            if change.tooltip is not None:
                self.title = tooltip_text(change.tooltip)
            if change.menu is not None:
                menu, self._clickable = make_menu(pystray, change.menu, self._clicked, label)
                self.menu = menu
            self.visible = True
            self._shown()

        def _shown(self) -> None:
            """A change has been shown, and with it the icon."""
            self._tell_host(True)

        def _tell_host(self, present: bool) -> None:
            if present != self._host:
                self._host = present
                self._on_host(present)

        def _clicked(self, path: Path, action: Action) -> None:
            if (path, action) in self._clickable:
                self._on_action(action)
            else:
                log.info("a click on a menu item that is gone was ignored")

        def _handler(self, callback: Callable[[Any], None]) -> Callable[..., None]:
            """pystray would rebuild the whole menu after each click; ours changes only with the view."""
            return lambda *_: callback(self)

        def __call__(self) -> None:
            self._on_action(SHOW)

    return NativeIcon


class CallbackTags:
    """The list of callbacks that pystray's macOS menu indexes by tag, except that no tag is ever given twice."""

    MENUS_KEPT = 2  # the menu on the screen may be the last but one

    def __init__(self) -> None:
        self._calls: dict[int, Callable[..., None]] = {}
        self._first_tags: list[int] = []
        self._next = 0

    def begin_menu(self) -> None:
        """A new menu follows; drop the callbacks of all but the latest menus."""
        self._first_tags = [*self._first_tags, self._next][-self.MENUS_KEPT :]
        self._calls = {tag: call for tag, call in self._calls.items() if tag >= self._first_tags[0]}

    def append(self, call: Callable[..., None]) -> None:
        self._calls[self._next] = call
        self._next += 1

    def __len__(self) -> int:
        return self._next

    def __getitem__(self, tag: int) -> Callable[..., None]:
        return self._calls.get(tag, lambda *_: None)


def _signal_handlers() -> dict[int, Callable[..., Any]]:
    """Python's handlers of the signals that end a program. Only the main thread may have any."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    return {number: handler for number, handler in handlers.items() if callable(handler)}


def mac_class(
    base: type[Any],
    pystray: Any,
    foundation: Any,
    appkit: Any,
    call_after: Callable[..., None],
    on_signal: Callable[[int, Callable[..., Any]], object],
) -> type[Any]:
    """The macOS icon class. Only the main thread touches AppKit; `call_after` posts to it.

    `on_signal` has AppKit's loop call a function when a signal comes.
    """

    class MacIcon(native_class(base, pystray, plain_label, plain_label)):  # type: ignore[misc]
        def __init__(self, *arguments: Any) -> None:
            self._tags = CallbackTags()
            super().__init__(*arguments)

        def apply(self, change: ViewUpdate) -> None:
            call_after(self._apply_now, change)

        def _run(self) -> None:
            """pystray's own, but with Python's signal handlers: AppKit's loop runs none of them by itself, and pystray
            would have Ctrl-C end the process on the spot."""
            self._mark_ready()
            handlers = _signal_handlers()
            for number, handler in handlers.items():
                on_signal(number, handler)
            try:
                self._app.run()
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                self._status_bar.removeStatusItem_(self._status_item)

        def _stop(self) -> None:
            call_after(super()._stop)

        def _update_menu(self) -> None:
            self._tags.begin_menu()
            menu = self._create_menu(self.menu, self._tags)
            self._menu_handle = (menu, self._tags)
            self._status_item.setMenu_(menu)

        def _assert_image(self) -> None:
            """In colour (a template image is black or white) and sharp on a retina display (pystray#163)."""
            points = int(self._status_bar.thickness())
            buffer = io.BytesIO()
            art.draw(self._view, points * RETINA).save(buffer, "png")
            png = buffer.getvalue()
            image = appkit.NSImage.alloc().initWithData_(foundation.NSData.dataWithBytes_length_(png, len(png)))
            image.setSize_((points, points))
            image.setTemplate_(False)
            self._icon_image = image
            self._status_item.button().setImage_(image)

    return MacIcon


def mac_backend(title: str, on_action: Callable[[Action], None], on_host: OnHost) -> TrayBackend:
    import AppKit
    import Foundation
    import pystray
    from PyObjCTools import AppHelper, MachSignals

    # As LSUIElement in our bundle: no icon in the Dock. A program without a bundle may show nothing before it says so.
    AppKit.NSApplication.sharedApplication().setActivationPolicy_(AppKit.NSApplicationActivationPolicyAccessory)
    made = mac_class(pystray.Icon, pystray, Foundation, AppKit, AppHelper.callAfter, MachSignals.signal)
    backend: TrayBackend = made(title, on_action, on_host)
    return backend
