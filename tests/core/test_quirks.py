"""Provider quirks: verdicts in their own codes, explanations, recognition by token endpoint, and grace periods.

The answers are shaped as they were published: in documentation, or in the issue that the row of the table names.
"""

from __future__ import annotations

import re

import pytest

from tests.core.replies import FORM, GOTRUE, HTML, answer, outcome_of
from trayapp.core import quirks
from trayapp.core.classify import SUMMARY_MAX, VERDICTS, classify
from trayapp.core.outcomes import Answer, Refused, ServerBusy
from trayapp.core.providers import PROVIDERS, Provider
from trayapp.core.quirks import QUIRKS, Quirk, grace_of, provider_of, refusal_text

REUSED = {"error": {"message": "used", "code": "refresh_token_reused"}}
SPENT = {"error": "invalid_request", "error_description": 'Invalid "refresh_token" in request.'}
JIRA = {"error": "unauthorized_client", "error_description": "refresh_token is invalid"}
DELETED = {"error": "deleted_client", "error_description": "The OAuth client was deleted."}


@pytest.mark.parametrize(
    ("provider", "reply", "code"),
    [
        ("github", answer(200, {"error": "bad_refresh_token"}), "invalid_grant"),
        ("github", answer(200, b"error=bad_refresh_token&error_uri=x", FORM), "invalid_grant"),
        ("github", answer(200, {"error": "bad_verification_code"}), "invalid_grant"),
        ("github", answer(200, {"error": "incorrect_client_credentials"}), "invalid_client"),
        ("github", answer(200, {"error": "redirect_uri_mismatch"}), "invalid_request"),
        ("google", answer(401, DELETED), "invalid_client"),
        ("slack", answer(200, {"ok": False, "error": "invalid_refresh_token"}), "invalid_grant"),
        ("slack", answer(200, {"ok": False, "error": "token_expired"}), "invalid_grant"),
        ("slack", answer(200, {"ok": False, "error": "bad_client_secret"}), "invalid_client"),
        ("supabase", answer(400, GOTRUE), "invalid_grant"),
        ("", answer(400, GOTRUE), "invalid_grant"),  # the same server under another name
        ("openai", answer(401, REUSED), "invalid_grant"),
        ("atlassian", answer(403, JIRA), "invalid_grant"),
        ("atlassian-mcp", answer(403, JIRA), "invalid_grant"),
        ("discord", answer(400, SPENT), "invalid_grant"),
        ("", answer(400, {"error": "interaction_required"}), "interaction_required"),
        ("", answer(401, {"error": "token_inactive"}), "invalid_grant"),
        ("", answer(401, {"error": "invalid_refresh_token"}), "invalid_grant"),
        ("hubspot", answer(400, {"status": "BAD_REFRESH_TOKEN"}), "invalid_grant"),
        ("github-own", answer(200, {"error": "bad_refresh_token"}), "invalid_grant"),
        ("zoho", answer(200, {"error": "invalid_code"}), "invalid_grant"),
        ("twitch", answer(400, {"error": "Bad Request", "message": "Invalid refresh token"}), "invalid_grant"),
    ],
)
def test_verdicts_in_a_providers_own_words(provider: str, reply: Answer, code: str) -> None:
    """They end a login as the standard's codes do, and carry the standard's code."""

    outcome = classify(reply, provider)
    assert isinstance(outcome, Refused)
    assert outcome.problem.code == code


@pytest.mark.parametrize(
    ("provider", "reply"),
    [
        ("", answer(200, {"error": "bad_refresh_token"})),  # not this provider
        ("", answer(401, DELETED)),
        ("", answer(400, {"status": "BAD_REFRESH_TOKEN"})),
        ("hubspot", answer(400, {"status": "error", "message": "missing or invalid refresh token"})),
        ("hubspot", answer(500, {"status": "BAD_REFRESH_TOKEN"})),
        ("hubspot", answer(429, {"status": "error", "errorType": "RATE_LIMIT"})),
        ("", answer(200, {"error": "invalid_code"})),
        ("twitch", answer(400, {"error": "Bad Request", "message": "missing client id"})),
        ("", answer(200, {"error": "token_inactive"})),
        ("slack", answer(200, {"ok": False, "error": "ratelimited"})),
        ("slack", answer(200, {"ok": False, "error": "internal_error"})),
        ("github", answer(500, {"error": "bad_refresh_token"})),  # not this status
        ("supabase", answer(429, {"error_code": "over_request_rate_limit"})),
        ("openai", answer(401, {"error": "text"})),
        ("openai", answer(401, {"error": {"code": 401}})),
        ("notion", answer(400, {"object": "error", "status": 400, "code": "validation_error"})),
        ("entra", answer(400, {"error": "temporarily_unavailable", "error_description": "AADSTS90033: transient"})),
        ("keycloak", answer(404, {"error": "Realm does not exist"})),
        ("okta", answer(429, {"errorCode": "E0000047", "errorSummary": "API call exceeded rate limit"})),
        ("auth0", answer(429, {"error": "access_denied", "error_description": "Global limit has been reached"})),
        ("zitadel", answer(403, b"<html>blocked</html>", HTML)),
    ],
)
def test_a_quirk_is_no_wider_than_its_row(provider: str, reply: Answer) -> None:
    """The same code from another provider, or with another status, ends nothing."""

    assert isinstance(classify(reply, provider), ServerBusy)


