"""Legacy SSE workloads: what is posted while the workload can't be reached is answered on the client's open stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
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
