"""The event stream over real sockets: the first list, changes, resumption, heartbeats and slow readers."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp
import pytest

from tests.api.event_stream import EventReader, ReceivedEvent
from tests.api.scripted_control import FakeControl, view
from trayapp.api import api, events
from trayapp.api.events import Events
from trayapp.core.snapshot import Snapshot, Status
from trayapp.server.server import LoopbackServer

PATH = "/api/v1beta/events"
RING_SIZE = 10


@dataclass
class Site:
    """A running server whose workloads a test changes."""

    control: FakeControl
    events: Events
    client: aiohttp.ClientSession
    server: LoopbackServer
    streams: list[aiohttp.ClientResponse] = field(default_factory=list)

    async def listen(self, last: str | None = None) -> EventReader:
        response = await self.client.get(PATH, headers={} if last is None else {"Last-Event-ID": last})
        self.streams.append(response)
        return EventReader(response)

    async def begun(self) -> EventReader:
        """A listener that has the full list."""
        stream = await self.listen()
        assert (await stream.next()).kind == "reset"
        return stream

    def change(self, *names: str, status: Status = Status.AUTH_RETRYING) -> None:
        """These are other ones now, and everybody hears of it."""
        for name in names:
            self.control.views[name] = replace(view(name, status), status_context=f"{name} at {id(object())}")
        self.events.published(Snapshot(1, dict(self.control.views)))

    def drop(self, name: str) -> None:
        del self.control.views[name]
        self.events.published(Snapshot(1, dict(self.control.views)))

    async def until(self, holds: Callable[[], object]) -> None:
        end = time.monotonic() + 5.0
        while not holds():
            assert time.monotonic() < end, "waited in vain"
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(directory: Path, *, heartbeat: float = 5.0, write_limit: float = 5.0) -> AsyncIterator[Site]:
    control = FakeControl()
    hub = Events(control, ring_size=RING_SIZE, heartbeat=heartbeat, write_limit=write_limit)
    hub.published(control.snapshot())
    server = LoopbackServer(
        port=0, runtime_dir=directory / "run", version="1", routes=api.routes(control, version="1", events=hub)
    )
    url = await server.start()
    key = {"Authorization": f"Bearer {server.api_key.reveal()}"}
    async with aiohttp.ClientSession(url, headers=key) as client:
        site = Site(control, hub, client, server)
        yield site
        for stream in site.streams:
            stream.close()
        hub.close()
    await server.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with running(tmp_path) as made:
        yield made


async def rows(site: Site) -> object:
    async with site.client.get("/api/v1beta/workloads?all=true") as response:
        return (await response.json())["workloads"]


async def test_a_new_reader_gets_the_full_list(site: Site) -> None:
    """One `reset`, the rows as the list has them, paused ones included, and the time to come back after a loss."""

    site.control.views["idle"] = view("idle", Status.STOPPED)
    stream = await site.listen()
    told = await stream.next()

    assert "reset" == told.kind
    assert {"workloads": await rows(site)} == told.data
    assert ["github", "idle"] == [row["name"] for row in told.data["workloads"]]
    assert 2000 == stream.retry


async def test_an_empty_list_is_a_list(site: Site) -> None:
    """Without a workload the reset is empty."""

    site.drop("github")

    assert {"workloads": []} == (await (await site.listen()).next()).data


async def test_a_long_list_comes_in_slices(site: Site) -> None:
    """Two hundred rows are one event."""

    site.control.views.update({f"n{i:03}": view(f"n{i:03}") for i in range(200)})
    told = await (await site.listen()).next()

    assert {"workloads": await rows(site)} == told.data
    assert 201 == len(told.data["workloads"])


async def test_each_change_is_told_once_to_everybody(site: Site) -> None:
    """`workload` with the whole row; what did not change is not told; `removed` with the name."""

    streams = [await site.begun(), await site.begun()]
    site.change("github")
    site.events.published(Snapshot(2, dict(site.control.views)))
    site.change("new")
    expected = await rows(site)
    site.drop("github")
    for stream in streams:
        told = [await stream.next() for _ in range(3)]
        assert ["workload", "workload", "removed"] == [each.kind for each in told]
        assert expected == [each.data for each in told[:2]]
        assert {"name": "github"} == told[2].data


async def test_ids_count_up_and_belong_to_this_run(site: Site) -> None:
    """Each id is one more than the one before; its first half is random."""

    stream = await site.begun()
    site.change("a", "b")
    ids = [(await stream.next()).id for _ in range(2)]

    assert all(re.fullmatch(r"[0-9a-f]{8}-\d+", each) for each in ids)
    run, first = ids[0].split("-")
    assert f"{run}-{int(first) + 1}" == ids[1]


async def test_a_returning_reader_gets_what_it_missed(site: Site) -> None:
    """From the id he saw last, in order, and then what happens next; no reset."""

    stream = await site.begun()
    site.change("a")
    seen = (await stream.next()).id
    stream.response.close()
    site.change("b")
    site.drop("a")
    again = await site.listen(seen)
    told: list[ReceivedEvent] = [await again.next(), await again.next()]
    site.change("c")
    told.append(await again.next())

    assert [("workload", "b"), ("removed", "a"), ("workload", "c")] == [(t.kind, t.data["name"]) for t in told]


async def test_a_returning_reader_that_missed_nothing_gets_nothing(site: Site) -> None:
    """The newest id is continued without a repetition."""

    stream = await site.begun()
    site.change("a")
    again = await site.listen((await stream.next()).id)
    await site.until(lambda: site.events.readers == 2)
    site.change("b")

    assert "b" == (await again.next()).data["name"]


async def test_the_oldest_id_that_is_still_continued(site: Site) -> None:
    """Exactly as many events back as are kept; one more and the full list comes."""

    stream = await site.begun()
    site.change("a")
    too_old = (await stream.next()).id
    site.change("b")
    old = (await stream.next()).id
    site.change(*(f"n{i}" for i in range(RING_SIZE)))

    again = await site.listen(old)
    assert [f"n{i}" for i in range(RING_SIZE)] == [(await again.next()).data["name"] for _ in range(RING_SIZE)]
    assert "reset" == (await (await site.listen(too_old)).next()).kind


@pytest.mark.parametrize("last", ["", "7", "00000000-1", "{run}-999", "{run}--1", "{run}-1e3", "x" * 3000, "ä-1"])
async def test_an_unknown_id_gets_a_reset(site: Site, last: str) -> None:
    """Of another run, of the future, or no id at all: one reset."""

    run = (await (await site.listen()).next()).id.split("-")[0]

    assert "reset" == (await (await site.listen(last.replace("{run}", run))).next()).kind


async def test_more_events_than_the_ring_holds_are_a_reset(site: Site) -> None:
    """A reader who could not have kept up gets the full list, and goes on from there."""

    stream = await site.begun()
    site.change(*(f"n{i}" for i in range(RING_SIZE + 1)))
    told = await stream.next()
    site.change("late")

    assert ("reset", RING_SIZE + 2) == (told.kind, len(told.data["workloads"]))
    assert "late" == (await stream.next()).data["name"]


async def test_a_heartbeat_while_somebody_listens(tmp_path: Path) -> None:
    """A comment now and then, and events all the same; when nobody listens nothing runs."""

    async with running(tmp_path, heartbeat=0.02) as site:
        before = len(asyncio.all_tasks())
        stream = await site.begun()
        await asyncio.sleep(0.1)
        site.change("a")
        assert "a" == (await stream.next()).data["name"]
        assert 2 <= stream.comments <= 10
        stream.response.close()
        await site.until(lambda: not site.events.readers)
        await site.until(lambda: len(asyncio.all_tasks()) <= before)


async def test_the_handler_ends_with_its_client(site: Site) -> None:
    """At once, not at the next heartbeat."""

    streams = [await site.begun() for _ in range(5)]
    assert 5 == site.events.readers
    for stream in streams:
        stream.response.close()
    async with asyncio.timeout(1.0):
        await site.until(lambda: site.events.readers == 0)


async def test_a_reader_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    """A client that takes nothing fills two small buffers and is cut off; others hear everything meanwhile."""

    async with running(tmp_path, write_limit=0.1) as site:
        other = await site.begun()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", site.server.port))
            key = site.server.api_key.reveal()
            head = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\nAuthorization: Bearer {key}\r\n\r\n"
            deaf.sendall(head.encode())
            await site.until(lambda: site.events.readers == 2)
            told = 0
            while site.events.readers == 2:
                assert told < 2000, "it was never dropped"
                large = replace(view("large"), status_context="x" * 50_000 + str(told))
                site.control.views["large"] = large
                site.events.published(Snapshot(1, dict(site.control.views)))
                assert (await other.next()).data["status_context"] == large.status_context
                told += 1
        assert 1 == site.events.readers


async def test_the_number_of_readers_is_limited(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that opens streams in a loop is told to wait; the first ones go on."""

    monkeypatch.setattr(events, "READERS_MAX", 2)
    streams = [await site.begun() for _ in range(2)]
    async with site.client.get(PATH) as response:
        assert (503, "busy") == (response.status, (await response.json())["error"])
        assert "Retry-After" in response.headers
    site.change("a")
    assert "a" == (await streams[1].next()).data["name"]


async def test_the_end_of_the_app_ends_the_streams(site: Site) -> None:
    """Cleanly: the last chunk is sent, and the server need not wait."""

    stream = await site.begun()
    site.events.close()
    with pytest.raises(EOFError):
        await stream.next()
    async with site.client.get(PATH) as response:
        assert 503 == response.status


async def test_it_needs_the_key(site: Site) -> None:
    """As every other route does."""

    async with site.client.get(PATH, headers={"Authorization": "Bearer wrong"}) as response:
        assert 403 == response.status
    assert 0 == site.events.readers
