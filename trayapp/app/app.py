"""The composition root: builds everything, owns the threads, the instance lock and the shutdown. Decides nothing.

Main thread: the tray (or the engine, with `--no-tray`). Engine thread: one asyncio loop with engine, server and
notifications. What the engine publishes goes to the tray's mailbox and to the notices; what people click comes back
through `Engine.post`. Heavy imports happen in the engine thread, after the icon is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TextIO

from trayapp.app import memory
from trayapp.app.logs import from_now_on, to_file
from trayapp.app.parts import Parts
from trayapp.config.paths import Paths
from trayapp.core.presentation import Action, Verb

if TYPE_CHECKING:
    from trayapp.app.runtime import Runtime
    from trayapp.config.loader import Config
    from trayapp.tray.icon import TrayIcon

log = logging.getLogger(__name__)

LAST_WORDS = 1.0  # s for threads to end by themselves; a look-up in a dead resolver would hold the program for ten


class AlreadyRunning(Exception):  # noqa: N818 - says what happened
    """Another Amberlight of this user holds the lock."""


class App:
    """One running Amberlight. `quit` may be called from any thread."""

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
        self._open = False
        self._host: bool | None = None  # whether a panel shows the icon
        self._host_told: bool | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    def run(self, *, tray: bool) -> int:
        """Until somebody quits. Exit code 0, or 1 if the engine came to an unexpected end."""
        with self._signals():
            if tray:
                self._run_with_tray()
            else:
                self._run_engine()
        return 1 if self.failed else 0

    def quit(self) -> None:
        """End soon: attempts in flight and their storing come first."""
        self._asked_to_quit.set()
        loop, event = self._loop, self._quit
        if loop is not None and event is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):  # the loop closed between the two lines
                loop.call_soon_threadsafe(event.set)

    def act(self, action: Action) -> None:
        """A click in tray or notification, from any thread: it is only posted."""
        if self._runtime is not None:
            self._runtime.engine.post(action)
        elif action.verb is Verb.QUIT:
            self.quit()

    def _run_with_tray(self) -> None:
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
        """The engine's thread. Not `asyncio.run`: that waits for every look-up in a dead resolver."""
        loop = asyncio.new_event_loop()
        self._loop = loop
        try:
            loop.run_until_complete(self._main())
        except Exception:
            self.failed = True
            log.exception("Amberlight came to an unexpected end")
            print(f"Amberlight came to an unexpected end. See {self.paths.log_file}", file=sys.stderr)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            if self.tray is not None:
                self.tray.stop()

    async def _main(self) -> None:
        with self.parts.loading():
            from trayapp.app.runtime import Runtime

        self._quit = asyncio.Event()
        if self._asked_to_quit.is_set():
            return
        self._runtime = Runtime(
            self.paths,
            self.configuration,
            self.parts,
            started_at=self.started_at,
            act=self.act,
            quit_=self.quit,
            tray=self.tray,
        )
        try:
            await self._runtime.open()
            self._open = True
            self._tell_host()
            await self._runtime.until(self._quit)
        finally:
            await self._runtime.close()
            self._runtime = None

    def _host_changed(self, present: bool) -> None:
        """From the tray: whether somebody shows the icon. It may come before the engine can hear it."""
        self._host = present
        loop = self._loop
        if loop is not None and not loop.is_closed():
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tell_host)

    def _tell_host(self) -> None:
        """On the engine's loop: the news, once, when there is somebody to tell."""
        if self._open and self._runtime is not None and self._host is not self._host_told:
            self._host_told = self._host
            self._runtime.tray_host(bool(self._host))

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and Ctrl-C quit in order. Only the main thread may set them; tests run us in others."""
        names = [signal.SIGTERM, signal.SIGINT]
        before = {}
        if threading.current_thread() is threading.main_thread():
            before = {name: signal.signal(name, lambda *_: self.quit()) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)


def run(
    paths: Paths, environ: Mapping[str, str], *, tray: bool, show_running: Callable[[], bool] = lambda: False
) -> int:
    """`amberlight run`. Exit code 1 with a sentence if another one runs or a directory cannot be used.

    A second start with an icon (a click in the desktop's menu) is a wish to see the first: `show_running` shows it.
    """
    os.umask(0o077)
    _no_core_dumps()
    memory.small_heap()
    try:
        paths.make()
        with only_one(paths):
            to_file(paths.log_file)

            def started(control: object) -> None:
                memory.settled()
                _greet(sys.stderr, tray=tray)

            parts = Parts(loading=memory.lean_imports, on_start=started)
            code = App(paths, lambda: _configuration(paths, environ), parts).run(tray=tray)
    except AlreadyRunning:
        if tray and show_running():
            print("Amberlight is already running: its dashboard opens in your browser.", file=sys.stderr)
            return 0
        print("Amberlight is already running: look for its icon, or see: amberlight list", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Amberlight cannot use {error.filename or paths.state_dir}: {error.strerror}.", file=sys.stderr)
        return 1
    _leave(code)
    return code


def _greet(stream: TextIO | None, *, tray: bool) -> None:
    """To somebody at a terminal, where silence would look like a program that hangs; a login's start says nothing."""
    if stream is not None and stream.isatty():  # None: a windowed program of Windows has no streams
        where = ": look for its icon, or see:" if tray else ". See:"
        print(f"Amberlight is running{where} amberlight list. Ctrl-C ends it.", file=stream)


@contextlib.contextmanager
def only_one(paths: Paths) -> Iterator[None]:
    """The instance lock; the kernel releases it with the process. Raises `AlreadyRunning`."""
    if sys.platform == "win32":
        from filelock import FileLock, Timeout

        lock = FileLock(paths.lock_file, mode=0o600)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise AlreadyRunning from None
        try:
            yield
        finally:
            lock.release()
        return
    import fcntl  # as filelock does it here, without the 9 ms that its import takes before the icon

    handle = os.open(paths.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning from None
        yield
    finally:
        os.close(handle)


def _configuration(paths: Paths, environ: Mapping[str, str]) -> Config:
    """What the files say now; the log follows them from here on. Raises `ConfigError`."""
    from trayapp.config.loader import load

    config = load(paths, environ)
    from_now_on(config.settings.log_level)
    return config


def _no_core_dumps() -> None:
    """A core dump would hold every token (SECURITY.md 24)."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _leave(code: int) -> None:
    """Do not wait for a thread that hangs in the resolver or the keyring: all that matters is stored by now."""
    until = time.monotonic() + LAST_WORDS
    while any(_holds(thread) for thread in threading.enumerate()):
        if time.monotonic() > until:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        time.sleep(0.02)


def _holds(thread: threading.Thread) -> bool:
    return thread is not threading.current_thread() and not thread.daemon and thread.is_alive()
