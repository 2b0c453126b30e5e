"""Planned troubles of the network that the operating system doesn't report, one kind of fault each.

They come where a network comes: at the start of a session and whenever a link returns. Each arrival has random numbers of
its own, so that switching off what else happens to links leaves these as they are.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

from tests.simulation.planned import DAY, HOUR, PlannedEvent, length, random_stream

Sessions = list[tuple[float, float]]

IN_THE_WAY = ("routes", "lie", "oneway", "tlshang")  # no request succeeds meanwhile
LASTING = (*IN_THE_WAY, "nat", "loss")


def make(
    seed: int, kind: str, days: int, sessions: Sessions, events: Iterable[PlannedEvent], servers: list[str]
) -> Iterator[PlannedEvent]:
    """The events of one kind; `events` are those of other kinds, of which links that return are used."""
    arrivals = sorted({start for start, _ in sessions} | {e.t + e.duration for e in events if e.what == "link down"})
    if kind in AT_ARRIVAL:
        for t in arrivals:
            yield from AT_ARRIVAL[kind](random_stream(seed, f"{kind} {t:.3f}"), t)
    if kind in AT_RANDOM:
        yield from AT_RANDOM[kind](random_stream(seed, kind), days * DAY, sessions, servers)


def _flap(rng: random.Random, t: float) -> Iterator[PlannedEvent]:
    """A link that goes down and up again several times in its first seconds."""
    if rng.random() < 0.06:
        for _ in range(rng.randint(2, 6)):
            t += rng.uniform(0.1, 1.5)
            down = rng.uniform(0.05, 0.8)
            yield PlannedEvent(t, "link down", down)
            t += down


def _routes(rng: random.Random, t: float) -> Iterator[PlannedEvent]:
    """The link is reported, and packets go nowhere yet."""
    if rng.random() < 0.15:
        yield PlannedEvent(max(0.0, t - 0.01), "routes", rng.uniform(0.1, 5.0), rng.choice(("fast", "hang")))


def _lies(rng: random.Random, t: float) -> Iterator[PlannedEvent]:
    """The resolver answers with the wrong address, or that there is no such name."""
    if rng.random() < 0.08:
        yield PlannedEvent(max(0.0, t - 0.01), "lie", rng.uniform(0.5, 15.0), rng.choice(("nx", "refused", "tls")))


def _hanging_tls(rng: random.Random, t: float) -> Iterator[PlannedEvent]:
    """Connections open, and no handshake ends."""
    if rng.random() < 0.05:
        yield PlannedEvent(max(0.0, t - 0.01), "tlshang", rng.uniform(1.0, 20.0))


AT_ARRIVAL: dict[str, Callable[[random.Random, float], Iterator[PlannedEvent]]] = {
    "flap": _flap,
    "routes": _routes,
    "lie": _lies,
    "tlshang": _hanging_tls,
}


def _hanging_servers(rng: random.Random, end: float, _: Sessions, servers: list[str]) -> Iterator[PlannedEvent]:
    for server in servers:
        yield from _poisson(rng, end, 0.05, "tlshang", 5.0, HOUR, lambda server=server: server)  # type: ignore[misc]


def _one_way(rng: random.Random, end: float, *_: object) -> Iterator[PlannedEvent]:
    """Requests arrive, and answers don't."""
    yield from _poisson(rng, end, 0.3, "oneway", 2.0, 300.0)


def _nat(rng: random.Random, _: float, sessions: Sessions, __: object) -> Iterator[PlannedEvent]:
    """Some places forget connections that are silent for `target` seconds."""
    for start, until in sessions:
        if rng.random() < 0.2:
            yield PlannedEvent(start, "nat", until - start, f"{length(rng, 0.3, 8.0):.2f}")


def _midway(rng: random.Random, end: float, *_: object) -> Iterator[PlannedEvent]:
    """A VPN comes up, or the laptop roams, while the next handshake is under way."""
    yield from _poisson(rng, end, 0.7, "midway", 0.0, 0.0)


def _roam(rng: random.Random, end: float, *_: object) -> Iterator[PlannedEvent]:
    """The laptop roams while the next request is in flight."""
    yield from _poisson(rng, end, 0.1, "roam", 0.0, 0.0)


def _loss(rng: random.Random, end: float, *_: object) -> Iterator[PlannedEvent]:
    """Lost packets: every exchange takes up to `target` seconds."""
    yield from _poisson(rng, end, 0.5, "loss", 10.0, 2 * HOUR, lambda: f"{length(rng, 0.3, 5.0):.2f}")


AT_RANDOM: dict[str, Callable[[random.Random, float, Sessions, list[str]], Iterator[PlannedEvent]]] = {
    "tlshang": _hanging_servers,
    "oneway": _one_way,
    "nat": _nat,
    "midway": _midway,
    "roam": _roam,
    "loss": _loss,
}

KINDS = ("flap", "routes", "lie", "oneway", "nat", "midway", "tlshang", "roam", "loss")


def _poisson(
    rng: random.Random,
    end: float,
    rate: float,
    what: str,
    least: float,
    most: float,
    target: Callable[[], str] = lambda: "",
) -> Iterator[PlannedEvent]:
    """`rate` times a day."""
    t = 0.0
    while (t := t + rng.expovariate(rate / DAY)) < end:
        yield PlannedEvent(t, what, length(rng, least, most) if most else 0.0, target())
