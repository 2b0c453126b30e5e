"""Start Amberlight in the background when a client needs it: once, detached, and never after *Quit*.

Who chose *Quit* meant it until the next login: the app leaves a marker then, which a start by hand removes. The new process
belongs to no client: its own session, no descriptors, an environment made from a list, its output in a file of its own.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from trayapp.autostart.command import CannotStartError, login_command
from trayapp.config.paths import Paths
from trayapp.config.quit_marker import is_quit
from trayapp.server.instance import AlreadyRunning, holder, instance_lock, is_held
from trayapp.system import session_bus
from trayapp.system.private_files import NotPrivateError, open_private, private_directory

STARTING = "Amberlight is starting."
AGAIN = 30.0  # s between two starts
HOLD = 10.0  # s that other clients leave the start to this one
ASK_LIMIT = 2.0  # s for `systemctl`, which takes milliseconds

# What a login would have: where files are, how to reach the desktop, the language, the way to the internet. Not what a
# client adds: its keys, its PATH of packages, its Python's or Node's settings.
KEPT = frozenset(
    {
        *("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "DESKTOP_SESSION"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "APPIMAGE"),
        *("SYSTEMROOT", "WINDIR", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "TEMP", "TMP", "APPDATA", "LOCALAPPDATA"),
        *("PROGRAMDATA", "PROGRAMFILES", "ALLUSERSPROFILE", "USERPROFILE", "USERNAME", "USERDOMAIN", "HOMEDRIVE"),
        *("HOMEPATH", "COMPUTERNAME", "BROWSER"),
    }
)
KEPT_PREFIXES = ("XDG_", "LC_", "AMBERLIGHT_")
ASKED_FOR = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "XDG_DATA_DIRS")


class Starter:
    """Starts the app of these paths. `command` in place of the installed program's is for tests."""

    def __init__(self, paths: Paths, command: Sequence[str] | None = None) -> None:
        self._paths = paths
        self._command = command
        self._started_at = float("-inf")
        self._process: subprocess.Popen[bytes] | None = None
        self._failed = ""
        self._lock = threading.Lock()

    def ensure(self) -> tuple[bool, str]:
        """Start it if that is needed and allowed. Whether waiting is worthwhile, and a sentence about it."""
        with self._lock:
            if is_held(self._paths.lock_file):
                running = holder(self._paths.lock_file)
                if running is not None and running.problem:
                    return False, f"Amberlight can't be reached: {running.problem}"
                return True, STARTING
            if is_quit(self._paths):
                return False, "Amberlight was quit. To start it, run `amberlight run`."
            if self._process is not None and (code := self._process.poll()) not in (None, 0):
                log = self._paths.background_log_file
                self._failed = f"Amberlight couldn't start (exit code {code}). See {log}."
                self._process = None
            if time.monotonic() - self._started_at < AGAIN:
                return not self._failed, self._failed or STARTING
            self._started_at, self._failed = time.monotonic(), ""
            self._failed = self._start()
            return not self._failed, self._failed or STARTING

    def _start(self) -> str:
        """Begin the start, unless another client's bridge has; empty, or what is wrong."""
        begun = threading.Event()
        problem: list[str] = []
        threading.Thread(target=self._hold, args=(begun, problem), name="start Amberlight", daemon=True).start()
        begun.wait(5)
        return "".join(problem)

    def _hold(self, begun: threading.Event, problem: list[str]) -> None:
        """Keep others from starting it, too, until it has its own lock; then wait for its end, so that it leaves no zombie."""
        try:
            private_directory(self._paths.state_dir)
            with instance_lock(self._paths.starting_lock_file):
                if not is_held(self._paths.lock_file):
                    self._process = process = self._spawn()
                    begun.set()
                    until = time.monotonic() + HOLD
                    while process.poll() is None and time.monotonic() < until and not is_held(self._paths.lock_file):
                        time.sleep(0.1)
            if self._process is not None:
                self._process.wait()
        except AlreadyRunning:
            pass  # another client's has begun
        except CannotStartError as error:
            problem.append(str(error))
        except (NotPrivateError, OSError) as error:
            said = f"{error.filename}: {error.strerror}." if isinstance(error, OSError) else str(error)
            problem.append(f"Amberlight couldn't start. {said}")
        finally:
            begun.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Raises `CannotStartError`, `NotPrivateError` or `OSError`."""
        command = list(self._command or login_command())
        env = environment(os.environ)
        command.append("--no-page")
        if sys.platform.startswith("linux") and not (env.get("DISPLAY") or env.get("WAYLAND_DISPLAY")):
            command.append("--no-tray")
        log = self._paths.background_log_file
        private_directory(log.parent)
        output = open_private(log, os.O_WRONLY | os.O_TRUNC)
        try:
            return _detached(command, output, env)
        finally:
            os.close(output)


# DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP: no console, and no Ctrl-C that was meant for the client. The last is
# CREATE_BREAKAWAY_FROM_JOB: some clients put what they start into a job, which takes everything in it along at its end.
_WINDOWS_FLAGS = (0x00000008 | 0x00000200 | 0x01000000, 0x00000008 | 0x00000200) if sys.platform == "win32" else (0,)


def _detached(command: Sequence[str], output: int, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Raises `OSError`."""
    for flags in _WINDOWS_FLAGS:
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=Path.home() if Path.home().is_dir() else "/",
                env=env,
                close_fds=True,
                start_new_session=True,
                creationflags=flags,
            )
        except PermissionError:  # a job that lets nobody go
            if flags == _WINDOWS_FLAGS[-1]:
                raise
    raise AssertionError


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of the app. Clients pass on little of theirs: where the desktop is, `systemd --user` may know."""
    allowed = {name for name in ours if name.upper() in KEPT or name.upper().startswith(KEPT_PREFIXES)}
    kept = {
        name: ours[name] for name in allowed - {"AMBERLIGHT_TOKEN"}
    }  # that is what `amberlight exec` gives a client
    if not sys.platform.startswith("linux"):
        return kept
    if "XDG_RUNTIME_DIR" not in kept and (directory := session_bus.runtime_dir()) is not None:
        kept["XDG_RUNTIME_DIR"] = str(directory)
    if not (kept.get("DISPLAY") or kept.get("WAYLAND_DISPLAY")):
        told = _of_systemd(kept)
        kept |= {name: told[name] for name in ASKED_FOR if name in told and name not in kept}
    return kept


def _of_systemd(env: Mapping[str, str]) -> dict[str, str]:
    """What `systemd --user` tells the programs that it starts."""
    if not Path(env.get("XDG_RUNTIME_DIR", "/nonexistent"), "systemd", "private").exists():
        return {}
    with contextlib.suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        shown = subprocess.run(
            ["systemctl", "--user", "show-environment"],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=ASK_LIMIT,
            check=True,
            encoding="utf-8",
        )
        pairs = (line.partition("=")[::2] for line in shown.stdout.splitlines())
        return {name: value for name, value in pairs if value and not value.startswith("$'")}
    return {}
