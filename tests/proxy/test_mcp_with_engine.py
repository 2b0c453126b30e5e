"""MCP clients over a real engine: which failures are announced, and what clients are told while there is no token."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.engine.engines import with_policy
from tests.proxy.mcp_upstream import Json, McpServer
from tests.proxy.proxied_engine import ProxiedEngine, proxied_engine
from tests.proxy.proxying import upstream
from trayapp.core.model import Policy
from trayapp.core.notices import AMBER_DELAY, ShownNotices, notices
from trayapp.core.presentation import Verb
from trayapp.oauthtest import Mode, OAuthServer

LASTING = with_policy(tick_interval=60.0, tick_jitter=0.0, max_tries=1)  # amber immediately, and for a minute
PLAIN = {"Content-Type": "application/json"}


@dataclass
class McpClient:
    """Sends messages in a session, and takes HTTP 200 or 202 for the only right answers, as the older SDKs do."""

    site: ProxiedEngine
    head: dict[str, str] = field(default_factory=lambda: {"Accept": "application/json, text/event-stream"})
    number: int = 0

    async def post(self, message: Json) -> Any:
        status, body, head = await self.site.ask(json.dumps(message).encode(), **PLAIN, **self.head)
        assert status in (200, 202), body
        if "Mcp-Session-Id" in head:
            self.head["Mcp-Session-Id"] = head["Mcp-Session-Id"]
        return json.loads(body) if body else None

    async def request(self, method: str, **params: Any) -> Json:
        self.number += 1
        return dict(await self.post({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}))

    async def connect(self) -> None:
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
        assert "result" in await self.request("initialize", **hello)
        assert await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}) is None

    async def call(self) -> str:
        """The sentence of a call that failed."""
        result = (await self.request("tools/call", name="echo", arguments={}))["result"]
        assert result["isError"] is True
        return str(result["content"][0]["text"])


@dataclass
class Lab:
    site: ProxiedEngine
    mcp: McpServer
    oauth: OAuthServer

    async def announced(self) -> list[str]:
        """The keys of the notifications that are due a minute after it was published as amber."""
        world = self.site.world
        await world.until(lambda: world.snapshots[-1][1].workloads["one"].status == "auth_retrying", "amber")
        wall = time.time() + AMBER_DELAY + 1.0
        _, shown, _ = notices(ShownNotices(), world.snapshots[-1][1], frozenset(world.engine.callers.refused), wall)
        return [each.key for each in shown]


@contextlib.asynccontextmanager
async def lab(path: Path, policy: Policy = LASTING, mode: Mode = Mode.SUCCESS, **more: Any) -> AsyncIterator[Lab]:
    mcp = McpServer()
    with OAuthServer(**more) as oauth:
        oauth.mode = mode
        async with upstream(mcp.handle) as there, proxied_engine(oauth, f"{there.url}/mcp", path, policy) as site:
            yield Lab(site, mcp, oauth)


async def test_a_client_that_only_lists_announces_nothing(tmp_path: Path) -> None:
    """M15: initialize and every list are answered while amber; nobody was refused anything."""

    async with lab(tmp_path, mode=Mode.FIREWALL) as it:
        await it.site.world.becomes("auth_retrying")
        client = McpClient(it.site)
        await client.connect()
        for method in ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "ping"):
            assert "result" in await client.request(method)
        assert [] == await it.announced()
        assert [] == it.mcp.seen


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
async def test_a_failed_call_is_announced(tmp_path: Path, method: str) -> None:
    """M15: what a person or a model waits for."""

    async with lab(tmp_path, mode=Mode.FIREWALL) as it:
        await it.site.world.becomes("auth_retrying")
        client = McpClient(it.site)
        await client.connect()
        await client.request(method, name="echo", uri="x://y")
        assert ["amber:one"] == await it.announced()


async def test_a_refused_plain_request_is_announced(tmp_path: Path) -> None:
    """M15: a script gets 503, and its user may want to know why."""

    async with lab(tmp_path, mode=Mode.FIREWALL) as it:
        await it.site.world.becomes("auth_retrying")
        assert 503 == (await it.site.ask(b"{}", **PLAIN))[0]
        assert ["amber:one"] == await it.announced()


async def test_a_list_whose_token_is_rejected_announces_nothing(tmp_path: Path) -> None:
    """M15: neither does a list that went to the upstream and came back with 401 while the token can't be refreshed."""

    async with lab(tmp_path, with_policy(tick_interval=60.0, max_tries=1, rejected_spacing=0.0, hot_wait=0.3)) as it:
        await it.site.world.green()
        client = McpClient(it.site)
        await client.connect()
        it.oauth.mode = Mode.FIREWALL
        it.mcp.failing = lambda message: web.Response(status=401)
        assert "result" in await client.request("tools/list")
        await it.site.world.becomes("auth_retrying")
        assert [] == await it.announced()
        assert (await client.call()).startswith("one is reconnecting.")
        assert ["amber:one"] == await it.announced()


