"""Planned troubles of logins: access tokens without a refresh token, forgotten registrations, step-up, mistaken refusals.

Each is a kind of its own with random numbers of its own, so switching one off leaves all others as they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from tests.simulation.planned import DAY, HOUR, PlannedEvent, length
from tests.simulation.servers import AuthServer

NO_REFRESH = 0.35  # how often one of a world's servers gives no refresh tokens
RECOVERS = 0.5  # of the servers that forget a registration: from a backup, after minutes to hours
SCOPES = ("files:write", "mail:send", "admin")
MFA = "acr:mfa"  # a stronger sign-in (RFC 9470), among the scopes


def without_refresh_tokens(rng: random.Random, servers: Sequence[AuthServer]) -> None:
    """Let one of these servers give nothing but access tokens that end in days, in a year, or never."""
    if rng.random() >= NO_REFRESH:
        return
    server = rng.choice(servers)
    server.renews = server.rotates = False
    server.grace = 0.0
    server.life = rng.choice((length(rng, 6 * HOUR, 10 * DAY), length(rng, 6 * HOUR, 10 * DAY), 365 * DAY, None))


def make(rng: random.Random, kind: str, days: int, servers: list[str], workloads: list[str]) -> Iterator[PlannedEvent]:
    """The events of one kind."""
    yield from _MAKERS[kind](rng, days * DAY, servers, workloads)


def _no_refresh(rng: random.Random, end: float, _: list[str], workloads: list[str]) -> Iterator[PlannedEvent]:
    """What only concerns access tokens that can't be renewed; nothing happens to workloads with others."""
    for name in workloads:
        for t in _times(rng, end, 0.02):
            yield PlannedEvent(t, "withdraw", 0.0, name)
        for t in _times(rng, end, 0.15):
            code = rng.choice(("invalid_token", "invalid_token", ""))
            yield PlannedEvent(t, "err", length(rng, 1.0, HOUR), f"{name} {code}")


def _forgotten(rng: random.Random, end: float, servers: list[str], _: list[str]) -> Iterator[PlannedEvent]:
    """A server has forgotten the clients that registered, as the next request shows."""
    for host in servers:
        for t in _times(rng, end, 0.01):
            back = rng.random() < RECOVERS
            yield PlannedEvent(t, "err next", 0.0, f"{host} forget {length(rng, 120.0, 8 * HOUR) if back else 0.0:.0f}")


def _step_up(rng: random.Random, end: float, _: list[str], workloads: list[str]) -> Iterator[PlannedEvent]:
    """An upstream wants a scope, or a stronger sign-in, for a while."""
    for name in workloads:
        for t in _times(rng, end, 0.01):
            wanted = MFA if rng.random() < 0.3 else rng.choice(SCOPES)
            yield PlannedEvent(t, "stepup", length(rng, 600.0, DAY), f"{name} {wanted}")


def _blunders(rng: random.Random, end: float, servers: list[str], _: list[str]) -> Iterator[PlannedEvent]:
    """A server refuses logins that are fine, from the next request on."""
    for host in servers:
        for t in _times(rng, end, 0.012):
            code = rng.choice(("invalid_client", "unauthorized_client", "invalid_grant"))
            yield PlannedEvent(t, "err next", 0.0, f"{host} blunder {length(rng, 30.0, 2 * HOUR):.0f} {code}")


def _times(rng: random.Random, end: float, rate: float) -> Iterator[float]:
    """`rate` times a day."""
    t = 0.0
    while (t := t + rng.expovariate(rate / DAY)) < end:
        yield t


_MAKERS: dict[str, Callable[[random.Random, float, list[str], list[str]], Iterator[PlannedEvent]]] = {
    "norefresh": _no_refresh,
    "forgotten": _forgotten,
    "stepup": _step_up,
    "blunder": _blunders,
}
KINDS = tuple(_MAKERS)
EVENTS = ("withdraw", "err", "forget", "stepup", "blunder")
LASTING = ("err", "forget", "stepup", "blunder")


def begun(target: str, t: float, registration: int) -> PlannedEvent:
    """What begins with the next request that reaches a server: a code for every login, or the end of a registration."""
    host, what, seconds, *code = target.split()
    return PlannedEvent(t, what, float(seconds), f"{host} {code[0] if code else registration}")
