"""state.db: durable when it says so, and no damage to it raises or costs a login."""

from __future__ import annotations

import _sqlite3
import asyncio
import ctypes
import logging
import os
import random
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.vault.keyrings import CANARY, login
from trayapp.core.messages import Note
from trayapp.core.model import Problem, Saved, SignedOut
from trayapp.engine.ports import Journal as JournalPort
from trayapp.storage.database import files_of
from trayapp.storage.journal import RETENTION, TOGETHER, Journal
from trayapp.storage.rows import HistoryRow

WALL = 1_800_000_000.0
PROBLEM = Problem("http", "a firewall page came instead of a token", http_status=403)
SAVED = Saved(
    retrying_since=WALL,
    counted=12.5,
    gave_up=True,
    signed_out=SignedOut.LOST_ROTATION,
    combination="f00d",
    lost_rotations=3,
    last_error=PROBLEM,
    last_refreshed_at=WALL - 60,
)

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
Open = Callable[..., Journal]


@pytest.fixture
async def open_journal(tmp_path: Path) -> AsyncIterator[Open]:
    """Journals that are closed at the end; the default one is state/state.db."""
    made: list[Journal] = []

    def make(path: Path | None = None, now: Callable[[], float] = lambda: WALL) -> Journal:
        made.append(Journal(path or tmp_path / "state" / "state.db", now))
        return made[-1]

    yield make
    for journal in made:
        await journal.close()


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Where the default journal is."""
    return tmp_path / "state" / "state.db"


async def test_what_was_saved_comes_back_in_the_next_run(open_journal: Open) -> None:
    """Every field of `Saved`, with its type; an unknown workload is an empty record."""

    journal = open_journal()
    await journal.save("gh", SAVED)
    await journal.close()

    again = open_journal()
    assert SAVED == await again.load("gh")
    assert Saved() == await again.load("other")
    await again.save("gh", Saved())
    assert Saved() == await again.load("gh")


async def test_an_intent_stands_until_its_fingerprint_is_closed(open_journal: Open) -> None:
    """Another token's closing does not touch it; closing it records the generation in the same transaction."""

    journal = open_journal()
    one, two = login(1), login(2)
    await journal.save("gh", SAVED)
    assert await journal.intent("gh", one, 7, WALL)
    assert one.fingerprint() == (await journal.load("gh")).open_intent
    await journal.close_intent("gh", two.fingerprint(), 9)
    assert one.fingerprint() == (await journal.load("gh")).open_intent

    await journal.close_intent("gh", one.fingerprint(), 2)
    assert SAVED == await journal.load("gh")
    assert await journal.intent("gh", two, 8, WALL)
    await journal.close_intent("gh", two.fingerprint())
    assert "" == (await journal.load("gh")).open_intent


async def test_a_saved_intent_is_what_the_intents_say(open_journal: Open) -> None:
    """Saving a record that names an intent does not open one."""

    journal = open_journal()
    await journal.save("gh", Saved(open_intent="stale"))

    assert Saved() == await journal.load("gh")


async def test_the_intent_and_the_generation_are_one_transaction(open_journal: Open, db: Path) -> None:
    """If the closing fails, the generation is not recorded either."""

    journal = open_journal()
    await journal.intent("gh", login(1), 1, WALL)
    await journal.close_intent("gh", login(1).fingerprint(), 1)
    await journal.intent("gh", login(1), 2, WALL)
    with closing(sqlite3.connect(db)) as other, other:
        other.execute("CREATE TRIGGER no BEFORE DELETE ON intent BEGIN SELECT RAISE(ABORT, 'no'); END")
    other.close()
    await journal.close_intent("gh", login(1).fingerprint(), 5)

    assert [(1,)] == _query(db, "SELECT generation FROM workload")
    assert login(1).fingerprint() == (await journal.load("gh")).open_intent


def _query(path: Path, sql: str) -> list[tuple[object, ...]]:
    db = sqlite3.connect(path)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.vault.keyrings import login
