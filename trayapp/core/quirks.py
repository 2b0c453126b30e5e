"""Provider quirks: which provider it is, what its refusals mean, and what its sign-in page needs.

The facts are rows of `providers.py`. A `Quirk` here is a verdict that the standard's codes would miss or misname;
whatever has no row is judged by `classify.py` alone. A provider is recognised by the token endpoint, the address a login
is bound to: by its host (whole labels), or, for servers that people run themselves, by its whole path. A server that
keeps to RFC 6749 needs nothing from here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from trayapp.core.providers import PROVIDERS, Provider

_BY_NAME: Mapping[str, Provider] = {row.name: row for row in PROVIDERS}
_BY_DOMAIN: Mapping[str, Provider] = {domain: row for row in PROVIDERS for domain in row.domains}
_STANDARD = Provider("")


@dataclass(frozen=True, slots=True)
class Quirk:
    """A verdict in a provider's own words: which responses it covers, and the standard code it means."""

    providers: frozenset[str]  # empty: any
    statuses: tuple[int, ...]
    field: str  # of the JSON or form body; "a.b" is the field b of the object a
    values: frozenset[str]  # "4011" covers the number 4011 too
    means: str  # the code of RFC 6749 section 5.2, or the server's own where the standard has none
    if_description_has: str = ""  # only if the error_description contains this (lower case)


_REFUSAL_STATUSES = (400, 401, 403)
_ANY_PROVIDER: frozenset[str] = frozenset()
_GITHUB = frozenset({"github", "github-own"})
_SLACK = frozenset({"slack"})

QUIRKS: tuple[Quirk, ...] = (
    # https://docs.github.com/apps: every response is a 200, errors too.
    Quirk(_GITHUB, (200,), "error", frozenset({"bad_refresh_token", "bad_verification_code"}), "invalid_grant"),
    Quirk(_GITHUB, (200,), "error", frozenset({"incorrect_client_credentials"}), "invalid_client"),
    Quirk(_GITHUB, (200,), "error", frozenset({"redirect_uri_mismatch"}), "invalid_request"),
    # https://github.com/woodpecker-ci/woodpecker/issues/5839: Gitea and Forgejo blame the client for a spent token (M16).
    Quirk(
        frozenset({"gitea", "github-own"}),
        _REFUSAL_STATUSES,
        "error",
        frozenset({"unauthorized_client"}),
        "invalid_grant",
        if_description_has="token was already used",
    ),
    # https://nango.dev/blog/hubspot-oauth-bad-refresh-token: no `error` at all, the code is in `status`.
    Quirk(frozenset({"hubspot"}), _REFUSAL_STATUSES, "status", frozenset({"BAD_REFRESH_TOKEN"}), "invalid_grant"),
    # https://github.com/Weble/ZohoBooksApi/issues/84: a 200, and a refresh token is called a code.
    Quirk(frozenset({"zoho"}), (200,), "error", frozenset({"invalid_code"}), "invalid_grant"),
    # https://dev.twitch.tv/docs/authentication/refresh-tokens: `error` is the name of the status.
    Quirk(frozenset({"twitch"}), _REFUSAL_STATUSES, "message", frozenset({"Invalid refresh token"}), "invalid_grant"),
    # https://docs.slack.dev: 200 {"ok": false, "error": …}.
    Quirk(
        _SLACK,
        (200,),
        "error",
        frozenset({"invalid_refresh_token", "invalid_grant", "token_expired", "token_revoked", "account_inactive"}),
        "invalid_grant",
    ),
    Quirk(_SLACK, (200,), "error", frozenset({"bad_client_secret", "invalid_client_id"}), "invalid_client"),
    # https://github.com/googleapis/google-api-nodejs-client/issues/1256
    Quirk(frozenset({"google"}), _REFUSAL_STATUSES, "error", frozenset({"deleted_client"}), "invalid_client"),
    # https://github.com/supabase/auth/issues/2829; others run the same server under their own names.
    Quirk(
        _ANY_PROVIDER,
        _REFUSAL_STATUSES,
        "error_code",
        frozenset(
            {
                "refresh_token_not_found",
                "refresh_token_already_used",
                "session_not_found",
                "session_expired",
                "user_banned",
                "user_not_found",
            }
        ),
        "invalid_grant",
    ),
    # https://github.com/openai/codex/issues/46028: the error is an object with a code of its own.
    Quirk(
        frozenset({"openai"}),
        _REFUSAL_STATUSES,
        "error.code",
        frozenset({"refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"}),
        "invalid_grant",
    ),
    # https://github.com/openai/codex/issues/27165: it is the login that is gone, not the registration (M16).
    Quirk(
        frozenset({"atlassian", "atlassian-mcp"}),
        _REFUSAL_STATUSES,
        "error",
        frozenset({"unauthorized_client"}),
        "invalid_grant",
        if_description_has="refresh_token is invalid",
    ),
    # https://github.com/member-gentei/member-gentei/issues/18: a spent token is called a bad request.
    Quirk(
        frozenset({"discord"}),
        _REFUSAL_STATUSES,
        "error",
        frozenset({"invalid_request"}),
        "invalid_grant",
        if_description_has='invalid "refresh_token"',
    ),
    # https://github.com/ory/hydra/issues/3004 (401 token_inactive) and https://github.com/GluuFederation/oxd/pull/289: words
    # for a spent or ended refresh token that can mean nothing else.
    Quirk(
        _ANY_PROVIDER,
        _REFUSAL_STATUSES,
        "error",
        frozenset({"token_inactive", "invalid_refresh_token"}),
        "invalid_grant",
    ),
    # Entra and others, from OpenID Connect Core 3.1.2.6: a second factor or consent is needed, so waiting won't help.
    Quirk(
        _ANY_PROVIDER,
        _REFUSAL_STATUSES,
        "error",
        frozenset({"interaction_required", "login_required", "consent_required"}),
        "interaction_required",
    ),
)


