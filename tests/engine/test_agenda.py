"""The agenda always says what a look at every workload would say, and looks at few of them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from tests.core.history import played, reached
from trayapp.core import deadlines, gate, machine
from trayapp.core.gate import Gate
from trayapp.core.messages import Time
from trayapp.core.model import Phase, Problem, Workload
from trayapp.core.outcomes import NotSent
from trayapp.engine import agenda as module
from trayapp.engine.admission import IN_FLIGHT
from trayapp.engine.agenda import Agenda, Workloads
from trayapp.engine.instants import ROOM, Instants
from trayapp.engine.paths import Paths, server_of

NEVER = float("inf")


def agenda_of(workloads: Workloads, g: Gate, paths: Paths | None = None) -> Agenda:
    made = Agenda(workloads, paths or Paths())
    up_to_date(made, g)
    return made


def up_to_date(agenda: Agenda, g: Gate) -> None:
    while agenda.update(g):
        pass


def workloads_of(**named: Workload) -> Workloads:
    made = Workloads()
    for name, w in named.items():
        made[name] = w
    return made


def at_server(w: Workload, server: str) -> Workload:
    assert w.login is not None
    return replace(w, login=replace(w.login, token_endpoint=f"https://{server}/token"))


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.VALID])
def test_what_is_due_waits_for_a_slot_and_not_for_the_clock(phase: Phase) -> None:
    """M11: otherwise the engine would make one pass after another without a pause."""

    p = reached(phase)
    due, workloads = deadlines.opens_at(p.w, Gate()), workloads_of(w=p.w)
    assert due is not None
    agenda, views = agenda_of(workloads, Gate()), Instants()
    assert due == agenda.next_instant(due - 1.0, views)
    assert NEVER == agenda.next_instant(due, views)
    views["w"] = due + 5.0
    assert due + 5.0 == agenda.next_instant(due, views)


def test_a_deadline_that_changes_nothing_comes_once() -> None:
    """A write that is overdue while another is under way: the engine made pass after pass for ever."""

    p = reached(Phase.VALID)
    overdue = replace(p.w, unsaved=True, storing=1, store_at=p.now.at - 1.0)
    workloads = workloads_of(w=overdue)
    agenda = agenda_of(workloads, Gate())
    assert ["w"] == agenda.overdue(p.now.at, 10)

    workloads["w"], _ = machine.step(overdue, Time(p.now))
    up_to_date(agenda, Gate())
    assert [] == agenda.overdue(p.now.at, 10)

    workloads["w"] = replace(overdue, store_at=p.now.at)
    up_to_date(agenda, Gate())
    assert ["w"] == agenda.overdue(p.now.at, 10)


def test_the_longest_due_comes_first() -> None:
    """Nothing comes before it is due."""

    p = reached(Phase.WAITING)
    due = deadlines.opens_at(p.w, Gate())
    assert due is not None
    workloads = workloads_of(late=replace(p.w, due=due + 1.0), first=p.w, tomorrow=replace(p.w, due=due + 86400.0))
    agenda = agenda_of(workloads, Gate())
    assert [] == list(agenda.admitted(due - 1.0))
    assert ["first", "late"] == list(agenda.admitted(due + 2.0))
    assert ["first", "late"] == list(agenda.admitted(due + 2.0))  # neither began


def test_a_token_in_doubt_comes_first() -> None:
    """Its server's grace passes, and a neighbour that hangs in the only slot could use it up."""

    p = played(reached(Phase.REFRESHING), "ambiguous")
    again, waiting = p.w, reached(Phase.WAITING).w
    due = deadlines.opens_at(again, Gate())
    assert due is not None
    workloads = workloads_of(other=replace(waiting, due=due - 60.0), doubt=again, late=replace(again, due=due + 1.0))
    agenda = agenda_of(workloads, Gate())
    assert ["other"] == list(agenda.admitted(due - 1.0)), "not before it is due"
    assert ["doubt", "late", "other"] == list(agenda.admitted(due + 2.0))


