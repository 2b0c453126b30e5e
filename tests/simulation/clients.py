"""Simulated clients: they request tokens, use them, and check what they get (M15)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.checks import EPSILON
from trayapp.core.messages import Rejected
from trayapp.core.model import AccessToken
from trayapp.core.presentation import Colour

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World


async def call(world: World, process: Process, name: str) -> None:
    """A client requests a token and uses it."""
    truth = world.checks.truths[name]
    began = asyncio.get_running_loop().time()
    got = await process.engine.token(name)
    if not process.alive:
        return
    if asyncio.get_running_loop().time() - began > 2.0 + EPSILON:
        world.checks.broken(name, "callers", "a caller waited longer than two seconds (M15)")
    if not isinstance(got, AccessToken):
        await asyncio.sleep(0.4)  # the engine was woken to check its deadlines
        view = process.engine.view_of(name)
        later = process.engine.callers.peek(name)
        if (
            world.process is process
            and view is not None
            and view.colour is Colour.GREEN
            and not isinstance(later, AccessToken)
        ):
            world.checks.broken(name, "colour", "green while callers are refused")
        return
    value, t = got.value.reveal(), world.clocks.t
    ends = max((f.access[value] for f in truth.server.families if value in f.access), default=0.0)
    if value in truth.rejected:
        world.checks.broken(name, "callers", "a token that the upstream has rejected is served")
    if not truth.server.renews:
        ends = max(ends, world.checks.access_only.end(truth, ends))  # a clock that was set moves it
    if t > ends:
        world.checks.broken(name, "callers", f"a token is served {t - ends:.0f} s after its end")
    if (
        truth.server.renews
        and got.expires_at is not None
        and got.expires_at - process.engine.now().at > ends - t + EPSILON
    ):
        world.checks.broken(name, "callers", "a token is believed to live longer than its server says (M1)")
    world.checks.step_up.used(process, truth, got)
    if not truth.server.renews:
        await world.checks.access_only.used(process, truth, got)
    elif any(value in family.dead_access for family in truth.server.families):
        truth.rejected.add(value)
        world.say(name, "the upstream says 401")
        process.engine.apply(name, Rejected(process.engine.now(), got.serial))
        again = process.engine.callers.peek(name)  # a client that retries immediately
        if isinstance(again, AccessToken) and again.value.reveal() in truth.rejected:
            world.checks.broken(name, "callers", "a token that the upstream has rejected is served")
