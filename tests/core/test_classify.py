"""The classifier: eight rows, the quirks of providers, and what people and logs may see of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.core.classify import FAULTS, VERDICTS, classify, grace_of, problem_of, quirk_for
from trayapp.core.messages import Ambiguous, Answer, Fault, NotSent, Outcome, Refreshed, Refused, ServerBusy
from trayapp.core.model import Secret

JSON = "application/json; charset=utf-8"
HTML = "text/html"
FORM = "application/x-www-form-urlencoded"
WALL = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT
PAGE = b"<!doctype html><title>Blocked</title>"


def answer(status: int, body: object = b"", kind: str = JSON, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, ({"content-type": kind} if kind else {}) | named, data)


def said(status: int, body: object = b"", kind: str = JSON, provider: str = "", **headers: str) -> Outcome:
    return classify(answer(status, body, kind, **headers), provider, WALL)


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

    outcome = said(407, PAGE, HTML)
    assert isinstance(outcome, NotSent)
    assert outcome.problem.summary == "The HTTP proxy asks for a login (407): check the proxy settings."


# --- row 3 -----------------------------------------------------------------------------------------------------------

FULL = {"access_token": "at-1", "refresh_token": "rt-2", "expires_in": 3600, "scope": "a b", "id_token": "e.y.J"}


def test_a_full_answer() -> None:
    """Everything that RFC 6749 section 5.1 offers is taken."""

    assert said(200, FULL) == Refreshed(Secret("at-1"), Secret("rt-2"), 3600.0, "a b", Secret("e.y.J"))


def test_a_bare_answer() -> None:
    """An access token is enough."""

    assert said(200, {"access_token": "at-1"}) == Refreshed(Secret("at-1"))


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

    outcome = said(status, body, kind)
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

    outcome = said(200, {"access_token": "at-1", "expires_in": expires_in})
    assert isinstance(outcome, Refreshed)
    assert outcome.expires_in == seconds


@pytest.mark.parametrize("token", ["", None, 5, ["rt"], "rt 2", "rt\n2", "rt\u00e9", "rt\u200b", "\ud800"])
def test_an_unusable_refresh_token_counts_as_not_given(token: object) -> None:
    """The old one is kept then (RFC 6749 section 6)."""

    outcome = said(200, {"access_token": "at-1", "refresh_token": token})
    assert isinstance(outcome, Refreshed)
    assert outcome.refresh_token is None


@pytest.mark.parametrize("scope", [["a", "b"], 5, None, "a\nb", "é"])
def test_an_odd_scope_counts_as_not_said(scope: object) -> None:
    """So the scope of the login stays."""

    outcome = said(200, {"access_token": "at-1", "scope": scope})
    assert isinstance(outcome, Refreshed)
    assert outcome.scope is None


# --- row 4: quirks ---------------------------------------------------------------------------------------------------

GOTRUE = {"code": 400, "error_code": "refresh_token_not_found", "msg": "Invalid Refresh Token"}
REUSED = {"error": {"message": "used", "code": "refresh_token_reused"}}
SPENT = {"error": "invalid_request", "error_description": 'Invalid "refresh_token" in request.'}
JIRA = {"error": "unauthorized_client", "error_description": "refresh_token is invalid"}


@pytest.mark.parametrize(
    ("provider", "reply", "code"),
    [
        ("github", answer(200, {"error": "bad_refresh_token"}), "invalid_grant"),
        ("github", answer(200, b"error=bad_refresh_token&error_uri=x", FORM), "invalid_grant"),
        ("github", answer(200, {"error": "incorrect_client_credentials"}), "invalid_client"),
        ("slack", answer(200, {"ok": False, "error": "invalid_refresh_token"}), "invalid_grant"),
        ("slack", answer(200, {"ok": False, "error": "token_expired"}), "invalid_grant"),
        ("slack", answer(200, {"ok": False, "error": "bad_client_secret"}), "invalid_client"),
        ("supabase", answer(400, GOTRUE), "invalid_grant"),
        ("", answer(400, GOTRUE), "invalid_grant"),  # the same server under another name
        ("openai", answer(401, REUSED), "invalid_grant"),
        ("atlassian", answer(403, JIRA), "invalid_grant"),
        ("discord", answer(400, SPENT), "invalid_grant"),
        ("", answer(400, {"error": "interaction_required"}), "interaction_required"),
    ],
)
def test_verdicts_in_a_providers_own_words(provider: str, reply: Answer, code: str) -> None:
    """They end a login as the standard's words do, and carry the standard's code."""

    outcome = classify(reply, provider)
    assert isinstance(outcome, Refused)
    assert outcome.problem.code == code


@pytest.mark.parametrize(
    ("provider", "reply"),
    [
        ("", answer(200, {"error": "bad_refresh_token"})),  # not this provider
        ("slack", answer(200, {"ok": False, "error": "ratelimited"})),
        ("slack", answer(200, {"ok": False, "error": "internal_error"})),
        ("github", answer(500, {"error": "bad_refresh_token"})),  # not this status
        ("supabase", answer(429, {"error_code": "over_request_rate_limit"})),
        ("openai", answer(401, {"error": "text"})),
        ("openai", answer(401, {"error": {"code": 401}})),
    ],
)
def test_a_quirk_is_no_wider_than_its_row(provider: str, reply: Answer) -> None:
    """The same word from another provider, or with another status, ends nothing."""

    assert isinstance(classify(reply, provider), ServerBusy)


def test_the_description_decides_where_the_row_says_so() -> None:
    """Atlassian's `unauthorized_client` is about the client unless it speaks of the refresh token."""

    outcome = said(403, {"error": "unauthorized_client"}, provider="atlassian")
    assert isinstance(outcome, Refused)
    assert outcome.problem.code == "unauthorized_client"


