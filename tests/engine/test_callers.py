"""Callers that need a token now (M15): served or refused from the current state, never the cause of a request."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.engine.engines import (
    Tokens,
    VirtualClock,
    World,
    one,
    running,
    settled,
    spec_of,
    virtual_engine,
    with_policy,
)
from trayapp.core.messages import Rejected
from trayapp.core.model import AccessToken, Login, Policy
from trayapp.core.outcomes import Fault, Reply
from trayapp.core.presentation import Colour, Verb
from trayapp.core.snapshot import Unavailable
from trayapp.oauthtest import Mode, OAuthServer

IN_AMBER = with_policy(tick_interval=60.0)


async def value(world: World, min_validity: float = 0.0) -> str:
    answer = await world.engine.token("one", min_validity)
    assert isinstance(answer, AccessToken), answer
    return answer.value.reveal()


async def refusal(world: World, min_validity: float = 0.0) -> Unavailable:
    answer = await world.engine.token("one", min_validity)
    assert isinstance(answer, Unavailable), answer
    return answer


async def test_a_hundred_callers_at_the_start_share_one_attempt(tmp_path: Path) -> None:
    """They wait for it and get the same token."""

    with OAuthServer(delay=0.05) as server:
        server.mode = Mode.SLOW
        async with one(server, tmp_path) as world:
            tokens = await asyncio.gather(*(value(world) for _ in range(100)))
            assert 1 == len(set(tokens))
            assert server.valid_access(tokens[0])
        assert 1 == server.count("token")


@pytest.mark.alone
async def test_a_thousand_callers_during_an_outage_fail_immediately_and_send_nothing(tmp_path: Path) -> None:
    """Each in well under 5 ms, with the seconds until the next attempt; the token endpoint gets no request."""

    with OAuthServer() as server:
        server.mode = Mode.FIREWALL
        async with one(server, tmp_path, IN_AMBER) as world:
            await world.becomes("auth_retrying retrying")
            asked = server.count("token")
            began = time.perf_counter()
            answers = [await refusal(world) for _ in range(1000)]
            each = (time.perf_counter() - began) / 1000
            assert each < 0.002
            assert {"retrying"} == {answer.error for answer in answers}
            assert all(answer.retry_after is not None and 50 <= answer.retry_after <= 66 for answer in answers)
            assert all(answer.help and answer.next_attempt_at is not None for answer in answers)
            await world.quiet(0.05)
            assert asked == server.count("token")


@pytest.mark.alone
async def test_during_an_outage_nobody_waits_for_an_attempt_in_flight(tmp_path: Path) -> None:
    """The next attempt has begun and hangs: callers fail as fast as before."""

    with OAuthServer(check=False) as server:
        server.mode = Mode.FIREWALL
        async with one(server, tmp_path, with_policy(tick_interval=60.0, attempt_limit=5.0)) as world:
            await world.becomes("auth_retrying retrying")
            server.mode = Mode.HANG_BEFORE_HEADERS
            asked = server.count("token")
            world.do(Verb.RETRY)
            await world.until(lambda: server.count("token") == asked + 1)
            began = time.perf_counter()
            assert "retrying" == (await refusal(world)).error
            assert time.perf_counter() - began < 0.1
            server.mode = Mode.SUCCESS
            server.release()
            await world.green()
            assert await value(world)


async def test_a_caller_that_goes_away_cancels_its_waiting_only(tmp_path: Path) -> None:
    """The attempt continues, others are served, and nothing is kept of the caller that left."""

    with OAuthServer(delay=0.1) as server:
        server.mode = Mode.SLOW
        async with one(server, tmp_path) as world:
            impatient = [asyncio.create_task(world.engine.token("one")) for _ in range(10)]
            patient = asyncio.create_task(value(world))
            await world.until(lambda: server.count("token") == 1)
            for task in impatient:
                task.cancel()
            await asyncio.gather(*impatient, return_exceptions=True)
            assert 1 == sum(len(waiting) for waiting in world.engine.callers._waiting.values())
            assert server.valid_access(await patient)
            await world.green()
        assert 1 == server.count("token")


@pytest.mark.alone
async def test_a_server_that_hangs_costs_a_caller_no_more_than_hot_wait(tmp_path: Path) -> None:
    """Two seconds by default, here a tenth: then "starting", with a time to come back."""

    with OAuthServer(check=False) as server:
        server.mode = Mode.HANG_BEFORE_HEADERS
        async with one(server, tmp_path, with_policy(hot_wait=0.1, attempt_limit=0.6)) as world:
            began = time.perf_counter()
            answer = await refusal(world)
            assert 0.09 <= time.perf_counter() - began < 0.4
            assert "starting" == answer.error
            assert answer.retry_after is not None


async def test_a_longer_max_wait_is_granted(tmp_path: Path) -> None:
    """The usual wait ends before the slow answer comes; a caller with a longer one gets the token."""

    with OAuthServer(delay=0.3) as server:
        server.mode = Mode.SLOW
        async with one(server, tmp_path, with_policy(hot_wait=0.05, attempt_limit=2.0)) as world:
            patient = asyncio.create_task(world.engine.callers.token("one", 0.0, 5.0))
            assert "starting" == (await refusal(world)).error
            answer = await patient
            assert isinstance(answer, AccessToken)
            assert server.valid_access(answer.value.reveal())
        assert 1 == server.count("token")


async def test_a_long_max_wait_is_not_spent_on_a_token_after_the_next(tmp_path: Path) -> None:
    """Where no token lives as long as was asked for, the next one is returned: the one after it is no better."""

    with OAuthServer(access_token_lifetime=2.0) as server:
        async with one(server, tmp_path, with_policy(rejected_spacing=0.0)) as world:
            await world.green()
            first = await value(world)
            began = time.perf_counter()
            answer = await world.engine.callers.token("one", 60.0, 30.0)
            assert isinstance(answer, AccessToken)
            assert first != answer.value.reveal()
            assert time.perf_counter() - began < 1.0
        assert 2 == server.count("token")


async def test_a_usable_token_is_returned_if_it_cannot_be_refreshed(tmp_path: Path) -> None:
    """Its remaining life is less than was asked for, and better than a refusal."""

    with OAuthServer() as server:
        async with one(server, tmp_path, with_policy(initial_retry_interval=30.0, max_retry_interval=30.0)) as world:
            await world.green()
            held = await value(world)
            server.mode = Mode.FIREWALL
            world.do(Verb.RETRY)
            await world.until(lambda: world.w().failing is not None)
            assert held == await value(world, 86400.0)
            assert not world.engine.callers.refused
            assert not world.engine.callers.refusals


async def test_waiting_ends_with_the_first_failure(tmp_path: Path) -> None:
    """A caller that waits at the start learns that the server is busy, and doesn't wait for the second try."""

    with OAuthServer(delay=0.05) as server:
        server.mode = Mode.FIREWALL
        async with one(server, tmp_path, with_policy(initial_retry_interval=30.0, max_retry_interval=30.0)) as world:
            began = time.perf_counter()
            answer = await refusal(world)
            assert time.perf_counter() - began < 1.0
            assert answer.retry_after is not None
            assert 10 <= answer.retry_after <= 45


