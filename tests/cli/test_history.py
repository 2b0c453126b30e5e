"""`amberlight history`: states with their times, on any width."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.fake_app import FakeApp
from trayapp.cli import history, main
from trayapp.cli.columns import width
from trayapp.cli.output import Style, parse_time
from trayapp.config.loader import Paths

pytestmark = pytest.mark.usefixtures("utc")

Capture = pytest.CaptureFixture[str]
NOW = 1767323100.0  # 2026-01-02T03:05:00Z
ROWS: list[dict[str, Any]] = [
    dict(zip(("at", "status", "colour", "glyph", "detail", "text"), each, strict=True))
    for each in (
        ("2026-01-01T20:00:00Z", "running", "green", "tick", "ok", "Connected."),
        ("2026-01-01T22:00:00Z", "unknown", "grey", "question", "asleep", "The computer was asleep."),
        (
            "2026-01-02T02:00:00Z",
            "auth_retrying",
            "amber",
            "retry",
            "retrying",
            "Connection refused. Amberlight retries.",
        ),
        ("2026-01-02T02:30:00Z", "running", "amber", "retry", "offline", "No network connection."),
        ("2026-01-02T02:31:00Z", "sideways", "mauve", "spiral", "odd", "A state of \x1b[31mtomorrow."),
        ("2026-01-02T02:32:00Z", "removing", "grey", "square", "paused", ""),
    )
]
PLAIN = """\
2026-01-01 20:00  Connected      2 h
2026-01-01 22:00  Asleep         4 h     The computer was asleep.
2026-01-02 02:00  Reconnecting   30 min  Connection refused. Amberlight retries.
2026-01-02 02:30  Offline        1 min   No network connection.
2026-01-02 02:31  sideways       1 min   A state of  [31mtomorrow.
2026-01-02 02:32  Being removed  33 min"""


def test_states_with_their_times() -> None:
    """Oldest first; what was good needs no reason."""

    assert PLAIN == history.history_text(ROWS, Style(), NOW)


@pytest.mark.parametrize("columns", [44, 60, 80, 120])
def test_reasons_are_wrapped(columns: int) -> None:
    """Beside the state where there is room, else below it."""

    lines = history.history_text(ROWS, Style(True, False, columns), NOW).splitlines()
    assert columns >= max(map(width, lines))
    assert "retries." in " ".join(lines)


def reply(app: FakeApp, rows: list[dict[str, Any]], *, more: bool = False) -> dict[str, Any]:
    """The app answers any request for history with these rows."""
    answer = {"workload": "notes", "since": "2026-01-01T03:05:00.000Z", "rows": rows, "more": more}

    class Any_(dict[str, Any]):
        def get(self, what: str, default: Any = None) -> Any:
            return (200, answer) if what.startswith("GET /workloads/notes/history?") else default

    app.replies = Any_()
    return answer


@pytest.mark.parametrize(
    ("words", "ago"),
    [([], 86400), (["--since", "7d"], 7 * 86400), (["--since", "90m"], 5400), (["--since", "2026-01-02T03:00Z"], None)],
)
def test_how_far_back(
    paths: Paths, app: FakeApp, monkeypatch: pytest.MonkeyPatch, words: list[str], ago: int | None
) -> None:
    """A day, a span, or a time."""

    monkeypatch.setattr(time, "time", lambda: NOW)
    reply(app, ROWS)

    assert 0 == main(["history", "notes", *words])
    ((asked, _),) = app.requests
    (since,) = parse_qs(urlsplit(asked).query)["since"]
    assert (NOW - 300.0 if ago is None else NOW - ago) == parse_time(since)


def test_only_the_newest(app: FakeApp, capsys: Capture) -> None:
    reply(app, ROWS, more=True)

    assert 0 == main(["history", "notes", "-n", "2"])
    first, second, more = capsys.readouterr().out.splitlines()
    assert ("sideways" in first, "Being removed" in second, "--since" in more) == (True, True, True)


def test_as_json(app: FakeApp, capsys: Capture) -> None:
    """The app's answer, with the rows that were asked for."""

    answer = reply(app, ROWS)

    assert 0 == main(["history", "notes", "--format", "json", "-n", "1"])
    assert {**answer, "rows": ROWS[-1:]} == json.loads(capsys.readouterr().out)


def test_nothing_happened(app: FakeApp, capsys: Capture) -> None:
    reply(app, [])

    assert 0 == main(["history", "notes", "--since", "2026-01-02"])
    assert "No history of notes since 2026-01-02 00:00.\n" == capsys.readouterr().out


@pytest.mark.parametrize("since", ["", "yesterday", "12", "-3h", "1w", "2026-13-01", "99999d"])
def test_a_time_that_is_none(paths: Paths, capsys: Capture, since: str) -> None:
    assert 2 == main(["history", "notes", f"--since={since}"])
    assert "such as 2h or 7d" in capsys.readouterr().err
