"""Removing and signing out while the keyring is locked or the server is away: nothing is kept for ever, or hidden."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engines import (
    ForgetfulJournal,
    HeldSignIn,
    Tokens,
    VirtualClock,
    World,
    login_of,
    running,
    settled,
    spec_of,
)
from trayapp.core.gate import Gate
from trayapp.core.model import Login, Phase, Policy, Secret, Spec, Trouble
from trayapp.core.presentation import Verb
from trayapp.core.sentences import left_over, left_over_short
from trayapp.core.snapshot import Removal
from trayapp.engine import removals
from trayapp.engine.ports import StoredLogin
from trayapp.oauthtest import OAuthServer
from trayapp.storage.journal import Journal
from trayapp.vault.keystore import MemoryKeystore


class Lockable(MemoryKeystore):
    """Locked while `trouble` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: Trouble | None = None
        self.fails = False

    async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble:
        if self.fails:
            raise OSError("no bus")
        return self.trouble or await super().load(name, prompt=prompt)

    async def probe(self, name: str, *, prompt: bool = False) -> Trouble | None:
        return self.trouble or await super().probe(name, prompt=prompt)

    async def store(self, name: str, login: Login) -> Trouble | None:
        return self.trouble or await super().store(name, login)

    async def discard(self, name: str) -> Trouble | None:
        if self.fails:
            raise OSError("no bus")
        return self.trouble or await super().discard(name)

    async def held(self, name: str = "one") -> Login | None:
        found = await super().load(name)
        return found.login if isinstance(found, StoredLogin) else None


class Revoking(Tokens):
    """A server that confirms revocations while `up`; remembers what it was asked to revoke."""

    def __init__(self) -> None:
        super().__init__()
        self.up: bool | None = True  # None: sending fails unexpectedly
        self.revoked: list[str] = []

    async def revoke(self, login: Login) -> bool:
        self.revoked.append(login.refresh_token.reveal())
        if self.up is None:
            raise OSError("no route")
        return self.up


ENDPOINT = "https://as.example/token"


def login(token: str = "rt-one", endpoint: str = "https://as.example/revoke") -> Login:
    return Login(1, "line", Secret(token), 0.0, ENDPOINT, "client", revocation_endpoint=endpoint)


class Bench:
    """Engines one after the other, with one keyring, one state.db and one server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock, self.tokens, self.keystore = VirtualClock(), Revoking(), Lockable()
        self.journal = ForgetfulJournal()

    def run(self, *names: str, sign_in: HeldSignIn | None = None) -> Any:
        parts: dict[str, Any] = {"journal": self.journal, "keystore": self.keystore}
        return virtual(names, self, sign_in=sign_in or HeldSignIn(), **parts)


def virtual(names: tuple[str, ...], bench: Bench, **parts: Any) -> Any:
    specs = [
        Spec(name, f"https://{name}.example", "client", token_endpoint=ENDPOINT, policy=Policy()) for name in names
    ]
    return running(specs, bench.path, clock=bench.clock, tokens=bench.tokens, gate=Gate(), **parts)


def shown(world: World) -> tuple[Removal, ...]:
    return world.engine.snapshot().removals


async def sign_out_behind_a_lock(bench: Bench) -> None:
    """A run with the workload `one` that ends with its login still in the keyring, which is open again afterwards."""
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        bench.keystore.trouble = Trouble.LOCKED
        world.do(Verb.SIGN_OUT)
        await bench.clock.pass_time(1.0)
        assert "unauthenticated never_signed_in" == world.status()
    bench.keystore.trouble = None


async def test_a_server_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """The workload is gone, what is left is said, and the server's next yes ends it."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        bench.tokens.up = False
        world.do(Verb.REMOVE)
        await bench.clock.pass_time(1.0)
        assert "one" not in world.engine.workloads
        assert await bench.keystore.held() is None
        (rest,) = shown(world)
        assert ("one", "as.example", True, False) == (rest.name, rest.server, rest.deleted, rest.revoked)
        assert rest.until is not None
        assert abs(rest.until - bench.clock.now().wall - 3600.0) < 5.0
        assert "may still be valid at as.example" in left_over(rest)

        asked = len(bench.tokens.revoked)
        await bench.clock.pass_time(70.0)
        assert asked + 1 == len(bench.tokens.revoked)
        bench.tokens.up = True
        await bench.clock.pass_time(300.0)
        assert asked + 2 == len(bench.tokens.revoked)
        assert () == shown(world)
        await bench.clock.pass_time(9000.0)
        assert asked + 2 == len(bench.tokens.revoked)


