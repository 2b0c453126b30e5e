"""Classification of token endpoint replies: eight rows, and the first match is the outcome."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.core.replies import FORM, HTML, HTML_PAGE, JSON, answer, outcome_of
from trayapp.core.classify import FAULTS, VERDICTS, classify
from trayapp.core.model import Secret
from trayapp.core.outcomes import Ambiguous, Answer, Fault, NotSent, Refreshed, Refused, ServerBusy

# --- rows 1 and 2 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*FAULTS, "never heard of"])
@pytest.mark.parametrize("sent", [False, True])
def test_a_fault_is_not_sent_or_ambiguous(kind: str, sent: bool) -> None:
    """Whether the token left decides, not how it failed; no fault ends a login."""

    outcome = classify(Fault(sent, kind, ""))
    assert isinstance(outcome, Ambiguous if sent else NotSent)
    assert outcome.problem.kind == kind


def test_a_proxy_that_wants_a_login_kept_the_token() -> None:
    """407 comes from the proxy on our side of the network."""

    outcome = outcome_of(407, HTML_PAGE, HTML)
    assert isinstance(outcome, NotSent)
    assert outcome.problem.summary == "The HTTP proxy requires a sign-in (407). Check the proxy settings."


# --- row 3 -----------------------------------------------------------------------------------------------------------

FULL = {"access_token": "at-1", "refresh_token": "rt-2", "expires_in": 3600, "scope": "a b", "id_token": "e.y.J"}


def test_a_full_answer() -> None:
    """Everything that RFC 6749 section 5.1 offers is taken."""

    assert outcome_of(200, FULL) == Refreshed(Secret("at-1"), Secret("rt-2"), 3600.0, "a b", Secret("e.y.J"))


def test_a_bare_answer() -> None:
    """An access token is enough."""

    assert outcome_of(200, {"access_token": "at-1"}) == Refreshed(Secret("at-1"))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b'\xef\xbb\xbf{"access_token": "at-1"}', JSON),
        (200, b'{"access_token": "at-1"}', HTML),  # the content is what counts
        (200, b'{"access_token": "at-1"}', ""),
        (201, b'{"access_token": "at-1"}', JSON),
        (200, b"access_token=at-1&token_type=bearer", FORM),
        (200, b'{"error": "odd", "access_token": "at-1"}', JSON),
    ],
)
def test_an_access_token_counts_however_it_is_packed(status: int, body: bytes, kind: str) -> None:
    """A token that was given must not be thrown away: the old login may be spent."""

    outcome = outcome_of(status, body, kind)
    assert isinstance(outcome, Refreshed)
    assert outcome.access_token == Secret("at-1")


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (3600, 3600.0),
        (59.5, 59.5),
        ("3600", 3600.0),
        (" 3600 ", 3600.0),
        ("soon", None),
        ("", None),
        ("-5", None),
        ("9" * 400, None),  # beyond all floats
        (0, None),
        ("0", None),
        (-1, None),
        (True, None),
        (None, None),
        ([3600], None),
        (10**400, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_an_odd_lifetime_counts_as_not_said(expires_in: object, seconds: float | None) -> None:
    """`expires_in` is a positive number or its digits; anything else never fails the refresh (M1)."""

    outcome = outcome_of(200, {"access_token": "at-1", "expires_in": expires_in})
    assert isinstance(outcome, Refreshed)
    assert outcome.expires_in == seconds


@pytest.mark.parametrize("token", ["", None, 5, ["rt"], "rt 2", "rt\n2", "rt\u00e9", "rt\u200b", "\ud800"])
def test_an_unusable_refresh_token_counts_as_not_given(token: object) -> None:
    """Then the old refresh token stays in use (RFC 6749 section 6)."""

    outcome = outcome_of(200, {"access_token": "at-1", "refresh_token": token})
    assert isinstance(outcome, Refreshed)
    assert outcome.refresh_token is None


@pytest.mark.parametrize("scope", [["a", "b"], 5, None, "a\nb", "é"])
def test_an_odd_scope_counts_as_not_said(scope: object) -> None:
    """So the scope of the login stays."""

    outcome = outcome_of(200, {"access_token": "at-1", "scope": scope})
    assert isinstance(outcome, Refreshed)
    assert outcome.scope is None


# --- row 5 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"access_token": "at', JSON),
        (b"", JSON),
        (b'  {"access_token": "at', "text/plain"),  # it looks like JSON
        (b"[1,", ""),
        (b"[" * 200_000, JSON),  # nested without end
        (b"\xff\xfe\xfd", "application/problem+json"),
        (b'{"n": ' + b"9" * 5000 + b"}", JSON),  # more digits than Python reads
    ],
)
def test_a_damaged_success_may_have_spent_the_token(body: bytes, kind: str) -> None:
    """A 200 that claims or looks like JSON but isn't was damaged on its way."""

    outcome = outcome_of(200, body, kind)
    assert isinstance(outcome, Ambiguous)
    assert outcome.problem.http_status == 200


