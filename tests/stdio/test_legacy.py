"""Workloads of the older HTTP+SSE transport: found out at `initialize`, and kept through restarts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.proxy.legacy_upstream import LegacyServer
from tests.proxy.mcp_upstream import McpServer
from tests.stdio.stand import App, Client, until
from trayapp.stdio import legacy

ROOT = "/w/lab"


class Old:
    """An app in front of a legacy server: no POST at the workload itself."""

    def __init__(self, server: LegacyServer) -> None:
        self.server = server
        self.newer: McpServer | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.newer is not None:
            return await self.newer.handle(request) if request.method != "GET" else web.Response(status=405)
        if request.method == "POST" and request.path == ROOT:
            return web.Response(status=405, text="Method Not Allowed")
        return await self.server.handle(request)


@pytest.fixture
def old() -> Old:
    return Old(LegacyServer(announces=f"{ROOT}/messages"))


@pytest.fixture
def app(tmp_path: Path, old: Old) -> Iterator[App]:
    app = App(tmp_path, old.handle)
    app.start()
    yield app
    app.close()


def test_a_session(client: Client, old: Old) -> None:
    """Every message is posted at the announced address; answers come on the stream."""
    assert "legacy" == client.connect()["serverInfo"]["name"]
    assert ["echo"] == [tool["name"] for tool in client.ask("tools/list")["result"]["tools"]]
    assert "done" == client.call(text="a")
    assert ["initialize", "notifications/initialized", "tools/list", "tools/call"] == old.server.methods()


def test_a_stream_that_ends_is_opened_anew(client: Client, old: Old, app: App) -> None:
    """Through a restart on another port, too: the server is told again who the client is."""
    client.connect()
    app.stop()
    app.start()
    client.notified("notifications/tools/list_changed")
    assert "done" == client.call(text="a")
    assert ["initialize", "notifications/initialized"] * 2 == old.server.methods()[:4]
    assert not any(str(line.get("id", "")).startswith("amberlight") for line in client.lines)


def test_a_call_on_a_stream_that_ends_has_an_unknown_fate(client: Client, old: Old, app: App) -> None:
    client.connect()
    old.server.failing = lambda request, message: (
        web.Response(status=202) if message.get("method") == "tools/call" else None
    )
    number = client.begin("tools/call", {"name": "echo"})
    until(lambda: "tools/call" in old.server.methods())
    assert app._server is not None
    app._server.call_soon(old.server.drop)
    assert "may or may not have run" in client.answer(number)["result"]["content"][0]["text"]
    old.server.failing = lambda request, message: None
    assert "done" == client.call(text="b")
    assert 2 == old.server.methods().count("tools/call")


def test_a_server_that_was_replaced_by_a_newer_one(client: Client, old: Old, app: App) -> None:
    """The session goes on over streamable HTTP."""
    client.connect()
    old.newer = McpServer(get_status=405)
    app.stop()
    app.start()
    client.notified("notifications/tools/list_changed")
    assert "done" == client.call(text="a")
    assert "initialize" in old.newer.methods()


def test_started_before_the_app(app: App, old: Old) -> None:
    """The client was answered here: the server is told afterwards."""
    app.stop()
    with Client(app) as client:
        client.connect()
        app.start()
        client.notified("notifications/tools/list_changed")
        assert "done" == client.call(text="a")
    assert "initialize" == old.server.methods()[0]


def test_a_refused_message_is_an_error(client: Client, old: Old) -> None:
    client.connect()
    old.server.failing = lambda request, message: web.Response(status=413, text="too long")
    assert "413: too long" in client.ask("tools/list")["error"]["message"]


def test_an_address_elsewhere_is_not_posted_to(client: Client, old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app announces paths of its own only; whatever else stands there is not used."""
    monkeypatch.setattr(legacy, "OPEN_LIMIT", 0.2)
    old.server.announces = "http://192.0.2.1/messages"
    assert "error" in client.ask("initialize", {"protocolVersion": "2024-11-05"})