from trayapp.storage.journal import Journal

async def main():
    journal = Journal(Path(sys.argv[1]))
    assert await journal.intent("gh", login(1), 1, 1.0)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def _run_child(db: Path) -> int:
    root = str(ROOT)
    child = [sys.executable, "-c", CHILD, str(db)]
    return subprocess.run(child, env={**os.environ, "PYTHONPATH": root}, check=False, timeout=30).returncode


@posix
async def test_an_intent_survives_a_kill(open_journal: Open, db: Path) -> None:
    """When `intent` has returned True, SIGKILL does not undo it."""

    assert -9 == _run_child(db)
    assert login(1).fingerprint() == (await open_journal().load("gh")).open_intent


async def test_the_settings_that_make_it_durable_are_on(open_journal: Open, db: Path) -> None:
    """Write-ahead log, and FULL synchronisation on the connection that writes."""

    journal = open_journal()
    await journal.save("gh", SAVED)

    assert [("wal",)] == _query(db, "PRAGMA journal_mode")
    assert journal._db is not None
    assert (2,) == await journal.run(lambda db: db.execute("PRAGMA synchronous").fetchone(), None)


async def test_history_keeps_thirty_days(open_journal: Open) -> None:
    """Rows come back oldest first, by workload and time; older ones go at the start and once a day."""

    now = [WALL]
    journal = open_journal(now=lambda: now[0])
    assert await journal.status() is None
    await journal.note("gh", WALL - RETENTION - 5, Note("attempt", "not_sent"), "running", "ok")
    await journal.note("gh", WALL - 5, Note("attempt", "server_busy", "tick", PROBLEM), "auth_retrying", "retrying")
    await journal.note("gh", WALL - 9, Note("phase"), "running", "ok")
    await journal.note("other", WALL, Note("phase"), "running", "ok")
    old = HistoryRow(WALL - RETENTION - 5, "gh", "attempt", "not_sent", "", None, "running", "ok")
    rows = [
        HistoryRow(WALL - 9, "gh", "phase", "", "", None, "running", "ok"),
        HistoryRow(WALL - 5, "gh", "attempt", "server_busy", "tick", PROBLEM, "auth_retrying", "retrying"),
    ]
    assert [old, *rows] == await journal.history("gh", 0.0)
    assert rows[1:] == await journal.history("gh", WALL - 8)

    now[0] += 86_399.0
    assert 3 == len(await journal.history("gh", 0.0))
    now[0] += 1.0
    await journal.save("gh", Saved())
    assert rows == await journal.history("gh", 0.0)

    await journal.close()
    now[0] = WALL + RETENTION - 6
    again = open_journal(now=lambda: now[0])
    assert await again.status() is None
    assert rows[1:] == await again.history("gh", 0.0)


async def test_a_forgotten_workload_leaves_nothing(open_journal: Open, db: Path) -> None:
    """State, intent and history go; the others stay."""

    journal = open_journal()
    for name in ("gh", "other"):
        await journal.save(name, SAVED)
        await journal.intent(name, login(1), 1, WALL)
        await journal.note(name, WALL, Note("phase"), "running", "ok")
    await journal.forget("gh")

    for table in ("workload", "intent", "history"):
        assert [("other",)] == _query(db, f"SELECT name FROM {table}")


@pytest.mark.parametrize("resume", [False, True])
async def test_a_renamed_workload_keeps_what_is_known_of_it(open_journal: Open, db: Path, resume: bool) -> None:
    """State, intent and history; what was written under the new name meanwhile gives way. Twice is once."""

    journal = open_journal()
    await journal.save("gh", replace(SAVED, paused=True))
    await journal.intent("gh", login(1), 1, WALL)
    await journal.note("gh", WALL, Note("phase"), "running", "ok")
    await journal.save("new", Saved(lineage="nothing"))
    await journal.note("new", WALL, Note("phase"), "starting", "starting")
    for _ in range(2):
        await journal.rename("gh", "new", resume=resume)

    found = await journal.load("new")
    assert replace(SAVED, paused=not resume) == replace(found, open_intent="", open_generation=0)
    assert login(1).fingerprint() == found.open_intent
    assert Saved() == await journal.load("gh")
    assert ["running", "starting"] == [row.status for row in await journal.history("new", 0.0)]


