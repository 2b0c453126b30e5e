"""The agenda's cached instants always equal those computed anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import reached
from trayapp.core import deadlines, gate
from trayapp.core.gate import Gate
from trayapp.core.model import Phase
from trayapp.engine.agenda import Agenda
from trayapp.engine.paths import Paths


def test_another_workload_or_gate_is_computed_anew() -> None:
    """The same workload and gate give the cached object; after `forget` they do not."""

    p, agenda = reached(Phase.WAITING), Agenda(Paths())
    shut = gate.network(Gate(), p.now.at, offline=True)
    later = replace(p.w, due=(p.w.due or 0.0) + 7.0)
    for w in (p.w, later, p.w):
        for each in (Gate(), shut, Gate()):
            times = agenda.times("w", w, each)
            assert (deadlines.opens_at(w, each), deadlines.next_deadline(w, each)) == times
            assert times is agenda.times("w", w, each)
    cached = agenda.times("w", p.w, shut)
    agenda.forget("w")
    assert cached is not agenda.times("w", p.w, shut)


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.VALID])
def test_what_is_due_waits_for_a_slot_and_not_for_the_clock(phase: Phase) -> None:
    """M11: otherwise the engine would make one pass after another without a pause."""

    p, agenda = reached(phase), Agenda(Paths())
    due = deadlines.opens_at(p.w, Gate())
    assert due is not None
    assert due == agenda.next_instant({"w": p.w}, Gate(), due - 1.0, ())
    assert float("inf") == agenda.next_instant({"w": p.w}, Gate(), due, ())
    assert due + 5.0 == agenda.next_instant({"w": p.w}, Gate(), due, (due + 5.0, due + 9.0))


def test_the_longest_due_comes_first() -> None:
    """Nothing comes before it is due."""

    p = reached(Phase.WAITING)
    due = deadlines.opens_at(p.w, Gate())
    assert due is not None
    workloads = {"late": replace(p.w, due=due + 1.0), "first": p.w, "tomorrow": replace(p.w, due=due + 86400.0)}
    assert [(due, "first"), (due + 1.0, "late")] == Agenda(Paths()).ready(workloads, Gate(), due + 2.0)
    assert [] == Agenda(Paths()).ready(workloads, Gate(), due - 1.0)


def test_the_end_of_settling_is_the_next_instant() -> None:
    """The gate then opens by time alone."""

    restless = gate.network(Gate(), 100.0, offline=False)
    assert restless.settles_at() == Agenda(Paths()).next_instant({}, restless, 100.0, ())
    assert float("inf") == Agenda(Paths()).next_instant({}, restless, 200.0, ())
