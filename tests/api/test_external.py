"""The routes for workloads of other programs, over a real socket, against a strict scripted control."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.scripted_control import other, view
from tests.api.test_api import BASE, Site, site
from trayapp.core.model import Problem

__all__ = ["site"]
ALL = f"{BASE}/external"
ONE = f"{ALL}/toolhive/GitHub.v2"


@pytest.fixture(autouse=True)
def others(site: Site) -> None:
    """ToolHive has three workloads, one of them stopped and one with a name that is also ours."""
    rows = [other(), other("github", "auth_retrying", "no such host"), other("old", "stopped")]
    site.control.others.update({each.name: each for each in rows})


async def test_the_list_has_only_what_other_programs_keep(site: Site) -> None:
    """By name, without stopped ones, with their owner and status word; the list of workloads has ours alone."""

    site.control.others_problems = ["ToolHive's API isn't responding."]
    status, found, _ = await site.ask("GET", ALL)
    _, everything, _ = await site.ask("GET", f"{ALL}?all=true")
    _, ours, _ = await site.ask("GET", f"{BASE}/workloads?all=true")

    assert 200 == status
    shown = [(row["name"], row["owner"], row["status"], row["colour"]) for row in found["workloads"]]
    assert [
        ("toolhive/GitHub.v2", "ToolHive", "running", "green"),
        ("toolhive/github", "ToolHive", "auth_retrying", "amber"),
    ] == shown
    assert ["ToolHive's API isn't responding."] == found["problems"]
    assert ["toolhive/GitHub.v2", "toolhive/github", "toolhive/old"] == [row["name"] for row in everything["workloads"]]
    assert ["github"] == [row["name"] for row in ours["workloads"]]


async def test_a_word_of_a_later_version_is_listed_as_it_is(site: Site) -> None:
    """It isn't left out because nobody knows what it means."""

    site.control.others["toolhive/new"] = other("new", "hibernating")
    _, found, _ = await site.ask("GET", ALL)

    assert "hibernating" in [row["status"] for row in found["workloads"]]


async def test_the_status_of_one(site: Site) -> None:
    """As of a workload of ours, and where its own program serves it."""

    status, found, _ = await site.ask("GET", f"{ALL}/toolhive/github")

    assert (200, "toolhive/github", "auth_retrying") == (status, found["name"], found["status"])
    assert ["pigeons", "polling"] == found["sources"]
    assert "http://127.0.0.1:21000/mcp" == found["external"]["client_url"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("toolhive/nothing", 404),
        ("another/github", 404),
        ("toolhive/GITHUB", 404),
        ("ToolHive/github", 400),
        ("toolhive/a%2Fb", 400),
        ("toolhive/a%20b", 400),
        ("toolhive/%C3%A9", 400),
        ("toolhive/a%0A", 400),
        ("toolhive/" + "a" * 129, 400),
        ("t" * 41 + "/github", 400),
    ],
)
async def test_other_names_are_refused(site: Site, path: str, status: int) -> None:
    """Of what isn't there and of what can't be a name, each operation says so."""

    for method, more in (("GET", ""), ("GET", "/history"), ("POST", "/restart")):
        found, body, _ = await site.ask(method, f"{ALL}/{path}{more}")
        assert (status, "unknown_workload" if status == 404 else "bad_name") == (found, body["error"])
    assert [] == site.control.calls


async def test_what_is_not_seen_may_be_there(site: Site) -> None:
    """Such as while its program isn't watched; the sentence says what to do."""

    site.control.others_missing = Problem("unseen", "ToolHive's workloads aren't shown.")
    for method, more in (("GET", ""), ("GET", "/take-over"), ("POST", "/take-over"), ("POST", "/restart")):
        status, body, _ = await site.ask(method, f"{ALL}/toolhive/x{more}")
        assert (404, "unseen", "ToolHive's workloads aren't shown.") == (status, body["error"], body["message"])


async def test_a_restart_is_asked_for_once(site: Site) -> None:
    """202 without a body; a body that isn't described is refused before anything happens."""

    assert 400 == (await site.ask("POST", f"{ONE}/restart", json={"force": True}))[0]
    assert [] == site.control.calls
    assert (202, None) == (await site.ask("POST", f"{ONE}/restart"))[:2]
    assert [("restart_external", "toolhive/GitHub.v2")] == site.control.calls


async def test_a_restart_that_fails_says_why(site: Site) -> None:
    """409 with the sentence; if it has gone meanwhile, 404."""

    site.control.restart_answer = Problem("external", "ToolHive isn't responding.")
    status, body, _ = await site.ask("POST", f"{ONE}/restart")
    assert (409, "ToolHive isn't responding.") == (status, body["message"])
    site.control.restart_answer = Problem(
        "unknown_workload", "No other program has a workload named toolhive/GitHub.v2."
    )
    assert 404 == (await site.ask("POST", f"{ONE}/restart"))[0]


async def test_a_restart_goes_on_without_its_caller(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hangs up doesn't leave half a restart."""

    began, go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(name: str) -> None:
        began.set()
        await go.wait()
        done.set()

    monkeypatch.setattr(site.control, "restart_external", slow)
    asked = asyncio.create_task(site.ask("POST", f"{ONE}/restart"))
    await began.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await asyncio.sleep(0.05)
    go.set()
    await asyncio.wait_for(done.wait(), 5)


async def test_ours_can_not_be_reached_as_another_programs(site: Site) -> None:
    """Nor another program's as ours."""

    site.control.views["only-ours"] = view("only-ours")
    assert 404 == (await site.ask("GET", f"{ALL}/toolhive/only-ours"))[0]
    assert 404 == (await site.ask("GET", f"{BASE}/workloads/old/status"))[0]
    assert 400 == (await site.ask("POST", f"{BASE}/workloads/retry", json={"names": ["toolhive/github"]}))[0]
    assert 400 == (await site.ask("POST", f"{BASE}/workloads/stop", json={"names": ["toolhive/github"]}))[0]
