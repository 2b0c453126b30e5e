"""state.db: saved state, open intents, history and timeline, in SQLite. Losing it loses no login.

Failures are logged, never raised. All access is in one thread, with write-ahead log and synchronous FULL: when `intent`
returns True, it is on the disk. What waits together is written in one transaction, as the disk takes a millisecond or
more for each: a thousand workloads that start together would otherwise wait for seconds. A damaged file is moved aside
and a new one started. It holds no secret: fingerprints, times and texts only.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from trayapp.core.messages import Note
from trayapp.core.model import Login, Saved
from trayapp.storage import rows
from trayapp.storage.database import TAILS, Transaction, files_of, open_private_database
from trayapp.system.private_files import NotPrivateError
from trayapp.system.worker import ClosedError, Worker

log = logging.getLogger(__name__)

T = TypeVar("T")

VERSION = 2  # PRAGMA user_version
RETENTION = 30 * 86400.0  # s of history
PRUNE_EVERY = 86400.0  # s
CACHE = 256  # KB of pages; SQLite's 2 MB would fill up with history that nobody reads
TOGETHER = 500  # jobs of one transaction at most: about 10 ms
BUSY_TIMEOUT = 2.0  # s to wait while another process, such as a backup, reads the file; every attempt waits for it

SCHEMA = (
    "CREATE TABLE workload (name TEXT PRIMARY KEY, generation INTEGER, state TEXT NOT NULL DEFAULT '{}')",
    "CREATE TABLE intent (name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, lineage TEXT NOT NULL,"
    " generation INTEGER NOT NULL, attempt INTEGER NOT NULL, sent_at REAL NOT NULL)",
    "CREATE TABLE history (id INTEGER PRIMARY KEY, wall REAL NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL,"
    " outcome TEXT NOT NULL, trigger TEXT NOT NULL, problem_kind TEXT, http_status INTEGER, code TEXT, summary TEXT,"
    " status TEXT NOT NULL, detail TEXT NOT NULL)",
    "CREATE INDEX history_by_name ON history (name, wall)",
    "CREATE INDEX history_by_wall ON history (wall)",
)
TIMELINE_SCHEMA = (  # since version 2; see `timeline.py`
    "CREATE TABLE segment (id INTEGER PRIMARY KEY, name TEXT NOT NULL, wall REAL NOT NULL, status TEXT NOT NULL,"
    " colour TEXT NOT NULL, glyph TEXT NOT NULL, detail TEXT NOT NULL, text TEXT NOT NULL)",
    "CREATE INDEX segment_by_name ON segment (name, wall)",
    "CREATE TABLE gap (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, began REAL NOT NULL, ended REAL)",
)


class _DamagedError(Exception):
    """The file isn't a database of ours."""


class _ApartError(Exception):
    """A statement failed for reasons of its own, so those that came with it have to be executed without it."""


@dataclass(slots=True, eq=False)
class _Job:
    """Work for the journal's thread and, later, its result. `joins`: it may share a transaction with its neighbours."""

    work: Callable[[sqlite3.Connection], Any]
    otherwise: Any
    writes: bool
    joins: bool
    result: Any = None
    error: Exception | None = None
    done: bool = False


