"""Simulated authorization servers: what they honour is the ground truth of the checks.

A server issues families of refresh tokens. Where it rotates, a token is spent by its use; a spent token is accepted for
`grace` seconds, and after that its use revokes the whole family (RFC 9700 section 4.14.2).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from trayapp.core.outcomes import Answer

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
MARGIN = 10.0  # s before its end that a token that can't be renewed is no longer served (M1)
PAGE = b"<!DOCTYPE html><html><title>Access denied</title><p>Your request was blocked.</html>"


@dataclass
class Family:
    """All tokens that derive from one sign-in."""

    owner: str
    current: str
    siblings: set[str] = field(default_factory=set)  # issued for a spent token within its grace: valid beside `current`
    alive: bool = True
    ended: str = ""  # why it is not alive: "revoked" at the server, or "reuse"
    used: dict[str, float] = field(default_factory=dict)  # spent token → true time of its first use
    access: dict[str, float] = field(default_factory=dict)  # access token → true time of its end
    dead_access: set[str] = field(default_factory=set)  # rejected by the upstream before their end
    registration: int = 0  # which client it was made with
    scope: str = ""  # as granted, where a sign-in asked for more

    def holds(self, token: str) -> bool:
        """Whether it is unspent."""
        return token == self.current or token in self.siblings


@dataclass
class AuthServer:
    """One token endpoint. `style`: within its grace a spent token gets the "same" successor again, or a "new" one."""

    host: str
    rotates: bool
    grace: float
    life: float | None  # s of an access token; None: it does not say
    style: str = "same"
    vpn: str = ""  # what happens without the VPN: "waf" or "timeout"; empty: it needs none
    padding: int = 0  # extra characters in its refresh tokens
    rng: random.Random = field(default_factory=random.Random)
    families: list[Family] = field(default_factory=list)
    storms: list[str] = field(default_factory=list)  # its present troubles, the newest last
    made: int = 0
    renews: bool = True  # False: the login is the access token
    registration: int = 0  # which client signs in now
    forgotten: list[int] = field(default_factory=list)  # clients that it doesn't know at present
    errs_next: list[str] = field(default_factory=list)  # what begins with the next request (`login_plan.py`)
    blunders: list[str] = field(default_factory=list)  # what it calls every login, by mistake

    @property
    def endpoint(self) -> str:
        return f"https://{self.host}/token"

    def sign_in(self, owner: str, t: float) -> tuple[Family, str]:
        """A new family and its first access token."""
        while self.registration in self.forgotten:
            self.registration += 1  # the program registers another client
        family = Family(owner, self._new("rt"), registration=self.registration)
        self.families.append(family)
        access = self._access(family, t)
        if not self.renews:
            family.current = access
        return family, access

    def family_of(self, token: str) -> Family | None:
        return next((f for f in reversed(self.families) if token in f.used or f.holds(token)), None)

    def honours(self, token: str, t: float) -> bool:
        """Whether a refresh with this token would succeed now."""
        family = self.family_of(token)
        if family is None or not family.alive or family.registration in self.forgotten:
            return False
        if not self.renews:
            return t < family.access.get(token, 0.0) - MARGIN and token not in family.dead_access
        return family.holds(token) or t - family.used[token] <= self.grace

    def act(self, token: str, t: float) -> tuple[Answer, Family | None]:
        """Handle a refresh request."""
        family = self.family_of(token)
        if family is not None and family.registration in self.forgotten:
            return refusal("invalid_client"), family
        if family is None or not family.alive:
            return _refusal(), family
        if not self.honours(token, t):
            family.alive, family.ended = False, "reuse"
            return _refusal(), family
        body: dict[str, object] = {"access_token": self._access(family, t), "token_type": "Bearer"}
        if self.rotates:
            body["refresh_token"] = self._rotated(family, token, t)
        if self.life is not None:
            body["expires_in"] = self.life
        return Answer(200, JSON, json.dumps(body).encode()), family

    def _rotated(self, family: Family, token: str, t: float) -> str:
        """The successor of this token."""
        if family.holds(token):
            family.siblings.discard(token)
            family.used[token] = t
            if token != family.current:
                family.siblings.add(family.current)
            family.current = self._new("rt")
        elif self.style == "new":
            family.siblings.add(family.current)
            family.current = self._new("rt")
        return family.current

    def _new(self, kind: str) -> str:
        self.made += 1
        return f"{kind}-{self.host}-{self.made}" + ("x" * self.padding if kind == "rt" else "")

    def _access(self, family: Family, t: float) -> str:
        value = self._new("at")
        family.access = {v: end for v, end in family.access.items() if end > t - 86400.0}
        family.access[value] = t + (self.life if self.life is not None else 10 * 365 * 86400.0)
        return value


def _refusal() -> Answer:
    return Answer(400, JSON, b'{"error": "invalid_grant", "error_description": "unknown, expired or revoked"}')


def refusal(code: str) -> Answer:
    """What a server answers that doesn't know the client, or errs."""
    return Answer(401 if code == "invalid_client" else 400, JSON, json.dumps({"error": code}).encode())


