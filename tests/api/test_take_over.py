"""The routes that take a workload over and give it back, over a real socket, against a strict scripted control."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.api.scripted_control import other
from tests.api.test_api import BASE, Site, site
from trayapp.api.controls import ClientNeeded, Moved, Rejected

__all__ = ["site"]
ONE = f"{BASE}/external/toolhive/GitHub.v2/take-over"
BACK = f"{BASE}/workloads/github/give-back"


@pytest.fixture(autouse=True)
def others(site: Site) -> None:
    """ToolHive has a workload."""
    site.control.others["toolhive/GitHub.v2"] = other()


async def test_the_plan(site: Site) -> None:
    """What would change, and that nothing is wrong."""

    assert (
        200,
        {
            "name": "github",
            "url": "https://github.example/mcp",
            "owner": "ToolHive",
            "configured_as": None,
            "clients": [{"title": "Cursor", "file": "/home/ada/.cursor/mcp.json", "entry": "gh"}],
            "notes": ["Its client secret stays with ToolHive."],
            "needs_secret": True,
            "problem": None,
        },
    ) == (await site.ask("GET", f"{ONE}?name=hub"))[:2]
    assert [("plan_take_over", "toolhive/GitHub.v2", "hub")] == site.control.calls
    site.control.take_over_plan = replace(site.control.take_over_plan, problem="It can't be.")
    assert "It can't be." == (await site.ask("GET", ONE))[1]["problem"]


async def test_it_is_taken_over(site: Site) -> None:
    """With a page in the browser, unless another wish is told."""

    site.control.moved = Moved("hub", "Took it over.", ("Cursor",), ("Zed is locked.",), "https://login.example")
    status, body, _ = await site.ask("POST", ONE)
    assert (
        202,
        {
            "name": "hub",
            "message": "Took it over.",
            "updated": ["Cursor"],
            "failed": ["Zed is locked."],
            "authorization_url": "https://login.example",
        },
    ) == (status, body)
    await site.ask("POST", ONE, json={"browser": False, "name": "hub", "sign_in": False})
    assert [
        ("take_over", "toolhive/GitHub.v2", "", True, True),
        ("take_over", "toolhive/GitHub.v2", "hub", False, False),
    ] == site.control.calls


async def test_it_is_given_back(site: Site) -> None:
    """Also one that isn't a workload here any more: the first try may have got that far."""

    status, body, _ = await site.ask("POST", BACK.replace("github", "gone"))
    assert (202, ["name", "message", "updated", "failed"]) == (status, list(body))
    assert [("give_back", "gone")] == site.control.calls


async def test_who_had_it_before(site: Site) -> None:
    """With a workload's configuration, and never in the list."""

    one = BACK.removesuffix("/give-back")
    assert (await site.ask("GET", one))[1]["taken_over_from"] is None
    site.control.owners["github"] = "ToolHive"
    assert "ToolHive" == (await site.ask("GET", one))[1]["taken_over_from"]
    assert "taken_over_from" not in (await site.ask("GET", f"{BASE}/workloads"))[1]["workloads"][0]


@pytest.mark.parametrize("path", [ONE, BACK])
async def test_a_refusal_says_why(site: Site, path: str) -> None:
    site.control.rejected = Rejected(409, "cannot_take_over", "ToolHive didn't stop it.", {"name": "No."})
    status, body, _ = await site.ask("POST", path)
    assert (409, "cannot_take_over", "ToolHive didn't stop it.", {"name": "No."}) == (
        status,
        body["error"],
        body["message"],
        body["fields"],
    )


async def test_a_client_that_has_to_be_created_first(site: Site) -> None:
    """As when a workload is added: the redirect address is named."""

    client = ClientNeeded("http://127.0.0.1:49200/callback", 49200, "optional")
    site.control.rejected = Rejected(409, "client_id_needed", "It registers nobody.", {"client_id": "No."}, client)
    _, body, _ = await site.ask("POST", ONE)
    assert ("client_id_needed", client.redirect_uri) == (body["error"], body["redirect_uri"])


async def test_what_is_asked_wrongly(site: Site) -> None:
    """Nothing happens then."""

    assert 404 == (await site.ask("POST", ONE.replace("GitHub.v2", "nobody")))[0]
    assert 404 == (await site.ask("GET", ONE.replace("GitHub.v2", "nobody")))[0]
    assert 400 == (await site.ask("POST", ONE, json={"browser": "yes"}))[0]
    assert 400 == (await site.ask("POST", ONE, json={"force": True}))[0]
    assert 400 == (await site.ask("POST", BACK.replace("github", "Git.Hub")))[0]
    assert 400 == (await site.ask("POST", BACK, json={"force": True}))[0]
    assert [] == site.control.calls


async def test_it_goes_on_without_its_caller(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hangs up doesn't leave half a take-over."""

    began, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(theirs: str, name: str = "", *, browser: bool, sign_in: bool) -> Moved:
        began.set()
        await go.wait()
        done.set()
        return site.control.moved

    monkeypatch.setattr(site.control, "take_over", slow)
    asked = asyncio.create_task(site.ask("POST", ONE))
    await began.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    go.set()
    await asyncio.wait_for(done.wait(), 5)