class Journal:
    """state.db (`ports.Journal`). Opened at first use, in a thread of its own."""

    def __init__(self, path: Path, now_wall: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now_wall = now_wall
        self._worker = Worker("journal")
        self._jobs: deque[_Job] = deque()  # in their order, each with a turn of the worker
        self._db: sqlite3.Connection | None = None
        self._pruned_at: float | None = None
        self._fault = ""

    async def load(self, name: str) -> Saved:
        """The saved state and the open intent of a workload; empty if nothing can be read."""
        saved: Saved = await self._job(_Job(lambda db: rows.load(db, name), Saved(), writes=False, joins=True))
        return saved

    async def intent(self, name: str, login: Login, attempt: int, wall: float) -> bool:
        """Record durably that this token is about to be sent; False if that failed (RULES.md section 4, step 2)."""
        row = (name, login.fingerprint(), login.lineage, login.generation, attempt, wall)
        return await self._write(("INSERT OR REPLACE INTO intent VALUES (?, ?, ?, ?, ?, ?)", row))

    async def close_intent(self, name: str, fingerprint: str, generation: int | None = None) -> None:
        """Close the intent of `fingerprint` and, in the same transaction, record the current generation."""
        closing = ("DELETE FROM intent WHERE name = ? AND fingerprint = ?", (name, fingerprint))
        if generation is None:
            await self._write(closing)
        else:
            await self._write(
                (
                    "INSERT INTO workload (name, generation) VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET generation = excluded.generation",
                    (name, generation),
                ),
                closing,
            )

    async def save(self, name: str, saved: Saved) -> None:
        """Save everything except the open intent, which has a table of its own."""
        state = {key: value for key, value in asdict(saved).items() if value and not key.startswith("open_")}
        await self._write(
            (
                "INSERT INTO workload (name, state) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET state = excluded.state",
                (name, json.dumps(state)),
            )
        )

    async def note(self, name: str, wall: float, note: Note, status: str, detail: str) -> None:
        """Append a row of history."""
        problem = note.problem
        columns = (problem.kind, problem.http_status, problem.code, problem.summary) if problem else (None,) * 4
        row = (wall, name, note.kind, note.outcome, note.trigger, *columns, status, detail)
        sql = f"INSERT INTO history ({rows.HISTORY_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        await self._write((sql, row))

    async def forget(self, name: str) -> None:
        """Delete everything about a workload, its history included."""
        await self._write(*((f"DELETE FROM {table} WHERE name = ?", (name,)) for table in _TABLES_BY_NAME))  # noqa: S608

    async def rename(self, name: str, new: str, *, resume: bool) -> None:
        """Give everything about a workload another name; with `resume` it is no longer paused. May be repeated."""
        await self._job(_Job(lambda db: rows.rename(db, name, new, resume=resume), None, writes=True, joins=True))

    async def undeleted(self) -> dict[str, str]:
        """By name, what was saved as `discard`; empty if nothing can be read."""
        return await self.run(rows.undeleted, {})

    async def history(self, name: str, since_wall: float) -> list[rows.HistoryRow]:
        """The history since `since_wall`, oldest first."""
        return await self.run(lambda db: rows.history(db, name, since_wall), [])

    async def status(self) -> str | None:
        """What is wrong with state.db, in one sentence; None if nothing is."""
        await self.run(lambda db: db.execute("SELECT 1").fetchone(), None)
        return self._fault or None

    async def close(self) -> None:
        """Finish queued work and close the file."""
        try:
            await self._worker.run(self._close_db)
        except ClosedError:
            return
        await self._worker.close()

    # --- in the journal's thread -------------------------------------------------------------------------------------

    async def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> bool:
        """Execute all statements in one transaction; whether they are on the disk."""

        def work(db: sqlite3.Connection) -> bool:
            for sql, values in statements:
                db.execute(sql, values)
            return True

        return bool(await self._job(_Job(work, False, writes=True, joins=True)))

    async def run(self, work: Callable[[sqlite3.Connection], T], otherwise: T, *, writes: bool = False) -> T:
        """Run `work` in the journal's thread; returns `otherwise` if the file can't be used."""
        result: T = await self._job(_Job(work, otherwise, writes, joins=False))
        return result

    async def _job(self, job: _Job) -> Any:
        self._jobs.append(job)
        try:
            await self._worker.run(lambda: self._serve_until(job))
        except ClosedError:
            with suppress(ValueError):
                self._jobs.remove(job)
            return job.otherwise
        if job.error is not None:
            raise job.error
        return job.result

    def _serve_until(self, job: _Job) -> None:
        """Do the waiting jobs in their order until this one is done, which may already have been done with others."""
        while not job.done:
            batch = [self._jobs.popleft()]
            while batch[0].joins and len(batch) < TOGETHER and self._jobs and self._jobs[0].joins:
                batch.append(self._jobs.popleft())
            try:
                self._serve(batch)
            except _ApartError:
                for each in batch:
                    self._serve([each])

    def _serve(self, batch: Sequence[_Job]) -> None:
        """Do these jobs, several in one transaction. Raises `_ApartError` if one of several must not be among them."""

        def work(db: sqlite3.Connection) -> list[Any]:
            try:
                together = batch[0].joins and any(job.writes for job in batch)
                with Transaction(db) if together else nullcontext():
                    return [job.work(db) for job in batch]
            except Exception as error:
                if len(batch) > 1 and not _is_of_the_file(error):
                    raise _ApartError from error
                raise

        otherwise = [job.otherwise for job in batch]
        try:
            results = self._guarded(work, otherwise, any(job.writes for job in batch))
        except _ApartError:
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to the caller
            results, batch[0].error = otherwise, error
        for job, result in zip(batch, results, strict=True):
            job.result, job.done = result, True

    def _guarded(self, work: Callable[[sqlite3.Connection], T], otherwise: T, writes: bool) -> T:
        try:
            try:
                result = work(self._open())
            except (sqlite3.Error, _DamagedError) as error:
                if not _is_damage(error):
                    raise
                self._set_aside()
                result = work(self._open())
            self._prune()
        except (sqlite3.Error, OSError, NotPrivateError, _DamagedError) as error:
            self._record_fault(error)
            return otherwise
        if self._fault and writes:  # only a write proves recovery: a full disk can still be read
            log.info("%s can be written again.", self._path.name)
            self._fault = ""
        return result

    def _record_fault(self, error: Exception) -> None:
        """Log a new fault once. The connection is closed, because its state is unknown."""
        self._close_db()
        fault = str(error) if isinstance(error, NotPrivateError) else f"{self._path} can't be used: {error}"
        if fault != self._fault:
            self._fault = fault
            log.error("%s", fault)

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = open_private_database(self._path, _prepare, BUSY_TIMEOUT)
        return self._db

    def _close_db(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            try:
                db.close()
            except sqlite3.Error as error:
                log.debug("%s was not closed cleanly: %s", self._path.name, error)

    def _set_aside(self) -> None:
        """Move the damaged files aside for inspection, so that a new database is started."""
        self._close_db()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now_wall()))
        kept = _free(self._path.with_name(f"{self._path.name}.damaged-{stamp}"))
        for file, tail in zip(files_of(self._path), TAILS, strict=True):
            if file.exists():
                file.replace(kept.with_name(kept.name + tail))
        log.warning(
            "%s was damaged. It was moved to %s, and a new one was created. No login is lost.", self._path, kept.name
        )

    def _prune(self) -> None:
        now = self._now_wall()
        if self._db is None or (self._pruned_at is not None and 0 <= now - self._pruned_at < PRUNE_EVERY):
            return
        self._pruned_at = now
        old = (now - RETENTION,)
        self._db.execute("DELETE FROM history WHERE wall < ?", old)
        self._db.execute("DELETE FROM gap WHERE ended < ?", old)
        newest = "SELECT max(id) FROM segment GROUP BY name"  # the current state may be older than that
        self._db.execute(f"DELETE FROM segment WHERE wall < ? AND id NOT IN ({newest})", old)  # noqa: S608