# --- row 6 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("code", sorted(VERDICTS))
def test_known_error_codes_are_verdicts(status: int, code: str) -> None:
    """A known code, in JSON or in a form, under one of three statuses, ends the login."""

    for reply in (answer(status, {"error": code}), answer(status, f"error={code}&x=1".encode(), FORM)):
        outcome = classify(reply)
        assert isinstance(outcome, Refused)
        assert (outcome.problem.kind, outcome.problem.http_status, outcome.problem.code) == ("oauth", status, code)


@pytest.mark.parametrize("kind", ["", "text/plain"])
def test_a_form_that_calls_itself_text_is_read(kind: str) -> None:
    """Old servers answer in a form and call it text."""

    assert isinstance(outcome_of(400, b"error=invalid_grant", kind), Refused)


@pytest.mark.parametrize(
    "reply",
    [
        answer(400, b"<p>error=invalid_grant</p>", "text/plain"),
        answer(400, b"error=invalid_grant", HTML),
        answer(400, b"error=invalid_grant", JSON),
        answer(400, "invalid_grant"),
        answer(400, ["invalid_grant"]),
        answer(400, {"error": {"code": "invalid_grant"}}),
        answer(400, {"error": ["invalid_grant"]}),
        answer(400, {"error": "Invalid_Grant"}),
        answer(400, {"message": "invalid_grant"}),
        answer(404, {"error": "invalid_grant"}),
        answer(500, {"error": "invalid_grant"}),
        answer(503, {"error": "invalid_grant"}),
        answer(200, {"error": "invalid_grant"}),
    ],
)
def test_lookalikes_are_no_verdicts(reply: Answer) -> None:
    """An error code in a web page, in a nested object or with another status ends no login."""

    assert isinstance(classify(reply), ServerBusy)


@pytest.mark.parametrize("code", sorted(VERDICTS))
def test_a_proven_200_is_a_verdict_like_a_400(code: str) -> None:
    """Some servers answer everything with 200; nobody on the way can have said it (core/outcomes.py, `verified`)."""

    for reply in (answer(200, {"error": code}), answer(200, f"error={code}".encode(), FORM)):
        assert isinstance(classify(reply), ServerBusy)
        outcome = classify(replace(reply, verified=True))
        assert isinstance(outcome, Refused)
        assert code == outcome.problem.code


@pytest.mark.parametrize(
    "reply",
    [
        answer(200, {"error": "access_denied"}),
        answer(200, b"error=invalid_grant", HTML),
        answer(200, {"error": {"code": "invalid_grant"}}),
        answer(201, {"error": "invalid_grant"}),
        answer(204, {"error": "invalid_grant"}),
        answer(404, {"error": "invalid_grant"}),
        answer(500, {"error": "invalid_grant"}),
        answer(302, {"error": "invalid_grant"}),
    ],
)
def test_nothing_else_becomes_a_verdict_by_being_proven(reply: Answer) -> None:
    """Only the codes of row 6, in JSON or a form, in a plain 200."""

    assert isinstance(classify(replace(reply, verified=True)), ServerBusy)


def test_a_token_beside_an_error_is_a_token() -> None:
    """Row 3 comes first, proven or not."""

    reply = replace(answer(200, {"error": "invalid_grant", "access_token": "at-1"}), verified=True)
    assert isinstance(classify(reply), Refreshed)


def test_a_proven_redirect_is_said_to_be_the_servers() -> None:
    """A captive portal has no certificate for that name."""

    outcome = classify(replace(answer(302, b"", ""), verified=True))
    assert isinstance(outcome, ServerBusy)
    assert "Its endpoint may have moved." in outcome.problem.summary


# --- rows 7 and 8 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "spent"), [(502, True), (504, True), (500, False), (503, False)])
def test_a_gateway_leaves_doubt(status: int, spent: bool) -> None:
    """Behind a 502 or 504 the server may have acted."""

    outcome = outcome_of(status, HTML_PAGE, HTML)
    assert isinstance(outcome, ServerBusy)
    assert outcome.maybe_spent is spent


