"""Provider quirks of a sign-in: scopes, `resource`, additional parameters; and the use of grace periods."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import access, login
from trayapp.core.model import Moment, Phase, Problem, Spec, Workload
from trayapp.core.outcomes import Ambiguous
from trayapp.core.providers import PROVIDERS
from trayapp.core.quirks import (
    accepts_resource,
    comparable_scopes,
    extra_authorization_parameters,
    no_refresh_help,
    own_scope,
    refresh_resource,
    refresh_scope,
    scope_parameter,
    secret_in_body,
)
from trayapp.core.retry import plan

ENTRA = "https://login.microsoftonline.com/common/oauth2/v2.0/token"
ENTRA_V1 = "https://login.microsoftonline.com/common/oauth2/token"
GOOGLE = "https://oauth2.googleapis.com/token"
ATLASSIAN = "https://auth.atlassian.com/oauth/token"
AUTH0 = "https://t.us.auth0.com/oauth/token"
LINEAR = "https://api.linear.app/oauth/token"
GITHUB = "https://github.com/login/oauth/access_token"
KEYCLOAK = "https://sso.example/realms/a/protocol/openid-connect/token"
PLAIN = "https://as.example/token"
API = "https://api.example/"

# RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8707, RFC 9126, OpenID Connect Core 3.1.2.1
PROTECTIVE = {
    "response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method",
    "resource", "request", "request_uri", "response_mode", "nonce",
}  # fmt: skip


@pytest.mark.parametrize(
    ("endpoint", "scopes", "asked"),
    [
        (ENTRA, ("api://x/read",), "api://x/read offline_access"),
        (ENTRA, ("offline_access", "User.Read"), "offline_access User.Read"),
        (ENTRA, (), ""),
        (ATLASSIAN, ("read:jira-work",), "read:jira-work offline_access"),
        ("https://a.okta.com/oauth2/v1/token", ("openid",), "openid offline_access"),
        (AUTH0, ("read:x",), "read:x offline_access"),
        ("https://x.zitadel.cloud/oauth/v2/token", ("openid",), "openid offline_access"),
        (LINEAR, ("read", "write"), "read,write"),
        ("https://accounts.zoho.eu/oauth/v2/token", ("A.b.ALL", "C.d.READ"), "A.b.ALL,C.d.READ"),
        (KEYCLOAK, ("openid",), "openid"),  # an offline session is the person's own choice
        (GOOGLE, ("openid",), "openid"),
        (PLAIN, ("a", "b"), "a b"),
    ],
)
def test_the_scope_that_brings_a_refresh_token_is_asked_for(endpoint: str, scopes: tuple[str, ...], asked: str) -> None:
    """Where a provider needs one, and only beside scopes that were requested."""

    assert asked == scope_parameter(endpoint, scopes)


@pytest.mark.parametrize(
    ("endpoint", "wanted"),
    [
        (ENTRA, False),
        ("https://t.b2clogin.com/t.onmicrosoft.com/policy/oauth2/v2.0/token", False),
        (ENTRA_V1, True),
        ("https://as.example/common/oauth2/v2.0/token", True),  # somebody else's path proves nothing
        (GOOGLE, True),
        (PLAIN, True),
        ("https://[oops", True),
    ],
)
def test_resource_is_left_out_only_where_it_is_refused(endpoint: str, wanted: bool) -> None:
    """Entra's v2 endpoints answer AADSTS9010010 to it; v1 needs it."""

    assert wanted is accepts_resource(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "extras"),
    [
        (GOOGLE, {"access_type": "offline", "prompt": "consent"}),
        (ATLASSIAN, {"audience": "api.atlassian.com", "prompt": "consent"}),
        ("https://mcp.atlassian.com/v1/token", {}),
        (AUTH0, {"audience": API}),
        ("https://api.notion.com/v1/oauth/token", {"owner": "user"}),
        (ENTRA, {}),
        (PLAIN, {}),
    ],
)
def test_additional_parameters(endpoint: str, extras: dict[str, str]) -> None:
    """The sign-in pages of these providers need more than the standard says."""

    assert extras == extra_authorization_parameters(endpoint, API)


GUID = "c36500af-a8df-4f5e-92e2-b006a1b2e8aa"


@pytest.mark.parametrize(
    ("endpoint", "old", "new", "same"),
    [
        (ENTRA, f"api://{GUID}/a openid", f"openid {GUID}/a", True),
        (ENTRA, f"api://{GUID}/a", f"{GUID}/b", False),
        (PLAIN, f"api://{GUID}/a", f"{GUID}/a", False),  # elsewhere these are two scopes
        (PLAIN, "a b", "b a", True),
    ],
)
def test_one_scope_in_two_forms_is_the_same(endpoint: str, old: str, new: str, same: bool) -> None:
    """Entra answers in the form that it was asked in, so a refresh may change the form of a login's scopes."""

    assert same is (comparable_scopes(endpoint, old, GUID) == comparable_scopes(endpoint, new, GUID))


