"""Legacy SSE workloads: what is posted while the workload can't be reached is answered on the client's open stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web

from tests.proxy.legacy_upstream import Json, LegacyServer
from tests.proxy.proxying import NAME, Site, proxied, token, unavailable, upstream

LIMIT = 5.0  # s


@dataclass
class Client:
    """A legacy client by hand, to see every byte. `base` is its address of the workload."""

    site: Site
    base: str
    stream: ClientResponse
    endpoint: str = ""
    number: int = 0
    got: bytes = b""
    head: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})

    async def event(self) -> tuple[str, str]:
        """Name and data of the next event."""
        async with asyncio.timeout(LIMIT):
            while True:
                text = self.got.replace(b"\r\n", b"\n")
                block, end, rest = text.partition(b"\n\n")
                if end:
                    self.got = rest
                    if block.startswith(b":"):
                        continue
                    fields = dict(line.split(b": ", 1) for line in block.splitlines())
                    return fields[b"event"].decode(), fields[b"data"].decode()
                self.got += await self.stream.content.readany()

    async def post(self, message: Any, **head: str) -> int:
        data = message if isinstance(message, bytes) else json.dumps(message)
        status, body, _ = await self.site.ask("POST", self.endpoint, data=data, headers=self.head | head)
        assert (status != 202) or body in (b"", b"Accepted")
        return status

    async def answer(self, method: str = "tools/call", **head: str) -> Json:
        """The next message on the stream, which carries the id of this request."""
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": {"name": "echo"}}
        assert 202 == await self.post(message, **head)
        name, data = await self.event()
        told = json.loads(data)
        assert ("message", self.number) == (name, told["id"])
        return dict(told)


@dataclass
class Lab:
    site: Site
    server: LegacyServer
    client: Client

    def amber(self, **more: Any) -> None:
        self.site.tokens.answer = unavailable(**more)

    def green(self) -> None:
        self.site.tokens.answer = token(3)


@contextlib.asynccontextmanager
async def connected(site: Site, base: str = f"/w/{NAME}") -> AsyncIterator[Client]:
    async with site.client.get(base, headers={"Accept": "text/event-stream"}) as stream:
        client = Client(site, base, stream)
        name, client.endpoint = await client.event()
        assert "endpoint" == name
        yield client


@contextlib.asynccontextmanager
async def lab(directory: Path, **more: Any) -> AsyncIterator[Lab]:
    server = LegacyServer()
    async with (
        upstream(server.handle) as there,
        proxied(f"{there.url}/sse", directory, **more) as site,
        connected(site) as client,
    ):
        yield Lab(site, server, client)


def said(answer: Json) -> str:
    result = answer["result"]
    assert result["isError"] is True
    return str(result["content"][0]["text"])


async def test_a_call_while_amber_is_answered_on_the_stream(tmp_path: Path) -> None:
    """202, then an `isError` result with the sentence; nothing is sent; and the next call works when it is green."""

    async with lab(tmp_path) as it:
        assert "done" == (await it.client.answer())["result"]["content"][0]["text"]
        it.amber()
        assert said(await it.client.answer()).startswith("one is reconnecting.")
        assert ["tools/call"] == it.server.methods()
        it.green()
        assert "isError" not in (await it.client.answer())["result"]


@pytest.mark.parametrize("method", ["initialize", "tools/list", "prompts/get", "completion/complete"])
async def test_other_requests_get_an_error(tmp_path: Path, method: str) -> None:
    """A JSON-RPC error with the sentence and the facts; an invented list would stay with the client for ever."""

    async with lab(tmp_path) as it:
        it.amber()
        error = (await it.client.answer(method))["error"]
    assert (-32603, 7) == (error["code"], error["data"]["retry_after"])
    assert error["message"].startswith("one is reconnecting.")


async def test_a_ping_is_answered_and_what_asks_nothing_is_accepted(tmp_path: Path) -> None:
    """So a client that checks its connection keeps it."""

    async with lab(tmp_path) as it:
        it.amber()
        assert {} == (await it.client.answer("ping"))["result"]
        assert 202 == await it.client.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert 202 == await it.client.post({"jsonrpc": "2.0", "id": 1, "result": {}})
        assert 202 == await it.client.post({"jsonrpc": "2.0", "id": None, "method": "tools/call"})
        assert {} == (await it.client.answer("ping"))["result"]
        assert [] == it.server.seen


async def test_only_calls_are_refused_callers(tmp_path: Path) -> None:
    """M15 holds here, too."""

    async with lab(tmp_path) as it:
        it.amber()
        await it.client.answer("tools/list")
        assert 0 == it.site.tokens.turned_away
        await it.client.answer("tools/call")
        assert 1 == it.site.tokens.turned_away


async def test_a_client_that_names_a_version_is_a_legacy_client_nevertheless(tmp_path: Path) -> None:
    """The TypeScript SDK sends `MCP-Protocol-Version` on this transport, and both media types."""

    head = {"MCP-Protocol-Version": "2024-11-05", "Accept": "application/json, text/event-stream"}
    async with lab(tmp_path) as it:
        assert "result" in await it.client.answer("tools/list", **head)
        it.amber()
        assert said(await it.client.answer(**head)).startswith("one is reconnecting.")


async def test_a_key_in_the_path(tmp_path: Path) -> None:
    """Stream and POST belong together whichever way the key is shown."""

    async with lab(tmp_path) as it, connected(it.site, f"/k/{it.site.key}/w/{NAME}") as other:
        it.amber()
        assert other.endpoint.startswith(f"/k/{it.site.key}/w/{NAME}/")
        assert said(await other.answer()).startswith("one is reconnecting.")
        assert said(await it.client.answer()).startswith("one is reconnecting.")


async def test_the_token_is_rejected_and_there_is_no_other(tmp_path: Path) -> None:
    """The upstream's 401 stays between the upstream and us."""

    async with lab(tmp_path) as it:
        it.server.failing = lambda request, message: web.Response(status=401)
        it.site.tokens.after = unavailable()
        assert said(await it.client.answer()).startswith("one is reconnecting.")


