"""A workload's history in equal parts of time, to be drawn: how long each state lasted in each part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

HOUR = 3600.0
WIDTHS: Mapping[int, float] = {1: HOUR / 4, 7: 2 * HOUR, 30: 6 * HOUR}  # s of one part, by days: about a hundred parts


class State(NamedTuple):
    """How a workload looked, as `storage/timeline.py` records it."""

    status: str
    colour: str
    glyph: str
    detail: str


@dataclass(slots=True)
class Bucket:
    """The time from `at` (wall) on. `seconds` may be less than the whole of it."""

    at: float
    seconds: Counter[State] = field(default_factory=Counter)

    def parts(self) -> list[tuple[State, float]]:
        """The longest first."""
        return [(state, seconds) for state, seconds in self.seconds.most_common() if seconds > 0]


def empty_buckets(days: int, now: float) -> list[Bucket]:
    """The parts of the last days, oldest first. They begin at round times, so that they stay as time passes."""
    width = WIDTHS[days]
    last = now // width * width
    count = round(days * 24 * HOUR / width)
    return [Bucket(last - (count - 1 - number) * width) for number in range(count)]


def fill(buckets: list[Bucket], width: float, changes: Iterable[tuple[float, State]], now: float) -> None:
    """Spread states over the parts; each lasts from its time until the next one's, the last one until `now`."""
    start, state = 0.0, None
    for at, following in (*changes, (now, None)):
        end = min(at, now)
        if state is not None and start < end:
            _spread(buckets, width, state, start, end)
        start, state = at, following


def _spread(buckets: list[Bucket], width: float, state: State, start: float, end: float) -> None:
    start = max(start, buckets[0].at)
    for bucket in buckets[int((start - buckets[0].at) // width) :]:
        if bucket.at >= end:
            return
        bucket.seconds[state] += min(end, bucket.at + width) - max(start, bucket.at)  # type: ignore[assignment] # in s
