"""2026-07-28: no handshake and no session, every request stands for itself."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.proxy.mcp_upstream import McpServer
from tests.stdio.stand import MODERN, App, Client, until

TOOL = {
    "name": "hermès",
    "inputSchema": {
        "type": "object",
        "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry-Run"}}},
            "odd": {"type": "string", "x-mcp-header": "not a token"},
            "plain": {"type": "string"},
        },
    },
}


@pytest.fixture
def server() -> McpServer:
    return McpServer(modern=True, tools=[TOOL])


def test_every_request_says_what_it_is(client: Client, server: McpServer) -> None:
    """Method, name and the arguments that the tool's schema wants in headers."""
    assert ["2026-07-28"] == client.ask("server/discover", MODERN)["result"]["supportedVersions"]
    client.ask("tools/list", MODERN)
    arguments = {"region": "eu", "deep": {"dry": True}, "odd": "x", "plain": "y"}
    assert "result" in client.ask("tools/call", {**MODERN, "name": "hermès", "arguments": arguments})
    assert ["server/discover", "tools/list", "tools/call"] == [head["Mcp-Method"] for head in server.headers]
    assert {"2026-07-28"} == {head["MCP-Protocol-Version"] for head in server.headers}
    last = server.headers[-1]
    assert "=?base64?aGVybcOocw==?=" == last["Mcp-Name"]
    assert {"Mcp-Param-Region": "eu", "Mcp-Param-Dry-Run": "true"} == {
        name: value for name, value in last.items() if name.startswith("Mcp-Param")
    }
    assert "Mcp-Session-Id" not in last


def test_while_the_app_is_away(client: Client, app: App) -> None:
    """Which revision the server speaks is not known: the client is sent to `initialize`."""
    app.close()
    assert -32601 == client.ask("server/discover", MODERN)["error"]["code"]
    said = client.ask("tools/call", {**MODERN, "name": "hermès"})["result"]
    assert ("complete", True) == (said["resultType"], said["isError"])


class Listening:
    """Acknowledges each subscription, and keeps it open."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.opened: list[web.StreamResponse] = []
        self.ended = 0
        self.posted: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        message: dict[str, Any] = json.loads(await request.read())
        self.posted.append(message["method"])
        if message["method"] != "subscriptions/listen":
            return await self.server.handle(request)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        said = {
            "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": {"notifications": {"toolsListChanged": True}},
        }
        await response.write(f"data: {json.dumps(said)}\n\n".encode())
        self.opened.append(response)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1
        return response


def test_a_subscription_outlives_the_app(tmp_path: Path, server: McpServer) -> None:
    """It is acknowledged once; after a gap the client hears that its lists may have changed; a cancel ends it."""
    listening = Listening(server)
    app = App(tmp_path, listening.handle)
    app.start()
    with Client(app) as client:
        number = client.begin("subscriptions/listen", {**MODERN, "notifications": {"toolsListChanged": True}})
        client.notified("notifications/subscriptions/acknowledged")
        app.stop()
        app.start()
        changed = client.notified("notifications/tools/list_changed")
        assert {"_meta": {"io.modelcontextprotocol/subscriptionId": number}} == changed["params"]
        until(lambda: len(listening.opened) == 2)
        assert 1 == len([line for line in client.lines if str(line.get("method")).endswith("acknowledged")])
        client.send("notifications/cancelled", {**MODERN, "requestId": number})
        until(lambda: listening.ended == 2, "the end of the subscription")
        assert "notifications/cancelled" not in listening.posted
    app.close()


def test_a_cancelled_request_ends_its_connection(tmp_path: Path, server: McpServer) -> None:
    """That says it; the notification goes nowhere, even if it doesn't name its revision."""
    waiting, ended = [], []

    async def handle(request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.read())
        waiting.append(message["method"])
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(message["method"])
        raise AssertionError

    app = App(tmp_path, handle)
    app.start()
    with Client(app) as client:
        number = client.begin("tools/call", {**MODERN, "name": "x"})
        until(lambda: waiting)
        client.send("notifications/cancelled", {"requestId": number})
        until(lambda: ended)
        client.bridge.drain(5)
    app.close()
    assert ["tools/call"] == waiting
    assert [] == client.lines
