"""The lock that other programs take on a client's file: ToolHive has `FILE.lock` beside it while it edits."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from trayapp.clients.files import FileError

LIMIT = 10.0  # s; an edit takes milliseconds
_POLL = 0.05  # s between two tries


@contextlib.contextmanager
def others_lock(file: Path, limit: float = LIMIT, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Hold the lock of `file` if somebody has made one; none is made. Raises `FileError` if it isn't free within `limit` s.

    It is only locked, never written: other programs keep notes of their own in such a file.
    """
    lock = file.with_name(f"{file.name}.lock")
    descriptor = _opened(lock)
    if descriptor is None:
        yield
        return
    try:
        until = clock() + limit
        while not _locked(descriptor):
            if clock() > until:
                raise FileError(f"{file} is locked by another program ({lock.name}); try again when it is done")
            time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)  # and the lock is free


def _opened(lock: Path) -> int | None:
    """A descriptor of a plain file; None if there is none. Windows locks need another call, and no other program's is known."""
    if sys.platform == "win32":
        return None
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    return descriptor


def _locked(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
