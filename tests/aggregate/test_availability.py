"""What is known of a workload from its state, and what an HTTP error in the place of an answer means."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from trayapp.aggregate.availability import WorkloadRow, blocked_by_state, refusal, row_of
from trayapp.core.sentences import help_of
from trayapp.core.snapshot import Detail, Status
from trayapp.mcp.blocked import Blocked

TOO_LARGE, UNPROCESSABLE = HTTPStatus(413).phrase, HTTPStatus(422).phrase  # Python 3.13 has RFC 9110's words
NOW = 1_700_000_000.0


def row(status: str, **more: object) -> WorkloadRow:
    fields: dict[str, object] = {"name": "git", "url": "u", "status": status, "health": "", **more}
    return WorkloadRow(**fields)  # type: ignore[arg-type]


def blocked(status: str, **more: object) -> Blocked:
    found = blocked_by_state(row(status, **more), NOW)
    assert found is not None
    return found


def test_an_account_has_no_row() -> None:
    """It has no tools, so no client of `/mcp` learns of it."""

    assert row_of({"name": "mail", "kind": "account", "url": "", "status": "running"}) is None
    assert row_of({"name": "git", "kind": "server", "url": "u", "status": "running"}) is not None


def test_another_programs_workload_has_no_row() -> None:
    """Its events reach `/mcp`, too; that program serves it, and here it has no address."""

    mine = {"name": "git", "owner": "Amberlight", "kind": "server", "url": "u", "status": "running", "external": None}
    assert row_of(mine) is not None
    assert row_of({**mine, "name": "toolhive/git", "owner": "ToolHive", "external": {"name": "git"}}) is None


@pytest.mark.parametrize("status", ["running", "starting"])
def test_what_may_have_a_token_is_asked(status: str) -> None:
    """The proxy knows better, and answers immediately."""

    assert blocked_by_state(row(status), NOW) is None
    assert row(status).listed


@pytest.mark.parametrize(
    ("at", "wait", "words"),
    [
        (NOW + 41.2, 42, "42 seconds"),
        (NOW - 5, 1, "1 second"),
        (NOW + 90_000, 3600, "60 minutes"),
        (None, 30, "30 seconds"),
    ],
)
def test_reconnecting_says_how_long(at: float | None, wait: int, words: str) -> None:
    """Whole seconds until the next attempt, from one to an hour; half a minute where none is planned."""

    why = blocked("auth_retrying", next_attempt_at=at, detail="offline")
    assert (
        f"git is reconnecting. {help_of('git', Status.AUTH_RETRYING, Detail.OFFLINE)} Try again in {words}." == why.text
    )
    assert {
        "workload": "git",
        "status": "auth_retrying",
        "detail": "offline",
        "retry_after": wait,
        "next_attempt_at": at,
    } == why.facts()
    assert row("auth_retrying").listed


@pytest.mark.parametrize(
    ("status", "begins", "helps"),
    [
        ("unauthenticated", "git needs a sign-in.", "amberlight reauthorize git"),
        ("stopped", "git is paused.", "amberlight start git"),
        ("error", "git has a configuration error.", "amberlight status git"),
        ("unhealthy", "git refuses access.", "your account"),
        ("something_new", "git isn't available.", ""),
    ],
)
def test_everything_else_names_its_state(status: str, begins: str, helps: str) -> None:
    """Its state, and what helps, in the words of the proxy; no list shows it, and waiting doesn't help."""

    text = blocked(status).text
    assert (True, True) == (text.startswith(begins), helps in text)
    assert blocked(status).retry_after is None
    assert not row(status).listed


def test_a_refusal_of_the_proxy_is_its_sentence() -> None:
    """A server of the legacy transport, or `mcp = "off"`: the state at that moment, as every plain caller is told it."""

    body = {
        "error": "retrying",
        "status": "auth_retrying",
        "detail": "retrying",
        "help": "The server is busy.",
        "next_attempt_at": "2026-01-01T00:00:00Z",
    }
    why = refusal("git", 503, body, "17")
    assert (17, "retrying", 1767225600.0) == (why.retry_after, why.detail, why.next_attempt_at)
    assert "git is reconnecting. The server is busy. Try again in 17 seconds." == why.text
    red = {"status": "unauthenticated", "detail": "refused", "help": "Run `amberlight reauthorize git`."}
    assert "git needs a sign-in. Run `amberlight reauthorize git`." == refusal("git", 503, red, "60").text
    down = refusal("git", 502, {"error": "upstream_unreachable", "message": "mcp.example cannot be reached."}, None)
    assert "git isn't available. mcp.example cannot be reached. Try again shortly." == down.text


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (413, None, f"git answered 413 ({TOO_LARGE})."),
        (413, "At most 4 MB\n", f"git answered 413 ({TOO_LARGE}): At most 4 MB."),
        (413, "<html>Too large</html>", f"git answered 413 ({TOO_LARGE})."),
        (429, {"error": {"code": 7, "message": "Slow down."}}, "git answered 429 (Too Many Requests): Slow down."),
        (403, {"error": "forbidden", "error_description": "no"}, "git answered 403 (Forbidden): forbidden."),
        (
            400,
            {"error": "bad_header", "message": "A header is odd."},
            "git answered 400 (Bad Request): A header is odd.",
        ),
        (422, {"detail": "Not a city"}, f"git answered 422 ({UNPROCESSABLE}): Not a city."),
        (499, [1], "git answered 499."),
        (500, "\x00\x1b[31m" + "x" * 1000, "git answered 500 (Internal Server Error): [31m" + "x" * 296 + "."),
    ],
)
def test_the_upstreams_reason_is_kept(status: int, body: object, words: str) -> None:
    """The status with its name and what was said, on one line and not without end."""

    assert words == refusal("git", status, body, None).text


def test_rows_that_are_none() -> None:
    """Whatever the stream says, it does not end the process."""

    assert [None, None, None] == [row_of(each) for each in (3, {}, {"name": 4})]
    odd = row_of({"name": "git", "auth": 3, "status": None})
    assert odd is not None
    assert ("", "", None) == (odd.status, odd.detail, odd.next_attempt_at)
    known = row_of({"name": "git", "auth": {"next_attempt_at": "2026-01-01T00:00:00Z"}})
    assert known is not None
    assert 1767225600.0 == known.next_attempt_at
    assert row_of({"name": "git", "auth": {"next_attempt_at": "soon"}}) is not None