@pytest.mark.parametrize(
    ("mode", "error", "after"), [(Mode.INVALID_GRANT, "reauth_required", 60), (None, "reauth_required", 60)]
)
async def test_unauthenticated_asks_callers_to_return_in_a_minute(
    tmp_path: Path, mode: Mode | None, error: str, after: int
) -> None:
    """A verdict, or no login at all: a person is needed, and nothing is sent."""

    with OAuthServer() as server:
        server.mode = mode or Mode.SUCCESS
        if mode is None:
            async with running([spec_of(server)], tmp_path) as world:
                await world.becomes("unauthenticated")
                answer = await refusal(world)
        else:
            async with one(server, tmp_path) as world:
                await world.becomes("unauthenticated")
                answer = await refusal(world)
        assert (error, after) == (answer.error, answer.retry_after)
        assert "amberlight reauthorize one" in answer.help or "Reauthorize" in answer.help
        assert server.count("token") <= 1


async def test_after_a_verdict_the_last_token_is_served_to_its_end(tmp_path: Path) -> None:
    """M5: red immediately, and the access token that still works is served."""

    with OAuthServer() as server:
        async with one(server, tmp_path) as world:
            await world.green()
            server.mode = Mode.INVALID_GRANT
            world.do(Verb.RETRY)
            await world.becomes("unauthenticated refused")
            assert server.valid_access(await value(world))


async def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    """With a sentence that says so; nothing is counted for it."""

    with OAuthServer() as server:
        async with running([spec_of(server)], tmp_path) as world:
            answer = await world.engine.token("nobody")
            assert isinstance(answer, Unavailable)
            assert ("unknown_workload", None) == (answer.error, answer.retry_after)
            assert not world.engine.callers.refused


# --- validity, expiry and rejection, in virtual time -----------------------------------------------------------------


async def test_more_validity_than_is_left_refreshes_the_token(tmp_path: Path) -> None:
    """Ten minutes are needed and five are left: a new token; for less than that the old one is served."""

    clock, tokens = VirtualClock(), Tokens(life=3600.0)
    async with virtual_engine(["one"], tmp_path, clock, tokens, Policy(refresh_ahead_max=60.0)) as world:
        await clock.pass_time(3300.0)
        assert "at-1" == await value(world, 200.0)
        assert "at-2" == await value(world, 600.0)
        assert 2 == tokens.asked