async def test_it_ends_after_an_hour(tmp_path: Path) -> None:
    """Bounded: five requests in all, also where sending fails unexpectedly."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        bench.tokens.up = None
        world.do(Verb.SIGN_OUT)
        await bench.clock.pass_time(3590.0)
        assert 4 == len(bench.tokens.revoked)
        assert 1 == len(shown(world))
        await bench.clock.pass_time(20000.0)
        assert (5, ()) == (len(bench.tokens.revoked), shown(world))
        assert 3600.0 == sum(removals.REVOKE_WAITS)


async def test_a_server_without_revocation_is_named(tmp_path: Path) -> None:
    """For a minute, so that the command can say so; there is nothing to repeat."""

    bench = Bench(tmp_path)
    bench.tokens.up = False
    await bench.keystore.store("one", login(endpoint=""))
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        world.do(Verb.REMOVE)
        await bench.clock.pass_time(1.0)
        (rest,) = shown(world)
        assert "doesn't support revocation" in left_over(rest)
        assert "may still be valid at as.example" in left_over_short(rest)
        await bench.clock.pass_time(61.0)
        assert ((), 1) == (shown(world), len(bench.tokens.revoked))


async def test_a_new_sign_in_ends_the_asking(tmp_path: Path) -> None:
    """Some servers revoke everything that the client was given, so the old login is left alone."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        bench.tokens.up = False
        world.do(Verb.SIGN_OUT)
        await bench.clock.pass_time(1.0)
        await bench.keystore.store("one", replace(login("rt-new"), generation=5))
        world.do(Verb.RETRY)  # reads it
        await bench.clock.pass_time(4000.0)
        assert (1, ()) == (len(bench.tokens.revoked), shown(world))


@pytest.mark.parametrize("restart", [False, True])
async def test_a_locked_keyring_is_finished_when_it_opens(tmp_path: Path, restart: bool) -> None:
    """In this run or a later one; a token that wasn't revoked is revoked then."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    bench.keystore.trouble = Trouble.LOCKED
    deleted: list[str] = []

    async def on_deleted(name: str) -> None:
        deleted.append(name)

    async def opened(world: World) -> None:
        world.engine.effects.removals.on_deleted = on_deleted
        (rest,) = shown(world)
        assert (False, False) == (rest.deleted, rest.revoked)
        assert "even after a restart" in left_over(rest)
        assert "locked keyring" in left_over_short(rest)
        bench.keystore.trouble = None
        await world.engine.keyring_up()
        await settled()
        assert (["rt-one"], ["one"], ()) == (bench.tokens.revoked, deleted, shown(world))
        assert await bench.keystore.held() is None
        assert {} == bench.journal.saved

    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        world.do(Verb.REMOVE)
        await bench.clock.pass_time(1.0)
        assert "one" not in world.engine.workloads
        if not restart:
            await opened(world)
    if restart:
        async with bench.run() as world:
            await bench.clock.pass_time(1.0)
            await opened(world)


async def test_a_keyring_that_says_nothing_is_tried_again(tmp_path: Path) -> None:
    """M14's waits, whatever an adapter raises; what was revoked isn't revoked again."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        bench.keystore.fails = True
        world.do(Verb.REMOVE)
        await bench.clock.pass_time(100.0)
        (rest,) = shown(world)
        assert (False, True) == (rest.deleted, rest.revoked)
        bench.keystore.fails = False
        await bench.clock.pass_time(400.0)
        assert (None, 1, ()) == (await bench.keystore.held(), len(bench.tokens.revoked), shown(world))


