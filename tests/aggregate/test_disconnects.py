"""Clients of /mcp that hang up: neither the app nor its process calls that an error."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from urllib.parse import urlsplit

import pytest

from tests.aggregate.site import Site

PARAMS = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
INITIALIZE = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": PARAMS}).encode()


@pytest.mark.parametrize(
    ("method", "body"), [("POST", INITIALIZE), ("POST", INITIALIZE[:30]), ("GET", b""), ("DELETE", b"")]
)
async def test_a_client_that_hangs_up(site: Site, method: str, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """At once, in the middle of its body, and while it is being answered."""

    port = urlsplit(site.url).port or 0
    length = len(INITIALIZE) if body else 0
    head = (
        f"{method} /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {site.key}\r\n"
        "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )
    async with site.older() as session:  # its process runs
        for wait in (0.0, 0.002, 0.01, 0.05, 0.2):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + body)
            await writer.drain()
            await asyncio.sleep(wait)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        await session.list_tools()  # whatever the process has to say about them is said

    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [] == [line for line in said if "ERROR" in line or "Traceback" in line]
    ours = [
        record for record in caplog.records if not record.name.startswith("mcp.client")
    ]  # that is the test's client
    assert [] == [record.getMessage() for record in ours if record.levelno >= logging.ERROR]
