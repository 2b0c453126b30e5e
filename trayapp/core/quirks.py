"""What single providers do differently, as data: verdicts in words of their own, and how long a spent token is forgiven.

A row here is a verdict that the standard's words would miss or misname; whatever has no row is judged by `classify.py`
alone. The provider is told by the token endpoint's host. Nothing here is needed for a server that keeps to RFC 6749.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

# Host or parent domain of the token endpoint → provider.
HOSTS: Mapping[str, str] = {
    "github.com": "github",
    "ghe.com": "github",  # GitHub Enterprise with data residency
    "slack.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "atlassian.com": "atlassian",
    "supabase.co": "supabase",
    "supabase.com": "supabase",
    "auth.openai.com": "openai",
    "okta.com": "okta",
    "oktapreview.com": "okta",
    "okta-emea.com": "okta",
    "zitadel.cloud": "zitadel",
}

# How long, in seconds, a refresh token that was just rotated may be sent again (FIELD.md 3.1 names the sources).
# Only what is the same for every customer of a provider stands here: a grace that each tenant sets is unknown.
GRACE: Mapping[str, float] = {
    "atlassian": 600.0,  # made for lost answers; the access token of the old pair dies with it
    "okta": 30.0,
    "supabase": 10.0,
    "github": 0.0,
    "zitadel": 0.0,
}


@dataclass(frozen=True, slots=True)
class Quirk:
    """A verdict in a provider's own words: which answers it covers, and the standard code that it means."""

    provider: str  # empty: whoever says it
    statuses: tuple[int, ...]
    field: str  # of the JSON or form body; "a.b" is the field b of the object a
    values: frozenset[str]
    means: str  # the code of RFC 6749 section 5.2, or the server's own where the standard has none
    says: str = ""  # only if the error_description contains this (lower case)


_NO = (400, 401, 403)

QUIRKS: tuple[Quirk, ...] = (
    # https://docs.github.com/apps: every answer is a 200, errors too.
    Quirk("github", (200,), "error", frozenset({"bad_refresh_token"}), "invalid_grant"),
    Quirk("github", (200,), "error", frozenset({"incorrect_client_credentials"}), "invalid_client"),
    # https://docs.slack.dev: 200 {"ok": false, "error": …}.
    Quirk(
        "slack",
        (200,),
        "error",
        frozenset({"invalid_refresh_token", "invalid_grant", "token_expired", "token_revoked", "account_inactive"}),
        "invalid_grant",
    ),
    Quirk("slack", (200,), "error", frozenset({"bad_client_secret", "invalid_client_id"}), "invalid_client"),
    # https://github.com/supabase/auth/issues/2829; others run the same server under names of their own.
    Quirk(
        "",
        _NO,
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
        "openai",
        _NO,
        "error.code",
        frozenset({"refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"}),
        "invalid_grant",
    ),
    # https://github.com/openai/codex/issues/27165: it is the login that is gone, not the registration (M16).
    Quirk(
        "atlassian",
        _NO,
        "error",
        frozenset({"unauthorized_client"}),
        "invalid_grant",
        says="refresh_token is invalid",
    ),
    # https://github.com/member-gentei/member-gentei/issues/18: a spent token is called a bad request.
    Quirk("discord", _NO, "error", frozenset({"invalid_request"}), "invalid_grant", says='invalid "refresh_token"'),
    # Entra and others, from OpenID Connect Core 3.1.2.6: a second factor, a consent. Waiting will not bring it.
    Quirk(
        "",
        _NO,
        "error",
        frozenset({"interaction_required", "login_required", "consent_required"}),
        "interaction_required",
    ),
)


def quirk_for(token_endpoint: str) -> str:
    """The provider behind a token endpoint; empty when it has no peculiarities that are known."""
    try:
        host = (urlsplit(token_endpoint).hostname or "").rstrip(".")
    except ValueError:  # an address such as http://[oops
        return ""
    labels = host.split(".")
    return next((HOSTS[name] for i in range(len(labels)) if (name := ".".join(labels[i:])) in HOSTS), "")


def grace_of(provider: str) -> float | None:
    """How long a spent refresh token is forgiven, in seconds: 0 is known none, None is unknown (M9)."""
    return GRACE.get(provider)


def verdict(provider: str, status: int, body: Mapping[str, object]) -> tuple[str, str] | None:
    """The standard code that this answer means and the server's own word for it; None where no row fits."""
    for quirk in QUIRKS:
        if quirk.provider not in ("", provider) or status not in quirk.statuses:
            continue
        word = _field(body, quirk.field)
        if word in quirk.values and quirk.says in str(body.get("error_description", "")).lower():
            return quirk.means, word
    return None


def _field(body: Mapping[str, object], path: str) -> str:
    """The text at `path`, empty where there is none."""
    value: object = body
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
