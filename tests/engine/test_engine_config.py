"""Configuration, pause, sign-out and removal while the engine runs. Only the last two touch the login."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.engine.engines import QUICK, World, keystore_with, login_of, one, running, spec_of, with_policy
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Unavailable
from trayapp.oauthtest import Mode, OAuthServer

# --- the file --------------------------------------------------------------------------------------------------------


async def test_another_tick_interval_takes_effect_immediately(tmp_path: Path) -> None:
    """A shorter tick in the file moves the next attempt of an outage."""

    with OAuthServer() as server:
        server.mode = Mode.FIREWALL
        slow, quick = with_policy(tick_interval=60.0), QUICK
        async with one(server, tmp_path, slow) as world:
            await world.becomes("auth_retrying")
            asked = server.count("token")
            await world.engine.configure([spec_of(server, policy=quick)])
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token") >= asked + 3)
            assert "auth_retrying" == world.view().status


async def test_another_refresh_time_moves_the_next_refresh(tmp_path: Path) -> None:
    """A half used token is refreshed now if the new settings want it earlier."""

    with OAuthServer(access_token_lifetime=2.0) as server:
        async with one(server, tmp_path) as world:
            await world.green()
            earlier = with_policy(refresh_ahead_max=1000.0, refresh_ahead_fraction=0.95)
            await world.engine.configure([spec_of(server, policy=earlier)])
            await world.until(lambda: server.count("token") == 2, limit=1.0)
            await world.green()
            held = await world.stored()
            assert held is not None
            assert 3 == held.generation


async def test_another_identity_waits_for_the_user(tmp_path: Path) -> None:
    """A changed endpoint: `error`, `confirm_change`, and the token goes nowhere, neither to the old nor the new server."""

    with OAuthServer(access_token_lifetime=0.2) as server, OAuthServer() as other:
        login = login_of(server)
        async with one(server, tmp_path, login=login) as world:
            await world.green()
            changed = spec_of(other)
            await world.engine.configure([changed])
            view = await world.becomes("error confirm_change")
            assert view.status_context
            asked = server.count("token")
            for verb in (Verb.RETRY, Verb.RETRY_ALL):
                world.do(verb)
            await world.quiet(0.25)
            assert asked == server.count("token")
            assert [] == other.requests
            caller = await world.engine.token("one")
            assert isinstance(caller, Unavailable)
            assert "config_error" == caller.error

            await world.engine.configure([spec_of(server)])
            await world.green()


async def test_another_identity_found_at_the_start_waits_too(tmp_path: Path) -> None:
    """The file was changed while the program was not running."""

    with OAuthServer() as server, OAuthServer() as other:
        keystore = await keystore_with(("one", login_of(server)))
        async with running([spec_of(other)], tmp_path, keystore=keystore) as world:
            await world.becomes("error confirm_change")
            await world.quiet(0.05)
        assert [] == other.requests
        assert 0 == server.count("token")


async def test_an_identity_changed_during_an_attempt(tmp_path: Path) -> None:
    """The attempt ends where it began and its rotation is stored; then the user is asked."""

    with OAuthServer(delay=0.1) as server, OAuthServer() as other:
        server.mode = Mode.SLOW
        async with one(server, tmp_path, with_policy(attempt_limit=3.0)) as world:
            await world.until(lambda: server.count("token") == 1)
            await world.engine.configure([spec_of(other)])
            await world.becomes("error confirm_change")
            held = await world.stored()
            assert held is not None
            assert held.refresh_token.reveal() == server.current_refresh_token("family-1")
        assert [] == other.requests


async def test_a_workload_that_the_file_no_longer_names_is_dropped(tmp_path: Path) -> None:
    """Gone from the list; its login stays in the keyring and is not revoked; named again, it runs again."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            await world.engine.configure([])
            assert {} == world.engine.workloads
            await world.until(lambda: not world.snapshots[-1][1].workloads)
            await world.quiet(0.05)
            assert await world.stored() is not None
            assert 0 == server.count("revoke")
            await world.engine.configure([spec_of(server)])
            await world.green()
            assert 2 == server.count("token")


async def test_a_workload_dropped_during_an_attempt(tmp_path: Path) -> None:
    """The rotation is stored first; a workload that came back into the file meanwhile begins anew."""

    with OAuthServer(delay=0.1) as server:
        server.mode = Mode.SLOW
        async with one(server, tmp_path, with_policy(attempt_limit=3.0)) as world:
            await world.until(lambda: server.count("token") == 1)
            await world.engine.configure([])
            assert ["one"] == list(world.engine.workloads)
            await world.until(lambda: not world.engine.workloads)
            held = await world.stored()
            assert held is not None
            assert 2 == held.generation

            await world.engine.configure([spec_of(server, policy=with_policy(attempt_limit=3.0))])
            await world.until(lambda: server.count("token") == 2)
            await world.engine.configure([])
            await world.engine.configure([spec_of(server, policy=with_policy(attempt_limit=3.0))])
            await world.until(lambda: server.count("token", outcome="ok") == 3)
            await world.green()


