"""What passes between a client and the app while both are there."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

from aiohttp import web

from tests.proxy.mcp_upstream import McpServer
from tests.stdio.stand import INITIALIZE, KEY, App, Client, until
from trayapp.stdio import bridge


def test_a_session_from_start_to_end(app: App, server: McpServer) -> None:
    """Every request has the key, the session's id and its revision; the end is said, too."""
    with Client(app) as client:
        assert "Be kind." == client.connect()["instructions"]
        assert ["echo"] == [tool["name"] for tool in client.ask("tools/list")["result"]["tools"]]
        assert "done" == client.call(text="a")
        until(lambda: server.streams, "the stream")
    assert [] == server.problems
    assert {f"Bearer {KEY}"} == set(app.shown)
    assert "DELETE" == server.methods()[-1]
    first, *others = server.headers
    assert "Mcp-Session-Id" not in first
    assert {("up-1", "2025-11-25")} == {(h["Mcp-Session-Id"], h["MCP-Protocol-Version"]) for h in others}


def test_a_pipelined_handshake_keeps_its_order(client: Client, server: McpServer) -> None:
    """Who writes all at once gets it done in this order."""
    client.send("initialize", INITIALIZE, 1)
    client.send("notifications/initialized")
    client.send("tools/list", None, 2)
    assert "result" in client.answer(2)
    assert [] == server.problems


def test_event_streams_pass_like_plain_answers(client: Client, server: McpServer) -> None:
    server.sse = True
    client.connect()
    assert "done" == client.call(text="a")


def test_what_the_server_says_of_its_own_accord_passes(client: Client, app: App, server: McpServer) -> None:
    """And the client's answer to it goes back."""
    client.connect()
    until(lambda: server.streams, "the stream")
    asked = {"jsonrpc": "2.0", "id": "s1", "method": "roots/list"}
    _push(app, server, f"id: e7\ndata: {json.dumps(asked)}\n\n".encode())
    assert asked == client.notified("roots/list")
    client.bridge.handle(b'{"jsonrpc":"2.0","id":"s1","result":{"roots":[]}}')
    assert {"jsonrpc": "2.0", "id": "s1", "result": {"roots": []}} == server.seen[-1][1]
    _push(app, server, b"")  # the stream ends
    until(lambda: any(h.get("Last-Event-ID") == "e7" for h in server.headers), "the next stream")


def _push(app: App, server: McpServer, data: bytes) -> None:
    assert app._server is not None
    queue = server.streams[-1]
    app._server.call_soon(lambda: queue.put_nowait(data))


def test_a_server_without_streams_is_asked_once(client: Client, server: McpServer) -> None:
    server.get_status = 405
    client.connect()
    client.call(text="a")
    client.call(text="b")
    until(lambda: "GET" in server.methods(), "the stream")
    assert 1 == server.methods().count("GET")


def test_a_server_without_sessions_is_asked_for_no_stream(client: Client, server: McpServer) -> None:
    server.sessions = False
    client.connect()
    assert "done" == client.call(text="a")
    assert "GET" not in server.methods()


