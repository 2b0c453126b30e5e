"""Asking for tools over both transports, and servers that answer badly."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from tests.engine.engines import with_policy
from tests.proxy.legacy_upstream import LegacyServer
from tests.proxy.proxied_engine import proxied_engine
from trayapp.app.tools_check import check
from trayapp.core import answered
from trayapp.core.answered import Answered
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import Secret
from trayapp.oauthtest import EchoWorkload, OAuthServer

KEY = "canary-local-key"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    server = RawTestServer(handler)
    await server.start_server()
    try:
        yield str(server.make_url("/w/notion"))
    finally:
        await server.close()


async def asked(handler: Handler, *, sse: bool = False, limit: float = 5.0) -> Answered:
    async with serving(handler) as url:
        return await check("notion", ClientAccess("notion", url, Secret(KEY), sse=sse), limit)


def rpc(request: dict[str, Any], result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request["id"], "result": result}


class Paged:
    """Three pages of tools as plain JSON or as events, in a session."""

    def __init__(self, *, stream: bool = False, tools: bool = True) -> None:
        self.stream, self.tools = stream, tools
        self.seen: list[tuple[str, str, str]] = []  # method, session, protocol version
        self.keys: set[str] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.keys.add(request.headers.get("Authorization", ""))
        message = json.loads(await request.read() or b"{}")
        head = request.headers
        method = message.get("method", request.method)
        self.seen.append((method, head.get("Mcp-Session-Id", ""), head.get("MCP-Protocol-Version", "")))
        if "id" not in message:
            return web.Response(status=202)
        if method == "initialize":
            able: dict[str, Any] = {"tools": {}} if self.tools else {}
            return self.answer(rpc(message, {"protocolVersion": "2025-03-26", "capabilities": able}))
        cursor = message["params"].get("cursor", "0")
        more = {} if cursor == "2" else {"nextCursor": str(int(cursor) + 1)}
        return self.answer(rpc(message, {"tools": [{"name": "t"}] * 5, **more}))

    def answer(self, value: dict[str, Any]) -> web.Response:
        head = {"Mcp-Session-Id": "s1"}
        if self.stream:
            told = b'event: message\r\ndata: {"jsonrpc": "2.0", "method": "notifications/message"}\r\n\r\n'
            body = told + b"data: " + json.dumps(value).encode() + b"\r\n\r\n"
            return web.Response(body=body, content_type="text/event-stream", headers=head)
        return web.json_response(value, headers=head)


async def test_through_the_proxy_with_a_login(tmp_path: Path) -> None:
    """The whole way: our server, our key, a token, and an MCP server behind it."""

    with OAuthServer() as server, EchoWorkload(server) as workload:
        async with proxied_engine(server, workload.url, tmp_path, with_policy()) as site:
            await site.world.green()
            access = ClientAccess("one", site.keyless_url, Secret(site.key))
            assert Answered("one answered: 1 tool", 1) == await check("one", access)
            wrong = ClientAccess("one", site.keyless_url, Secret("not-it"))
            assert (await check("one", wrong)).tools is None


@pytest.mark.parametrize("stream", [False, True])
async def test_all_pages_are_counted_and_the_session_is_ended(stream: bool) -> None:
    """In the server's own session and version of the protocol."""

    server = Paged(stream=stream)
    assert Answered("notion answered: 15 tools", 15) == await asked(server.handle)
    assert ("initialize", "", "") == server.seen[0]
    assert {("s1", "2025-03-26")} == {each[1:] for each in server.seen[1:]}
    assert ["notifications/initialized", *["tools/list"] * 3, "DELETE"] == [each[0] for each in server.seen[1:]]
    assert {f"Bearer {KEY}"} == server.keys


async def test_a_server_without_tools_is_not_asked_for_them() -> None:
    server = Paged(tools=False)
    assert "notion answered: no tools" == (await asked(server.handle)).message
    assert "tools/list" not in [each[0] for each in server.seen]


async def test_the_older_transport() -> None:
    server = LegacyServer()
    found = await asked(server.handle, sse=True)
    assert found.tools is not None, found
    assert ["initialize", "notifications/initialized"] == server.methods()[:2]


async def test_a_key_goes_to_no_other_server() -> None:
    """A stream that names an endpoint elsewhere gets nothing."""

    server = LegacyServer(announces="http://127.0.0.2:9/messages/")
    assert (await asked(server.handle, sse=True)).tools is None
    assert [] == server.seen


async def test_a_stream_that_is_refused_or_ends() -> None:
    server = LegacyServer(closed=lambda request: web.Response(status=404))
    assert "HTTP 404" in (await asked(server.handle, sse=True)).message

    async def ends(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b": nothing\n\n", content_type="text/event-stream")

    assert answered.cut_off("notion") == await asked(ends, sse=True)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (lambda: web.Response(status=404, text="no"), "HTTP 404"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}), "HTTP 302"),
        (lambda: web.json_response({"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": KEY}}), "-32000"),
        (lambda: web.json_response({"jsonrpc": "2.0", "id": 1, "error": KEY}), "error 0"),
        (lambda: web.json_response({"jsonrpc": "2.0", "id": "1", "result": {}}), "not as an MCP server"),
        (lambda: web.Response(body=b" " * (answered.SIZE_MAX + 1)), "too large"),
    ],
)
async def test_bad_answers(response: Callable[[], web.Response], words: str) -> None:
    """Each has its sentence, and repeats nothing that the server said."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return response()

    found = await asked(handle)
    assert words in found.message
    assert KEY not in found.message + found.help
    assert found.tools is None


async def test_no_answer_in_time_and_nobody_there() -> None:
    async def hang(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    assert answered.silent("notion") == await asked(hang, limit=0.2)
    nobody = ClientAccess("notion", "http://127.0.0.1:9/w/notion", Secret(KEY))
    assert answered.cut_off("notion") == await check("notion", nobody)


async def test_an_event_nested_too_deeply() -> None:
    """It is no answer, on the older transport too."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "POST":
            return web.Response(status=202)
        told = b"event: endpoint\ndata: /messages\n\nevent: message\ndata: " + b"[" * 100_000 + b"\n\n"
        return web.Response(body=told, content_type="text/event-stream")

    assert answered.cut_off("notion") == await asked(handle, sse=True)
