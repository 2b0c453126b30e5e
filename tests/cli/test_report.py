"""`amberlight report`: everything that helps, and none of the canaries that are all over this installation."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.access import is_private
from tests.cli.fake_app import KEY, FakeApp, row
from tests.small_disk import small_disk
from trayapp import __version__
from trayapp.cli import main, report
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
CHECKS = [{"name": "app", "state": "ok", "text": "Running. password=canary-in-check", "help": ""}]
CONFIG = """\
[settings]
port = 8765
# canary-in-a-comment
[workloads.notes]
url = "https://mcp.example.com/mcp?key=canary-in-url"
client_id = "canary-client-id"
"""
LOG = """\
2026-01-02T10:00:00Z INFO trayapp.x: notes #4: refreshed
2026-01-02T10:00:01Z INFO trayapp.x: POST https://as.example/token?code=canary-in-query
2026-01-02T10:00:02Z INFO trayapp.x: refresh_token=canary-in-form&x=1 Bearer canary-bearer
2026-01-02T10:00:03Z INFO trayapp.x: eyJhbGciOiJub25lIn0.eyJzdWIiOiJjYW5hcnkifQ.c2ln and canary-key-of-notes-1
2026-01-02T10:00:04Z INFO trayapp.x: signed in as canary.person@mail.example.com
"""


@pytest.fixture
def canaries(paths: Paths, app: FakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Paths:
    """Secrets wherever one can be, and a little that is none."""
    monkeypatch.setattr(report, "run_checks", lambda paths, environ: CHECKS)
    monkeypatch.setenv("AMBERLIGHT_TOKEN", "canary-in-environment")
    monkeypatch.chdir(tmp_path)
    for file, text in (
        (paths.config_file, CONFIG),
        (
            paths.log_file,
            LOG + f"signed in as Canary Person, {tmp_path / 'home'}/x and {KEY} and canary-in-environment\n",
        ),
        (paths.command_log_file, "Traceback:\n  client_secret='canary-secret'\n"),
        (paths.keys_file, json.dumps({"version": 1, "keys": {"notes": "canary-key-of-notes-1"}})),
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    auth: dict[str, Any] = {
        "device": {"user_code": "CANA-RYRY", "verification_uri_complete": "https://x?c=canary-code"}
    }
    auth["account"] = "Canary Person"  # of a server that says no e-mail address
    auth["last_error"] = {"kind": "http", "http_status": 400, "code": "", "summary": "access_token: canary-in-error-1"}
    notes = row("notes", "auth_retrying", "retrying", **auth) | {"label": "Reconnecting"}
    app.replies["GET /workloads?all=true"] = 200, {"workloads": [notes]}
    app.replies["GET /status"] = 200, {"version": "0.1.0", "warnings": ["The port is taken."]}
    return paths


def has_no_secret(text: str, home: Path) -> bool:
    return not any(word in text.lower() for word in ("canary", "cana-ryry", "eyj", str(home).lower()))


def test_it_has_what_helps_and_no_secret(canaries: Paths, capsys: Capture, tmp_path: Path) -> None:
    assert 0 == main(["report"])
    (file,) = tmp_path.glob("amberlight-report-*.txt")
    said = capsys.readouterr().out
    assert f"Wrote {file.name}. It has no secrets, but names your workloads and servers." in said
    assert is_private(file)
    text = file.read_text()
    assert has_no_secret(text, tmp_path / "home")
    for helpful in (
        f"amberlight: {__version__}",
        "notes   Reconnecting  notes.example.com".replace("   ", "  "),
        "ok       app  Running.",
        "The port is taken.",
        '"client_id": "set"',
        "https://mcp.example.com/mcp?***",
        "notes #4: refreshed",
        "***@mail.example.com",
        "~/x",
    ):
        assert helpful in text


def test_as_json(canaries: Paths, capsys: Capture, tmp_path: Path) -> None:
    """On standard output, or in a file of any name."""

    assert 0 == main(["report", "--format", "json"])
    out = capsys.readouterr().out
    made = json.loads(out)
    assert has_no_secret(out, tmp_path / "home")
    keys = ["made_at", "versions", "configuration", "app", "checks", "log", "commands_log", "background_log"]
    assert keys == list(made)
    assert "notes" == made["configuration"]["workloads"][0]["name"]
    auth = made["app"]["workloads"][0]["auth"]
    assert ("***", "***") == (auth["device"], auth["account"])

    assert 0 == main(["report", "--format", "json", "-o", "mine.json"])
    assert {"message", "file"} == json.loads(capsys.readouterr().out).keys()
    assert keys == list(json.loads(Path("mine.json").read_text()))


def test_no_file_is_overwritten(canaries: Paths, capsys: Capture, tmp_path: Path) -> None:
    """A directory that is missing isn't made, either."""

    (tmp_path / "mine").write_text("mine")
    for name in ("mine", "missing/x"):
        assert 1 == main(["report", "-o", name])
        assert f"amberlight: {Path(name)}: " in capsys.readouterr().err
    assert "mine" == (tmp_path / "mine").read_text()


def test_no_link_is_followed(canaries: Paths, capsys: Capture, tmp_path: Path) -> None:
    (link := tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    if not link.is_symlink():
        pytest.skip("Wine 8 claims to have made a symbolic link, and hasn't")
    assert 1 == main(["report", "-o", "link"])
    assert "amberlight: link: " in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_for_each_report(
    canaries: Paths, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for those of the same second: a name that is free is taken, and none is said to be another's."""

    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    for words in ([], ["--format", "json", "-o", "mine"], [], []):
        assert 0 == main(["report", *words])
    said = [line.split(". ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("Wrote ")]
    files = sorted(tmp_path.glob("amberlight-report-*"))
    assert 3 == len(files)
    assert {f"Wrote {file.name}" for file in files} == set(said)
    stem = min(files, key=lambda file: len(file.name)).stem
    assert [f"{stem}-2.txt", f"{stem}-3.txt", f"{stem}.txt"] == [file.name for file in files]
    assert all(map(is_private, files))


def test_a_full_disk_leaves_no_half_report(
    canaries: Paths, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the next try finds its name free."""

    with small_disk(tmp_path / "disk") as disk:
        disk.fill()
        monkeypatch.chdir(disk.path)
        assert 1 == main(["report", "-o", "mine"])
        assert "amberlight: mine: No space left on device" in capsys.readouterr().err
        assert not Path("mine").exists()
        monkeypatch.chdir(tmp_path)


def test_printed(canaries: Paths, capsys: Capture, tmp_path: Path) -> None:
    before = set(os.listdir(tmp_path))

    assert 0 == main(["report", "--output", "-"])
    assert "## Checks" in (text := capsys.readouterr().out)
    assert has_no_secret(text, tmp_path / "home")
    assert before == set(os.listdir(tmp_path))


def test_where_nothing_works(paths: Paths, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """No app, no log, and a configuration with mistakes: that is the report."""

    monkeypatch.setattr(report, "run_checks", lambda paths, environ: [])
    paths.config_file.parent.mkdir(parents=True)
    paths.config_file.write_text("[settings]\nport = 'canary-value-123'\n")

    assert 0 == main(["report", "--format", "json"])
    made = json.loads(capsys.readouterr().out)
    assert "config.toml:2" in made["configuration"]["mistakes"][0]
    assert {"problem": "Amberlight isn't running."} == made["app"]
    assert [] == made["log"]


def test_an_app_that_answers_nonsense(paths: Paths, app: FakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app.replies["GET /status"] = 200, b"<html>"

    assert "isn't Amberlight" in report.app(paths)["problem"]
