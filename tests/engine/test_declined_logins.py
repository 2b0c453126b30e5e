"""A login that nobody accepted: deleted, and revoked only where no other login can end with it."""

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
    running,
    settled,
)
from tests.engine.test_sign_ins import alices, begin, ended, spec_with
from tests.vault.keyrings import windows
from trayapp.core.gate import Gate
from trayapp.core.model import AccessToken, Login, Problem, Secret, Spec, Trouble
from trayapp.core.outcomes import Answer, Reply
from trayapp.core.presentation import Verb
from trayapp.engine.ports import Checked, NewLogin, StoredLogin
from trayapp.oauthtest import OAuthServer
from trayapp.vault.keystore import Keystore, MemoryKeystore

ENDPOINT = "https://as.example/token"


def login(token: str, subject: str, *, scope: str = "mcp", client: str = "client", generation: int = 1) -> Login:
    return Login(generation, f"line-{token}", Secret(token), 0.0, ENDPOINT, client, subject=subject, scope=scope)


class Revoking(Tokens):
    """Remembers what it was asked to revoke."""

    def __init__(self) -> None:
        super().__init__()
        self.revoked: list[str] = []
        self.fault: Exception | None = None
        self.reply = self._unrotated

    async def _unrotated(self, login: Login) -> Reply:
        return Answer(200, {"content-type": "application/json"}, b'{"access_token": "at", "expires_in": 3600}')

    async def revoke(self, login: Login) -> bool:
        self.revoked.append(login.refresh_token.reveal())
        if self.fault is not None:
            raise self.fault
        return False


class Bench:
    """One workload, signed in as alice, and people who sign in as whom the test says."""

    def __init__(self, path: Path, *specs: str) -> None:
        self.path, self.clock, self.people, self.tokens = path, VirtualClock(), HeldSignIn(), Revoking()
        self.keystore: Any = MemoryKeystore()
        self.names = specs or ("one",)

    def run(self) -> Any:
        specs = [Spec(name, f"https://{name}.example", "client", token_endpoint=ENDPOINT) for name in self.names]
        parts: dict[str, Any] = {"journal": ForgetfulJournal(), "gate": Gate(), "clock": self.clock}
        return running(specs, self.path, keystore=self.keystore, tokens=self.tokens, sign_in=self.people, **parts)

    async def sign_in(self, world: World, new: Login, check: Checked | None = None) -> Problem:
        """Sign in, and why the login isn't used."""

        async def checked() -> Checked:
            assert check is not None
            return check

        assert isinstance(await world.engine.sign_ins.begin("one", browser=True, accept=False), str)
        access = AccessToken(0, Secret("at"), self.clock.at, self.clock.at + 3600.0)
        self.people.answers["one"].set_result(NewLogin(new, access, checked if check else None))
        await settled()
        return world.view().auth.sign_in_error or Problem("", "")

    async def candidate(self) -> Login | None:
        found = await self.keystore.load("one")
        assert isinstance(found, StoredLogin)
        return found.candidate

    async def held(self) -> str:
        found = await self.keystore.load("one")
        assert isinstance(found, StoredLogin)
        return "" if found.login is None else found.login.refresh_token.reveal()


@pytest.mark.parametrize(
    ("before", "new", "kind", "revoked"),
    [
        (login("rt-a", "alice"), login("rt-b", "bob"), "different_account", ["rt-b"]),
        (login("rt-a", "alice"), login("rt-b", "alice", scope="less"), "scope_lost", []),
        (login("rt-a", ""), login("rt-b", "bob", scope="less"), "scope_lost", []),
        (login("rt-a", "alice"), login("rt-b", "", scope="less"), "scope_lost", []),
    ],
)
async def test_after_ten_minutes_it_is_gone(
    tmp_path: Path, before: Login, new: Login, kind: str, revoked: list[str]
) -> None:
    """From its slot; at the server only if both accounts are known and differ. The old login stays, whatever fails."""

    bench = Bench(tmp_path)
    bench.tokens.fault = OSError("no route") if revoked else None
    await bench.keystore.store("one", before)
    async with bench.run() as world:
        await bench.clock.pass_time(5.0)
        assert kind == (await bench.sign_in(world, new)).kind
        await bench.clock.pass_time(590.0)
        assert await bench.candidate() is not None
        assert [] == bench.tokens.revoked
        await bench.clock.pass_time(30.0)
        assert (None, "rt-a", revoked) == (await bench.candidate(), await bench.held(), bench.tokens.revoked)
        assert "running ok" == world.status()


async def test_an_accepted_login_is_not_declined(tmp_path: Path) -> None:
    """Nor is the one it replaces revoked: nobody asked for that."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login("rt-a", "alice"))
    async with bench.run() as world:
        await bench.clock.pass_time(5.0)
        await bench.sign_in(world, login("rt-b", "bob"))
        assert "" == await world.engine.sign_ins.begin("one", browser=False, accept=True)
        await bench.clock.pass_time(700.0)
        assert ("rt-b", []) == (await bench.held(), bench.tokens.revoked)


async def test_the_same_account_again_keeps_the_newer_candidate(tmp_path: Path) -> None:
    """Bob's first login is only deleted, as revoking it might end his second. Alice's return revokes neither of hers."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login("rt-a", "alice"))
    async with bench.run() as world:
        await bench.clock.pass_time(5.0)
        await bench.sign_in(world, login("rt-b1", "bob"))
        await bench.sign_in(world, login("rt-b2", "bob"))
        waiting = await bench.candidate()
        assert waiting is not None
        assert ("rt-b2", []) == (waiting.refresh_token.reveal(), bench.tokens.revoked)
        await bench.sign_in(world, login("rt-a2", "alice"))
        await bench.clock.pass_time(700.0)
        assert ("rt-a2", ["rt-b2"]) == (await bench.held(), bench.tokens.revoked)