# --- who it is -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def provider_of(token_endpoint: str) -> str:
    """The name of the provider behind a token endpoint; empty if it has no row in `providers.py`."""
    try:
        parts = urlsplit(token_endpoint)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:  # an address such as http://[oops
        return ""
    labels = host.split(".")
    for i in range(len(labels)):  # the longest domain first
        if found := _BY_DOMAIN.get(".".join(labels[i:])):
            return found.name
    return next((row.name for row in PROVIDERS if row.path and row.path.fullmatch(parts.path)), "")


def grace_of(provider: str) -> float | None:
    """The grace period for a rotated refresh token, in seconds; 0: known to be none; None: unknown (M9)."""
    return _row_of(provider).grace


def may_recheck(token_endpoint: str) -> bool:
    """Whether a refused token may be sent again unasked (M7)."""
    return not _row_of(provider_of(token_endpoint)).no_recheck


# --- what a refusal means --------------------------------------------------------------------------------------------


def verdict(provider: str, status: int, body: Mapping[str, object]) -> tuple[str, str] | None:
    """The standard code that a response means and the server's own code; None if no row matches."""
    for quirk in QUIRKS:
        if (quirk.providers and provider not in quirk.providers) or status not in quirk.statuses:
            continue
        word = _text_at(body, quirk.field)
        if word in quirk.values and quirk.if_description_has in _text_at(body, "error_description").lower():
            return quirk.means, word
    return None


def is_temporary(provider: str, body: Mapping[str, object]) -> bool:
    """Whether the server says of its own refusal that it may end: Fastmail's, while an administrator locks the user out
    (https://www.fastmail.com/dev/)."""
    return provider == "fastmail" and body.get("temporary") is True


def refusal_text(provider: str, code: str, body: Mapping[str, object]) -> str:
    """What a refusal by this provider means, for people; empty if only the server's own description is available.

    `code` is the standard's. The text decides nothing, because a server's words may change at any time.
    """
    said = " ".join(_text_at(body, name) for name in ("error", "error_description", "error_subtype", "suberror", "msg"))
    for words in _row_of(provider).refusals:
        if words.code == code and (
            not words.if_description_has or any(text in said.lower() for text in words.if_description_has)
        ):
            return words.text
    return ""


def no_refresh_help(token_endpoint: str) -> str:
    """What a person can do if a sign-in brought no refresh token; empty if unknown."""
    return _row_of(provider_of(token_endpoint)).no_refresh_help


# --- what a sign-in asks for -----------------------------------------------------------------------------------------


def scope_parameter(token_endpoint: str, scopes: Sequence[str]) -> str:
    """The `scope` parameter of an authorization request, with the scope the provider wants for a refresh token.

    If no scope is requested, none is added: otherwise the server's default would become "offline access only".
    """
    row = _row_of(provider_of(token_endpoint))
    extra = (row.offline_scope,) if scopes and row.offline_scope and row.offline_scope not in scopes else ()
    return row.separator.join((*scopes, *extra))


