"""`amberlight status` without a name: the line that answers the question, and the code that a script needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.fake_app import FakeApp, row
from trayapp.cli import main

Capture = pytest.CaptureFixture[str]
ALL, APP = "GET /workloads?all=true", "GET /status"
GOOD, AMBER, RED = row("good"), row("amber", "auth_retrying", "retrying"), row("red", "unauthenticated", "refused")
UNLOCK = "The keyring is locked. Unlock your keyring to continue."
LOCKED = row("locked", "auth_retrying", "keyring_locked") | {"status_context": UNLOCK}
ABSENT = row("absent", "starting", "keyring_unavailable", usable=False) | {"status_context": "None is there."}
WRONG, PAUSED, NEW = (
    row("wrong", "error", "config_error"),
    row("off", "stopped", "paused"),
    row("new", "unauthenticated", "never_signed_in"),
)


@pytest.mark.parametrize(
    ("rows", "said", "counts", "code"),
    [
        ([GOOD], "All workloads are connected.", "1 connected", 0),
        ([GOOD, PAUSED], "All workloads are connected.", "1 connected, 1 paused", 0),
        ([PAUSED], "All workloads are paused.", "1 paused", 0),
        ([GOOD, AMBER], "1 workload is reconnecting. No action needed.", "1 connected, 1 reconnecting", 5),
        ([AMBER, AMBER], "2 workloads are reconnecting. No action needed.", "2 reconnecting", 5),
        ([LOCKED, GOOD], f"1 workload is waiting for the keyring. {UNLOCK}", "1 keyring locked, 1 connected", 5),
        (
            [LOCKED, AMBER, LOCKED],
            f"2 workloads are waiting for the keyring. {UNLOCK}",
            "2 keyring locked, 1 reconnecting",
            5,
        ),
        (
            [ABSENT, AMBER],
            "1 workload is waiting for the keyring. None is there.",
            "1 keyring unavailable, 1 reconnecting",
            5,
        ),
        ([GOOD, GOOD, AMBER, RED], "1 workload needs attention.", "2 connected, 1 reconnecting, 1 sign-in needed", 4),
        ([WRONG, AMBER], "1 workload needs attention.", "1 configuration error, 1 reconnecting", 1),
        ([WRONG, NEW], "2 workloads need attention.", "1 configuration error, 1 not signed in", 4),
    ],
)
def test_the_answer_comes_first(
    app: FakeApp, capsys: Capture, rows: list[dict[str, Any]], said: str, counts: str, code: int
) -> None:
    """Then how many there are of each, and a row for each that isn't well."""

    app.replies |= {ALL: (200, {"workloads": rows}), APP: (200, {})}

    assert code == main(["status"])
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert (said, counts) == (first, second)
    troubled = [each["name"] for each in rows if each not in (GOOD, PAUSED)]
    assert troubled == [line.split()[0] for line in rest[2:]]


def test_all_details(app: FakeApp, capsys: Capture) -> None:
    """Every workload, and where Amberlight is."""

    app.replies |= {ALL: (200, {"workloads": [GOOD, PAUSED]}), APP: (200, {"started_at": "2026-01-02T03:04:05.000Z"})}

    assert 0 == main(["status", "--verbose"])
    out = capsys.readouterr().out
    assert "good" in out
    assert "off" in out
    assert f"Amberlight 0.1.0 at {app.url}, process " in out


def test_nothing_to_keep(app: FakeApp, capsys: Capture) -> None:
    app.replies |= {ALL: (200, {"workloads": []}), APP: (200, {})}

    assert 0 == main(["status"])
    assert "No workloads configured. Add one: amberlight add NAME URL\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "first", "error"),
    [
        (
            {
                "outage": {
                    "text": "Port 8765 is in use, so clients can't connect.",
                    "command_help": "Quit that program.",
                }
            },
            "Clients can't connect.",
            "amberlight: Port 8765 is in use, so clients can't connect. Quit that program.\n",
        ),
        (
            {"broken": "config.toml:3: isn't valid TOML."},
            "All workloads are connected.",
            "amberlight: config.toml:3: isn't",
        ),
        ({"outdated": "config.toml:3: old."}, "All workloads are connected.", "amberlight: config.toml:3: old.\n"),
        ({"warnings": ["No keyring.", "No keyring."]}, "All workloads are connected.", "amberlight: No keyring.\n"),
    ],
)
def test_what_is_wrong_with_amberlight_itself(
    app: FakeApp, capsys: Capture, state: dict[str, Any], first: str, error: str
) -> None:
    """Nothing looks fine while no client can connect; that and a broken configuration are failures."""

    app.replies |= {ALL: (200, {"workloads": [GOOD]}), APP: (200, state)}

    assert (0 if {"warnings", "outdated"} & state.keys() else 1) == main(["status"])
    captured = capsys.readouterr()
    assert first == captured.out.splitlines()[0]
    assert captured.err.startswith(error)
    assert 1 == captured.err.count("amberlight: ")


def test_as_json(app: FakeApp, capsys: Capture) -> None:
    """Amberlight, the counts by status, and all rows; the code stays that of the workloads."""

    app.replies |= {ALL: (200, {"workloads": [GOOD, RED]}), APP: (200, {"version": "0.1.0", "outage": None})}

    assert 4 == main(["status", "--format", "json"])
    said = json.loads(capsys.readouterr().out)
    assert ["app", "counts", "workloads"] == list(said)
    assert {"running": 1, "unauthenticated": 1} == said["counts"]
    assert [GOOD, RED] == said["workloads"]
    assert (app.url, "0.1.0", None) == (said["app"]["url"], said["app"]["version"], said["app"]["outage"])
