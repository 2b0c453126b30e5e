"""Servers that give no refresh token, with the engine: the login is kept, served, and never refreshed."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engines import World, keystore_with, login_of, running, spec_of, with_policy
from tests.vault.keyrings import windows
from trayapp.core.model import AccessToken, Login, Phase, Problem, Secret, Spec, Workload
from trayapp.core.presentation import Verb
from trayapp.engine.sign_ins import differs
from trayapp.oauthtest import Mode, OAuthServer
from trayapp.vault.keystore import Keystore, MemoryKeystore

GIVES_NONE: dict[str, Any] = {"extra": {"refresh_token": ...}, "canary": "canary-access-only"}
QUICK = with_policy(rejected_spacing=0.05)


async def signed_in(world: World) -> Login:
    """Sign in, and wait for the login in the keyring."""
    assert isinstance(await world.engine.sign_ins.begin("one", browser=True, accept=False), str)
    await world.until(lambda: not world.w().signing_in, "the sign-in's end")
    await world.green()
    await world.browsed()
    held = await world.stored()
    assert held is not None
    return held


async def served(world: World) -> str:
    token = await world.engine.token("one")
    assert isinstance(token, AccessToken), token
    return token.value.reveal()


@pytest.mark.parametrize("life", [None, 365 * 86400, 0])
async def test_it_survives_restarts_pauses_and_ends_with_the_sign_out(tmp_path: Path, life: object) -> None:
    """One token request in all: that of the sign-in. Signed out, the access token is revoked as what it is."""

    keystore = MemoryKeystore()
    with OAuthServer(access_token_lifetime=life, **GIVES_NONE) as server:
        async with running([spec_of(server)], tmp_path, keystore=keystore) as world:
            await world.becomes("unauthenticated never_signed_in")
            held = await signed_in(world)
            token = await served(world)
            assert (False, token) == (held.renewable, held.access_token and held.access_token.reveal())
            assert (held.expires_at is None) is (not life)
            assert "can't be renewed" in world.view().status_context

        async with running([spec_of(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            assert token == await served(world)
            world.do(Verb.RETRY)
            world.do(Verb.PAUSE)
            await world.becomes("stopped paused")
            world.do(Verb.RESUME)
            await world.green()
            assert token == await served(world)
            assert 1 == server.count("token")
            assert (False, False) == (world.view().auth.renewable, world.w().maybe_spent)

            world.do(Verb.SIGN_OUT)
            await world.becomes("unauthenticated never_signed_in")
            await world.until(lambda: server.count("revoke") == 1, "the revocation")
            assert await world.stored() is None
        (revoked,) = [each for each in server.requests if each.kind == "revoke"]
        assert ("access_token", "ok") == (revoked.form["token_type_hint"], revoked.outcome)


async def test_a_real_keystore_gives_it_back(tmp_path: Path) -> None:
    """In parts, as the Windows vault needs it, and read by another run."""

    vault = windows()
    with OAuthServer(access_token_lifetime=10**7, **GIVES_NONE) as server:
        first = Keystore("inst", lambda: vault)
        async with running([spec_of(server)], tmp_path, keystore=first) as world:
            await world.becomes("unauthenticated never_signed_in")
            token = (await signed_in(world)).access_token
        await first.close()

        second = Keystore("inst", lambda: vault)
        async with running([spec_of(server)], tmp_path, keystore=second) as world:
            await world.green()
            assert token == Secret(await served(world))
            assert 1 == server.count("token")
        await second.close()


async def test_a_program_that_wants_more_life_gets_what_there_is(tmp_path: Path) -> None:
    """No better token can come, so nobody waits for one."""

    with OAuthServer(access_token_lifetime=3600, **GIVES_NONE) as server:
        async with running([spec_of(server)], tmp_path) as world:
            await world.becomes("unauthenticated never_signed_in")
            held = await signed_in(world)
            began = time.monotonic()
            token = await world.engine.token("one", 10**6)
            assert isinstance(token, AccessToken)
            assert (held.access_token, 1) == (token.value, server.count("token"))
            assert time.monotonic() - began < 1.0


async def test_its_end_is_red_and_a_sign_in_ends_that(tmp_path: Path) -> None:
    """At its end, by the clock; the next login is like any other if it brings a refresh token."""

    with OAuthServer(access_token_lifetime=1, **GIVES_NONE) as server:
        async with running([spec_of(server)], tmp_path) as world:
            await world.becomes("unauthenticated never_signed_in")
            await signed_in(world)
            await world.becomes("unauthenticated ended")
            assert 1 == server.count("token")

            server.extra, server.access_token_lifetime = {}, 3600
            held = await signed_in(world)
            assert (True, None) == (held.renewable, held.access_token)
            assert world.w().due is not None


async def test_a_restart_after_its_end_attempts_nothing(tmp_path: Path) -> None:
    """It is red from the start; what state.db says doesn't matter."""

    with OAuthServer() as server:
        usual = login_of(server)
        over = replace(
            usual, refresh_token=Secret(""), access_token=Secret("at"), obtained_at=5.0, expires_at=time.time() - 60
        )
        async with running([spec_of(server)], tmp_path, keystore=await keystore_with(("one", over))) as world:
            await world.becomes("unauthenticated ended")
            assert 0 == server.count("token")


async def test_a_server_that_drops_the_refresh_token_asks_first(tmp_path: Path) -> None:
    """The old login works and can be renewed: it is kept until the person agrees."""

    with OAuthServer() as server:
        async with running(
            [spec_of(server)], tmp_path, keystore=await keystore_with(("one", login_of(server)))
        ) as world:
            await world.green()
            server.extra = {"refresh_token": ...}
            world.do(Verb.REAUTHORIZE)
            await world.until(lambda: world.view().auth.sign_in_error is not None, "the question")
            problem = world.view().auth.sign_in_error
            assert problem is not None
            assert "not_renewable" == problem.kind
            assert "amberlight reauthorize one --accept" in problem.summary
            held = await world.stored()
            assert held is not None
            assert held.renewable

            assert "" == await world.engine.sign_ins.begin("one", browser=False, accept=True)
            await world.until(lambda: world.w().phase is Phase.VALID and world.w().storing is None, "its storing")
            held = await world.stored()
            assert held is not None
            assert not held.renewable


async def test_a_refused_login_is_replaced_without_a_question(tmp_path: Path) -> None:
    """There is nothing to lose: any login is better than none."""

    with OAuthServer() as server:
        async with running(
            [spec_of(server)], tmp_path, keystore=await keystore_with(("one", login_of(server)))
        ) as world:
            await world.green()
            server.extra = {"refresh_token": ...}
            server.script(Mode.INVALID_GRANT)
            world.do(Verb.RETRY)
            await world.becomes("unauthenticated refused")
            assert not (await signed_in(world)).renewable


def test_long_names_leave_room_for_the_way_to_agree() -> None:
    """The sentence names the command whole."""

    with OAuthServer() as server:
        old = login_of(server)
        w = replace(running_workload(old), spec=replace(spec_of(server), name="n" * 63))
        problem = differs(w, replace(old, refresh_token=Secret(""), access_token=Secret("a")))
    assert isinstance(problem, Problem)
    assert problem.summary.endswith(" --accept`.")
    assert len(problem.summary) <= 200


def running_workload(login: Login) -> Workload:
    """One that serves this login."""
    return Workload(Spec("one", "https://one.example"), phase=Phase.VALID, login=login)