def accepts_resource(token_endpoint: str) -> bool:
    """Whether requests may carry `resource` (RFC 8707). Most servers that don't know it ignore it; Entra's v2 endpoints
    reject it, because there the scopes name the resource."""
    pattern = _row_of(provider_of(token_endpoint)).no_resource
    return pattern is None or pattern.fullmatch(urlsplit(token_endpoint).path) is None


# --- what a token request says ---------------------------------------------------------------------------------------

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LOGIN_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})  # they belong to no resource
_GRAPH = "https://graph.microsoft.com"  # the resource of a scope that names none


def refresh_scope(token_endpoint: str, granted: str, client_id: str) -> str:
    """The `scope` parameter of a refresh; empty for all servers but the few that need one (RFC 6749 section 6).

    It names what was granted and nothing more: at Entra the scopes of one resource, in the form with its GUID.
    """
    row = _row_of(provider_of(token_endpoint))
    pattern, scopes = row.names_scope_at_refresh, granted.split()
    if pattern is None or not scopes or pattern.fullmatch(urlsplit(token_endpoint).path) is None:
        return ""
    own = [scope for scope in scopes if scope not in _LOGIN_SCOPES]
    first = _resource_of(own[0]) if own else ""  # one request is for one resource only
    named = [by_guid(s, client_id) for s in scopes if s in _LOGIN_SCOPES or _resource_of(s) == first]
    extra = [row.offline_scope] if row.offline_scope and row.offline_scope not in named else []
    return row.separator.join((*named, *extra))


def own_scope(token_endpoint: str, scope: str, client_id: str, answer: bytes) -> str:
    """The scope to ask for once more if Entra says that the app asks for itself by a name; empty otherwise.

    Its number decides nothing: the answer is a refusal either way, and one that spends no token.
    """
    if provider_of(token_endpoint) != "entra" or b"AADSTS90009" not in answer or not _GUID.fullmatch(client_id):
        return ""
    named = (s if s in _LOGIN_SCOPES else f"{client_id}/{s.rpartition('/')[2]}" for s in scope.split())
    own = " ".join(named)
    return "" if own == scope else own


def comparable_scopes(token_endpoint: str, scope: str, client_id: str) -> frozenset[str]:
    """The scopes of a login in one form, whichever of its forms the server answered with."""
    entra = provider_of(token_endpoint) == "entra"
    return frozenset(by_guid(one, client_id) if entra else one for one in scope.split())


def refresh_resource(token_endpoint: str, resource: str, client_id: str) -> str:
    """The `resource` of a refresh: Entra v1 gives an app a token for itself only by its GUID, like v2."""
    if provider_of(token_endpoint) != "entra":
        return resource
    return by_guid(f"{resource.rstrip('/')}/", client_id).rstrip("/") if resource.startswith("api://") else resource


def by_guid(scope: str, client_id: str) -> str:
    """An Entra scope with its app as GUID instead of an address, where the address holds that GUID."""
    if not scope.startswith("api://"):
        return scope
    app, _, name = scope.removeprefix("api://").rpartition("/")
    if _GUID.fullmatch(app):
        return f"{app}/{name}"
    return f"{client_id}/{name}" if _GUID.fullmatch(client_id) and client_id in app.split("/") else scope


def _resource_of(scope: str) -> str:
    resource = scope.rpartition("/")[0]
    return "" if resource == _GRAPH else resource


def secret_in_body(token_endpoint: str) -> bool:
    """Whether a client secret goes into the body where neither registration nor metadata says how."""
    return _row_of(provider_of(token_endpoint)).secret_in_body


# --- the rest of the authorization request ---------------------------------------------------------------------------


def extra_authorization_parameters(token_endpoint: str, resource: str = "") -> dict[str, str]:
    """The provider's additional parameters of an authorization request."""
    row = _row_of(provider_of(token_endpoint))
    return {**row.authorization_parameters, **({"audience": resource} if row.audience and resource else {})}


def _row_of(provider: str) -> Provider:
    return _BY_NAME.get(provider, _STANDARD)


def _text_at(body: Mapping[str, object], path: str) -> str:
    """The text at `path`, or an integer as its digits; empty if there is neither."""
    value: object = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
