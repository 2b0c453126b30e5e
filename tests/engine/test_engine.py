"""The engine against a real server, in seconds: outages end, verdicts are final, the ceiling only asks a person.

Everything is real but the keyring: engine, HTTP, state.db, and an authorization server in this process.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.engines import (
    NO_CEILING,
    QUICK,
    accounted_for,
    keystore_with,
    login_of,
    one,
    running,
    spec_of,
    with_policy,
)
from trayapp.core.model import SignedOut
from trayapp.core.presentation import Verb
from trayapp.core.snapshot import Health
from trayapp.oauthtest import Mode, OAuthServer, digest

SHORT = with_policy(ceiling=0.15)


async def test_a_firewall_page_turns_it_amber_and_success_turns_it_green(tmp_path: Path) -> None:
    """Blocked: `auth_retrying`, degraded, with a reason and a next attempt. Unblocked: `running`, with nothing to say."""

    with OAuthServer() as server:
        server.mode = Mode.FIREWALL
        async with one(server, tmp_path) as world:
            amber = await world.becomes("auth_retrying retrying")
            assert amber.health is Health.DEGRADED
            assert amber.auth.last_error is not None
            assert ("http", 403) == (amber.auth.last_error.kind, amber.auth.last_error.http_status)
            assert amber.auth.retrying_since is not None
            assert amber.auth.attempts >= QUICK.max_tries
            await world.quiet()
            assert "auth_retrying retrying" == world.status()

            server.mode = Mode.SUCCESS
            green = await world.green()
            assert (Health.HEALTHY, "", None, 0) == (
                green.health,
                green.status_context,
                green.auth.last_error,
                green.auth.attempts,
            )
            assert 1 == server.count("token", outcome="ok")


async def test_the_start_before_the_short_retry_is_over_stays_starting(tmp_path: Path) -> None:
    """One failure, then success within the short retry: nothing amber is ever published."""

    with OAuthServer() as server:
        server.script(Mode.SERVER_ERROR)
        async with one(server, tmp_path) as world:
            await world.green()
            await world.quiet(0.3)  # the publisher's pace
    assert not [word for word in world.seen["one"] if word.startswith("auth_retrying")]


async def test_the_ceiling_asks_a_person_and_keeps_the_login(tmp_path: Path) -> None:
    """Red after the ceiling, no attempt by time any more, the login still in the keyring; *Retry now* revives it."""

    with OAuthServer() as server:
        server.mode = Mode.FIREWALL
        login = login_of(server)
        async with one(server, tmp_path, SHORT, login=login) as world:
            red = await world.becomes("unauthenticated ceiling")
            assert red.health is Health.UNAUTHENTICATED
            asked = server.count("token")
            await world.quiet()
            assert asked == server.count("token")
            assert login == await world.stored()

            server.mode = Mode.SUCCESS
            world.do(Verb.RETRY)
            await world.green()
            assert asked + 1 == server.count("token")


async def test_a_failed_retry_now_past_the_ceiling_changes_nothing(tmp_path: Path) -> None:
    """One click, one attempt, red as before."""

    with OAuthServer() as server:
        server.mode = Mode.FIREWALL
        async with one(server, tmp_path, SHORT) as world:
            await world.becomes("unauthenticated ceiling")
            asked = server.count("token")
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token") == asked + 1)
            await world.quiet()
            assert "unauthenticated ceiling" == world.status()
            assert asked + 1 == server.count("token")


async def test_the_counted_time_survives_a_restart(tmp_path: Path) -> None:
    """Quit in amber and started again: the ceiling does not begin anew, and `retrying_since` is the old one."""

    with OAuthServer() as server:
        server.mode = Mode.FIREWALL
        login = login_of(server)
        async with one(server, tmp_path, login=login) as world:
            since = (await world.becomes("auth_retrying")).auth.retrying_since
            await world.quiet(0.2)
        async with one(server, tmp_path, with_policy(ceiling=NO_CEILING), login=login) as world:
            again = await world.becomes("auth_retrying")
            assert since == again.auth.retrying_since
            failing = world.w().failing
            assert failing is not None
            assert failing.counted >= 0.2


@pytest.mark.parametrize("mode", [Mode.INVALID_GRANT, Mode.FORM_ERROR, Mode.INVALID_CLIENT])
async def test_a_verdict_is_red_immediately_and_final(tmp_path: Path, mode: Mode) -> None:
    """One request, then `unauthenticated`; the login stays in the keyring, and only *Retry now* sends it, once (M7)."""

    with OAuthServer() as server:
        server.mode = mode
        login = login_of(server)
        keystore = await keystore_with(("one", login))
        async with one(server, tmp_path, keystore=keystore) as world:
            await world.becomes("unauthenticated refused")
            await world.quiet()
            assert 1 == server.count("token")
            world.do(Verb.RETRY)
            await world.until(lambda: world.view().auth.rechecked_at is not None, "the answer to the click")
            await world.quiet()
            assert (2, "unauthenticated refused") == (server.count("token"), world.status())
            assert login == await world.stored()
        async with one(server, tmp_path, keystore=keystore) as world:
            await world.becomes("unauthenticated refused")
            await world.quiet(0.05)
            assert 2 == server.count("token")


async def test_after_a_verdict_another_login_in_the_keyring_is_tried(tmp_path: Path) -> None:
    """After a verdict *Retry now* reads the keyring again: what was put there meanwhile is another combination."""

    with OAuthServer() as server:
        server.script(Mode.INVALID_GRANT)
        async with one(server, tmp_path) as world:
            await world.becomes("unauthenticated refused")
            newer = login_of(server, generation=2)
            await world.keystore.store("one", newer)
            world.do(Verb.RETRY)
            await world.green()
            assert world.w().signed_out is None


async def test_tokens_are_refreshed_before_they_end(tmp_path: Path) -> None:
    """Each rotation is in the keyring, and the server sees no token twice."""

    with OAuthServer(access_token_lifetime=0.3) as server:
        login = login_of(server)
        async with one(server, tmp_path, login=login) as world:
            await world.until(lambda: server.count("token", outcome="ok") >= 4)
            await world.until(lambda: world.w().storing is None and world.w().attempt is None)
            held = await world.stored()
            assert held is not None
            assert held.generation >= 5
            assert digest(held.refresh_token.reveal()) == digest(server.current_refresh_token("family-1"))
            assert "running ok" == world.status()
    assert [] == server.violations


async def test_without_a_login_nothing_is_sent(tmp_path: Path) -> None:
    """Never signed in: a person is needed, and the server gets no request."""

    with OAuthServer() as server:
        async with running([spec_of(server)], tmp_path) as world:
            await world.becomes("unauthenticated never_signed_in")
            world.do(Verb.RETRY)
            await world.quiet(0.05)
            assert SignedOut.NEVER is world.w().signed_out
            assert accounted_for(world)
        assert [] == server.requests


async def test_a_token_without_expiry_is_served_until_it_is_rejected(tmp_path: Path) -> None:
    """No `expires_in`: `running`, and no schedule."""

    with OAuthServer(access_token_lifetime=None) as server:
        async with one(server, tmp_path) as world:
            view = await world.green()
            assert (None, None) == (view.auth.next_attempt_at, view.auth.token_expires_at)
            await world.quiet()
            assert 1 == server.count("token")


async def test_retry_all_refreshes_every_workload(tmp_path: Path) -> None:
    """One click, one refresh of each."""

    with OAuthServer() as server:
        names = ("one", "two", "three")
        keystore = await keystore_with(*((name, login_of(server, name)) for name in names))
        async with running([spec_of(server, name) for name in names], tmp_path, keystore=keystore) as world:
            for name in names:
                await world.green(name)
            world.do(Verb.RETRY_ALL, "")
            await world.until(lambda: server.count("token", outcome="ok") == 6)
            for name in names:
                await world.green(name)
                held = await world.stored(name)
                assert held is not None
                assert (3, f"line-{name}") == (held.generation, held.lineage)