async def test_no_secret_is_in_the_files(open_journal: Open, db: Path) -> None:
    """Fingerprints only, in the write-ahead log too."""

    journal = open_journal()
    await journal.intent("gh", login(1), 1, WALL)
    await journal.save("gh", SAVED)

    for file in db.parent.iterdir():
        assert b"canary" not in file.read_bytes(), (file, CANARY)


def _make_wide(db: Path) -> None:
    db.parent.mkdir(mode=0o755)
    db.touch()
    db.chmod(0o644)


@posix
async def test_the_files_are_private(open_journal: Open, db: Path, caplog: pytest.LogCaptureFixture) -> None:
    """0600 in 0700, also where they were wider before."""

    _make_wide(db)
    old = os.umask(0)
    try:
        await open_journal().save("gh", SAVED)
    finally:
        os.umask(old)

    assert 0o700 == stat.S_IMODE(db.parent.stat().st_mode)
    assert {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600} == {
        file.name: stat.S_IMODE(file.stat().st_mode) for file in db.parent.iterdir()
    }
    assert "accessible to others (644)" in caplog.text


@posix
@pytest.mark.parametrize("what", ["file", "log"])
async def test_a_link_is_refused_in_words(open_journal: Open, db: Path, tmp_path: Path, what: str) -> None:
    """A symbolic link in our place is not followed, and the sentence names it."""

    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "target"
    target.write_bytes(b"precious")
    db.parent.mkdir()
    (db if what == "file" else db.with_name("state.db-wal")).symlink_to(target)
    journal = open_journal()

    assert not await journal.intent("gh", login(1), 1, WALL)
    assert "is a symbolic link" in (await journal.status() or "")
    assert Saved() == await journal.load("gh")
    assert b"precious" == target.read_bytes()


def _garbage(db: Path) -> None:
    db.write_bytes(b"this is no database, whatever its name says\n" * 300)


def _torn(db: Path) -> None:
    with closing(sqlite3.connect(db)) as other, other:
        other.execute("CREATE TABLE workload (name TEXT PRIMARY KEY, generation INTEGER, state TEXT)")
        other.executemany("INSERT INTO workload VALUES (?, 1, ?)", [(str(n), "x" * 900) for n in range(99)])
    other.close()
    data = bytearray(db.read_bytes())
    data[5000:20000] = b"\xff" * 15000
    db.write_bytes(data)


def _foreign(db: Path) -> None:
    with closing(sqlite3.connect(db)) as other, other:
        other.execute("CREATE TABLE somebody_else (x)")
    other.close()


def _newer(db: Path) -> None:
    with closing(sqlite3.connect(db)) as other, other:
        other.execute("PRAGMA user_version = 99")
        other.execute("CREATE TABLE workload (x)")
    other.close()


def _damaged(db: Path, damage: Callable[[Path], None]) -> bytes:
    db.parent.mkdir()
    damage(db)
    return db.read_bytes()


