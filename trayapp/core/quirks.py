"""What single providers do differently is asked here: who it is, what a refusal means, and what a sign-in has to ask for.

The facts of each provider are rows of `providers.py`; a `Quirk` here is a verdict that the standard's words would miss
or misname, and whatever has no row is judged by `classify.py` alone. The provider is told by the token endpoint, the
address that a login is bound to: by its host (whole labels), or for servers that people run themselves by its whole
path. Nothing here is needed for a server that keeps to RFC 6749.
"""

from __future__ import annotations

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
    """A verdict in a provider's own words: which answers it covers, and the standard code that it means."""

    providers: frozenset[str]  # empty: whoever says it
    statuses: tuple[int, ...]
    field: str  # of the JSON or form body; "a.b" is the field b of the object a
    values: frozenset[str]  # "4011" covers the number 4011 too
    means: str  # the code of RFC 6749 section 5.2, or the server's own where the standard has none
    if_description_has: str = ""  # only if the error_description contains this (lower case)


_REFUSAL_STATUSES = (400, 401, 403)
_ANY_PROVIDER: frozenset[str] = frozenset()
_GITHUB = frozenset({"github"})
_SLACK = frozenset({"slack"})

QUIRKS: tuple[Quirk, ...] = (
    # https://docs.github.com/apps: every answer is a 200, errors too.
    Quirk(_GITHUB, (200,), "error", frozenset({"bad_refresh_token", "bad_verification_code"}), "invalid_grant"),
    Quirk(_GITHUB, (200,), "error", frozenset({"incorrect_client_credentials"}), "invalid_client"),
    Quirk(_GITHUB, (200,), "error", frozenset({"redirect_uri_mismatch"}), "invalid_request"),
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
    # https://github.com/supabase/auth/issues/2829; others run the same server under names of their own.
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
    # Entra and others, from OpenID Connect Core 3.1.2.6: a second factor, a consent. Waiting will not bring it.
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
    """The provider behind a token endpoint; empty when it has no peculiarities that are known."""
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
    """How long a spent refresh token is forgiven, in seconds: 0 is known none, None is unknown (M9)."""
    return _row_of(provider).grace


# --- what a refusal means --------------------------------------------------------------------------------------------


def verdict(provider: str, status: int, body: Mapping[str, object]) -> tuple[str, str] | None:
    """The standard code that this answer means and the server's own word for it; None where no row fits."""
    for quirk in QUIRKS:
        if (quirk.providers and provider not in quirk.providers) or status not in quirk.statuses:
            continue
        word = _text_at(body, quirk.field)
        if word in quirk.values and quirk.if_description_has in _text_at(body, "error_description").lower():
            return quirk.means, word
    return None


def refusal_text(provider: str, code: str, body: Mapping[str, object]) -> str:
    """What a refusal by this provider means, in a sentence for people; empty where its own words have to do.

    `code` is the standard's. It decides nothing: the words of a server may change at any time.
    """
    said = " ".join(_text_at(body, name) for name in ("error", "error_description", "error_subtype", "suberror", "msg"))
    for words in _row_of(provider).refusals:
        if words.code == code and (
            not words.if_description_has or any(text in said.lower() for text in words.if_description_has)
        ):
            return words.text
    return ""


def no_refresh_help(token_endpoint: str) -> str:
    """What a person can do where a sign-in brought no refresh token; empty where nothing is known."""
    return _row_of(provider_of(token_endpoint)).no_refresh_help


# --- what a sign-in asks for -----------------------------------------------------------------------------------------


def scope_parameter(token_endpoint: str, scopes: Sequence[str]) -> str:
    """The parameter `scope` of an authorization request, with the scope that brings a refresh token.

    Where no scope is asked for, none is added: the server's own choice would become "nothing but offline access".
    """
    row = _row_of(provider_of(token_endpoint))
    extra = (row.offline_scope,) if scopes and row.offline_scope and row.offline_scope not in scopes else ()
    return row.separator.join((*scopes, *extra))


def accepts_resource(token_endpoint: str) -> bool:
    """Whether requests may carry `resource` (RFC 8707). A server that knows it not ignores it; Entra's v2 refuses it,
    as there the scopes themselves name the resource."""
    pattern = _row_of(provider_of(token_endpoint)).no_resource
    return pattern is None or pattern.fullmatch(urlsplit(token_endpoint).path) is None


def extra_authorization_parameters(token_endpoint: str, resource: str = "") -> dict[str, str]:
    """Further parameters of an authorization request."""
    row = _row_of(provider_of(token_endpoint))
    return {**row.authorization_parameters, **({"audience": resource} if row.audience and resource else {})}


def _row_of(provider: str) -> Provider:
    return _BY_NAME.get(provider, _STANDARD)


def _text_at(body: Mapping[str, object], path: str) -> str:
    """The text at `path`, a whole number as its digits; empty where there is neither."""
    value: object = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
