"""A timeline with its journal, driven by tests as the engine's loop would drive it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.api.scripted_control import view
from trayapp.core.model import Moment
from trayapp.core.presentation import Colour
from trayapp.core.snapshot import Detail, Snapshot, Status, WorkloadView
from trayapp.storage.journal import Journal
from trayapp.storage.timeline import Segment, Timeline

BASE = "/api/v1beta"
WALL = 1_800_000_000.0
HOUR = 3600.0


def view_at(
    name: str, status: Status, detail: Detail, at: float, colour: Colour = Colour.AMBER, text: str = ""
) -> WorkloadView:
    seen = view(name, status)
    return replace(seen, status_context=text, colour=colour, auth=replace(seen.auth, detail=detail, since=at))


@dataclass
class TimelineBench:
    """A timeline with its journal, as the engine's loop would use it."""

    root: Path
    wall: float = WALL
    segments_seen: list[tuple[str, Segment]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    views: dict[str, WorkloadView] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """A new run."""
        self.views = {}
        self.journal = Journal(self.root / "state" / "state.db", lambda: self.wall)
        self.alive = self.root / "alive"
        self.timeline = Timeline(
            self.journal, self.alive, self.begin, lambda name, new: self.segments_seen.append((name, new))
        )

    def begin(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work, name=what))

    async def __aenter__(self) -> TimelineBench:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.settle()
        await self.journal.close()

    async def settle(self) -> None:
        await asyncio.gather(*self.tasks)

    def publish(self, *views: WorkloadView) -> None:
        self.views |= {each.name: each for each in views}
        self.timeline.published(Snapshot(1, dict(self.views)), self.wall)

    async def rows(self, name: str = "one", since: float = 0.0, limit: int = 100) -> list[tuple[float, str]]:
        """Hours after the beginning, and the detail."""
        await self.settle()
        found, _ = (await self.timeline.read([name], since, limit))[name]
        return [(round((row.at - WALL) / HOUR, 3), row.detail) for row in found]

    def change(self, hours: float, status: Status, detail: Detail, name: str = "one", **more: Any) -> None:
        self.wall = WALL + hours * HOUR
        self.publish(view_at(name, status, detail, self.wall, **more))

    def pass_time(self, at: float, awake: float) -> None:
        self.timeline.passes(Moment(at, awake, self.wall))


RUN, RETRY = Status.RUNNING, Status.AUTH_RETRYING
