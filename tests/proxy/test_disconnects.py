"""Clients of the proxy that hang up: at no moment does that leave an error in the log."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.proxy.proxying import NAME, proxied, upstream

CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}}).encode()
MCP = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
REQUESTS = {
    "a stream": ("GET", "/stream", "", b"", 0),
    "an answer that is slow": ("GET", "/slow", "", b"", 0),
    "half a body": ("POST", "/read", "", b"half", 1000),
    "a stream of events": ("GET", "/events", "Accept: text/event-stream\r\n", b"", 0),
    "an MCP call": ("POST", "/stream", MCP, CALL, len(CALL)),
    "half an MCP call": ("POST", "/stream", MCP, CALL[:20], len(CALL)),
    "a wrong path": ("GET", "/../x", "", b"", 0),
}


async def _upstream(request: web.BaseRequest) -> web.StreamResponse:
    if request.path.endswith("/read"):
        return web.Response(body=await request.read())
    if request.path.endswith("/slow"):
        await asyncio.sleep(0.05)
        return web.Response(text="late")
    kind = "text/event-stream" if request.path.endswith("/events") else "application/octet-stream"
    response = web.StreamResponse(headers={"Content-Type": kind})
    await response.prepare(request)
    for _ in range(100):
        await response.write(b"data: x\n\n" * 5000)
    return response


@pytest.mark.parametrize("wait", [0.0, 0.02, None])
@pytest.mark.parametrize("what", REQUESTS)
async def test_a_client_that_hangs_up(
    tmp_path: Path, what: str, wait: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Before, while and after it is answered; None: with the first byte of the answer."""

    method, path, more, body, length = REQUESTS[what]
    if wait is None and "half" in what:
        pytest.skip("half a request gets no answer")
    unseen: list[dict[str, Any]] = []
    async with upstream(_upstream) as up, proxied(up.url, tmp_path) as site:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: unseen.append(context))
        head = (
            f"{method} /w/{NAME}{path} HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\n"
            f"Authorization: Bearer {site.key}\r\nContent-Length: {length}\r\n{more}\r\n"
        )
        for _ in range(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
            writer.write(head.encode() + body)
            await writer.drain()
            if wait is None:
                await asyncio.wait_for(reader.read(1), 5)
            else:
                await asyncio.sleep(wait)
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        await asyncio.sleep(0.1)
        assert 200 == (await site.ask("GET", f"/w/{NAME}/slow"))[0]

    # The upstream's own library has its say about its own end of it, which is not what this is about.
    ours = [r for r in caplog.records if r.levelno >= logging.ERROR and r.name != "aiohttp.server"]
    assert [] == [f"{r.name}: {r.getMessage()}" for r in ours]
    assert [] == unseen
