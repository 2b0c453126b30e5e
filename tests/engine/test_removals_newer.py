"""A login that is stored while an older one waits to be deleted: it is neither deleted nor revoked in its place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.engine.engines import HeldSignIn, login_of, running, settled, spec_of
from tests.engine.test_removals import Bench, Lockable, login, shown, sign_out_behind_a_lock
from trayapp.core.model import AccessToken, Login, Problem, Saved, Secret, Trouble
from trayapp.core.presentation import Verb
from trayapp.engine.ports import NewLogin, StoredLogin
from trayapp.oauthtest import OAuthServer


async def test_a_crash_right_after_the_write_deletes_nothing(tmp_path: Path) -> None:
    """state.db still says that the old login is to be deleted; the keyring has the one from the sign-in after it."""

    bench = Bench(tmp_path)
    await sign_out_behind_a_lock(bench)
    new = replace(login("rt-new"), lineage="another", generation=9)
    await bench.keystore.store("one", new)
    revoked = list(bench.tokens.revoked)

    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        held = await bench.keystore.held()
        assert held is not None
        assert "another" == held.lineage
        assert 2 == bench.tokens.asked  # one in each run
        await bench.clock.pass_time(4000.0)
        assert revoked == bench.tokens.revoked
        assert () == shown(world)
    assert {} == await bench.journal.undeleted()


async def test_the_same_without_the_workload_in_the_configuration(tmp_path: Path) -> None:
    """A workload that merely disappears from the configuration keeps its login, the new one too."""

    bench = Bench(tmp_path)
    await sign_out_behind_a_lock(bench)
    await bench.keystore.store("one", replace(login("rt-new"), lineage="another", generation=9))

    async with bench.run() as world:
        await bench.clock.pass_time(1000.0)
        assert await bench.keystore.held() is not None
        assert () == shown(world)


class SlowToRead(Lockable):
    """Reads wait at `door`; what was read before it opens is what they return."""

    def __init__(self) -> None:
        super().__init__()
        self.door = asyncio.Event()
        self.door.set()
        self.reading = 0

    async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble:
        found = await super().load(name, prompt=prompt)
        self.reading += 1
        await self.door.wait()
        return found


async def test_a_sign_in_during_the_reading_keeps_its_login(tmp_path: Path) -> None:
    """The old login is found, the new one is written, and only then is the old one to be deleted."""

    with OAuthServer() as server:
        keystore = SlowToRead()
        await keystore.store("one", login_of(server))
        async with running([spec_of(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            keystore.trouble = Trouble.LOCKED
            world.do(Verb.SIGN_OUT)
            await world.until(lambda: shown(world), "what is left")
            keystore.trouble = None
            keystore.door.clear()
            before = keystore.reading
            await world.engine.keyring_up()
            await world.until(lambda: keystore.reading > before, "the reading")
            world.do(Verb.REAUTHORIZE)
            held: Login | None = None
            await world.until(lambda: world.w().login is not None, "the sign-in")
            keystore.door.set()
            await world.browsed()
            await world.until(lambda: not world.w().unsaved and world.w().storing is None, "the write")
            await world.quiet(0.1)
            await settled()
            held, own = await keystore.held(), world.w().login
            assert own is not None
            assert held is not None
            assert own.lineage == held.lineage
            assert () == shown(world)


async def test_a_state_db_that_fails_brings_nothing_back(tmp_path: Path) -> None:
    """What is left to do couldn't be recorded, but this run knows it: the login isn't used again."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        asked = bench.tokens.asked

        async def full(name: str, saved: Saved) -> None:
            raise OSError("disk full")

        bench.journal.save = full  # type: ignore[method-assign]
        bench.keystore.trouble = Trouble.LOCKED
        world.do(Verb.SIGN_OUT)
        await bench.clock.pass_time(1.0)
        world.do(Verb.PAUSE)
        await bench.clock.pass_time(1.0)
        bench.keystore.trouble = None
        world.do(Verb.RESUME)
        await bench.clock.pass_time(1.0)
        assert "unauthenticated never_signed_in" == world.status()
        assert (None, asked) == (await bench.keystore.held(), bench.tokens.asked)


async def test_a_given_up_login_is_no_login_to_compare_with(tmp_path: Path) -> None:
    """Removed behind a locked keyring, added again, and signed in as somebody else while it opens: nothing to ask about."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", replace(login(), subject="alice", issuer="https://as.example"))
    bench.keystore.trouble = Trouble.LOCKED
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        world.do(Verb.REMOVE)
        await bench.clock.pass_time(1.0)
    people = HeldSignIn()
    async with bench.run("one", sign_in=people) as world:
        await bench.clock.pass_time(1.0)
        world.do(Verb.REAUTHORIZE)
        await bench.clock.pass_time(1.0)
        bench.keystore.trouble = None
        now = bench.clock.now()
        new = replace(
            login("rt-bob"), lineage="another", subject="bob", issuer="https://as.example", obtained_at=now.wall
        )
        people.answers["one"].set_result(NewLogin(new, AccessToken(0, Secret("at-bob"), now.at, now.at + 9000.0)))
        await bench.clock.pass_time(400.0)
        assert "running ok" == world.status()
        held = await bench.keystore.held()
        assert held is not None
        assert "bob" == held.subject
        assert "rt-bob" not in bench.tokens.revoked


async def test_a_pause_outlasts_the_deletion(tmp_path: Path) -> None:
    """What state.db knows of a workload isn't overwritten by one that is still being read: a crash may follow."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        bench.keystore.trouble = Trouble.LOCKED
        world.do(Verb.SIGN_OUT)
        world.do(Verb.PAUSE)
        await bench.clock.pass_time(1.0)
    bench.keystore.trouble = None
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        assert "stopped paused" == world.status()
        assert await bench.keystore.held() is None
        assert (True, "") == (bench.journal.saved["one"].paused, bench.journal.saved["one"].discard)


async def test_no_sign_in_begins_during_a_removal(tmp_path: Path) -> None:
    """The slots are empty already, and the server takes its time to revoke: a login made now would outlive the workload."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    people, asked, answer = HeldSignIn(), asyncio.Event(), asyncio.Event()

    async def slow(login: Login) -> bool:
        asked.set()
        await answer.wait()
        return True

    bench.tokens.revoke = slow  # type: ignore[method-assign]
    async with bench.run("one", sign_in=people) as world:
        await bench.clock.pass_time(1.0)
        world.do(Verb.REMOVE)
        await asked.wait()
        world.do(Verb.REAUTHORIZE)
        refused = await world.engine.sign_ins.begin("one", browser=True, accept=False)
        assert isinstance(refused, Problem)
        assert ("removing", {}) == (refused.kind, people.answers)
        answer.set()
        await bench.clock.pass_time(20.0)
        assert "one" not in world.engine.workloads
