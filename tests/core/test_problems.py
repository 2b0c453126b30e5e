"""Problems shown to people and logs: short, printable, and never a token."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.replies import FORM, GOTRUE, HTML, JSON, WALL, outcome_of
from trayapp.core.classify import classify, problem_of
from trayapp.core.outcomes import Ambiguous, Answer, Fault, NotSent, Refreshed, Refused, ServerBusy


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

    outcome = outcome_of(400, {"error": "invalid_grant", "error_description": described})
    assert isinstance(outcome, Refused)
    assert summary == outcome.problem.summary


def test_a_long_description_is_cut() -> None:
    """120 characters of it, and 200 in all."""

    outcome = outcome_of(400, {"error": "invalid_grant", "error_description": "word " * 100})
    assert isinstance(outcome, Refused)
    assert len(outcome.problem.summary) <= 200
    assert outcome.problem.summary.endswith("word word…")


def test_a_forms_description_is_not_shown() -> None:
    """Only a JSON verdict explains itself."""

    outcome = outcome_of(400, b"error=invalid_grant&error_description=hello", FORM)
    assert isinstance(outcome, Refused)
    assert outcome.problem.summary == "The server no longer accepts this login (invalid_grant)."


def test_a_quirk_keeps_the_servers_word() -> None:
    """People can look up the server's own code; the one in the field is the standard's."""

    outcome = outcome_of(400, GOTRUE)
    assert isinstance(outcome, Refused)
    assert (
        outcome.problem.summary
        == "The server no longer accepts this login (refresh_token_not_found). It says: Invalid Refresh Token"
    )


def test_interaction_required_has_its_own_summary() -> None:
    """A second factor or consent is distinguished from a lost login."""

    outcome = outcome_of(400, {"error": "consent_required"})
    assert isinstance(outcome, Refused)
    assert outcome.problem.summary == "The server requires you to sign in again (consent_required)."


@pytest.mark.parametrize(
    ("kind", "detail", "summary"),
    [
        ("dns", "secret detail", "Can't find the sign-in server. Check your network, VPN and the address."),
        (
            "tls",
            "",
            "No secure connection to the sign-in server. A VPN, firewall or Wi-Fi sign-in page can cause this.",
        ),
        (
            "tls",
            "self-signed certificate.",
            "No secure connection to the sign-in server (self-signed certificate). A VPN, firewall or Wi-Fi "
            "sign-in page can cause this.",
        ),
        ("proxy", "at https://proxy/", "The HTTP proxy blocked the request. Check the proxy settings."),
        ("timeout", "x", "No answer from the sign-in server in time."),
        ("request", "bad port", "Couldn't make the request (bad port)."),
        ("meteor", "a stone fell", "The request failed (a stone fell)."),
    ],
)
def test_fault_summaries(kind: str, detail: str, summary: str) -> None:
    """Each kind has its sentence, with the transport's own reason in brackets where it helps and is fit to show."""

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


@pytest.mark.parametrize("token", ["rt-5d1f-ZZ2-abcDEF123456ghiJKL7890", "xoxe-1-My0xLTQ3", "1a2b3c4d5e6f7a8b9c0d"])
def test_an_error_code_that_may_be_a_token_is_dropped(token: str) -> None:
    """Some servers send the refresh token back as the error."""

    outcome = outcome_of(400, {"error": token})
    assert isinstance(outcome, ServerBusy)
    assert token not in repr(outcome)
    assert not outcome.problem.code


@pytest.mark.parametrize("code", ["temporarily_unavailable", "oauth2_token_endpoint_failure", "AADSTS50076"])
def test_an_error_code_of_words_is_kept(code: str) -> None:
    """However long it is."""

    outcome = outcome_of(400, {"error": code})
    assert isinstance(outcome, ServerBusy)
    assert code == outcome.problem.code
