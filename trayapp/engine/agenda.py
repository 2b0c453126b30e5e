"""A cache of when each workload is due, from one pass of the engine to the next.

The instants are functions of the workload and the gate, and both of these are immutable. While they are the same objects
the cached instants hold, so nothing ever has to invalidate an entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from trayapp.core import deadlines
from trayapp.core.gate import Gate
from trayapp.core.model import Workload
from trayapp.engine.admission import admitted
from trayapp.engine.paths import Paths


class DueTimes(NamedTuple):
    """Instants of `.at`; None if no passing of time brings it about."""

    opens: float | None  # when an attempt may leave (`deadlines.opens_at`)
    deadline: float | None  # when the machine needs `Go` or `Time` (`deadlines.next_deadline`)


class Agenda:
    """Due times by name, on the engine's loop. A pass over 1,000 workloads, few of them changed, takes about 1 ms."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._cache: dict[str, tuple[Workload, Gate, DueTimes]] = {}

    def times(self, name: str, w: Workload, gate: Gate) -> DueTimes:
        """The due times of workload `w` behind this gate."""
        cached = self._cache.get(name)
        if cached is not None and cached[0] is w and cached[1] is gate:
            return cached[2]
        times = DueTimes(deadlines.opens_at(w, gate), deadlines.next_deadline(w, gate))
        self._cache[name] = (w, gate, times)
        return times

    def ready(self, workloads: Mapping[str, Workload], gate: Gate, at: float) -> list[tuple[float, str]]:
        """Instant and name of each workload whose attempt may leave at `at`, the longest due first."""
        opens = ((self.times(name, w, gate).opens, name) for name, w in workloads.items())
        return sorted((since, name) for since, name in opens if since is not None and since <= at)

    def admitted(self, workloads: Mapping[str, Workload], gate: Gate, at: float) -> Iterator[str]:
        """The names of those that may begin an attempt now, one after the other: see `admission.admitted`."""
        return admitted(self.ready(workloads, gate, at), workloads, self._paths, at)

    def next_instant(
        self, workloads: Mapping[str, Workload], gate: Gate, at: float, others: Iterable[float | None]
    ) -> float:
        """The next instant at which anything is due, infinity if there is none. `others` are instants from elsewhere.

        A workload that is due but has no slot (M11) doesn't count: the end of another attempt wakes the engine for it.
        """
        known = (*others, self._paths.next_opening(at))
        nearest = min((each for each in known if each is not None), default=float("inf"))
        settles = gate.settles_at()
        if settles is not None and settles > at:
            nearest = min(nearest, settles)
        for name, w in workloads.items():
            opens, deadline = self.times(name, w, gate)
            if deadline is not None and deadline < nearest and (deadline > at or opens is None or opens > at):
                nearest = deadline
        return nearest

    def forget(self, name: str) -> None:
        """The workload was removed."""
        self._cache.pop(name, None)


def is_restless(workloads: Iterable[Workload], gate: Gate, at: float) -> bool:
    """Whether a workload is failing, or the gate is closed."""
    failing = (w.failing for w in workloads)
    return gate.reason(at) is not None or any(f is not None and not f.gave_up for f in failing)
