"""SQLite files of our own: private, each with the two that SQLite puts beside it, and explicit transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from trayapp.system.private_files import open_private, private_directory, private_file

TAILS = ("", "-wal", "-shm")  # what SQLite adds to a file's name
BUSY_TIMEOUT = 5.0  # s to wait while another process, such as a backup, reads the file


def files_of(path: Path) -> tuple[Path, ...]:
    """The file and those that SQLite keeps beside it, there or not; in the order of `TAILS`."""
    return tuple(path.with_name(path.name + tail) for tail in TAILS)


def open_private_database(
    path: Path, prepare: Callable[[sqlite3.Connection], None], timeout: float = BUSY_TIMEOUT
) -> sqlite3.Connection:
    """Open the file, created if it is missing. Raises what `prepare` raises, `sqlite3.Error`, `OSError` or
    `NotPrivateError`, and leaves nothing open then."""
    private_directory(path.parent)
    for name in files_of(path):
        private_file(name)
    os.close(open_private(path, os.O_WRONLY))  # SQLite gives its two other files the mode of this one
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None)
    try:
        prepare(db)
    except BaseException:
        db.close()
        raise
    return db


class Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK. `sqlite3`'s own context manager relies on implicit transactions."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK")
