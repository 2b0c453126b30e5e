"""How much work the event loop does for one call through the proxy, so that it doesn't grow unnoticed."""

from __future__ import annotations

import asyncio
import sys
from asyncio import selector_events
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.proxy.mcp_upstream import McpServer
from tests.proxy.proxying import NAME, Site, proxied, upstream
from tests.proxy.test_steady import Client
from trayapp.proxy.upstream import UpstreamProtocol
from trayapp.server.connections import Connection
from trayapp.storage.activity import Activity, UseQuery

CALLS = 60
ONCE = 5  # timers and callbacks that are no request's: keep-alive, audit, the end of the test
BODY = b'{"jsonrpc": "2.0", "method": "tools/call", "id": 7, "params": {"name": "echo", "arguments": {}}}'
ANSWER = b'{"jsonrpc":"2.0","id":7,"result":{"content":[]}}'
REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)


class Caller(asyncio.Protocol):
    """Sends one call after another, without tasks and timers of its own."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._got = b""
        self._left = CALLS
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if not self._got.endswith(ANSWER):
            return
        assert self._got.startswith(b"HTTP/1.1 200 "), self._got
        self._got, self._left = b"", self._left - 1
        if self._left:
            self._transport.write(self._request)
        else:
            self.done.set_result(None)


class Answering(asyncio.Protocol):
    """The upstream, likewise."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._got = transport, b""

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._got.endswith(BODY):
            self._got = b""
            self._transport.write(REPLY)


def counted(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, key: str | Callable[[Any], str], to: Counter[str]
) -> None:
    """Count the calls of a method; `key` is what to count it as, given `self` if it is a function."""
    method = getattr(owner, name)

    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        to[key if isinstance(key, str) else key(self)] += 1
        return method(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, counting)


def leg(transport: Any) -> str:
    """Whose a transport is."""
    match transport.get_protocol():
        case Connection():
            return "sends to the client"
        case UpstreamProtocol():
            return "sends to the upstream"
    return "other sends"


async def session(site: Site) -> str:
    client = Client(site)
    await client.connect()
    return client.session or ""


@pytest.mark.parametrize("recording", [False, True])
@pytest.mark.skipif(sys.platform == "win32", reason="counts the transports of the selector event loop")
async def test_a_call_costs_one_task_no_timer_and_one_send_each_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recording: bool
) -> None:
    """And neither side's parser runs over nothing. To record who made it costs nothing of all that."""

    loop = asyncio.get_running_loop()
    count: Counter[str] = Counter()
    to = Activity(tmp_path / "activity.db")
    await to.switch(recording)
    async with upstream(McpServer().handle) as there, proxied(f"{there.url}/mcp", tmp_path, recorder=to) as site:
        id_ = await session(site)
        server = await loop.create_server(Answering, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        site.tokens.specs[NAME] = replace(site.tokens.specs[NAME], url=f"http://127.0.0.1:{port}/mcp")
        head = f"POST /w/{NAME} HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\nAuthorization: Bearer {site.key}\r\n"
        head += f"Content-Type: application/json\r\nMcp-Session-Id: {id_}\r\nContent-Length: {len(BODY)}\r\n\r\n"

        counted(monkeypatch, selector_events._SelectorSocketTransport, "write", leg, count)  # type: ignore[attr-defined]
        for protocol, whose in ((Connection, "client"), (UpstreamProtocol, "upstream")):
            counted(monkeypatch, protocol, "data_received", f"parsed of the {whose}", count)
        for name in ("create_task", "call_at", "call_soon"):
            counted(monkeypatch, asyncio.BaseEventLoop, name, name, count)
        transport, caller = await loop.create_connection(
            lambda: Caller(head.encode() + BODY), "127.0.0.1", site.server.port
        )
        await caller.done
        monkeypatch.undo()
        transport.close()
        server.close()

    rows, _ = await to.read(UseQuery(limit=1000))
    await to.close()
    assert CALLS * recording == sum(use.target == "echo" for _, use in rows)
    assert CALLS == count["sends to the client"] == count["sends to the upstream"], count
    assert CALLS == count["parsed of the client"] == count["parsed of the upstream"], count
    assert CALLS <= count["create_task"] <= CALLS + ONCE, count
    assert count["call_at"] <= ONCE, count
    assert count["call_soon"] <= 4 * CALLS + 8 * ONCE, count
