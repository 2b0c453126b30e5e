"""One attempt on its way through each trouble of the network: what the program is told, and whether its token is spent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulation import network_plan
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import DAY, KINDS, PlannedEvent, make
from tests.simulation.truth import Call
from tests.simulation.wire import SimulatedWire, Tokens
from tests.simulation.world import World
from trayapp.core.model import Moment, Trigger, Workload
from trayapp.core.outcomes import Answer, Fault, Reply
from trayapp.engine.paths import RESCUES, TRIES, WINDOW

Happens = Callable[[World, Tokens], None]


class Attempt:
    """One attempt over the network of a world in which nothing else happens."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.reply: Reply | None = None
        self.seconds = 0.0
        self.spent = False
        self.failure: tuple[str, str, str] | None = None

    def run(self, *troubles: tuple[str, str], after: dict[float, Happens] | None = None) -> Attempt:
        """Begin it under these troubles; `after` so many seconds something else happens."""
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(self._run(troubles, after or {}))
        return self

    async def _run(self, troubles: tuple[tuple[str, str], ...], after: dict[float, Happens]) -> None:
        world = World(self.seed, 1, 1, frozenset(KINDS))
        server = world.servers[0]
        server.rotates, server.vpn, (spec,) = True, "", world.specs
        login = world.login_of(server, server.families[0])

        async def no_crash(what: str) -> None:
            pass

        process: Any = SimpleNamespace(
            world=world,
            number=1,
            crash_point_or_wait=no_crash,
            engine=SimpleNamespace(workloads={"w0": Workload(spec)}),
        )
        process.tokens = tokens = Tokens(process)
        for kind, target in troubles:
            world.network.trouble(kind, target.replace("HOST", server.host), over=False)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for delay, happens in after.items():
            loop.call_later(delay, happens, world, tokens)
        self.reply = await tokens.refresh(login, limit=30.0, connect=5.0)
        self.seconds = loop.time() - began
        await asyncio.sleep(40.0)
        self.spent = login.refresh_token.reveal() in server.families[0].used
        self.failure = world.failure

    @property
    def told(self) -> tuple[str, bool]:
        """What the program is told: the kind of fault, and whether the token may be spent."""
        assert isinstance(self.reply, Fault)
        return self.reply.kind, self.reply.sent


def move(world: World, tokens: Tokens) -> None:
    """The laptop moves to another network, and nobody notices."""
    world.network.epoch += 1


def noticed(world: World, tokens: Tokens) -> None:
    """It moves, and the program notices."""
    move(world, tokens)
    tokens.wire.network_changed()


def ends(kind: str, target: str = "") -> Happens:
    return lambda world, tokens: world.network.trouble(kind, target, over=True)


def test_nothing_in_the_way() -> None:
    """The token is spent, and the answer arrives within a second or two."""

    attempt = Attempt().run()

    assert isinstance(attempt.reply, Answer)
    assert attempt.spent
    assert attempt.seconds < 2.0


@pytest.mark.parametrize(
    ("trouble", "told", "least", "most"),
    [
        (("routes", "fast"), "unreachable", 0.0, 0.2),
        (("routes", "hang"), "connect_timeout", 4.9, 5.1),
        (("lie", "nx"), "dns", 0.0, 0.2),
        (("lie", "refused"), "refused", 0.0, 0.2),
        (("lie", "tls"), "tls", 0.0, 0.3),
        (("tlshang", ""), "connect_timeout", 4.9, 5.2),
        (("tlshang", "HOST"), "connect_timeout", 4.9, 5.2),
    ],
    ids=lambda value: str(value),
)
def test_an_obstacle_before_the_request_spends_nothing(
    trouble: tuple[str, str], told: str, least: float, most: float
) -> None:
    """And the program is told so."""

    attempt = Attempt().run(trouble)

    assert (told, False) == attempt.told
    assert least <= attempt.seconds <= most
    assert not attempt.spent
    assert attempt.failure is None


def test_an_answer_that_the_network_drops_leaves_the_token_spent_and_in_doubt() -> None:
    """The request arrived: the next one with this token is a second use."""

    attempt = Attempt().run(("oneway", ""))

    assert ("timeout", True) == attempt.told
    assert attempt.spent


def test_an_answer_is_sent_again_until_it_gets_through() -> None:
    """A network that drops answers for two seconds only delays this one."""

    attempt = Attempt().run(("oneway", ""), after={2.0: ends("oneway")})

    assert isinstance(attempt.reply, Answer)
    assert 2.0 < attempt.seconds < 5.0


def test_routes_that_come_during_the_attempt_are_used() -> None:
    """The packet that opens the connection is sent again after one, three and seven seconds."""

    attempt = Attempt().run(("routes", "hang"), after={2.5: ends("routes", "hang")})

    assert isinstance(attempt.reply, Answer)
    assert 3.0 <= attempt.seconds < 5.0


def test_a_forgetful_nat_loses_the_answer() -> None:
    """The connection was silent while the server worked."""

    attempt = Attempt().run(("nat", "0.01"))

    assert ("timeout", True) == attempt.told
    assert attempt.spent


@pytest.mark.parametrize("seed", range(5))
def test_another_network_in_the_middle_of_a_handshake_spends_nothing(seed: int) -> None:
    """The connection is reset, or stays silent until the limit of connecting."""

    attempt = Attempt(seed).run(("midway", ""))

    assert isinstance(attempt.reply, Fault)
    assert not attempt.reply.sent
    assert attempt.reply.kind in ("reset", "connect_timeout")
    assert not attempt.spent
    assert attempt.failure is None


