"""The arithmetic of the retry rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.core import schedule
from trayapp.core.model import Failing, Moment, Policy

P = Policy()
JITTER = st.floats(0.0, 1.0, exclude_max=True)
SINCE = Moment(0.0, 0.0, 0.0)


@pytest.mark.parametrize(("j", "delay"), [(0.0, 5.0), (0.5, 10.0), (0.75, 12.5)])
def test_spread_moves_a_delay_either_way(j: float, delay: float) -> None:
    """Jitter moves a delay by at most the fraction, evenly."""

    assert delay == schedule.spread(10.0, 0.5, j)


@pytest.mark.parametrize(
    ("expires_at", "due"),
    [
        (None, None),  # no expiry, no schedule
        (100.0 + 3600.0, 100.0 + 3300.0),  # 5 min ahead
        (100.0 + 100.0, 100.0 + 80.0),  # 20 % ahead
        (100.0 + 1.0, 101.0),  # never sooner than the spacing
        (100.0, 101.0),
        (50.0, 101.0),  # an expiry in the past does not spin
        (100.0 + 90 * 86400.0, 100.0 + 30 * 86400.0 - 300.0),  # lifetimes are capped
    ],
)
def test_refresh_ahead(expires_at: float | None, due: float | None) -> None:
    """A token is refreshed ahead of its end by 5 min or a fifth of its life, whichever is less (M1)."""

    assert due == schedule.refresh_due(100.0, expires_at, P)


def test_short_retry_waits_about_81_seconds_in_all() -> None:
    """Five tries have four waits of 10 s growing by half; then the short retry is over (M2)."""

    waits = [schedule.short_retry(tries, P, 0.5) for tries in range(1, 6)]
    assert [10.0, 15.0, 22.5, 33.75, None] == waits


@given(tries=st.integers(), j=JITTER, most=st.integers(1, 10**9), factor=st.floats(0.5, 10.0))
def test_short_retry_never_overflows(tries: int, j: float, most: int, factor: float) -> None:
    """However often it failed, the delay is a number between half the first interval and 1.5 times the largest."""

    policy = Policy(max_tries=most, retry_factor=factor)
    delay = schedule.short_retry(tries, policy, j)
    assert delay is None if tries >= most else delay is not None and 5.0 <= delay <= 180.0


def test_short_retry_stays_at_the_largest_interval() -> None:
    """A first interval above the largest one, and a growth that reached it, both give the largest one."""

    assert schedule.short_retry(1, Policy(initial_retry_interval=500.0), 0.5) == 120.0
    assert schedule.short_retry(10**6, Policy(max_tries=10**7), 0.5) == 120.0


@pytest.mark.parametrize(
    ("tries", "elapsed", "left"),
    [(1, 0.0, 81.25), (2, 40.0, 71.25), (4, 60.0, 33.75), (5, 81.0, 0.0), (1, 280.0, 20.0), (1, 400.0, 0.0)],
)
def test_what_is_left_of_the_short_retry(tries: int, elapsed: float, left: float) -> None:
    """The remaining waits without jitter, and never beyond the longest elapsed time (M3)."""

    assert left == schedule.short_retry_left(tries, elapsed, P)


def test_absurdly_many_tries_are_not_added_up() -> None:
    """A million tries of a nanosecond cost nothing."""

    odd = Policy(initial_retry_interval=1e-9, max_retry_interval=1e-9, max_tries=10**6)
    assert schedule.short_retry_left(1, 0.0, odd) < 1e-5


def test_tick_is_spread_by_a_tenth() -> None:
    """The long phase tries every 10 min, plus or minus one (M4)."""

    assert (540.0, 600.0) == (schedule.tick(P, 0.0), schedule.tick(P, 0.5))


@pytest.mark.parametrize(("left", "delay"), [(5000.0, 600.0), (90.0, 90.0), (3.0, 10.0), (-50.0, 10.0)])
def test_long_tick_with_a_token_ends_at_its_expiry(left: float, delay: float) -> None:
    """While a token is usable, the last attempt is made before it ends, and none closer than 10 s (M3)."""

    assert delay == schedule.long_tick_with_token(P, left)


def test_burst_is_dense_at_first() -> None:
    """After a network change: immediately, then after 0.25, 0.5, 1, 2, 4, 10, 20 and 40 s, spread by a fifth (M8)."""

    delays = [schedule.burst(n, P, 0.5) for n in range(10)]
    assert [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 20.0, 40.0, None] == delays
    assert schedule.burst(-1, P, 0.5) is None
    assert 77.0 < sum(delay or 0.0 for delay in delays) < 78.0
    assert 40.0 * 0.8 == schedule.burst(8, P, 0.0)


def test_the_same_token_series_has_six_tries_without_jitter() -> None:
    """The same token again: 0, 1, 2, 5, 10, 20 s after the end of the previous attempt (M9)."""

    assert [0.0, 1.0, 2.0, 5.0, 10.0, 20.0, None, None] == [
        schedule.same_token_retry(n, P) for n in (0, 1, 2, 3, 4, 5, 6, -1)
    ]


@pytest.mark.parametrize(
    ("recent", "earliest"),
    [
        ((), 1000.0),
        (tuple(range(900, 914)), 1000.0),  # 14 of 15: there is one left
        (tuple(range(900, 915)), 1500.0),  # the oldest of the 15 leaves the window
        (tuple(range(300, 315)), 1000.0),  # all of them have left it
        (tuple(range(100, 115)) + tuple(range(900, 915)), 1500.0),  # only the newest 15 matter
    ],
)
def test_automatic_attempts_are_limited(recent: tuple[float, ...], earliest: float) -> None:
    """At most 15 automatic attempts in 10 min (M8)."""

    assert earliest == schedule.rate_limited(recent, 1000.0, P)


def test_a_policy_without_a_limit_never_delays() -> None:
    """A policy without a limit never delays."""

    assert schedule.rate_limited((1.0,), 1000.0, Policy(automatic_attempts=0)) == 1000.0


def test_counted_time_stands_still_while_it_is_stopped() -> None:
    """The ceiling counts only while the machine is awake and online (M6)."""

    running = Failing(since=SINCE, counted=50.0, counting_from=100.0)
    stopped = Failing(since=SINCE, counted=50.0, counting_from=None)
    assert [70.0, 50.0, 50.0] == [
        schedule.counted(running, 120.0),
        schedule.counted(running, 90.0),  # a clock that went back takes nothing away
        schedule.counted(stopped, 120.0),
    ]


@pytest.mark.parametrize(
    ("counted", "fresh_tries", "fresh_counted", "reached"),
    [
        (86400.0, 3, 85800.0, True),
        (86399.0, 3, 0.0, False),  # not yet
        (90000.0, 2, 0.0, False),  # too few attempts since the wake
        (90000.0, 3, 89500.0, False),  # all within the first minutes after the wake
    ],
)
def test_ceiling_needs_time_and_attempts(counted: float, fresh_tries: int, fresh_counted: float, reached: bool) -> None:
    """A weekend in a bag never turns a workload red on Monday (M6)."""

    failing = Failing(since=SINCE, fresh_tries=fresh_tries, fresh_counted=fresh_counted)
    assert reached is schedule.ceiling_reached(failing, counted, P)


@pytest.mark.parametrize(
    ("said", "kept"),
    [(None, 0.0), (float("nan"), 0.0), (-5.0, 0.0), (30.0, 30.0), (86400.0, 3600.0), (float("inf"), 3600.0)],
)
def test_retry_after_is_kept_within_reason(said: float | None, kept: float) -> None:
    """The server's Retry-After is capped at an hour (M12)."""

    assert kept == schedule.retry_after(said, P)


@pytest.mark.parametrize(
    ("next_at", "told"),
    [
        (None, 30),
        (float("inf"), 30),
        (90.0, 1),
        (100.0, 1),
        (100.2, 1),
        (101.2, 2),
        (700.0, 600),
        (99999.0, 3600),
    ],
)
def test_refused_callers_are_told_whole_seconds(next_at: float | None, told: int) -> None:
    """`Retry-After` says when the next attempt is, from 1 s to 1 h; 30 s if that can't be known (M15)."""

    assert told == schedule.hot_retry_after(next_at, 100.0)
