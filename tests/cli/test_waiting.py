"""`amberlight wait`: returns once the state is there, or when the time is up with the code of the state."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp, Reply, row
from trayapp.cli import main
from trayapp.cli.client import ApiError, NotRunningError
from trayapp.cli.grammar import COLOURS, STATES
from trayapp.cli.waiting import is_in, wait
from trayapp.config.loader import Paths
from trayapp.core.labels import Label
from trayapp.core.presentation import Colour
from trayapp.system.private_files import write_private

Capture = pytest.CaptureFixture[str]
STATUS = "GET /workloads/notes/status"
AMBER, RED = row("notes", "auth_retrying", "retrying"), row("notes", "unauthenticated", "refused")


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


def waited(paths: Paths, state: str, timeout: float, form: str = "text") -> tuple[int, Clock]:
    clock = Clock()
    arguments = argparse.Namespace(name="notes", state=state, timeout=timeout, format=form)
    return wait(arguments, paths, clock, clock.sleep), clock


def test_every_label_and_colour_can_be_waited_for() -> None:
    assert [label.lower().replace(" ", "-") for label in Label] == list(STATES)
    assert [colour.lower() for colour in Colour.__members__] == list(COLOURS)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("connected", row("notes")),
        ("green", row("notes")),
        ("amber", AMBER),
        ("reconnecting", AMBER),
        ("amber", row("notes", "running", "offline", usable=False)),
        ("offline", row("notes", "running", "offline", usable=False)),
        ("red", RED),
        ("sign-in-needed", RED),
        ("blue", row("notes", "unauthenticated", "never_signed_in")),
        ("paused", row("notes", "stopped", "paused")),
    ],
)
def test_a_state_that_is_there(state: str, found: dict[str, Any]) -> None:
    assert is_in(found, state, 0.0)
    assert not is_in(found, "starting", 0.0)


def test_it_returns_once_the_state_is_there(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """And says what it is."""

    app.replies[STATUS] = [(200, AMBER), (200, RED), (200, row("notes"))]

    code, clock = waited(paths, "connected", 60.0)
    assert (0, 2) == (code, clock.slept)
    assert "notes: Connected.\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("found", "code"),
    [(AMBER, 5), (RED, 4), (row("notes", "error", "config_error"), 1), (row("notes", "stopped", "paused"), 1)],
)
def test_when_the_time_is_up(paths: Paths, app: FakeApp, capsys: Capture, found: dict[str, Any], code: int) -> None:
    """The code is that of `status`, and never 0."""

    app.replies[STATUS] = 200, found

    given_up, clock = waited(paths, "connected", 90.0)
    assert (code, 90.0) == (given_up, clock.now)
    assert "notes didn't become “connected” within 90 seconds. Its state: " in capsys.readouterr().err


def test_no_time_at_all_is_one_look(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    app.replies[STATUS] = 200, row("notes")

    assert (1, 0) == ((found := waited(paths, "amber", 0.0))[0], found[1].slept)
    assert (
        "amberlight: notes isn't “amber”. Its state: Connected. See: amberlight status notes\n"
        == capsys.readouterr().err
    )


def test_a_restart_is_waited_for(paths: Paths, app: FakeApp) -> None:
    """The app is gone for a while, and then there again."""

    server_file = paths.server_file.read_text()

    def first(_: object) -> Reply:
        paths.server_file.unlink()
        return 200, AMBER

    class BackSoon(Clock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.slept == 3:
                app.replies[STATUS] = 200, row("notes")
                write_private(paths.server_file, server_file)

    app.replies[STATUS] = first
    clock = BackSoon()
    arguments = argparse.Namespace(name="notes", state="connected", timeout=9.0, format="text")
    assert 0 == wait(arguments, paths, clock, clock.sleep)
    assert 3 == clock.slept


def test_an_app_that_stays_away_is_told(paths: Paths, app: FakeApp) -> None:
    """At the end, and at once where it wasn't there to begin with."""

    def first(_: object) -> Reply:
        paths.server_file.unlink()
        return 200, AMBER

    app.replies[STATUS] = first
    with pytest.raises(NotRunningError):
        waited(paths, "connected", 2.0)
    with pytest.raises(NotRunningError):
        waited(paths, "connected", 2.0)


def test_a_workload_that_is_removed_meanwhile(paths: Paths, app: FakeApp) -> None:
    app.replies[STATUS] = [(200, AMBER), (404, {"error": "unknown_workload", "message": "No."})]

    with pytest.raises(ApiError, match="No"):
        waited(paths, "connected", 2.0)


def test_the_row_as_json(paths: Paths, app: FakeApp, capsys: Capture) -> None:
    """Whether it came to that state or not; the exit code tells."""

    app.replies[STATUS] = 200, AMBER
    assert 0 == main(["wait", "notes", "--for", "Reconnecting", "--format", "json"])
    assert AMBER == json.loads(capsys.readouterr().out)
    assert 5 == main(["wait", "notes", "--timeout", "0", "--format", "json"])
    assert AMBER == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "words", [["--for", "happy"], ["--timeout", "31d"], ["--timeout", "soon"], ["--timeout", "-1"]]
)
def test_wrong_usage(paths: Paths, capsys: Capture, words: list[str]) -> None:
    assert 2 == main(["wait", "notes", *words])
    assert "See `amberlight wait --help`.\n" in capsys.readouterr().err
