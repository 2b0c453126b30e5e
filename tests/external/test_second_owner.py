"""A second program beside ToolHive, through the whole app: its rows, events, actions and errors, over API and commands.

No second real program could be run, so this one is a fake that keeps a real file and has its own words (`file_owner.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.test_runtime import Program
from tests.external.fake_owner import FakeOwner, workload
from tests.external.file_owner import FileOwner
from trayapp.cli import main
from trayapp.cli.client import ApiError
from trayapp.config.paths import Paths
from trayapp.core.advice import advice
from trayapp.core.owners import TITLES
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Status, WorkloadView

pytestmark = pytest.mark.linux("a change of the file is reported there, and looked for once a minute elsewhere")

BOTH = (Verb.RESTART, Verb.TAKE_OVER)
ONE = {"url": "https://one.example/mcp", "word": "running"}
OURS = '[workloads.one]\nurl = "http://127.0.0.1:9/mcp"\nflow = "browser"\n'
EXTERNAL = "/api/v1beta/external"

Start = Callable[..., tuple[Program, FileOwner]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the app beside ToolHive, which has `one`, and the second program, whose servers are given."""
    begun: list[tuple[Program, FileOwner]] = []

    def _start(*actions: Verb, **servers: dict[str, str]) -> tuple[Program, FileOwner]:
        owner = FileOwner(tmp_path / "gateway", actions)
        if servers:
            owner.writes(servers)
        program = Program(tmp_path / "app", owners=(FakeOwner([workload("one")]), owner))
        program.write("[settings]\nport = 0\n" + OURS)
        program.__enter__()
        begun.append((program, owner))
        program.until(lambda: {"toolhive/one", *map(named, servers)} == program.last.external.keys(), "the rows")
        return program, owner

    yield _start
    for program, owner in begun:
        program.__exit__(None, None, None)
        assert [] == owner.mistakes
        assert 0 == program.code


def named(name: str) -> str:
    return f"gateway/{name}"


def view(program: Program, name: str) -> WorkloadView | None:
    return program.last.external.get(named(name))


def word(program: Program, name: str) -> str:
    found = view(program, name)
    return found.external.word if found and found.external else ""


def get(program: Program, path: str = "") -> Any:
    return program.client.request("GET", f"{EXTERNAL}{path}")


# --- rows ------------------------------------------------------------------------------------------------------------


def test_a_name_that_three_have(start: Start) -> None:
    """Ours, ToolHive's and the second program's `one` are three workloads, each with its own state and address."""

    program, _ = start(*BOTH, one={**ONE, "word": "unauthenticated", "why": "invalid_grant"})

    assert ["one"] == [row["name"] for row in program.client.workloads()]
    rows = {row["name"]: row for row in get(program)["workloads"]}
    assert ["gateway/one", "toolhive/one"] == sorted(rows)
    assert [("Example Gateway", "unauthenticated"), ("ToolHive", "running")] == [
        (rows[name]["owner"], rows[name]["status"]) for name in sorted(rows)
    ]
    assert "https://one.example/mcp" == get(program, "/gateway/one")["url"] == get(program, "/toolhive/one")["url"]
    assert "http://127.0.0.1:9/mcp" == program.client.status("one")["url"]


def test_words_of_its_own_are_shown_as_they_are(start: Start) -> None:
    """A word that no status means is grey, and advises nothing."""

    program, _ = start(*BOTH, one={**ONE, "word": "not authorized"}, two={**ONE, "word": "authorized"})

    assert ["not authorized", "authorized"] == [word(program, name) for name in ("one", "two")]
    assert [Status.UNKNOWN] * 2 == [found.status for name in ("one", "two") if (found := view(program, name))]
    assert "not authorized" == get(program, "/gateway/one")["status"]
    row = next(each for each in get(program)["workloads"] if each["name"] == "gateway/one")
    assert ("not authorized", "grey", "") == (row["label"], row["colour"], row["help"])


