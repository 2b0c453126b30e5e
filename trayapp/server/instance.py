"""The one running app of a user: it holds a lock, and the lock file says which process it is and where to find it.

`server.json` is in a runtime directory, which another login may not share, and which cleaners empty. The lock file is in
the state directory, which stays. So a command finds the app by the lock, and nobody is told that none runs while one
does. On Windows nobody else can read what is locked, so there a byte far behind the text is.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trayapp.system.plain_files import within
from trayapp.system.private_files import open_private

TRIES = 4  # of taking the lock: a command that looks whether it is held, holds it itself for a moment
TRIES_APART = 0.05  # s
LOOK_LIMIT = 2.0  # s for a look at the lock file: the home may be on a network share that is gone
LOCKED_BYTE = 1 << 30  # on Windows; no file of ours is that long, and a byte needn't be there to be locked
_FILE_MAX = 8192  # bytes; a path has at most 4,096


class AlreadyRunning(Exception):  # noqa: N818 - says what happened
    """Another Amberlight of this user holds the instance lock."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that runs, and the directory of its `server.json`; `problem` says why there is none."""

    pid: int
    runtime_dir: Path
    problem: str = ""


class InstanceLock:
    """The lock, while it is held."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def announce(self, runtime_dir: Path, problem: str = "") -> None:
        """Write into the lock file where this process's `server.json` is, or why there is none. Raises `OSError`."""
        text = f"{os.getpid()}\n{runtime_dir}\n\0{problem}".encode("utf-8", "surrogateescape")
        os.ftruncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        os.write(self._handle, text)


@contextlib.contextmanager
def instance_lock(file: Path) -> Iterator[InstanceLock]:
    """Hold the lock; the kernel releases it with the process. Raises `AlreadyRunning`, `NotPrivateError` or `OSError`."""
    handle = open_private(file, os.O_RDWR)
    try:
        for left in reversed(range(TRIES)):
            try:
                _lock(handle)
                break
            except BlockingIOError:
                if not left:
                    raise AlreadyRunning from None
                time.sleep(TRIES_APART)
        try:
            yield InstanceLock(handle)
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)  # nobody runs any more
    finally:
        os.close(handle)


def holder(file: Path) -> Holder | None:
    """Who says in the lock file that it runs; None if nobody does, if its process is gone, or if the disk isn't
    responding."""
    try:
        pid, _, place = within(file, lambda: _contents(file), LOOK_LIMIT).partition(b"\n")
    except OSError:
        return None
    name, _, problem = place.partition(b"\0")
    directory = Path(os.fsdecode(name.removesuffix(b"\n")))
    if not pid.isdigit() or not directory.is_absolute() or not process_exists(int(pid)):
        return None
    return Holder(int(pid), directory, problem.decode("utf-8", "replace"))


def is_held(file: Path) -> bool:
    """Whether an app holds the lock, whatever the file says."""
    try:
        within(file, lambda: _try(file), LOOK_LIMIT)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _contents(file: Path) -> bytes:
    with contextlib.closing(_Reading(file)) as reading:
        return os.read(reading.handle, _FILE_MAX)


def _try(file: Path) -> None:
    """Raises BlockingIOError if somebody holds the lock."""
    with contextlib.closing(_Reading(file)) as reading:
        _lock(reading.handle, shared=True)


def _lock(handle: int, *, shared: bool = False) -> None:
    """Lock the file until it is closed; raises BlockingIOError if somebody holds it."""
    if sys.platform == "win32":
        from trayapp.system.windows_locks import lock_byte

        lock_byte(handle, LOCKED_BYTE, shared=shared)
        return
    import fcntl  # what filelock does here too, without the 9 ms that importing it takes before the icon

    fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


class _Reading:
    """The lock file, opened without waiting and not through a link."""

    def __init__(self, file: Path) -> None:
        self.handle = os.open(
            file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )

    def close(self) -> None:
        os.close(self.handle)


def process_exists(pid: int) -> bool:
    """Whether the process exists."""
    if sys.platform == "win32":  # where signal 0 means Ctrl-C
        from trayapp.system import windows_processes

        return windows_processes.exists(pid)
    if pid <= 0:
        return False  # os.kill would take it for a process group
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True
