"""Client checks: each rule that the server watches has a name here, by which a test can allow breaking it.

A violation is only noted. Whether the request is refused as well is up to the endpoint; the test hears of it when it
leaves the server's context.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636 section 4.2: base64url of a SHA-256
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1
STATE_MIN = 22  # characters: 128 bits in base64url


class Rule(StrEnum):
    """Something that a well-behaved client never does."""

    BAD_FORM = "bad_form"  # wrong content type, no form, or a parameter sent twice
    WRONG_METHOD = "wrong_method"  # anything but POST at the token and revocation endpoints
    NO_USER_AGENT = "no_user_agent"
    SECRET_IN_URL = "secret_in_url"  # a secret in a query string, which ends up in somebody's log
    MISSING_PARAMETER = "missing_parameter"
    UNSUPPORTED = "unsupported"  # another grant or response type than the metadata names
    TWO_AUTHENTICATIONS = "two_authentications"  # Basic header and secret in the body (RFC 6749 section 2.3)
    PKCE_MISSING = "pkce_missing"
    PKCE_WRONG = "pkce_wrong"  # not S256, an illegal length, or a verifier that does not fit
    VERIFIER_REUSED = "verifier_reused"
    STATE_MISSING = "state_missing"
    STATE_WEAK = "state_weak"  # under 128 bits
    STATE_REUSED = "state_reused"
    BAD_REDIRECT = "bad_redirect"  # not http on a loopback literal with a port (RFC 8252 section 7.3)
    REDIRECT_CHANGED = "redirect_changed"  # another redirect_uri at the token endpoint
    WRONG_RESOURCE = "wrong_resource"  # RFC 8707
    CODE_REUSED = "code_reused"
    TWO_AT_ONCE = "two_at_once"  # two refresh requests of one family in flight
    STALE_TOKEN = "stale_token"  # a refresh token whose successor the client has already used
    REFUSED_AGAIN = "refused_again"  # a refresh token that this server has refused before
    POLLED_TOO_FAST = "polled_too_fast"  # RFC 8628 section 3.5
    ASSERTION_REUSED = "assertion_reused"  # RFC 7523 section 3
    BAD_PROOF = "bad_proof"  # RFC 9449 section 4.3
    NOT_PUSHED = "not_pushed"  # an authorization request in the address although it must be pushed (RFC 9126)
    REQUEST_URI_PUSHED = "request_uri_pushed"  # RFC 9126 section 2.1
    FOLLOWED_REDIRECT = "followed_redirect"  # from the token endpoint to a portal


@dataclass(frozen=True, slots=True)
class Violation:
    """One violation. `text` is a sentence without any secret."""

    rule: Rule
    text: str

    def __str__(self) -> str:
        return f"{self.rule.value}: {self.text}"


class ClientMisbehaved(AssertionError):  # noqa: N818 - it reads as the verdict that it is
    """The client broke rules; `violations` has them all."""

    def __init__(self, violations: Collection[Violation]) -> None:
        self.violations = tuple(violations)
        super().__init__("the OAuth client misbehaved:\n" + "\n".join(f"  - {violation}" for violation in violations))


class Checks:
    """The violations so far, and what must be remembered to notice some of them. Not thread-safe: its owner locks."""

    def __init__(self, allow: Collection[Rule]) -> None:
        self._allow = frozenset(allow)
        self._challenge_of: dict[str, str] = {}
        self._state_of: dict[str, str] = {}
        self._spent_states: set[str] = set()
        self._refused_tokens: set[str] = set()
        self.found: list[Violation] = []

    def note(self, rule: Rule, text: str) -> None:
        """Record a violation, unless the test allows it."""
        if rule not in self._allow:
            self.found.append(Violation(rule, text))

    def user_agent(self, value: str | None, where: str) -> None:
        """Every request names its sender; many firewalls block those that don't."""
        if not value:
            self.note(Rule.NO_USER_AGENT, f"a request to {where} without a User-Agent")

    def sign_in(self, state: str, challenge: str) -> None:
        """State and verifier belong together and to one sign-in. Opening the same page twice is no violation."""
        if len(state) < STATE_MIN:
            self.note(Rule.STATE_WEAK, f"a state of {len(state)} characters; 128 bits take {STATE_MIN}")
        if state in self._spent_states or self._challenge_of.setdefault(state, challenge) != challenge:
            self.note(Rule.STATE_REUSED, "one state served two sign-ins")
        if self._state_of.setdefault(challenge, state) != state:
            self.note(Rule.VERIFIER_REUSED, "one code_challenge served two sign-ins")

    def signed_in(self, state: str) -> None:
        """The code of this state was redeemed: from now on the state is spent."""
        self._spent_states.add(state)

    def refused(self, token_digest: str) -> None:
        """The server refused this refresh token with invalid_grant; sending it again is a violation."""
        if token_digest in self._refused_tokens:
            self.note(Rule.REFUSED_AGAIN, "a refresh token that was refused with invalid_grant was sent again")
        self._refused_tokens.add(token_digest)

    def finish(self) -> None:
        """Raise `ClientMisbehaved` if anything was noted."""
        if self.found:
            raise ClientMisbehaved(self.found)


def verifier_matches(verifier: str, challenge: str) -> bool:
    """Whether the challenge is the S256 transformation of the verifier (RFC 7636 section 4.6)."""
    computed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return computed == challenge
