"""What a plan is made of: events, random streams and durations."""

from __future__ import annotations

import random
from dataclasses import dataclass

DAY = 86400.0
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """One event: `what` names it, `duration` is in seconds, `target` is the server, workload or variant it concerns."""

    t: float
    what: str
    duration: float = 0.0
    target: str = ""


def random_stream(seed: int, kind: str) -> random.Random:
    """The random numbers of one kind of fault."""
    return random.Random(f"{seed}/{kind}")


def length(rng: random.Random, least: float, most: float) -> float:
    """A log-uniform duration: as many short ones as long ones."""
    return float(least * (most / least) ** rng.random())
