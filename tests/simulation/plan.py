"""The plan of a world: everything that will happen to the machine, drawn in advance, one random stream per kind of fault.

Because every kind has a stream of its own, switching one off leaves all others unchanged; so a broken history can be
shortened by leaving kinds out. All times are true seconds since the world began.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.simulation import login_plan, network_plan
from tests.simulation.planned import DAY, HOUR, PlannedEvent, length, random_stream

KINDS = (
    "sleep",
    "dark",
    "net",
    "dns",
    "portal",
    "vpn",
    "hint",
    "server",
    "answer",
    "keyring",
    "disk",
    "crash",
    "clock",
    "revoke",
    "upstream",
    "person",
    *network_plan.KINDS,
    *login_plan.KINDS,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """All events, in order."""

    days: float
    events: tuple[PlannedEvent, ...]


def make(seed: int, days: int, without: frozenset[str], servers: list[str], workloads: list[str]) -> Plan:
    """The plan of one world."""
    found: list[PlannedEvent] = []
    sessions = list(_sessions(random_stream(seed, "days"), days))
    if "sleep" not in without:
        found += _sleeps(
            random_stream(seed, "sleep"), random_stream(seed, "dark"), sessions, days * DAY, "dark" not in without
        )
    else:
        sessions = [(0.0, days * DAY)]
    makers: dict[str, Callable[[random.Random], Iterator[PlannedEvent]]] = {
        "net": lambda rng: _net(rng, sessions),
        "dns": lambda rng: _at_arrival(rng, sessions, "dns", 0.35, 1.0, 25.0),
        "portal": lambda rng: _portals(rng, sessions),
        "vpn": lambda rng: _vpn(rng, sessions),
        "hint": lambda rng: _poisson(rng, days, 0.15, "hint", 60.0, 4 * HOUR),
        "server": lambda rng: _storms(rng, days, servers),
        "keyring": lambda rng: _keyring(rng, days),
        "disk": lambda rng: _disk(rng, days),
        "crash": lambda rng: _crashes(rng, sessions),
        "clock": lambda rng: _poisson(rng, days, 0.2, "clock step", 5.0, DAY),
        "revoke": lambda rng: _each(rng, days, 0.04, "revoke", workloads),
        "upstream": lambda rng: _each(rng, days, 0.25, "upstream", workloads),
        "person": lambda rng: _person(rng, days, workloads),
    }
    for kind, maker in makers.items():
        if kind not in without:
            found += maker(random_stream(seed, kind))
    for kind in network_plan.KINDS:
        if kind not in without:
            found += network_plan.make(seed, kind, days, sessions, list(found), servers)
    for kind in login_plan.KINDS:
        if kind not in without:
            found += login_plan.make(random_stream(seed, kind), kind, days, servers, workloads)
    return Plan(days * DAY, tuple(sorted(found, key=lambda h: (h.t, h.what, h.target))))


def _sessions(rng: random.Random, days: int) -> Iterator[tuple[float, float]]:
    """When the lid is open: about eight hours of a day, in pieces; some days not at all."""
    for day in range(days):
        if day and rng.random() < 0.2:
            continue  # a weekend in a bag
        t = day * DAY + rng.uniform(0.0, 2 * HOUR) if day else 0.0
        pieces = rng.randint(1, 7)
        for _ in range(pieces):
            end = t + rng.uniform(0.3, 1.7) * 8 * HOUR / pieces
            if end >= (day + 1) * DAY - 60.0:
                break
            yield t, end
            t = end + (rng.uniform(5.0, 120.0) if rng.random() < 0.4 else rng.uniform(120.0, 3 * HOUR))


def _sleeps(
    rng: random.Random, dark: random.Random, sessions: list[tuple[float, float]], end: float, with_dark: bool
) -> Iterator[PlannedEvent]:
    """The gaps between the sessions, some of them interrupted by dark wakes."""
    starts = [*(start for start, _ in sessions[1:]), end]
    for (_, asleep), awake in zip(sessions, starts, strict=True):
        t = asleep
        while with_dark and awake - t > HOUR and dark.random() < 0.7:
            nap = dark.uniform(600.0, min(awake - t - 300.0, 4 * HOUR))
            yield PlannedEvent(t, "sleep", nap, "dark")
            t += nap + dark.uniform(3.0, 45.0)
        if awake - t > 1.0:
            yield PlannedEvent(t, "sleep", awake - t, "still" if rng.random() < 0.2 else "")


def _net(rng: random.Random, sessions: list[tuple[float, float]]) -> Iterator[PlannedEvent]:
    for start, end in sessions:
        if rng.random() < 0.6:
            yield PlannedEvent(start - 0.5, "move")
            yield PlannedEvent(start - 0.4, "link down", rng.uniform(0.5, 12.0))
        t = start
        while (t := t + rng.expovariate(1 / (4 * HOUR))) < end:
            match rng.randrange(4):
                case 0:
                    yield PlannedEvent(t, "move")
                case 1:
                    yield PlannedEvent(t, "link down", length(rng, 2.0, 3 * HOUR))
                case 2:
                    for i in range(rng.randint(2, 12)):
                        yield PlannedEvent(t + 4.0 * i, "link down", rng.uniform(0.3, 6.0))
                case _:
                    yield PlannedEvent(t, "link down", rng.uniform(1.0, 10.0))
                    yield PlannedEvent(t + 0.5, "move")


def _at_arrival(
    rng: random.Random, sessions: list[tuple[float, float]], what: str, chance: float, least: float, most: float
) -> Iterator[PlannedEvent]:
    for start, _ in sessions:
        if rng.random() < chance:
            yield PlannedEvent(start - 1.0, what, rng.uniform(least, most))


def _portals(rng: random.Random, sessions: list[tuple[float, float]]) -> Iterator[PlannedEvent]:
    for start, _ in sessions:
        if rng.random() < 0.12:
            yield PlannedEvent(
                start - 0.3, "portal", length(rng, 10.0, 1.5 * HOUR), rng.choice(("html", "redirect", "tls"))
            )


def _vpn(rng: random.Random, sessions: list[tuple[float, float]]) -> Iterator[PlannedEvent]:
    for start, end in sessions:
        if rng.random() < 0.5:
            yield PlannedEvent(start - 0.2, "vpn down", length(rng, 20.0, 2 * HOUR))
        if rng.random() < 0.3:
            yield PlannedEvent(rng.uniform(start, end), "vpn down", length(rng, 2.0, HOUR))


STORMS = ("500", "503", "429", "502", "504", "waf", "broken200", "odd400", "hang", "reset", "refused", "timeout", "tls")


def _storms(rng: random.Random, days: int, servers: list[str]) -> Iterator[PlannedEvent]:
    for server in servers:
        t = 0.0
        while (t := t + rng.expovariate(0.6 / DAY)) < days * DAY:
            longest = 60 * HOUR if rng.random() < 0.08 else 4 * HOUR
            yield PlannedEvent(t, "storm", length(rng, 5.0, longest), f"{server} {rng.choice(STORMS)}")


def _keyring(rng: random.Random, days: int) -> Iterator[PlannedEvent]:
    for what, rate, most in (
        ("lock", 0.35, 2 * HOUR),
        ("hang", 0.15, HOUR),
        ("read_only", 0.12, 8 * HOUR),
        ("failing", 0.35, 4 * HOUR),
        ("stale", 0.15, HOUR),
        ("lying", 0.25, 4 * HOUR),
    ):
        yield from _poisson(rng, days, rate, f"keyring {what}", 2.0, most)


def _disk(rng: random.Random, days: int) -> Iterator[PlannedEvent]:
    yield from _poisson(rng, days, 0.1, "disk full", 10.0, HOUR)
    yield from _poisson(rng, days, 0.1, "disk hang", 2.0, 600.0)


def _crashes(rng: random.Random, sessions: list[tuple[float, float]]) -> Iterator[PlannedEvent]:
    """`duration` is how long the program stays down; a "fuse" stops it at the `target`th of its next crash points."""
    for start, end in sessions:
        while rng.random() < 0.25:
            what = rng.choice(("crash", "fuse", "fuse", "fuse", "quit", "reboot", "crash and lose state.db"))
            yield PlannedEvent(rng.uniform(start, end), what, length(rng, 0.5, 900.0), str(rng.randint(1, 25)))


def _person(rng: random.Random, days: int, workloads: list[str]) -> Iterator[PlannedEvent]:
    yield from _each(rng, days, 0.3, "retry now", workloads)
    for event in _each(rng, days, 0.05, "pause", workloads):
        yield PlannedEvent(event.t, "pause", length(rng, 10.0, 5 * HOUR), event.target)
    yield from _each(rng, days, 0.04, "sign in unasked", workloads)


def _poisson(
    rng: random.Random, days: int, rate: float, what: str, least: float, most: float
) -> Iterator[PlannedEvent]:
    """`rate` times a day."""
    t = 0.0
    while (t := t + rng.expovariate(rate / DAY)) < days * DAY:
        yield PlannedEvent(t, what, length(rng, least, most))


def _each(rng: random.Random, days: int, rate: float, what: str, workloads: list[str]) -> Iterator[PlannedEvent]:
    for each in workloads:
        t = 0.0
        while (t := t + rng.expovariate(rate / DAY)) < days * DAY:
            yield PlannedEvent(t, what, 0.0, each)


__all__ = ["DAY", "HOUR", "KINDS", "PlannedEvent", "make", "random_stream"]
