"""JSON objects of the workloads API."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from trayapp.core.model import Policy, Problem, Spec
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.public import (
    app_json,
    auth_json,
    list_row_json,
    listed_views,
    problem_json,
    rfc3339,
    spec_json,
    status_json,
    unavailable_json,
)
from trayapp.core.snapshot import AuthView, Detail, Health, Removal, Snapshot, Status, Unavailable, WorkloadView

AUTH = AuthView(detail=Detail.RETRYING, since=1_800_000_000.0)
VIEW = WorkloadView(
    name="github",
    url="https://mcp.example/api",
    status=Status.AUTH_RETRYING,
    status_context="The server cannot be reached.",
    health=Health.DEGRADED,
    colour=Colour.AMBER,
    glyph=Glyph.RETRY,
    auth=AUTH,
)


@pytest.mark.parametrize(
    ("wall", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000.25, "2027-01-15T08:00:00.250Z"),
        (1e300, "9999-12-31T23:59:59.000Z"),
        (float("nan"), None),
        (float("inf"), None),
        (-1.0, None),
        (None, None),
    ],
)
def test_times(wall: float | None, text: str | None) -> None:
    """Times are RFC 3339 in UTC with Z, and no number makes the API fail."""

    assert text == rfc3339(wall)


def test_every_key_of_auth_is_always_there() -> None:
    """What is not known is null; no key is ever missing."""

    assert auth_json(AUTH) == {
        "detail": "retrying",
        "since": "2027-01-15T08:00:00.000Z",
        "attempts": 0,
        "last_outcome": None,
        "last_error": None,
        "last_trigger": None,
        "next_attempt_at": None,
        "ceiling_at": None,
        "account": None,
        "usable": False,
        "token_expires_at": None,
        "retrying_since": None,
        "last_refreshed_at": None,
        "lost_rotations": 0,
        "renewable": True,
        "bound": False,
        "login_ends_at": None,
        "missing_scopes": [],
        "reauthorize_scopes": [],
        "signing_in": False,
        "device": None,
        "browser_fault": None,
        "sign_in_error": None,
        "sign_in_warning": None,
        "redirected_to": None,
        "refused_at": None,
        "rechecked_at": None,
    }


def test_a_full_auth_object() -> None:
    """Every time of an outage is written, and the last error in its four parts."""

    full = replace(
        AUTH,
        attempts=7,
        last_outcome="server_busy",
        last_error=Problem("http", "The server answered 403 with a page.", 403, "blocked"),
        last_trigger="tick",
        next_attempt_at=1_800_000_600.0,
        ceiling_at=1_800_086_400.0,
        token_expires_at=1_800_000_010.0,
        retrying_since=1_800_000_081.0,
        last_refreshed_at=1_799_999_000.0,
        lost_rotations=1,
        signing_in=True,
    )
    made = auth_json(full)

    assert made["last_error"] == {
        "kind": "http",
        "http_status": 403,
        "code": "blocked",
        "summary": "The server answered 403 with a page.",
    }
    assert [made[key] for key in ("next_attempt_at", "ceiling_at", "token_expires_at")] == [
        "2027-01-15T08:10:00.000Z",
        "2027-01-16T08:00:00.000Z",
        "2027-01-15T08:00:10.000Z",
    ]
    assert [made[key] for key in ("attempts", "last_outcome", "last_trigger", "lost_rotations", "signing_in")] == [
        7,
        "server_busy",
        "tick",
        1,
        True,
    ]
    json.dumps(made)


def test_no_problem_is_null() -> None:
    """Without a last error the field is null."""

    assert problem_json(None) is None


def test_a_row_has_the_keys_of_toolhive_and_ours() -> None:
    """A row of the list is ToolHive's, with `health` and `auth` besides."""

    made = list_row_json(VIEW, port=8765, created_at=1_700_000_000.0, started_at=1_800_000_000.0)

    assert {key: made[key] for key in made if key != "auth"} == {
        "name": "github",
        "owner": "Amberlight",
        "external": None,
        "kind": "server",
        "package": "",
        "url": "https://mcp.example/api",
        "port": 8765,
        "transport_type": "streamable-http",
        "status": "auth_retrying",
        "status_context": "The server cannot be reached.",
        "created_at": "2023-11-14T22:13:20.000Z",
        "remote": True,
        "started_at": "2027-01-15T08:00:00.000Z",
        "health": "degraded",
        "colour": "amber",
        "glyph": "retry",
        "label": "Reconnecting",
        "action": "",
        "help": "No action needed.",
    }
    assert made["auth"] == auth_json(AUTH)


