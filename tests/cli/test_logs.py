"""`amberlight logs`: by workload and by time, through rotated files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from trayapp.cli import logs, main
from trayapp.cli.log_filter import LogFilter, parse_line
from trayapp.config.loader import Paths

Capture = pytest.CaptureFixture[str]
OLD = "2026-01-01T10:00:00Z INFO trayapp.x: notes: old\n"
NEW = (
    "2026-01-02T10:00:00Z WARNING trayapp.engine.effects: notes #4: failed\n"
    "Traceback (most recent call last):\n"
    "2026-01-02T11:00:00Z INFO trayapp.y: my-notes: another\n"
    "2026-01-02T12:00:00Z INFO trayapp.y: the sign-in of notes, which ended\x1b[1m\n"
)


@pytest.fixture
def log(paths: Paths) -> Path:
    paths.log_file.parent.mkdir(parents=True)
    paths.log_file.write_text(NEW)
    Path(f"{paths.log_file}.1").write_text(OLD)
    return paths.log_file


def out(capsys: Capture, *words: str) -> list[str]:
    assert 0 == main(["logs", *words])
    return capsys.readouterr().out.splitlines()


def test_of_one_workload(log: Path, capsys: Capture) -> None:
    """Its name as a whole, with the traceback that follows, and the rotated file."""

    lines = out(capsys, "notes")
    assert [
        "notes: old",
        "notes #4: failed",
        "Traceback (most recent call last):",
        "the sign-in of notes, which ended [1m",
    ] == [line.split(": ", 1)[-1] if line[0] == "2" else line for line in lines]
    assert lines[-1:] == out(capsys, "notes", "-n", "1")
    assert 1 == len(out(capsys, "my-notes"))
    assert [] == out(capsys, "note")


def test_since(log: Path, capsys: Capture) -> None:
    """All of it, not only the last 50 lines; a continued line has the time of its first."""

    assert 4 == len(out(capsys, "--since", "2026-01-02T10:00Z"))
    assert 2 == len(out(capsys, "--since", "2026-01-02T10:00:01Z"))
    assert 5 == len(out(capsys, "--since", "3000d"))
    assert 1 == len(out(capsys, "notes", "--since", "2026-01-02T11:30Z"))
    assert 2 == len(out(capsys, "--since", "3000d", "-n", "2"))


def test_as_json(log: Path, capsys: Capture) -> None:
    """An object a line; what continues a line has no time of its own."""

    first, second, *_ = (json.loads(line) for line in out(capsys, "--format", "json"))
    fields = {"at": "2026-01-02T10:00:00.000Z", "level": "warning", "logger": "trayapp.engine.effects"}
    assert {**fields, "message": "notes #4: failed"} == first
    assert {"at": None, "level": None, "logger": None, "message": "Traceback (most recent call last):"} == second


def test_followed(log: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added is filtered, too."""

    def follow(path: Path) -> Iterator[str]:
        assert path == log
        yield "2026-01-02T13:00:00Z INFO trayapp.y: other: nothing"
        yield "  of it"
        yield "2026-01-02T13:00:00Z INFO trayapp.y: notes: well"

    monkeypatch.setattr(logs, "follow", follow)
    assert "2026-01-02T13:00:00Z INFO trayapp.y: notes: well" == out(capsys, "notes", "-f")[-1]
    assert 5 == len(out(capsys, "notes", "-f"))


@pytest.mark.parametrize("text", ["", "2026-13-02T10:00:00Z INFO x: y", "2026-01-02 INFO x: y", "INFO"])
def test_what_is_no_head_continues_a_line(text: str) -> None:
    """And is wanted if that line is."""

    assert None is parse_line(text).at
    assert LogFilter().wants(parse_line(text))
    assert not LogFilter("notes").wants(parse_line(text))