def test_a_change_that_the_program_notices_ends_the_attempt_immediately() -> None:
    """Instead of the five seconds that a silent connection may take."""

    attempt = Attempt().run(("tlshang", ""), after={1.0: noticed})

    assert ("unreachable", False) == attempt.told
    assert 1.0 <= attempt.seconds < 1.01


@pytest.mark.parametrize("seed", range(8))
def test_roaming_during_the_request_loses_the_answer(seed: int) -> None:
    """Whether the request had arrived or not, it may have."""

    attempt = Attempt(seed).run(("roam", ""))

    assert isinstance(attempt.reply, Fault)
    assert attempt.reply.sent


def test_roaming_spends_some_tokens_and_not_others() -> None:
    """The client can't know which."""

    assert {True, False} == {Attempt(seed).run(("roam", "")).spent for seed in range(12)}


@pytest.mark.parametrize("seed", range(4))
def test_lost_packets_make_it_slow(seed: int) -> None:
    """Name, connection, handshake and answer take a part of a second each, or more."""

    slow, quick = Attempt(seed).run(("loss", "1.0")), Attempt(seed).run()

    assert isinstance(slow.reply, Answer)
    assert slow.seconds > quick.seconds + 0.3


def test_without_a_preflight_a_handshake_that_hangs_has_spent_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison's naive client: its request left with the first packets."""

    monkeypatch.setattr(SimulatedWire, "preflight", False)
    attempt = Attempt().run(("tlshang", ""))

    assert attempt.spent
    assert attempt.told[1]


# --- the checks --------------------------------------------------------------------------------------------------------


def checked(*ended: float, in_doubt: bool = False, trigger: Trigger = Trigger.NETWORK) -> str:
    """What the checks say to an attempt at 100 s, after attempts that sent nothing and ended at these times."""

    async def run() -> World:
        world = World(0, 1, 1, frozenset(KINDS))
        preflight = world.checks.preflight
        earlier = Call("w0", 1, "rt", 0.0, trigger, "as0.example")
        preflight.begins(earlier, in_doubt=False)
        for t in ended:
            world.clocks.slept = t
            preflight.ended(earlier, Fault(False, "refused", ""))
        preflight.begins(Call("w0", 1, "rt", 100.0, trigger, "as0.example"), in_doubt=in_doubt)
        return world

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        failure = runner.run(run()).failure
    return failure[2] if failure else ""


def test_twelve_connections_a_minute_may_fail() -> None:
    """A thirteenth attempt is too many; a token in doubt has six more, a person as many as they like."""

    dozen = [100.0 - 4.0 * n for n in range(TRIES)]

    assert checked(*dozen[1:]) == ""
    assert "more than 12 attempts" in checked(*dozen)
    assert checked(*dozen, in_doubt=True) == ""
    assert "more than 18 attempts" in checked(*dozen, *(99.0,) * RESCUES, in_doubt=True)
    assert checked(*dozen, trigger=Trigger.MANUAL) == ""
    assert checked(100.0 - WINDOW, *dozen[1:]) == ""


def test_what_is_called_unsent_must_be() -> None:
    """And what is called sent as well."""

    async def run(sent: bool, called: bool) -> World:
        world = World(0, 1, 1, frozenset(KINDS))
        call = Call("w0", 1, "rt", 0.0, Trigger.DUE, "as0.example", sent=sent)
        world.checks.preflight.ended(call, Fault(called, "reset", ""))
        return world

    def failed(sent: bool, called: bool) -> bool:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(run(sent, called)).failure is not None

    assert [False, True, True, False] == [failed(s, c) for s in (False, True) for c in (False, True)]


def test_a_token_must_not_leave_over_a_connection_of_another_network() -> None:
    """Within a second of connecting a silent change can't be seen; a change that was noticed never counts as silent."""

    def failed(*, age: float, overtaken: bool, moved: bool) -> bool:
        async def run() -> World:
            world = World(0, 1, 1, frozenset(KINDS))
            call = Call("w0", 1, "rt", 0.0, Trigger.DUE, "as0.example")
            world.network.epoch += moved
            now: Moment = world.clocks.now()
            progress: Any = SimpleNamespace(overtaken=overtaken, _connected_at=now.at - age)
            world.checks.preflight.sent(call, progress)
            return world

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(run()).failure is not None

    assert not failed(age=3.0, overtaken=False, moved=False)
    assert not failed(age=0.5, overtaken=False, moved=True)
    assert failed(age=3.0, overtaken=False, moved=True)
    assert failed(age=0.5, overtaken=True, moved=True)


# --- the plan ----------------------------------------------------------------------------------------------------------


def planned(seed: int, *without: str) -> list[PlannedEvent]:
    return list(make(seed, 20, frozenset(without), ["a", "b", "c"], ["w0"]).events)


@pytest.mark.parametrize("kind", network_plan.KINDS)
def test_a_kind_that_is_switched_off_leaves_all_others(kind: str) -> None:
    """Its own events are gone. Only a link that flaps brings others along: what comes with an arrival."""

    full, rest = planned(1), planned(1, kind)
    gone = [event for event in full if event not in rest]
    brought = (*network_plan.AT_ARRIVAL, "link down") if kind == "flap" else (kind,)

    assert gone
    assert all(event in full for event in rest)
    assert {event.what for event in gone} <= set(brought)


@pytest.mark.parametrize("kind", network_plan.KINDS)
def test_a_kind_doesnt_depend_on_links_that_something_else_takes_down(kind: str) -> None:
    """What comes at the start of a session comes in any case."""

    alone, full = planned(2, "net"), planned(2)
    own = [event for event in alone if event.what == kind]

    assert all(event in full for event in own)
    assert all(0.0 <= event.t < 21 * DAY for event in full if event.what in network_plan.KINDS)
