"""Worlds at their edges."""

from __future__ import annotations

import asyncio

from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import KINDS, Plan, PlannedEvent
from tests.simulation.servers import AuthServer
from tests.simulation.world import World


def test_nothing_is_left_to_happen() -> None:
    """The last event is a sleep, and no token ever ends: the world ends too, instead of polling without end."""

    async def live() -> World:
        server = AuthServer("as0.example", rotates=False, grace=0.0, life=None, renews=False)
        planned = Plan(2000.0, (PlannedEvent(100.0, "sleep", 1000.0),))
        world = World(0, 1, 1, frozenset(KINDS), servers=[server], planned=planned)
        world.native = True  # sleep is announced a few seconds ahead, and by then nothing is planned any more
        await world.live()
        return world

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world = runner.run(live())

    assert world.failure is None
    assert world.clocks.slept > 900.0
