"""Workloads that restart, change keys, pause, move or go, and what the aggregate's process knows of their secrets."""

from __future__ import annotations

import asyncio
import stat
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.aggregate.processes import in_memory, is_running, linux, public_data
from tests.aggregate.site import Site, text_of, tool_names, until
from tests.engine.engines import login_of
from trayapp.core.presentation import Verb
from trayapp.oauthtest import Mode


def noted(site: Site) -> list[Path]:
    """The files in which `/w/NAME` keeps what servers offer."""
    return sorted((site.program.paths.state_dir / "mcp").glob("notes-*.json"))


@linux
async def test_no_token_reaches_it_and_nobody_reads_its_keys(site: Site) -> None:
    """Its memory holds the local keys and no token; its arguments, environment and file hold neither."""

    async with site.older() as session:
        await session.list_tools()
        for name in site.names:
            await session.call_tool(f"{name}_say", {"text": "x"})
        pid = site.aggregate.pid
        assert pid is not None
        tokens = {token for upstream in site.upstreams.values() for token in upstream.tokens}
        for name, authority in site.authorities.items():
            tokens |= {authority.current_refresh_token(family) for family in authority.live_families()}
            login = site.program.keystore._logins[name]
            assert login is not None
            tokens.add(login.refresh_token.reveal())
        local = {name: site.program.client.client(name)["headers"]["Authorization"][7:] for name in site.names}
        api_key, own = site.program.client.key.reveal(), site.aggregate._app_key.reveal()
        assert len(tokens) >= 4
        assert {*local.values(), own} == in_memory(pid, {*local.values(), own, api_key, site.key, *tokens})
        secrets = {*tokens, *local.values(), own, api_key, site.key}
        assert not [secret for secret in secrets if secret.encode() in public_data(pid)]
        await until(lambda: len(noted(site)) == 2)
        for file in noted(site):
            assert 0o600 == stat.S_IMODE(file.stat().st_mode)
            assert not [secret for secret in secrets if secret in file.read_text()]


async def test_its_key_gets_no_token(site: Site) -> None:
    """It may listen and ask for local keys; for an access token it is refused."""

    async with site.modern() as client:
        await client.list_tools()
    head = {"Authorization": f"Bearer {site.aggregate._app_key.reveal()}"}
    base = site.url.replace("/mcp", "/api/v1beta/workloads/good")
    async with httpx2.AsyncClient(trust_env=False, headers=head) as http:
        assert [200, 403] == [(await http.get(f"{base}/{what}")).status_code for what in ("client", "token")]


@linux
async def test_what_was_known_survives_a_restart(site: Site) -> None:
    """The app starts without a network: the tools are listed from the last time, and the calls say what is wrong."""

    async with site.older() as session:
        assert 10 == len((await session.list_tools()).tools)
    pid = site.aggregate.pid
    assert pid is not None
    await until(lambda: len(noted(site)) == 2)
    await asyncio.to_thread(site.stop)
    await until(lambda: not is_running(pid), limit=5)
    site.authorities["amber"].mode = Mode.FIREWALL
    await asyncio.to_thread(site.start)
    await site.becomes("auth_retrying", "amber")
    async with site.older() as session:
        assert {"good", "amber"} == {name.partition("_")[0] for name in tool_names(await session.list_tools())}
        result = await session.call_tool("amber_say", {"text": "x"})
        assert (True, True) == (result.is_error, "Try again in" in text_of(result))
        await site.heals("amber")
        await until_says(session, "amber")


async def until_says(session: Any, name: str) -> None:
    end = time.monotonic() + 10
    while (result := await session.call_tool(f"{name}_say", {"text": "x"})).is_error:
        assert time.monotonic() < end, text_of(result)
        await asyncio.sleep(0.05)
    assert f"{name} says x" == text_of(result)


@pytest.mark.parametrize("status", [404, 400])
async def test_a_server_that_was_restarted(status: int, site: Site) -> None:
    """Before a call has succeeded, the next one is made in a new session, and made once; after it the client is told."""

    upstream = site.upstreams["good"]
    async with site.older() as session:
        await until_says(session, "good")
        upstream.forget()
        assert "session_restarted" == await detail_of(session, "good_say")
        await session.get_prompt("good_greet", {})  # in the new session no call has succeeded
        upstream.forget(status)
        upstream.calls.clear()
        assert "good says x" == text_of(await session.call_tool("good_say", {"text": "x"}))
        assert ["say"] == [call for call in upstream.calls if not call.startswith("level")]
        upstream.forget(status)
        upstream.calls.clear()
        assert "session_restarted" == await detail_of(session, "good_say")
        assert [] == [call for call in upstream.calls if not call.startswith("level")]
        assert "good says x" == text_of(await session.call_tool("good_say", {"text": "x"}))


