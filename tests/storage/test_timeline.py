"""The timeline: segments and gaps in state.db."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.storage.timelines import HOUR, RETRY, RUN, WALL, TimelineBench, view_at
from trayapp.api.history import event_json
from trayapp.core.model import Moment
from trayapp.core.presentation import Colour
from trayapp.core.snapshot import Detail, Status
from trayapp.storage import journal, timeline
from trayapp.storage.journal import RETENTION
from trayapp.storage.timeline import Segment, Timeline


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[TimelineBench]:
    async with TimelineBench(tmp_path) as made:
        yield made


async def test_a_change_begins_a_segment(bench: TimelineBench) -> None:
    """Status, detail, colour, glyph and sentence, from the time of the change; announced immediately."""

    bench.change(0, Status.STARTING, Detail.STARTING, colour=Colour.BLUE, text="Starting with the saved login.")
    bench.change(1, RUN, Detail.OK, colour=Colour.GREEN)
    bench.change(2, RETRY, Detail.OFFLINE, text="There is no network.")
    await bench.settle()
    found, more = (await bench.timeline.read(["one"], 0.0, 10))["one"]

    assert [
        Segment(WALL, "starting", "blue", "tick", "starting", "Starting with the saved login."),
        Segment(WALL + HOUR, "running", "green", "tick", "ok", "Running."),
        Segment(WALL + 2 * HOUR, "auth_retrying", "amber", "tick", "offline", "There is no network."),
    ] == found
    assert not more
    assert [("one", each) for each in found] == bench.segments_seen
    assert found[2] == Segment(**dict(zip(Segment.__slots__, _plain(event_json("one", found[2])), strict=True)))


def _plain(data: dict[str, Any]) -> list[Any]:
    """The values of an event, its time as a number again."""
    from datetime import datetime

    assert "one" == data.pop("workload")
    return [datetime.fromisoformat(data.pop("at")).timestamp(), *data.values()]


async def test_what_looks_the_same_is_no_change(bench: TimelineBench) -> None:
    """A new token, a new time of the next attempt or another sentence begin nothing; a new colour does, now."""

    bench.change(0, RUN, Detail.OK, colour=Colour.GREEN)
    first = bench.views["one"]
    bench.publish(replace(first, auth=replace(first.auth, token_expires_at=1.0, next_attempt_at=2.0, attempts=3)))
    bench.publish(replace(first, status_context="Other words."))
    bench.publish(first)
    bench.wall += HOUR
    bench.publish(replace(first, colour=Colour.AMBER))

    assert [(0.0, "ok"), (1.0, "ok")] == await bench.rows()


async def test_all_changes_of_a_snapshot_are_written_at_once(bench: TimelineBench) -> None:
    """A network that breaks for 300 workloads costs one job."""

    bench.publish(*(view_at(f"n{i}", RETRY, Detail.OFFLINE, WALL) for i in range(300)))

    assert 1 == len(bench.tasks)
    assert [(0.0, "offline")] == await bench.rows("n299")


async def test_removing_is_forgetting(bench: TimelineBench) -> None:
    """The history of what was removed is gone; its last moments are not written."""

    bench.change(0, RUN, Detail.OK)
    bench.change(0, RUN, Detail.OK, name="other")
    bench.change(1, Status.REMOVING, Detail.OK)
    await bench.settle()
    await bench.journal.forget("one")

    assert [] == await bench.rows()
    assert [(0.0, "ok")] == await bench.rows("other")


async def test_since_when_and_how_many(bench: TimelineBench) -> None:
    """The segment at that time comes first; more are read from the last one on."""

    for hour in range(10):
        bench.change(hour, RUN if hour % 2 else RETRY, Detail.OK)
    assert [3.0, 4.0, 5.0] == [at for at, _ in (await bench.rows(since=WALL + 3.5 * HOUR, limit=2))]
    assert [2.0, 3.0, 4.0] == [at for at, _ in (await bench.rows(since=WALL + 3 * HOUR, limit=2))]
    assert [9.0] == [at for at, _ in (await bench.rows(since=WALL + 20 * HOUR))]
    assert [] == await bench.rows("nobody")
    read = await bench.timeline.read(["one", "nobody"], WALL + 3.5 * HOUR, 2)
    assert (True, False) == (read["one"][1], read["nobody"][1])
    assert not (await bench.timeline.read(["one"], WALL + 3.5 * HOUR, 6))["one"][1]


# --- gaps ------------------------------------------------------------------------------------------------------------


async def test_a_sleep_is_a_gap(bench: TimelineBench) -> None:
    """The state is unknown during a sleep; afterwards it is as before, until it changes."""

    bench.change(0, RUN, Detail.OK)
    bench.pass_time(1000.0, 1000.0)
    bench.wall = WALL + 8 * HOUR
    bench.pass_time(1000.0 + 8 * HOUR, 1000.0 + HOUR)
    assert [(0.0, "ok"), (1.0, "asleep"), (8.0, "ok")] == await bench.rows()
    bench.change(8.5, RETRY, Detail.RETRYING)
    assert [(0.0, "ok"), (1.0, "asleep"), (8.0, "ok"), (8.5, "retrying")] == await bench.rows()
    found = (await bench.timeline.read(["one"], 0.0, 10))["one"][0][1]
    assert ("unknown", "grey", "question", "The computer was asleep.") == (
        found.status,
        found.colour,
        found.glyph,
        found.text,
    )


async def test_a_short_doze_is_none(bench: TimelineBench) -> None:
    """Two clocks that are read one after the other differ by nothing that anybody would see."""

    bench.change(0, RUN, Detail.OK)
    bench.pass_time(0.0, 0.0)
    bench.pass_time(100.0, 95.1)

    assert [(0.0, "ok")] == await bench.rows()


async def test_a_gap_in_which_the_question_begins(bench: TimelineBench) -> None:
    """Asked from the middle of a night on: what was before, the night, and what came after."""

    bench.change(0, RUN, Detail.OK)
    bench.pass_time(0.0, 0.0)
    bench.wall = WALL + 8 * HOUR
    bench.pass_time(8 * HOUR, HOUR)

    assert [(0.0, "ok"), (1.0, "asleep"), (8.0, "ok")] == await bench.rows(since=WALL + 4 * HOUR)
    assert [(0.0, "ok")] == await bench.rows(since=WALL + 9 * HOUR)


async def test_the_time_after_an_end(bench: TimelineBench) -> None:
    """An orderly end is dated exactly, and so is the next start."""

    await bench.timeline.started(WALL)
    bench.change(0, RUN, Detail.OK)
    await bench.settle()
    await bench.timeline.stopped(WALL + 2 * HOUR)
    assert [(0.0, "ok"), (2.0, "not_running")] == await bench.rows()
    await bench.journal.close()
    bench.open()
    await bench.timeline.started(WALL + 5 * HOUR)
    bench.change(5.001, Status.STARTING, Detail.STARTING)

    assert [(0.0, "ok"), (2.0, "not_running"), (5.001, "starting")] == await bench.rows()


@pytest.mark.parametrize(("sign", "began"), [(None, 0.0), (1.5, 1.5), (9.0, 0.0)])
async def test_the_time_after_a_crash(bench: TimelineBench, sign: float | None, began: float) -> None:
    """From the last sign of life on: that of the file if it makes sense, else the last thing that was written."""

    await bench.timeline.started(WALL)
    bench.change(0, RUN, Detail.OK)
    await bench.settle()
    await bench.journal.close()
    bench.open()
    if sign is not None:
        bench.alive.touch()
        os.utime(bench.alive, (WALL + sign * HOUR,) * 2)
    await bench.timeline.started(WALL + 5 * HOUR)
    bench.change(5.001, Status.STARTING, Detail.STARTING)
    rows = await bench.rows()

    assert (began, "not_running") == next(row for row in rows if row[1] == "not_running") if began else True
    if began:
        assert [(0.0, "ok"), (began, "not_running"), (5.001, "starting")] == rows
    found = (await bench.timeline.read(["one"], 0.0, 10))["one"][0]
    assert "unexpectedly" in next(row.text for row in found if row.detail == "not_running")


async def test_the_first_start_is_no_gap(bench: TimelineBench) -> None:
    """Before there was anything nothing was missing."""

    bench.alive.touch()
    await bench.timeline.started(WALL)
    bench.change(0, RUN, Detail.OK)

    assert [(0.0, "ok")] == await bench.rows()


async def test_a_gap_before_a_workload_was_added(bench: TimelineBench) -> None:
    """It is not part of its history."""

    bench.change(0, RUN, Detail.OK, name="old")
    bench.pass_time(0.0, 0.0)
    bench.wall = WALL + 8 * HOUR
    bench.pass_time(8 * HOUR, HOUR)
    bench.change(9, RUN, Detail.OK)

    assert [(9.0, "ok")] == await bench.rows()


async def test_signs_of_life(bench: TimelineBench) -> None:
    """One a minute, at a look that is made anyway; a place that cannot be written is no trouble."""

    bench.pass_time(0.0, 0.0)
    assert bench.alive.exists()
    os.utime(bench.alive, (1.0, 1.0))
    bench.pass_time(59.0, 59.0)
    assert 1.0 == bench.alive.stat().st_mtime
    bench.pass_time(60.0, 60.0)
    assert time.time() - bench.alive.stat().st_mtime < 60
    bench.alive = bench.root / "nowhere" / "alive"
    Timeline(bench.journal, bench.alive, bench.begin).passes(Moment(0.0, 0.0, 0.0))


# --- how much is kept ------------------------------------------------------------------------------------------------


async def test_old_segments_go_but_the_newest_stays(bench: TimelineBench) -> None:
    """Thirty days; a workload that has been green for longer is still known to be green."""

    bench.change(0, RETRY, Detail.OFFLINE)
    bench.change(1, RUN, Detail.OK)
    bench.change(0, RETRY, Detail.OFFLINE, name="other")
    await bench.settle()
    await bench.timeline.stopped(WALL)
    await bench.timeline.started(WALL + 10)
    await bench.journal.close()
    bench.wall = WALL + RETENTION + 2 * HOUR
    bench.open()
    await bench.rows()  # the first job of a day is followed by the pruning

    assert [(1.0, "ok")] == await bench.rows()
    assert [(0.0, "offline")] == await bench.rows("other")
    assert [] == _query(bench, "SELECT * FROM gap")


async def test_a_flapping_workload_is_trimmed(bench: TimelineBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest segments are kept; other workloads lose none."""

    monkeypatch.setattr(timeline, "MAX_SEGMENTS", 20)
    monkeypatch.setattr(timeline, "TRIM_EVERY", 5)
    bench.change(0, RUN, Detail.OK, name="calm")
    for minute in range(100):
        bench.change(minute / 60, RUN if minute % 2 else RETRY, Detail.OK)
    rows = await bench.rows()

    assert 20 <= len(rows) <= 25
    assert rows[-1][0] == round(99 / 60, 3)
    assert [(0.0, "ok")] == await bench.rows("calm")


