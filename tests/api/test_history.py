"""The history routes and the `history` events, over HTTP."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.event_stream import EventReader
from tests.api.scripted_control import FakeControl, view
from tests.storage.timelines import BASE, HOUR, RETRY, RUN, WALL, TimelineBench, view_at
from trayapp.api import api
from trayapp.api.events import Events
from trayapp.api.history import LIMIT_MAX, event_json
from trayapp.core.presentation import Colour
from trayapp.core.snapshot import Detail, Snapshot
from trayapp.server.server import LoopbackServer
from trayapp.storage.timeline import Segment


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[TimelineBench]:
    async with TimelineBench(tmp_path) as made:
        yield made


@dataclass
class Site:
    """A running server over a real timeline."""

    desk: TimelineBench
    client: aiohttp.ClientSession
    control: FakeControl
    hub: Events

    async def ask(self, path: str) -> tuple[int, Any]:
        async with self.client.get(BASE + path) as response:
            return response.status, await response.json()


@pytest.fixture
async def site(desk: TimelineBench, tmp_path: Path) -> AsyncIterator[Site]:
    control = FakeControl()
    hub = Events(control)
    routes = api.routes(control, version="1", events=hub, history_reader=desk.timeline)
    server = LoopbackServer(port=0, runtime_dir=tmp_path / "run", version="1", routes=routes)
    url = await server.start()
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {server.api_key.reveal()}"}) as client:
        yield Site(desk, client, control, hub)
        hub.close()
    await server.close()


async def test_the_history_of_one(site: Site) -> None:
    """Times as RFC 3339, with milliseconds; in any zone they may be asked for."""

    site.desk.change(0, RUN, Detail.OK, name="github", colour=Colour.GREEN)
    site.desk.change(1, RETRY, Detail.OFFLINE, name="github", text="There is no network.")
    await site.desk.settle()
    expected = {
        "workload": "github",
        "since": "2027-01-15T08:30:00.000Z",
        "rows": [
            {
                "at": "2027-01-15T08:00:00.000Z",
                "status": "running",
                "colour": "green",
                "glyph": "tick",
                "detail": "ok",
                "text": "Running.",
            },
            {
                "at": "2027-01-15T09:00:00.000Z",
                "status": "auth_retrying",
                "colour": "amber",
                "glyph": "tick",
                "detail": "offline",
                "text": "There is no network.",
            },
        ],
        "more": False,
    }
    for since in ("2027-01-15T08:30:00Z", "2027-01-15T10:30:00%2B02:00", "2027-01-15T10:30:00+02:00"):
        assert (200, expected) == await site.ask(f"/workloads/github/history?since={since}")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/workloads/nobody/history", 404),
        ("/workloads/GitHub/history", 400),
        ("/history?since=", 400),
        ("/history?since=yesterday", 400),
        ("/history?since=2027-01-15", 400),
        ("/history?since=2027-01-15T08:30:00", 400),
        ("/history?since=9999999999", 400),
        ("/history?limit=0", 400),
        ("/history?limit=-1", 400),
        ("/history?limit=1.5", 400),
        (f"/history?limit={LIMIT_MAX + 1}", 400),
        ("/history?limit=%C2%B2", 400),
    ],
)
async def test_what_makes_no_sense(site: Site, path: str, status: int) -> None:
    """Refused with a sentence that names the parameter."""

    found, body = await site.ask(path)

    assert status == found
    assert body["message"].endswith(".")


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "1969-07-20T20:17:40Z"])
async def test_a_time_out_of_this_world(site: Site, since: str) -> None:
    """From the beginning on, or from the end on."""

    status, body = await site.ask(f"/history?limit={LIMIT_MAX}&since={since}")

    assert (200, [[]]) == (status, [each["rows"] for each in body["workloads"].values()])
    assert body["since"][:4] in ("1970", "9999")


async def test_the_history_of_all(site: Site) -> None:
    """By name, each with its own `more`; those without one are there too, unknown ones are not."""

    site.control.views = {name: view(name) for name in ["quiet", *(f"n{i:02}" for i in range(25))]}
    for hour in range(4):
        site.desk.publish(
            *(view_at(f"n{i:02}", RUN if hour % 2 else RETRY, Detail.OK, WALL + hour * HOUR) for i in range(25))
        )
    site.desk.change(0, RUN, Detail.OK, name="gone")
    await site.desk.settle()
    status, body = await site.ask("/history?since=2027-01-15T08:30:00Z&limit=2")

    assert (200, "2027-01-15T08:30:00.000Z") == (status, body["since"])
    assert [*(f"n{i:02}" for i in range(25)), "quiet"] == list(body["workloads"])
    assert {"rows": [], "more": False} == body["workloads"]["quiet"]
    assert (3, True) == (len(body["workloads"]["n24"]["rows"]), body["workloads"]["n24"]["more"])


async def test_no_workload_at_all(site: Site) -> None:
    """An empty object."""

    site.control.views = {}

    assert {} == (await site.ask("/history"))[1]["workloads"]


async def test_without_a_time_it_is_the_last_day(site: Site) -> None:
    """Neither more nor less."""

    from datetime import datetime

    since = datetime.fromisoformat((await site.ask("/history"))[1]["since"]).timestamp()

    assert abs(time.time() - 86400 - since) < 60


async def test_a_segment_and_the_app_are_told_in_the_stream(site: Site) -> None:
    """`history` with the row and its workload; `app` when a warning comes; nothing when nothing changed."""

    site.hub.published(Snapshot(1, {}))
    async with site.client.get(f"{BASE}/events") as response:
        stream = EventReader(response)
        assert "reset" == (await stream.next()).kind
        new = Segment(WALL, "running", "green", "tick", "ok", "Running.")
        site.hub.emit("history", lambda: event_json("github", new))
        told = await stream.next()
        assert ("history", {"workload": "github", "at": "2027-01-15T08:00:00.000Z", "text": "Running."}) == (
            told.kind,
            {key: told.data[key] for key in ("workload", "at", "text")},
        )
        site.hub.published(Snapshot(2, {}))
        site.hub.published(Snapshot(3, {}, gate="offline", muted=True, warnings=("No keyring.",)))
        told = await stream.next()
        assert ("app", True, "offline", ["No keyring."]) == (
            told.kind,
            told.data["muted"],
            told.data["gate"],
            told.data["warnings"],
        )
        assert (await site.ask("/status"))[1].keys() == told.data.keys()


@pytest.mark.alone
async def test_thirty_days_of_two_hundred_workloads(site: Site) -> None:
    """A day of all is told in a blink, and the loop is free meanwhile."""

    names = [f"n{i:03}" for i in range(200)]
    site.control.views = {name: view(name) for name in names}
    rows = [
        (name, WALL + number * 1800, "running" if number % 2 else "auth_retrying", "amber", "tick", "ok", "x" * 60)
        for name in names
        for number in range(600)
    ]

    def fill(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO segment (name, wall, status, colour, glyph, detail, text) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
        )
        db.execute("COMMIT")

    await site.desk.journal.run(fill, None)
    longest, end = 0.0, False

    async def watch() -> None:
        nonlocal longest
        while not end:
            began = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - began)
            await asyncio.sleep(0.001)

    watching = asyncio.create_task(watch())
    began = time.perf_counter()
    status, body = await site.ask("/history?since=2027-01-26T20:00:00Z")
    took = time.perf_counter() - began
    end = True
    await watching

    assert (200, 200) == (status, len(body["workloads"]))
    assert took < 3.0
    assert longest < 0.5