def test_the_keys_of_a_status() -> None:
    """`status` has whose it is, status, sentence, health and the auth object."""

    keys = ["name", "owner", "kind", "status", "status_context", "health", "url", "auth", "external"]
    assert list(status_json(VIEW)) == keys


def test_a_configuration_shows_names_and_numbers() -> None:
    """The configuration is written with its policy in seconds."""

    spec = Spec("github", "https://mcp.example/api", "cid", scopes=("a", "b"), policy=Policy(tick_interval=5.0))
    made = spec_json(spec)

    assert made["scopes"] == ["a", "b"]
    policy = made["policy"]
    assert isinstance(policy, dict)
    assert policy["tick_interval"] == 5.0
    json.dumps(made)


def test_a_configuration_has_toolhives_keys_too() -> None:
    """`oauth_config` is what ToolHive's clients read."""

    spec = Spec("n", "https://n.example", "cid", "https://i.example", "https://a", "https://t", scopes=("a",))
    spec = replace(spec, redirect_port=7777, resource="urn:r")

    assert spec_json(spec)["transport"] == "streamable-http"
    assert spec_json(spec)["oauth_config"] == {
        "issuer": "https://i.example",
        "authorize_url": "https://a",
        "token_url": "https://t",
        "client_id": "cid",
        "scopes": ["a"],
        "use_pkce": True,
        "callback_port": 7777,
        "resource": "urn:r",
    }


def test_the_body_of_a_503() -> None:
    """A caller that gets no token is told why, since when, when next, and what to do."""

    made = unavailable_json(
        Unavailable("retrying", Status.AUTH_RETRYING, Detail.OFFLINE, 1_800_000_000.0, 30, None, "Wait.")
    )

    assert made == {
        "error": "retrying",
        "status": "auth_retrying",
        "detail": "offline",
        "since": "2027-01-15T08:00:00.000Z",
        "next_attempt_at": None,
        "help": "Wait.",
    }


LISTED = {"running", "auth_retrying", "unauthenticated", "error", "unhealthy", "starting"}


def test_what_is_listed_by_default() -> None:
    """The default list leaves out what is stopped, going or unknown; `everything` leaves out nothing; both are sorted."""

    views = {status.value: replace(VIEW, name=status.value, status=status) for status in reversed(Status)}
    snapshot = Snapshot(1, views)

    assert [view.name for view in listed_views(snapshot, everything=False)] == sorted(LISTED)
    assert [view.name for view in listed_views(snapshot, everything=True)] == sorted(views)


def test_the_state_of_the_app() -> None:
    """What concerns no single workload: why nothing is attempted, and what is wrong with the app itself."""

    left = Removal("old", "as.test", revoked=False, until=1_800_000_000.0)
    snapshot = Snapshot(1, {}, muted=True, gate="offline", broken="Line 3.", warnings=("No tray.",), removals=(left,))

    assert app_json(snapshot, "1.2", 1_800_000_000.0) == {
        "version": "1.2",
        "started_at": "2027-01-15T08:00:00.000Z",
        "gate": "offline",
        "muted": True,
        "broken": "Line 3.",
        "outdated": "",
        "outage": None,
        "this_run_only": False,
        "warnings": ["No tray."],
        "removals": [
            {"name": "old", "server": "as.test", "deleted": True, "revoked": False, "until": "2027-01-15T08:00:00.000Z"}
        ],
    }
