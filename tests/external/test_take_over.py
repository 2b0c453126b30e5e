"""The plan of a take-over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.external.fake_owner import workload
from trayapp.clients.table import BY_NAME
from trayapp.core.model import Spec
from trayapp.core.presentation import Verb
from trayapp.external.pointing import Pointing
from trayapp.external.take_over import Plan, Source, plan
from trayapp.external.taken_over import TakenOver
from trayapp.importers.entries import ImportableEntry, SkippedEntry

GITHUB = workload("github")
URL = GITHUB.url
ACTIONS = (Verb.RESTART, Verb.TAKE_OVER)
SOURCE = Source("ToolHive", "toolhive", GITHUB, ACTIONS, ImportableEntry("github", {"url": URL, "scopes": ["a"]}))


def here(**urls: str) -> dict[str, Spec]:
    return {name.replace("_", "-"): Spec(name.replace("_", "-"), url) for name, url in urls.items()}


def test_a_new_workload() -> None:
    """With its keys, and the entries of clients."""

    there = Pointing(BY_NAME["cursor"], Path("/c"), "gh", {"url": GITHUB.client_url})
    assert Plan(
        "ToolHive",
        "toolhive",
        "github",
        name="github",
        url=URL,
        client_url="http://127.0.0.1:21000/mcp",
        keys={"url": URL, "scopes": ["a"]},
        runs=True,
        clients=(there,),
    ) == plan(SOURCE, {}, [there])


@pytest.mark.parametrize(
    ("theirs", "configured", "wanted", "name"),
    [
        ("GitHub.Work", {}, "", "github-work"),
        ("github", {"github": "https://other.example/mcp"}, "", "github-2"),
        ("github", {}, "mine", "mine"),
        ("...", {}, "", "workload"),
    ],
)
def test_its_name_here(theirs: str, configured: dict[str, str], wanted: str, name: str) -> None:
    source = replace(SOURCE, workload=replace(GITHUB, name=theirs), entry=ImportableEntry(theirs, {"url": URL}))
    made = plan(source, here(**configured), name=wanted)
    assert (name, None, "") == (made.name, made.configured_as, made.problem)


def test_an_address_that_is_here_already() -> None:
    """It is only stopped there, whatever its name; its notes don't matter then."""

    source = replace(SOURCE, entry=ImportableEntry("github", {"url": URL}, notes=("Store NAME.",), needs_secret=True))
    made = plan(source, here(hub=f"{URL}/"))
    assert ("hub", "hub", (), False, "") == (made.name, made.configured_as, made.notes, made.needs_secret, made.problem)
    assert "hub" == plan(source, here(hub=URL), name="hub").configured_as
    made = plan(source, here(hub=URL), name="github")
    assert "Its URL is already configured as hub. Leave out the name, or rename that workload first." == made.problem


def test_two_accounts_at_its_address() -> None:
    """The person says which; the one of its name needs no word."""

    two = here(work=URL, home=URL)
    assert (
        "home and work have the same URL. Choose which one to use: amberlight take-over toolhive/github --name home"
        == plan(SOURCE, two).problem
    )
    three = here(work=URL, home=URL, lab=URL)
    assert plan(SOURCE, three).problem.startswith("home, lab and work have the same URL. ")
    assert ("work", "") == ((made := plan(SOURCE, two, name="work")).configured_as, made.problem)
    assert "github" == plan(SOURCE, here(github=URL, home=URL)).configured_as


def taken(theirs: str = "github", url: str = URL) -> TakenOver:
    return TakenOver("toolhive", theirs, url, GITHUB.client_url, added=True, ran=True)


def test_one_that_was_taken_over_before() -> None:
    """It is still that one, also if its address was corrected since."""

    corrected = here(hub="https://github.example/v2/mcp")
    assert "hub" == plan(SOURCE, corrected, records={"hub": taken()}).configured_as
    assert "hub" == plan(SOURCE, here(hub=URL, home=URL), records={"hub": taken()}).configured_as
    assert plan(SOURCE, {}, records={"gone": taken()}).configured_as is None


@pytest.mark.parametrize(
    ("theirs", "recorded", "ours"),
    [
        (URL, URL, "https://other.example/mcp"),  # removed here, and the name used again
        (URL, "https://other.example/mcp", "https://other.example/mcp"),  # the same there
        ("https://github.example/b", "https://github.example/a", "https://github.example/a"),
        (URL, "http://[", "http://other.example"),
    ],
)
def test_what_has_only_the_name_of_one_that_was_taken_over(theirs: str, recorded: str, ours: str) -> None:
    """Clients aren't sent to another server."""

    source = replace(SOURCE, workload=replace(GITHUB, url=theirs), entry=ImportableEntry("github", {"url": theirs}))
    made = plan(source, here(github=ours), records={"github": taken(url=recorded)})
    assert ("github-2", None, "") == (made.name, made.configured_as, made.problem)


def test_another_account_that_was_taken_over() -> None:
    """It keeps its own login and its own way back."""

    made = plan(SOURCE, here(work=URL), records={"work": taken("work")})
    assert ("github", None, "") == (made.name, made.configured_as, made.problem)
    assert "A workload named work already" in plan(SOURCE, here(work=URL), [], "work", {"work": taken("work")}).problem
    made = plan(SOURCE, here(github=URL), records={"github": taken("work")})
    assert ("github-2", None, "") == (made.name, made.configured_as, made.problem)
    assert "home" == plan(SOURCE, here(work=URL, home=URL), records={"work": taken("work")}).configured_as


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("GitHub", "Use up to 63 lowercase letters, numbers, - and _, starting with a letter or number."),
        ("taken", "A workload named taken already exists. Choose another name."),
    ],
)
def test_a_name_that_it_cannot_have(wanted: str, problem: str) -> None:
    made = plan(SOURCE, here(taken="https://other.example/mcp"), name=wanted)
    assert problem == made.problem


def test_notes_name_it() -> None:
    source = replace(
        SOURCE, entry=ImportableEntry("github", {"url": URL}, notes=("Run `secret set NAME`.",), needs_secret=True)
    )
    made = plan(source, {}, name="hub")
    assert (("Run `secret set hub`.",), True) == (made.notes, made.needs_secret)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        (
            replace(SOURCE, entry=SkippedEntry("github", "it uses a fixed token, so there's no login to keep")),
            "Amberlight can't keep github signed in: it uses a fixed token, so there's no login to keep.",
        ),
        (
            replace(SOURCE, entry=ImportableEntry("github", {"url": "http://localhost:8765/k/KEY/mcp"})),
            "github already gets its token from Amberlight, so there's nothing to take over.",
        ),
        (
            replace(SOURCE, entry=ImportableEntry("github", {"url": "http://127.0.0.1:8765/w/github"})),
            "github already gets its token from Amberlight, so there's nothing to take over.",
        ),
        (
            replace(SOURCE, actions=()),
            "ToolHive can't stop github right now. Start ToolHive, then try again.",
        ),
    ],
)
def test_what_cannot_be_taken_over(source: Source, problem: str) -> None:
    assert problem == plan(source, {}).problem


def test_one_that_is_stopped_needs_no_help() -> None:
    """Its owner need not run."""

    made = plan(replace(SOURCE, actions=(), workload=replace(GITHUB, word="stopped")), {})
    assert (False, "") == (made.runs, made.problem)