def test_servers_that_were_not_reached_come_last() -> None:
    """Eight of them, reachable only by a VPN that is down, would hold all others up for the seconds that connecting may take."""
    p, paths = reached(Phase.WAITING), Paths()
    due = deadlines.opens_at(p.w, Gate())
    assert due is not None
    workloads = Workloads()
    for number in range(IN_FLIGHT):
        workloads[f"a{number}"] = at_server(p.w, f"vpn{number}")
        paths.tried(f"vpn{number}", NotSent(Problem("connect_timeout", "no")), due - 10.0)
    workloads["late"] = replace(at_server(p.w, "public"), due=due + 1.0)
    agenda, begun = agenda_of(workloads, Gate(), paths), []
    for name in agenda.admitted(due + 2.0):
        begun.append(name)
        workloads[name] = replace(reached(Phase.REFRESHING).w, login=workloads[name].login)

    assert ["late", *(f"a{number}" for number in range(IN_FLIGHT - 1))] == begun


def test_the_end_of_settling_is_the_next_instant() -> None:
    """The gate then opens by time alone."""

    restless = gate.network(Gate(), 100.0, offline=False)
    agenda = agenda_of(Workloads(), restless)
    assert restless.settles_at() == agenda.next_instant(100.0, Instants())
    assert NEVER == agenda.next_instant(200.0, Instants())


def test_a_step_takes_in_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the gate concerns all, and their instants are computed in slices; without changes none is."""

    p = reached(Phase.WAITING)
    computed: Counter[str] = Counter()
    real = deadlines.next_deadline

    def counted(w: Workload, g: Gate) -> float | None:
        computed["now"] += 1
        return real(w, g)

    monkeypatch.setattr(deadlines, "next_deadline", counted)
    workloads = workloads_of(**{f"w{n}": p.w for n in range(1000)})
    agenda, steps = Agenda(workloads, Paths()), 0
    for g in (Gate(), gate.network(Gate(), p.now.at, offline=True)):
        before = computed["now"]
        while True:
            last, more = computed["now"], agenda.update(g)
            assert module.STEP >= computed["now"] - last
            steps += 1
            if not more:
                break
        assert 1000 == computed["now"] - before
    assert 2 * -(-1000 // module.STEP) == steps
    workloads["w7"] = replace(p.w, due=1.0)
    assert not agenda.update(g)
    assert not agenda.update(replace(g))  # equal is the same
    assert 2001 == computed["now"]


def test_a_server_without_a_free_slot_costs_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many wait there: ten thousand that fall due together would otherwise be looked at ten thousand times."""

    p = reached(Phase.WAITING)
    looks: Counter[str] = Counter()
    real = Paths.opens_at

    def counted(self: Paths, w: Workload) -> float:
        looks["all"] += 1
        return real(self, w)

    monkeypatch.setattr(Paths, "opens_at", counted)
    waiting, flying = at_server(p.w, "full"), at_server(reached(Phase.REFRESHING).w, "full")
    assert p.w.due is not None
    workloads = workloads_of(**{f"w{n}": waiting for n in range(1000)}, other=at_server(p.w, "free"))
    agenda = agenda_of(workloads, Gate())
    begun = []
    for name in agenda.admitted(p.w.due + 100.0):
        begun.append(name)
        workloads[name] = flying if name != "other" else at_server(flying, "free")
    up_to_date(agenda, Gate())
    assert {"w0", "w1", "other"} == set(begun)
    assert 20 > looks["all"]
    assert [] == list(agenda.admitted(p.w.due + 100.0))
    assert 20 > looks["all"]


def test_instants_stay_few() -> None:
    """What is set again and again leaves nothing behind."""

    instants, dice = Instants(), random.Random(1)
    for number in range(10_000):
        instants[f"w{number % 10}"] = dice.choice([None, 1e9 + number, 1e9])
        assert 2 * 10 + ROOM + 1 >= len(instants._heap)
    known = [(at, name) for name, at in instants.items() if at is not None]
    assert min(known, default=None) == instants.first()


def test_what_is_taken_comes_again_if_it_is_set_again() -> None:
    """Also to the same instant."""

    instants = Instants()
    for name in ("b", "a"):
        instants[name] = 5.0
    assert instants.take(4.9) is None
    assert [(5.0, "a"), (5.0, "b"), None] == [instants.take(5.0) for _ in range(3)]
    instants["a"] = 5.0
    del instants["b"]
    assert [(5.0, "a"), None] == [instants.take(6.0) for _ in range(2)]


# --- against a look at everything ------------------------------------------------------------------------------------

