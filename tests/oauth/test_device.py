"""Polling for a device code: at the server's pace, through every trouble, until a real end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oauth.devices import (
    CODES,
    ENDPOINTS,
    GRANT,
    PENDING,
    SLOW_DOWN,
    SPEC,
    TIMEOUT,
    TOKENS,
    TROUBLE,
    UNREACHABLE,
    ScriptedTokens,
    World,
    answer,
    error,
)
from trayapp.core.outcomes import Reply
from trayapp.engine.ports import NewLogin
from trayapp.oauth.device import by_device_code


@pytest.mark.parametrize(
    ("said", "waited"),
    [(..., 5.0), (0, 5.0), (-3, 5.0), ("soon", 5.0), (None, 5.0), (1, 1.0), (0.01, 1.0), (17, 17.0), ("8", 8.0)],
)
async def test_the_interval_is_obeyed(said: object, waited: float) -> None:
    """As the server says, five seconds where it does not, and never less than one."""

    fields = {name: value for name, value in (CODES | {"interval": said}).items() if value is not ...}
    world = World(PENDING, TOKENS, first=answer(fields))
    await world.run()

    assert [waited, waited] == world.waits


async def test_slow_down_raises_the_interval_permanently() -> None:
    """Each adds five seconds to all questions that follow (RFC 8628 section 3.5), or what the server says if it is more."""

    world = World(SLOW_DOWN, PENDING, SLOW_DOWN, PENDING, error("slow_down", 200, interval=40), PENDING, TOKENS)
    await world.run()

    assert [5.0, 10.0, 10.0, 15.0, 15.0, 40.0, 40.0] == world.waits


async def test_endless_slow_downs_end_when_the_code_expires() -> None:
    """Ever slower, and over when the code is."""

    world = World(SLOW_DOWN)
    problem = await world.run()

    assert "timed_out" == problem.kind
    assert world.asked_at == sorted(world.asked_at)
    gaps = [later - sooner for sooner, later in zip(world.asked_at, world.asked_at[1:], strict=False)]
    assert gaps == [10.0 + 5.0 * n for n in range(len(gaps))]
    assert world.at == 1600.0


async def test_a_code_that_nobody_enters_expires() -> None:
    """Pending for ever: asked every five seconds, and the end of the code's life is the end."""

    world = World(PENDING)
    problem = await world.run()

    assert "timed_out" == problem.kind
    assert "expired" in problem.summary
    assert 119 == len(world.asked_at)
    assert world.at == 1600.0


@pytest.mark.parametrize(("said", "life"), [(..., 300.0), (0, 300.0), ("never", 300.0), (10**30, 1800.0), (60, 60.0)])
async def test_an_odd_code_lifetime_is_bounded(said: object, life: float) -> None:
    """No code is believed to live for ever."""

    fields = {name: value for name, value in (CODES | {"expires_in": said}).items() if value is not ...}
    world = World(PENDING, first=answer(fields))
    await world.run()

    assert world.at == 1000.0 + life


@pytest.mark.parametrize("trouble", TROUBLE, ids=str)
async def test_transport_trouble_does_not_end_the_polling(trouble: Reply) -> None:
    """It is asked again, ever more slowly and never faster than the interval; an answer brings the interval back."""

    world = World(trouble, trouble, trouble, trouble, trouble, PENDING, TOKENS)
    assert isinstance(await world.run(), NewLogin)

    assert [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 5.0] == world.waits


async def test_retry_after_is_obeyed() -> None:
    """What a busy server asks for, and what is left of the code's life at most."""

    world = World(answer(b"", 429, **{"retry-after": "90"}), TOKENS)
    await world.run()
    assert [5.0, 90.0] == world.waits

    world = World(answer(b"", 503, **{"retry-after": "86400"}))
    assert "timed_out" == (await world.run()).kind
    assert world.at == 1600.0


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (error("access_denied"), "denied", "declined"),
        (error("access_denied", 403), "denied", "declined"),
        (error("expired_token"), "timed_out", "expired"),
        (error("expired_token", 200), "timed_out", "expired"),  # GitHub says everything with 200
        (error("invalid_grant"), "exchange", "try again"),
        (error("invalid_client", 401), "exchange", "doesn't know this client"),
        (error("device_flow_disabled", 200), "exchange", "device code"),
        (error("surprise"), "exchange", "(surprise)"),
    ],
)
async def test_an_error_of_the_server_ends_the_polling(reply: Reply, kind: str, words: str) -> None:
    """Said in words, and nothing is asked after it."""

    world = World(PENDING, reply)
    problem = await world.run()

    assert kind == problem.kind
    assert words in problem.summary
    assert 2 == len(world.asked_at)


async def test_a_login_without_refresh_token_is_one() -> None:
    """As with the browser: the access token is kept."""

    new = await World(PENDING, answer({"access_token": "canary", "token_type": "bearer"})).run()
    assert (False, "canary", None) == (
        new.login.renewable,
        new.login.access_token and new.login.access_token.reveal(),
        new.login.expires_at,
    )


async def test_a_lost_login_is_reported_as_lost() -> None:
    """The login was given and its answer did not arrive: the code is spent, and that is what the person reads."""

    problem = await World(TIMEOUT, error("invalid_grant")).run()
    assert "got lost" in problem.summary

    problem = await World(UNREACHABLE, error("invalid_grant")).run()
    assert "got lost" not in problem.summary


async def test_polling_survives_a_sleep() -> None:
    """Eight minutes of sleep: the code still lives, and the first question after it brings the login."""

    world = World(UNREACHABLE, TOKENS)
    world.on_sleep = lambda: setattr(world, "at", world.at + (480.0 if len(world.waits) == 1 else 0.0))
    assert isinstance(await world.run(), NewLogin)

    world = World(PENDING)
    world.on_sleep = lambda: setattr(world, "at", world.at + (3600.0 if len(world.waits) == 2 else 0.0))
    problem = await world.run()
    assert "timed_out" == problem.kind
    assert 1 == len(world.asked_at)  # with a code that has ended nobody is asked


async def test_a_login_that_arrives_after_the_code_expired_counts() -> None:
    """It was asked in time and answered late: a login is a login."""

    world = World(PENDING, TOKENS, first=answer(CODES | {"expires_in": 12}))
    world.takes = 30.0
    world.polls = [TOKENS]

    assert isinstance(await world.run(), NewLogin)
    assert world.at > 1012.0


async def test_polling_can_be_cancelled() -> None:
    """When the program ends, polling ends immediately."""

    world = World(PENDING)
    began = asyncio.Event()

    async def sleep(seconds: float) -> None:
        began.set()
        await asyncio.Event().wait()

    tokens = ScriptedTokens(world)
    run = by_device_code(GRANT, SPEC, ENDPOINTS, tokens, world.codes.append, world.now, sleep=sleep)
    task = asyncio.create_task(run)
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [] == world.asked_at


@given(st.lists(st.sampled_from([PENDING, SLOW_DOWN, *TROUBLE]), min_size=1, max_size=60))
def test_polls_are_never_closer_than_the_interval(polls: Sequence[Reply]) -> None:
    """Whatever comes in whatever order: no two questions are closer than the interval then in force."""

    world = World(*polls, error("access_denied"))
    problem = asyncio.run(world.run())

    assert problem.kind in ("denied", "timed_out")
    interval = 5.0
    for n, later in enumerate(world.asked_at[1:]):
        interval += 5.0 if polls[n] is SLOW_DOWN else 0.0
        assert later - world.asked_at[n] >= interval
    assert all(at < 1600.0 for at in world.asked_at)
