"""The MCP endpoint in the whole program, with the official Python client: lists, calls, errors and changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from mcp_types import Implementation

from tests.aggregate.site import Site, text_of, tool_names, until
from trayapp.oauthtest import Mode

TOOLS = ("say", "slow", "wait", "fail", "link")
ERAS = ("older", "modern")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three workloads that are signed in; a test that breaks one heals it again."""
    with Site(tmp_path_factory.mktemp("site"), "good", "amber", "red") as site:
        yield site


@pytest.fixture(autouse=True)
async def whole(site: Site) -> None:
    await site.all_green()


def client(site: Site, era: str, **more: Any) -> Any:
    return site.older(**more) if era == "older" else site.modern(**more)


@pytest.mark.parametrize("era", ERAS)
async def test_all_tools_by_one_address(era: str, site: Site) -> None:
    """Every workload's tools are listed with its name before theirs, and called where they live."""

    async with client(site, era) as session:
        listed = tool_names(await session.list_tools())
        assert {f"{name}_{tool}" for name in site.names for tool in TOOLS} == listed
        for name in site.names:
            result = await session.call_tool(f"{name}_say", {"text": "hello"})
            assert (False, f"{name} says hello") == (result.is_error, text_of(result))


@pytest.mark.alone
@pytest.mark.parametrize("era", ERAS)
async def test_one_healthy_one_degraded_one_signed_out(era: str, site: Site) -> None:
    """Healthy and degraded tools are listed; calls of the others say at once how long to wait, or what to click."""

    async with client(site, era) as session:
        assert 15 == len((await session.list_tools()).tools)
        await site.breaks("amber", Mode.FIREWALL, "auth_retrying")
        await site.breaks("red", Mode.INVALID_GRANT, "unauthenticated")
        asked = site.authorities["amber"].count("token"), site.authorities["red"].count("token")

        await until_listed(session, {"good", "amber"})
        assert "good says x" == text_of(await session.call_tool("good_say", {"text": "x"}))
        began = time.monotonic()
        amber = await session.call_tool("amber_say", {"text": "x"})
        red = await session.call_tool("red_say", {"text": "x"})
        assert time.monotonic() - began < 0.5
        assert (True, True) == (amber.is_error, red.is_error)
        facts = amber.meta["io.github.amberlight/workload"]
        assert 30 <= facts["retry_after"] <= 45  # the tick is 40 s, give or take a tenth
        assert text_of(amber).startswith("amber is reconnecting.")
        assert f"Try again in {facts['retry_after']} seconds." in text_of(amber)
        assert text_of(red).startswith("red needs a sign-in.")
        assert "amberlight reauthorize red" in text_of(red)
        assert asked == (site.authorities["amber"].count("token"), site.authorities["red"].count("token"))

        await site.heals("amber")
        await site.heals("red")
        for name in ("amber", "red"):  # by the same session, and the same process
            await until_answered(session, name)
        await until_listed(session, set(site.names))


async def until_listed(session: Any, names: set[str]) -> None:
    """The news may be a moment on its way."""
    end = time.monotonic() + 5
    while {name.partition("_")[0] for name in tool_names(await relisted(session))} != names:
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def relisted(session: Any) -> Any:
    from mcp.client import Client

    return await (session.list_tools(cache_mode="bypass") if isinstance(session, Client) else session.list_tools())


async def until_answered(session: Any, name: str) -> None:
    end = time.monotonic() + 5
    while (result := await session.call_tool(f"{name}_say", {"text": "back"})).is_error:
        assert time.monotonic() < end, text_of(result)
        await asyncio.sleep(0.05)
    assert f"{name} says back" == text_of(result)


@pytest.mark.alone
@pytest.mark.parametrize("era", ERAS)
async def test_progress_is_live(era: str, site: Site) -> None:
    """Each step is told when it is made, not when all is done."""

    seen: list[tuple[float, float]] = []
    began = time.monotonic()

    async def progress(done: float, total: float | None, text: str | None) -> None:
        seen.append((done, time.monotonic() - began))

    async with client(site, era) as session:
        began = time.monotonic()
        result = await session.call_tool("good_slow", {}, progress_callback=progress)
    assert "slow is done" == text_of(result)
    assert [1, 2, 3, 4] == [done for done, _ in seen]
    assert seen[0][1] < 0.5
    assert 0.1 < seen[1][1] - seen[0][1] < 0.4


@pytest.mark.parametrize("era", ERAS)
async def test_a_cancelled_call_is_cancelled_where_it_runs(era: str, site: Site) -> None:
    """Whoever gives up a call ends the work on it, and the session lives."""

    upstream = site.upstreams["good"]
    upstream.waiting.clear()
    upstream.cancelled.clear()
    async with client(site, era) as session:
        call = asyncio.create_task(session.call_tool("good_wait", {}))
        await until(upstream.waiting.is_set)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await until(upstream.cancelled.is_set, limit=5)
        assert "good says x" == text_of(await session.call_tool("good_say", {"text": "x"}))


