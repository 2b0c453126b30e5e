"""Which transport a server speaks: asked once, remembered, and never guessed while there is no token."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from tests.proxy.legacy_upstream import LegacyServer
from tests.proxy.mcp_upstream import McpServer
from tests.proxy.proxying import NAME, proxied, unavailable, upstream


async def test_a_streamable_server_is_asked_once(tmp_path: Path) -> None:
    """The session that it began for us is ended."""

    server = McpServer()
    async with upstream(server.handle) as there, proxied(f"{there.url}/mcp", tmp_path) as site:
        assert not await site.proxy.transports.speaks_sse(NAME)
        assert not await site.proxy.transports.speaks_sse(NAME)

        assert ["initialize", "DELETE"] == server.methods()


async def test_a_legacy_server_is_remembered(tmp_path: Path) -> None:
    """Also over a restart, and while it can't be reached."""

    server = LegacyServer()
    async with upstream(server.handle) as there:
        async with proxied(f"{there.url}/sse", tmp_path) as site:
            assert await site.proxy.transports.speaks_sse(NAME)
        async with proxied(f"{there.url}/sse", tmp_path) as site:
            site.tokens.answer = unavailable()
            assert await site.proxy.transports.speaks_sse(NAME)
    assert ["initialize"] == server.methods()


async def test_nothing_is_asked_without_a_token_or_of_other_apis(tmp_path: Path) -> None:
    """What can't be known is taken for streamable HTTP, and asked the next time."""

    asked: list[str] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.method)
        return web.Response(status=404)

    async with upstream(handle) as there:
        async with proxied(f"{there.url}/mcp", tmp_path) as site:
            site.tokens.answer = unavailable()
            assert not await site.proxy.transports.speaks_sse(NAME)
        async with proxied(f"{there.url}/api", tmp_path) as site:
            assert not await site.proxy.transports.speaks_sse(NAME)
        assert [] == asked
        async with proxied(f"{there.url}/mcp", tmp_path) as site:
            assert not await site.proxy.transports.speaks_sse(NAME)
            assert not await site.proxy.transports.speaks_sse(NAME)
        assert ["POST", "GET"] * 2 == asked


async def test_a_server_that_says_nothing_ends_no_request(tmp_path: Path) -> None:
    """It breaks off: nothing is known, and nothing is raised."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with upstream(handle) as there, proxied(f"{there.url}/mcp", tmp_path) as site:
        assert not await site.proxy.transports.speaks_sse(NAME)