async def test_a_database_of_the_version_before(tmp_path: Path) -> None:
    """It gets the new tables and keeps what is in the old ones; nothing is set aside."""

    path = tmp_path / "state" / "state.db"
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path)) as db, db:
        for statement in journal.SCHEMA:
            db.execute(statement)
        db.execute("INSERT INTO workload (name, generation) VALUES ('one', 7)")
        db.execute("PRAGMA user_version = 1")
    db.close()
    path.chmod(0o600)
    bench = TimelineBench(tmp_path)
    bench.change(0, RUN, Detail.OK)
    assert [(0.0, "ok")] == await bench.rows()
    await bench.journal.close()

    assert [("one", 7)] == _query(bench, "SELECT name, generation FROM workload")
    assert [(2,)] == _query(bench, "PRAGMA user_version")
    assert [path.name] == [each.name for each in path.parent.iterdir() if "damaged" not in each.name][:1]
    assert not list(path.parent.glob("*damaged*"))


def _query(bench: TimelineBench, sql: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect(bench.root / "state" / "state.db")
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


async def test_a_disk_that_is_full_stops_nothing(bench: TimelineBench) -> None:
    """What cannot be written is lost; what is asked for is empty; nothing is raised."""

    (bench.root / "state").mkdir(mode=0o700)
    (bench.root / "state" / "state.db").mkdir()
    bench.change(0, RUN, Detail.OK)
    await bench.timeline.started(WALL)
    await bench.timeline.stopped(WALL)

    assert [] == await bench.rows()