async def test_a_paused_workload_says_so(tmp_path: Path) -> None:
    """M17: an MCP client reads it, a plain caller gets 503 `stopped` without Retry-After, and nothing is sent."""

    async with lab(tmp_path) as it:
        await it.site.world.green()
        client = McpClient(it.site)
        await client.connect()
        it.site.world.do(Verb.PAUSE)
        await it.site.world.becomes("stopped")
        asked = len(it.mcp.seen)

        assert (await client.call()).startswith("one is paused.")
        status, body, head = await it.site.ask(b"{}", **PLAIN)
        assert (503, "stopped", None) == (status, json.loads(body)["error"], head.get("Retry-After"))
        assert asked == len(it.mcp.seen)


async def test_a_workload_that_is_being_removed_says_so(tmp_path: Path) -> None:
    """M17: until it is gone; then there is nothing that a key could open."""

    async with lab(tmp_path, with_policy(attempt_limit=10.0)) as it:
        world = it.site.world
        await world.green()
        client = McpClient(it.site)
        await client.connect()
        it.oauth.mode = Mode.HANG_BEFORE_HEADERS
        world.do(Verb.RETRY)
        await world.until(lambda: it.oauth.count("token") > 1)
        world.do(Verb.REMOVE)
        await world.becomes("removing")
        assert (await client.call()).startswith("one is being removed")
        status, body, head = await it.site.ask(b"{}", **PLAIN)
        assert (503, "stopped", None) == (status, json.loads(body)["error"], head.get("Retry-After"))
        it.oauth.mode = Mode.SUCCESS
        it.oauth.release()
        await world.until(lambda: "one" not in world.engine.workloads)
        assert 403 == (await it.site.ask(b"{}", **PLAIN, **client.head))[0]


async def test_an_upstream_that_rejects_every_token_says_so(tmp_path: Path) -> None:
    """M18: an MCP client reads a sentence in HTTP 200; a plain caller gets 502 `upstream_rejects`."""

    async with lab(tmp_path, with_policy(rejected_spacing=0.0, strike_interval=60.0, hot_wait=0.3)) as it:
        await it.site.world.green()
        client = McpClient(it.site)
        await client.connect()
        it.mcp.failing = lambda message: web.Response(status=401)
        said = [await client.call() for _ in range(4)]
        await it.site.world.becomes("unhealthy upstream_rejects")

        assert said[-1].startswith("one refuses access. ")
        assert (await client.call()).startswith("one refuses access. ")
        assert "result" in await client.request("tools/list")
        status, body, _ = await it.site.ask(b"{}", **PLAIN)
        assert (502, "upstream_rejects") == (status, json.loads(body)["error"])


@pytest.mark.parametrize(
    ("mode", "dated"), [(Mode.UNAVAILABLE, False), (Mode.RATE_LIMITED, False), (Mode.UNAVAILABLE, True)]
)
async def test_a_server_that_asks_to_wait_for_minutes(tmp_path: Path, mode: Mode, dated: bool) -> None:
    """M3 and M12, in seconds or as a date: amber at the first answer, one attempt, and every caller is told the ten minutes."""

    wait = datetime.now(UTC) + timedelta(seconds=600) if dated else 600
    async with lab(tmp_path, Policy(), mode=mode, retry_after=wait) as it:
        await it.site.world.becomes("auth_retrying server_said_wait")
        view = it.site.world.view()
        assert ("degraded", False) == (view.health, view.auth.usable)
        status, body, head = await it.site.ask(b"{}", **PLAIN)
        told = json.loads(body)
        assert (503, "retrying", "server_said_wait") == (status, told["error"], told["detail"])
        assert 590 <= int(head["Retry-After"]) <= 600
        client = McpClient(it.site)
        await client.connect()
        assert "Try again in 10 minutes." in await client.call()
        assert 1 == it.oauth.count("token")
