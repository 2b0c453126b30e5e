"""The way to a server is tried by one workload at a time, and not too often (M8)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.history import reached
from tests.engine.engines import Tokens, VirtualClock, World, virtual_engine
from trayapp.core.messages import Event, Unreachable
from trayapp.core.model import Login, Phase, Policy, Problem, Series, Trigger, Workload
from trayapp.core.outcomes import Ambiguous, Fault, NotSent, Reply, ServerBusy
from trayapp.core.presentation import Verb
from trayapp.engine import engine, paths
from trayapp.engine.paths import Paths, server_of
from trayapp.engine.ports import SystemChange
from trayapp.engine.roster import SLICE

NETWORK = SystemChange(network=True)
DEAD = Fault(False, "dns", "no such name")
NAMES = [f"w{n}" for n in range(20)]


class DeadNetwork(Tokens):
    """No connection comes about while `fault` is set; `lineages` tells who tried, `took` how long each try takes."""

    def __init__(self, clock: VirtualClock, took: float = 0.01) -> None:
        super().__init__(life=600.0)
        self.clock = clock
        self.took = took
        self.fault: Fault | None = None
        self.tried: list[tuple[float, str]] = []
        self.in_flight = self.most = 0

    async def refresh(self, login: Login, *, limit: float, connect: float, in_doubt: bool = False) -> Reply:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self.tried.append((self.clock.at, login.lineage))
        await self.clock.sleep(self.took)
        self.in_flight -= 1
        if self.fault is not None:
            return self.fault
        return await super().refresh(login, limit=limit, connect=connect)


async def outage(world: World, clock: VirtualClock, tokens: DeadNetwork, fault: Fault = DEAD) -> None:
    """Refreshes have been due for a while, and the network is new but carries nothing."""
    await clock.pass_time(1.0)
    tokens.fault = fault
    world.system_changes(SystemChange(network=True, offline=True))
    await clock.pass_time(550.0)
    tokens.tried.clear()
    tokens.most = 0
    world.system_changes(NETWORK)


def phases(world: World) -> set[tuple[Phase, Series]]:
    return {(w.phase, w.series) for w in world.engine.workloads.values()}


async def test_twenty_workloads_of_a_server_cost_one_connection_a_step(tmp_path: Path) -> None:
    """Every step of the burst is one connection, whose failure counts for all; once it carries, all are green at once."""

    clock = VirtualClock()
    tokens = DeadNetwork(clock)
    async with virtual_engine(NAMES, tmp_path, clock, tokens) as world:
        await outage(world, clock, tokens)
        await clock.pass_time(6.0)
        steps = [at - tokens.tried[0][0] for at, _ in tokens.tried]
        assert 5 <= len(steps) <= 6, "0, 0.25, 0.75, 1.75, 3.75, and perhaps 7.75 s"
        assert 1 == tokens.most
        assert {(Phase.WAITING, Series.BURST)} == phases(world)
        tokens.fault = None
        began = clock.at
        await world_green(world, clock)
        assert clock.at - began < 8.0 + 1.0
        assert 2 == tokens.most, "the way is proven"


async def test_many_workloads_of_a_server_hear_of_it_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None tries it before all have heard, and one that a person wants now is not forgotten."""

    clock = VirtualClock()
    tokens = DeadNetwork(clock)
    told, run, apply = [0], asyncio.Handle._run, engine.Engine.apply

    def one_step(handle: asyncio.Handle) -> None:
        told.append(0)
        run(handle)

    def counted(self: engine.Engine, name: str, event: Event) -> None:
        told[-1] += isinstance(event, Unreachable)
        apply(self, name, event)

    async with virtual_engine([f"w{n}" for n in range(10 * SLICE)], tmp_path, clock, tokens) as world:
        await outage(world, clock, tokens)
        monkeypatch.setattr(asyncio.Handle, "_run", one_step)
        monkeypatch.setattr(engine.Engine, "apply", counted)
        while len(tokens.tried) < 3:
            await clock.pass_time(0.05)
        await clock.pass_time(0.1)
        monkeypatch.undo()
        assert 3 * (10 * SLICE - 1) == sum(told)
        assert SLICE == max(told)
        assert 3 == len({at for at, _ in tokens.tried}) == len(tokens.tried)
        assert 1 == tokens.most
        assert {(Phase.WAITING, Series.BURST)} == phases(world)


def test_no_attempt_begins_while_the_others_hear() -> None:
    """Two failures may be told at the same time."""

    found = Paths()
    with found.telling("one"):
        with found.telling("one"):
            assert (0, 2) == (found.slots("one"), found.slots("two"))
        assert 0 == found.slots("one")
    assert 2 == found.slots("one")
    assert not found._telling


def test_an_answer_that_never_came_makes_the_way_doubtful_until_one_comes() -> None:
    """Otherwise a network that loses answers would put two tokens at stake at a time; servers don't share that doubt."""

    found, lost = Paths(), Ambiguous(Problem("timeout", "no answer"))
    refused = NotSent(Problem("refused", "nobody there"))
    assert not found.tried("one", lost, 0.0)
    assert (1, 2) == (found.slots("one"), found.slots("two"))
    assert not found.failed("one"), "it was reached, so it needn't come last"
    found.tried("one", refused, 1.0)
    found.tried("one", lost, 2.0)
    assert 1 == found.slots("one")
    found.tried("one", ServerBusy(Problem("http", "busy", 503)), 3.0)
    assert 2 == found.slots("one")


