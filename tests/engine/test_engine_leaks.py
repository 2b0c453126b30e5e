"""What the engine keeps of a workload that was removed: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.engines import HeldSignIn, Tokens, VirtualClock, World, settled, virtual_engine
from tests.engine.test_sign_ins_candidates import bobs
from trayapp.core.model import Login, Problem
from trayapp.core.outcomes import Answer, Reply
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Unavailable


def remembers(world: World, name: str = "one") -> set[str]:
    """Where the engine and its parts still know the workload: attributes that hold it as a key, or as part of one."""
    engine = world.engine
    own = (
        engine.effects,
        engine.callers,
        engine.sign_ins,
        engine.sign_ins.candidates,
        engine._publisher,
        engine._roster,
    )
    parts = (engine, *own, engine._agenda, engine._agenda._admission)
    return {
        f"{type(part).__name__}.{attribute}"
        for part in parts
        for attribute, kept in vars(part).items()
        if isinstance(kept, dict | set | frozenset)
        if any(name == key or (isinstance(key, tuple) and name in key) for key in kept)
    }


async def configured(world: World, *names: str) -> None:
    """The configuration names these workloads now."""
    await world.engine.configure([world.w(name).spec for name in names])


async def removed(world: World, *others: str) -> None:
    """The command: the login is revoked and deleted, and then the file no longer names the workload."""
    world.do(Verb.REMOVE)
    await asyncio.sleep(0)  # a click is carried out by the loop's next turn
    await configured(world, *others)


async def dropped(world: World, *others: str) -> None:
    """An editor: the file no longer names the workload."""
    await configured(world, *others)


@pytest.mark.parametrize("leave", [removed, dropped])
async def test_nothing_is_kept_of_a_workload_that_is_gone(
    leave: Callable[..., Awaitable[None]], tmp_path: Path
) -> None:
    """After all that can be remembered of one: refreshed, refused to a caller, waited for, signed in, signing in."""

    clock, people, tokens = VirtualClock(), HeldSignIn(), Tokens()
    async with virtual_engine(["one", "two"], tmp_path, clock, tokens, sign_in=people) as world:
        await clock.pass_time(5.0)
        for name in ("one", "two"):
            login = world.w(name).login
            assert login is not None
            world.engine.workloads[name] = replace(world.w(name), login=replace(login, subject="alice"))
            world.do(Verb.REAUTHORIZE, name)
            await settled()
            people.answers[name].set_result(bobs(clock))
            await settled()  # another account: a candidate
            await clock.pass_time(5.0)
            world.do(Verb.REAUTHORIZE, name)
            await settled()  # and one more sign-in, under way
            world.engine.callers.refused.add(name)
            world.engine.callers.refusals[name, "retrying"] += 1
        hanging: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        async def reply(login: Login) -> Reply:
            return await asyncio.shield(hanging)

        tokens.reply = reply
        for name in ("one", "two"):
            world.do(Verb.RETRY, name)
        await settled()
        waiting = [asyncio.ensure_future(world.engine.token(name, 3590.0)) for name in ("one", "two")]
        await settled()
        everywhere = remembers(world, "two")
        assert everywhere == remembers(world)
        assert {
            "Agenda._deadlines",
            "Agenda._opens",
            "Agenda._times",
            "Callers._waiting",
            "Candidates._pending",
            "Callers.refusals",
            "Callers.refused",
            "EffectRunner._attempts",
            "EffectRunner.refreshes",
            "Engine._view_due",
            "Engine._views",
            "Engine.created",
            "Engine.workloads",
            "Publisher._views",
            "SignIns._specs",
            "SignIns._running",
            "SignIns._urls",
        } <= everywhere

        await leave(world, "two")
        await settled()
        assert {"Engine.workloads", "EffectRunner._attempts"} <= remembers(world)  # its attempt is still waited for
        hanging.set_result(Answer(400, {"content-type": "application/json"}, b'{"error": "invalid_grant"}'))
        await settled()
        await clock.pass_time(1.0)

        assert set() == remembers(world)
        assert "two" in world.engine.workloads
        assert isinstance(await waiting[0], Unavailable)
        waiting[1].cancel()


async def test_a_sign_in_that_has_ended_leaves_no_address(tmp_path: Path) -> None:
    """Its page is of no more use; what is kept is only when it was clicked."""

    clock, people = VirtualClock(), HeldSignIn()
    async with virtual_engine(["one"], tmp_path, clock, Tokens(), sign_in=people) as world:
        await clock.pass_time(5.0)
        for done in (True, False):
            await world.engine.sign_ins.begin("one", browser=True, accept=False)
            assert {"SignIns._specs", "SignIns._running", "SignIns._urls"} <= remembers(world)
            if done:
                people.answers["one"].set_result(bobs(clock))
            else:
                world.do(Verb.CANCEL_SIGN_IN)
            await settled()
            assert not {"SignIns._specs", "SignIns._running", "SignIns._urls"} & remembers(world)


async def test_a_candidate_does_not_outlive_its_workload(tmp_path: Path) -> None:
    """Added again under the same name, a workload has nothing that waits for agreement."""

    clock, people = VirtualClock(), HeldSignIn()
    async with virtual_engine(["one"], tmp_path, clock, Tokens(), sign_in=people) as world:
        await clock.pass_time(5.0)
        spec, login = world.w().spec, world.w().login
        assert login is not None
        world.engine.workloads["one"] = replace(world.w(), login=replace(login, subject="alice"))
        await world.engine.sign_ins.begin("one", browser=True, accept=False)
        people.answers["one"].set_result(bobs(clock))
        await settled()
        assert "different_account" == (world.view().auth.sign_in_error or Problem("", "")).kind

        await removed(world)
        await settled()
        assert set() == remembers(world)
        await world.engine.configure([spec])
        await settled()

        answer = await world.engine.sign_ins.begin("one", browser=False, accept=True)
        assert isinstance(answer, Problem)
        assert "nothing_pending" == answer.kind
        assert "unauthenticated never_signed_in" == world.status()


async def test_a_refusal_does_not_outlive_its_workload(tmp_path: Path) -> None:
    """Nobody has asked the workload that is added under the same name."""

    clock = VirtualClock()
    async with virtual_engine(["one"], tmp_path, clock, Tokens()) as world:
        await clock.pass_time(5.0)
        world.do(Verb.PAUSE)
        await clock.pass_time(1.0)
        assert "stopped paused" == world.status()
        assert isinstance(await world.engine.token("one"), Unavailable)
        assert ({"one"}, 1) == (world.engine.callers.refused, world.engine.callers.refusals["one", "stopped"])
        spec = world.w().spec
        await dropped(world)
        await clock.pass_time(1.0)
        await world.engine.configure([spec])
        await clock.pass_time(1.0)
        assert "stopped paused" == world.status()
        assert (set(), 0) == (world.engine.callers.refused, world.engine.callers.refusals.total())


@pytest.mark.parametrize("again", [True, False])
async def test_named_again_while_its_removal_is_under_way(again: bool, tmp_path: Path) -> None:
    """The old login is revoked first, then the workload begins anew: nobody has to reload the configuration for it."""

    class Slow(Tokens):
        answers = asyncio.Event()

        async def revoke(self, login: Login) -> bool:
            await self.answers.wait()
            return True

    clock, tokens = VirtualClock(), Slow()
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(5.0)
        spec = world.w().spec
        await removed(world)
        await settled()
        assert ["one"] == list(world.engine.workloads)
        await world.engine.configure([spec] if again else [])
        await clock.pass_time(5.0)
        assert "removing" == world.view().status

        tokens.answers.set()
        await clock.pass_time(1.0)

        if again:
            assert "unauthenticated never_signed_in" == world.status()
        else:
            assert set() == remembers(world)
        assert 1 == tokens.asked