@pytest.mark.parametrize(
    ("endpoint", "provider"),
    [
        ("https://github.com/login/oauth/access_token", "github"),
        ("https://acme.ghe.com/login/oauth/access_token", "github"),
        ("https://SLACK.com./api/oauth.v2.access", "slack"),
        ("https://abc.supabase.co/auth/v1/oauth/token", "supabase"),
        ("https://mcp.atlassian.com/v1/token", "atlassian"),
        ("https://notgithub.com/token", ""),
        ("https://github.com.example/token", ""),
        ("https://example.com/github.com", ""),
        ("https://[oops", ""),
        ("", ""),
    ],
)
def test_a_provider_is_known_by_its_host(endpoint: str, provider: str) -> None:
    """Whole labels of the host count, not parts of them."""

    assert provider == quirk_for(endpoint)


@pytest.mark.parametrize(
    ("provider", "grace"), [("atlassian", 600.0), ("okta", 30.0), ("github", 0.0), ("slack", None)]
)
def test_grace_is_known_unknown_or_none(provider: str, grace: float | None) -> None:
    """Zero is the knowledge that there is none; None is no knowledge (M9)."""

    assert grace == grace_of(provider)


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
    """A 200 that claims or looks like JSON and is none was an answer once."""

    outcome = said(200, body, kind)
    assert isinstance(outcome, Ambiguous)
    assert outcome.problem.http_status == 200


# --- row 6 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("code", sorted(VERDICTS))
def test_the_servers_own_no(status: int, code: str) -> None:
    """A known code, in JSON or in a form, under one of three statuses, ends the login."""

    for reply in (answer(status, {"error": code}), answer(status, f"error={code}&x=1".encode(), FORM)):
        outcome = classify(reply)
        assert isinstance(outcome, Refused)
        assert (outcome.problem.kind, outcome.problem.http_status, outcome.problem.code) == ("oauth", status, code)


@pytest.mark.parametrize("kind", ["", "text/plain"])
def test_a_form_without_its_name(kind: str) -> None:
    """Old servers answer in a form and call it text."""

    assert isinstance(said(400, b"error=invalid_grant", kind), Refused)


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
def test_what_only_resembles_a_no(reply: Answer) -> None:
    """The words in a page, in an object, in another status: none of it ends a login."""

    assert isinstance(classify(reply), ServerBusy)


# --- rows 7 and 8 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "spent"), [(502, True), (504, True), (500, False), (503, False)])
def test_a_gateway_leaves_doubt(status: int, spent: bool) -> None:
    """Behind a 502 or 504 the server may have acted."""

    outcome = said(status, PAGE, HTML)
    assert isinstance(outcome, ServerBusy)
    assert outcome.maybe_spent is spent


