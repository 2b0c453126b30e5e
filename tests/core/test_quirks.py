"""What single providers do differently: verdicts in words of their own, and their grace."""

from __future__ import annotations

import pytest

from tests.core.replies import FORM, GOTRUE, answer, said
from trayapp.core.classify import classify, grace_of, quirk_for
from trayapp.core.messages import Answer, Refused, ServerBusy

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
