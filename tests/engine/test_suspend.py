"""Before a sleep: attempts in flight may end, unanswered ones get the mark, and nothing begins."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.engine.engines import World, keystore_with, login_of, one, running, spec_of, with_policy
from trayapp.core.model import Phase
from trayapp.core.presentation import Verb
from trayapp.engine import suspend
from trayapp.engine.ports import SystemChange
from trayapp.oauthtest import Mode, OAuthServer

PATIENT = with_policy(attempt_limit=5.0)


async def announce_sleep(world: World) -> asyncio.Task[None]:
    """The machine announces its sleep; the task that it then waits for."""
    world.system_changes(SystemChange(sleep_soon=True))
    await world.until(lambda: world.engine.gate.sleeping)
    return asyncio.create_task(world.engine.suspend.settled())


async def test_with_nothing_in_flight_the_machine_sleeps_immediately(tmp_path: Path) -> None:
    """And no mark is set."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            waiting = await announce_sleep(world)
            began = time.monotonic()
            await waiting
            assert 0.5 > time.monotonic() - began
            assert not world.w().maybe_spent


async def test_an_answer_is_stored_before_the_sleep(tmp_path: Path) -> None:
    """The sleep waits for the answer and for the keyring; then the new login is there and the intent closed."""

    with OAuthServer(delay=0.4) as server:
        held = login_of(server)
        async with one(server, tmp_path, PATIENT, login=held) as world:
            await world.green()
            server.script(Mode.SLOW)
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token", outcome="ok") == 2)
            waiting = await announce_sleep(world)
            await asyncio.sleep(0.1)
            assert not waiting.done()
            assert not world.w().maybe_spent  # it may still be answered
            await waiting
            stored = await world.stored()
            assert stored is not None
            assert server.current_refresh_token(server.live_families()[0]) == stored.refresh_token.reveal()
            assert not world.w().maybe_spent


async def test_an_unanswered_attempt_is_marked_and_repeated_after_the_wake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit passes, the mark is set, the request is kept; after the wake the same token is sent: green."""

    monkeypatch.setattr(suspend, "SUSPEND_LIMIT", 0.2)
    with OAuthServer(grace=60, delay=30) as server:
        async with one(server, tmp_path, with_policy(attempt_limit=2.0)) as world:
            await world.green()
            server.script(Mode.SLOW)
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token", outcome="ok") == 2)
            await (await announce_sleep(world))
            assert world.w().maybe_spent
            assert Phase.REFRESHING is world.w().phase

            world.system_changes(SystemChange(woke=True))
            await world.until(lambda: server.count("token", outcome="ok") == 3)
            await world.green()
            assert not world.w().maybe_spent
            sent = [r.form["refresh_token"] for r in server.requests if r.kind == "token"]
            assert sent[1] == sent[2]


async def test_nothing_begins_until_the_wake(tmp_path: Path) -> None:
    """Neither what is due nor a click makes an attempt; the wake makes it."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            await (await announce_sleep(world))
            world.do(Verb.RETRY)
            await world.quiet()
            assert 1 == server.count("token")
            world.system_changes(SystemChange(woke=True))
            await world.until(lambda: server.count("token", outcome="ok") == 2)


async def test_a_sleep_that_is_called_off_marks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While an answer is still awaited: the wait ends, and no token gets the mark."""

    monkeypatch.setattr(suspend, "SUSPEND_LIMIT", 1.0)
    with OAuthServer(delay=0.6) as server:
        async with one(server, tmp_path, PATIENT) as world:
            await world.green()
            server.script(Mode.SLOW)
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token", outcome="ok") == 2)
            waiting = await announce_sleep(world)
            world.system_changes(SystemChange(woke=True))
            async with asyncio.timeout(0.4):
                await waiting
            assert not world.w().maybe_spent
            await world.green()
    assert 2 == server.count("token")


@pytest.mark.alone
async def test_queued_attempts_are_not_waited_for(tmp_path: Path) -> None:
    """Only those in flight are; the others stay in the queue."""

    with OAuthServer(latency=0.2) as server:
        names = [f"w{number}" for number in range(6)]
        keystore = await keystore_with(*((name, login_of(server, name)) for name in names))
        specs = [spec_of(server, name, policy=PATIENT) for name in names]
        async with running(specs, tmp_path, keystore=keystore) as world:
            await world.until(lambda: server.count("token") == 2)  # M11: two per server
            await (await announce_sleep(world))
            assert 2 == server.count("token")
            assert 2 == sum(world.view(name).status == "running" for name in names)
            world.system_changes(SystemChange(woke=True))
            for name in names:
                await world.green(name)


async def test_without_an_announced_sleep_settled_returns(tmp_path: Path) -> None:
    """There is nothing to wait for."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            async with asyncio.timeout(0.1):
                await world.engine.suspend.settled()
            await world.green()
            assert (False, False) == (world.engine.gate.sleeping, world.w().maybe_spent)