def test_a_refusal_that_is_called_temporary_ends_nothing() -> None:
    """Fastmail says so while an administrator has locked the user out; nobody else's word of that name counts, nor
    another value of it."""

    body = {"error": "invalid_grant", "error_description": "The user is locked.", "temporary": True}
    assert isinstance(classify(answer(400, body), "fastmail"), ServerBusy)
    assert isinstance(classify(answer(400, body), "okta"), Refused)
    assert isinstance(classify(answer(400, {**body, "temporary": "true"}), "fastmail"), Refused)
    assert isinstance(classify(answer(400, {"error": "invalid_grant"}), "fastmail"), Refused)


def test_the_description_decides_where_the_row_says_so() -> None:
    """Atlassian's `unauthorized_client` is about the client unless it speaks of the refresh token."""

    outcome = outcome_of(403, {"error": "unauthorized_client"}, provider="atlassian")
    assert isinstance(outcome, Refused)
    assert outcome.problem.code == "unauthorized_client"


@pytest.mark.parametrize(
    ("field", "reply"),
    [
        ("code", answer(400, {"code": 4011})),
        ("code", answer(400, {"code": "4011"})),
        ("code", answer(400, b"code=4011&message=x", FORM)),
        ("code", answer(400, {"code": 0})),
        ("code", answer(400, {"code": -32001})),
        ("error.code", answer(400, {"error": {"code": 4011, "message": "used"}})),
        ("error.code", answer(400, {"error": {"code": "4011"}})),
    ],
)
def test_a_row_covers_a_number_by_its_digits(field: str, reply: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A code that the server writes as a number ends a login like the same code written as a string."""

    row = Quirk(frozenset({"slack"}), (400,), field, frozenset({"4011", "0", "-32001"}), "invalid_grant")
    monkeypatch.setattr(quirks, "QUIRKS", (row,))
    outcome = classify(reply, "slack")

    assert isinstance(outcome, Refused)
    assert outcome.problem.code == "invalid_grant"


@pytest.mark.parametrize(
    "code",
    [True, False, None, 401, 40110, 4011.5, [4011], {"code": 4011}],
    ids=repr,
)
@pytest.mark.parametrize("field", ["code", "error.code"])
def test_what_only_resembles_the_number_ends_nothing(field: str, code: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """A truth value is no number, although Python counts it as 1 or 0; nor is a part of one, or a list of them."""

    values = frozenset({"4011", "1", "0", "True", "False", "None"})
    monkeypatch.setattr(quirks, "QUIRKS", (Quirk(frozenset({"slack"}), (400,), field, values, "invalid_grant"),))
    body = {"code": code} if field == "code" else {"error": {"code": code}}

    assert isinstance(classify(answer(400, body), "slack"), ServerBusy)


def test_the_number_is_shown_as_the_servers_own_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """People look up what the server said, whatever the standard calls it."""

    row = Quirk(frozenset({"slack"}), (400,), "code", frozenset({"4011"}), "invalid_grant")
    monkeypatch.setattr(quirks, "QUIRKS", (row,))
    outcome = classify(answer(400, {"code": 4011}), "slack")

    assert isinstance(outcome, Refused)
    assert "(4011)" in outcome.problem.summary


def grant(description: str, **more: object) -> dict[str, object]:
    return {"error": "invalid_grant", "error_description": description, **more}


AADSTS70043 = grant(
    "AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency checks by conditional access."
    " The token was issued on 2023-06-02T14:27:05.8405153Z and the maximum allowed lifetime is 86400.\r\nTrace ID: x",
    error_codes=[70043],
    suberror="token_expired",
)


@pytest.mark.parametrize(
    ("endpoint", "reply", "words"),
    [
        ("https://github.com/login/oauth/access_token", answer(200, {"error": "bad_refresh_token"}), "six months"),
        (
            "https://github.com/login/oauth/access_token",
            answer(200, {"error": "incorrect_client_credentials"}),
            "client secret",
        ),
        (
            "https://oauth2.googleapis.com/token",
            answer(400, grant("Token has been expired or revoked.")),
            "apps in testing after 7 days",
        ),
        (
            "https://oauth2.googleapis.com/token",
            answer(400, grant("reauth related error (invalid_rapt)", error_subtype="invalid_rapt")),
            "Workspace",
        ),
        ("https://oauth2.googleapis.com/token", answer(401, DELETED), "was deleted"),
        ("https://login.microsoftonline.com/common/oauth2/v2.0/token", answer(400, AADSTS70043), "at set times"),
        (
            "https://login.microsoftonline.com/t/oauth2/v2.0/token",
            answer(400, grant("AADSTS700082: The refresh token has expired due to inactivity.")),
            "90 days",
        ),
        (
            "https://login.microsoftonline.com/t/oauth2/v2.0/token",
            answer(400, grant("AADSTS50173: The provided grant has expired due to it being revoked.")),
            "password was changed",
        ),
        (
            "https://login.microsoftonline.com/t/oauth2/v2.0/token",
            answer(400, {"error": "interaction_required", "error_description": "AADSTS50076: multi-factor"}),
            "second factor",
        ),
        (
            "https://login.microsoftonline.com/t/oauth2/v2.0/token",
            answer(401, {"error": "invalid_client", "error_description": "AADSTS7000218: client_assertion"}),
            "public client flows",
        ),
        (
            "https://auth.atlassian.com/oauth/token",
            answer(403, grant("Unknown or invalid refresh token.")),
            "90 days without use",
        ),
        ("https://mcp.atlassian.com/v1/token", answer(403, JIRA), "It says: refresh_token is invalid"),
        ("https://slack.com/api/oauth.v2.access", answer(200, {"ok": False, "error": "invalid_refresh_token"}), "used"),
        ("https://mcp.notion.com/token", answer(400, grant("Grant not found")), "It says: Grant not found"),
        ("https://api.notion.com/v1/oauth/token", answer(401, {"error": "invalid_client"}), "client secret"),
        ("https://api.linear.app/oauth/token", answer(400, grant("Invalid refresh token")), "Invalid refresh token"),
        (
            "https://dev-1.okta.com/oauth2/default/v1/token",
            answer(400, grant("The refresh token is invalid or expired.")),
            "used twice",
        ),
        ("https://t.eu.auth0.com/oauth/token", answer(403, grant("Unknown or invalid refresh token.")), "used twice"),
        (
            "https://sso.example.org/auth/realms/main/protocol/openid-connect/token",
            answer(400, grant("Session not active")),
            "Add offline_access to scopes",
        ),
        (
            "https://sso.example.org/realms/main/protocol/openid-connect/token",
            answer(400, grant("Stale token")),
            "twice",
        ),
        (
            "https://sso.example.org/realms/main/protocol/openid-connect/token",
            answer(400, grant("Maximum allowed refresh token reuse exceeded")),
            "twice",
        ),
        ("https://abc.supabase.co/auth/v1/oauth/token", answer(400, GOTRUE), "ended the session"),
        ("https://db.example.org/auth/v1/token", answer(400, GOTRUE), "ended the session"),
        ("https://acme-1.zitadel.cloud/oauth/v2/token", answer(400, grant("Errors.Invalid")), "Errors.Invalid"),
        ("https://auth.openai.com/oauth/token", answer(401, REUSED), "refresh_token_reused"),
        ("https://discord.com/api/oauth2/token", answer(400, SPENT), "invalid_request"),
        ("https://api.fastmail.com/oauth/refresh", answer(400, {"error": "invalid_grant"}), "removed there"),
        ("https://git.corp.example/login/oauth/access_token", answer(200, {"error": "bad_refresh_token"}), "revoked"),
        (
            "https://codeberg.org/login/oauth/access_token",
            answer(400, {"error": "unauthorized_client", "error_description": "token was already used"}),
            "already used",
        ),
        (
            "https://login.microsoftonline.com/t/oauth2/v2.0/token",
            answer(400, {"error": "invalid_request", "error_description": "AADSTS90009: … a token for itself."}),
            "CLIENT_ID/NAME",
        ),
        ("https://api.hubapi.com/oauth/v1/token", answer(400, {"status": "BAD_REFRESH_TOKEN"}), "HubSpot account"),
        ("https://accounts.zoho.eu/oauth/v2/token", answer(200, {"error": "invalid_code"}), "another region"),
        ("https://id.twitch.tv/oauth2/token", answer(400, {"message": "Invalid refresh token"}), "disconnected"),
        (
            "https://tracker.corp.example/hub/api/rest/oauth2/token",
            answer(400, grant("Refresh token is invalid")),
            "Refresh token is invalid",
        ),
    ],
)
def test_a_refusal_is_explained(endpoint: str, reply: Answer, words: str) -> None:
    """Every provider's own "no" ends the login and is explained."""

    outcome = classify(reply, provider_of(endpoint))
    assert isinstance(outcome, Refused)
    assert words in outcome.problem.summary
    assert not outcome.problem.summary.endswith("…")


def test_every_provider_has_an_answer_above() -> None:
    """No row without a test."""

    cases = next(mark for mark in test_a_refusal_is_explained.pytestmark if mark.name == "parametrize").args[1]  # type: ignore[attr-defined]
    assert {row.name for row in PROVIDERS} == {provider_of(endpoint) for endpoint, _, _ in cases}


def test_refusal_texts_decide_nothing() -> None:
    """A code that its provider may change at any time makes no verdict of an answer that is none."""

    reply = answer(503, AADSTS70043)
    assert isinstance(classify(reply, "entra"), ServerBusy)


def test_refusal_texts_are_for_their_code_alone() -> None:
    """A verdict on the client is not explained with what ends logins."""

    assert "" == refusal_text("okta", "invalid_client", {})
    assert "" == refusal_text("", "invalid_grant", {})
    assert "" == refusal_text("keycloak", "invalid_grant", {"error_description": 7})


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: row.name)
def test_every_row_can_be_shown_and_is_cited(row: Provider) -> None:
    """The longest summary holds the text whole; every row names its sources; names are unique."""

    longest = max(
        len(word) for quirk in QUIRKS if not quirk.providers or row.name in quirk.providers for word in quirk.values
    )
    for words in row.refusals:
        meaning = VERDICTS.get(words.code, "The server requires you to sign in again")
        own = len(words.code) if len(words.text) + len(meaning) + longest > SUMMARY_MAX - 6 else longest
        assert len(meaning) + own + len(words.text) + 6 <= SUMMARY_MAX
        assert all(text == text.lower() for text in words.if_description_has)
    assert len("The server gave no refresh token. ") + len(row.no_refresh_help) <= SUMMARY_MAX
    assert row.sources
    assert all(re.match(r"https://", source) for source in row.sources)
    assert [row.name] == [other.name for other in PROVIDERS if other.name == row.name]
    assert row.domains or row.path


