"""What is no HTTP/1.1: refused in our shape, without a byte of the request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.test_server import get, make, talk
from trayapp.server.server import LoopbackServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LoopbackServer]:
    one = make(tmp_path / "run")
    await one.start()
    yield one
    await one.close()


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "HTTP/3.0", "HTTP/2", "HTTP/9.9"])
async def test_other_versions_of_http(server: LoopbackServer, version: str) -> None:
    """505, in HTTP/1.1 and in our shape (RFC 9110 section 15.6.6)."""

    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(get(server).replace("HTTP/1.1", version).encode())
    async with asyncio.timeout(5):
        assert b"HTTP/1.1 505 HTTP Version Not Supported\r\n" == await reader.readline()
        head = await reader.readuntil(b"\r\n\r\n")
    assert b"no-store" in head
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_begins_with_http_2(server: LoopbackServer) -> None:
    """The preface of an HTTP/2 connection (RFC 9113 section 3.4) is answered by 505 too."""

    status, _, body = await talk(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    assert (505, "http_version") == (status, json.loads(body)["error"])


async def test_what_is_not_understood_is_not_repeated(server: LoopbackServer) -> None:
    """A malformed request may hold a key; its refusal has our shape and nothing of it."""

    status, headers, body = await talk(server, "GET /k/canary/w/notes HTTP/a.b\r\n\r\n")

    assert (400, "bad_request") == (status, json.loads(body)["error"])
    assert b"canary" not in body
    assert "no-store" == headers["cache-control"]
