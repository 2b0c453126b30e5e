"""Streams whose encoding lacks our signs: a pipe on Windows, or the locale C."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.fake_app import FakeApp, row

SIGNS = "→ “a” … ✔ 日 \N{BABY}"


def output(encoding: str, *words: str) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "trayapp", *words],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"Traceback" not in done.stderr
    return done.stdout


@pytest.fixture
def app(app: FakeApp) -> FakeApp:
    app.replies |= {
        "GET /status": (200, {}),
        "GET /workloads/github/status": (200, row("github", "running", account=SIGNS)),
    }
    app.replies["GET /workloads?all=true"] = 200, {"workloads": [row("github", "running", account=SIGNS)]}
    return app


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", '-> "a" ... + ? ?'), ("cp1252", "-> “a” … + ? ?"), ("cp437", '-> "a" ... + ? ?'), ("utf-8", SIGNS)],
)
def test_signs_that_an_encoding_lacks_are_typed(app: FakeApp, encoding: str, shown: str) -> None:
    """An arrow is `->`; only what has no such form is a question mark."""

    assert shown in output(encoding, "status", "github").decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_json_loses_nothing(app: FakeApp, encoding: str) -> None:
    """What the encoding lacks is escaped, as JSON can."""

    shown = json.loads(output(encoding, "list", "--format", "json").decode(encoding))

    assert SIGNS in json.dumps(shown, ensure_ascii=False)


def test_standard_error_too(app: FakeApp) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "trayapp", "→"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"->" in done.stderr
    assert b"Traceback" not in done.stderr
