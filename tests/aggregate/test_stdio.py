"""`amberlight stdio` with all workloads, and with one of the older transport, driven by the official SDK."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests import ROOT
from tests.aggregate.site import Site, text_of, tool_names
from trayapp.oauthtest import Mode

BRIDGE = ROOT / "tests" / "real" / "clients" / "stdio_bridge.py"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`good` speaks streamable HTTP, `old` the legacy transport."""
    with Site(tmp_path_factory.mktemp("site"), "good", "old", legacy=("old",)) as site:
        for upstream in site.upstreams.values():
            upstream.tools += ["big"]
        yield site


@contextlib.asynccontextmanager
async def opened(site: Site, name: str, mode: str, *, green: bool = True) -> AsyncIterator[Any]:
    if green:
        await site.all_green()
    env = {"PYTHONPATH": str(ROOT)}
    command = StdioServerParameters(command=sys.executable, args=[str(BRIDGE), str(site.root), name], env=env)
    async with Client(stdio_client(command), mode=mode) as client:
        yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_all_workloads(site: Site, mode: str) -> None:
    """Listed with their names in front; long results pass; amber is said, and gone with it."""

    async with opened(site, "--all", mode) as client:
        assert {"good_say", "old_say"} <= tool_names(await client.list_tools())
        assert 20_000_000 == len(text_of(await client.call_tool("good_big", {"size": 20_000_000})))
        assert "old says x" == text_of(await client.call_tool("old_say", {"text": "x"}))
        await site.breaks("good", Mode.SERVER_ERROR, "auth_retrying")
        assert "good is reconnecting." in text_of(await client.call_tool("good_say", {"text": "x"}))
        await site.heals("good")
        assert "good says y" == text_of(await client.call_tool("good_say", {"text": "y"}))


async def test_a_workload_of_the_older_transport(site: Site) -> None:
    """Through amber, and a restart of the program on another port."""

    async with opened(site, "old", "auto") as client:
        assert "say" in tool_names(await client.list_tools())
        assert 20_000_000 == len(text_of(await client.call_tool("big", {"size": 20_000_000})))
        await site.breaks("old", Mode.SERVER_ERROR, "auth_retrying")
        assert "old is reconnecting." in text_of(await client.call_tool("say", {"text": "x"}))
        await site.heals("old")
        assert "old says y" == text_of(await client.call_tool("say", {"text": "y"}))
        site.stop()
        assert "Amberlight isn't running." in text_of(await client.call_tool("say", {"text": "z"}))
        site.start()
        await site.all_green()
        assert "old says z" == text_of(await client.call_tool("say", {"text": "z"}))


async def test_of_the_older_transport_and_amber_from_the_start(tmp_path: Path) -> None:
    """Nothing is known of the server: which transport it speaks comes out when it is green."""

    with Site(tmp_path, "old", legacy=("old",)) as site:
        await site.all_green()
        await site.breaks("old", Mode.SERVER_ERROR, "auth_retrying")
        async with opened(site, "old", "auto", green=False) as client:
            assert "old is reconnecting." in text_of(await client.call_tool("say", {"text": "x"}))
            await site.heals("old")
            assert "old says y" == text_of(await client.call_tool("say", {"text": "y"}))
            assert "say" in tool_names(await client.list_tools())
