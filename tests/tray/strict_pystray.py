"""pystray's real base class, made strict about the calling thread: shared by the macOS and Windows tests."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, Verb

if sys.platform == "linux":
    from trayapp.tray import sni

    pystray_base: Any = vars(sni)["pystray_base"]  # sni imports pystray so that it looks for neither GTK nor X
else:
    from pystray import _base

    pystray_base = _base

pystray = SimpleNamespace(Menu=pystray_base.Menu, MenuItem=pystray_base.MenuItem)
RED = IconView(Glyph.WARNING, Colour.RED, (Colour.RED,))
RETRY, QUIT, SHOW = Action(Verb.RETRY, "a"), Action(Verb.QUIT), Action(Verb.SHOW)
MENU = (
    MenuItem("a", "R&D", items=(MenuItem("a/retry", "Retry now", RETRY),)),
    MenuItem("line", separator=True),
    MenuItem("dashboard", "Open dashboard", SHOW),
    MenuItem("mute", "Mute", Action(Verb.MUTE), checked=True),
    MenuItem("quit", "Quit", QUIT),
)


class ScreenThread:
    """The thread that owns the screen: runs the calls that are posted to it, in order."""

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
                except BaseException as fault:  # noqa: BLE001 - failed assertions too; the test checks the list at its end
                    self.faults.append(fault)

    def settle(self) -> None:
        """From another thread: wait until every call posted so far has run."""
        done = threading.Event()
        self.call_after(done.set)
        assert done.wait(5)


class RunningBackend:
    """A backend that runs in a thread of its own, from `with` to its end. A subclass makes `icon`."""

    icon: Any

    def __init__(self) -> None:
        self.screen = ScreenThread()
        self.actions: list[Action] = []
        self.hosts: list[tuple[bool, threading.Thread]] = []
        self._ready, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: self.icon.run(self._setup), name="main")

    def on_host(self, present: bool) -> None:
        self.hosts.append((present, threading.current_thread()))

    def _setup(self, icon: Any) -> None:
        self._ready.set()
        self._end.wait(10)
        icon.stop()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(5)
        assert not self._thread.is_alive()
        assert [] == self.screen.faults


class StrictIcon(pystray_base.Icon):  # type: ignore[misc]
    """The base of both fake backends: every native call is checked for its thread and recorded."""

    def __init__(self, *arguments: Any, screen: ScreenThread, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.screen = screen
        self.seen: list[str] = []
        self.stopped = False

    def _native(self, what: str) -> None:
        self.screen.check()
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
        self.screen.thread = threading.current_thread()
        self._mark_ready()
        self.screen.pump(lambda: self.stopped)
        self._visible = False


def texts(menu: Any) -> list[Any]:
    return [(item.text, texts(item.submenu)) if item.submenu else item.text for item in menu]
