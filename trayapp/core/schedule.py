"""When the next attempt is due: delays and instants as functions of numbers.

Nothing here knows a workload's phase or an event; `machine.py` decides which of these rules is in force. All times are
seconds; instants are `.at` unless the name says otherwise. `p` is the policy in force, `j` the dice in [0, 1).
"""

from __future__ import annotations

from math import ceil, isfinite, log

from trayapp.core.model import Failing, Policy

HOT_RETRY_BLIND = 30  # s; what a caller is told when nobody can know the next attempt: the gate is closed (M15)
HOT_RETRY_MAX = 3600  # s; M15
TICK_FLOOR = 10.0  # s; M3: with a usable token attempts never come closer than this


def spread(delay: float, fraction: float, jitter: float) -> float:
    """`delay`, moved by up to `fraction` of itself either way, so that nobody knocks together."""
    return delay * (1.0 + fraction * (2.0 * jitter - 1.0))


def refresh_due(obtained_at: float, expires_at: float | None, policy: Policy) -> float | None:
    """M1: the instant at which a token is to be refreshed ahead of its expiry; None where no expiry is known."""
    if expires_at is None:
        return None
    lifetime = min(max(expires_at - obtained_at, 0.0), policy.lifetime_cap)
    ahead = min(policy.refresh_ahead_max, policy.refresh_ahead_fraction * lifetime)
    return obtained_at + max(lifetime - ahead, policy.refresh_spacing)


def short_retry(tries: int, policy: Policy, jitter: float) -> float | None:
    """M2: the delay after the `tries`-th failed try; None when the tries are used up.

    The attempt that failed first is try 1, so 5 tries have 4 waits between them.
    """
    if tries >= policy.max_tries:
        return None
    return spread(_grown_interval(max(tries, 1) - 1, policy), policy.retry_jitter, jitter)


def _grown_interval(steps: int, policy: Policy) -> float:
    """The first interval grown `steps` times, at most the largest. The power is taken only where it cannot overflow."""
    first, largest = policy.initial_retry_interval, policy.max_retry_interval
    if first >= largest:
        return largest
    if policy.retry_factor <= 1.0:
        return first
    if steps >= log(largest / first) / log(policy.retry_factor):
        return largest
    return float(first * policy.retry_factor**steps)


def tick(policy: Policy, jitter: float) -> float:
    """M4: the delay between two attempts of the long phase."""
    return spread(policy.tick_interval, policy.tick_jitter, jitter)


def long_tick_with_token(policy: Policy, time_to_expiry: float) -> float:
    """M3: the same while a token is still usable: there will be one last attempt before it expires."""
    return max(TICK_FLOOR, min(policy.tick_interval, time_to_expiry))


def burst(tries: int, policy: Policy, jitter: float) -> float | None:
    """M8: the delay before try number `tries` (from 0) after a network change or a wake; None at the series' end."""
    if not 0 <= tries < len(policy.burst):
        return None
    return spread(policy.burst[tries], policy.burst_jitter, jitter)


def same_token_retry(tries: int, policy: Policy) -> float | None:
    """M9: the delay before the same token is sent for the `tries`-th time more (from 0); None at the series' end.

    Without jitter: the server's grace is short, and only one client holds this token.
    """
    return policy.again[tries] if 0 <= tries < len(policy.again) else None


def rate_limited(recent: tuple[float, ...], at: float, policy: Policy, *, rescue: bool = False) -> float:
    """M8: the earliest instant, not before `at`, at which the next automatic attempt may be made.

    `recent` holds the instants of the automatic attempts, newest last, as many as `remembered` says. A `rescue` (M9) may go
    beyond the limit by one series: a grace does not wait until the dead ends of a burst are forgotten.
    """
    most = policy.automatic_attempts + (len(policy.again) if rescue else 0)
    if policy.automatic_attempts <= 0 or len(recent) < most:
        return at
    return max(at, recent[-most] + policy.automatic_window)


def attempts_remembered(policy: Policy) -> int:
    """How many automatic attempts `rate_limited` has to know."""
    return policy.automatic_attempts + len(policy.again)


def counted(failing: Failing, awake: float) -> float:
    """M6: the counted time of the long phase, with the part that is still running."""
    if failing.counting_from is None:
        return failing.counted
    return failing.counted + max(0.0, awake - failing.counting_from)


def ceiling_reached(failing: Failing, counted: float, policy: Policy) -> bool:
    """M6: the time is over, and since the latest wake or network-up it has been tried in earnest.

    Both conditions keep a weekend in a bag from turning a workload red on Monday morning.
    """
    earnest = failing.fresh_tries >= policy.ceiling_attempts and counted - failing.fresh_counted >= policy.tick_interval
    return counted >= policy.ceiling and earnest


def retry_after(seconds: float | None, policy: Policy) -> float:
    """M12: the server's wish, within reason; 0 where it has none."""
    if seconds is None or seconds != seconds:
        return 0.0
    return min(max(seconds, 0.0), policy.retry_after_cap)


def hot_retry_after(next_attempt_at: float | None, at: float) -> int:
    """M15: the whole seconds that a refused caller is told to wait."""
    if next_attempt_at is None or not isfinite(next_attempt_at):
        return HOT_RETRY_BLIND
    return ceil(min(max(next_attempt_at - at, 1.0), HOT_RETRY_MAX))
