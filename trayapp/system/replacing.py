"""Replacing and removing files that another program may have open, which Windows refuses for as long as it has.

Virus scanners, indexers, backups and editors open a file for milliseconds. So a refusal is waited out, but not for long: then
the error says what is wrong with which file. Elsewhere an open file can be replaced, and no refusal of Windows occurs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

IN_USE = "another program has it open"
WAITS = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.15,
    0.3,
    0.4,
)  # s between two tries, a second in all: the engine's loop may wait for this
# <winerror.h>: ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION, ERROR_USER_MAPPED_FILE. The first is also
# what a read-only file or a missing right gives, and what a file gives that is being deleted.
_DENIED, _SHARING, _LOCKED, _MAPPED = 5, 32, 33, 1224
_REFUSALS = frozenset({_DENIED, _SHARING, _LOCKED, _MAPPED})


def replace(draft: Path, path: Path, move: Callable[[Path, Path], None] = os.replace) -> None:
    """Put `draft` in the place of `path`. Raises `OSError`, which names `path`."""
    _patiently(path, lambda: move(draft, path))


def remove(path: Path, delete: Callable[[Path], None] = os.unlink) -> None:
    """Remove a file. Raises `FileNotFoundError` or another `OSError`."""
    _patiently(path, lambda: delete(path))


def _patiently(path: Path, work: Callable[[], None]) -> None:
    for wait in (*WAITS, None):
        try:
            return work()
        except OSError as error:
            code = getattr(error, "winerror", None)
            if code not in _REFUSALS or (code == _DENIED and not _can_be_replaced(path)):
                raise
            if wait is None:
                raise PermissionError(error.errno, IN_USE, str(path)) from None
        time.sleep(wait)
    return None


def _can_be_replaced(path: Path) -> bool:
    """Whether nothing about the file itself explains a refusal, so that waiting may help."""
    try:
        return not path.is_dir() and os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))
    except OSError:  # it is being deleted
        return True
