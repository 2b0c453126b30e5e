"""What the activity gets to know of each request: who, what, when and for how long, and nothing else."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tests.proxy.legacy_upstream import LegacyServer
from tests.proxy.mcp_upstream import McpServer
from tests.proxy.proxying import NAME, proxied, unavailable, upstream
from tests.proxy.test_legacy_sse import connected
from tests.proxy.test_steady import ACCEPT, MODERN, lab
from trayapp.core.activity import Request, Use, use_of
from trayapp.proxy.steady_requests import called_tool

CANARY = "ghp_" + 2 * "canary0123456789"


@dataclass
class Records:
    """A recorder that keeps what it gets."""

    recording: bool = True
    raw: list[Request] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def takes(self) -> bool:
        return self.recording

    def record(self, request: Request) -> None:
        self.raw.append(request)
        self.came.set()

    async def until(self, count: int) -> None:
        """That many have come."""
        async with asyncio.timeout(5):
            while len(self.raw) < count:
                self.came.clear()
                await self.came.wait()

    @property
    def rows(self) -> list[Use]:
        return [use_of(each) for each in self.raw]

    def told(self) -> list[tuple[Any, ...]]:
        """Client, method, target, status and whether the server answered."""
        return [(row.client, row.method, row.target, row.status, row.served) for row in self.rows]


async def hello(request: web.BaseRequest) -> web.StreamResponse:
    await request.read()
    return web.Response(text="hello", status=201)


async def test_a_session_of_an_mcp_client(tmp_path: Path) -> None:
    """The client's own name goes with each of its requests; what nobody waits for is left out."""
    to = Records()
    async with lab(tmp_path, recorder=to) as it:
        client = it.client()
        await client.connect()
        await client.result("tools/list")
        await client.result("ping")
        await client.call()

    assert [
        ("c", "initialize", "", 200, True),
        ("c", "tools/list", "", 200, True),
        ("c", "tools/call", "echo", 200, True),
    ] == to.told()
    assert {(NAME, True, "")} == {(row.workload, row.mcp, row.via) for row in to.rows}
    assert all(0 <= row.duration < 5 for row in to.rows)


async def test_nothing_is_kept_while_it_is_switched_off(tmp_path: Path) -> None:
    """Also no object of a request."""
    to = Records(recording=False)
    async with lab(tmp_path, recorder=to) as it:
        client = it.client()
        await client.connect()
        await client.call()

    assert [] == to.raw


async def test_amberlight_answered_in_the_place_of_the_server(tmp_path: Path) -> None:
    """Without a token the server had no part in it."""
    to = Records()
    async with lab(tmp_path, recorder=to) as it:
        it.amber()
        client = it.client()
        await client.connect()
        await client.call()

    assert [("c", "initialize", "", 200, False), ("c", "tools/call", "echo", 200, False)] == to.told()


async def test_a_plain_request_has_a_path_and_nothing_else(tmp_path: Path) -> None:
    """Neither the query nor the body, the headers or the local key; a token in the path is cut."""
    to = Records()
    async with upstream(hello) as there, proxied(there.url, tmp_path, recorder=to) as site:
        head = {"User-Agent": "curl/8.5.0 (secret canary)", "X-Api-Key": CANARY, "Cookie": CANARY}
        path = f"/k/{site.key}/w/{NAME}/v1/{CANARY}/repos?token={CANARY}"
        assert 201 == (await site.ask("PUT", path, data=CANARY, headers=head))[0]
        await site.ask("GET", f"/w/{NAME}")
        key = site.key

    assert [("curl", "PUT", "/v1/…/repos", 201, True), ("Python", "GET", "/", 201, True)] == to.told()
    assert "8.5.0" == to.rows[0].client_version
    assert not to.rows[0].mcp
    for row in to.rows:
        assert CANARY not in repr(row)
        assert "canary" not in repr(row)
        assert key not in repr(row)


