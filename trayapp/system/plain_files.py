"""Reading files whose path comes from a person: only plain ones, never longer than a limit, however the path was made.

A FIFO makes `open` wait for a writer, a device can do anything when it is opened, and a network share that is gone makes
even `stat` wait without end. So a file is looked at before it is opened, opened without waiting, and looked at again;
and whoever can't wait runs all of it within a time limit (`within`), or in a `Worker` that has one. What goes wrong is
an `OSError` whose `strerror` completes "FILE cannot be read: …".
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

if sys.platform == "win32":
    from trayapp.system.windows_open import open_for_reading

T = TypeVar("T")

READ_LIMIT = 5.0  # s for opening and reading one small file; a healthy disk takes milliseconds
NOT_RESPONDING = "its disk or network share isn't responding"
_LEASE_POLL = 0.05  # s between two tries while another program has to give up its lease on the file
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_DEVICE = "it's a device, not a file"
_KINDS = (
    (stat.S_ISDIR, "it's a directory"),
    (stat.S_ISFIFO, "it's a named pipe, not a file"),
    (stat.S_ISSOCK, "it's a socket, not a file"),
    (stat.S_ISCHR, _DEVICE),
    (stat.S_ISBLK, _DEVICE),
)


class NotPlainError(OSError):
    """There is something at the path, but not a plain file."""


class NotRespondingError(OSError):
    """The file system did not answer within the limit."""


def read_plain(path: Path, size_max: int, *, follow: bool = True) -> bytes:
    """The content of a plain file, at most `size_max + 1` bytes of it, so that a longer one shows. Raises `OSError`.

    Without `follow` a symbolic link is an error. May take as long as the file system does: see `within`.
    """
    with open(open_plain(path, follow=follow), "rb") as file:
        return file.read(size_max + 1)


def open_plain(path: Path, flags: int = 0, *, follow: bool = True) -> int:
    """A descriptor of a plain file; with `flags`, for more than reading, and perhaps made (mode 0600). Raises `OSError`."""
    if not follow:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        found = path.stat(follow_symlinks=follow)
    except OSError as error:
        if not (flags & os.O_CREAT and isinstance(error, FileNotFoundError)):
            # Python's words for the number: Windows' own are whole sentences, in the user's language.
            raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from None
    else:
        check_plain(path, found)  # merely opening a device can do something
    descriptor = _open(path, flags)
    try:
        check_plain(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_directory(path: Path) -> bool:
    """Whether there is a directory that we may see. `Path.is_dir` raises for some of the others, depending on Python."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def check_plain(path: Path, found: os.stat_result) -> None:
    """Raise `NotPlainError` for anything but a plain file."""
    if stat.S_ISREG(found.st_mode):
        return
    if stat.S_ISLNK(found.st_mode):
        raise NotPlainError(errno.ELOOP, "it's a symbolic link", str(path))
    reason = next((reason for is_kind, reason in _KINDS if is_kind(found.st_mode)), "it isn't a regular file")
    raise NotPlainError(errno.EINVAL, reason, str(path))


def within(path: Path, work: Callable[[], T], limit: float = READ_LIMIT) -> T:
    """What `work` returns or raises; `NotRespondingError` for `path` if it takes longer than `limit` seconds.

    For code that has no loop. The thread that hangs is left behind and keeps nobody from ending. Code that comes again
    and again uses one `Worker`, so that only one thread hangs.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def job() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller, not to this thread
            errors.append(error)

    thread = threading.Thread(target=job, name=f"read {path.name}", daemon=True)
    thread.start()
    thread.join(limit)
    if errors:
        raise errors[0]
    if not results:
        raise not_responding(path)
    return results[0]


def not_responding(path: Path) -> NotRespondingError:
    """The error for a file system that hangs."""
    return NotRespondingError(errno.ETIMEDOUT, NOT_RESPONDING, str(path))


def _open(path: Path, flags: int) -> int:
    """Open without waiting. A file on which another program holds a lease (a file server) is free soon."""
    until = time.monotonic() + READ_LIMIT
    while True:
        try:
            if sys.platform == "win32" and not flags:
                return open_for_reading(path)
            return os.open(path, _OPEN | flags, 0o600)
        except BlockingIOError:
            if time.monotonic() > until:
                raise not_responding(path) from None
            time.sleep(_LEASE_POLL)
