"""When each workload wants to be looked at, kept from one pass of the engine to the next.

Both instants follow from the workload and the gate alone, and both of these are immutable: as long as they are the same
objects the instants are the same too, so that nothing has to be told to forget them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trayapp.core import deadlines
from trayapp.core.gate import Gate
from trayapp.core.model import Workload


class DueTimes(NamedTuple):
    """Instants of `.at`; None: no time alone brings it."""

    opens: float | None  # when an attempt may leave (`deadlines.opens_at`)
    deadline: float | None  # when the machine wants `Go` or `Time` (`deadlines.next_deadline`)


class Agenda:
    """Belongs to the engine's loop. A pass over 1,000 workloads of which few changed takes about a millisecond."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Workload, Gate, DueTimes]] = {}

    def times(self, name: str, w: Workload, gate: Gate) -> DueTimes:
        """Of this workload behind this gate."""
        kept = self._kept.get(name)
        if kept is not None and kept[0] is w and kept[1] is gate:
            return kept[2]
        times = DueTimes(deadlines.opens_at(w, gate), deadlines.next_deadline(w, gate))
        self._kept[name] = (w, gate, times)
        return times

    def ready(self, workloads: Mapping[str, Workload], gate: Gate, at: float) -> list[tuple[float, str]]:
        """Whose attempt may leave, who is due longest first."""
        opens = ((self.times(name, w, gate).opens, name) for name, w in workloads.items())
        return sorted((since, name) for since, name in opens if since is not None and since <= at)

    def next(self, workloads: Mapping[str, Workload], gate: Gate, at: float, others: Iterable[float | None]) -> float:
        """The next instant of anybody's, at best infinite. What is due but has no slot waits for a slot's event."""
        nearest = min((other for other in others if other is not None), default=float("inf"))
        settles = gate.settles_at()
        if settles is not None and settles > at:
            nearest = min(nearest, settles)
        for name, w in workloads.items():
            opens, deadline = self.times(name, w, gate)
            if deadline is not None and deadline < nearest and (deadline > at or opens is None or opens > at):
                nearest = deadline
        return nearest

    def forget(self, name: str) -> None:
        """It is gone."""
        self._kept.pop(name, None)
