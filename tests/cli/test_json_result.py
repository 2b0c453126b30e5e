"""`--format json` where there is progress to tell: that goes to standard error, and the result stands alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.cli import main, sign_in_wait
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
STATUS = "GET /workloads/notes/status"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_wait, "POLL", 0.01)


def signed_in(app: FakeApp) -> dict[str, object]:
    """The sign-in succeeds at once."""
    out = row("notes", "unauthenticated", "never_signed_in")
    done = row("notes", last_refreshed_at="2026-01-02T03:04:05Z")
    app.replies[STATUS] = [(200, out), (200, row("notes", "unauthenticated", "x", signing_in=True)), (200, done)]
    app.replies["POST /workloads/notes/reauthorize"] = (
        202,
        {"authorization_url": "https://as.test/a", "steps": ["One."]},
    )
    return done


def test_a_sign_in(app: FakeApp, capsys: Capture) -> None:
    """The page's address is progress; the result is the workload's status."""

    done = signed_in(app)

    assert 0 == main(["reauthorize", "notes", "--format", "json"])
    captured = capsys.readouterr()
    assert done == json.loads(captured.out)
    assert "One.\n" in captured.err
    assert "https://as.test/a" in captured.err


def test_a_sign_in_that_did_not_begin(app: FakeApp, capsys: Capture) -> None:
    """Standard output stays empty after an error."""

    app.replies[STATUS] = 200, row("notes")
    app.replies["POST /workloads/notes/reauthorize"] = 409, {"error": "x", "message": "Not so."}

    assert 1 == main(["reauthorize", "notes", "--format", "json"])
    assert ("", "amberlight: Not so.\n") == tuple(capsys.readouterr())


def test_added_without_an_app(paths: Paths, capsys: Capture) -> None:
    """There is no status then."""

    assert 0 == main(["add", "notes", "https://notes.example.com/mcp", "--format", "json"])
    captured = capsys.readouterr()
    assert None is json.loads(captured.out)
    assert "amberlight run" in captured.err


def test_lines(paths: Paths, capsys: Capture, tmp_path: Path) -> None:
    """What a person would have read, and whether it went well."""

    assert 0 == main(["disconnect", "--format", "json"])
    said = {"ok": True, "done": ["Nothing to disconnect: no Amberlight entries found."]}
    assert said == json.loads((captured := capsys.readouterr()).out)
    assert said["done"] == captured.err.splitlines()

    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"notes": {"url": "https://notes.example.com/mcp"}}}))
    assert 0 == main(["import", "mcp-json", str(file), "--dry-run", "--format", "json"])
    assert "Would add: notes." in json.loads(capsys.readouterr().out)["done"]

    assert 1 == main(["import", "mcp-json", str(tmp_path / "missing"), "--format", "json"])
    assert "missing" in (captured := capsys.readouterr()).err