@pytest.mark.parametrize(
    ("endpoint", "granted", "named"),
    [
        (ENTRA, f"api://{GUID}/read", f"{GUID}/read offline_access"),
        (ENTRA, f"{GUID}/read offline_access", f"{GUID}/read offline_access"),
        (ENTRA, f"openid api://{GUID}/read User.Read", f"openid {GUID}/read offline_access"),  # one resource at a time
        (ENTRA, f"api://corp.example/{GUID}/tab", f"{GUID}/tab offline_access"),
        (ENTRA, "api://notes/read", "api://notes/read offline_access"),  # nothing says which GUID that is
        (ENTRA, "https://graph.microsoft.com/a b", "https://graph.microsoft.com/a b offline_access"),
        (ENTRA, "openid", "openid offline_access"),
        (ENTRA, "", ""),
        (ENTRA_V1, f"api://{GUID}/read", ""),
        ("https://tracker.example/hub/api/rest/oauth2/token", "Hub YouTrack", "Hub YouTrack"),
        (GOOGLE, "openid email", ""),
        (PLAIN, "a b", ""),
    ],
)
def test_a_refresh_names_scopes_only_where_it_must(endpoint: str, granted: str, named: str) -> None:
    """Everywhere else the server knows what it granted (RFC 6749 section 6)."""

    assert named == refresh_scope(endpoint, granted, GUID)


def test_a_client_that_is_no_guid_is_put_into_no_scope() -> None:
    """Only Entra's own client ids name an app."""

    assert "api://corp.example/c/tab offline_access" == refresh_scope(ENTRA, "api://corp.example/c/tab", "c")


SELF = b'{"error":"invalid_request","error_description":"AADSTS90009: requesting a token for itself."}'


@pytest.mark.parametrize(
    ("endpoint", "scope", "client", "answer", "own"),
    [
        (ENTRA, "api://notes/read offline_access", GUID, SELF, f"{GUID}/read offline_access"),
        (ENTRA, f"{GUID}/read offline_access", GUID, SELF, ""),  # that was it
        (ENTRA, "api://notes/read", "no-guid", SELF, ""),
        (ENTRA, "api://notes/read", GUID, b'{"error":"invalid_request"}', ""),
        (PLAIN, "api://notes/read", GUID, SELF, ""),
    ],
)
def test_an_entra_app_that_asks_for_itself(endpoint: str, scope: str, client: str, answer: bytes, own: str) -> None:
    """Only where Entra says so, and only if that is another scope than the one that was refused."""

    assert own == own_scope(endpoint, scope, client, answer)


@pytest.mark.parametrize(
    ("endpoint", "resource", "named"),
    [
        (ENTRA_V1, f"api://{GUID}", GUID),
        (ENTRA_V1, f"api://{GUID}/", GUID),
        (ENTRA_V1, "api://notes", "api://notes"),
        (ENTRA_V1, "https://api.example/", "https://api.example/"),
    ],
)
def test_entra_v1_names_the_app_by_guid_too(endpoint: str, resource: str, named: str) -> None:
    """v1 has no scopes; there it's the resource."""

    assert named == refresh_resource(endpoint, resource, GUID)


def test_where_a_client_secret_goes() -> None:
    """Into the body only where the provider takes it nowhere else."""

    assert secret_in_body("https://api.hubapi.com/oauth/v1/token")
    assert not secret_in_body(GITHUB)
    assert not secret_in_body(PLAIN)


def test_the_resource_of_a_refresh_stays_what_it_was_elsewhere() -> None:
    """Only Entra knows `api://` addresses."""

    assert f"api://{GUID}" == refresh_resource(PLAIN, f"api://{GUID}", GUID)
    assert API == refresh_resource(ENTRA_V1, API, GUID)


def test_without_a_resource_there_is_no_audience() -> None:
    """Auth0 then chooses the tenant's default."""

    assert {} == extra_authorization_parameters(AUTH0)


def test_no_parameter_of_a_row_stands_in_for_one_that_protects() -> None:
    """A quirk never loosens security."""

    for row in PROVIDERS:
        assert not PROTECTIVE & row.authorization_parameters.keys(), row.name


def test_what_to_do_without_a_refresh_token() -> None:
    """Where it is known how to get one, that is shown; the tokens of GitHub's OAuth apps need none."""

    assert "don't expire" in no_refresh_help(GITHUB)
    assert "token rotation" in no_refresh_help("https://slack.com/api/oauth.v2.access")
    assert "" == no_refresh_help(PLAIN)


@pytest.mark.parametrize(
    ("endpoint", "delay"),
    [
        (GITHUB, 440.0),  # known to give no grace: used up first, until its last minute
        (LINEAR, 0.0),
        (ENTRA, 0.0),
        (PLAIN, 0.0),  # unknown: the quick rescue
    ],
)
def test_the_same_token_is_sent_again_immediately_unless_there_is_no_grace(endpoint: str, delay: float) -> None:
    """M9: at a provider without grace the second use would end the login, so the usable token comes first."""

    now = Moment(1000.0, 1000.0, 1000.0)
    w = Workload(
        Spec("w", API), phase=Phase.REFRESHING, login=login(endpoint=endpoint), access=access(1, 500.0), slots_read=True
    )
    w = replace(w, maybe_spent=True, marked_at=now.at)
    assert delay == plan(w, Ambiguous(Problem("timeout", "lost")), now, 0.5).delay
