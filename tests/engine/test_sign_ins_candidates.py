"""Candidates: a new login for another account, or with fewer scopes, waits until the person accepts it."""

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
    keystore_with,
    running,
    settled,
    virtual_engine,
)
from tests.engine.test_sign_ins import alices, begin, ended, spec_with
from tests.vault.keyrings import FakeVault, WindowsFake, windows
from trayapp.core.gate import Gate
from trayapp.core.model import AccessToken, Login, Phase, Problem, Secret, Spec, Trouble
from trayapp.core.presentation import Verb
from trayapp.engine.ports import NewLogin, StoredLogin
from trayapp.oauthtest import OAuthServer
from trayapp.vault.keystore import Keystore, MemoryKeystore

# --- another account -------------------------------------------------------------------------------------------------


async def test_another_account_waits_to_be_accepted(tmp_path: Path) -> None:
    """Signed in as bob where alice was: the old login stays, the reason names `--accept`, and that makes it bob's."""

    with OAuthServer(subject="bob") as server:
        login = alices(server)
        async with running([spec_with(server)], tmp_path, keystore=await keystore_with(("one", login))) as world:
            await world.green()
            await begin(world)
            problem = await ended(world)
            assert problem is not None
            assert "different_account" == problem.kind
            assert "amberlight reauthorize one --accept" in problem.summary
            held = await world.stored()
            assert held is not None
            assert "alice" == held.subject
            assert "running ok" == world.status()

            assert "" == await world.engine.sign_ins.begin("one", browser=False, accept=True)
            await world.green()
            held = await world.stored()
            assert held is not None
            assert "bob" == held.subject
            again = await world.engine.sign_ins.begin("one", browser=False, accept=True)
            assert isinstance(again, Problem)
            assert "nothing_pending" == again.kind
            assert again.summary.endswith("`amberlight reauthorize one`.")


async def test_another_account_than_that_of_a_login_not_read_yet(tmp_path: Path) -> None:
    """The keyring was locked at the start and is open by the time somebody has signed in: the person is still asked."""

    class Late(MemoryKeystore):
        locked = True

        async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble:
            return Trouble.LOCKED if self.locked else await super().load(name, prompt=prompt)

    clock, people, keystore = VirtualClock(), HeldSignIn(), Late()
    endpoint = "https://as.example/token"
    spec = Spec("one", "https://one.example", "client", token_endpoint=endpoint)
    alice = Login(7, "alices", Secret("rt-alice"), 0.0, endpoint, "client", subject="alice")
    await keystore.store("one", alice)
    parts: dict[str, Any] = {"clock": clock, "tokens": Tokens(), "gate": Gate(), "journal": ForgetfulJournal()}
    async with running([spec], tmp_path, keystore=keystore, sign_in=people, **parts) as world:
        await clock.pass_time(1.0)
        assert (Phase.LOADING, None) == (world.w().phase, world.w().login)
        await begin(world)
        keystore.locked = False
        people.answers["one"].set_result(bobs(clock))
        await settled()
        assert "different_account" == (world.view().auth.sign_in_error or Problem("", "")).kind
        found = await keystore.load("one")
        assert isinstance(found, StoredLogin)
        assert (alice, 8) == (found.login, found.candidate and found.candidate.generation)


async def test_fewer_scopes_wait_to_be_accepted(tmp_path: Path) -> None:
    """What is missing is named."""

    with OAuthServer(subject="alice") as server:
        login = alices(server)
        async with running([spec_with(server)], tmp_path, keystore=await keystore_with(("one", login))) as world:
            await world.green()
            server.extra = {"scope": "openid"}
            await begin(world)
            problem = await ended(world)
            assert problem is not None
            assert "scope_lost" == problem.kind
            assert "mcp" in problem.summary


