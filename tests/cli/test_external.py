"""Workloads of other programs on the command line: shown beside ours, restarted, and refused by every other command."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.scripted_control import other
from tests.cli.fake_app import FakeApp, row
from trayapp.cli import main, watching
from trayapp.cli.client import ApiClient
from trayapp.cli.completion import external_names, listed_names
from trayapp.cli.grammar import parser
from trayapp.cli.listing import exit_code
from trayapp.cli.output import Style
from trayapp.cli.watching import View, observed
from trayapp.cli.workload_text import row_style, table
from trayapp.config.paths import Paths
from trayapp.core.presentation import Colour
from trayapp.core.public import list_row_json, status_json

Capture = pytest.CaptureFixture[str]
ALL, APP, EXTERNAL = "GET /workloads?all=true", "GET /status", "GET /external?all=true"
ONE = "/external/toolhive/GitHub.v2"


def its_row(name: str = "GitHub.v2", word: str = "running", context: str = "", doing: str = "") -> dict[str, Any]:
    """A row of a workload of ToolHive's, as the app sends it."""
    return list_row_json(other(name, word, context, doing), port=1, created_at=0.0, started_at=0.0)


def its_status(word: str = "running", context: str = "", doing: str = "") -> dict[str, Any]:
    return status_json(other("GitHub.v2", word, context, doing)) | {"sources": ["polling"]}


ROWS = [
    its_row(),
    its_row("github", "auth_retrying", "Post https://as.example/token: dial tcp: lookup as.example: no such host"),
    its_row("new", "hibernating", "It sleeps."),
    its_row("old", "stopped"),
]


@pytest.fixture
def app(app: FakeApp) -> FakeApp:
    """Has one workload of its own and four of ToolHive's."""
    app.replies |= {
        ALL: (200, {"workloads": [row("github")]}),
        EXTERNAL: (200, {"workloads": ROWS, "problems": []}),
        APP: (200, {}),
        f"GET {ONE}": (200, its_status()),
    }
    return app


def lines(capsys: Capture) -> list[str]:
    return capsys.readouterr().out.splitlines()


# --- list, status, history -------------------------------------------------------------------------------------------


def test_list_shows_both(app: FakeApp, capsys: Capture) -> None:
    """Ours first; its names say whose they are, unknown words are shown as they are, and stopped ones are counted."""

    assert 0 == main(["list"])
    head, ours, *rest = lines(capsys)
    assert ["NAME", "STATE", "HOST", "FOR", "DETAIL"] == head.split()
    assert ["github", "Connected", "github.example.com"] == ours.split()[:3]
    assert ["toolhive/GitHub.v2", "Connected", "GitHub.v2.example".lower()] == rest[0].split()[:3]
    assert ["toolhive/github", "Reconnecting"] == rest[1].split()[:2]
    assert "no such host" in rest[1]
    assert ["toolhive/new", "hibernating"] == rest[2].split()[:2]
    assert "Not shown: 1 stopped. See: amberlight list --all" == rest[3]
    assert 0 == main(["list", "--all"])
    assert "toolhive/old        Stopped" in lines(capsys)[-1]


def test_list_as_json_is_one_array(app: FakeApp, capsys: Capture) -> None:
    """The rows of both, as the API has them."""

    assert 0 == main(["list", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert ["github", "toolhive/GitHub.v2", "toolhive/github", "toolhive/new"] == [each["name"] for each in found]
    assert ["running", "running", "auth_retrying", "hibernating"] == [each["status"] for each in found]


def test_both_kinds_that_are_not_shown_are_counted(app: FakeApp, capsys: Capture) -> None:
    """Each by its word."""

    app.replies[ALL] = 200, {"workloads": [row("a", "stopped", "paused"), row("b", "stopped", "paused")]}
    assert 0 == main(["list"])
    assert "Not shown: 2 paused, 1 stopped. See: amberlight list --all" == lines(capsys)[-1]


def test_what_could_not_be_read_is_an_error_line(app: FakeApp, capsys: Capture) -> None:
    """The rest is shown, and the code is that of the rest."""

    app.replies[EXTERNAL] = 200, {"workloads": [], "problems": ["ToolHive's API\nisn't responding."]}
    for command in ("list", "status"):
        assert 0 == main([command])
        assert "amberlight: ToolHive's API isn't responding.\n" == capsys.readouterr().err


@pytest.mark.parametrize("command", [["list"], ["list", "--all"], ["status"]])
def test_an_app_of_an_earlier_version_has_none(app: FakeApp, capsys: Capture, command: list[str]) -> None:
    """Whatever its 404 looks like."""

    shown = []
    replies: list[Any] = [(404, {"error": "not_found", "message": "Nothing is here."}), (404, b"<html>"), (404, None)]
    for reply in replies:
        app.replies[EXTERNAL] = reply
        assert 0 == main(command)
        said = capsys.readouterr()
        assert "" == said.err
        assert "toolhive" not in said.out
        shown.append(said.out)
    assert 1 == len(set(shown))


def test_an_unexpected_answer_is_said(app: FakeApp, capsys: Capture) -> None:
    """Not a traceback."""

    app.replies[EXTERNAL] = 200, {"workloads": "none"}
    assert 1 == main(["list"])
    assert "isn't Amberlight" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("running", 0),
        ("auth_retrying", 5),
        ("starting", 5),
        ("unauthenticated", 4),
        ("error", 1),
        ("unhealthy", 1),
        ("stopped", 0),
        ("stopping", 0),
        ("hibernating", 0),
    ],
)
def test_its_state_has_the_code_of_ours(app: FakeApp, capsys: Capture, word: str, code: int) -> None:
    """A word that nobody knows is no failure; overall, what is stopped doesn't count."""

    app.replies |= {f"GET {ONE}": (200, its_status(word)), EXTERNAL: (200, {"workloads": [its_row(word=word)]})}
    assert code == main(["status", "toolhive/GitHub.v2"])
    assert code == main(["status"])
    gone = word in ("stopped", "stopping")
    assert ("toolhive/GitHub.v2" in capsys.readouterr().out.partition("connected")[2]) is (code != 0 and not gone)


