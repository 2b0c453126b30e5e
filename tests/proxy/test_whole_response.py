"""A response that has arrived whole goes to the client in one piece: its framing, and what becomes of it without a client."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import StreamWriter
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from tests.proxy.mcp_upstream import McpServer
from tests.proxy.proxying import NAME
from tests.proxy.test_steady import Lab, lab
from trayapp.proxy.whole_response import WholeResponse, send_whole

CALL = b'{"jsonrpc": "2.0", "method": "tools/call", "id": 7, "params": {"name": "echo", "arguments": {}}}'


class Scripted(McpServer):
    """An MCP server that answers every call with `answer`, once that is set."""

    answer: web.Response | None = None
    calls = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.answer is None or b"tools/call" not in await request.read():
            return await super().handle(request)
        self.calls += 1
        return self.answer


async def exchanged(rig: Lab, version: str = "1.1", connection: str = "") -> tuple[str, bytes, bool]:
    """Head and body of the answer to a call in a session, and whether the connection was closed after it."""
    client = rig.client()
    await client.connect()
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.site.server.port)
    head = {"Host": f"127.0.0.1:{rig.site.server.port}", "Authorization": f"Bearer {rig.site.key}"}
    head |= {
        "Content-Type": "application/json",
        "Content-Length": str(len(CALL)),
        "Mcp-Session-Id": client.session or "",
    }
    head |= {"Connection": connection} if connection else {}
    lines = [f"POST /w/{NAME} HTTP/{version}", *(f"{name}: {value}" for name, value in head.items())]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + CALL)
        answered = (await reader.readuntil(b"\r\n\r\n")).decode()
        body, closed = b"", False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                body = await reader.read(1000)
                closed = body == b"" or await reader.read() == b""
    finally:
        writer.close()
    return answered, body, closed


@pytest.mark.parametrize(
    ("version", "asked", "answered", "closes"),
    [
        ("1.1", "", None, False),
        ("1.1", "close", "close", True),
        ("1.0", "", None, True),
        ("1.0", "keep-alive", "keep-alive", False),
    ],
)
async def test_the_connection_is_kept_as_the_client_wants(
    tmp_path: Path, version: str, asked: str, answered: str | None, closes: bool
) -> None:
    """The status line has the client's version, and only where it differs from the default a `Connection` header."""

    server = Scripted()
    async with lab(tmp_path, server) as rig:
        server.answer = web.Response(body=b'{"x": 1}', content_type="application/json")
        head, body, closed = await exchanged(rig, version, asked)
    lines = head.split("\r\n")

    assert f"HTTP/{version} 200 OK" == lines[0]
    assert b'{"x": 1}' == body
    assert closes == closed
    found = [line for line in lines if line.lower().startswith("connection:")]
    assert ([] if answered is None else [f"Connection: {answered}"]) == found


async def test_length_and_type_of_what_has_none(tmp_path: Path) -> None:
    """No body has the length 0 and no type; a body without a type is bytes; the upstream's own date stays."""

    server = Scripted()
    async with lab(tmp_path, server) as rig:
        server.answer = web.Response(headers={"Date": "Sun, 06 Nov 1994 08:49:37 GMT"})
        empty, body, _ = await exchanged(rig)
    assert b"" == body
    assert 1 == empty.count("Content-Length: 0\r\n")
    assert "\nContent-Type:" not in empty
    assert 1 == empty.count("Date: ") == empty.count("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n")

    found = WholeResponse(200, "OK", CIMultiDict(), b"abc")
    request = make_mocked_request("POST", "/")
    await found.prepare(request)
    assert ("3", "application/octet-stream") == (found.headers["Content-Length"], found.headers["Content-Type"])
    assert found.prepared
    assert await found.prepare(request) is None, "it is sent once"


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_a_status_without_a_body_has_no_framing_of_one(tmp_path: Path, status: int) -> None:
    """Whatever came from the upstream."""

    sent = await send_whole(make_mocked_request("POST", "/"), status, "X", CIMultiDict({"Content-Length": "9"}), b"")

    assert "Transfer-Encoding" not in sent.headers
    assert sent.headers.get("Content-Length", "0") == "0"


async def test_a_client_that_has_left_is_no_failure_of_the_upstream() -> None:
    """Nothing is raised here, where it would be taken for the upstream's; the server that sends it again notices."""

    request = make_mocked_request("POST", "/")
    loop = asyncio.get_running_loop()
    request._payload_writer = StreamWriter(BaseProtocol(loop), loop)  # its transport is gone

    sent = await send_whole(request, 200, "OK", CIMultiDict(), b"abc")

    with pytest.raises(ConnectionError):
        await sent.prepare(request)
