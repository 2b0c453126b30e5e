"""The tray icon as the application uses it: `publish` a view from any thread, clicks come back as actions.

Three threads meet here and none waits for another. The main thread blocks in `run`. The painter, pystray's setup thread,
takes the newest view and passes the parts that changed to the backend, at most four times a second; no other thread
calls the backend. Clicks run in a thread of their own, so that a slow handler stops neither the bus nor the menu.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trayapp.core.presentation import Action, TrayView
from trayapp.system.stand_ins import StandIn, later, standing_in
from trayapp.tray.mailbox import Drawable, Mailbox, difference

if TYPE_CHECKING:
    from trayapp.tray.backend import MakeBackend, OnAction, OnHost, TrayBackend
    from trayapp.tray.balloons import ShowBalloon

log = logging.getLogger(__name__)

MIN_INTERVAL = 0.25  # s between two changes: states can flap, and each change costs the panel a redraw


def native_backend(title: str, on_action: OnAction, on_host: OnHost) -> TrayBackend:
    """The backend of this operating system, imported here because each exists on its own system only."""
    if sys.platform == "darwin":
        from trayapp.tray.native import mac_backend

        return mac_backend(title, on_action, on_host)
    if sys.platform == "win32":
        from trayapp.tray.native_windows import windows_backend

        return windows_backend(title, on_action, on_host)
    import xml.etree  # noqa: F401 - a stand-in for its module needs the package

    tree = "xml.etree.ElementTree"
    with standing_in(
        StandIn("six"),  # 0.1 MB; pystray takes the name of one module from it
        StandIn("six.moves", queue=queue),
        StandIn(tree, Element=later(tree, "Element")),  # 0.2 MB, for those who ask what we export on the bus
    ):
        from trayapp.tray.sni import Icon

    return Icon(title, on_action, on_host)


class TrayIcon:
    """The icon, independent of the backend that shows it.

    `on_action` gets each click, in the tray's click thread. `on_ready` is called once in the painter thread, when the
    icon is shown or it is clear that nothing will show it. `on_host` learns, on change, whether there is a panel that
    shows icons, and of its absence only after a grace period (Linux; elsewhere there always is one).
    """

    def __init__(
        self,
        on_action: OnAction,
        on_ready: Callable[[], None],
        title: str = "Amberlight",
        *,
        on_host: OnHost | None = None,
        make_backend: MakeBackend = native_backend,
    ) -> None:
        self._on_ready = on_ready
        self._on_host = on_host
        self._title = title
        self._make_backend = make_backend
        self._mailbox = Mailbox()
        self._worker = _Worker()
        self._click: Callable[[Action], None] = lambda action: self._worker.post(on_action, action)
        self._host: bool | None = None
        self._balloon: ShowBalloon = _no_balloon
        self._failure: BaseException | None = None

    @property
    def host_present(self) -> bool | None:
        """Whether a panel shows the icon; None while that is unknown."""
        return self._host

    def run(self) -> None:
        """Show the icon until `stop`. Call it from the main thread (macOS insists). Raises what `on_ready` raised."""
        try:
            backend = self._make_backend(self._title, self._click, self._host_changed)
            self._balloon = getattr(backend, "show_balloon", _no_balloon)  # on Windows
            backend.run(self._paint)
        finally:
            self._balloon = _no_balloon
            self._mailbox.close()  # the painter ends too, however this one ended
            self._worker.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End `run` soon. From any thread, also from a signal handler; a second call does nothing."""
        self._mailbox.close()

    def publish(self, view: Drawable) -> None:
        """Show this view soon. From any thread; never waits for the screen.

        A function that makes the view is called in the painter thread, and only if nothing newer has been published.
        """
        self._mailbox.put(view)

    def show_balloon(self, title: str, text: str) -> bool:
        """Show a balloon of the icon, or with two empty texts remove it. From any thread; False if there is none."""
        return self._balloon(title, text)

    def _host_changed(self, present: bool) -> None:
        self._host = present
        if self._on_host is not None:
            self._worker.post(self._on_host, present)

    def _paint(self, backend: TrayBackend) -> None:
        """The body of the painter thread."""
        try:
            self._on_ready()
            self._paint_until_closed(backend)
        except BaseException as problem:  # noqa: BLE001 - `run` raises it again in the main thread
            self._failure = problem
        finally:
            backend.stop()

    def _paint_until_closed(self, backend: TrayBackend) -> None:
        shown: TrayView | None = None
        while (published := self._mailbox.take()) is not None:
            try:
                view = published if isinstance(published, TrayView) else published()
                change = difference(shown, view)
                if not change:
                    continue
                backend.apply(change)
                shown = view
            except Exception:
                log.exception("the tray could not show a change; the next one is shown in full")
                shown = None
            self._mailbox.pause(MIN_INTERVAL)


def _no_balloon(title: str, text: str) -> bool:
    return False


class _Worker:
    """Runs calls one after another in a daemon thread, which the first call starts."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[Any], None], Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def post(self, call: Callable[[Any], None], argument: object) -> None:
        """Queue a call. Only the thread that owns the screen may post, so that no two threads start a worker each."""
        self._calls.put((call, argument))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tray clicks", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._calls.put(None)

    def _work(self) -> None:
        while (entry := self._calls.get()) is not None:
            call, argument = entry
            try:
                call(argument)
            except Exception:
                log.exception("a click failed")