GOLDEN = [
    (403, HTML_PAGE, HTML, "http", False, "A firewall or proxy blocked the request (403)."),
    (403, {"message": "Forbidden"}, JSON, "http", False, "The server returned an unexpected answer (403)."),
    (403, {"error": "Forbidden"}, JSON, "oauth", False, 'The server returned "Forbidden" (403), which doesn\'t end the login.'),
    (400, {"error": "invalid_dpop_proof"}, JSON, "oauth", False, "The server didn't accept the login's proof (invalid_dpop_proof). Check this computer's clock."),
    (400, {"error": "temporarily_unavailable"}, JSON, "oauth", False, 'The server returned "temporarily_unavailable" (400), which doesn\'t end the login.'),
    (400, {"error": "two words"}, JSON, "http", False, "The server returned an unexpected answer (400)."),
    (429, {"message": "slow"}, JSON, "http", False, "The server is limiting requests (429)."),
    (500, b"", "", "http", False, "The server has a problem of its own (500)."),
    (404, b"", "", "http", False, "The server returned an unexpected answer (404)."),
    (100, b"", "", "http", False, "The server returned an unexpected answer (100)."),
    (200, {"foo": "bar"}, JSON, "http", False, "The server's answer has no access token (200)."),
    (200, {"access_token": ""}, JSON, "http", False, "The server's answer has no access token (200)."),
    (200, {"access_token": "a\nb"}, JSON, "http", False, "The server's answer has no access token (200)."),
    (200, [1], JSON, "http", False, "The server's answer has no access token (200)."),
    (204, b"", "", "http", False, "The server's answer has no access token (204)."),
    (200, HTML_PAGE, HTML, "portal", True, "A web page was returned instead of an answer (200), probably by a firewall or a Wi-Fi sign-in page."),
    (200, b"  <html>", "text/plain", "portal", True, "A web page was returned instead of an answer (200), probably by a firewall or a Wi-Fi sign-in page."),
    (511, HTML_PAGE, HTML, "portal", True, "A web page was returned instead of an answer (511), probably by a firewall or a Wi-Fi sign-in page."),
    (302, b"", "", "portal", True, "The network redirected the request (302). It may ask you to sign in to Wi-Fi."),
    (307, HTML_PAGE, HTML, "portal", True, "The network redirected the request (307). It may ask you to sign in to Wi-Fi."),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "problem", "portal", "summary"), GOLDEN)
def test_everything_else_means_later(
    status: int, body: object, kind: str, problem: str, portal: bool, summary: str
) -> None:
    """Neither a token nor a verdict: it is tried again, and people read why."""

    outcome = outcome_of(status, body, kind)
    assert isinstance(outcome, ServerBusy)
    seen = outcome.problem
    assert (problem, portal, summary, status) == (seen.kind, outcome.portal, seen.summary, seen.http_status)


def test_a_new_refresh_token_without_an_access_token_is_kept() -> None:
    """A 200 without an access token may still have rotated the refresh token."""

    outcome = outcome_of(200, {"refresh_token": "rt-2"})
    assert isinstance(outcome, ServerBusy)
    assert outcome.refresh_token == Secret("rt-2")


@pytest.mark.parametrize("reply", [answer(400, {"refresh_token": "rt-2"}), answer(200, b"refresh_token=rt-2", FORM)])
def test_a_refresh_token_in_an_error_or_a_form_is_not_kept(reply: Answer) -> None:
    """An error or a form does not replace a login by its refresh token alone."""

    outcome = classify(reply)
    assert isinstance(outcome, ServerBusy)
    assert outcome.refresh_token is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "120"}, 120.0),
        ({"retry_after": " 1.5 "}, 1.5),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "9" * 400}, None),
        ({"retry_after": "١٢"}, None),  # digits, but not those of HTTP
        ({"retry_after": "Sun, 06 Nov 1994 08:50:37 GMT"}, 60.0),
        ({"retry_after": "Sunday, 06-Nov-94 08:50:37 GMT"}, 60.0),
        ({"retry_after": "Sun Nov  6 08:50:37 1994"}, 60.0),
        ({"retry_after": "Sun, 06 Nov 1994 08:48:37 GMT"}, None),  # over already
        ({"retry_after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": "Sun, 06 Nov 1994 08:50:07 GMT"}, 30.0),
        ({"retry_after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": "noon"}, 60.0),
        ({"retry_after": "Sun, 06 Nov 1994 08:50:37 +9999999999999"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, or a date measured against the server's own `Date` (M12)."""

    outcome = outcome_of(503, b"", "", **headers)
    assert isinstance(outcome, ServerBusy)
    assert seconds == outcome.retry_after


def test_a_date_without_a_zone_is_not_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest form of an HTTP date names no zone and means UTC, wherever the machine stands."""

    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "XYZ-5")
        getattr(time, "tzset", lambda: None)()
        outcome = outcome_of(503, b"", "", retry_after="Sun Nov  6 08:50:37 1994")
    getattr(time, "tzset", lambda: None)()
    assert isinstance(outcome, ServerBusy)
    assert outcome.retry_after == 60.0
