"""Long results, and failures that stay with the call they belong to: over both transports, with two clients."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from tests.aggregate.site import Site, text_of, tool_names, until
from trayapp.oauthtest import Mode

NAMES = ("good", "old")
TOO_LARGE = HTTPStatus(413).phrase


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`good` speaks streamable HTTP, `old` the legacy transport."""
    with Site(tmp_path_factory.mktemp("site"), *NAMES, legacy=("old",)) as site:
        for upstream in site.upstreams.values():
            upstream.tools += ["big", "sample", "elicit", "post"]
        yield site


@pytest.fixture(autouse=True)
async def whole(site: Site) -> AsyncIterator[None]:
    await site.all_green()
    yield
    for upstream in site.upstreams.values():
        upstream.answers.clear()


@contextlib.asynccontextmanager
async def undisturbed(site: Site, name: str) -> AsyncIterator[None]:
    """Another client's call to the same workload runs meanwhile, and is answered as if nothing were."""
    async with site.older() as other:
        await other.list_tools()
        begun = len(site.upstreams[name].calls)
        call = asyncio.create_task(other.call_tool(f"{name}_slow", {}))
        await until(lambda: "slow" in site.upstreams[name].calls[begun:])
        try:
            yield
            assert "slow is done" == text_of(await asyncio.wait_for(call, 20))
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize("size", [600_000, 1_100_000, 20_000_000])
@pytest.mark.parametrize("name", NAMES)
async def test_long_results_pass(name: str, size: int, site: Site) -> None:
    """Beyond the SDK's limit of 1 MiB for an event, to a client that has that limit, too."""

    async with site.older() as session, undisturbed(site, name):
        assert "x" * size == text_of(await session.call_tool(f"{name}_big", {"size": size}))


async def test_long_results_pass_to_clients_without_sessions(site: Site) -> None:
    """The same by revision 2026-07-28."""

    async with site.modern() as session, undisturbed(site, "good"):
        assert 20_000_000 == len(text_of(await session.call_tool("good_big", {"size": 20_000_000})))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("status", [400, 404, 413, 429, 500])
async def test_a_refused_call_is_refused_alone(name: str, status: int, site: Site) -> None:
    """An HTTP error in place of an answer: the call that got it says so, and no other ends."""

    site.upstreams[name].answers[b'"post"'] = (status, b"text/plain", b"At most 4 MB\n")
    async with site.older() as session, undisturbed(site, name):
        refused = await session.call_tool(f"{name}_post", {})
        assert refused.is_error
        assert f"{name} says x" == text_of(await session.call_tool(f"{name}_say", {"text": "x"}))


@pytest.mark.parametrize("name", NAMES)
async def test_the_upstreams_reason_is_kept(name: str, site: Site) -> None:
    """413 is not "an error response": the status with its name, and what was said, for tools and for prompts."""

    site.upstreams[name].answers |= {
        b'"post"': (413, b"text/plain", b"At most 4 MB\n"),
        b'"prompts/get"': (413, b"application/json", b'{"detail": "At most 5 MB"}'),
    }
    async with site.older() as session:
        await session.list_tools()
        refused = await session.call_tool(f"{name}_post", {})
        assert f"{name} answered 413 ({TOO_LARGE}): At most 4 MB." == text_of(refused)
        assert "upstream_error" == refused.meta["io.github.amberlight/workload"]["detail"]
        with pytest.raises(MCPError, match=rf"{name} answered 413 \({TOO_LARGE}\): At most 5 MB\."):
            await session.get_prompt(f"{name}_greet", {})


async def test_an_answer_that_breaks_off_breaks_off_alone(site: Site) -> None:
    """An event stream without the answer: that call's fate is unknown, and no other ends."""

    site.upstreams["good"].answers[b'"post"'] = (200, b"text/event-stream", b": nothing\n\n")
    async with site.older() as session, undisturbed(site, "good"):
        broken = await session.call_tool("good_post", {})
        assert (True, True) == (broken.is_error, "may or may not have run" in text_of(broken))
        assert "good says x" == text_of(await session.call_tool("good_say", {"text": "x"}))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("tool", "what"), [("sample", "sampling"), ("elicit", "elicitation")])
async def test_what_is_not_passed_on_is_said(name: str, tool: str, what: str, site: Site) -> None:
    """A server that asks for its client's model or user is refused in words that reach the caller."""

    async with site.older() as session, undisturbed(site, name):
        try:
            said = text_of(await session.call_tool(f"{name}_{tool}", {}))
        except MCPError as error:
            said = error.message
        sentence = f"{name} asked for {what}, which /mcp doesn't pass on. Connect the client to /w/{name} for that."
        assert 1 == said.count(sentence)


@pytest.mark.parametrize("name", NAMES)
async def test_amber_and_back(name: str, site: Site) -> None:
    """Its tools stay listed, a call says why and how long, and the next call after it works, over both transports."""

    async with site.older() as session:
        names = tool_names(await session.list_tools())
        assert f"{name} says x" == text_of(await session.call_tool(f"{name}_say", {"text": "x"}))
        await site.breaks(name, Mode.FIREWALL, "auth_retrying")
        told = await session.call_tool(f"{name}_say", {"text": "x"})
        assert told.is_error
        assert text_of(told).startswith(f"{name} is reconnecting.")
        assert "Try again in " in text_of(told)
        assert names == tool_names(await session.list_tools())
        await site.heals(name)
        await until_says(session, name)


async def until_says(session: Any, name: str) -> None:
    end = time.monotonic() + 10
    while (result := await session.call_tool(f"{name}_say", {"text": "back"})).is_error:
        assert time.monotonic() < end, text_of(result)
        await asyncio.sleep(0.05)
    assert f"{name} says back" == text_of(result)
