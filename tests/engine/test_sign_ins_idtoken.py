"""The account check of sign-ins, with servers whose ID tokens may be anything: no check costs a login."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engines import World, keystore_with, running
from tests.engine.test_sign_ins import alices, begin, ended, spec_with
from tests.oauth.tls import bare
from trayapp.core.model import Login, Spec
from trayapp.core.presentation import Verb
from trayapp.core.public import auth_json
from trayapp.engine import engine, sign_ins
from trayapp.engine.ports import Checked, SignIn
from trayapp.oauth import idtoken
from trayapp.oauth.signin import BrowserSignIn
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire
from trayapp.oauthtest import OAuthServer, browse
from trayapp.vault.keystore import MemoryKeystore


def by_metadata(server: OAuthServer) -> Spec:
    """Only the issuer is configured, so its keys are known."""
    return spec_with(server, authorization_endpoint="", token_endpoint="", revocation_endpoint="")


async def signed_in(world: World) -> Login:
    await begin(world)
    assert await ended(world) is None
    return await stored_login(world)


async def stored_login(world: World) -> Login:
    """The login in the keyring, once all is green. (A sign-in before the keyring was read is written after that.)"""
    await world.green()
    await world.until(lambda: not world.w().unsaved)
    held = await world.stored()
    assert held is not None
    return held


async def refresh(world: World) -> None:
    """One refresh by hand, to the end."""
    attempts = world.w().attempts
    world.do(Verb.RETRY)
    await world.until(lambda: world.w().attempts > attempts and world.w().attempt is None, "the refresh")


async def test_a_checked_account_is_remembered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server's own key signed it: no warning, and another account is noticed the next time."""

    with OAuthServer(subject="alice") as server:
        async with running([by_metadata(server)], tmp_path) as world:
            assert "alice" == (await signed_in(world)).subject
            assert "couldn't verify the account" not in caplog.text
            server.subject = "bob"
            await begin(world)
            problem = await ended(world)
            assert problem is not None
            assert "different_account" == problem.kind
            assert "alice" == ((await world.stored()) or alices(server)).subject
        assert 2 == server.count("jwks")


@pytest.mark.parametrize("claim", ["iss", "aud", "azp"])
async def test_a_token_made_for_another_client_is_refused(claim: str, tmp_path: Path) -> None:
    """Refused with a sentence; the login from before stays in use, and there is nothing to accept."""

    with OAuthServer(subject="alice") as server:
        login = alices(server)
        async with running([by_metadata(server)], tmp_path, keystore=await keystore_with(("one", login))) as world:
            await world.green()
            before = await world.stored()
            server.id_token_changes = {claim: "https://evil.test"}
            await begin(world)
            problem = await ended(world)
            assert problem is not None
            assert "id_token" == problem.kind
            assert "isn't the sign-in that you started" in problem.summary
            assert "running ok" == world.status()
            assert before == await world.stored()
            answer = await world.engine.sign_ins.begin("one", browser=False, accept=True)
            assert not isinstance(answer, str)


def no_keys(server: OAuthServer) -> None:
    server.metadata_changes = {"jwks_uri": f"{server.url}/gone"}


def unsigned(server: OAuthServer) -> None:
    server.id_token_alg = "none"


def old(server: OAuthServer) -> None:
    server.id_token_changes = {"exp": 1}