def portal(kind: str) -> Answer:
    """What a captive portal answers in the server's place."""
    if kind == "redirect":
        return Answer(302, {"location": "http://portal.example/"}, b"")
    return Answer(200, HTML, PAGE)


def firewall() -> Answer:
    """What a web application firewall answers in the server's place."""
    return Answer(403, HTML, PAGE)


def trouble(kind: str, rng: random.Random) -> tuple[Answer, float]:
    """The answer of a server in trouble, and its Retry-After in seconds (0: none)."""
    wait = float(rng.choice((5, 30, 120, 900, 3600, 7200)))
    match kind:
        case "503":
            return Answer(503, {**JSON, "retry-after": str(int(wait))}, b'{"error": "temporarily_unavailable"}'), wait
        case "429":
            return Answer(429, {"retry-after": str(int(wait))}, b"slow down"), wait
        case "502" | "504":
            return Answer(int(kind), HTML, PAGE), 0.0
        case "waf":
            return firewall(), 0.0
        case "broken200":
            return Answer(200, JSON, b'{"access_token": "at-'), 0.0
        case "odd400":
            return Answer(400, JSON, b'{"error": "server_error"}'), 0.0
        case _:
            return Answer(500, HTML, PAGE), 0.0


def random_servers(rng: random.Random, count: int, random_stream: Callable[[str], random.Random]) -> list[AuthServer]:
    """`count` servers with every kind of rotation, known and unknown to `core/quirks.py`."""
    makers = (
        lambda n: AuthServer(f"as{n}.example", rotates=True, grace=60.0, life=3600.0),
        lambda n: AuthServer(f"as{n}.okta.com", rotates=True, grace=30.0, life=3600.0, style="new"),
        lambda n: AuthServer(f"as{n}.atlassian.com", rotates=True, grace=600.0, life=3600.0, style="new"),
        lambda n: AuthServer(f"as{n}.zitadel.cloud", rotates=True, grace=0.0, life=12 * 3600.0),
        lambda n: AuthServer(f"as{n}.example", rotates=True, grace=0.0, life=3600.0),
        lambda n: AuthServer(f"as{n}.example", rotates=False, grace=0.0, life=3600.0),
        lambda n: AuthServer(f"as{n}.example", rotates=False, grace=0.0, life=None),
        lambda n: AuthServer(f"as{n}.example", rotates=True, grace=60.0, life=300.0, style="new"),
        lambda n: AuthServer(f"as{n}.example", rotates=True, grace=120.0, life=2 * 3600.0, padding=1500),
    )
    made = [rng.choice(makers)(number) for number in range(count)]
    for server in made:
        server.rng = random_stream(server.host)
        if rng.random() < 0.25:
            server.vpn = rng.choice(("waf", "timeout"))
    return made
