"""The app, its session or its connection goes away: what the client is told, and that nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.access import make_private, open_to_others
from tests.proxy.mcp_upstream import McpServer
from tests.requirements import require_links
from tests.stdio.stand import KEY, NOT_RUNNING, App, Client, until
from trayapp.stdio import place, requests, session

FATE = "The connection to lab was lost before it answered. The call may or may not have run"


def test_a_client_that_starts_before_the_app(app: App, server: McpServer) -> None:
    """It is answered, told what to do, and gets the tools once the app runs."""
    app.stop()
    with Client(app) as client:
        told = client.connect()
        assert "2025-11-25" == told["protocolVersion"]
        assert NOT_RUNNING in told["instructions"]
        assert [] == client.ask("tools/list")["result"]["tools"]
        assert f"lab isn't available. {NOT_RUNNING}" == client.call(text="a")
        assert {} == client.ask("ping")["result"]
        app.start()
        client.notified("notifications/tools/list_changed")
        assert ["echo"] == [tool["name"] for tool in client.ask("tools/list")["result"]["tools"]]
        assert "done" == client.call(text="b")
    assert [] == server.problems
    assert 1 == server.methods().count("tools/call")


def test_the_app_is_started_and_waited_for(app: App) -> None:
    """The client notices nothing but a start that takes longer."""
    app.stop()
    with Client(app) as client:
        client.starter.start = app.start
        assert "Be kind." == client.connect()["instructions"]
        assert "done" == client.call(text="a")


def test_a_new_port_is_followed(client: Client, app: App, server: McpServer) -> None:
    """After a restart the session goes on, and so does the stream."""
    client.connect()
    until(lambda: server.streams, "the stream")
    app.stop()
    app.start()
    assert "done" == client.call(text="a")
    until(lambda: server.methods().count("GET") == 2, "the next stream")
    assert 1 == server.methods().count("initialize")


def test_lists_that_were_answered_in_between_are_announced(client: Client, app: App) -> None:
    client.connect()
    app.stop()
    assert [] == client.ask("tools/list")["result"]["tools"]
    app.start()
    client.notified("notifications/tools/list_changed")


def test_a_crashed_app_is_started_again(client: Client, app: App) -> None:
    """Its file is still there, and nobody listens."""
    client.connect()
    app.crash()
    client.starter.start = app.start
    assert "done" == client.call(text="a")


def test_a_lost_session_is_made_anew(client: Client, server: McpServer) -> None:
    """With what the client said when it began, and what it set since; its lists may have changed."""
    client.connect()
    client.ask("logging/setLevel", {"level": "debug"})
    server.forget()
    assert ["echo"] == [tool["name"] for tool in client.ask("tools/list")["result"]["tools"]]
    client.notified("notifications/tools/list_changed")
    assert 2 == server.methods().count("logging/setLevel")
    first, second = (message for method, message in server.seen if method == "initialize")
    assert first["params"] == second["params"]
    assert [] == server.problems


def test_a_call_that_may_depend_on_a_lost_session_is_not_made(client: Client, server: McpServer) -> None:
    """Once."""
    client.connect()
    client.call(text="a")
    server.forget()
    assert "lab restarted its session, so this call wasn't made" in client.call(text="b")
    assert "done" == client.call(text="c")


def test_a_call_in_flight_is_not_repeated(client: Client, server: McpServer) -> None:
    """Its fate is unknown, and the client is told."""
    client.connect()
    server.breaking = "tools/call"
    assert FATE in client.call(text="a")
    server.breaking = ""
    assert "done" == client.call(text="b")
    assert 2 == server.methods().count("tools/call")


def test_a_question_in_flight_is_asked_again(client: Client, server: McpServer) -> None:
    client.connect()
    server.breaking = "tools/list"

    def once(message: dict[str, Any]) -> None:
        server.breaking = ""

    server.failing = once
    assert "result" in client.ask("tools/list")
    assert 2 == server.methods().count("tools/list")


class Resumable:
    """A call is answered on the stream that resumes the first, which breaks off after an event; `then` is its status."""

    def __init__(self, server: McpServer) -> None:
        self.server = server
        self.then = 200
        self.resumed: list[str] = []
        self.silent = False
        self.call: dict[str, Any] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        message = json.loads(await request.read() or b"{}")
        last = request.headers.get("Last-Event-ID")
        if message.get("method") != "tools/call" and last is None:
            return await self.server.handle(request)
        if last is not None:
            self.resumed.append(last)
        if last is not None and self.then != 200:
            return web.Response(status=self.then)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        if last is None:
            self.call = message
            await response.write(b"id: e1\nretry: 10\ndata:\n\n")
            return response
        while self.silent:
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.02)
        answer = {"jsonrpc": "2.0", "id": self.call["id"], "result": {"content": [{"type": "text", "text": "late"}]}}
        await response.write(f"id: e2\ndata: {json.dumps(answer)}\n\n".encode())
        return response


@pytest.fixture
def resumable(tmp_path: Path, server: McpServer) -> tuple[Resumable, App]:
    handler = Resumable(server)
    return handler, App(tmp_path / "resumable", handler.handle)


def test_a_stream_that_ends_early_is_resumed(resumable: tuple[Resumable, App]) -> None:
    """The server said where it ended: the answer comes on another one."""
    handler, app = resumable
    app.start()
    with Client(app) as client:
        client.connect()
        assert "late" == client.call(text="a")
    app.close()
    assert ["e1"] == handler.resumed


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_a_stream_that_cannot_be_resumed(
    resumable: tuple[Resumable, App], monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    handler, app = resumable
    monkeypatch.setattr(requests, "RESUME_LIMIT", 0.3)
    handler.silent, handler.then = silent, 200 if silent else 400
    app.start()
    with Client(app) as client:
        client.connect()
        assert FATE in client.call(text="a")
    handler.silent = False
    app.close()


def test_without_a_key_the_client_learns_what_to_do(
    client: Client, app: App, server: McpServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """The workload may not exist, or nobody has asked for its key: an error, and one line on standard error."""
    app.write_keys()
    sentence = "lab has no local key. Check the name with `amberlight list`. Then run `amberlight client-config lab`."
    assert sentence == client.ask("initialize", {"protocolVersion": "2025-11-25"})["error"]["message"]
    assert f"amberlight stdio: {sentence}\n" == capfd.readouterr().err
    app.write_keys(lab="another-key-0123456789abcdef")
    assert "rejected the local key" in client.ask("initialize", {})["error"]["message"]
    app.write_keys(lab=KEY)
    assert "Be kind." == client.connect()["instructions"]
    assert 1 == server.methods().count("initialize")


def test_a_key_that_was_replaced_is_read_again(client: Client, app: App) -> None:
    client.connect()
    app.key = "new-key-0123456789abcdefgh"
    app.write_keys(lab=app.key)
    assert "done" == client.call(text="a")


def test_keys_and_addresses_that_others_could_have_written_are_not_used(app: App) -> None:
    """A file that everybody may change, and an address elsewhere."""
    assert KEY == place.local_key(app.paths, "lab")
    open_to_others(app.paths.keys_file)
    if sys.platform != "win32":
        app.paths.keys_file.chmod(0o666)
    assert "" == place.local_key(app.paths, "lab")
    make_private(app.paths.keys_file)
    assert KEY == place.local_key(app.paths, "lab")
    assert place.find(app.paths) is not None
    text = app.paths.server_file.read_text()
    app.paths.server_file.write_text(text.replace("127.0.0.1", "192.0.2.1"))
    assert place.find(app.paths) is None
    app.paths.server_file.write_text(text.replace('"pid": ', '"pid": 99999999'))
    assert place.find(app.paths) is None


def test_a_link_to_keys_is_not_followed(app: App) -> None:
    """Whoever made it, it may lead to keys that others know."""
    require_links(app.paths.state_dir)
    real = app.paths.keys_file.rename(app.paths.keys_file.with_name("real"))
    app.paths.keys_file.symlink_to(real)
    assert "" == place.local_key(app.paths, "lab")


def test_a_cancelled_call_that_waits_for_the_app_is_never_made(client: Client, app: App, server: McpServer) -> None:
    client.connect()
    app.stop()
    number = client.begin("tools/call", {"name": "echo", "arguments": {}})
    client.send("notifications/cancelled", {"requestId": number})
    app.start()
    assert "done" == client.call(text="a")
    client.bridge.drain(5)
    assert 1 == server.methods().count("tools/call")
    assert number not in [line.get("id") for line in client.lines]


def test_a_server_that_does_not_answer_initialize(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is answered before it gives up, and told when the server has come round."""
    monkeypatch.setattr(requests, "INITIALIZE_LIMIT", 0.3)
    monkeypatch.setattr(session, "HELLO_LIMIT", 0.3)
    server, silent = McpServer(), [True]

    async def handle(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30 if silent[0] else 0)
        return await server.handle(request)

    app = App(tmp_path, handle)
    app.start()
    with Client(app) as client:
        assert "No answer within 0 seconds." in client.connect()["instructions"]
        silent.clear()
        silent.append(False)
        client.notified("notifications/tools/list_changed")
        assert "done" == client.call(text="a")
    app.close()


def test_all_workloads_are_not_called_by_a_name(tmp_path: Path, server: McpServer) -> None:
    app = App(tmp_path / "all", server.handle)
    with Client(app, None) as client:
        client.connect()
        assert NOT_RUNNING == client.call(text="a")