def test_status_counts_both(app: FakeApp, capsys: Capture) -> None:
    """A red workload of another program needs attention like one of ours."""

    app.replies[EXTERNAL] = 200, {"workloads": [its_row(word="unauthenticated"), its_row("old", "stopped")]}
    assert 4 == main(["status"])
    first, second, *_ = lines(capsys)
    assert ("1 workload needs attention.", "1 connected, 1 sign-in needed") == (first, second)
    assert 4 == main(["status", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert {"running": 1, "unauthenticated": 1} == found["counts"]
    assert ["github", "toolhive/GitHub.v2"] == [each["name"] for each in found["workloads"]]


def test_status_of_one(app: FakeApp, capsys: Capture) -> None:
    """Whose it is, where it is served, what it says, and the commands that help; no fields that nobody knows."""

    app.replies[f"GET {ONE}"] = 200, its_status("unauthenticated", "context deadline exceeded")
    assert 4 == main(["status", "toolhive/GitHub.v2", "--verbose"])
    found = dict(line.split(":", 1) for line in lines(capsys))
    values = {name: text.strip() for name, text in found.items()}
    assert "toolhive/GitHub.v2" == values["Name"]
    assert "Sign-in needed" == values["State"]
    assert ("ToolHive", "http://127.0.0.1:21000/mcp") == (values["Owner"], values["Served at"])
    assert "context deadline exceeded" == values["Details"]
    assert "amberlight restart toolhive/GitHub.v2, or amberlight take-over toolhive/GitHub.v2" == values["To do"]
    assert ("unauthenticated", "unauthenticated") == (values["Status"], values["Health"])
    assert not {"Signing in", "Lost rotations", "Failed attempts"} & found.keys()


def test_status_of_one_that_is_being_restarted(app: FakeApp, capsys: Capture) -> None:
    """It says so once, and names no command."""

    app.replies[f"GET {ONE}"] = 200, its_status("unauthenticated", "refused", "ToolHive is restarting it.")
    assert 4 == main(["status", "toolhive/GitHub.v2"])
    out = capsys.readouterr().out
    assert 1 == out.count("ToolHive is restarting it.")
    assert "amberlight restart" not in out


def test_no_line_is_wider_than_the_terminal() -> None:
    """With long names and texts, down to 30 columns; full text is in `status`."""

    rows = [row(), its_row("a" * 128, "auth_retrying", "x" * 300), its_row("é" * 20, "hibernating" * 9, "wörter " * 80)]
    for columns in range(30, 200, 7):
        shown = table(rows, Style(glyphs=True, width=columns), time.time()).splitlines()
        assert columns >= max(map(len, shown))
    assert 100 >= max(len(part) for line in table(rows, Style(), 0.0).splitlines() for part in line.split("  ")[-1:])


@pytest.mark.parametrize(
    ("word", "colour"),
    [
        ("running", Colour.GREEN),
        ("auth_retrying", Colour.AMBER),
        ("unauthenticated", Colour.RED),
        ("stopped", Colour.GREY),
        ("hibernating", Colour.GREY),
    ],
)
def test_it_is_drawn_as_in_the_tray(word: str, colour: Colour) -> None:
    """The colour of the row is the app's."""

    found = its_row(word=word)
    assert (colour, colour.name.lower()) == (row_style(found, 0.0).colour, found["colour"])


def test_a_token_that_nobody_sees_is_no_outage() -> None:
    """Of another program's token no life is known; `running` is enough."""

    assert 0 == exit_code(its_row())


def test_history_of_one(app: FakeApp, capsys: Capture, utc: None) -> None:
    """In the labels of its rows, with what was done to it."""

    def segment(at: str, status: str, text: str, detail: str = "ok", colour: str = "green") -> dict[str, Any]:
        return {"at": at, "status": status, "colour": colour, "glyph": "tick", "detail": detail, "text": text}

    rows = [
        segment("2026-01-02T03:00:00.000Z", "running", "Running."),
        segment("2026-01-02T04:00:00.000Z", "auth_retrying", "no such host", "retrying", "amber"),
        segment("2026-01-02T05:00:00.000Z", "unknown", "The computer was asleep.", "asleep", "grey"),
        segment("2026-01-02T06:00:00.000Z", "auth_retrying", "Restarting it because the network is back.", "retrying"),
        segment("2026-01-02T06:00:02.000Z", "error", "exit status 1"),
        segment("2026-01-02T07:00:00.000Z", "hibernating", "hibernating"),
    ]
    app.replies |= {
        f"GET {ONE}/history?since={since}&limit=5000": (200, {"workload": "toolhive/GitHub.v2", "rows": rows})
        for since in ("2026-01-01T00%3A00%3A00.000Z",)
    }
    assert 0 == main(["history", "toolhive/GitHub.v2", "--since", "2026-01-01T00:00"])
    shown = [line[len("2026-01-02 03:00") :].split("  ") for line in lines(capsys)]
    found = [[part.strip() for part in line if part.strip()] for line in shown]
    assert ["Connected", "Reconnecting", "Asleep", "Reconnecting", "Error", "hibernating"] == [
        each[0] for each in found
    ]
    assert [[], ["no such host"]] == [found[0][2:], found[1][2:]]
    assert [["Restarting it because the network is back."], ["exit status 1"], []] == [each[2:] for each in found[3:]]


def test_wait_for_one(app: FakeApp, capsys: Capture) -> None:
    """By the labels that `list` shows."""

    app.replies[f"GET {ONE}"] = [(200, its_status("auth_retrying")), (200, its_status())]
    assert 0 == main(["wait", "toolhive/GitHub.v2", "--for", "connected", "--timeout", "10"])
    assert ["toolhive/GitHub.v2: Connected."] == lines(capsys)


def test_watching_shows_both(app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each that changes, also for what is done to it; one that is stopped appears once it runs."""

    amber = its_row(word="auth_retrying", context="EOF")
    restarting = its_row(word="auth_retrying", context="EOF", doing="ToolHive is restarting it.")
    seen = [[row("github"), amber, its_row("old", "stopped")], [restarting], [its_row(), its_row("old")]]

    def then_ctrl_c(_: object) -> Iterator[View]:
        yield from map(View, seen)
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "observed", then_ctrl_c)
    assert 130 == main(["list", "--watch"])
    assert [
        "github: Connected",
        "toolhive/GitHub.v2: Reconnecting (EOF)",
        "toolhive/GitHub.v2: Reconnecting (ToolHive is restarting it.)",
        "toolhive/GitHub.v2: Connected",
        "toolhive/old: Connected",
    ] == [each[18:] for each in lines(capsys)]


def test_ours_are_watched_before_the_others(app: FakeApp) -> None:
    """As `list` has them."""

    rows = [its_row("a"), row("zed"), row("web")]
    app.replies["GET /events"] = 200, f"event: reset\ndata: {json.dumps({'workloads': rows})}\n\n".encode()
    view = next(observed(lambda: ApiClient.of(Paths.default()), lambda seconds: None))
    assert view is not None
    assert ["web", "zed", "toolhive/a"] == [each["name"] for each in view.rows]


# --- restart ---------------------------------------------------------------------------------------------------------


def test_restart(app: FakeApp, capsys: Capture) -> None:
    """One line that names the program and what to look at; for scripts, what has changed."""

    app.replies[f"POST {ONE}/restart"] = 202, None
    said = "ToolHive is restarting toolhive/GitHub.v2. See: amberlight status toolhive/GitHub.v2"
    assert 0 == main(["restart", "toolhive/GitHub.v2"])
    assert [said] == lines(capsys)
    assert 0 == main(["restart", "toolhive/GitHub.v2", "--format", "json"])
    assert {"message": said, "changed": ["toolhive/GitHub.v2"]} == json.loads(capsys.readouterr().out)


def test_a_restart_that_fails(app: FakeApp, capsys: Capture) -> None:
    """The app's sentence."""

    app.replies[f"POST {ONE}/restart"] = 409, {"error": "external", "message": "ToolHive isn't responding."}
    assert 1 == main(["restart", "toolhive/GitHub.v2"])
    assert "amberlight: ToolHive isn't responding.\n" == capsys.readouterr().err


def test_a_restart_of_ours_names_the_right_commands(app: FakeApp, capsys: Capture) -> None:
    """Ours is refreshed, or paused and resumed; nothing is sent."""

    app.replies["GET /workloads/github/status"] = 200, row("github")
    assert 1 == main(["restart", "github"])
    err = capsys.readouterr().err
    assert 1 == len(err.splitlines())
    for command in ("amberlight retry github", "amberlight stop github", "amberlight start github"):
        assert command in err
    assert not any(what.startswith("POST") for what, _ in app.requests)


@pytest.mark.parametrize("command", [["restart"], ["status"], ["history"], ["wait"]])
def test_a_name_that_is_not_there(app: FakeApp, capsys: Capture, command: list[str]) -> None:
    """The nearest one is named, also by an app of an earlier version."""

    assert 1 == main([*command, "toolhive/Github.v2"])
    said = "amberlight: there's no workload toolhive/Github.v2. Did you mean toolhive/GitHub.v2?\n"
    assert said == capsys.readouterr().err
    app.replies[EXTERNAL] = 404, None
    app.replies["GET /external/toolhive/Github.v2"] = 404, {"error": "not_found", "message": "Nothing is here."}
    assert 1 == main(["status", "toolhive/Github.v2"])
    assert "there's no workload toolhive/Github.v2" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["restart"], ["take-over"]])
def test_its_name_alone(app: FakeApp, capsys: Capture, command: list[str]) -> None:
    """The whole name is suggested."""

    assert 1 == main([*command, "old"])
    assert "amberlight: there's no workload old. Did you mean toolhive/old?\n" == capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["restart"], ["take-over"]])