async def test_a_candidate_is_good_for_ten_minutes(tmp_path: Path) -> None:
    """After that there is nothing to accept."""

    clock, people = VirtualClock(), HeldSignIn()
    async with virtual_engine(["one"], tmp_path, clock, Tokens(), sign_in=people) as world:
        await clock.pass_time(5.0)
        for wait, accepted in ((599.0, True), (601.0, False)):
            assert isinstance(await world.engine.sign_ins.begin("one", browser=True, accept=False), str)
            login = world.w().login
            assert login is not None
            world.engine.workloads["one"] = replace(world.w(), login=replace(login, subject="alice"))
            people.answers["one"].set_result(bobs(clock))
            await settled()
            assert "different_account" == (world.view().auth.sign_in_error or Problem("", "")).kind
            await clock.pass_time(wait)
            answer = await world.engine.sign_ins.begin("one", browser=False, accept=True)
            assert accepted is (answer == "")


def bobs(clock: VirtualClock) -> NewLogin:
    login = Login(1, "bobs", Secret("rt-bob"), 0.0, "https://as.example/token", "client", subject="bob")
    return NewLogin(login, AccessToken(0, Secret("at-bob"), clock.at, clock.at + 3600.0))


async def test_a_workload_that_is_being_removed_takes_no_login(tmp_path: Path) -> None:
    """The server is still told to revoke the old one; what came to the keyring now would never leave it."""

    clock, people = VirtualClock(), HeldSignIn()
    async with virtual_engine(["one"], tmp_path, clock, Tokens(), sign_in=people) as world:
        await clock.pass_time(5.0)
        await begin(world)
        before = world.w().login
        world.engine.workloads["one"] = replace(world.w(), after="remove")
        people.answers["one"].set_result(bobs(clock))
        await settled()
        assert (before, before) == (world.w().login, await world.stored())
        world.engine.workloads["one"] = replace(world.w(), after="")  # no quit waits for a removal that is none


async def test_a_login_for_an_earlier_configuration_is_not_used(tmp_path: Path) -> None:
    """The URL has changed by the time the person signs in, or accepts: the old server's token is not used for it."""

    clock, people = VirtualClock(), HeldSignIn()
    async with virtual_engine(["one"], tmp_path, clock, Tokens(), sign_in=people) as world:
        await clock.pass_time(5.0)
        spec, login = world.w().spec, world.w().login
        assert login is not None
        moved = replace(spec, url="https://other.example", token_endpoint="https://other.example/token")

        await begin(world)
        await world.engine.configure([moved])
        people.answers["one"].set_result(bobs(clock))
        await settled()
        assert "changed" == (world.view().auth.sign_in_error or Problem("", "")).kind
        assert "amberlight reauthorize one" in (world.view().auth.sign_in_error or Problem("", "")).summary
        assert (Phase.BROKEN, login) == (world.w().phase, world.w().login)

        await world.engine.configure([spec])
        await clock.pass_time(5.0)
        world.engine.workloads["one"] = replace(world.w(), login=replace(login, subject="alice"))
        await begin(world)
        people.answers["one"].set_result(bobs(clock))
        await settled()
        assert "different_account" == (world.view().auth.sign_in_error or Problem("", "")).kind
        await world.engine.configure([moved])
        answer = await world.engine.sign_ins.begin("one", browser=False, accept=True)
        assert isinstance(answer, Problem)
        assert "changed" == answer.kind
        assert "alice" == (world.w().login or login).subject


async def test_signing_in_confirms_a_changed_identity(tmp_path: Path) -> None:
    """`confirm_change`: the click leads to the new server, and what it gives replaces the old login."""

    with OAuthServer() as server, OAuthServer(subject="bob") as other:
        async with running(
            [spec_with(server)], tmp_path, keystore=await keystore_with(("one", alices(server)))
        ) as world:
            await world.green()
            await world.engine.configure([spec_with(other)])
            await world.becomes("error confirm_change")
            world.do(Verb.REAUTHORIZE)
            await world.green()
            held = await world.stored()
            assert held is not None
            assert other.token_endpoint == held.token_endpoint
            assert world.opened[0].startswith(other.authorization_endpoint)
            assert Phase.VALID is world.w().phase
            assert world.w().confirm is None


# --- the candidate in a real keyring ---------------------------------------------------------------------------------


def vault_and_keystore(fake: WindowsFake | None = None) -> tuple[FakeVault, Keystore]:
    vault = windows(fake)
    return vault, Keystore("install", lambda: vault)


