"""activity.db: what is kept of clients' requests, for how long, and how it is deleted."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from trayapp.core.activity import Request
from trayapp.storage import activity
from trayapp.storage.activity import RETENTION, Activity, UseQuery

NOW = 1_800_000_000.0
CANARY = "ghp_" + 2 * "canary0123456789"


class Wall:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def request(**more: Any) -> Request:
    info = {"name": "claude-code", "version": "2.1"}
    return Request(NOW, "notion", "node", info, True, "tools/call", "search", 200, True, 0.25)._replace(**more)


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def kept(tmp_path: Path, wall: Wall) -> AsyncIterator[Activity]:
    made = Activity(tmp_path / "state" / "activity.db", now_wall=wall)
    await made.switch(True)
    yield made
    await made.close()


def files(of: Path) -> list[Path]:
    return list(of.iterdir())


async def targets(of: Activity, **query: Any) -> list[str]:
    return [use.target for _, use in (await of.read(UseQuery(**query)))[0]]


async def test_newest_first_and_in_pages(kept: Activity) -> None:
    """A page ends where the next one begins, whatever comes in between."""

    for number in range(5):
        kept.record(request(target=f"t{number}"))
    rows, more = await kept.read(UseQuery(limit=2))
    kept.record(request(target="later"))

    assert (["t4", "t3"], True) == ([use.target for _, use in rows], more)
    rows, more = await kept.read(UseQuery(limit=3, before=rows[-1][0]))
    assert (["t2", "t1", "t0"], False) == ([use.target for _, use in rows], more)
    assert ([], False) == await kept.read(UseQuery(before=rows[-1][0]))
    assert ([], False) == await kept.read(UseQuery(before=0))


async def test_a_row_comes_back_as_it_was(kept: Activity) -> None:
    """With its types; no status is None."""

    kept.record(request(status=None, served=False, mcp=False, target="/v1/things", info=None))
    ((_, use),), _ = await kept.read(UseQuery())

    assert ("node", "", False, "/v1/things", None, False, 0.25) == (
        use.client,
        use.via,
        use.mcp,
        use.target,
        use.status,
        use.served,
        use.duration,
    )


async def test_filters(kept: Activity) -> None:
    """By workload, client and time."""

    kept.record(request(target="a"))
    kept.record(request(target="b", workload="linear", info={"name": "codex"}))
    kept.record(request(target="c", at=NOW - 100))

    assert ["c", "a"] == await targets(kept, workload="notion")
    assert ["b"] == await targets(kept, client="codex")
    assert ["b", "a"] == await targets(kept, since=NOW - 50)
    assert [] == await targets(kept, workload="nobody")


async def test_who_used_what(kept: Activity) -> None:
    """One row for each client of each workload, the latest first."""

    for at, workload, name in (
        (0, "notion", "codex"),
        (5, "notion", "codex"),
        (9, "linear", "codex"),
        (7, "notion", "zed"),
    ):
        kept.record(request(at=NOW + at, workload=workload, info={"name": name}))

    found = [(each.client, each.workload, each.count, each.at - NOW) for each in await kept.clients()]
    assert [("codex", "linear", 1, 9.0), ("zed", "notion", 1, 7.0), ("codex", "notion", 2, 5.0)] == found
    assert ["zed", "codex"] == [each.client for each in await kept.clients("notion")]


async def test_secrets_never_reach_the_disk(kept: Activity, tmp_path: Path) -> None:
    """Nor anything that another user could read."""

    kept.record(request(target=CANARY, method=CANARY, agent=CANARY, info={"name": CANARY, "version": CANARY}))
    kept.record(request(target=f"/{CANARY}?q={CANARY}", mcp=False, agent=f"{CANARY}/{CANARY}", info=None))
    await kept.flush()

    for file in files(tmp_path / "state"):
        assert CANARY.encode() not in file.read_bytes()
        if sys.platform != "win32":  # where an access list says it: tests/system/test_windows_private.py
            assert 0o600 == stat.S_IMODE(file.stat().st_mode)


# --- writing ---------------------------------------------------------------------------------------------------------


async def test_nothing_happens_while_nobody_uses_anything(tmp_path: Path) -> None:
    """No file, no thread, no timer."""

    made = Activity(tmp_path / "activity.db")
    await made.switch(True)
    await made.purge()
    assert ([], False) == await made.read(UseQuery())
    assert [] == await made.clients()
    await made.forget("notion")
    await made.rename("notion", "n")

    assert made._timer is None
    assert made._worker._thread is None
    await made.close()
    assert [] == files(tmp_path)


async def test_one_write_for_what_comes_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wall: Wall) -> None:
    """The first request starts one timer, the others none; what is written is told once."""

    monkeypatch.setattr(activity, "WRITE_AFTER", 0.05)
    told = asyncio.Event()
    made = Activity(tmp_path / "activity.db", told.set, wall)
    await made.switch(True)
    timers = 0
    loop, later = asyncio.get_running_loop(), asyncio.get_running_loop().call_later

    def counting(*args: Any, **more: Any) -> Any:
        nonlocal timers
        timers += 1
        return later(*args, **more)

    monkeypatch.setattr(loop, "call_later", counting)
    for number in range(100):
        made.record(request(target=f"t{number}"))
    assert 1 == timers
    monkeypatch.undo()
    async with asyncio.timeout(5):
        await told.wait()

    assert made._timer is None
    assert 100 == len(await targets(made, limit=200))
    await made.close()


async def test_what_does_not_fit_is_counted(kept: Activity, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded; the rest is kept."""

    monkeypatch.setattr(activity, "WAITING_MAX", 3)
    for _ in range(5):
        kept.record(request())

    assert 2 == kept.dropped
    assert not kept.takes()
    assert 3 == kept.dropped
    assert 3 == len(await targets(kept))
    assert kept.takes()


