"""activity.db: which client used which workload, for seven days. Nothing else depends on it.

`record` is called for each request, so it does nothing but keep it; a timer that only runs while something waits has
what came together written, in a thread of its own. What doesn't fit any more is dropped and counted. What is written
has been cleaned by `core/activity.py` before. A damaged file is deleted and a new one started; so is one that is not
wanted any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from trayapp.core.activity import Request, Use, use_of
from trayapp.storage.database import Transaction, files_of, open_private_database
from trayapp.system.private_files import NotPrivateError
from trayapp.system.worker import ClosedError, Worker

RETENTION = 7 * 86400.0  # s
ROWS_MAX = 50_000
BYTES_MAX = 16 << 20  # of the file, whatever the rows hold
WAITING_MAX = 2000  # requests that are not written yet; 400 a second may come for as long as they like
WRITE_AFTER = 5.0  # s from a request to its writing
PURGE_EVERY = 3600.0  # s, while nothing is written
VERSION = 1  # PRAGMA user_version

_COLUMNS = ", ".join(field.name for field in fields(Use))
_SCHEMA = (
    "CREATE TABLE use (id INTEGER PRIMARY KEY, at REAL NOT NULL, workload TEXT NOT NULL, client TEXT NOT NULL,"
    " client_version TEXT NOT NULL, via TEXT NOT NULL, mcp INTEGER NOT NULL, method TEXT NOT NULL, target TEXT NOT NULL,"
    " status INTEGER, served INTEGER NOT NULL, duration REAL NOT NULL)"
)
_FAULTS = (sqlite3.Error, OSError, NotPrivateError)

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UseQuery:
    """Which rows are wanted: of this workload and client (empty: of any), begun since, before the row of this id."""

    workload: str = ""
    client: str = ""
    since: float = 0.0  # wall
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class ClientUse:
    """How often a client used a workload, and when last (wall)."""

    client: str
    via: str
    workload: str
    count: int
    at: float


class Activity:
    """Belongs to the server's loop. `file` None: nothing outlives the run, and nothing is recorded.

    `written` is called when rows were added.
    """

    def __init__(
        self,
        file: Path | None,
        written: Callable[[], None] = lambda: None,
        now_wall: Callable[[], float] = time.time,
    ) -> None:
        self._file = file
        self._written = written
        self._now_wall = now_wall
        self._worker = Worker("activity")
        self._waiting: list[Request] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._db: sqlite3.Connection | None = None
        self._fault = ""
        self._purge_at: float | None = None
        self.recording = False
        self.dropped = 0  # requests, in this run

    # --- recording ---------------------------------------------------------------------------------------------------

    def takes(self) -> bool:
        """Whether there is room for another request; else it is counted, and nothing need be found out about it."""
        if self.recording and len(self._waiting) >= WAITING_MAX:
            self.dropped += 1
            return False
        return self.recording

    def record(self, request: Request) -> None:
        """Have a request written soon."""
        if not self.recording:
            return
        if len(self._waiting) >= WAITING_MAX:
            self.dropped += 1
            return
        self._waiting.append(request)
        if self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_AFTER, self._write_soon)

    async def switch(self, on: bool) -> None:
        """Record from now on; or not, and delete what was recorded."""
        on = on and self._file is not None
        if on == self.recording and (on or not self._exists()):
            return
        self.recording = on
        if not on:
            await self.clear()

    def passes(self, at: float) -> bool:
        """Whether it is time for `purge`, at this monotonic second: what is kept must not grow old while nobody writes."""
        if self._purge_at is None:
            self._purge_at = at + PURGE_EVERY
        due = at >= self._purge_at and self._file is not None
        if due:
            self._purge_at = at + PURGE_EVERY
        return due

    async def purge(self) -> None:
        """Delete what is too old."""
        if self._exists():
            await self._job(lambda db: self._trim(db), None)

    def _write_soon(self) -> None:
        self._timer = None
        self._writing = asyncio.get_running_loop().create_task(self.flush(), name="write activity")
        self._writing.add_done_callback(self._has_written)

    def _has_written(self, task: asyncio.Task[None]) -> None:
        """What came meanwhile has its own time: a disk that hangs has one write waiting for it, not many."""
        self._writing = None
        if self._waiting and self._timer is None and not task.cancelled():
            self._timer = asyncio.get_running_loop().call_later(WRITE_AFTER, self._write_soon)

    async def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        if await self._job(lambda db: self._insert(db, rows), False, create=True):
            self._written()
        else:
            self.dropped += len(rows)

    # --- reading and deleting ----------------------------------------------------------------------------------------

    async def read(self, query: UseQuery) -> tuple[list[tuple[int, Use]], bool]:
        """The rows, newest first, each with its id; and whether there are more."""
        await self.flush()
        if not self._exists():
            return [], False
        oldest = max(query.since, self._now_wall() - RETENTION)
        sql = (
            f"SELECT id, {_COLUMNS} FROM use WHERE at >= ?1 AND (?2 = '' OR workload = ?2) AND (?3 = '' OR client = ?3)"  # noqa: S608 - our own words
            " AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5"
        )
        values = (oldest, query.workload, query.client, query.before, query.limit + 1)
        rows: list[tuple[Any, ...]] = await self._job(lambda db: db.execute(sql, values).fetchall(), [])
        return [(row[0], _use(row[1:])) for row in rows[: query.limit]], len(rows) > query.limit

    async def clients(self, workload: str = "") -> list[ClientUse]:
        """Which clients used which workloads, the latest first."""
        await self.flush()
        if not self._exists():
            return []
        sql = (
            "SELECT client, via, workload, count(*), max(at) FROM use WHERE at >= ?1 AND (?2 = '' OR workload = ?2)"
            " GROUP BY client, via, workload ORDER BY max(at) DESC LIMIT 500"
        )
        values = (self._now_wall() - RETENTION, workload)
        rows: list[tuple[Any, ...]] = await self._job(lambda db: db.execute(sql, values).fetchall(), [])
        return [ClientUse(*row) for row in rows]

    async def clear(self) -> None:
        """Delete everything that was recorded, and begin to count again."""
        self._waiting, self.dropped = [], 0
        with contextlib.suppress(ClosedError):
            await self._worker.run(self._delete)

    async def forget(self, workload: str) -> None:
        """Delete what was recorded of a workload."""
        await self.flush()
        if self._exists():
            await self._execute("DELETE FROM use WHERE workload = ?", workload)

    async def rename(self, workload: str, new: str) -> None:
        """A workload has another name."""
        await self.flush()
        if self._exists():
            await self._execute("UPDATE use SET workload = ? WHERE workload = ?", new, workload)

    async def close(self) -> None:
        """Write what waits and close the file."""
        await self.flush()
        if self._db is not None:
            with contextlib.suppress(ClosedError):
                await self._worker.run(self._close)
        await self._worker.close()

    async def _execute(self, sql: str, *values: str) -> None:
        await self._job(lambda db: db.execute(sql, values).close(), None)

    # --- in the thread -----------------------------------------------------------------------------------------------

    async def _job(self, work: Callable[[sqlite3.Connection], T], otherwise: T, *, create: bool = False) -> T:
        """In the thread; `otherwise` if the file can't be used, or is gone by then and isn't to be created."""
        try:
            return await self._worker.run(
                lambda: self._guarded(work, otherwise) if create or self._exists() else otherwise
            )
        except ClosedError:
            return otherwise

    def _guarded(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        try:
            try:
                result = work(self._open())
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # a full disk, or one that can't be written
                    raise
                self._delete()
                result = work(self._open())
        except _FAULTS as error:
            self._close()
            if str(error) != self._fault:
                self._fault = str(error)
                log.warning("the activity can't be recorded: %s", error)
            return otherwise
        self._fault = ""
        return result

    def _insert(self, db: sqlite3.Connection, requests: Sequence[Request]) -> bool:
        rows = [astuple(use_of(request)) for request in requests]
        marks = ", ".join("?" for _ in fields(Use))
        with Transaction(db):
            db.executemany(f"INSERT INTO use ({_COLUMNS}) VALUES ({marks})", rows)  # noqa: S608 - our own words
            self._trim(db)
        return True

    def _trim(self, db: sqlite3.Connection) -> None:
        """Delete what is too old, and the oldest of what is too much."""
        db.execute("DELETE FROM use WHERE at < ?", (self._now_wall() - RETENTION,))
        db.execute("DELETE FROM use WHERE id <= (SELECT max(id) FROM use) - ?", (ROWS_MAX,))
        (pages,), (free,), (size,) = (
            db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > BYTES_MAX:
            db.execute(
                "DELETE FROM use WHERE id IN (SELECT id FROM use ORDER BY id LIMIT (SELECT count(*) / 4 FROM use))"
            )

    def _open(self) -> sqlite3.Connection:
        if self._db is not None:
            return self._db
        if self._file is None:
            raise FileNotFoundError
        self._db = open_private_database(self._file, _prepare)
        return self._db

    def _exists(self) -> bool:
        return self._db is not None or (self._file is not None and self._file.exists())

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()

    def _delete(self) -> None:
        self._close()
        for file in () if self._file is None else files_of(self._file):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                log.warning("the activity can't be deleted: %s", error)


def _prepare(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    tables = [sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")]
    if version not in (0, VERSION) or tables not in ([], [_SCHEMA]) or (version and not tables):
        raise sqlite3.DatabaseError("its table isn't ours")
    if not tables:
        db.execute("PRAGMA auto_vacuum = FULL")  # what is deleted leaves the disk
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "cache_size = -128", "secure_delete = ON"):
        db.execute(f"PRAGMA {pragma}")
    if not tables:
        with Transaction(db):
            db.execute(_SCHEMA)
            db.execute(f"PRAGMA user_version = {VERSION}")


def _use(row: Sequence[Any]) -> Use:
    use = Use(*row)
    return replace(use, mcp=bool(use.mcp), served=bool(use.served))  # SQLite knows no booleans