async def test_a_network_that_loses_answers_puts_one_token_of_a_server_in_doubt(tmp_path: Path) -> None:
    """Twenty workloads are due, and every request arrives, but no answer does."""

    clock = VirtualClock()
    tokens = DeadNetwork(clock, took=20.0)
    async with virtual_engine(NAMES, tmp_path, clock, tokens) as world:
        await outage(world, clock, tokens, Fault(True, "timeout", "no answer"))
        await clock.pass_time(30.0)
        assert 1 == tokens.most
        assert 2 == len(tokens.tried)


async def world_green(world: World, clock: VirtualClock) -> None:
    for _ in range(2000):
        if {Phase.VALID} == {w.phase for w in world.engine.workloads.values()}:
            return
        await clock.pass_time(0.01)
    raise AssertionError(f"not green: {phases(world)}")


@pytest.mark.parametrize("kind", ["request", "internal"])
async def test_what_is_wrong_with_one_request_says_nothing_of_the_others(tmp_path: Path, kind: str) -> None:
    """A value that can't be sent is its own workload's trouble."""

    clock = VirtualClock()
    tokens = DeadNetwork(clock)
    async with virtual_engine(NAMES[:3], tmp_path, clock, tokens) as world:
        await outage(world, clock, tokens, Fault(False, kind, "it cannot be sent"))
        await clock.pass_time(0.5)
        assert {"line-w0", "line-w1", "line-w2"} == {who for _, who in tokens.tried}


async def test_retry_now_is_not_answered_by_another_workloads_failure(tmp_path: Path) -> None:
    """A click is an attempt, at once, however often nobody got through to the server."""

    clock = VirtualClock()
    tokens = DeadNetwork(clock)
    async with virtual_engine(NAMES[:3], tmp_path, clock, tokens) as world:
        await outage(world, clock, tokens)
        for _ in range(20):  # a network that flaps
            world.system_changes(NETWORK)
            await clock.pass_time(1.0)
        assert paths.TRIES == len(tokens.tried)
        world.do(Verb.RETRY, "w2")
        await clock.pass_time(0.5)
        assert paths.TRIES + 1 == len(tokens.tried)
        assert "line-w2" == tokens.tried[-1][1]


async def test_a_flapping_network_costs_twelve_connections_a_minute(tmp_path: Path) -> None:
    """Also for twenty workloads; after the minute the next try follows without an event."""

    clock = VirtualClock()
    tokens = DeadNetwork(clock)
    async with virtual_engine(NAMES, tmp_path, clock, tokens) as world:
        await outage(world, clock, tokens)
        for _ in range(300):
            world.system_changes(NETWORK)
            await clock.pass_time(1.0)
        instants = [at for at, _ in tokens.tried]
        assert 60 <= len(instants) <= 61, "five minutes"
        assert all(sum(0 <= at - first < 60.0 for at in instants) <= paths.TRIES for first in instants)
        assert all(not w.recent for w in world.engine.workloads.values()), "nothing was sent, so nothing counts (M8)"
        tokens.fault = None
        await world_green(world, clock)


async def test_the_ceiling_does_not_come_earlier(tmp_path: Path) -> None:
    """M6: three failures are there within a second now, but the tick of counted time is still needed."""

    clock = VirtualClock()
    tokens = DeadNetwork(clock)
    policy = Policy(ceiling=3600.0)
    async with virtual_engine(NAMES[:2], tmp_path, clock, tokens, policy) as world:
        await outage(world, clock, tokens)
        await clock.pass_time(3580.0)
        world.system_changes(NETWORK)
        await clock.pass_time(300.0)  # the burst is over, and the ceiling has passed
        failing = [w.failing for w in world.engine.workloads.values()]
        assert all(each and each.fresh_tries > 3 for each in failing)
        assert all(w.failing and w.failing.exhausted and not w.failing.gave_up for w in world.engine.workloads.values())


# --- the record itself ------------------------------------------------------------------------------------------------


def waiting(**changes: object) -> Workload:
    return replace(reached(Phase.WAITING).w, **changes)  # type: ignore[arg-type]


def all_fail(found: Paths, w: Workload, instants: Iterable[float]) -> None:
    for at in instants:
        assert found.tried(server_of(w), NotSent(Problem("refused", "no")), at)


def test_the_oldest_try_decides_when_the_next_one_may_be_made() -> None:
    """Twelve in a minute; six more for a token in doubt; a click always."""

    found, w = Paths(), waiting()
    all_fail(found, w, range(11))
    assert 0.0 == found.opens_at(w)
    assert found.next_opening(11.0) is None
    all_fail(found, w, [11.0])
    assert 60.0 == found.opens_at(w) == found.next_opening(11.0)
    assert 0.0 == found.opens_at(waiting(series=Series.AGAIN))
    assert 0.0 == found.opens_at(waiting(trigger=Trigger.MANUAL))
    all_fail(found, w, range(12, 18))
    assert 66.0 == found.opens_at(w)
    assert 60.0 == found.opens_at(waiting(series=Series.AGAIN)) == found.next_opening(17.0)
    all_fail(found, w, [100.0])
    assert 0.0 == found.opens_at(w)


def test_a_way_is_proven_by_an_answer() -> None:
    """One slot until then; another server's way is another matter."""

    found, w = Paths(), waiting()
    other = waiting(login=None, spec=replace(w.spec, token_endpoint="https://other.example/token"))
    assert 2 == found.slots(server_of(w))
    found.doubt()
    assert (1, 1) == (found.slots(server_of(w)), found.slots(server_of(other)))
    assert not found.tried(server_of(w), ServerBusy(Problem("http", "busy", 503)), 5.0)
    assert (2, 1) == (found.slots(server_of(w)), found.slots(server_of(other)))
    assert not found.tried(server_of(other), NotSent(Problem("request", "a bad value")), 5.0)
    assert 1 == found.slots(server_of(other))