async def test_accepting_rewrites_only_the_header(tmp_path: Path) -> None:
    """Both logins are complete all the time, and a restart finds bob's."""

    vault, keystore = vault_and_keystore()
    with OAuthServer(subject="bob") as server:
        await keystore.store("one", alices(server))
        async with running([spec_with(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            await begin(world)
            assert await ended(world) is not None
            await world.until(lambda: _candidate(vault))
            found = await keystore.load("one")
            assert isinstance(found, StoredLogin)
            assert found.login is not None
            assert found.candidate is not None
            assert ("alice", "bob") == (found.login.subject, found.candidate.subject)
            vault.calls.clear()
            assert "" == await world.engine.sign_ins.begin("one", browser=False, accept=True)
            await world.green()
            assert 1 == len(vault.written())
        await keystore.close()

        _, again = vault_and_keystore(_backend(vault))
        async with running([spec_with(server)], tmp_path, keystore=again) as world:
            await world.green()
            assert [] == world.opened
            assert "bob" == (world.w().login or alices(server)).subject
        await again.close()


def _backend(vault: FakeVault) -> WindowsFake:
    assert isinstance(vault.backend, WindowsFake)
    return vault.backend


def _candidate(vault: FakeVault) -> bool:
    """Whether a slot holds a candidate. (What the vault moved aside under `user@service` no longer counts.)"""
    entries = _backend(vault).entries.items()
    return any('"candidate":true' in value for target, (_, value) in entries if "@" not in target)


async def test_a_rotation_while_a_candidate_waits_loses_nothing(tmp_path: Path) -> None:
    """The rotation takes the candidate's slot, never the login's; accepted from memory, the candidate is stored anew."""

    vault, keystore = vault_and_keystore()
    with OAuthServer(subject="bob") as server:
        await keystore.store("one", alices(server))
        async with running([spec_with(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            await begin(world)
            assert await ended(world) is not None
            await world.until(lambda: _candidate(vault))
            world.do(Verb.RETRY)
            await world.until(lambda: not _candidate(vault))
            await world.green()
            held = await world.stored()
            assert held is not None
            assert (3, "alice") == (held.generation, held.subject)
            assert held.refresh_token.reveal() == server.current_refresh_token("family-1")

            assert "" == await world.engine.sign_ins.begin("one", browser=False, accept=True)
            await world.green()
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token", grant="refresh_token", outcome="ok") == 3)
            await world.green()
            held = await world.stored()
            assert held is not None
            assert "bob" == held.subject
            assert held.refresh_token.reveal() == server.current_refresh_token("family-2")
        await keystore.close()


async def test_a_crash_with_a_pending_candidate_starts_with_the_old_login(tmp_path: Path) -> None:
    """Nobody accepted it, so nothing has changed."""

    vault, keystore = vault_and_keystore()
    with OAuthServer(subject="bob") as server:
        await keystore.store("one", alices(server))
        async with running([spec_with(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            await begin(world)
            assert await ended(world) is not None
            await world.until(lambda: _candidate(vault))
            left = dict(_backend(vault).entries)  # what a power cut would leave
        await keystore.close()

        _, again = vault_and_keystore(WindowsFake(left))
        async with running([spec_with(server)], tmp_path / "anew", keystore=again) as world:
            await world.green()
            assert "alice" == (world.w().login or bobs(VirtualClock()).login).subject
            nothing = await world.engine.sign_ins.begin("one", browser=False, accept=True)
            assert isinstance(nothing, Problem)
        await again.close()


async def test_a_candidate_that_cannot_be_written_is_kept_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The keyring fails meanwhile: the candidate can still be accepted."""

    class Failing(type(await keystore_with())):  # type: ignore[misc]
        async def store_candidate(self, name: str, login: Login) -> None:
            raise RuntimeError("no")

    with OAuthServer(subject="bob") as server:
        keystore = Failing()
        await keystore.store("one", alices(server))
        async with running([spec_with(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            await begin(world)
            assert await ended(world) is not None
            await world.until(lambda: "in memory only" in caplog.text)
            assert "" == await world.engine.sign_ins.begin("one", browser=False, accept=True)
            await world.green()
            assert "bob" == (await world.stored() or alices(server)).subject