def test_recording_costs_microseconds() -> None:
    """It is on the way of every request. A generous bound; usually it is below one."""

    async def measured() -> float:
        made = Activity(Path("never-written.db"))
        await made.switch(True)
        row = request()
        began = time.perf_counter()
        for _ in range(activity.WAITING_MAX):
            made.record(row)
        took = time.perf_counter() - began
        made._waiting.clear()
        await made.close()
        return took / activity.WAITING_MAX

    assert asyncio.run(measured()) < 20e-6


# --- bounds ----------------------------------------------------------------------------------------------------------


async def test_seven_days(kept: Activity, wall: Wall, tmp_path: Path) -> None:
    """Older rows are not shown, and are deleted at the next write, or within an hour if there is none."""

    kept.record(request(target="old", at=NOW - RETENTION + 10))
    kept.record(request(target="new"))
    assert ["new", "old"] == await targets(kept)
    wall.now += 20
    assert ["new"] == await targets(kept)
    assert ["claude-code"] == [each.client for each in await kept.clients()]
    assert not kept.passes(100.0)
    assert not kept.passes(100.0 + 3599)
    assert kept.passes(100.0 + 3600)
    assert not kept.passes(100.0 + 3601)
    await kept.purge()
    await kept.close()

    with closing(sqlite3.connect(tmp_path / "state" / "activity.db")) as db, db:
        assert [("new",)] == db.execute("SELECT target FROM use").fetchall()


