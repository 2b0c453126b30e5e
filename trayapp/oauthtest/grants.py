"""Grants of the authorization server: codes, families of refresh tokens, access tokens. No HTTP here.

A *family* is one sign-in and everything rotated from it. A refresh token is live, or spent at a certain time. A spent
one is honoured again during the grace; after that it betrays a theft, and the whole family is revoked (RFC 9700 section
4.14.2).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from trayapp.oauthtest.settings import ServerSettings

LIFETIME = 3600.0  # s that an access token really lasts if the announced lifetime is odd


class OAuthError(Exception):
    """The server's "no", as in RFC 6749 section 5.2: an error code and a sentence without any secret."""

    def __init__(self, code: str, text: str, status: int = 400) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of one sign-in or refresh. `refresh_token` is None if the server doesn't rotate."""

    family: str
    scope: str
    subject: str | None
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    nonce: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client requested at the authorization endpoint; a code stands for it."""

    challenge: str = field(repr=False)
    state: str = field(repr=False)
    redirect_uri: str = field(repr=False)
    scope: str
    resource: str
    nonce: str = field(repr=False)
    jkt: str = ""  # RFC 9449 section 10: the key that the code is bound to


@dataclass(slots=True)
class _Family:
    name: str
    scope: str
    subject: str | None
    nonce: str = field(repr=False)
    newest: str = field(default="", repr=False)
    live: bool = True


@dataclass(slots=True)
class _Refresh:
    family: _Family
    spent_at: float | None = None
    presented: bool = False
    successors: list[_Refresh] = field(default_factory=list, repr=False)


@dataclass(slots=True)
class _Code:
    request: AuthorizationRequest
    expires: float
    family: _Family | None = None
    used: bool = False


class Grants:
    """Everything that was ever issued. Not thread-safe: its owner locks. Times are seconds on the settings' clock."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._families: dict[str, _Family] = {}
        self._refresh: dict[str, _Refresh] = {}
        self._access: dict[str, tuple[_Family, float]] = {}
        self._codes: dict[str, _Code] = {}

    def token(self, kind: str) -> str:
        """A new random string that contains the canary."""
        return "-".join(part for part in (kind, self._settings.canary, secrets.token_urlsafe(24)) if part)

    # --- codes ---------------------------------------------------------------------------------------------------

    def issue_code(self, request: AuthorizationRequest) -> str:
        """A code for this request, valid once and for `code_lifetime` seconds."""
        value = self.token("ac")
        self._codes[value] = _Code(request, self._settings.clock() + self._settings.code_lifetime)
        return value

    def consume_code(self, code: str) -> AuthorizationRequest:
        """The request that the code stands for; this uses it up. Raises `OAuthError`; a second use also revokes what
        the first gave."""
        stored = self._codes.get(code)
        if stored is None:
            raise OAuthError("invalid_grant", "The code is not known")
        if stored.used:
            if stored.family is not None:
                stored.family.live = False
            raise OAuthError("invalid_grant", "The code was used before")
        stored.used = True
        if self._settings.clock() > stored.expires:
            raise OAuthError("invalid_grant", "The code has expired")
        return stored.request

    def code_was_used(self, code: str) -> bool:
        """Whether the code was presented before."""
        stored = self._codes.get(code)
        return stored is not None and stored.used

    def redeem_code(self, code: str) -> Grant:
        """The login that a code is good for, after all checks."""
        stored = self._codes[code]
        request = stored.request
        grant = self.issue(request.scope, self._settings.subject, request.nonce)
        stored.family = self._families[grant.family]
        return grant

    # --- families ------------------------------------------------------------------------------------------------

    def issue(self, scope: str, subject: str | None, nonce: str = "") -> Grant:
        """Start a new family."""
        family = _Family(f"family-{len(self._families) + 1}", scope, subject, nonce)
        self._families[family.name] = family
        return self._issue_tokens(family, self._new_refresh_token(family))

    def refresh(self, token: str) -> Grant:
        """The next grant of the token's family. Raises `OAuthError`."""
        stored = self._refresh.get(token)
        if stored is None:
            raise OAuthError("invalid_grant", "The refresh token is not known")
        family = stored.family
        if not family.live:
            raise OAuthError("invalid_grant", "The grant was revoked")
        if stored.spent_at is not None and not self._in_grace(stored.spent_at):
            if self._settings.reuse_revokes_family:
                family.live = False
            raise OAuthError("invalid_grant", "The refresh token was used before")
        if self._settings.rotate is not True:
            return self._issue_tokens(family, token if self._settings.rotate == "same" else None)
        if stored.spent_at is None:
            stored.spent_at = self._settings.clock()
        successor = self._new_refresh_token(family)
        stored.successors.append(self._refresh[successor])
        return self._issue_tokens(family, successor)

    def present(self, token: str) -> tuple[str, bool]:
        """Note that a client presented this refresh token. Returns its family ("" if unknown) and whether it is stale:
        the client has presented a successor of it already and so must have known better."""
        stored = self._refresh.get(token)
        if stored is None:
            return "", False
        stored.presented = True
        return stored.family.name, any(successor.presented for successor in stored.successors)

    def scope_of(self, token: str) -> str | None:
        """The scope of a refresh token's family; None if the token is unknown."""
        stored = self._refresh.get(token)
        return None if stored is None else stored.family.scope

    def revoke(self, token: str) -> bool:
        """Revoke a token (RFC 7009): a refresh token takes its family along, an access token only itself. Whether it
        was known."""
        if token in self._refresh:
            self._refresh[token].family.live = False
            return True
        return self._access.pop(token, None) is not None

    def end(self, family: str) -> None:
        """Revoke one family. Raises `KeyError` if there is none of that name."""
        self._families[family].live = False

    def live(self) -> tuple[str, ...]:
        """The names of the families that can still be refreshed, oldest first."""
        return tuple(family.name for family in self._families.values() if family.live)

    def current(self, family: str) -> str:
        """The newest refresh token of a family. Raises `KeyError`."""
        return self._families[family].newest

    def valid_access(self, token: str) -> bool:
        """Whether a resource would accept this access token now."""
        family, expires = self._access.get(token, (None, 0.0))
        return family is not None and family.live and self._settings.clock() < expires

    def code_key(self, code: str) -> str:
        """The key that a code is bound to; empty if to none."""
        return self._codes[code].request.jkt if code in self._codes else ""

    def family_of(self, token: str) -> str:
        """The family of a refresh token or access token; empty if it is unknown."""
        if token in self._refresh:
            return self._refresh[token].family.name
        return self._access[token][0].name if token in self._access else ""

    def _in_grace(self, spent_at: float) -> bool:
        grace = self._settings.grace
        return grace > 0 and self._settings.clock() - spent_at <= grace

    def _new_refresh_token(self, family: _Family) -> str:
        family.newest = self.token("rt")
        self._refresh[family.newest] = _Refresh(family)
        return family.newest

    def _issue_tokens(self, family: _Family, refresh_token: str | None) -> Grant:
        access = self.token("at")
        self._access[access] = (family, self._settings.clock() + real_lifetime(self._settings.access_token_lifetime))
        return Grant(family.name, family.scope, family.subject, access, refresh_token, family.nonce)


def real_lifetime(announced: object) -> float:
    """How long an access token lasts, in seconds: as announced if that is a positive number or the text of one."""
    if isinstance(announced, bool) or not isinstance(announced, int | float | str):
        return LIFETIME
    try:
        seconds = float(announced)
    except ValueError:
        return LIFETIME
    return seconds if seconds > 0 else LIFETIME
