"""`amberlight list --watch`: drawn again with each change; in a pipe, only what changed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp, row
from tests.cli.test_output import Terminal
from trayapp.cli import main, watching
from trayapp.cli.client import ApiClient, NotRunningError
from trayapp.cli.watching import AWAY, BEGIN, END, View, observed
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
ALL = "GET /workloads?all=true"


@pytest.fixture
def views(app: FakeApp, monkeypatch: pytest.MonkeyPatch) -> list[View | None]:
    """What is seen, one after the other; then Ctrl-C."""
    app.replies[ALL] = 200, {"workloads": []}
    seen: list[View | None] = []

    def then_ctrl_c(_: object) -> Iterator[View | None]:
        yield from seen
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "observed", then_ctrl_c)
    return seen


def test_changes_in_a_pipe(views: list[Any], capsys: Capture) -> None:
    """Each workload at first, then a line for each change; a list that is the same is silent."""

    good, bad = row("notes"), row("notes", "auth_retrying", "retrying", next_attempt_at="2000-01-01T00:00:00Z")
    changes = [[good, row("wiki", "stopped", "paused")], [good], None, [bad], [bad], [good]]
    views += [None if rows is None else View(rows, ("Port 8765 is in use.",)) for rows in changes]

    assert 130 == main(["list", "--watch"])
    told = capsys.readouterr()
    assert f"amberlight: Port 8765 is in use.\namberlight: {AWAY}\n" == told.err
    lines = told.out.splitlines()
    assert ["notes: Connected", "notes: Reconnecting (next attempt now)", "notes: Connected"] == [
        each[18:] for each in lines
    ]

    assert 130 == main(["list", "--watch", "--all", "--format", "json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [good, row("wiki", "stopped", "paused"), bad, good] == rows


def test_a_pipe_is_told_of_a_pause_and_of_an_app_that_went_away(views: list[Any], capsys: Capture) -> None:
    """Also without `--all`; what was paused from the start isn't listed. Once the app is back, all is told again."""

    good, paused, other = row("notes"), row("notes", "stopped", "paused"), row("wiki", "stopped", "paused")
    views += [View([good, other]), View([paused, other]), View([paused, other]), None, None, View([good, other])]

    assert 130 == main(["list", "--watch"])
    told = capsys.readouterr()
    assert ["notes: Connected", "notes: Paused", "notes: Connected"] == [each[18:] for each in told.out.splitlines()]
    assert f"amberlight: {AWAY}\n" == told.err

    del views[1:3]
    assert 130 == main(["list", "--watch"])
    told = capsys.readouterr()
    assert ["notes: Connected", "notes: Connected"] == [each[18:] for each in told.out.splitlines()]

    assert 130 == main(["list", "--watch", "--format", "json"])
    told = capsys.readouterr()
    assert [good] == [json.loads(line) for line in told.out.splitlines()]
    assert f"amberlight: {AWAY}\n" == told.err


def test_on_a_terminal(views: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole list each time, on a screen of its own, which is left again; no more lines than fit."""

    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "12")
    monkeypatch.setattr("sys.stdout", terminal := Terminal())
    views += [View([row(f"w{number}") for number in range(30)]), None, View([], ("config.toml:3: no.",))]

    assert 130 == main(["list", "--watch"])
    text = terminal.getvalue()
    assert text.startswith(BEGIN)
    assert text.endswith(f"{END}\n")
    assert "w7" in text
    assert "w9" not in text
    assert "… 22 more lines" in text
    assert AWAY in text
    assert "config.toml:3: no.\n\nPress Ctrl-C to stop." in text
    assert all(len(screen.splitlines()) < 13 for screen in text.split(watching.CLEAR))


def test_without_an_app(paths: Paths, capsys: Capture) -> None:
    assert 3 == main(["list", "--watch"])
    assert "Start it: amberlight run" in capsys.readouterr().err


EVENTS = b"""retry: 2000

id: a-1
event: reset
data: {"workloads": [
data: {"name": "b", "status": "running"}
data: ,{"name": "a", "status": "running"}
data: ]}

event: app
data: {"version": "0.1.0", "outage": {"text": "No port.", "command_help": "Run that."}}

event: workload
data: {"name": "b", "status": "stopped"}

event: removed
data: {"name": "a"}

: all is as it was

"""


def test_what_is_observed(paths: Paths, app: FakeApp) -> None:
    """The rows after each change and each sign of life; nothing while the app is away, and the rows when it is back."""

    app.replies["GET /events"] = 200, EVENTS
    slept: list[float] = []

    def connect() -> ApiClient:
        if len(slept) == 1:
            raise NotRunningError("")
        return ApiClient.of(paths)

    seen = list(itertools.islice(observed(connect, slept.append), 8))
    assert [
        {"a": "running", "b": "running"},
        {"a": "running", "b": "running"},
        {"a": "running", "b": "stopped"},
        {"b": "stopped"},
        {"b": "stopped"},
        None,
        None,
        {"a": "running", "b": "running"},
    ] == [None if view is None else {each["name"]: each["status"] for each in view.rows} for view in seen]
    wrong = ("No port. Run that.",)
    assert [(), wrong, wrong, wrong, wrong, None, None, ()] == [
        None if view is None else view.problems for view in seen
    ]
    assert [watching.RECONNECT_EVERY] * 2 == slept


@pytest.mark.parametrize(
    "events",
    [
        b"event: workload\ndata: [1]\n\n",
        b"event: workload\ndata: {}\n\n",
        b"event: reset\ndata: {\n\n",
        b'event: reset\ndata: {"workloads": [1]}\n\n',
        b"event: reset\ndata: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_another_program_answers(paths: Paths, app: FakeApp, events: bytes) -> None:
    """Which is no app, so it is away."""

    app.replies["GET /events"] = 200, events

    assert [None] == list(itertools.islice(observed(lambda: ApiClient.of(paths), lambda _: None), 1))


def test_an_app_that_refuses_is_away(paths: Paths, app: FakeApp) -> None:
    app.replies["GET /events"] = 503, {"error": "busy", "message": "At most 32."}

    assert [None] == list(itertools.islice(observed(lambda: ApiClient.of(paths), lambda _: None), 1))
