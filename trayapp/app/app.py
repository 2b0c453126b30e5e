"""The running program: its two threads, its signals and its shutdown. Decides nothing.

Main thread: the tray, or with `--no-tray` the engine. Engine thread: one asyncio loop with engine, server and
notifications. What the engine publishes goes to the tray's mailbox and to the notifications; what people click comes back
through `Engine.post`. Heavy imports happen in the engine thread, after the icon has appeared.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from trayapp.app.parts import Parts
from trayapp.config import quit_marker
from trayapp.config.paths import Paths
from trayapp.core.presentation import Action, Verb
from trayapp.system.private_files import NotPrivateError

if TYPE_CHECKING:
    from trayapp.app.runtime import Runtime
    from trayapp.config.loader import Config
    from trayapp.tray.icon import TrayIcon

log = logging.getLogger(__name__)


class App:
    """One running Amberlight. `quit` and `act` may be called from any thread."""

    def __init__(self, paths: Paths, configuration: Callable[[], Config], parts: Parts | None = None) -> None:
        self.paths = paths
        self.parts = parts or Parts()
        self.configuration = configuration
        self.started_at = time.time()
        self.failed = False
        self.tray: TrayIcon | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._quit: asyncio.Event | None = None
        self._asked_to_quit = threading.Event()
        self._runtime: Runtime | None = None
        self._runtime_open = False
        self._host: bool | None = None  # whether a panel shows the icon; None until the tray knows
        self._host_reported: bool | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    def run(self, *, tray: bool) -> int:
        """Run until somebody quits. Exit code 0, or 1 if the engine ended unexpectedly."""
        with self._signals():
            if tray:
                self._run_with_tray()
            else:
                self._run_engine()
        return 1 if self.failed else 0

    def quit(self) -> None:
        """End soon, after attempts in flight and their storing. May be called from any thread."""
        self._asked_to_quit.set()
        loop, event = self._loop, self._quit
        if loop is not None and event is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop was closed between the two lines
                loop.call_soon_threadsafe(event.set)

    def act(self, action: Action) -> None:
        """Post a click in tray or notification to the engine. May be called from any thread."""
        if self._runtime is not None:
            self._runtime.engine.post(action)
        elif action.verb is Verb.QUIT:
            self._quit_chosen()

    def _quit_chosen(self) -> None:
        """The person chose *Quit*: no client starts it again before the next login."""
        quit_marker.mark(self.paths)
        self.quit()

    def _run_with_tray(self) -> None:
        """The tray in this thread, which starts the engine thread once the icon is there."""
        from trayapp.tray.icon import TrayIcon

        engine = threading.Thread(target=self._run_engine, name="engine")

        self.tray = TrayIcon(self.act, engine.start, on_host=self._host_changed)
        try:
            self.tray.run()
        finally:
            self.quit()
            if engine.ident is not None:
                engine.join()

    def _run_engine(self) -> None:
        """The engine thread. Not `asyncio.run`, which waits for every name lookup at a dead resolver."""
        loop = asyncio.new_event_loop()
        self._loop = loop
        try:
            loop.run_until_complete(self._main())
        except Exception:
            self.failed = True
            log.exception("Amberlight has crashed")
            print(f"Amberlight quit unexpectedly. See {self.paths.log_file}", file=sys.stderr)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            if self.tray is not None:
                self.tray.stop()

    async def _main(self) -> None:
        """Import everything, build the runtime, run it, close it."""
        with self.parts.loading():
            from trayapp.app.runtime import Runtime

        self._quit = asyncio.Event()
        if self._asked_to_quit.is_set():
            return
        try:
            self._runtime = Runtime(
                self.paths,
                self.configuration,
                self.parts,
                started_at=self.started_at,
                act=self.act,
                quit_=self._quit_chosen,
                tray=self.tray,
            )
        except (NotPrivateError, OSError) as error:  # the installation id, without which no login is found
            self.failed = True
            said = str(error) if isinstance(error, NotPrivateError) else f"{error.filename}: {error.strerror}."
            log.error("Amberlight can't start. %s", said)
            print(f"Amberlight can't start. {said}", file=sys.stderr)
            return
        try:
            await self._runtime.open()
            self._runtime_open = True
            self._report_host()
            await self._runtime.run_until(self._quit)
        finally:
            await self._runtime.close()
            self._runtime = None

    def _host_changed(self, present: bool) -> None:
        """The tray learned whether a panel shows the icon, perhaps before the engine's loop exists."""
        self._host = present
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._report_host)

    def _report_host(self) -> None:
        """Report the newest state to the runtime, once, as soon as it is open. On the engine's loop."""
        if self._runtime_open and self._runtime is not None and self._host is not self._host_reported:
            self._host_reported = self._host
            self._runtime.icon_notice.tray_host(bool(self._host))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C quit in order. Only the main thread may set handlers; tests run the app in others."""
        names = [signal.SIGTERM, signal.SIGINT]
        if sys.platform == "win32":
            names.append(signal.SIGBREAK)
        before = {}
        if threading.current_thread() is threading.main_thread():
            before = {name: signal.signal(name, lambda *_: self.quit()) for name in names}
        try:
            with _console_events(self.quit):
                yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)


def _console_events(quit_: Callable[[], None]) -> contextlib.AbstractContextManager[None]:
    """On Windows no signal handler runs while the main thread waits for messages of the icon's window."""
    if sys.platform != "win32":
        return contextlib.nullcontext()
    from trayapp.system.windows_console import console_events

    return console_events(quit_)
