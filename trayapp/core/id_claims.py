"""Claims of an ID token (OpenID Connect Core sections 2, 3.1.3.7 and 5.1): whom it is for, until when, and who signed in.

Nothing here looks at a signature; `oauth/idtoken.py` does when somebody signs in.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trayapp.core.model import Login, Secret

LEEWAY = 120.0  # s that two clocks may differ
SUBJECT_MAX = 255  # characters (section 2)
ACCOUNT_MAX = 254  # characters; no e-mail address is longer (RFC 5321 section 4.5.3.1.3)
ACCOUNT_CLAIMS = ("email", "preferred_username", "name")  # the first that can be shown is the account
BLANK = " \u115f\u1160\u2800\u3164\uffa0"  # counts as printable and shows nothing
CHECK_CLOCK = "Check this computer's clock."
ANOTHER_ISSUER = "another issuer"


@dataclass(frozen=True, slots=True)
class ExpectedClaims:
    """What an ID token has to say. An empty `issuer` means that none is known; `wall` is now."""

    client_id: str
    issuer: str = ""
    nonce: str = ""
    wall: float = 0.0


def claims_of(token: Secret) -> Mapping[str, Any] | None:
    """The claims of a token, not verified yet; None if it isn't a JSON Web Token."""
    return _decode(token, 1)


def algorithm_of(token: Secret) -> str:
    """The `alg` of the token's header; empty if there is none."""
    algorithm = (_decode(token, 0) or {}).get("alg")
    return algorithm if isinstance(algorithm, str) else ""


def _decode(token: Secret, number: int) -> Mapping[str, Any] | None:
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(urlsafe_b64decode(parts[number] + "=" * (-len(parts[number]) % 4)))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


# --- for whom, and when ----------------------------------------------------------------------------------------------


def mismatch(claims: Mapping[str, Any], expected: ExpectedClaims) -> str:
    """Whom else the token was made for, as the end of a sentence; empty if it is for us (items 2 to 5 and 11)."""
    if expected.issuer and not _same_issuer(claims.get("iss"), expected.issuer, claims):
        return ANOTHER_ISSUER
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in audiences:
        return "another client"
    # Several audiences without `azp` are accepted: Core's second errata dropped that rule, and providers send them.
    if claims.get("azp", expected.client_id) != expected.client_id:
        return "another client"
    if expected.nonce and claims.get("nonce") != expected.nonce:
        return "another sign-in"
    return ""


def _same_issuer(stated_issuer: object, issuer: str, claims: Mapping[str, Any]) -> bool:
    """Whether the issuers are equal, with two known exceptions: Google leaves `https://` out of old tokens, and
    Microsoft's metadata for all tenants says `{tenantid}` where a token has its tenant."""
    if stated_issuer == issuer:
        return True
    if issuer == "https://accounts.google.com":
        return stated_issuer == "accounts.google.com"
    tenant = claims.get("tid")
    return "{tenantid}" in issuer and isinstance(tenant, str) and stated_issuer == issuer.replace("{tenantid}", tenant)


def time_fault(claims: Mapping[str, Any], wall: float) -> str:
    """Why the token isn't valid now, as the end of a sentence; empty if it is (items 9 and 10)."""
    expires, not_before, issued = (_instant(claims.get(name)) for name in ("exp", "nbf", "iat"))
    if expires is None:
        return "the ID token has no expiry."
    if wall > expires + LEEWAY:
        return f"the ID token has already expired. {CHECK_CLOCK}"
    if max(not_before or 0.0, issued or 0.0) > wall + LEEWAY:
        return f"the ID token isn't valid yet. {CHECK_CLOCK}"
    return ""


def _instant(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


# --- who -------------------------------------------------------------------------------------------------------------


def subject_of(token: Secret | None) -> str:
    """The `sub` that the token claims, or an empty text."""
    return _subject((claims_of(token) if token else None) or {})


def account_of(token: Secret | None) -> str:
    """The account that the token claims, for people to read: an e-mail address, a user name or a name. Empty if there is
    none, or no subject whose it could be."""
    claims = (claims_of(token) if token else None) or {}
    return _account(claims) if _subject(claims) else ""


def account_text(value: object) -> str:
    """`value` on one line if it can be shown as an account; empty if it is no text, too long, blank, or has characters
    that hide or reorder others. Nothing is cut or taken out: what is left could be another address."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return text if len(text) <= ACCOUNT_MAX and text.isprintable() and text.strip(BLANK) else ""


def refreshed_account(login: Login, token: Secret | None, wall: float) -> str:
    """The account of a login after a refresh that brought this ID token.

    It has to be valid, for us and of the same subject, which a sign-in has verified (section 12.2). Its signature isn't
    verified: it comes straight from the token endpoint over TLS (section 3.1.3.7, item 6), and only a text changes. One
    that says less, as many do after a refresh, changes nothing.
    """
    if token is None or algorithm_of(token).lower() in ("", "none"):
        return login.account
    claims = claims_of(token) or {}
    same = bool(login.subject) and _subject(claims) == login.subject
    if not same or mismatch(claims, ExpectedClaims(login.client_id, login.issuer)) or time_fault(claims, wall):
        return login.account
    found = _account(claims)
    return login.account if not found or ("@" in login.account and "@" not in found) else found


def _subject(claims: Mapping[str, Any]) -> str:
    subject = claims.get("sub")
    showable = isinstance(subject, str) and len(subject) <= SUBJECT_MAX and subject.isprintable()
    return subject if showable and isinstance(subject, str) else ""


def _account(claims: Mapping[str, Any]) -> str:
    return next(filter(None, (account_text(claims.get(name)) for name in ACCOUNT_CLAIMS)), "")
