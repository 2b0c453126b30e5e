"""Which workloads are listed and called, and what a client is told about one that can't be called."""

from __future__ import annotations

import pytest

from trayapp.aggregate.availability import BlockedReason, WorkloadRow, blocked, proxy_refusal, row_of

NOW = 1_700_000_000.0


def row(status: str, **more: object) -> WorkloadRow:
    fields: dict[str, object] = {"name": "git", "url": "u", "status": status, "health": "", **more}
    return WorkloadRow(**fields)  # type: ignore[arg-type]


def reason_for(status: str, **more: object) -> BlockedReason:
    found = blocked(row(status, **more), NOW)
    assert found is not None
    return found


@pytest.mark.parametrize("status", ["running", "starting"])
def test_what_may_have_a_token_is_asked(status: str) -> None:
    """The proxy knows better, and answers at once."""

    assert blocked(row(status), NOW) is None
    assert row(status).listed


@pytest.mark.parametrize(("at", "wait"), [(NOW + 41.2, 42), (NOW - 5, 1), (NOW + 90_000, 3600), (None, 30)])
def test_degraded_says_how_long(at: float | None, wait: int) -> None:
    """Whole seconds until the next attempt, from one to an hour; half a minute where none is planned."""

    reason = reason_for("auth_retrying", next_attempt_at=at, context="The network is down", detail="offline")
    assert (
        f"git cannot renew its login right now. The network is down. Try again in {wait} s: it heals by itself."
        == reason.text
    )
    assert {"workload": "git", "status": "auth_retrying", "detail": "offline", "retry_after": wait} == reason.facts()
    assert row("auth_retrying").listed


def test_signed_out_says_the_one_click() -> None:
    """The command and the menu's words; a sign-in that is open is to be finished."""

    reason = reason_for("unauthenticated", context="The login was refused.")
    assert "amberlight reauthorize git" in reason.text
    assert "Reauthorize git…" in reason.text
    assert reason.retry_after is None
    assert "finish it in the browser" in reason_for("unauthenticated", signing_in=True).text
    assert not row("unauthenticated").listed


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("stopped", "amberlight start git"),
        ("error", "amberlight doctor"),
        ("unhealthy", "does not work now (unhealthy). It says no."),
        ("something_new", "does not work now (something_new)"),
    ],
)
def test_everything_else(status: str, words: str) -> None:
    """Its state, and what to do where something can be done; no list shows it."""

    assert words in reason_for(status, context="It says no").text
    assert not row(status).listed


def test_what_the_proxy_says_instead() -> None:
    """Its state at that moment is newer than the one that was heard of."""

    body = {"error": "retrying", "status": "auth_retrying", "detail": "retrying", "help": "The server is busy."}
    reason = proxy_refusal("git", 503, body, "17", NOW)
    assert (17, "retrying") == (reason.retry_after, reason.detail)
    assert "The server is busy. Try again in 17 s" in reason.text
    red = {"status": "unauthenticated", "detail": "refused", "help": "It was refused."}
    assert "amberlight reauthorize git" in proxy_refusal("git", 503, red, "60", NOW).text
    down = proxy_refusal(
        "git", 502, {"error": "upstream_unreachable", "message": "mcp.example cannot be reached."}, None, NOW
    )
    assert ("git: mcp.example cannot be reached.", None) == (down.text, down.retry_after)
    assert "git: It answered 502." == proxy_refusal("git", 502, None, None, NOW).text


def test_rows_that_are_none() -> None:
    """Whatever the stream says, it does not end the process."""

    assert [None, None, None] == [row_of(each) for each in (3, {}, {"name": 4})]
    odd = row_of({"name": "git", "auth": 3, "status": None})
    assert odd is not None
    assert ("", "", None) == (odd.status, odd.detail, odd.next_attempt_at)
    known = row_of({"name": "git", "auth": {"next_attempt_at": "2026-01-01T00:00:00Z", "signing_in": True}})
    assert known is not None
    assert (1767225600.0, True) == (known.next_attempt_at, known.signing_in)
    assert row_of({"name": "git", "auth": {"next_attempt_at": "soon"}}) is not None
