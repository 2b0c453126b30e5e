"""The official MCP clients, unmodified, through the proxy to npm's server-everything behind a token check."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.engine.engines import with_policy
from tests.proxy.proxied_engine import ProxiedEngine, proxied_engine
from tests.real import node
from tests.real.everything import Guard, everything_by, guarded
from trayapp.core.presentation import Verb
from trayapp.oauthtest import EchoWorkload, Mode, OAuthServer

pytestmark = pytest.mark.real

TOOL = "trigger-long-running-operation"
POLICY = with_policy(rejected_spacing=0.0)
TRANSPORTS = ("streamableHttp", "sse")
LIFE = 1.5  # s; of an access token: several end during one test


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, str]]:
    """server-everything, one process for each transport."""
    with everything_by(dict(zip(TRANSPORTS, TRANSPORTS, strict=True))) as urls:
        yield urls


@contextlib.asynccontextmanager
async def site_with_guard(url: str, path: Path, **more: Any) -> AsyncIterator[tuple[ProxiedEngine, Guard, OAuthServer]]:
    """Amberlight before a server that wants tokens, whose tokens last a moment and rotate."""
    with OAuthServer(access_token_lifetime=LIFE, grace=5.0) as server:
        async with guarded(server, url) as guard, proxied_engine(server, guard.url, path, POLICY, **more) as site:
            await site.world.green()
            yield site, guard, server


@contextlib.asynccontextmanager
async def connected(transport: str, site: ProxiedEngine) -> AsyncIterator[Any]:
    """A session of the Python client that has the key in its header, initialized."""
    from mcp import ClientSession
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    async with contextlib.AsyncExitStack() as stack:
        if transport == "sse":
            streams = await stack.enter_async_context(sse_client(site.keyless_url, headers=site.headers))
        else:
            http = httpx2.AsyncClient(headers=site.headers, timeout=30, trust_env=False)
            await stack.enter_async_context(http)
            streams = await stack.enter_async_context(streamable_http_client(site.keyless_url, http_client=http))
        session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
        await session.initialize()
        yield session


async def work(session: Any, rounds: int) -> None:
    """List tools, then calls whose progress has to come while they run."""
    assert len((await session.list_tools()).tools) > 5
    for _ in range(rounds):
        began, seen = time.monotonic(), list[float]()

        async def progress(
            done: float, total: float | None, text: str | None, began: float = began, seen: list[float] = seen
        ) -> None:
            seen.append(time.monotonic() - began)

        result = await session.call_tool(TOOL, {"duration": 0.8, "steps": 4}, progress_callback=progress)
        assert "completed" in result.content[0].text
        assert len(seen) >= 3
        assert seen[0] < 0.5  # live: the first step takes 0.2 s, and all of them 0.8


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_python_client(transport: str, servers: dict[str, str], tmp_path: Path) -> None:
    """Initialize, list, call with live progress, end, while tokens expire and rotate: the client sees no error."""

    async with site_with_guard(servers[transport], tmp_path) as (site, guard, server):
        async with connected(transport, site) as session:
            await work(session, 4)
        if transport == "streamableHttp":
            assert f"DELETE {'/mcp'}" in guard.asked
        assert server.count("token") >= 3
        assert not [path for path in guard.asked if "well-known" in path]


async def test_the_python_client_with_nothing_but_an_address(servers: dict[str, str], tmp_path: Path) -> None:
    """The high-level client is given one URL, with the key in its path, and works."""

    from mcp.client import Client

    async with site_with_guard(servers["streamableHttp"], tmp_path) as (site, _, _), Client(site.url) as client:
        await work(client, 1)


async def run_npm(transport: str, url: str, key: str, rounds: int) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        str(node.node()),
        str(Path(__file__).with_name("client.mjs")),
        *(str(node.packages()), transport, url, key, str(rounds)),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("in_path", [True, False])
async def test_the_npm_client(transport: str, in_path: bool, servers: dict[str, str], tmp_path: Path) -> None:
    """The same by the TypeScript SDK, with its key in the address or in a header."""

    async with site_with_guard(servers[transport], tmp_path) as (site, guard, server):
        url, key = (site.url, "") if in_path else (site.keyless_url, site.key)
        found = await run_npm(transport, url, key, 3)

        assert (None, []) == (found["error"], found["flow"])
        assert found["tools"] > 5
        assert 3 == len(found["texts"])
        assert found["progress"][0] < 0.5
        assert server.count("token") >= 2
        if transport == "streamableHttp":
            assert "DELETE /mcp" in guard.asked


async def test_tokens_that_the_server_no_longer_takes(servers: dict[str, str], tmp_path: Path) -> None:
    """The upstream says 401 in the middle of the work: each is repeated once, and the client goes on."""

    with OAuthServer(grace=5.0) as server:
        async with (
            guarded(server, servers["streamableHttp"]) as guard,
            proxied_engine(server, guard.url, tmp_path, POLICY) as site,
        ):
            await site.world.green()
            async with connected("streamableHttp", site) as session:
                for _ in range(3):
                    guard.distrust = 1
                    await work(session, 1)

        assert guard.rejections == 3
        assert server.count("token") >= 4


async def test_amber_starts_no_sign_in(servers: dict[str, str], tmp_path: Path) -> None:
    """While amber both clients connect and start no OAuth flow, though they could; green, the same session works."""

    from mcp.client import Client
    from mcp.client.auth import OAuthClientProvider
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.auth import OAuthClientMetadata

    opened: list[str] = []

    class Storage:
        async def get_tokens(self) -> None:
            return None

        async def set_tokens(self, tokens: object) -> None:
            opened.append("tokens")

        async def get_client_info(self) -> None:
            return None

        async def set_client_info(self, info: object) -> None:
            opened.append("register")

    async def open_page(url: str) -> None:
        opened.append(url)

    async def callback() -> Any:
        raise AssertionError("nobody signs in here")

    metadata = OAuthClientMetadata.model_validate({"redirect_uris": ["http://127.0.0.1:1/callback"]})
    with OAuthServer() as server, EchoWorkload(server) as echo:
        server.mode = Mode.FIREWALL
        policy = with_policy(max_tries=1, tick_interval=60.0)
        async with proxied_engine(server, echo.url, tmp_path, policy) as site:
            await site.world.becomes("auth_retrying")
            asked = [record.kind for record in server.requests]
            auth = OAuthClientProvider(site.url, metadata, Storage(), open_page, callback)
            async with (
                httpx2.AsyncClient(auth=auth, trust_env=False) as http,
                Client(streamable_http_client(site.url, http_client=http)) as client,
            ):
                assert [] == (await client.list_tools()).tools
                refused = await client.call_tool("echo", {"message": "hi"})
                assert refused.is_error
                assert "one is reconnecting." in str(refused.content[0])
                found = await run_npm("streamableHttp", site.url, "", 0)
                assert (None, [], 0) == (found["error"], found["flow"], found["tools"])
                assert [] == opened
                assert 0 == echo.count()
                assert asked == [record.kind for record in server.requests]

                server.mode = Mode.SUCCESS
                site.world.do(Verb.RETRY)
                await site.world.becomes("running")
                assert ["echo"] == [tool.name for tool in (await client.list_tools()).tools]
                assert not (await client.call_tool("echo", {"message": "hi"})).is_error