def test_one_that_is_not_seen(app: FakeApp, capsys: Capture, command: list[str]) -> None:
    """The app's sentence says why, and what to do."""

    said = "ToolHive's workloads aren't shown because toolhive_watch is off."
    one = "/external/toolhive/GitHub.v2"
    for request in (f"GET {one}", f"GET {one}/take-over"):
        app.replies[request] = 404, {"error": "unseen", "message": said}
    assert 1 == main([*command, "toolhive/GitHub.v2"])
    assert f"amberlight: {said}\n" == capsys.readouterr().err


@pytest.mark.parametrize("name", ["toolhive/", "/github", "toolhive/a/b", "ToolHive/x", "toolhive/..", "toolhive/a b"])
def test_what_is_no_name(app: FakeApp, capsys: Capture, name: str) -> None:
    """Wrong usage, and nothing is asked."""

    for command in ("restart", "status"):
        assert 2 == main([command, name])
        assert "a name like toolhive/github" in capsys.readouterr().err
    assert [] == app.requests


@pytest.mark.parametrize(
    "words",
    [
        "retry",
        "reauthorize",
        "stop",
        "start",
        "token",
        "exec",
        "edit",
        "remove",
        "rename",
        "sign-out",
        "client-config",
        "secret set",
        "connect zed",
        "disconnect zed",
        "client-metadata",
    ],
)
def test_commands_for_ours_say_who_keeps_it(app: FakeApp, capsys: Capture, words: str) -> None:
    """And name the two commands that are for it."""

    more = {"exec": ["--", "true"], "rename": ["new"]}.get(words, [])
    assert 2 == main([*words.split(), "toolhive/github", *more])
    said = capsys.readouterr().err.splitlines()[0]
    assert said.endswith(
        "ToolHive keeps toolhive/github signed in. Restart it: amberlight restart toolhive/github; or take it over: "
        "amberlight take-over toolhive/github"
    )
    assert [] == app.requests


# --- completion ------------------------------------------------------------------------------------------------------


def test_its_names_are_completed(app: FakeApp) -> None:
    """Where they are meant, and only there."""

    assert ["toolhive/GitHub.v2"] == list(external_names("toolhive/G"))
    assert ["toolhive/GitHub.v2", "toolhive/github", "toolhive/new", "toolhive/old"] == list(listed_names("t"))
    app.replies[EXTERNAL] = 500, b"oops"
    assert [] == list(external_names(""))


def test_without_an_app_none_is_completed(paths: object) -> None:
    """And nothing is printed."""

    assert [] == list(external_names(""))


def test_the_help_names_it() -> None:
    """In the group of what is done to workloads."""

    assert "restart" in parser().format_help()
