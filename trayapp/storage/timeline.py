"""Timeline of each workload for the dashboard: segments of unchanged state, and gaps where the state is unknown.

A segment begins when status, detail or colour of a workload changes and lasts until the next one begins. A gap is a time
in which the machine slept or Amberlight didn't run, so the state is unknown and shown as such. All changes of one
snapshot are written in one transaction in the journal's thread; nothing waits for that and nothing wakes up for it.
Segments are kept for 30 days, at most 2,000 per workload, and the newest one always.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trayapp.core.model import Moment
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.sentences import RUNNING_TEXT
from trayapp.core.snapshot import Snapshot, Status, WorkloadView
from trayapp.storage import rows
from trayapp.storage.journal import Journal
from trayapp.system.private_files import NotPrivateError, touch_private

MAX_SEGMENTS = 2000  # of one workload: 66 a day for 30 days
TRIM_EVERY = 100  # segments of one workload between two checks of that limit
BATCH = 64  # changes processed in one step of the loop
SLEEP_GAP = 5.0  # s that `at` gains on `awake`: the machine slept
HEARTBEAT_INTERVAL = 60.0  # s; after a crash the heartbeat tells when Amberlight was last alive

STOPPED, ENDED, ASLEEP = "stopped", "ended", "asleep"  # kinds of gaps: quit, ended unexpectedly, asleep

StartTask = Callable[[str, Coroutine[Any, Any, None]], object]


@dataclass(frozen=True, slots=True)
class Segment:
    """The state of a workload from `at` (wall) on; `text` is one sentence."""

    at: float
    status: str
    colour: str
    glyph: str
    detail: str
    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The state is unknown from `began` to `ended`, both wall; `ended` is None while the gap lasts."""

    kind: str
    began: float
    ended: float | None


class Timeline:
    """Records segments and gaps, and reads them back. All methods belong to the engine's loop.

    `start_task` starts a task that the end of the program waits for; `on_segment` is called with each new segment;
    `heartbeat_file` is a file whose modification time says when Amberlight was last alive.
    """

    def __init__(
        self,
        journal: Journal,
        heartbeat_file: Path,
        start_task: StartTask,
        on_segment: Callable[[str, Segment], None] = lambda name, new: None,
    ) -> None:
        self._journal = journal
        self._heartbeat_file = heartbeat_file
        self._start_task = start_task
        self._on_segment = on_segment
        self._last_views: Mapping[str, WorkloadView] = {}
        self._segments_written: dict[str, int] = {}  # segments by name, in this run
        self._last_moment: Moment | None = None
        self._heartbeat_at = float("-inf")  # awake

    # --- recording ---------------------------------------------------------------------------------------------------

    def published(self, snapshot: Snapshot, wall: float) -> None:
        """A new snapshot: each workload that looks different from the last one begins a segment."""
        before, self._last_views = self._last_views, snapshot.everything
        new: list[tuple[WorkloadView, float]] = []
        for name, view in self._last_views.items():
            old = before.get(name)
            if old is view or view.status is Status.REMOVING:
                continue
            if old is None or _appearance(old) != _appearance(view):
                since = view.auth.since if old is None or _status_and_detail(old) != _status_and_detail(view) else wall
                new.append((view, since))
        for name in before:
            if name not in self._last_views:
                self._segments_written.pop(name, None)
        if new:
            self._start_task("write history", self._write(new))

    def passes(self, now: Moment) -> None:
        """The engine read its clocks: record a sleep, and touch the heartbeat file if it is time."""
        before, self._last_moment = self._last_moment, now
        if before is not None:
            slept = (now.at - before.at) - (now.awake - before.awake)
            if slept > SLEEP_GAP:
                self._start_task("write history", self._gap(Gap(ASLEEP, now.wall - slept, now.wall)))
        if now.awake - self._heartbeat_at >= HEARTBEAT_INTERVAL:
            self._heartbeat_at = now.awake
            with contextlib.suppress(OSError, NotPrivateError):  # only the time of a crash would be less precise
                touch_private(self._heartbeat_file)

    async def started(self, wall: float) -> None:
        """Amberlight started: end the gap since it last ran."""
        with contextlib.suppress(OSError):
            heartbeat = self._heartbeat_file.stat().st_mtime
            await self._journal.run(lambda db: _close_gap(db, wall, heartbeat), None, writes=True)
            return
        await self._journal.run(lambda db: _close_gap(db, wall, None), None, writes=True)

    async def stopped(self, wall: float) -> None:
        """Amberlight quits in an orderly way: open a gap; the heartbeat file isn't needed to date it."""
        await self._gap(Gap(STOPPED, wall, None))
        with contextlib.suppress(OSError):
            self._heartbeat_file.unlink(missing_ok=True)

    async def _write(self, changed: list[tuple[WorkloadView, float]]) -> None:
        new: list[tuple[str, Segment]] = []
        trimmed = []
        for number, (view, since) in enumerate(changed, 1):
            name, begun = view.name, segment(view, since)
            new.append((name, begun))
            self._on_segment(name, begun)
            if number % BATCH == 0:  # a thousand workloads that change together must not block the loop
                await asyncio.sleep(0)
            if self._segments_written.get(name, 0) % TRIM_EVERY == 0:
                trimmed.append(name)
            self._segments_written[name] = self._segments_written.get(name, 0) + 1
        await self._journal.run(lambda db: _record(db, new, trimmed), None, writes=True)

    async def _gap(self, gap: Gap) -> None:
        row = (gap.kind, gap.began, gap.ended)
        await self._journal.run(lambda db: _insert_gap(db, row), None, writes=True)

    # --- reading -----------------------------------------------------------------------------------------------------

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]:
        """Per workload: the segments since `since` (wall) and the one before it, gaps inserted, oldest first; and
        whether there are more than `limit`, which are read by asking again from the last one's time."""
        return await self._journal.run(lambda db: _read(db, names, since, limit), {name: ([], False) for name in names})

    async def attempts(self, name: str, since: float, limit: int) -> list[rows.HistoryRow]:
        """What happened to a workload's login since `since` (wall): the newest, newest first."""
        return await self._journal.run(lambda db: rows.newest_history(db, name, since, limit), [])