def _free(path: Path) -> Path:
    """This path, or one with a number: damage may come twice in a second, and nothing set aside is lost."""
    free, number = path, 1
    while any(file.exists() for file in files_of(free)):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


_TABLES_BY_NAME = rows.TABLES_BY_NAME


def _prepare(db: sqlite3.Connection) -> None:
    """Check that the tables are ours and complete, or create them; nothing in the file is changed before that."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    fresh = version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone()
    if not fresh:
        found = {sql for (sql,) in db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
        whole = {*SCHEMA, *TIMELINE_SCHEMA} if version == VERSION else set(SCHEMA)
        if version not in (1, VERSION) or not found >= whole:
            raise _DamagedError(f"its tables aren't those of version {VERSION}")
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise _DamagedError("its pages contradict each other")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA cache_size = -{CACHE}")
    if version != VERSION:
        with Transaction(db):
            for statement in (*SCHEMA, *TIMELINE_SCHEMA) if fresh else TIMELINE_SCHEMA:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")


def _is_of_the_file(error: Exception) -> bool:
    """Whether file or disk are the reason, so that other statements fail as well."""
    return _is_damage(error) or isinstance(error, sqlite3.OperationalError | OSError)


def _is_damage(error: Exception) -> bool:
    """Whether a new file would help: not for a full disk, missing permissions or a busy file."""
    if isinstance(error, _DamagedError):
        return True
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