GOLDEN = [
    (403, PAGE, HTML, "http", False, "The server answered 403 with a web page: firewall, VPN or captive portal?"),
    (403, {"message": "Forbidden"}, JSON, "http", False, "The server answered 403 without a reason that Amberlight knows."),
    (403, {"error": "Forbidden"}, JSON, "oauth", False, 'The server answered 403 with "Forbidden", which is no verdict on the login.'),
    (400, {"error": "temporarily_unavailable"}, JSON, "oauth", False, 'The server answered 400 with "temporarily_unavailable", which is no verdict on the login.'),
    (400, {"error": "two words"}, JSON, "http", False, "The server answered 400 without a reason that Amberlight knows."),
    (429, {"message": "slow"}, JSON, "http", False, "The server asks for fewer requests (429)."),
    (500, b"", "", "http", False, "The server is in trouble itself (500)."),
    (404, b"", "", "http", False, "The server answered 404 without a reason that Amberlight knows."),
    (100, b"", "", "http", False, "The server answered 100 without a reason that Amberlight knows."),
    (200, {"foo": "bar"}, JSON, "http", False, "The server answered 200 without an access token."),
    (200, {"access_token": ""}, JSON, "http", False, "The server answered 200 without an access token."),
    (200, {"access_token": "a\nb"}, JSON, "http", False, "The server answered 200 without an access token."),
    (200, [1], JSON, "http", False, "The server answered 200 without an access token."),
    (204, b"", "", "http", False, "The server answered 204 without an access token."),
    (200, PAGE, HTML, "portal", True, "A web page came instead of an answer (200): captive portal or firewall?"),
    (200, b"  <html>", "text/plain", "portal", True, "A web page came instead of an answer (200): captive portal or firewall?"),
    (511, PAGE, HTML, "portal", True, "A web page came instead of an answer (511): captive portal or firewall?"),
    (302, b"", "", "portal", True, "The server answered 302, a redirect to another page: captive portal?"),
    (307, PAGE, HTML, "portal", True, "The server answered 307, a redirect to another page: captive portal?"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "problem", "portal", "summary"), GOLDEN)
def test_everything_else_means_later(
    status: int, body: object, kind: str, problem: str, portal: bool, summary: str
) -> None:
    """Neither a token nor a verdict: it is tried again, and people read why."""

    outcome = said(status, body, kind)
    assert isinstance(outcome, ServerBusy)
    seen = outcome.problem
    assert (problem, portal, summary, status) == (seen.kind, outcome.portal, seen.summary, seen.http_status)


def test_a_new_refresh_token_alone_is_kept() -> None:
    """A 200 without an access token may have replaced the login all the same."""

    outcome = said(200, {"refresh_token": "rt-2"})
    assert isinstance(outcome, ServerBusy)
    assert outcome.refresh_token == Secret("rt-2")


@pytest.mark.parametrize("reply", [answer(400, {"refresh_token": "rt-2"}), answer(200, b"refresh_token=rt-2", FORM)])
def test_a_refresh_token_in_anything_less_is_not(reply: Answer) -> None:
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
    """Seconds, or a date by the server's own clock if it tells it (M12)."""

    outcome = said(503, b"", "", **headers)
    assert isinstance(outcome, ServerBusy)
    assert seconds == outcome.retry_after


# --- what may be seen ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("described", "summary"),
    [
        ("Token has been revoked.", "The server no longer accepts this login (invalid_grant). It says: Token has been revoked."),
        ("Expired.\r\nTrace ID: 12345678-1234-1234-1234-123456789012", "The server no longer accepts this login (invalid_grant). It says: Expired."),
        ("\x1b[31mred\u202e  alert\x00", "The server no longer accepts this login (invalid_grant). It says: [31mred alert"),
        ("token eyJhbGciOiJIUzI1NiJ9.e30 is bad", "The server no longer accepts this login (invalid_grant)."),
        ("eyJhbGciOi\u200bJIUzI1NiJ9", "The server no longer accepts this login (invalid_grant)."),
        ("see https://a.b/c?d=e", "The server no longer accepts this login (invalid_grant)."),
        (["list"], "The server no longer accepts this login (invalid_grant)."),
        ("", "The server no longer accepts this login (invalid_grant)."),
        (" \n ", "The server no longer accepts this login (invalid_grant)."),
    ],
)  # fmt: skip
def test_a_description_is_shown_only_if_it_is_fit(described: object, summary: str) -> None:
    """Its first line, printable and short, and never what might be a token or an address."""

    outcome = said(400, {"error": "invalid_grant", "error_description": described})
    assert isinstance(outcome, Refused)
    assert summary == outcome.problem.summary