async def test_more_validity_than_any_token_has_costs_no_time(tmp_path: Path) -> None:
    """An hour is asked for and tokens last half of one: one early refresh, then that token, without waiting."""

    clock, tokens = VirtualClock(), Tokens(life=1800.0)
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(60.0)
        began = time.perf_counter()
        assert "at-2" == await value(world, 3600.0)
        for _ in range(20):
            assert "at-2" == await value(world, 3600.0)
        assert time.perf_counter() - began < 0.5
        assert 2 == tokens.asked


async def test_an_expired_token_makes_the_engine_read_its_clocks(tmp_path: Path) -> None:
    """After an unannounced sleep, the first caller starts the refresh and gets its token."""

    clock, tokens = VirtualClock(), Tokens(life=3600.0)
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(1.0)
        clock.at += 7200.0  # nobody is woken by it
        assert "at-2" == await value(world)


async def test_a_refusal_after_a_sleep_during_an_outage_updates_the_view(tmp_path: Path) -> None:
    """The caller doesn't wait, but its finding the token expired turns the view amber immediately."""

    clock, tokens = VirtualClock(), Tokens(life=3600.0)
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:

        async def unreachable(login: Login) -> Reply:
            return Fault(False, "connect_timeout", "It could not be reached in time.")

        await clock.pass_time(1.0)
        tokens.reply = unreachable
        await clock.pass_time(3310.0)
        assert Colour.GREEN is world.view().colour
        clock.at += 7200.0  # nobody is woken by it
        assert "ok" != (await refusal(world)).detail.value
        assert Colour.AMBER is world.view().colour


async def test_a_rejected_token_is_not_served_again(tmp_path: Path) -> None:
    """The upstream said 401: one forced refresh; a second 401 within ten seconds does not make another, nor a wait."""

    clock, tokens = VirtualClock(), Tokens()
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(60.0)
        serial = _serial(world)
        world.engine.apply("one", Rejected(clock.now(), serial))
        world.engine.apply("one", Rejected(clock.now(), serial))  # two clients had the same token
        assert "at-2" == await value(world)
        world.engine.apply("one", Rejected(clock.now(), _serial(world)))
        began = time.perf_counter()
        answer = await refusal(world)
        assert time.perf_counter() - began < 0.5
        assert answer.retry_after is not None
        assert 1 <= answer.retry_after <= 10
        assert 2 == tokens.asked
        await clock.pass_time(10.0)
        assert "at-3" == await value(world)


async def test_three_fresh_tokens_rejected_in_a_row_are_unhealthy(tmp_path: Path) -> None:
    """M18: no forced refresh for ten minutes."""

    clock, tokens = VirtualClock(), Tokens()
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        for _ in range(3):
            await clock.pass_time(11.0)
            world.engine.apply("one", Rejected(clock.now(), _serial(world)))
        await clock.pass_time(1.0)
        assert "unhealthy upstream_rejects" == world.status()
        asked = tokens.asked
        assert "upstream_rejects" == (await refusal(world)).error
        await clock.pass_time(500.0)
        assert asked == tokens.asked


def _serial(world: World) -> int:
    access = world.w().access
    assert access is not None
    return access.serial


async def test_a_refusal_is_remembered_until_it_runs_again(tmp_path: Path) -> None:
    """So the notification knows that a client missed a token."""

    clock, tokens = VirtualClock(), Tokens(life=300.0)
    async with virtual_engine(["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(1.0)

        async def dead(login: Login) -> Reply:
            return Fault(False, "dns", "no name")

        tokens.reply = dead
        await clock.pass_time(600.0)
        assert "auth_retrying retrying" == world.status()
        assert not world.engine.callers.refused
        await refusal(world)
        assert {"one"} == world.engine.callers.refused
        tokens.reply = None
        world.do(Verb.RETRY)
        await settled()
        assert "running ok" == world.status()
        assert not world.engine.callers.refused


@pytest.mark.alone
async def test_serving_takes_microseconds(tmp_path: Path) -> None:
    """A valid token or a refusal takes no task, no lock and no other workload."""

    clock, tokens = VirtualClock(), Tokens()
    async with virtual_engine([f"w{n}" for n in range(200)] + ["one"], tmp_path, clock, tokens) as world:
        await clock.pass_time(5.0)
        slept = clock.sleeps
        began = time.perf_counter()
        for _ in range(2000):
            await world.engine.token("one")
        assert (time.perf_counter() - began) / 2000 < 100e-6  # the budget is 20 µs; this machine may be busy
        assert slept == clock.sleeps