class Slow:
    """Calls wait until they are let go; `cut` of their connections have ended."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.waiting: dict[str, asyncio.Event] = {}
        self.cut = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        message = json.loads(body) if body else {}
        text = message.get("params", {}).get("arguments", {}).get("text", "")
        if text.startswith("slow"):
            self.waiting[text] = asyncio.Event()
            try:
                await self.waiting[text].wait()
            except asyncio.CancelledError:
                self.cut += 1
                raise
        return await self.server.handle(request)


def test_a_slow_call_holds_up_no_other(tmp_path: Path, server: McpServer) -> None:
    slow = Slow(server)
    app = App(tmp_path, slow.handle)
    app.start()
    with Client(app) as client:
        client.connect()
        first = client.begin("tools/call", {"name": "echo", "arguments": {"text": "slow"}})
        until(lambda: slow.waiting)
        assert "done" == client.call(text="quick")
        assert first not in [line.get("id") for line in client.lines if line.get("id", 0) == first]
        assert app._server is not None
        app._server.call_soon(slow.waiting["slow"].set)
        assert "result" in client.answer(first)
    app.close()


def test_a_cancelled_call_is_cancelled_at_the_server(tmp_path: Path, server: McpServer) -> None:
    """The notification says so, and nobody waits any more."""
    slow = Slow(server)
    app = App(tmp_path, slow.handle)
    app.start()
    with Client(app) as client:
        client.connect()
        number = client.begin("tools/call", {"name": "echo", "arguments": {"text": "slow"}})
        until(lambda: slow.waiting)
        client.send("notifications/cancelled", {"requestId": number})
        until(lambda: slow.cut, "the end of the connection")
        assert "notifications/cancelled" in server.methods()
        assert "done" == client.call(text="quick")
        assert number not in [line.get("id") for line in client.lines]
    app.close()


def test_answers_of_any_length_stay_on_one_line(client: Client, server: McpServer) -> None:
    """20 MB, and printed over many lines."""
    client.connect()
    big = {"jsonrpc": "2.0", "id": 2, "result": {"content": [{"type": "text", "text": "ö" * (10 << 20)}]}}
    server.failing = lambda message: (
        web.json_response(text=json.dumps(big, ensure_ascii=False, indent=2)) if message.get("id") == 2 else None
    )
    assert 10 << 20 == len(client.call(text="a"))


def test_requests_of_any_length_pass(client: Client, server: McpServer) -> None:
    client.connect()
    assert "done" == client.call(text="x" * (20 << 20))
    assert 20 << 20 == len(server.seen[-1][1]["params"]["arguments"]["text"])


def test_what_is_no_message_is_refused_and_not_passed_on(client: Client, server: McpServer) -> None:
    for line in (b"nonsense", b"[]", b'{"id":1}', b'{"jsonrpc":"2.0","id":null,"method":"ping"}', b"[" * 100000):
        client.lines.clear()
        client.bridge.handle(line)
        assert -32700 == client.answer(None)["error"]["code"]
    assert [] == server.seen


def test_what_is_no_answer_does_not_reach_the_client(client: Client, server: McpServer) -> None:
    """A page of a gateway becomes an error of this request."""
    client.connect()
    server.failing = lambda message: web.Response(text="<html>Sign in</html>", content_type="application/json")
    assert "lab answered 200: <html>Sign in</html>" == client.ask("tools/list")["error"]["message"]


def test_errors_of_the_server_keep_their_words(client: Client, server: McpServer) -> None:
    """Also with an HTTP status, and with an id of null."""
    error = {"code": -32602, "message": "Unknown tool"}
    client.connect()
    server.failing = lambda message: web.json_response({"jsonrpc": "2.0", "id": None, "error": error}, status=400)
    assert error == client.ask("tools/list")["error"]
    server.failing = lambda message: web.Response(text="too\nmuch", status=413)
    assert "lab answered 413: too much" == client.ask("tools/list")["error"]["message"]


def test_a_batch_passes_whole(client: Client, server: McpServer) -> None:
    """2025-03-26."""
    client.connect()
    server.sessions = False
    client.bridge.handle(b'[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","method":"x"}]')
    until(lambda: len(client.lines) == 2)
    assert '[{"jsonrpc": "2.0", "id": "a", "result": {}}]' == json.dumps(client.lines[-1])


def test_a_client_of_all_workloads_asks_at_mcp(tmp_path: Path, server: McpServer) -> None:
    paths: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        paths.append(request.path)
        return await server.handle(request)

    app = App(tmp_path, handle)
    app.write_keys(**{"/mcp": KEY})
    app.start()
    with Client(app, None) as client:
        client.connect()
    app.close()
    assert {"/mcp"} == set(paths)


def test_hundreds_of_requests_at_once(client: Client, server: McpServer) -> None:
    """Each is answered, by no more threads than there may be."""
    client.connect()
    numbers = [client.begin("tools/call", {"name": "echo", "arguments": {}}) for _ in range(300)]
    assert all("result" in client.answer(number) for number in numbers)
    assert 300 == server.methods().count("tools/call")
    assert threading.active_count() < bridge.THREADS_MAX + 20