def test_a_long_description_is_cut() -> None:
    """120 characters of it, and 200 in all."""

    outcome = said(400, {"error": "invalid_grant", "error_description": "word " * 100})
    assert isinstance(outcome, Refused)
    assert len(outcome.problem.summary) <= 200
    assert outcome.problem.summary.endswith("word word…")


def test_a_forms_description_is_not_shown() -> None:
    """Only a JSON verdict explains itself."""

    outcome = said(400, b"error=invalid_grant&error_description=hello", FORM)
    assert isinstance(outcome, Refused)
    assert outcome.problem.summary == "The server no longer accepts this login (invalid_grant)."


def test_a_quirk_keeps_the_servers_word() -> None:
    """People can look the server's own word up; the code beside it is the standard's."""

    outcome = said(400, GOTRUE)
    assert isinstance(outcome, Refused)
    assert (
        outcome.problem.summary
        == "The server no longer accepts this login (refresh_token_not_found). It says: Invalid Refresh Token"
    )


def test_a_person_is_wanted() -> None:
    """A second factor or a consent is told from a lost login."""

    outcome = said(400, {"error": "consent_required"})
    assert isinstance(outcome, Refused)
    assert outcome.problem.summary == "The server wants you to sign in again in person (consent_required)."


@pytest.mark.parametrize(
    ("kind", "detail", "summary"),
    [
        ("dns", "secret detail", "The server's name could not be looked up: offline, VPN or DNS?"),
        ("tls", "", "The server's certificate is not trusted: VPN, inspection or captive portal?"),
        (
            "tls",
            "self-signed certificate.",
            "The server's certificate is not trusted: VPN, inspection or captive portal? (self-signed certificate)",
        ),
        ("proxy", "at https://proxy/", "The HTTP proxy did not let the request through: check the proxy settings."),
        ("timeout", "x", "The server did not answer in time."),
        ("meteor", "a stone fell", "The request failed. (a stone fell)"),
    ],
)
def test_faults_in_words(kind: str, detail: str, summary: str) -> None:
    """Each kind has its sentence; the transport's own reason stands in brackets where it helps and is fit to show."""

    problem = problem_of(Fault(False, kind, detail))
    assert (kind, summary, None) == (problem.kind, problem.summary, problem.http_status)


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        name: VALUES | st.sampled_from(["invalid_grant", "bad_refresh_token", "x" * 40])
        for name in ("access_token", "refresh_token", "expires_in", "scope", "error", "error_description", "error_code")
    },
)
BODIES = st.binary(max_size=200) | FIELDS.map(lambda fields: json.dumps(fields).encode())
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from([JSON, HTML, FORM, "text/plain", ";"]) | st.text(max_size=20),
        "retry-after": st.sampled_from(["5", "Sun, 06 Nov 1994 08:50:37 GMT"]) | st.text(max_size=30),
        "date": st.text(max_size=30),
    },
)
PROVIDERS = st.sampled_from(["", "github", "slack", "supabase", "atlassian", "discord", "openai"])


@given(st.integers(0, 999), HEADERS, BODIES, PROVIDERS)
def test_no_answer_raises_or_ends_a_login_without_a_verdict(
    status: int, headers: Mapping[str, str], body: bytes, provider: str
) -> None:
    """Whatever the bytes are: an outcome; a verdict only under its statuses; a summary that is short and printable."""

    outcome = classify(Answer(status, headers, body), provider, WALL)
    if isinstance(outcome, Refreshed):
        assert 200 <= status < 300
        assert outcome.access_token.reveal().isascii()
        return
    if isinstance(outcome, Refused):
        assert status in (400, 401, 403) or (status == 200 and provider in ("github", "slack"))
    assert len(outcome.problem.summary) <= 200
    assert outcome.problem.summary.isprintable()
    assert "x" * 20 not in outcome.problem.summary.replace("x" * 40 + '"', "")


@given(st.booleans(), st.text(max_size=20), st.text(max_size=300))
def test_no_fault_raises(sent: bool, kind: str, summary: str) -> None:
    """Whatever a transport says, the problem is short and printable."""

    outcome = classify(Fault(sent, kind, summary))
    assert isinstance(outcome, Ambiguous | NotSent)
    assert len(outcome.problem.summary) <= 200
    assert outcome.problem.summary.isprintable()