async def test_the_token_is_replaced_and_rejected_again(tmp_path: Path) -> None:
    """The client is asked to call again."""

    async with lab(tmp_path) as it:
        it.server.failing = lambda request, message: web.Response(status=401)
        assert "Try again." in said(await it.client.answer())


async def test_a_gateway_answers_in_the_place_of_the_server(tmp_path: Path) -> None:
    """502, 503 and 504 would end the SDK's connection; whether the call ran is not known."""

    async with lab(tmp_path) as it:
        it.server.failing = lambda request, message: web.Response(status=503, text="busy")
        assert "answered 503 for one. The call may or may not have run" in said(await it.client.answer())


async def test_the_post_breaks_off(tmp_path: Path) -> None:
    """The call may have run; a list can simply be asked for again."""

    def cut(request: web.BaseRequest, message: Json) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with lab(tmp_path) as it:
        it.server.failing = cut
        assert "may or may not have run" in said(await it.client.answer())
        assert "isn't available" in (await it.client.answer("tools/list"))["error"]["message"]


async def test_an_unknown_session_stays_the_servers_word(tmp_path: Path) -> None:
    """404 is passed on: the client has to connect anew."""

    async with lab(tmp_path) as it:
        it.server.streams.clear()
        assert 404 == await it.client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})


async def test_answers_go_between_whole_events(tmp_path: Path) -> None:
    """While the upstream is in the middle of an event, ours wait for its end."""

    async with lab(tmp_path) as it:
        await it.server.raw(b'event: message\r\ndata: {"half": ')
        while b"half" not in it.client.got:
            it.client.got += await it.client.stream.content.readany()
        it.amber()
        assert 202 == await it.client.post({"jsonrpc": "2.0", "id": 5, "method": "tools/call"})
        assert 202 == await it.client.post({"jsonrpc": "2.0", "id": "6", "method": "ping"})
        await it.server.raw(b"1}\r\n\r")
        await it.server.raw(b"\n")

        assert ("message", '{"half": 1}') == await it.client.event()
        assert [5, "6"] == [json.loads((await it.client.event())[1])["id"] for _ in range(2)]


