"""Start the program: one instance, private files, no core dumps, a log, then `App` until somebody quits.

What is imported here is imported before the icon appears, so everything heavy is imported by `App`'s engine thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from trayapp.app import memory
from trayapp.app.app import App
from trayapp.app.logs import log_to_file, set_level
from trayapp.app.parts import Parts
from trayapp.config import quit_marker
from trayapp.config.paths import Paths
from trayapp.server.instance import AlreadyRunning, instance_lock
from trayapp.system import session_bus
from trayapp.system.file_limit import raise_file_limit
from trayapp.system.private_files import NotPrivateError, private_directory

if TYPE_CHECKING:
    from trayapp.app.control import AppControl
    from trayapp.config.loader import Config

log = logging.getLogger(__name__)

RUNNING = "Amberlight is already running."

THREADS_LIMIT = 1.0  # s for other threads to end; a name lookup at a dead resolver would hold the program up for ten


def run(
    paths: Paths,
    environ: Mapping[str, str],
    *,
    tray: bool,
    show_running: Callable[[], bool] = lambda: False,
    page: bool | None = False,
) -> int:
    """`amberlight run`. Exit code 1 with a sentence if another one runs or a directory can't be used.

    Who starts it a second time with an icon (a click in the desktop's menu) wants to see the first: `show_running` opens
    its dashboard and returns whether it could. `page` is what the command said about opening the set-up at the first start.
    """
    os.umask(0o077)
    _no_core_dumps()
    raise_file_limit()
    memory.single_heap()
    try:
        paths, moved = _with_runtime_dir(paths)
        paths.make()
        with instance_lock(paths.lock_file) as lock:
            if _lost_its_lock(paths):
                raise AlreadyRunning
            log_to_file(paths.log_file)
            quit_marker.clear(paths)
            if moved:
                log.warning("%s", moved)
            session_bus.address()  # found once before there are threads, as it changes the environment

            def started(control: AppControl) -> None:
                from trayapp.core.app_notices import problems

                memory.freeze_loaded()
                _greet(sys.stderr, problems(control.snapshot()), tray=tray)
                if page is not False:
                    from trayapp.app.first_page import open_set_up, this_start

                    open_set_up(control, paths.state_dir, this_start(environ, page), sys.stderr)

            parts = Parts(loading=memory.lean_imports, on_start=started, announce=lock.announce)
            code = App(paths, lambda: _load_configuration(paths, environ), parts).run(tray=tray)
    except AlreadyRunning:
        if tray and show_running():
            print(f"{RUNNING} Its dashboard opens in your browser.", file=sys.stderr)
            return 0
        print(f"{RUNNING} Look for its icon, or run `amberlight list`.", file=sys.stderr)
        return 1
    except NotPrivateError as error:
        print(f"Amberlight can't start. {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Amberlight can't use {error.filename or paths.state_dir}: {error.strerror}.", file=sys.stderr)
        return 1
    _wait_for_threads(code)
    return code


def _lost_its_lock(paths: Paths) -> bool:
    """Whether an app runs although the lock is free, because somebody has removed the file that it holds locked."""
    if not paths.server_file.exists():  # the usual case
        return False
    from trayapp.server.serverfile import is_served  # here, as its imports would delay the icon

    return is_served(paths.runtime_dir)


def _with_runtime_dir(paths: Paths) -> tuple[Paths, str]:
    """The paths, with another runtime directory if this one can't be used, and a sentence about that.

    After `su` the environment may name another user's; after a logout there may be none. Commands find the app by its
    lock.
    """
    try:
        private_directory(paths.runtime_dir)
    except (NotPrivateError, OSError) as error:
        said = f"{paths.runtime_dir}: {error.strerror}." if isinstance(error, OSError) else str(error)
        other = replace(paths, runtime_dir=paths.other_runtime_dir)
        return other, f"The runtime directory can't be used ({said}). Using {other.runtime_dir} instead."
    return paths, ""


def _greet(stream: TextIO | None, problems: Sequence[str] = (), *, tray: bool) -> None:
    """Print one line at a terminal, where silence would look like a hang, and everywhere what keeps clients away."""
    if stream is not None and stream.isatty():  # None: a windowed program on Windows has no streams
        look = "Look for its icon, or run" if tray else "Run"
        print(f"Amberlight is running. {look} `amberlight list`. To quit, press Ctrl-C.", file=stream)
    for problem in problems if stream is not None else ():
        print(f"amberlight: {problem}", file=stream)


def _load_configuration(paths: Paths, environ: Mapping[str, str]) -> Config:
    """Read the configuration files; the log follows their level from then on. Raises `ConfigError`."""
    from trayapp.config.loader import ConfigError, load

    try:
        config = load(paths, environ)
    except ConfigError as error:
        if error.good is not None:
            set_level(error.good.settings.log_level)
        raise
    set_level(config.settings.log_level)
    return config


def _no_core_dumps() -> None:
    """A core dump would hold every token (SECURITY.md 24)."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _wait_for_threads(code: int) -> None:
    """Exit without a thread that hangs in the resolver or the keyring: all that matters is stored by now."""
    until = time.monotonic() + THREADS_LIMIT
    while any(_delays_exit(thread) for thread in threading.enumerate()):
        if time.monotonic() > until:
            logging.shutdown()
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:  # a windowed program on Windows has none
                    with contextlib.suppress(OSError):
                        stream.flush()
            os._exit(code)
        time.sleep(0.02)


def _delays_exit(thread: threading.Thread) -> bool:
    """Whether Python would wait for this thread before it exits."""
    return thread is not threading.current_thread() and not thread.daemon and thread.is_alive()
