"""The loopback server's connection limit: beyond it a 503 and the end, with no effect on other connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.server.test_server import talk
from trayapp.server import connection_limit
from trayapp.server.server import LoopbackServer

ASK = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n"


async def health(request: web.Request) -> web.Response:
    return web.Response(text="well")


async def busy(request: web.Request) -> web.StreamResponse:
    """Answers slowly."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"well")
    await asyncio.Event().wait()
    return response


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopbackServer]:
    """A server that takes two connections."""
    monkeypatch.setattr("trayapp.server.server.available_connections", lambda: 2)
    found = LoopbackServer(
        port=0,
        runtime_dir=tmp_path / "run",
        version="0",
        routes=[],
        open_routes=[web.get("/health", health), web.get("/busy", busy)],
    )
    await found.start()
    yield found
    await found.close()


@contextlib.asynccontextmanager
async def connected(
    server: LoopbackServer, path: bytes = b"busy"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is being answered, or with `health` one that has been and stays open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write((ASK % server.port).replace(b"close", b"keep-alive").replace(b"health", path))
        assert b"HTTP/1.1 200 OK\r\n" == await reader.readline()
        await reader.readuntil(b"well")
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


async def test_one_connection_too_many_is_refused(server: LoopbackServer, caplog: pytest.LogCaptureFixture) -> None:
    """While the first two are being answered, the third is 503 with Retry-After and closed; the log says so once."""

    caplog.set_level(logging.WARNING)
    async with connected(server), connected(server) as (reader, _):
        for sent in (ASK % server.port, b"", b"\x16\x03\x01"):
            status, headers, body = await talk(server, sent)
            assert (503, "1", "close") == (status, headers["retry-after"], headers["connection"])
            assert "no-store" == headers["cache-control"]
            assert "busy" == json.loads(body)["error"]
        assert not reader.at_eof()
    assert 1 == len([record for record in caplog.records if "2 connections" in record.getMessage()])


async def test_a_closed_connection_makes_room(server: LoopbackServer) -> None:
    """As soon as one connection ends there is room for the next."""

    async with connected(server):
        async with connected(server):
            assert 503 == (await talk(server, ASK % server.port))[0]
        answers = [(await talk(server, ASK % server.port))[0] for _ in range(20)]
        assert 200 == answers[-1]


async def test_the_longest_idle_makes_room(server: LoopbackServer) -> None:
    """An idle connection that is kept alive gives way to a new client, as any server may close it at any time."""

    async with connected(server, b"health") as (first, writer), connected(server, b"health") as (second, _):
        writer.write((ASK % server.port).replace(b"close", b"keep-alive"))
        await first.readuntil(b"well")
        assert 200 == (await talk(server, ASK % server.port))[0]
        async with asyncio.timeout(5):
            assert b"" == await second.read()
        assert not first.at_eof()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (1024, 448),
        (256, 64),
        (100, 25),
        (64, 16),
        (2, 1),
        (1 << 20, connection_limit.CONNECTIONS_MAX),
        (-1, connection_limit.CONNECTIONS_MAX),
    ],
)
def test_the_limit_leaves_files_for_the_rest(files: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two for each connection, and some to spare; -1 is no limit at all."""
    resource = pytest.importorskip("resource", reason="Windows has no such limit")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (files, files))

    assert expected == connection_limit.available_connections()
