"""What is due, and what will be next, without looking at every workload in every pass of the engine.

The instants are functions of the workload and the gate, and both of these are immutable. They are computed anew for each
workload that was replaced since the last pass, which `Workloads` notes, and for all if the gate is another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from trayapp.core import deadlines
from trayapp.core.gate import Gate
from trayapp.core.model import Workload
from trayapp.engine.admission import Admission
from trayapp.engine.instants import Instants
from trayapp.engine.paths import Paths

STEP = 64  # workloads whose instants are computed in one step of the loop: less than a millisecond


class DueTimes(NamedTuple):
    """Instants of `.at`; None if no passing of time brings it about."""

    opens: float | None  # when an attempt may leave (`deadlines.opens_at`)
    deadline: float | None  # when the machine needs `Go` or `Time` (`deadlines.next_deadline`)


class Workloads(dict[str, Workload]):
    """The workloads by name. `changed` are those that were replaced since the agenda has looked.

    One that is set again as it is isn't: if an event changes nothing, its deadline must not come again in the same pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changed: set[str] = set()

    def __setitem__(self, name: str, w: Workload) -> None:
        if self.get(name) is not w:
            super().__setitem__(name, w)
            self.changed.add(name)


class Agenda:
    """When each workload is due, on the engine's loop. A pass costs as much as what has changed and what is due.

    Call `update` until it returns False before anything else is asked.
    """

    def __init__(self, workloads: Workloads, paths: Paths) -> None:
        self._workloads = workloads
        self._paths = paths
        self._gate: Gate | None = None
        self._times: dict[str, DueTimes] = {}
        self._opens = Instants()
        self._deadlines = Instants()
        self._admission = Admission(workloads, paths)
        self._failing: set[str] = set()

    def update(self, gate: Gate) -> bool:
        """Take in some of what has changed; whether there is more."""
        changed = self._workloads.changed
        if gate != self._gate:
            self._gate = gate
            changed.update(self._workloads)
        for _ in range(min(len(changed), STEP)):
            name = changed.pop()
            self._take_in(name, self._workloads[name], gate)
        return bool(changed)

    def _take_in(self, name: str, w: Workload, gate: Gate) -> None:
        times = DueTimes(deadlines.opens_at(w, gate), deadlines.next_deadline(w, gate))
        self._times[name], self._opens[name], self._deadlines[name] = times, times.opens, times.deadline
        self._admission.changed(name, w)
        self._failing.discard(name)
        if w.failing is not None and not w.failing.gave_up:
            self._failing.add(name)

    def overdue(self, at: float, most: int) -> list[str]:
        """The names of up to `most` workloads that need `Time`; each is named once."""
        found: list[str] = []
        while len(found) < most and (due := self._deadlines.take(at)) is not None:
            if not self._waits_for_slot(due[1], at):
                found.append(due[1])
        return found

    def _waits_for_slot(self, name: str, at: float) -> bool:
        """Whether its attempt could begin: not the clock is waited for, but the end of another attempt (M11)."""
        opens = self._times[name].opens
        return opens is not None and opens <= at

    def admitted(self, at: float) -> Iterator[str]:
        """The names of those that may begin an attempt now, one after the other: see `Admission.admitted`."""
        while (due := self._opens.take(at)) is not None:
            self._admission.join(due[1], due[0])
        return self._admission.admitted(at)

    def next_instant(self, at: float, views: Instants) -> float:
        """The next instant at which anything is due, infinity if there is none. `views`: when time alone changes a view.

        A workload that is due but has no slot (M11) doesn't count: the end of another attempt wakes the engine for it.
        """
        while (first := self._deadlines.first()) is not None and first[0] <= at and self._waits_for_slot(first[1], at):
            self._deadlines[first[1]] = None
        known = [each[0] for each in (first, views.first()) if each is not None]
        settles = None if self._gate is None else self._gate.settles_at()
        if settles is not None and settles > at:
            known.append(settles)
        if (opening := self._paths.next_opening(at)) is not None:
            known.append(opening)
        return min(known, default=float("inf"))

    def is_restless(self, at: float) -> bool:
        """Whether a workload is failing, or the gate is closed."""
        return bool(self._failing) or (self._gate is not None and self._gate.reason(at) is not None)

    def forget(self, name: str) -> None:
        """The workload was removed."""
        self._admission.forget(name)
        self._workloads.changed.discard(name)
        self._failing.discard(name)
        for by_name in (self._times, self._opens, self._deadlines):
            by_name.pop(name, None)