def test_it_appears_with_its_first_file(start: Start) -> None:
    """Nothing of it was there at the start, not even its directory; its last workload leaves without a trace."""

    program, owner = start(*BOTH)
    assert not owner.directory.exists()
    owner.writes({"one": ONE})
    program.until(lambda: word(program, "one") == "running", "the first row")
    owner.writes({})
    program.until(lambda: view(program, "one") is None, "the row to go")
    assert ["toolhive/one"] == list(program.last.external)


# --- events ----------------------------------------------------------------------------------------------------------


def test_its_changes_are_events(start: Start) -> None:
    """`reset` has its rows, `workload` each change of one, `removed` its name."""

    program, owner = start(*BOTH, one=ONE)
    told: list[tuple[str, Any]] = []

    def listen() -> None:
        for kind, data in program.client.changes(limit=20.0):
            told.append((kind, data))
            if (kind, data.get("name")) == ("removed", "gateway/one"):
                return

    listener = threading.Thread(target=listen)
    listener.start()
    program.until(lambda: told, "the first event")
    kind, data = told[0]
    assert ("reset", ["gateway/one", "one", "toolhive/one"]) == (kind, sorted(row["name"] for row in data["workloads"]))
    owner.writes({"one": {**ONE, "word": "auth_retrying", "why": "dial tcp: connection refused"}})
    changed = "workload", "gateway/one", "auth_retrying"
    program.until(lambda: changed in [(kind, row.get("name"), row.get("status")) for kind, row in told], "the change")
    owner.writes({})
    listener.join(10.0)
    assert not listener.is_alive()


# --- actions ---------------------------------------------------------------------------------------------------------

RED = {**ONE, "word": "unauthenticated", "why": "invalid_grant"}


@pytest.mark.parametrize(
    ("actions", "helps"),
    [
        (BOTH, ("restart", "Restart it in Example Gateway, or take it over so that Amberlight keeps it signed in.")),
        ((Verb.RESTART,), ("restart", "Restart it in Example Gateway.")),
        ((Verb.TAKE_OVER,), ("take_over", "Take it over so that Amberlight keeps it signed in.")),
        ((), ("", "Example Gateway keeps it signed in. Check it there.")),
    ],
)
def test_only_what_it_offers_is_advised_and_done(
    actions: tuple[Verb, ...], helps: tuple[str, str], start: Start
) -> None:
    """The row says what there is; a restart that isn't offered is refused before the program is asked."""

    program, owner = start(*actions, one=RED)
    found = view(program, "one")
    assert found is not None
    assert helps == advice(found)
    assert [verb.value for verb in actions] == get(program, "/gateway/one")["external"]["actions"]

    if Verb.RESTART in actions:
        program.client.request("POST", f"{EXTERNAL}/gateway/one/restart")
        program.until(lambda: word(program, "one") == "running", "the restart")
        assert ["restart one"] == owner.asked
        return
    with pytest.raises(ApiError, match="Example Gateway can't restart it right now") as refused:
        program.client.request("POST", f"{EXTERNAL}/gateway/one/restart")
    assert (409, []) == (refused.value.status, owner.asked)


def test_a_click_reaches_the_program_that_has_it(start: Start) -> None:
    """Not the other one, which has a workload of the same name."""

    program, owner = start(*BOTH, one=RED)
    program.act(Verb.RESTART, "gateway/one")
    program.until(lambda: word(program, "one") == "running", "the restart")
    assert ["restart one"] == owner.asked


def test_a_restart_that_fails_says_why(start: Start) -> None:
    """In the program's sentence; its row stays as it was."""

    program, _ = start(*BOTH, one={**RED, "why": "no restart"})
    with pytest.raises(ApiError, match=r"Example Gateway couldn't restart it\. Check it there\.") as refused:
        program.client.request("POST", f"{EXTERNAL}/gateway/one/restart")
    assert 409 == refused.value.status
    assert "unauthenticated" == word(program, "one")


# --- taking over -----------------------------------------------------------------------------------------------------