async def test_rows_are_bounded(kept: Activity, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go first."""

    monkeypatch.setattr(activity, "ROWS_MAX", 10)
    for number in range(15):
        kept.record(request(target=f"t{number}"))

    assert [f"t{number}" for number in range(14, 4, -1)] == await targets(kept)


async def test_bytes_are_bounded(kept: Activity, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was deleted leaves the disk, too."""

    monkeypatch.setattr(activity, "BYTES_MAX", 200_000)
    for _ in range(20):
        for number in range(500):
            kept.record(request(target=f"some-tool-with-a-name-{number}"))
        await kept.flush()
    await kept.close()

    assert (tmp_path / "state" / "activity.db").stat().st_size < 300_000


# --- deleting --------------------------------------------------------------------------------------------------------


async def test_clear(kept: Activity, tmp_path: Path) -> None:
    """The files go, and recording goes on."""

    kept.record(request(target="gone"))
    await kept.flush()
    kept.record(request(target="waiting"))
    kept.dropped = 3
    await kept.clear()
    assert 0 == kept.dropped
    assert [] == files(tmp_path / "state")
    kept.record(request(target="next"))

    assert ["next"] == await targets(kept)


async def test_switched_off(kept: Activity, tmp_path: Path) -> None:
    """What was recorded is deleted, and nothing more is recorded."""

    kept.record(request())
    await kept.flush()
    await kept.switch(False)
    kept.record(request())

    assert not kept.recording
    assert ([], False) == await kept.read(UseQuery())
    assert [] == files(tmp_path / "state")


async def test_switched_off_before_the_start(tmp_path: Path, wall: Wall) -> None:
    """What an earlier run recorded is deleted."""

    file = tmp_path / "activity.db"
    first = Activity(file, now_wall=wall)
    await first.switch(True)
    first.record(request())
    await first.close()
    assert file.exists()
    second = Activity(file, now_wall=wall)
    await second.switch(False)
    await second.close()

    assert not file.exists()


async def test_a_workload_that_is_renamed_or_removed(kept: Activity) -> None:
    """Its rows go with it."""

    kept.record(request(target="a"))
    kept.record(request(target="b", workload="linear"))
    await kept.rename("linear", "tasks")
    await kept.forget("notion")

    assert ["b"] == await targets(kept)
    assert ["b"] == await targets(kept, workload="tasks")


# --- trouble ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
async def test_a_damaged_file_is_replaced(tmp_path: Path, wall: Wall, content: bytes) -> None:
    """It holds nothing that is worth a question."""

    file = tmp_path / "activity.db"
    file.write_bytes(content)
    file.chmod(0o600)
    made = Activity(file, now_wall=wall)
    await made.switch(True)
    made.record(request())

    assert ["search"] == await targets(made)
    assert 0 == made.dropped
    await made.close()


async def test_a_foreign_database_is_replaced(tmp_path: Path, wall: Wall) -> None:
    """As after a newer version."""

    file = tmp_path / "activity.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE other (x)")
        db.execute("PRAGMA user_version = 9")
    file.chmod(0o600)
    made = Activity(file, now_wall=wall)
    await made.switch(True)
    made.record(request())

    assert ["search"] == await targets(made)
    await made.close()


async def test_a_disk_that_cannot_be_written(tmp_path: Path, wall: Wall, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for it, the log says it once, and it is counted."""

    caplog.set_level(logging.WARNING)
    blocked = tmp_path / "state"
    blocked.write_text("a file where the directory should be")
    made = Activity(blocked / "activity.db", now_wall=wall)
    await made.switch(True)
    for _ in range(2):
        made.record(request())
        await made.flush()
    assert 2 == made.dropped
    assert ([], False) == await made.read(UseQuery())
    assert 1 == len([each for each in caplog.records if "activity" in each.getMessage()])
    blocked.unlink()
    made.record(request())

    assert ["search"] == await targets(made)
    await made.close()


async def test_without_a_place_nothing_is_recorded() -> None:
    """As in some tests."""

    made = Activity(None)
    await made.switch(True)
    made.record(request())

    assert not made.recording
    assert ([], False) == await made.read(UseQuery())
    assert not made.passes(1e9)
    await made.close()


async def test_a_disk_that_hangs(tmp_path: Path, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one write at a time, and what comes meanwhile stays bounded; it is written later."""

    monkeypatch.setattr(activity, "WRITE_AFTER", 0.01)
    monkeypatch.setattr(activity, "WAITING_MAX", 3)
    free, written, jobs = threading.Event(), asyncio.Event(), 0
    made = Activity(tmp_path / "activity.db", written.set, wall)
    opened = made._open

    def hanging() -> sqlite3.Connection:
        nonlocal jobs
        jobs += 1
        free.wait(10)
        return opened()

    monkeypatch.setattr(made, "_open", hanging)
    await made.switch(True)
    for _ in range(10):
        for _ in range(2):
            made.record(request())
        await asyncio.sleep(0.02)
    assert 3 == len(made._waiting)
    assert 20 - 2 - 3 == made.dropped
    assert 1 == jobs
    assert made._timer is None
    free.set()
    async with asyncio.timeout(5):
        await written.wait()
        written.clear()
        await written.wait()

    assert 5 == len(await targets(made))
    await made.close()


async def test_whoever_reads_does_not_bring_the_file_back(kept: Activity, tmp_path: Path) -> None:
    """Also if the file was still there when the page asked."""

    kept.record(request())
    await kept.flush()
    await asyncio.gather(
        kept.clear(), kept.read(UseQuery()), kept.clients(), kept.purge(), kept.forget("notion"), kept.rename("a", "b")
    )

    assert [] == files(tmp_path / "state")
