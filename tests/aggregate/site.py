"""The whole program with several workloads, each with its own authorization server, and the official MCP clients."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.aggregate.upstream import Upstream
from tests.app.test_runtime import Program
from tests.engine.engines import login_of
from trayapp.core.presentation import Verb
from trayapp.oauthtest import Mode, OAuthServer
from trayapp.proxy import aggregate

LIMIT = 60.0  # s; a new process has to import its libraries

HEAD = """
[settings]
port = 0
initial_retry_interval = "20ms"
max_retry_interval = "40ms"
max_tries = 2
manual_spacing = "10ms"
rejected_spacing = "10ms"
refresh_spacing = "10ms"
usable_margin = "10ms"
tick_interval = "{tick}"
"""
WORKLOAD = """
[workloads.{name}]
url = "{url}"
issuer = "{server.issuer}"
authorization_endpoint = "{server.authorization_endpoint}"
token_endpoint = "{server.token_endpoint}"
client_id = "{server.client_id}"
scopes = ["mcp"]
"""


class Site:
    """The servers run inside `with`; `start` and `stop` are about the program."""

    def __init__(self, root: Path, *names: str, tick: str = "40s", legacy: tuple[str, ...] = ()) -> None:
        """Workloads `names`; those in `legacy` speak the legacy SSE transport."""
        self.names = names
        self._legacy = legacy
        self.authorities: dict[str, OAuthServer] = {}
        self.upstreams: dict[str, Upstream] = {}
        self.root = root
        self.program = Program(root)
        self._tick = tick
        self._stack = ExitStack()
        self._running: ExitStack | None = None

    def __enter__(self) -> Self:
        text = HEAD.format(tick=self._tick)
        for name in self.names:
            authority = self._stack.enter_context(OAuthServer())
            upstream = self._stack.enter_context(Upstream(name, authority, legacy=name in self._legacy))
            self.authorities[name], self.upstreams[name] = authority, upstream
            text += WORKLOAD.format(name=name, url=upstream.url, server=authority)
            self.program.keystore._logins[name] = login_of(authority, name)
        self.program.write(text)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._stack.close()

    def start(self) -> None:
        """Run the program."""
        self.program.control = None
        self.program.snapshots.clear()
        self._running = ExitStack()
        self._running.enter_context(self.program)

    def stop(self) -> None:
        """End it."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    @property
    def aggregate(self) -> aggregate.Aggregate:
        assert self.program.control is not None
        return self.program.runtime.aggregate

    @property
    def url(self) -> str:
        assert self.program.control is not None
        server = self.program.runtime.server
        assert server is not None
        return f"{server.url}/mcp"

    @property
    def key(self) -> str:
        """The local key of `/mcp`, made if there is none."""
        answer = self.program.client.aggregate()
        return str(answer["headers"]["Authorization"].removeprefix("Bearer "))

    @property
    def address(self) -> str:
        """The URL for a client that accepts only that: the key is in the path."""
        return self.url.replace("/mcp", f"/k/{self.key}/mcp")

    async def becomes(self, word: str, name: str) -> None:
        """Wait until the workload has this status."""
        await until(lambda: self.program.status(name).startswith(f"{word} "), f"{name} to be {word}")

    async def all_green(self) -> None:
        for name in self.names:
            await self.becomes("running", name)

    async def breaks(self, name: str, mode: Mode, word: str) -> None:
        """Make its token rejected and impossible to refresh, and wait for this status."""
        self.authorities[name].mode = mode
        self.upstreams[name].distrust = True
        await asyncio.to_thread(self._provoke, name)
        await self.becomes(word, name)

    async def heals(self, name: str) -> None:
        """End all trouble and retry."""
        self.upstreams[name].distrust = False
        self.authorities[name].mode = Mode.SUCCESS
        if self.program.status(name).startswith("unauthenticated"):
            self.authorities[name].mode = Mode.SUCCESS
            self.program.keystore._logins[name] = login_of(self.authorities[name], name)
        self.program.act(Verb.RETRY, name)
        await self.becomes("running", name)

    def _provoke(self, name: str) -> None:
        """Use the token, so that its rejection is noticed."""
        answer = self.program.client.client(name)
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        head = {"Accept": "application/json, text/event-stream", **answer["headers"]}
        with httpx2.Client(trust_env=False) as client:
            client.post(answer["url"], json=body, headers=head)

    # --- clients -----------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def older(self, **more: Any) -> AsyncIterator[Any]:
        """The official session-based client, initialized, with the key in a header."""
        from mcp import ClientSession
        from mcp.client.streamable_http import streamable_http_client

        headers = {"Authorization": f"Bearer {self.key}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
            streamable_http_client(self.url, http_client=http) as (reader, writer),
            ClientSession(reader, writer, **more) as session,
        ):
            await session.initialize()
            yield session

    @contextlib.asynccontextmanager
    async def modern(self, **more: Any) -> AsyncIterator[Any]:
        """The official high-level client, given nothing but a URL."""
        from mcp.client import Client

        async with Client(self.address, **more) as client:
            yield client


async def until(holds: Callable[[], object], what: str = "", limit: float = LIMIT) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end, f"gave up waiting for {what}"
        await asyncio.sleep(0.01)


def tool_names(result: Any) -> set[str]:
    return {tool.name for tool in result.tools}


def text_of(result: Any) -> str:
    return "".join(block.text for block in result.content)