PHASES = [Phase.LOADING, Phase.VALID, Phase.WAITING, Phase.REFRESHING, Phase.PAUSED, Phase.SIGNED_OUT]


class Plain:
    """The same answers from a look at every workload."""

    def __init__(self, workloads: Workloads, g: Gate, paths: Paths) -> None:
        self.workloads, self.gate, self.paths = workloads, g, paths

    def times(self, name: str) -> tuple[float | None, float | None]:
        w = self.workloads[name]
        return deadlines.opens_at(w, self.gate), deadlines.next_deadline(w, self.gate)

    def overdue(self, at: float) -> set[str]:
        found = set()
        for name in self.workloads:
            opens, deadline = self.times(name)
            if deadline is not None and deadline <= at and (opens is None or opens > at):
                found.add(name)
        return found

    def admitted(self, at: float) -> list[str]:
        """If each begins."""
        ready = sorted(
            (self.paths.failed(server_of(w)), opens, name)
            for name, w in self.workloads.items()
            if (opens := self.times(name)[0]) is not None and opens <= at
        )
        servers = Counter(server_of(w) for w in self.workloads.values() if w.phase is Phase.REFRESHING)
        found: list[str] = []
        for _, _, name in ready:
            server = server_of(self.workloads[name])
            open_ = self.paths.opens_at(self.workloads[name]) <= at
            if servers.total() < IN_FLIGHT and servers[server] < self.paths.slots(server) and open_:
                servers[server] += 1
                found.append(name)
        return found

    def next_instant(self, at: float, views: Instants) -> float:
        known = [each for each in (*views.values(), self.paths.next_opening(at)) if each is not None]
        settles = self.gate.settles_at()
        known += [settles] if settles is not None and settles > at else []
        for name in self.workloads:
            opens, deadline = self.times(name)
            if deadline is not None and (deadline > at or opens is None or opens > at):
                known.append(deadline)
        return min(known, default=NEVER)


@pytest.mark.parametrize("seed", range(60))
def test_it_says_what_a_look_at_everything_says(seed: int) -> None:
    """A random life: workloads come, change and go, the gate and the ways to servers change, time passes."""

    dice, paths, workloads, views = random.Random(seed), Paths(), Workloads(), Instants()
    histories = [reached(phase) for phase in PHASES]
    start = at = histories[0].now.at
    g = Gate()
    agenda = Agenda(workloads, paths)
    flying = next(p.w for p in histories if p.w.phase is Phase.REFRESHING)
    for _ in range(150):
        at += dice.choice([0.0, 0.0, 0.3, 2.0, 40.0, 700.0])
        name, server = f"w{dice.randrange(30)}", f"as{dice.randrange(4)}"
        match dice.randrange(10):
            case 0:
                if workloads.pop(name, None) is not None:
                    views.pop(name, None)
                    agenda.forget(name)
            case 1:
                g = gate.network(g, at, offline=dice.random() < 0.4)
            case 2:
                paths.doubt()
            case 3:
                views[name] = dice.choice([None, at + dice.random() * 50.0])
            case _:
                for each in {name, f"w{dice.randrange(30)}"}:
                    w = dice.choice(histories).w
                    w = at_server(w, server) if w.login is not None else w
                    due = None if w.due is None else start + (at - start) * dice.random() * 1.5
                    workloads[each] = replace(w, due=due)
        up_to_date(agenda, g)
        plain = Plain(workloads, g, paths)
        assert plain.overdue(at) == set(agenda.overdue(at, 1000))
        for each in plain.overdue(at):  # `Time` moved it on
            workloads[each] = replace(workloads[each], phase=Phase.SIGNED_OUT, due=None, attempt=None)
        up_to_date(agenda, g)
        while (due_view := views.take(at)) is not None:
            views[due_view[1]] = at + 10.0
        expected, begun = plain.admitted(at), []
        for each in agenda.admitted(at):
            begun.append(each)
            workloads[each] = at_server(flying, server_of(workloads[each]))
        assert expected == begun
        up_to_date(agenda, g)
        for each in begun:  # some end immediately
            if dice.random() < 0.6:
                workloads[each] = replace(histories[1].w, due=at + dice.random() * 100.0)
        up_to_date(agenda, g)
        assert Plain(workloads, g, paths).next_instant(at, views) == agenda.next_instant(at, views)