def segment(view: WorkloadView, at: float) -> Segment:
    """The segment of a view that begins at `at`."""
    text = view.status_context or (RUNNING_TEXT if view.status is Status.RUNNING else "")
    return Segment(
        at,
        _word(view),
        view.colour.name.lower(),
        view.glyph.value,
        view.auth.detail.value,
        text or _word(view),
    )


def _word(view: WorkloadView) -> str:
    return view.external.word if view.external else view.status.value


def _status_and_detail(view: WorkloadView) -> tuple[str, str]:
    """What `auth.since` is about."""
    return _word(view), view.auth.detail


def _appearance(view: WorkloadView) -> tuple[str, str, str, str]:
    return _word(view), view.auth.detail, view.colour, view.external.doing if view.external else ""


# --- in the journal's thread -----------------------------------------------------------------------------------------


def _record(db: sqlite3.Connection, new: list[tuple[str, Segment]], trimmed: list[str]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        db.executemany(
            "INSERT INTO segment (name, wall, status, colour, glyph, detail, text) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(name, s.at, s.status, s.colour, s.glyph, s.detail, s.text) for name, s in new],
        )
        for name in trimmed:
            db.execute(
                "DELETE FROM segment WHERE name = ?1 AND wall <="
                " (SELECT wall FROM segment WHERE name = ?1 ORDER BY wall DESC LIMIT 1 OFFSET ?2)",
                (name, MAX_SEGMENTS),
            )
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _insert_gap(db: sqlite3.Connection, row: tuple[str, float, float | None]) -> None:
    db.execute("INSERT INTO gap (kind, began, ended) VALUES (?, ?, ?)", row)


def _close_gap(db: sqlite3.Connection, wall: float, heartbeat: float | None) -> None:
    """End the gap before this start. A quit left it open; after a crash it began at the last heartbeat or record."""
    if db.execute("UPDATE gap SET ended = max(began, ?) WHERE ended IS NULL", (wall,)).rowcount:
        return
    (last,) = db.execute(
        "SELECT max(wall) FROM (SELECT max(wall) AS wall FROM segment UNION ALL SELECT max(wall) FROM history"
        " UNION ALL SELECT max(ended) FROM gap)"
    ).fetchone()
    alive_at = [each for each in (last, heartbeat) if each is not None and each <= wall]
    if last is not None and alive_at:
        _insert_gap(db, (ENDED, max(alive_at), wall))


def _read(db: sqlite3.Connection, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]:
    gaps = [
        Gap(*row)
        for row in db.execute(
            "SELECT kind, began, ended FROM gap WHERE ended IS NULL OR ended > ? ORDER BY began, id", (since,)
        )
    ]
    return {name: _read_one(db, name, since, limit, gaps) for name in names}


_COLUMNS = "wall, status, colour, glyph, detail, text"


def _read_one(
    db: sqlite3.Connection, name: str, since: float, limit: int, gaps: list[Gap]
) -> tuple[list[Segment], bool]:
    before = db.execute(
        f"SELECT {_COLUMNS} FROM segment WHERE name = ? AND wall < ? ORDER BY wall DESC, id DESC LIMIT 1",  # noqa: S608
        (name, since),
    ).fetchall()
    after = db.execute(
        f"SELECT {_COLUMNS} FROM segment WHERE name = ? AND wall >= ? ORDER BY wall, id LIMIT ?",  # noqa: S608
        (name, since, limit + 1),
    ).fetchall()
    found = [Segment(*row) for row in (*before, *after[:limit])]
    more = len(after) > limit
    end = found[-1].at if more else float("inf")
    return list(_with_gaps(found, [gap for gap in gaps if gap.began < end])), more


def _with_gaps(found: list[Segment], gaps: list[Gap]) -> Iterator[Segment]:
    """Insert the gaps between the segments as segments of their own; after a sleep, the state before it continues."""
    last: Segment | None = None
    waiting = iter(gaps)
    gap = next(waiting, None)
    for each in found:
        while gap is not None and gap.began < each.at:
            if last is not None:  # before its first segment the workload didn't exist
                yield _gap_segment(gap)
                if gap.kind == ASLEEP and gap.ended is not None and gap.ended < each.at:
                    yield _continued(last, gap.ended)
            gap = next(waiting, None)
        yield each
        last = each
    while gap is not None:
        if last is not None:
            yield _gap_segment(gap)
            if gap.kind == ASLEEP and gap.ended is not None:
                yield _continued(last, gap.ended)
        gap = next(waiting, None)


def _continued(last: Segment, at: float) -> Segment:
    return Segment(at, last.status, last.colour, last.glyph, last.detail, last.text)


_GAP_TEXT = {
    ASLEEP: "The computer was asleep.",
    STOPPED: "Amberlight wasn't running.",
    ENDED: "Amberlight wasn't running: it had quit unexpectedly.",
}


def _gap_segment(gap: Gap) -> Segment:
    detail = "asleep" if gap.kind == ASLEEP else "not_running"
    grey, question = Colour.GREY.name.lower(), Glyph.QUESTION.value
    return Segment(gap.began, Status.UNKNOWN.value, grey, question, detail, _GAP_TEXT.get(gap.kind, ""))