async def test_refusals_of_a_plain_request(tmp_path: Path) -> None:
    """503 without a token, 502 without a server; whoever has no key is no client."""
    to = Records()
    async with proxied("http://127.0.0.1:9", tmp_path, recorder=to) as site:
        assert 502 == (await site.ask("GET"))[0]
        site.tokens.answer = unavailable()
        assert 503 == (await site.ask("GET"))[0]
        assert 403 == (await site.ask("GET", headers={"Authorization": "Bearer wrong"}))[0]

    assert [(502, False), (503, False)] == [(row.status, row.served) for row in to.rows]


async def test_each_request_of_a_batch(tmp_path: Path) -> None:
    """One row for each that wants an answer."""
    to = Records()
    async with lab(tmp_path, recorder=to) as it:
        client = it.client(version="2025-03-26")
        await client.connect()
        calls = [client.message("tools/call", {"name": name}) for name in ("echo", CANARY)]
        status, _, _ = await client.post([*calls, {"jsonrpc": "2.0", "method": "notifications/x"}])

    assert 200 == status
    assert [("c", "tools/call", "echo", 200, True), ("c", "tools/call", "…", 200, True)] == to.told()[1:]


async def test_a_stream_counts_until_its_end(tmp_path: Path) -> None:
    """Its status is known although nobody waited for the end."""
    to, release = Records(), asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"a")
        await release.wait()
        return response

    async with upstream(slow) as there, proxied(there.url, tmp_path, recorder=to) as site:
        async with site.client.get(f"/w/{NAME}/ended") as first, site.client.get(f"/w/{NAME}/left") as second:
            assert b"a" == await first.content.readany()
            assert b"a" == await second.content.readany()
            await asyncio.sleep(0.05)
            assert [] == to.raw
            second.close()
            release.set()
            await first.read()
        await to.until(2)

    assert {("/ended", 200), ("/left", 200)} == {(row.target, row.status) for row in to.rows}
    assert all(row.duration >= 0.05 for row in to.rows)


async def test_a_client_that_leaves_before_the_answer(tmp_path: Path) -> None:
    """It got no status."""
    to, reached = Records(), asyncio.Event()

    async def never(request: web.BaseRequest) -> web.StreamResponse:
        reached.set()
        await asyncio.sleep(60)
        raise AssertionError

    async with upstream(never) as there, proxied(there.url, tmp_path, recorder=to) as site:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await site.ask("GET")
        await to.until(1)

    assert [(None, False)] == [(row.status, row.served) for row in to.rows]


async def test_a_held_stream_of_an_mcp_client(tmp_path: Path) -> None:
    """It is Amberlight's, and ends with its client."""
    to = Records()
    async with lab(tmp_path, McpServer(get_status=405), recorder=to) as it:
        client = it.client()
        await client.connect()
        head = {"Accept": "text/event-stream", "Mcp-Session-Id": client.session or ""}
        async with it.site.client.get(f"/w/{NAME}", headers=head) as stream:
            await stream.content.readany()
        await to.until(2)

    assert ("c", "GET", "", 200, False) == to.told()[-1]


async def test_calls_at_the_same_time(tmp_path: Path) -> None:
    """Each is recorded with its own client and tool."""
    to = Records()
    async with lab(tmp_path, recorder=to) as it:
        clients = [it.client() for _ in range(8)]
        for client in clients:
            await client.connect()
        names = [f"tool_{number}" for number in range(8)]
        await asyncio.gather(
            *(client.result("tools/call", {"name": name}) for client, name in zip(clients, names, strict=True))
        )

    assert sorted(names) == sorted(row.target for row in to.rows if row.method == "tools/call")


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("amberlight-stdio", ("c", "stdio")),
        ("amberlight-mcp", ("codex", "mcp")),
        ("node", ("c", "")),
    ],
)
async def test_how_it_came(tmp_path: Path, agent: str, shown: tuple[str, str]) -> None:
    """`amberlight stdio` passes the client's own name on. The process behind `/mcp` says it with each request."""
    to = Records()
    async with lab(tmp_path, recorder=to) as it:
        client = it.client(head={"User-Agent": agent, "X-Amberlight-Client": "codex/1"})
        await client.connect()
        await client.call()

    assert all("X-Amberlight-Client" not in head for head in it.server.headers)
    assert {shown} == {(row.client, row.via) for row in to.rows}


