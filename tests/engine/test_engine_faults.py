"""Faults of networks and servers: none ends a login; each turns it amber, and its end turns it green."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import trustme

from tests.engine.engines import World, keystore_with, login_of, one, running, spec_of, with_policy
from tests.oauth.token_requests import NAME, server_side
from trayapp.core.model import Trigger
from trayapp.core.presentation import Verb
from trayapp.oauthtest import Mode, OAuthServer, Rule

HANGS = (Mode.HANG_BEFORE_HEADERS, Mode.HANG_IN_BODY)


def kind(world: World) -> str | None:
    error = world.view().auth.last_error
    return error.kind if error else None


@pytest.mark.parametrize(
    ("mode", "named"),
    [
        (Mode.HANG_BEFORE_HEADERS, "timeout"),
        (Mode.HANG_IN_BODY, "timeout"),
        (Mode.EOF, "eof"),
        (
            Mode.RESET,
            "eof" if sys.platform == "win32" else "reset",
        ),  # the loop of Windows shuts a connection down first
        (Mode.TRUNCATED_BODY, "truncated"),
        (Mode.TRUNCATED_JSON, "truncated"),
        (Mode.CAPTIVE_HTML, "portal"),
        (Mode.CAPTIVE_REDIRECT, "portal"),
        (Mode.SERVER_ERROR, "http"),
        (Mode.RATE_LIMITED, "oauth"),
        (Mode.BAD_GATEWAY, "http"),
        (Mode.UNKNOWN_CODE, "oauth"),
        (Mode.JSON_403, "http"),
        (Mode.NO_ACCESS_TOKEN, "http"),
    ],
)
async def test_no_fault_of_the_server_ends_a_login(tmp_path: Path, mode: Mode, named: str) -> None:
    """Amber while it lasts, with the error named; then green with the same login."""

    with OAuthServer(retry_after=None) as server:
        server.mode = mode
        login = login_of(server)
        limit = 0.5 if mode in HANGS else 5.0  # a loaded machine connects and answers within it
        async with one(server, tmp_path, with_policy(attempt_limit=limit), login=login) as world:
            await world.becomes("auth_retrying retrying")
            assert named == kind(world)
            assert login == await world.stored()
            server.mode = Mode.SUCCESS
            await world.green()
            held = await world.stored()
            assert held is not None
            assert login.lineage == held.lineage


async def test_a_server_that_is_down_ends_no_login(tmp_path: Path) -> None:
    """Connections refused: nothing was sent. Up again: green."""

    with OAuthServer() as server:
        login = login_of(server)
        server.down()
        async with one(server, tmp_path, login=login) as world:
            await world.becomes("auth_retrying retrying")
            assert "refused" == kind(world)
            assert not world.w().maybe_spent
            server.up()
            await world.green()


async def test_an_untrusted_certificate_ends_no_login(
    tmp_path: Path, authority: trustme.CA, names: set[str], trusted: None
) -> None:
    """An inspecting firewall or a portal: the token is not sent, and the error says what it may be."""

    with OAuthServer(ssl_context=server_side(trustme.CA())) as server:
        endpoint = f"https://{NAME}:{server.token_endpoint.rpartition(':')[2]}"
        login = login_of(server, token_endpoint=endpoint)
        async with running(
            [spec_of(server, token_endpoint=endpoint, policy=with_policy(attempt_limit=2.0, connect_limit=2.0))],
            tmp_path,
            keystore=await keystore_with(("one", login)),
            certificates=True,
        ) as world:
            view = await world.becomes("auth_retrying retrying")
            assert "tls" == kind(world)
            assert "isn't trusted" in (view.auth.last_error.summary if view.auth.last_error else "")
            assert not world.w().maybe_spent
            assert login == await world.stored()
        assert 0 == server.count("token")


async def test_a_name_that_cannot_be_looked_up_ends_no_login(
    tmp_path: Path, authority: trustme.CA, names: set[str], trusted: None
) -> None:
    """A dead resolver: amber, nothing sent. The name is back: green."""

    names.clear()
    with OAuthServer(ssl_context=server_side(authority)) as server:
        endpoint = f"https://{NAME}:{server.token_endpoint.rpartition(':')[2]}"
        policy = with_policy(attempt_limit=2.0, connect_limit=2.0)
        async with running(
            [spec_of(server, token_endpoint=endpoint, policy=policy)],
            tmp_path,
            keystore=await keystore_with(("one", login_of(server, token_endpoint=endpoint))),
            certificates=True,
        ) as world:
            await world.becomes("auth_retrying retrying")
            assert "dns" == kind(world)
            assert 0 == server.count("token")
            names.add(NAME)
            await world.green()
            assert 1 == server.count("token")


async def test_a_lost_rotation_without_grace_is_named(tmp_path: Path) -> None:
    """The server rotated, the answer was lost, and the old token is refused: red immediately, with that reason."""

    with OAuthServer(grace=0.0) as server:
        server.script(Mode.DROPPED_ANSWER)
        async with one(server, tmp_path) as world:
            view = await world.becomes("unauthenticated lost_rotation")
            assert 1 == view.auth.lost_rotations
            assert 2 == server.count("token")


async def test_a_lost_rotation_within_the_grace_recovers(tmp_path: Path) -> None:
    """The same token is sent again quickly, and the server issues a successor."""

    with OAuthServer(grace=60.0) as server:
        server.script(Mode.DROPPED_ANSWER)
        async with one(server, tmp_path) as world:
            await world.green()
            assert 2 == server.count("token")
            assert not world.w().maybe_spent
            held = await world.stored()
            assert held is not None
            assert held.refresh_token.reveal() == server.current_refresh_token("family-1")
        assert "auth_retrying" not in str(world.seen)


async def test_a_lost_answer_is_known_after_a_crash(tmp_path: Path) -> None:
    """The intent is on disk, so `invalid_grant` after a restart is still called a lost rotation."""

    with OAuthServer(grace=0.0, allow={Rule.STALE_TOKEN}) as server:
        server.mode = Mode.DROPPED_ANSWER
        login = login_of(server)
        policy = with_policy(again=(60.0,))
        async with one(server, tmp_path, policy, login=login) as world:
            await world.until(lambda: world.w().maybe_spent)
        server.mode = Mode.SUCCESS
        async with one(server, tmp_path, policy, login=login) as world:
            await world.becomes("unauthenticated lost_rotation")


async def test_retry_after_is_respected(tmp_path: Path) -> None:
    """503 with `Retry-After`: no automatic attempt before that; *Retry now* passes it."""

    with OAuthServer(retry_after=30) as server:
        server.script(Mode.UNAVAILABLE)
        async with one(server, tmp_path) as world:
            await world.until(lambda: world.w().last_outcome == "server_busy")
            await world.quiet()
            assert 1 == server.count("token")
            assert "server_said_wait" == world.view().auth.detail
            world.do(Verb.RETRY)
            await world.green()
            assert Trigger.MANUAL is world.w().last_trigger


async def test_many_workloads_behind_a_firewall_recover_together(tmp_path: Path) -> None:
    """Ten of one server, blocked and unblocked: all green, never two requests of one family at the same time."""

    with OAuthServer() as server:
        server.mode = Mode.FIREWALL
        specs = [spec_of(server, f"w{n}") for n in range(10)]
        keystore = await keystore_with(*((spec.name, login_of(server, spec.name)) for spec in specs))
        async with running(specs, tmp_path, keystore=keystore) as world:
            for spec in specs:
                await world.becomes("auth_retrying", spec.name)
            server.mode = Mode.SUCCESS
            for spec in specs:
                await world.green(spec.name)
            assert server.max_in_flight <= 2
