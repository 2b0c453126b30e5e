"""Device codes and user codes (RFC 8628): issued, decided by a person, polled by a client. No HTTP here.

A client that polls faster than the interval is told `slow_down` and has broken a rule.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from trayapp.oauthtest.checks import Checks, Rule
from trayapp.oauthtest.grants import Grant, Grants, OAuthError
from trayapp.oauthtest.settings import ServerSettings

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1: no vowels, so no words
SLOW_DOWN_STEP = 5.0  # s that each slow_down adds (section 3.5)
POLL_TOLERANCE = 0.05  # s; a poll that is early by no more than this is forgiven


@dataclass(slots=True)
class PendingDevice:
    """One device code. `polled_at` is the time of the latest poll, on the settings' clock."""

    user_code: str
    scope: str
    resource: str
    expires_at: float
    interval: float
    approved: bool | None = None
    polled_at: float | None = None
    spent: bool = field(default=False)


class Devices:
    """The issued codes. Not thread-safe: its owner locks."""

    def __init__(self, settings: ServerSettings, grants: Grants, checks: Checks) -> None:
        self._settings = settings
        self._grants = grants
        self._checks = checks
        self._by_device: dict[str, PendingDevice] = {}
        self._by_user: dict[str, PendingDevice] = {}

    def begin(self, scope: str, resource: str) -> tuple[str, PendingDevice]:
        """Issue a new pair of codes."""
        settings = self._settings
        halves = ["".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(2)]
        expires_at = settings.clock() + settings.device_lifetime
        pending = PendingDevice("-".join(halves), scope, resource, expires_at, settings.device_interval)
        code = self._grants.token("dc")
        self._by_device[code] = self._by_user[pending.user_code] = pending
        return code, pending

    def decide(self, user_code: str, approved: bool) -> None:
        """A person entered the code. Raises `KeyError` for a code that was never issued or has expired."""
        pending = self._by_user[user_code.strip().upper()]
        if pending.spent or self._settings.clock() > pending.expires_at:
            raise KeyError(user_code)
        pending.approved = approved

    def pending_user_codes(self) -> tuple[str, ...]:
        """The user codes that nobody has entered yet, oldest first."""
        now = self._settings.clock()
        return tuple(w.user_code for w in self._by_user.values() if w.approved is None and now <= w.expires_at)

    def redeem(self, device_code: str, resource: str | None) -> Grant:
        """The grant (section 3.5). Raises `OAuthError` with the reason why there is none, or none yet."""
        pending = self._by_device.get(device_code)
        if pending is None or pending.spent:
            raise OAuthError("invalid_grant", "The device code is not known")
        if self._settings.resource is not None and resource not in (None, pending.resource):
            self._checks.note(Rule.WRONG_RESOURCE, "a device token request with another resource")
            raise OAuthError("invalid_target", "resource is not known")
        self._check_interval(pending)
        if self._settings.clock() > pending.expires_at:
            raise OAuthError("expired_token", "The device code has expired")
        if pending.approved is None:
            raise OAuthError("authorization_pending", "Nobody has entered the code yet")
        pending.spent = True
        if not pending.approved:
            raise OAuthError("access_denied", "The user said no")
        return self._grants.issue(pending.scope, self._settings.subject)

    def _check_interval(self, pending: PendingDevice) -> None:
        now, settings = self._settings.clock(), self._settings
        last_poll, pending.polled_at = pending.polled_at, now
        if last_poll is not None and now - last_poll < pending.interval - POLL_TOLERANCE:
            self._checks.note(Rule.POLLED_TOO_FAST, f"polled after {now - last_poll:.2f} s of {pending.interval:g}")
            raise self._slow_down(pending)
        if settings.device_slow_downs > 0:
            settings.device_slow_downs -= 1
            raise self._slow_down(pending)

    @staticmethod
    def _slow_down(pending: PendingDevice) -> OAuthError:
        pending.interval += SLOW_DOWN_STEP
        return OAuthError("slow_down", "Ask less often")
