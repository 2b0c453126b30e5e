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
SLOWER = 5.0  # s; section 3.5
EARLY = 0.05  # s; two clocks, one network


@dataclass(slots=True)
class PendingDevice:
    """One device code. `asked` is when it was polled last, on the settings' clock."""

    user_code: str
    scope: str
    resource: str
    ends: float
    interval: float
    agreed: bool | None = None
    asked: float | None = None
    spent: bool = field(default=False)


class Devices:
    """The codes that were given out. Not locked: its owner is."""

    def __init__(self, settings: ServerSettings, grants: Grants, checks: Checks) -> None:
        self._settings = settings
        self._grants = grants
        self._checks = checks
        self._by_device: dict[str, PendingDevice] = {}
        self._by_user: dict[str, PendingDevice] = {}

    def begin(self, scope: str, resource: str) -> tuple[str, PendingDevice]:
        """A new pair of codes."""
        settings = self._settings
        half = ["".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(2)]
        ends = settings.clock() + settings.device_lifetime
        waiting = PendingDevice("-".join(half), scope, resource, ends, settings.device_interval)
        code = self._grants.token("dc")
        self._by_device[code] = self._by_user[waiting.user_code] = waiting
        return code, waiting

    def decide(self, user_code: str, agreed: bool) -> None:
        """A person has typed the code. Raises `KeyError` for one that nobody gave out or that has ended."""
        waiting = self._by_user[user_code.strip().upper()]
        if waiting.spent or self._settings.clock() > waiting.ends:
            raise KeyError(user_code)
        waiting.agreed = agreed

    def waiting(self) -> tuple[str, ...]:
        """The user codes that nobody has typed yet, oldest first."""
        now = self._settings.clock()
        return tuple(w.user_code for w in self._by_user.values() if w.agreed is None and now <= w.ends)

    def redeem(self, device_code: str, resource: str | None) -> Grant:
        """Section 3.5: the grant, or `OAuthError` with the reason why not (yet)."""
        waiting = self._by_device.get(device_code)
        if waiting is None or waiting.spent:
            raise OAuthError("invalid_grant", "The device code is not known")
        if self._settings.resource is not None and resource not in (None, waiting.resource):
            self._checks.note(Rule.WRONG_RESOURCE, "a device token request with another resource")
            raise OAuthError("invalid_target", "resource is not known")
        self._not_too_fast(waiting)
        if self._settings.clock() > waiting.ends:
            raise OAuthError("expired_token", "The device code has expired")
        if waiting.agreed is None:
            raise OAuthError("authorization_pending", "Nobody has entered the code yet")
        waiting.spent = True
        if not waiting.agreed:
            raise OAuthError("access_denied", "The user said no")
        return self._grants.issue(waiting.scope, self._settings.subject)

    def _not_too_fast(self, waiting: PendingDevice) -> None:
        now, settings = self._settings.clock(), self._settings
        before, waiting.asked = waiting.asked, now
        if before is not None and now - before < waiting.interval - EARLY:
            self._checks.note(Rule.POLLED_TOO_FAST, f"polled after {now - before:.2f} s of {waiting.interval:g}")
            raise self._slower(waiting)
        if settings.device_slow_downs > 0:
            settings.device_slow_downs -= 1
            raise self._slower(waiting)

    @staticmethod
    def _slower(waiting: PendingDevice) -> OAuthError:
        waiting.interval += SLOWER
        return OAuthError("slow_down", "Ask less often")