async def test_another_workload_of_that_account_is_not_ended(tmp_path: Path) -> None:
    """It uses the same client at the same server, so a revocation might be about both."""

    bench = Bench(tmp_path, "one", "two")
    await bench.keystore.store("one", login("rt-a", "alice"))
    await bench.keystore.store("two", login("rt-t", "bob"))
    async with bench.run() as world:
        await bench.clock.pass_time(5.0)
        await bench.sign_in(world, login("rt-b", "bob"))
        await bench.clock.pass_time(700.0)
        assert (None, []) == (await bench.candidate(), bench.tokens.revoked)


async def test_what_an_earlier_run_left_is_deleted(tmp_path: Path) -> None:
    """It can't be accepted any more; the same rule says whether it is revoked."""

    for subject, revoked in (("bob", ["rt-b"]), ("alice", [])):
        bench = Bench(tmp_path)
        await bench.keystore.store("one", login("rt-a", "alice"))
        await bench.keystore.store_candidate("one", login("rt-b", subject, generation=2))
        async with bench.run():
            await bench.clock.pass_time(5.0)
            assert (None, "rt-a", revoked) == (await bench.candidate(), await bench.held(), bench.tokens.revoked)


async def test_a_login_made_for_somebody_else_is_deleted_at_once(tmp_path: Path) -> None:
    """An ID token of another sign-in proves no account, so nothing is revoked."""

    bench = Bench(tmp_path)
    await bench.keystore.store("one", login("rt-a", "alice"))
    async with bench.run() as world:
        await bench.clock.pass_time(5.0)
        problem = Problem("id_token", "Made for another sign-in.")
        assert "id_token" == (await bench.sign_in(world, login("rt-x", "bob"), Checked(problem, refused=True))).kind
        assert (None, []) == (await bench.candidate(), bench.tokens.revoked)


async def test_a_changed_configuration_and_a_removal_decline_it(tmp_path: Path) -> None:
    """Whatever makes it unusable."""

    for leave in ("configuration", "removal"):
        bench = Bench(tmp_path)
        await bench.keystore.store("one", login("rt-a", "alice"))
        async with bench.run() as world:
            await bench.clock.pass_time(5.0)
            await bench.sign_in(world, login("rt-b", "bob"))
            if leave == "removal":
                world.do(Verb.REMOVE)
            else:
                await world.engine.configure([replace(world.w().spec, issuer="https://other.example")])
                assert isinstance(await world.engine.sign_ins.begin("one", browser=False, accept=True), Problem)
            await bench.clock.pass_time(1.0)
            assert "rt-b" in bench.tokens.revoked
            assert await bench.candidate() is None


async def test_a_keyring_that_fails_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The slot is the target of the next write."""

    class Stuck(MemoryKeystore):
        async def discard_candidate(self, name: str, login: Login) -> Trouble | None:
            raise OSError("no bus")

    bench = Bench(tmp_path)
    bench.keystore = Stuck()
    await bench.keystore.store("one", login("rt-a", "alice"))
    async with bench.run() as world:
        await bench.clock.pass_time(5.0)
        await bench.sign_in(world, login("rt-b", "alice", scope="less"))
        await bench.clock.pass_time(700.0)
        assert "running ok" == world.status()
    assert "could not be deleted" in caplog.text


async def test_only_the_candidates_slot_is_deleted() -> None:
    """In parts, as the Windows vault keeps it: nothing of it stays, and the login is untouched."""

    vault = windows()
    keystore = Keystore("inst", lambda: vault)
    held, new = login("rt-a" * 900, "alice"), login("rt-b" * 900, "bob", generation=2)
    assert await keystore.store("one", held) is None
    before = dict(vault.backend.entries)
    assert await keystore.store_candidate("one", new) is None
    assert await keystore.discard_candidate("one", replace(new, lineage="another")) is None
    assert len(vault.backend.entries) > len(before)
    assert await keystore.discard_candidate("one", new) is None
    assert before == vault.backend.entries
    assert await keystore.discard_candidate("one", held) is None
    assert StoredLogin(held) == await keystore.load("one")
    await keystore.close()


async def test_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed in as bob where alice was, and nobody agreed: the server has revoked bob's token, and alice goes on."""

    monkeypatch.setattr("trayapp.engine.candidates.CANDIDATE_LIFE", 0.3)
    keystore = MemoryKeystore()
    with OAuthServer(subject="bob") as server:
        await keystore.store("one", alices(server))
        async with running([spec_with(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            await begin(world)
            assert "different_account" == (await ended(world) or Problem("", "")).kind
            await world.until(lambda: server.count("revoke", outcome="ok") == 1, "the revocation", limit=10.0)
            found = await keystore.load("one")
            assert isinstance(found, StoredLogin)
            assert (None, "alice") == (found.candidate, found.login and found.login.subject)
            assert 1 == len(server.live_families()), "alice's"