@pytest.mark.parametrize("damage", [_garbage, _torn, _foreign, _newer])
async def test_a_damaged_file_is_moved_aside(
    open_journal: Open, db: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It is kept under a name with the time in UTC, which is logged once, and a new one works immediately."""

    before = _damaged(db, damage)
    journal = open_journal()

    assert await journal.intent("gh", login(1), 1, WALL)
    assert login(1).fingerprint() == (await journal.load("gh")).open_intent
    assert before == db.with_name("state.db.damaged-20270115T080000Z").read_bytes()
    assert 1 == caplog.text.count("No login is lost")
    assert await journal.status() is None


def _replaced(db: Path, data: bytes) -> None:
    for file in files_of(db):
        file.unlink(missing_ok=True)
    db.write_bytes(data)


async def test_what_was_moved_aside_before_stays(open_journal: Open, db: Path) -> None:
    """Damage twice in a second makes two files, and a rest of an earlier one isn't mixed with the next."""

    first = _damaged(db, _garbage)
    journal = open_journal()
    assert await journal.intent("gh", login(1), 1, WALL)
    await journal.close()
    kept = db.with_name("state.db.damaged-20270115T080000Z")
    _replaced(db, b"another" * 100)

    assert await open_journal().intent("gh", login(1), 1, WALL)
    assert first == kept.read_bytes()
    assert b"another" * 100 == kept.with_name(f"{kept.name}-2").read_bytes()


def _spoil_pages(db: Path) -> None:
    """All but the first page, which holds the schema."""
    data = bytearray(db.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    data[size:] = b"\xee" * (len(data) - size)
    db.write_bytes(data)


async def test_a_file_that_breaks_while_it_is_used_is_moved_aside(open_journal: Open, db: Path) -> None:
    """Damage that shows only later is healed the same way, and the call that met it succeeds."""

    journal = open_journal()
    for number in range(200):
        await journal.note("gh", WALL, Note("phase", "x" * 200), "running", str(number))
    for pragma in ("wal_checkpoint(TRUNCATE)", "shrink_memory"):
        await journal.run(lambda db, pragma=pragma: db.execute(f"PRAGMA {pragma}").fetchall(), [])  # type: ignore[misc]
    _spoil_pages(db)

    assert [] == await journal.history("gh", 0.0)
    assert await journal.intent("gh", login(1), 1, WALL)
    assert list(db.parent.glob("state.db.damaged-*"))


async def test_a_record_that_makes_no_sense_is_an_empty_one(open_journal: Open, db: Path) -> None:
    """Half of a record, or one of another version, neither raises nor hides the intent."""

    journal = open_journal()
    await journal.intent("gh", login(1), 1, WALL)
    for text in ("", "[]", "null", '{"signed_out": "eaten"}', '{"last_error": {"a": 1}}', '{"unknown": 1}'):
        db_ = sqlite3.connect(db)
        db_.execute("INSERT OR REPLACE INTO workload (name, state) VALUES ('gh', ?)", (text,))
        db_.commit()
        db_.close()
        assert Saved(open_intent=login(1).fingerprint(), open_generation=1) == await journal.load("gh")


async def test_a_disk_that_takes_nothing_is_said_once(
    open_journal: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No intent is claimed that is not on the disk; the reason is logged once, and so is the recovery."""

    caplog.set_level(logging.INFO)
    journal = open_journal()
    assert await journal.intent("gh", login(1), 1, WALL)
    (pages,) = await journal.run(lambda db: db.execute("PRAGMA page_count").fetchone(), (0,))
    real = sqlite3.connect

    def full(*args: object, **options: object) -> sqlite3.Connection:
        db: sqlite3.Connection = real(*args, **options)  # type: ignore[call-overload]
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(sqlite3, "connect", full)
    await journal.run(lambda db: journal._close_db(), None)
    for number in range(400):
        await journal.note("gh", WALL, Note("attempt", "x" * 200), "running", str(number))
    assert not await journal.intent("w" * 5000, login(2), 2, WALL)
    assert 400 > len(await journal.history("gh", 0.0)) > 0
    assert "full" in (await journal.status() or "")
    assert 1 == len([record for record in caplog.records if record.levelname == "ERROR"])

    monkeypatch.undo()
    await journal.run(lambda db: journal._close_db(), None)
    assert await journal.intent("gh", login(2), 2, WALL)
    assert 1 == caplog.text.count("written again")
    assert await journal.status() is None


async def test_a_place_that_cannot_be_made_is_no_exception(open_journal: Open, tmp_path: Path) -> None:
    """Where a file stands in the way of the directory, every call still answers."""

    (tmp_path / "state").write_text("in the way")
    journal = open_journal()

    assert not await journal.intent("gh", login(1), 1, WALL)
    assert Saved() == await journal.load("gh")
    assert [] == await journal.history("gh", 0.0)
    await journal.note("gh", WALL, Note("phase"), "running", "ok")
    assert "isn't a directory" in (await journal.status() or "")


# --- many at once ----------------------------------------------------------------------------------------------------


async def _statements(journal: Journal) -> list[str]:
    """What SQLite executes from now on, filled in the journal's thread."""
    found: list[str] = []
    await journal.run(lambda db: db.set_trace_callback(found.append), None)
    return found


async def together(journal: Journal, jobs: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Their results. The journal is kept busy until all of them wait."""
    all_wait = threading.Event()
    first = asyncio.create_task(journal.run(lambda db: all_wait.wait(60), None))
    waiting = [asyncio.create_task(job) for job in jobs]
    await asyncio.sleep(0)  # each has begun
    all_wait.set()
    await first
    return await asyncio.gather(*waiting)


async def test_what_waits_together_is_one_transaction(open_journal: Open) -> None:
    """A thousand workloads that start together wait for the disk a few times, and not four thousand times."""

    journal = open_journal()
    executed = await _statements(journal)
    note = Note("status")
    jobs = [
        work
        for n in range(1000)
        for work in (
            journal.note(f"w{n}", WALL, note, "starting", ""),
            journal.load(f"w{n}"),
            journal.save(f"w{n}", SAVED),
        )
    ]
    await together(journal, jobs)
    assert len(jobs) // TOGETHER + 2 >= executed.count("COMMIT")
    assert executed.count("BEGIN IMMEDIATE") == executed.count("COMMIT")
    assert [SAVED] * 1000 == await asyncio.gather(*(journal.load(f"w{n}") for n in range(1000)))


async def test_reading_alone_takes_no_lock(open_journal: Open) -> None:
    """While another process holds the file, the state of the workloads can be read."""

    journal = open_journal()
    await journal.save("gh", SAVED)
    executed = await _statements(journal)
    assert [SAVED] * 50 == await asyncio.gather(*(journal.load("gh") for _ in range(50)))
    assert "BEGIN IMMEDIATE" not in executed


def _random_job(journal: Journal, kind: int, name: str, number: int) -> Coroutine[Any, Any, object]:
    jobs: list[Callable[[], Coroutine[Any, Any, object]]] = [
        lambda: journal.load(name),
        lambda: journal.save(name, replace(SAVED, lost_rotations=number)),
        lambda: journal.intent(name, login(number), number, WALL),
        lambda: journal.close_intent(name, login(number).fingerprint(), number),
        lambda: journal.note(name, WALL, Note("phase"), "running", str(number)),
        lambda: journal.history(name, 0.0),
        lambda: journal.forget(name),
    ]
    return jobs[kind]()


@pytest.mark.parametrize("seed", range(20))
async def test_together_is_the_same_as_one_after_another(open_journal: Open, tmp_path: Path, seed: int) -> None:
    """Each sees what was asked for before it, and nothing that was asked for later."""

    dice = random.Random(seed)
    script = [(dice.randrange(7), dice.choice("abc"), dice.randrange(3)) for _ in range(120)]
    together, apart = open_journal(), open_journal(tmp_path / "other" / "state.db")
    expected = [await _random_job(apart, *step) for step in script]
    assert expected == await asyncio.gather(*(_random_job(together, *step) for step in script))


async def test_one_that_fails_takes_no_other_with_it(open_journal: Open) -> None:
    """What SQLite cannot take raises for its caller alone; what came with it is on the disk, each of it once."""

    journal = open_journal()
    await journal.status()
    notes = [journal.note("gh", WALL, Note("phase"), "running", str(n) if n != 5 else "\ud800") for n in range(10)]
    broken = journal._write(("INSERT INTO workload (name, generation) VALUES (?, ?)", (None, 1)), ("nonsense", ()))
    ended = await asyncio.gather(*notes, broken, journal.intent("gh", login(1), 1, WALL), return_exceptions=True)
    assert [5] == [n for n, each in enumerate(ended) if isinstance(each, Exception)]
    assert [False, True] == ended[-2:]
    assert [str(n) for n in range(10) if n != 5] == [row.detail for row in await journal.history("gh", 0.0)]


async def test_a_full_disk_takes_none_of_those_that_wait_together(
    open_journal: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No intent among them is claimed that is not on the disk."""

    journal = open_journal()
    (pages,) = await journal.run(lambda db: db.execute("PRAGMA page_count").fetchone(), (0,))
    await journal.run(lambda db: db.execute(f"PRAGMA max_page_count = {pages}"), None)
    claimed = await together(journal, [journal.intent(f"w{n}" + "w" * 200, login(1), 1, WALL) for n in range(100)])
    assert [False] * 100 == claimed
    assert Saved() == await journal.load("w0" + "w" * 200)
    assert await journal.intent("gh", login(1), 1, WALL)  # the connection is another one, and has no limit


async def test_an_intent_is_on_the_disk_before_its_caller_hears_of_it(open_journal: Open, db: Path) -> None:
    """Also where it shares a transaction: another connection sees it at that moment."""

    journal = open_journal()
    await journal.status()

    async def one(number: int) -> bool:
        assert await journal.intent(f"w{number}", login(1), 1, WALL)
        return [(1,)] == _query(db, f"SELECT 1 FROM intent WHERE name = 'w{number}'")

    assert all(await asyncio.gather(*(one(number) for number in range(50))))


async def test_a_caller_that_goes_away_leaves_its_work_to_be_done(open_journal: Open) -> None:
    """A cancelled attempt has begun to write; the others of its transaction are not concerned."""

    journal = open_journal()
    await journal.status()
    tasks = [asyncio.create_task(journal.save(f"w{n}", SAVED)) for n in range(20)]
    await asyncio.sleep(0)
    tasks[7].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [SAVED] * 20 == await asyncio.gather(*(journal.load(f"w{n}") for n in range(20)))


async def test_a_closed_journal_answers(open_journal: Open) -> None:
    """After the end nothing is written and nothing raises."""

    journal = open_journal()
    await journal.save("gh", SAVED)
    await journal.close()

    assert not await journal.intent("gh", login(1), 1, WALL)
    assert Saved() == await journal.load("gh")
    await journal.close()


def sqlite_memory() -> int:
    """Bytes that SQLite holds in this process."""
    try:
        used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    except (AttributeError, OSError):
        pytest.skip("this Python hides its SQLite")
    used.restype = ctypes.c_int64
    return int(used())


async def test_its_memory_does_not_grow_with_the_history(open_journal: Open) -> None:
    """By default SQLite keeps the last 2 MB of pages that were ever used: 0.2 KB for each refresh."""

    journal, small = open_journal(), list[int]()
    row = (WALL, "gh", "attempt", "refreshed", "due", "running", "ok")

    def write(db: sqlite3.Connection) -> None:
        rows = "INSERT INTO history (wall, name, kind, outcome, trigger, status, detail) VALUES (?, ?, ?, ?, ?, ?, ?)"
        db.execute("BEGIN")
        db.executemany(rows, [row] * 4000)
        db.execute("COMMIT")

    for _ in range(6):
        await journal.run(write, None, writes=True)
        assert 4000 * (len(small) + 1) == len(await journal.history("gh", 0.0))
        small.append(sqlite_memory())

    assert max(small) < 600 << 10, small
    assert small[-1] - small[1] < 64 << 10, small


def test_it_fits_the_port(tmp_path: Path) -> None:
    """mypy proves the shape."""

    port: JournalPort = Journal(tmp_path / "state.db")
    assert isinstance(port, Journal)