@pytest.mark.parametrize("era", ERAS)
async def test_a_servers_own_errors_pass(era: str, site: Site) -> None:
    """A protocol error arrives with its code and data; what nobody has is said so."""

    from mcp.shared.exceptions import MCPError

    async with client(site, era) as session:
        for code in (-32050, -32000):  # the second is the SDK's own for a closed connection, and popular with servers
            with pytest.raises(MCPError, match="a failure of its own") as caught:
                await session.call_tool("good_fail", {"code": code})
            assert (code, {"depth": 3}) == (caught.value.code, caught.value.data)
        with pytest.raises(MCPError, match="nothing named nobody_has"):
            await session.call_tool("nobody_has", {})


@pytest.mark.parametrize("era", ERAS)
async def test_prompts_and_resources(era: str, site: Site) -> None:
    """They have their workload's name before theirs too, also where a tool's result points to one."""

    async with client(site, era) as session:
        assert "good_greet" in {prompt.name for prompt in (await session.list_prompts()).prompts}
        greeting = await session.get_prompt("good_greet", {"to": "you"})
        assert "good greets" in greeting.messages[0].content.text
        resources = {str(resource.uri) for resource in (await session.list_resources()).resources}
        assert {f"amberlight://{name}/memo://one" for name in site.names} == resources
        templates = (await session.list_resource_templates()).resource_templates
        assert "amberlight://red/memo://{name}" in {template.uri_template for template in templates}
        read = await session.read_resource("amberlight://red/memo://two")
        assert ("amberlight://red/memo://two", "red keeps memo://two") == (
            str(read.contents[0].uri),
            read.contents[0].text,
        )
        link = (await session.call_tool("amber_link", {})).content[0]
        assert "amberlight://amber/memo://one" == str(link.uri)


async def test_completions(site: Site) -> None:
    """They are asked of whom the prompt or the template belongs to."""

    import mcp_types as types

    async with site.older() as session:
        prompt = types.PromptReference(type="ref/prompt", name="good_greet")
        found = await session.complete(prompt, {"name": "to", "value": "y"})
        assert ["ref/prompt y"] == found.completion.values
        template = types.ResourceTemplateReference(type="ref/resource", uri="amberlight://good/memo://{name}")
        found = await session.complete(template, {"name": "name", "value": "z"})
        assert ["ref/resource z"] == found.completion.values


async def test_changed_lists_are_told(site: Site) -> None:
    """A server's new tool, and a workload that recovers, reach a client that only listens."""

    import mcp_types as types

    heard: list[str] = []

    async def message(note: Any) -> None:
        if isinstance(note, types.ToolListChangedNotification):
            heard.append(note.method)

    async with site.older(message_handler=message) as session:
        await session.list_tools()
        await asyncio.sleep(0.3)
        heard.clear()
        site.upstreams["good"].offer("new")
        await until(lambda: heard, "the news of a tool")
        assert "good_new" in tool_names(await session.list_tools())
        assert "good says x" == text_of(await session.call_tool("good_new", {"text": "x"}))
        await site.breaks("red", Mode.INVALID_GRANT, "unauthenticated")
        await asyncio.sleep(0.5)
        heard.clear()
        await site.heals("red")
        await until(lambda: heard, "the news of a workload")
    site.upstreams["good"].tools.remove("new")


async def test_log_lines_pass(site: Site) -> None:
    """From the level on that the client wants, with the workload's name before the logger's."""

    lines: list[Any] = []

    async def logged(params: Any) -> None:
        lines.append(params)

    import mcp_types as types

    async with site.older(logging_callback=logged) as session:
        await session.list_tools()
        await session.send_request(
            types.SetLevelRequest(params=types.SetLevelRequestParams(level="info")), types.EmptyResult
        )
        site.upstreams["good"].log("deep down")
        await until(lambda: lines, "a line")
    assert ("good/depths", "deep down", "info") == (lines[0].logger, lines[0].data, lines[0].level)
    assert "level info" in site.upstreams["good"].calls


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_hears_at_once_what_is_wrong(era: str, site: Site) -> None:
    """The server's instructions name each workload, how it is, and what its own server says of itself."""

    async with client(site, era) as session:
        await session.list_tools()
    await site.breaks("red", Mode.INVALID_GRANT, "unauthenticated")
    await asyncio.sleep(0.4)
    async with client(site, era) as session:
        words = session.instructions
    await site.heals("red")
    assert "- good: healthy. What good is for." in words
    assert "- red: unauthenticated. red needs a sign-in." in words


# --- activity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
async def test_the_activity_knows_which_client_called(era: str, site: Site) -> None:
    """Although all of them share one session with each workload."""

    async def use(name: str) -> None:
        async with client(site, era, client_info=Implementation(name=name, version="7")) as session:
            await session.call_tool("good_say", {"text": name})

    await asyncio.gather(use(f"{era}-one"), use(f"{era}-two"))
    found = await asyncio.to_thread(site.program.client.request, "GET", "/api/v1beta/activity?workload=good")
    calls = [row for row in found["rows"] if row["method"] == "tools/call"][:2]

    assert {f"{era}-one", f"{era}-two"} == {row["client"] for row in calls}
    assert {("say", "mcp", "7", 200, True)} == {
        (row["target"], row["via"], row["client_version"], row["status"], row["served"]) for row in calls
    }
