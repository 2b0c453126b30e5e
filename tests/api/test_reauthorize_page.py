"""The page that an MCP client may open for a red workload: one button, for this user, once, for five minutes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from trayapp.api import reauthorize_page
from trayapp.api.reauthorize_page import LINK_LIFE, LINK_SPACING, ReauthorizePage
from trayapp.core.model import Problem
from trayapp.server.peers import Owner
from trayapp.server.server import LoopbackServer

SIGN_IN = 'https://login.example.com/authorize?state="x"&a=<b>'


@dataclass
class Site:
    """A loopback server with the page, a clock that a test moves, and what was begun."""

    at: float = 1000.0
    red: dict[str, str] = field(default_factory=lambda: {"notes": "mcp.example.com"})
    begun: list[str] = field(default_factory=list)
    answer: str | Problem = SIGN_IN
    page: ReauthorizePage = field(init=False)
    server: LoopbackServer = field(init=False)
    client: aiohttp.ClientSession = field(init=False)

    async def begin(self, name: str) -> str | Problem:
        self.begun.append(name)
        return self.answer

    def link(self, name: str = "notes") -> str:
        url = self.page.link(name)
        assert url is not None
        return url

    async def ask(self, method: str, url: str, **head: str) -> tuple[int, str]:
        async with self.client.request(method, url, headers=head, allow_redirects=False) as answer:
            assert "script" not in answer.headers["Content-Security-Policy"]
            assert "no-store" == answer.headers["Cache-Control"]
            return answer.status, await answer.text()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site()
    made.page = ReauthorizePage(
        now=lambda: made.at, address=lambda: made.server.url, server_of=made.red.get, begin=made.begin
    )
    made.server = LoopbackServer(
        port=0,
        runtime_dir=tmp_path,
        version="0",
        routes=[],
        open_routes=made.page.routes(),
        pages=made.page.pages(),
    )
    await made.server.start()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(made.server.close)
        made.client = await stack.enter_async_context(aiohttp.ClientSession())
        yield made


async def test_the_page_names_workload_and_server_and_begins_nothing(site: Site) -> None:
    """Looking at it, as often as anybody likes, is no sign-in."""
    url = site.link()

    for _ in range(3):
        status, text = await site.ask("GET", url)
        assert 200 == status
        assert "Sign in to notes?" in text
        assert "mcp.example.com" in text

    assert [] == site.begun


async def test_the_button_begins_the_sign_in_once(site: Site) -> None:
    """A second press finds nothing; the address of the sign-in is escaped."""
    url = site.link()

    status, text = await site.ask("POST", url, Origin=site.server.url)

    assert (200, ["notes"]) == (status, site.begun)
    assert "https://login.example.com/authorize?state=&quot;x&quot;&amp;a=&lt;b&gt;" in text
    assert 404 == (await site.ask("POST", url, Origin=site.server.url))[0]
    assert ["notes"] == site.begun


async def test_a_link_ends(site: Site) -> None:
    """After five minutes, with a newer one, or when it was made up."""
    url = site.link()
    site.at += LINK_LIFE + 1

    assert 404 == (await site.ask("GET", url))[0]
    assert 404 == (await site.ask("POST", f"{site.server.url}/reauthorize/made-up"))[0]
    assert [] == site.begun


async def test_one_link_in_ten_minutes(site: Site) -> None:
    """For each workload, so that no client can nag; and none where nobody has to sign in."""
    site.link()

    assert site.page.link("notes") is None
    assert site.page.link("green") is None
    site.red["other"] = "other.example.com"
    site.link("other")
    site.at += LINK_SPACING
    site.link()


async def test_a_workload_that_is_signed_in_meanwhile(site: Site) -> None:
    """The page says so, and the button begins nothing."""
    url = site.link()
    site.red.clear()

    assert "No sign-in needed for notes" in (await site.ask("GET", url))[1]
    assert "No sign-in needed for notes" in (await site.ask("POST", url, Origin=site.server.url))[1]
    assert [] == site.begun


async def test_another_user_of_the_machine_cannot_press(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says whose the connection is; the link stays good for its owner."""
    url = site.link()
    with monkeypatch.context() as patch:
        patch.setattr(reauthorize_page, "owner_of", lambda request: Owner.FOREIGN)
        assert 403 == (await site.ask("POST", url, Origin=site.server.url))[0]
    assert [] == site.begun

    assert 200 == (await site.ask("POST", url, Origin=site.server.url))[0]


async def test_no_page_of_another_site_can_press(site: Site) -> None:
    """A foreign origin is refused before anything is looked at."""
    url = site.link()
    async with site.client.post(url, headers={"Origin": "https://evil.example"}) as answer:
        assert 403 == answer.status
    assert [] == site.begun


async def test_why_a_sign_in_did_not_begin_is_shown_as_text(site: Site) -> None:
    """A server's words are never markup."""
    site.answer = Problem("server", "It said <script>alert(1)</script>.")

    status, text = await site.ask("POST", site.link(), Origin=site.server.url)

    assert 502 == status
    assert "&lt;script&gt;" in text
    assert "<script>" not in text


def test_a_name_is_escaped() -> None:
    """Names are strict, and are escaped even so."""
    assert "<h1>&lt;b&gt;</h1>" in str(reauthorize_page._page("<b>", "").text)