def test_a_name_that_is_ours_is_another_one_here(start: Start) -> None:
    """The plan says which, and nobody was asked to do anything."""

    program, owner = start(*BOTH, one=ONE)
    plan = get(program, "/gateway/one/take-over")
    assert ("Example Gateway", "https://one.example/mcp", None) == (plan["owner"], plan["url"], plan["problem"])
    assert plan["name"] not in ("", "one")
    assert [] == owner.asked


def test_it_is_taken_over_and_given_back(start: Start) -> None:
    """The program stops it, and its row leaves the tray; it runs it again once it is given back."""

    program, owner = start(*BOTH, two={**ONE, "url": "http://127.0.0.1:9/mcp"})
    taken = program.client.request("POST", f"{EXTERNAL}/gateway/two/take-over", {"sign_in": False})
    assert ("one", ["stop two"]) == (taken["name"], owner.asked)
    program.until(lambda: word(program, "two") == "stopped", "the stop")
    assert "gateway/two" not in [row["name"] for row in get(program)["workloads"]]

    program.client.request("POST", "/api/v1beta/workloads/one/give-back", {})
    program.until(lambda: word(program, "two") == "running", "its return")
    assert ["stop two", "restart two"] == owner.asked
    assert ["one"] == [row["name"] for row in program.client.workloads()]


def test_what_cannot_be_stopped_is_not_taken_over(start: Start) -> None:
    """A program that only restarts keeps it; nothing was asked and nothing added."""

    program, owner = start(Verb.RESTART, one=ONE)
    with pytest.raises(ApiError, match="Example Gateway can't stop one right now") as refused:
        program.client.request("POST", f"{EXTERNAL}/gateway/one/take-over", {"sign_in": False})
    assert (409, []) == (refused.value.status, owner.asked)
    assert ["one"] == [row["name"] for row in program.client.workloads()]


# --- commands --------------------------------------------------------------------------------------------------------


def test_commands_know_it(start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`list`, `status` and `restart` need nothing about it but its title; those that are for ours say what to do instead."""

    program, owner = start(*BOTH, one=RED)
    monkeypatch.setitem(TITLES, owner.id, owner.title)
    monkeypatch.setattr(Paths, "default", classmethod(lambda cls: program.paths))

    assert 0 == main(["list"])
    listed = capsys.readouterr().out
    assert ["gateway/one", "one", "toolhive/one"] == sorted(line.split()[0] for line in listed.splitlines()[1:])
    assert 4 == main(["status", "gateway/one"])
    shown = capsys.readouterr().out
    assert "Owner:        Example Gateway" in shown
    assert "1970" not in shown
    assert 2 == main(["retry", "gateway/one"])
    assert "Example Gateway keeps gateway/one signed in." in capsys.readouterr().err
    assert 0 == main(["restart", "gateway/one"])
    assert "Example Gateway is restarting gateway/one." in capsys.readouterr().out
    program.until(lambda: word(program, "one") == "running", "the restart")
    assert ["restart one"] == owner.asked


# --- errors ----------------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read(start: Start) -> None:
    """What it had stays for the moment, with a sentence; ToolHive's rows are no matter of it. Repaired, it is read."""

    program, owner = start(*BOTH, one=ONE)
    owner.writes_text("{")
    program.until(lambda: get(program)["problems"], "the sentence")
    assert ["Example Gateway's file isn't JSON. Check it there."] == get(program)["problems"]
    assert {"gateway/one", "toolhive/one"} == program.last.external.keys()
    owner.writes({"two": ONE})
    program.until(lambda: program.last.external.keys() == {"gateway/two", "toolhive/one"}, "the new rows")
    assert [] == get(program)["problems"]


def test_a_mistake_of_the_implementation_tells_nothing_of_the_file(start: Start) -> None:
    """A field that is missing ends neither the watch nor the app, and no text of the file is in the sentence."""

    program, owner = start(*BOTH, one=ONE)
    owner.writes({"canary": {"url": "https://canary.example"}})
    program.until(lambda: get(program)["problems"], "the sentence")
    (sentence,) = get(program)["problems"]
    assert "Can't read Example Gateway's workloads" in sentence
    assert "canary" not in sentence
    owner.writes({"one": ONE})
    program.until(lambda: not get(program)["problems"], "the repair")