@pytest.mark.parametrize("spoil", [no_keys, unsigned, old])
async def test_a_bad_token_costs_no_login(
    spoil: Callable[[OAuthServer], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Signed in and green; the account is unknown, and the log says why. The account from before stays known."""

    with OAuthServer(subject="alice") as server:
        spoil(server)
        async with running([by_metadata(server)], tmp_path) as world:
            assert "" == (await signed_in(world)).subject
            assert "couldn't verify the account" in caplog.text
            told = auth_json(world.view().auth)["sign_in_warning"]
            assert isinstance(told, dict)
            assert "couldn't verify the account" in told["summary"]
        async with running(
            [by_metadata(server)], tmp_path / "2", keystore=await keystore_with(("one", alices(server)))
        ) as world:
            await world.green()
            assert "alice" == (await signed_in(world)).subject


async def test_an_unproved_claim_of_another_account_is_a_candidate(tmp_path: Path) -> None:
    """A bad signature is no way around the question whether this is the right account."""

    with OAuthServer(subject="mallory", id_token_alg="none") as server:
        login = alices(server)
        async with running([by_metadata(server)], tmp_path, keystore=await keystore_with(("one", login))) as world:
            await world.green()
            await begin(world)
            problem = await ended(world)
            assert problem is not None
            assert "different_account" == problem.kind


async def test_only_a_verified_account_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Kept with the login, in no log; a token that proves nothing changes nothing, another account replaces it."""

    caplog.set_level("DEBUG")
    with OAuthServer(subject="alice") as server:
        async with running([by_metadata(server)], tmp_path) as world:
            server.id_token_changes = {"email": "alice@example.com"}
            assert "alice@example.com" == (await signed_in(world)).account
            assert "alice@example.com" == auth_json(world.view().auth)["account"]
            server.id_token_alg, server.id_token_changes = "none", {"email": "evil@example.com"}
            assert "alice@example.com" == (await signed_in(world)).account
            server.id_token_alg, server.id_token_changes = "ES256", {"email": "new@example.com"}
            assert "new@example.com" == (await signed_in(world)).account
            server.subject = "bob"
            server.id_token_changes = {"preferred_username": "bob"}
            await begin(world)
            problem = await ended(world)
            assert problem is not None
            assert "different_account" == problem.kind
            assert "new@example.com" == auth_json(world.view().auth)["account"]
            assert "" == await world.engine.sign_ins.begin("one", browser=False, accept=True)
            assert "bob" == (await stored_login(world)).account
            world.do(Verb.SIGN_OUT)
            await world.becomes("unauthenticated never_signed_in")
            assert auth_json(world.view().auth)["account"] is None
    assert "example.com" not in caplog.text


async def test_an_unverified_account_is_not_shown(tmp_path: Path) -> None:
    """At a first sign-in there is none from before."""

    with OAuthServer(subject="alice", id_token_alg="none", id_token_changes={"email": "a@example.com"}) as server:
        async with running([by_metadata(server)], tmp_path) as world:
            assert ("", "") == ((await signed_in(world)).subject, (await stored_login(world)).account)
            assert auth_json(world.view().auth)["account"] is None


@pytest.mark.parametrize("rotate", [True, False])
async def test_a_refresh_updates_the_account(rotate: bool, tmp_path: Path) -> None:
    """If its ID token is the same person's; another person's changes nothing, and neither asks for the server's keys."""

    with OAuthServer(subject="alice", rotate=rotate, id_token_changes={"email": "alice@example.com"}) as server:
        async with running([by_metadata(server)], tmp_path) as world:
            assert "alice@example.com" == (await signed_in(world)).account
            for changes, account in (
                ({"email": "new@example.com"}, "new@example.com"),
                ({"email": "evil@example.com", "sub": "mallory"}, "new@example.com"),
                ({}, "new@example.com"),
            ):
                server.id_token_changes = dict(changes)
                await refresh(world)
                assert account == (await stored_login(world)).account
                assert account == auth_json(world.view().auth)["account"]
            assert 1 == server.count("jwks")


class Slow:
    """A check that waits for the test."""

    def __init__(self, result: Checked | Exception | None = None) -> None:
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.word: Any = "ok"

    async def judge(self, order: Awaitable[str]) -> str:
        self.began.set()
        await self.go.wait()
        if isinstance(self.word, Exception):
            raise self.word
        return str(self.word)

    def sign_in(self) -> SignIn:
        wire = Wire("0", bare)
        return BrowserSignIn(wire, HttpTokens(wire), linger=0.5, id_tokens=idtoken.IdTokens(wire, self.judge))


async def test_the_candidate_is_stored_before_the_check_is_over(tmp_path: Path) -> None:
    """While keys and signature are checked, the new login is already in the keyring and can't be lost."""

    slow, keystore = Slow(), await keystore_with()
    with OAuthServer(subject="alice") as server:
        async with running([by_metadata(server)], tmp_path, keystore=keystore, sign_in=slow.sign_in()) as world:
            await asyncio.to_thread(browse, await begin(world, browser=False))
            await slow.began.wait()
            found = await keystore.load("one")
            assert found.candidate is not None  # type: ignore[union-attr]
            assert found.login is None  # type: ignore[union-attr]
            slow.go.set()
            assert "alice" == (await stored_login(world)).subject


async def test_the_program_ends_during_the_check(tmp_path: Path) -> None:
    """The quit waits for the check as for any answer, and the login is there at the next start."""

    slow, keystore = Slow(), await keystore_with()
    with OAuthServer(subject="alice") as server:
        async with running([by_metadata(server)], tmp_path, keystore=keystore, sign_in=slow.sign_in()) as world:
            await asyncio.to_thread(browse, await begin(world, browser=False))
            await slow.began.wait()
            closing = asyncio.create_task(world.engine.close())
            await asyncio.sleep(0.05)
            assert not closing.done()
            slow.go.set()
            await closing
        async with running([by_metadata(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            assert [] == world.opened


def test_a_quit_outlasts_a_check() -> None:
    """A login whose check is cut off would stay a candidate, which every start ignores."""

    assert sign_ins.KEYRING_LIMIT + sign_ins.CHECK_LIMIT < engine.QUIT_LIMIT


async def test_a_check_that_never_ends_or_breaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit, or an exception: the login is taken, its account unknown."""

    monkeypatch.setattr(sign_ins, "CHECK_LIMIT", 0.1)
    for word in ("ok", RuntimeError("unexpected")):
        slow, keystore = Slow(), await keystore_with()
        slow.word = word
        if isinstance(word, Exception):
            slow.go.set()
        with OAuthServer(subject="alice") as server:
            async with running(
                [by_metadata(server)], tmp_path / str(word), keystore=keystore, sign_in=slow.sign_in()
            ) as world:
                await asyncio.to_thread(browse, await begin(world, browser=False))
                assert "" == (await stored_login(world)).subject


async def test_a_keyring_that_hangs_does_not_hold_up_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The login is then in memory only, like any that can't be stored."""

    monkeypatch.setattr(sign_ins, "KEYRING_LIMIT", 0.05)

    class Hanging(MemoryKeystore):
        async def store_candidate(self, name: str, login: Login) -> None:
            await asyncio.Event().wait()

    with OAuthServer(subject="alice") as server:
        async with running([by_metadata(server)], tmp_path, keystore=Hanging()) as world:
            await begin(world)
            await world.becomes("running")
            assert "alice" == (world.w().login or alices(server)).subject