@pytest.mark.parametrize("data", [b"no json", b"[]", b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', b"{}"])
async def test_what_is_no_message_is_a_plain_request(tmp_path: Path, data: bytes) -> None:
    """503 with JSON, as for everybody else; this revision has no batches."""

    async with lab(tmp_path) as it:
        it.amber()
        assert 503 == await it.client.post(data)


async def test_with_the_setting_off_nothing_is_answered_here(tmp_path: Path) -> None:
    """`mcp = "off"` makes every client a plain one."""

    async with lab(tmp_path, mcp="off") as it:
        it.amber()
        assert 503 == await it.client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call"})


async def test_when_the_stream_has_ended_the_post_is_a_plain_request(tmp_path: Path) -> None:
    """There is nowhere to answer; and nothing is remembered of the stream."""

    async with lab(tmp_path) as it:
        it.amber()
        it.client.stream.close()
        for _ in range(500):
            if 202 != await it.client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call"}):
                break
            await asyncio.sleep(0.01)
        assert 503 == await it.client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call"})


async def test_the_official_client(tmp_path: Path) -> None:
    """The Python SDK's `sse_client`: a call while amber shows the sentence within moments, and the same session goes on."""

    from mcp import ClientSession, MCPError
    from mcp.client.sse import sse_client

    async with lab(tmp_path) as it, asyncio.timeout(3 * LIMIT):
        address = f"{it.site.server.url}/w/{NAME}"
        head = {"Authorization": f"Bearer {it.site.key}"}
        async with sse_client(address, headers=head) as streams, ClientSession(*streams) as session:
            await session.initialize()
            assert ["echo"] == [tool.name for tool in (await session.list_tools()).tools]
            it.amber()
            result: Any = await session.call_tool("echo", {})
            assert result.is_error
            assert result.content[0].text.startswith("one is reconnecting.")
            with pytest.raises(MCPError, match="one is reconnecting"):
                await session.get_prompt("p")
            await session.send_ping()
            it.green()
            result = await session.call_tool("echo", {})
            assert "done" == result.content[0].text


# --- a client that starts while the workload can't be reached ------------------------------------------------------------

HELLO = {"protocolVersion": "2024-11-05", "capabilities": {"roots": {}}, "clientInfo": {"name": "c", "version": "1"}}


@dataclass
class Starting(Lab):
    """Its client has begun while the workload was amber, or unreachable."""

    async def green_and_told(self) -> None:
        self.green()
        self.site.proxy.steady.published()
        await self.told_changed()

    async def told_changed(self) -> None:
        told = {json.loads((await self.client.event())[1])["method"] for _ in range(3)}
        assert told == {f"notifications/{name}/list_changed" for name in ("tools", "prompts", "resources")}

    async def hello(self) -> Json:
        await self.client.post({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": HELLO})
        told = json.loads((await self.client.event())[1])
        assert "hello" == told["id"]
        await self.client.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return dict(told["result"])


def cut(request: web.BaseRequest, *more: object) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@contextlib.asynccontextmanager
async def met(directory: Path, server: LegacyServer) -> AsyncIterator[Site]:
    """The workload is known to be a legacy one: a client has been there."""
    async with upstream(server.handle) as there, proxied(f"{there.url}/sse", directory) as site:
        async with connected(site):
            pass
        yield site


@contextlib.asynccontextmanager
async def starting(
    directory: Path,
    *,
    down: Callable[[web.BaseRequest], web.Response] | None = None,
    base: str = f"/w/{NAME}",
) -> AsyncIterator[Starting]:
    server = LegacyServer()
    async with met(directory, server) as site:
        if down is not None:
            server.closed = down
        else:
            site.tokens.answer = unavailable()
        async with connected(site, base) as client:
            yield Starting(site, server, client)


async def test_a_client_starts_while_amber(tmp_path: Path) -> None:
    """Everything is answered here; nothing is sent, and only the call is a refused caller."""

    async with starting(tmp_path) as it:
        assert it.client.endpoint.startswith(f"/w/{NAME}/-/amberlight-sse/")
        assert 32 == len(it.client.endpoint.rpartition("/")[2])
        told = await it.hello()
        assert "2024-11-05" == told["protocolVersion"]
        assert "one is reconnecting." in told["instructions"]
        assert [] == (await it.client.answer("tools/list"))["result"]["tools"]
        assert {} == (await it.client.answer("ping"))["result"]
        assert -32603 == (await it.client.answer("completion/complete"))["error"]["code"]
        assert 0 == it.site.tokens.turned_away
        assert said(await it.client.answer()).startswith("one is reconnecting.")
        assert 1 == it.site.tokens.turned_away
        assert [] == it.server.seen


async def test_it_continues_with_the_upstream_when_green(tmp_path: Path) -> None:
    """The upstream hears the client's own `initialize`; its answer is not passed on, the changed lists are announced."""

    async with starting(tmp_path) as it:
        await it.hello()
        await it.green_and_told()
        assert ["initialize", "notifications/initialized"] == it.server.methods()
        assert ("amberlight-session", HELLO) == (it.server.seen[0]["id"], it.server.seen[0]["params"])
        assert ["echo"] == [tool["name"] for tool in (await it.client.answer("tools/list"))["result"]["tools"]]
        assert "done" == (await it.client.answer())["result"]["content"][0]["text"]
        await it.server.raw(b'event: message\r\ndata: {"of": "the server"}\r\n\r\n: a comment\r\n\r\n')
        assert ("message", '{"of": "the server"}') == await it.client.event()
        assert 202 == await it.client.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert 1 == it.server.methods().count("notifications/initialized")
        it.amber()
        assert said(await it.client.answer()).startswith("one is reconnecting.")


async def test_a_call_just_after_green_waits_for_the_upstream(tmp_path: Path) -> None:
    """Whether or not the news has arrived."""

    async with starting(tmp_path) as it:
        await it.hello()
        it.green()
        await it.client.post({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {}})
        await it.told_changed()
        assert 9 == json.loads((await it.client.event())[1])["id"]


def busy(request: web.BaseRequest, *more: object) -> web.Response:
    return web.Response(status=503, text="<html>busy</html>", content_type="text/html")


@pytest.mark.parametrize(("down", "sentence"), [(cut, "closed the connection"), (busy, "answered 503")])
async def test_a_client_starts_while_the_server_is_down(
    tmp_path: Path, down: Callable[[web.BaseRequest], web.Response], sentence: str
) -> None:
    """There is a token, but no way, or a gateway at its end: the same, and a later call finds the server."""

    async with starting(tmp_path, down=down) as it:
        assert "wasn't available" in (await it.hello())["instructions"]
        assert sentence in said(await it.client.answer())
        it.server.closed = None
        await it.client.post({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {}})
        await it.told_changed()
        assert "done" in (await it.client.event())[1]


async def test_the_upstreams_stream_ends(tmp_path: Path) -> None:
    """What was to be answered on it is answered here, and another one is attached."""

    async with starting(tmp_path) as it:
        await it.hello()
        await it.green_and_told()
        it.server.failing = lambda request, message: web.Response(status=202)
        for id_, method in enumerate(("tools/call", "tools/list", "ping")):
            assert 202 == await it.client.post({"jsonrpc": "2.0", "id": id_, "method": method})
        it.server.failing = lambda request, message: None
        it.server.drop()
        call, listing, ping = [json.loads((await it.client.event())[1]) for _ in range(3)]
        assert "may or may not have run" in said(call)
        assert (1, -32603) == (listing["id"], listing["error"]["code"])
        assert {} == ping["result"]
        await it.told_changed()
        assert "done" == (await it.client.answer())["result"]["content"][0]["text"]


async def test_the_upstream_refuses_a_message(tmp_path: Path) -> None:
    """A gateway's answer is answered on the stream, once; a 404 stays the server's word."""

    async with starting(tmp_path) as it:
        await it.hello()
        await it.green_and_told()
        it.server.failing = lambda request, message: web.Response(status=503, text="busy")
        assert "answered 503 for one." in said(await it.client.answer())
        it.server.failing = lambda request, message: web.Response(status=404)
        assert 404 == await it.client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})


async def until_ended(client: Client) -> None:
    async with asyncio.timeout(LIMIT):
        await client.stream.content.read()


async def test_the_upstream_speaks_another_revision(tmp_path: Path) -> None:
    """The client was told otherwise: its stream ends, and it connects anew."""

    async with starting(tmp_path) as it:
        await it.hello()
        it.server.version = "2025-06-18"
        it.green()
        it.site.proxy.steady.published()
        await until_ended(it.client)


@pytest.mark.parametrize("kind", ["405", "another event"])
async def test_the_server_has_given_up_this_transport(tmp_path: Path, kind: str) -> None:
    """The stream ends, and the workload is no longer a legacy one."""

    async with starting(tmp_path) as it:
        await it.hello()
        it.server.closed = lambda request: (
            web.Response(status=405)
            if kind == "405"
            else web.Response(content_type="text/event-stream", body=b"data: 1\n\n")
        )
        it.green()
        it.site.proxy.steady.published()
        await until_ended(it.client)
        it.amber()
        assert 503 == (await it.site.ask("GET", headers={"Accept": "text/event-stream"}))[0]


@pytest.mark.parametrize("status", [403, 503])
async def test_the_stream_is_refused_for_now(tmp_path: Path, status: int) -> None:
    """The client stays, and is told."""

    async with starting(tmp_path) as it:
        await it.hello()
        it.server.closed = lambda request: web.Response(status=status)
        it.green()
        assert f"answered {status} for one." in said(await it.client.answer())


async def test_a_foreign_endpoint_gets_nothing(tmp_path: Path) -> None:
    """Neither token nor message goes there."""

    async with starting(tmp_path) as it:
        await it.hello()
        it.server.announces = "https://elsewhere.example/messages/"
        it.green()
        assert "announced an endpoint at a different address" in said(await it.client.answer())
        assert [] == it.server.seen


async def test_the_handshake_is_refused(tmp_path: Path) -> None:
    """The client is told so, and stays."""

    async with starting(tmp_path) as it:
        await it.hello()
        it.server.failing = lambda request, message: web.Response(status=503)
        it.green()
        assert "answered 503 for one." in said(await it.client.answer())


async def test_a_key_in_the_path_of_a_held_stream(tmp_path: Path) -> None:
    """The endpoint is of the same form."""

    async with starting(tmp_path) as it, connected(it.site, f"/k/{it.site.key}/w/{NAME}") as other:
        assert other.endpoint.startswith(f"/k/{it.site.key}/w/{NAME}/-/amberlight-sse/")
        assert said(await other.answer()).startswith("one is reconnecting.")


@pytest.mark.parametrize("data", [b"no json", b"[]", b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', b"{}"])
async def test_what_is_no_message_is_refused(tmp_path: Path, data: bytes) -> None:
    """Here while there is no upstream, else by the upstream."""

    async with starting(tmp_path) as it:
        assert 400 == await it.client.post(data)


async def test_a_message_of_unknown_length_passes_unread(tmp_path: Path) -> None:
    """Once there is an upstream."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"jsonrpc": "2.0", "id": 77, "method": "tools/call", '
        yield b'"params": {}}'

    async with starting(tmp_path) as it:
        await it.hello()
        await it.green_and_told()
        assert 202 == (await it.site.ask("POST", it.client.endpoint, data=chunks(), headers=it.client.head))[0]
        assert 77 == json.loads((await it.client.event())[1])["id"]


async def test_an_id_is_forgotten_with_its_stream(tmp_path: Path) -> None:
    """404 from then on, whether amber or green; nothing is sent."""

    async with starting(tmp_path) as it:
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert 404 == (await it.site.ask("GET", it.client.endpoint))[0]
        it.client.stream.close()
        for _ in range(500):
            if 202 != await it.client.post(ping):
                break
            await asyncio.sleep(0.01)
        assert 404 == await it.client.post(ping)
        it.green()
        assert 404 == await it.client.post(ping)
        assert [] == it.server.seen


async def test_a_workload_never_met_before_keeps_the_503(tmp_path: Path) -> None:
    """What it speaks is not known."""

    async with upstream(LegacyServer().handle) as there, proxied(f"{there.url}/sse", tmp_path) as site:
        site.tokens.answer = unavailable()
        assert 503 == (await site.ask("GET", headers={"Accept": "text/event-stream"}))[0]
        site.tokens.answer = token()
        async with connected(site):
            pass
        site.tokens.answer = unavailable()
        assert 503 == (await site.ask("GET"))[0]  # a plain client


async def test_a_restart_of_the_program_forgets_nothing(tmp_path: Path) -> None:
    """That the workload is a legacy one is written down."""

    async with met(tmp_path, LegacyServer()):
        pass
    async with proxied("http://127.0.0.1:9/sse", tmp_path) as site, connected(site) as client:
        site.tokens.answer = unavailable()
        assert said(await client.answer()).startswith("one is reconnecting.")


async def test_the_official_client_starts_while_amber(tmp_path: Path) -> None:
    """The Python SDK's `sse_client`: connects, shows the sentence, and its call works in the same session when green."""

    from mcp import ClientSession
    from mcp.client.sse import sse_client

    server = LegacyServer(version="")
    async with met(tmp_path, server) as site, asyncio.timeout(3 * LIMIT):
        site.tokens.answer = unavailable()
        head = {"Authorization": f"Bearer {site.key}"}
        async with (
            sse_client(f"{site.server.url}/w/{NAME}", headers=head) as streams,
            ClientSession(*streams) as session,
        ):
            assert "one is reconnecting." in str((await session.initialize()).instructions)
            assert [] == (await session.list_tools()).tools
            result: Any = await session.call_tool("echo", {})
            assert result.is_error
            assert result.content[0].text.startswith("one is reconnecting.")
            assert [] == server.seen
            site.tokens.answer = token(3)
            site.proxy.steady.published()
            result = await session.call_tool("echo", {})
            assert "done" == result.content[0].text
            assert ["echo"] == [tool.name for tool in (await session.list_tools()).tools]
