"""A workload that was paused, at a start with a locked keyring: it says so, and goes on only when a person resumes it."""

from __future__ import annotations

from pathlib import Path

from tests.engine.test_removals import Bench, login
from trayapp.core.model import Trouble
from trayapp.core.presentation import Verb


async def test_it_is_paused_and_an_unlock_changes_nothing(tmp_path: Path) -> None:
    """state.db knows of the pause; the keyring is read by the resume, which then says how that is."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        world.do(Verb.PAUSE)
        await bench.clock.pass_time(1.0)
    asked = bench.tokens.asked
    bench.keystore.trouble = Trouble.LOCKED
    async with bench.run("one") as world:
        await bench.clock.pass_time(30.0)
        assert "stopped paused" == world.status()
        bench.keystore.trouble = None
        await world.engine.keyring_up()
        await bench.clock.pass_time(120.0)
        assert "stopped paused" == world.status()
        assert asked == bench.tokens.asked
        bench.keystore.trouble = Trouble.LOCKED
        world.do(Verb.RESUME)
        await bench.clock.pass_time(30.0)
        assert "auth_retrying keyring_locked" == world.status()
        bench.keystore.trouble = None
        await world.engine.keyring_up()
        await bench.clock.pass_time(1.0)
        assert "running ok" == world.status()


async def test_what_it_has_to_delete_is_deleted_after_the_unlock(tmp_path: Path) -> None:
    """It was signed out and paused behind the lock, which outlasts a restart: nobody has to resume it for that."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        bench.keystore.trouble = Trouble.LOCKED
        world.do(Verb.SIGN_OUT)
        world.do(Verb.PAUSE)
        await bench.clock.pass_time(1.0)
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        assert "stopped paused" == world.status()
        bench.keystore.trouble = None
        await world.engine.keyring_up()
        await bench.clock.pass_time(1.0)
        assert "stopped paused" == world.status()
        assert await bench.keystore.held() is None
    assert {} == await bench.journal.undeleted()