async def detail_of(session: Any, tool: str) -> str:
    """The detail of a call that was not made."""
    result = await session.call_tool(tool, {"text": "x"})
    assert result.is_error, text_of(result)
    return str(result.meta["io.github.amberlight/workload"]["detail"])


async def test_a_server_of_2026_07_28(site: Site) -> None:
    """It knows no handshake: it is asked what it speaks, and calls, progress and errors pass as always."""

    from mcp.shared.exceptions import MCPError

    upstream = site.upstreams["good"]
    upstream.modern_only = True
    upstream.forget()
    seen: list[float] = []

    async def progress(done: float, total: float | None, text: str | None) -> None:
        seen.append(done)

    async with site.older() as session:
        await until_says(session, "good")  # the first call may be told that the server's old session is gone
        assert "slow is done" == text_of(await session.call_tool("good_slow", {}, progress_callback=progress))
        assert [1, 2, 3, 4] == seen
        with pytest.raises(MCPError, match="a failure of its own"):
            await session.call_tool("good_fail", {})
        assert "good_say" in tool_names(await session.list_tools())
    async with site.modern() as client:
        assert "good says x" == text_of(await client.call_tool("good_say", {"text": "x"}))
    upstream.modern_only = False


async def test_a_server_of_2026_07_28_is_known_after_a_restart(site: Site) -> None:
    """It was met without a handshake: so it is while it can't be asked, and its tools stay listed."""

    upstream = site.upstreams["amber"]
    upstream.modern_only = True
    upstream.forget()
    async with site.older() as session:
        await until_says(session, "amber")
        upstream.tools.append("modern")
        await asyncio.sleep(1.1)  # a list is asked for again when somebody calls what isn't in it, once a second
        assert "amber says x" == text_of(await session.call_tool("amber_modern", {"text": "x"}))
    await asyncio.to_thread(site.stop)
    site.authorities["amber"].mode = Mode.FIREWALL
    await asyncio.to_thread(site.start)
    await site.becomes("auth_retrying", "amber")
    try:
        async with site.older() as session:
            assert "amber_modern" in tool_names(await session.list_tools())
            result = await session.call_tool("amber_modern", {"text": "x"})
            assert (True, True) == (result.is_error, text_of(result).startswith("amber is reconnecting."))
            upstream.tools.remove("modern")
            await site.heals("amber")
            await until_says(session, "amber")
            end = time.monotonic() + 10
            while "amber_modern" in tool_names(await session.list_tools()):
                assert time.monotonic() < end
                await asyncio.sleep(0.1)
    finally:
        upstream.modern_only = False


async def test_a_new_local_key_is_asked_for(site: Site) -> None:
    """The key of a workload is another one now: the process learns that by itself."""

    async with site.older() as session:
        await session.call_tool("good_say", {"text": "x"})
        assert site.program.control is not None
        site.program.runtime.keys.forget("good")
        assert "good says x" == text_of(await session.call_tool("good_say", {"text": "x"}))


async def test_a_paused_workload(site: Site) -> None:
    """It is not listed, and a call says how to resume it."""

    async with site.older() as session:
        await session.list_tools()
        site.program.act(Verb.PAUSE, "amber")
        await site.becomes("stopped", "amber")
        await asyncio.sleep(0.4)
        assert {"good"} == {name.partition("_")[0] for name in tool_names(await session.list_tools())}
        result = await session.call_tool("amber_say", {"text": "x"})
        assert (True, True) == (result.is_error, "amberlight start amber" in text_of(result))
        site.program.act(Verb.RESUME, "amber")
        await site.becomes("running", "amber")


async def test_a_workload_that_moves_or_goes(site: Site) -> None:
    """Its address is another one now: it is asked there. It is removed: its tools are gone, and a call says so."""

    file = site.program.paths.config_file
    before = file.read_text()
    good = site.upstreams["good"]
    async with site.older() as session:
        assert 10 == len((await session.list_tools()).tools)
        file.write_text(before.replace(good.url, f"{good.url}?moved=1"))
        await asyncio.to_thread(site.program.client.reload)
        good.tools.append("extra")
        await until_lists(session, {"good_extra"})
        start = before.index("[workloads.amber]")
        file.write_text(before[:start])
        await asyncio.to_thread(site.program.client.reload)
        await until(lambda: "amber" not in site.program.last.workloads)
        await asyncio.sleep(0.4)
        assert {"good"} == {name.partition("_")[0] for name in tool_names(await session.list_tools())}
        good.tools.remove("extra")
        file.write_text(before)
        site.program.keystore._logins["amber"] = login_of(site.authorities["amber"], "amber")
        await asyncio.to_thread(site.program.client.reload)
        await site.all_green()
        await until_lists(session, {"amber_say"})


async def until_lists(session: Any, wanted: set[str]) -> None:
    end = time.monotonic() + 10
    while not wanted <= (names := tool_names(await session.list_tools())):
        assert time.monotonic() < end, names
        await asyncio.sleep(0.1)