async def test_one_more_workload_in_the_file(tmp_path: Path) -> None:
    """The others are not touched."""

    with OAuthServer() as server:
        keystore = await keystore_with(*((name, login_of(server, name)) for name in ("one", "two")))
        async with running([spec_of(server)], tmp_path, keystore=keystore) as world:
            await world.green()
            await world.engine.configure([spec_of(server), spec_of(server, "two")])
            await world.green("two")
            assert 2 == server.count("token")


# --- pause, sign-out, removal ----------------------------------------------------------------------------------------


async def test_paused_is_paused(tmp_path: Path) -> None:
    """No event starts an attempt; callers are told to stay away; resumed, one attempt and green. A restart stays paused."""

    with OAuthServer(access_token_lifetime=0.2) as server:
        keystore = await keystore_with(("one", login_of(server)))
        async with one(server, tmp_path, keystore=keystore) as world:
            await world.green()
            world.do(Verb.PAUSE)
            await world.becomes("stopped paused")
            asked = server.count("token")
            world.do(Verb.RETRY)
            await everything_nudges(world)
            assert asked == server.count("token")
            caller = await world.engine.token("one")
            assert isinstance(caller, Unavailable)
            assert ("stopped", None) == (caller.error, caller.retry_after)
        async with one(server, tmp_path, keystore=keystore) as world:
            await world.becomes("stopped paused")
            await everything_nudges(world)
            assert asked == server.count("token")
            world.do(Verb.RESUME)
            await world.green()


async def everything_nudges(world: World) -> None:
    """Everything happens that makes a workload try."""
    from trayapp.engine.ports import SystemChange

    world.system_changes(SystemChange(woke=True, network=True))
    await world.engine.keyring_up()
    await world.quiet(0.25)


async def test_paused_during_an_attempt(tmp_path: Path) -> None:
    """The answer is stored, and nothing follows."""

    with OAuthServer(delay=0.1) as server:
        server.mode = Mode.SLOW
        async with one(server, tmp_path, with_policy(attempt_limit=3.0)) as world:
            await world.until(lambda: server.count("token") == 1)
            world.do(Verb.PAUSE)
            await world.becomes("stopped paused")
            await world.until(lambda: world.w().attempt is None and not world.w().unsaved)
            held = await world.stored()
            assert held is not None
            assert 2 == held.generation
            await world.quiet(0.1)
            assert 1 == server.count("token")


async def test_a_removal_revokes_and_deletes(tmp_path: Path) -> None:
    """Nothing is left: not at the server, not in the keyring, not in state.db, not in a snapshot."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            world.do(Verb.REMOVE)
            await asyncio.sleep(0)
            caller = await world.engine.token("one")
            assert isinstance(caller, Unavailable)
            assert caller.error in ("stopped", "unknown_workload")
            await world.until(lambda: not world.engine.workloads)
            assert await world.stored() is None
            assert () == server.live_families()
            caller = await world.engine.token("one")
            assert isinstance(caller, Unavailable)
            assert "unknown_workload" == caller.error
            await world.until(lambda: not world.snapshots[-1][1].workloads)


async def test_a_sign_out_revokes_and_deletes_the_login(tmp_path: Path) -> None:
    """The workload stays, as never signed in, also after a restart."""

    with OAuthServer() as server:
        keystore = await keystore_with(("one", login_of(server)))
        async with one(server, tmp_path, keystore=keystore) as world:
            await world.green()
            world.do(Verb.SIGN_OUT)
            await world.becomes("unauthenticated never_signed_in")
            await world.until(lambda: server.count("revoke") == 1)
            assert await world.stored() is None
            await world.until(lambda: not server.live_families())
        async with one(server, tmp_path, keystore=keystore) as world:
            await world.becomes("unauthenticated never_signed_in")


async def test_a_sign_out_during_an_attempt(tmp_path: Path) -> None:
    """The rotated token is the one that is revoked and deleted, so nothing survives."""

    with OAuthServer(delay=0.1) as server:
        server.mode = Mode.SLOW
        async with one(server, tmp_path, with_policy(attempt_limit=3.0)) as world:
            await world.until(lambda: server.count("token") == 1)
            world.do(Verb.SIGN_OUT)
            await world.becomes("unauthenticated never_signed_in")
            await world.until(lambda: not server.live_families())
            assert await world.stored() is None


async def test_an_identity_that_is_changed_back_during_an_attempt(tmp_path: Path) -> None:
    """A mistake corrected while a slow answer was awaited: nothing has to be confirmed."""

    with OAuthServer(delay=0.1) as server, OAuthServer() as other:
        server.mode = Mode.SLOW
        policy = with_policy(attempt_limit=3.0)
        async with one(server, tmp_path, policy) as world:
            await world.until(lambda: server.count("token") == 1)
            await world.engine.configure([spec_of(other, policy=policy)])
            await world.engine.configure([spec_of(server, policy=policy)])
            await world.green()
        assert "error" not in str(world.seen)