async def test_a_name_that_is_used_again_never_gets_the_old_login(tmp_path: Path) -> None:
    """Added again behind the locked keyring: the first reading deletes it."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login())
    bench.keystore.trouble = Trouble.LOCKED
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        world.do(Verb.REMOVE)
        await bench.clock.pass_time(1.0)
    async with bench.run("one") as world:
        await bench.clock.pass_time(1.0)
        assert Phase.LOADING is world.w().phase
        world.do(Verb.PAUSE)  # saves, and must not forget what is left to do
        world.do(Verb.RESUME)
        await bench.clock.pass_time(1.0)
        bench.keystore.trouble = None
        await world.engine.keyring_up()
        await bench.clock.pass_time(1.0)
        assert "unauthenticated never_signed_in" == world.status()
        assert ([], ["rt-one"]) == ([] if await bench.keystore.held() is None else [1], bench.tokens.revoked)
        assert 0 == bench.tokens.asked
        await bench.keystore.store("one", login("rt-two"))
        await bench.clock.pass_time(4000.0)
        assert await bench.keystore.held() is not None


async def test_a_sign_out_behind_a_locked_keyring_lasts(tmp_path: Path) -> None:
    """A later start doesn't find the login again; a keyring that locks again meanwhile is no reason to serve it."""

    bench = Bench(tmp_path)
    await sign_out_behind_a_lock(bench)
    real = bench.keystore.discard

    async def locked_again(name: str) -> Trouble | None:
        return Trouble.LOCKED

    bench.keystore.discard = locked_again  # type: ignore[method-assign]
    async with bench.run("one") as world:
        await bench.clock.pass_time(20.0)
        assert "keyring_locked" == world.view().auth.detail
        bench.keystore.discard = real  # type: ignore[method-assign]
        await bench.clock.pass_time(100.0)
        assert "unauthenticated never_signed_in" == world.status()
        assert await bench.keystore.held() is None


async def test_a_newer_login_is_not_deleted(tmp_path: Path) -> None:
    """Signed out behind a locked keyring, then signed in: the new login is written, and nothing is left to do."""

    with OAuthServer() as server:
        keystore = Lockable()
        await keystore.store("one", login_of(server))
        async with running([spec_of(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            keystore.trouble = Trouble.LOCKED
            world.do(Verb.SIGN_OUT)
            await world.becomes("unauthenticated never_signed_in")
            await world.until(lambda: shown(world), "what is left")
            world.do(Verb.REAUTHORIZE)
            await world.until(lambda: world.w().login is not None, "the sign-in")
            await world.browsed()
            keystore.trouble = None
            await world.engine.keyring_up()
            await world.until(lambda: not world.w().unsaved and world.w().storing is None, "the write")
            await world.quiet(0.1)
            held, own = await keystore.held(), world.w().login
            assert held is not None
            assert own is not None
            assert held.lineage == own.lineage
            assert () == shown(world)


async def test_over_http_and_through_a_real_state_db(tmp_path: Path) -> None:
    """The server is down when the workload is removed, and has revoked the login a moment after it is back."""

    keystore = Lockable()
    with pytest.MonkeyPatch.context() as patch, OAuthServer() as server:
        patch.setattr(removals, "REVOKE_WAITS", (0.3, 0.3, 0.3, 0.3, 0.3))
        await keystore.store("one", login_of(server))
        async with running([spec_of(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            server.down()
            world.do(Verb.REMOVE)
            await world.until(lambda: "one" not in world.engine.workloads, "the removal")
            (rest,) = shown(world)
            assert (True, False, "127.0.0.1") == (rest.deleted, rest.revoked, rest.server)
            server.up()
            await world.until(lambda: server.count("revoke") == 1 and not shown(world), "the revocation")

    journal = Journal(tmp_path / "state.db")
    assert {} == await journal.undeleted()
    await journal.close()