async def test_a_revision_without_sessions(tmp_path: Path) -> None:
    """The client says who it is in each message."""
    to = Records()
    async with lab(tmp_path, McpServer(modern=True), recorder=to) as it:
        client = it.client(version=MODERN)
        message = client.message("tools/call", {"name": "echo"})
        message["params"]["_meta"]["io.modelcontextprotocol/clientInfo"] = {"name": "zed", "version": "2"}
        assert 200 == (await client.post(message))[0]

    assert [("zed", "tools/call", "echo", 200, True)] == to.told()
    assert ["2"] == [row.client_version for row in to.rows]


async def test_a_client_of_the_legacy_transport(tmp_path: Path) -> None:
    """It introduces itself once, on its stream."""
    to, server = Records(), LegacyServer()
    async with (
        upstream(server.handle) as there,
        proxied(f"{there.url}/sse", tmp_path, recorder=to) as site,
        connected(site) as client,
    ):
        params = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "old"}}
        await client.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        await client.event()
        await client.answer()

    posted = [row for row in to.told() if row[1] != "GET"]
    assert [("old", "initialize", "", 202, True), ("old", "tools/call", "echo", 202, True)] == posted


async def test_a_body_that_is_no_message(tmp_path: Path) -> None:
    """It passes, and only the HTTP method is recorded."""
    to = Records()
    async with lab(tmp_path, recorder=to) as it:
        await it.site.ask("POST", data=b"no json " + CANARY.encode(), headers=ACCEPT)

    assert ["POST"] == [row.method for row in to.rows]
    assert CANARY not in repr(to.raw)


# --- the tool's name without reading the message ---------------------------------------------------------------------


def call(params: str, before: str = '"jsonrpc":"2.0","id":1,"method":"tools/call"') -> bytes:
    return f'{{{before},"params":{params}}}'.encode()


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (call('{"name":"echo","arguments":{"name":"secret"}}'), "echo"),
        (call('{"arguments":{"name":"secret"},"name":"echo"}'), "echo"),
        (call('{"arguments":{"params":{"name":"secret"}},"name":"echo"}'), "echo"),
        (call('{"_meta":{"progressToken":1},"name":"echo","arguments":{}}'), "echo"),
        (call('{"_meta":{"x":"},\\"name\\":\\"secret\\""},"name":"echo"}'), "echo"),
        (call('{"_meta":{"x":{"name":"secret"}},"name":"echo"}'), "echo"),
        (b'{"method":"tools/call","params":{"arguments":{"params":{"name":"secret"}}},"jsonrpc":"2.0","id":1}', "?"),
        (call('{"na\\u006de":"echo"}'), "echo"),
        (call('{"name":""}'), "?"),
        (call('{"name":["secret"]}'), "?"),
        (call('{"arguments":"' + "x" * 20000 + '","name":"echo"}'), "?"),
        (b"\xff", "?"),
        (None, "?"),
    ],
)
def test_the_tool_of_a_call(body: bytes | None, name: str) -> None:
    """Its own name, never an argument."""
    assert name == called_tool(body)


VALUES = st.recursive(
    st.sampled_from(["secret", '","name":"secret', '{"name":"secret"}', "\\", 'a"b', "}", "params", 1, None, True]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "params", "arguments", "_meta", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["arguments", "_meta", "x", "task"]), VALUES, max_size=3),
    st.dictionaries(st.sampled_from(["id", "x", "meta", "name"]), VALUES, max_size=3),
    st.randoms(use_true_random=False),
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " :  ")]),
)
def test_no_argument_is_ever_taken_for_the_tool(
    params: dict[str, Any], top: dict[str, Any], chance: random.Random, separators: tuple[str, str]
) -> None:
    """In any order of the keys, and whatever the values hold."""

    inner = [*params.items(), ("name", "echo")]
    chance.shuffle(inner)
    outer = [*top.items(), ("jsonrpc", "2.0"), ("method", "tools/call"), ("params", dict(inner))]
    chance.shuffle(outer)
    body = json.dumps(dict(outer), separators=separators).encode()

    assert called_tool(body) in ("echo", "?")
