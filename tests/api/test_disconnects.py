"""Clients that hang up: on no endpoint does that leave an error in the log, at whatever moment."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.api.scripted_control import FakeControl, view
from trayapp.api import api
from trayapp.api.events import Events
from trayapp.api.openapi import OPERATIONS
from trayapp.api.pages import Pages
from trayapp.core.model import AccessToken, Secret
from trayapp.server.replies import empty_reply
from trayapp.server.server import LoopbackServer
from trayapp.storage.rows import HistoryRow
from trayapp.storage.timeline import Segment

SEGMENT = Segment(1_800_000_000.0, "running", "green", "tick", "ok", "Running. " * 100)


class SlowHistory:
    """A reader that takes its time, and has more to tell than the buffers of a connection hold."""

    async def read(self, names: list[str], since: float, limit: int) -> dict[str, tuple[list[Segment], bool]]:
        await asyncio.sleep(0.002)
        return {name: ([SEGMENT] * 200, False) for name in names}

    async def attempts(self, name: str, since: float, limit: int) -> list[HistoryRow]:
        return []


@dataclass
class Site:
    """A server with the whole API, and what went wrong unseen in its loop."""

    server: LoopbackServer
    unseen: list[dict[str, Any]] = field(default_factory=list)

    async def hang_up(self, request: bytes, after: Callable[[asyncio.StreamReader], Awaitable[object]]) -> None:
        """Send the request, wait for something, and reset the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(request)
        await writer.drain()
        await after(reader)
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    def request(self, method: str, path: str, body: bytes = b"{}", length: int | None = None) -> bytes:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\n"
            f"Authorization: Bearer {self.server.api_key.reveal()}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
        )
        return head.encode() + body


async def _write_on(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(50):
        await response.write(b"x" * 65536)
        await asyncio.sleep(0.001)
    return response


async def _late(request: web.Request) -> web.StreamResponse:
    """Begins its answer when the client is gone."""
    left = asyncio.Event()
    request.task.add_done_callback(lambda task: left.set())
    with contextlib.suppress(asyncio.CancelledError):
        await left.wait()
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"x")
    return response


async def _no_client_of_ours(request: web.Request) -> web.StreamResponse:
    raise ConnectionResetError("of somebody else's connection")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    control = FakeControl(token_answer=AccessToken(1, Secret("t"), 0.0, None))
    control.views |= {f"w{number}": view(f"w{number}") for number in range(40)}
    hub = Events(control)
    server = LoopbackServer(
        port=0,
        runtime_dir=tmp_path / "run",
        version="1",
        routes=[
            *api.routes(control, version="1", events=hub, history_reader=SlowHistory()),
            web.get("/on", _write_on),
            web.get("/late", _late),
            web.get("/other", _no_client_of_ours),
            web.post("/quiet", _read),
        ],
        open_routes=api.open_routes(),
        pages=Pages().routes(),
    )
    await server.start()
    made = Site(server)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: made.unseen.append(context))
    yield made
    hub.close()
    await server.close()


async def _read(request: web.Request) -> web.Response:
    await request.read()
    return empty_reply(204)


async def _nothing(reader: asyncio.StreamReader) -> None: ...


async def _a_moment(reader: asyncio.StreamReader) -> None:
    await asyncio.sleep(0.01)


async def _first_byte(reader: asyncio.StreamReader) -> None:
    await asyncio.wait_for(reader.read(1), 5)


MOMENTS = {"at once": _nothing, "after a moment": _a_moment, "in the answer": _first_byte}


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{r.name}: {r.getMessage()}" for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("moment", MOMENTS)
async def test_no_operation_of_the_api(site: Site, moment: str, caplog: pytest.LogCaptureFixture) -> None:
    """Streaming or not, every route of the document, and the pages."""

    paths = [(each.method.upper(), re.sub(r"\{\w+\}", "github", each.path)) for each in OPERATIONS]
    for method, path in [*paths, ("GET", "/"), ("GET", "/web/app.js"), ("GET", "/nothing")]:
        if "reauthorize" in path and moment == "in the answer":
            continue  # it answers when a person has signed in
        for _ in range(3):
            await site.hang_up(site.request(method, path), MOMENTS[moment])
    await asyncio.sleep(0.2)

    assert [] == errors(caplog)
    assert [] == site.unseen


@pytest.mark.parametrize("path", ["/on", "/late", "/api/v1beta/history", "/api/v1beta/events"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_no_stream(site: Site, path: str, moment: str, caplog: pytest.LogCaptureFixture) -> None:
    """Also in the middle of a write, and when the answer begins after the client's end."""

    if path == "/late" and moment == "in the answer":
        pytest.skip("it answers nobody")
    await asyncio.gather(*(site.hang_up(site.request("GET", path), MOMENTS[moment]) for _ in range(10)))
    await asyncio.sleep(0.3)

    assert [] == errors(caplog)
    assert [] == site.unseen


async def test_in_the_middle_of_a_body(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A body that breaks off."""

    for path in ("/quiet", "/api/v1beta/workloads", "/api/v1beta/session"):
        for moment in (_nothing, _a_moment):
            await site.hang_up(site.request("POST", path, b'{"nam', 1000), moment)
    await asyncio.sleep(0.1)

    assert [] == errors(caplog)
    assert [] == site.unseen


async def test_a_connection_that_is_not_the_clients(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """While the client is still there, a reset of anything else stays an error."""

    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(site.request("GET", "/other"))
    assert b"HTTP/1.1 500 Internal Server Error\r\n" == await reader.readline()
    writer.close()
    await writer.wait_closed()

    assert 1 == len(errors(caplog))