@pytest.mark.parametrize(
    ("endpoint", "provider"),
    [
        ("https://github.com/login/oauth/access_token", "github"),
        ("https://acme.ghe.com/login/oauth/access_token", "github"),
        ("https://SLACK.com./api/oauth.v2.access", "slack"),
        ("https://abc.supabase.co/auth/v1/oauth/token", "supabase"),
        ("https://auth.atlassian.com/oauth/token", "atlassian"),
        ("https://mcp.atlassian.com/v1/token", "atlassian-mcp"),
        ("https://cf.mcp.atlassian.com/v1/token", "atlassian-mcp"),
        ("https://mcp.linear.app/token", ""),
        ("https://notgithub.com/token", ""),
        ("https://github.com.example/token", ""),
        ("https://example.com/github.com", ""),
        ("https://example.com/?https://github.com/login", ""),
        ("https://github.com@example.com/token", ""),
        ("https://example.com/realms/main/protocol/openid-connect/token", "keycloak"),
        ("https://example.com/realms/main/protocol/openid-connect/token/x", ""),
        ("https://example.com/realms/a/b/protocol/openid-connect/token", ""),
        ("https://github.com/realms/main/protocol/openid-connect/token", "github"),
        ("https://example.com/x/auth/v1/token", "supabase-own"),
        ("https://accounts.zoho.com/oauth/v2/token", "zoho"),
        ("https://sso.example.org/oauth/v2/token", ""),  # a Zitadel's path, and Zoho's
        ("https://github.corp.example/login/oauth/access_token", "github-own"),
        ("https://git.corp.example/forge/login/oauth/access_token", "github-own"),
        ("https://git.corp.example/login/oauth/access_token/x", ""),
        ("https://codeberg.org/login/oauth/access_token", "gitea"),
        ("https://api-eu1.hubapi.com/oauth/v1/token", "hubspot"),
        ("https://[oops", ""),
        ("", ""),
    ],
)
def test_a_provider_is_known_by_its_host_or_its_whole_path(endpoint: str, provider: str) -> None:
    """Whole labels of the host count, not parts of them; a host that is known goes before any path."""

    assert provider == provider_of(endpoint)


@pytest.mark.parametrize(
    ("provider", "grace"),
    [
        ("atlassian", 600.0),
        ("linear", 1800.0),
        ("okta", 30.0),
        ("supabase", 10.0),
        ("github", 0.0),
        ("zitadel", 0.0),
        ("slack", None),
        ("auth0", None),
        ("atlassian-mcp", None),
        ("entra", None),
        ("", None),
    ],
)
def test_grace_is_known_unknown_or_none(provider: str, grace: float | None) -> None:
    """Zero is the knowledge that there is none; None is no knowledge (M9)."""

    assert grace == grace_of(provider)


def test_self_hosted_servers_have_no_known_grace() -> None:
    """The grace period of a self-hosted server isn't for a table to say."""

    assert not [row.name for row in PROVIDERS if row.path is not None and row.grace is not None]
