"""`amberlight demo` at high speed: its output as JSON, and a clear end when the story goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from tests import ROOT
from tests.own_places import own_places
from trayapp.demo import demo, story
from trayapp.oauthtest import Mode, OAuthServer

LIMIT = 60.0  # s


def environment(root: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    places = {f"XDG_{name}_HOME": str(root / name.lower()) for name in ("CONFIG", "STATE", "DATA", "CACHE")}
    (root / "run").mkdir(mode=0o700)
    if sys.platform != "linux":
        kept, places = dict(os.environ), own_places(root)
    return {
        **kept,
        **places,
        "XDG_RUNTIME_DIR": str(root / "run"),
        "HOME": str(root),
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(root),
        **more,
    }


def test_the_day_as_json(tmp_path: Path) -> None:
    """Green, amber, green, red, and one click: green. One object for each change, exit code 0, nothing left behind."""

    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "trayapp", "demo", "--no-tray", "--fast", "--exit", "--format", "json"],
        env=environment(tmp_path, TOOLHIVE_TOKEN_REFRESH_MAX_TRIES="nonsense", PYTHONWARNINGS="error"),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert time.monotonic() - began < LIMIT
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(["at", "name", "status", "detail"] == list(row) for row in rows)
    assert all(row["at"].endswith("Z") and datetime.fromisoformat(row["at"]) for row in rows)
    assert sorted(row["at"] for row in rows) == [row["at"] for row in rows]
    assert {"calendar", "notes", "tickets"} == {row["name"] for row in rows}
    for name in ("calendar", "notes", "tickets"):
        words = [(row["status"], row["detail"]) for row in rows if row["name"] == name]
        assert all(a != b for a, b in pairwise(words)), name
    assert [
        "starting",
        "running",
        "auth_retrying",
        "running",
        "auth_retrying",
        "unauthenticated",
        "running",
    ] == statuses_of(rows, "tickets")
    assert ["starting", "running", "auth_retrying", "running"] == statuses_of(rows, "calendar")
    assert ("unauthenticated", "ceiling") in [(row["status"], row["detail"]) for row in rows]
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [] == left


def statuses_of(rows: list[dict[str, str]], name: str) -> list[str]:
    """The statuses that a workload went through."""
    return [status for status, _ in groupby(row["status"] for row in rows if row["name"] == name)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo in this process, in directories of its own."""
    for name, value in environment(tmp_path).items():
        if name.startswith("XDG") or name == "TMPDIR":
            monkeypatch.setenv(name, value)


def test_a_server_that_is_stuck_ends_the_demo_with_a_sentence(
    here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and which scene never came."""

    def stuck(fast: bool) -> OAuthServer:
        server = OAuthServer(check=False)
        server.mode = Mode.HANG_BEFORE_HEADERS
        return server

    monkeypatch.setattr(story, "SCENE_LIMIT", 0.5)
    monkeypatch.setattr(demo, "_server", stuck)
    monkeypatch.setattr("trayapp.engine.engine.QUIT_LIMIT", 0.2)
    assert 1 == demo.run(tray=False, fast=True, exit_when_done=True, as_json=True)
    assert "The demo timed out waiting for: green\n" == capsys.readouterr().err


def test_a_script_that_fails_ends_the_demo_too(
    here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever goes wrong in the day's own thread: it does not run on for ever."""

    def broken(*_: object) -> None:
        raise RuntimeError("unexpected")

    monkeypatch.setattr(story, "_play", broken)
    assert 1 == demo.run(tray=False, fast=True, exit_when_done=True, as_json=True)
    told = capsys.readouterr().err
    assert "unexpected" in told
    assert "Traceback" not in told
