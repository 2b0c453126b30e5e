"""`stop`, `start`, `quit`: what changes is one line, and so is that nothing had to."""

from __future__ import annotations

import json
import os

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.cli import actions, main
from trayapp.config.loader import Paths
from trayapp.server.instance import instance_lock
from trayapp.system.private_files import private_directory

Capture = pytest.CaptureFixture[str]
ALL, STATUS = "GET /workloads?all=true", "GET /workloads/notes/status"


@pytest.mark.parametrize(
    ("command", "status", "posted", "said"),
    [
        ("stop", "running", "stop", "Paused notes. Resume it: amberlight start notes"),
        ("stop", "unauthenticated", "stop", "Paused notes. Resume it: amberlight start notes"),
        ("stop", "stopped", "", "notes is already paused."),
        ("start", "stopped", "restart", "Resumed notes. See: amberlight status notes"),
        ("start", "running", "", "notes is already running."),
        ("start", "auth_retrying", "", "notes is already running."),
    ],
)
def test_one_workload(app: FakeApp, capsys: Capture, command: str, status: str, posted: str, said: str) -> None:
    """Nothing is requested where nothing would change."""

    app.replies |= {STATUS: (200, row("notes", status)), f"POST /workloads/notes/{posted}": (202, None)}

    assert 0 == main([command, "notes"])
    assert f"{said}\n" == capsys.readouterr().out
    assert ([f"POST /workloads/notes/{posted}"] if posted else []) == [what for what, _ in app.requests[1:]]

    assert 0 == main([command, "notes", "--format", "json"])
    assert {"message": said, "changed": ["notes"] if posted else []} == json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("command", "posted", "names", "said"),
    [
        ("stop", "stop", ["a", "b"], "Paused 2 workloads. Resume them: amberlight start --all\n"),
        ("start", "restart", ["c"], "Resumed 1 workload. See: amberlight list\n"),
    ],
)
def test_all_workloads(app: FakeApp, capsys: Capture, command: str, posted: str, names: list[str], said: str) -> None:
    """One request for those that aren't so yet."""

    rows = [row("a"), row("b", "unauthenticated", "refused"), row("c", "stopped", "paused")]
    app.replies |= {ALL: (200, {"workloads": rows}), f"POST /workloads/{posted}": (202, None)}

    assert 0 == main([command, "--all"])
    assert said == capsys.readouterr().out
    assert [{"names": names}] == app.bodies(f"POST /workloads/{posted}")


@pytest.mark.parametrize(
    ("command", "said"), [("stop", "No workload is running.\n"), ("start", "No workload is paused.\n")]
)
def test_all_of_none(app: FakeApp, capsys: Capture, command: str, said: str) -> None:
    app.replies[ALL] = 200, {"workloads": []}

    assert 0 == main([command, "--all"])
    assert said == capsys.readouterr().out
    assert [] == [what for what, _ in app.requests if what.startswith("POST")]


@pytest.mark.parametrize(("rows", "code"), [([], 1), ([row("a")], 0)])
def test_all_are_tried_although_a_mistake_keeps_one_away(
    app: FakeApp, capsys: Capture, rows: list[dict[str, object]], code: int
) -> None:
    """The mistake is said; only where nothing is configured there is nothing to try."""

    said = "config.toml:4: workloads.b.flow: must be one of two."
    app.replies |= {ALL: (200, {"workloads": rows}), "GET /status": (200, {"broken": said})}
    app.replies["POST /workloads/retry"] = 202, None

    assert code == main(["retry"])
    assert f"amberlight: {said}" in capsys.readouterr().err
    assert (code == 0) == any(what.startswith("POST") for what, _ in app.requests)


def test_a_workload_that_its_mistake_keeps_away(app: FakeApp, capsys: Capture) -> None:
    """Its line is named, and no other workload."""

    said = "config.toml:4: workloads.notes.flow: must be one of two."
    app.replies |= {ALL: (200, {"workloads": [row("note")]}), "GET /status": (200, {"broken": said})}
    app.replies[STATUS] = 404, {"error": "unknown_workload", "message": "none"}

    assert 1 == main(["stop", "notes"])
    assert said in (told := capsys.readouterr().err)
    assert "Did you mean" not in told


@pytest.mark.parametrize("words", [["stop"], ["start"], ["stop", "x", "--all"]])
def test_one_or_all_has_to_be_said(paths: Paths, capsys: Capture, words: list[str]) -> None:
    assert 2 == main(words)
    assert f"See `amberlight {words[0]} --help`.\n" in capsys.readouterr().err


# --- quit ------------------------------------------------------------------------------------------------------------


def test_quit_waits_for_the_end(app: FakeApp, capsys: Capture) -> None:
    app.replies["POST /quit"] = 202, None

    assert 0 == main(["quit"])
    assert "Amberlight has quit. Start it again: amberlight run\n" == capsys.readouterr().out


def test_quit_without_an_app(paths: Paths, capsys: Capture) -> None:
    """What is asked for is so already."""

    assert 0 == main(["quit"])
    assert "Amberlight isn't running.\n" == capsys.readouterr().out
    assert 0 == main(["quit", "--format", "json"])
    assert {"message": "Amberlight isn't running.", "quit": False} == json.loads(capsys.readouterr().out)


def test_an_app_that_does_not_end(paths: Paths, app: FakeApp, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds its lock still."""

    monkeypatch.setattr(actions, "QUIT_LIMIT", 0.0)
    app.replies["POST /quit"] = 202, None
    private_directory(paths.state_dir)
    with instance_lock(paths.lock_file) as lock:
        lock.announce(paths.runtime_dir)
        assert 1 == main(["quit"])
    assert f"Amberlight (process {os.getpid()}) is still quitting" in capsys.readouterr().err
