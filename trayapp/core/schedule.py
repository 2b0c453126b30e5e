"""The arithmetic of the retry rules: delays and due times as pure functions of numbers.

Nothing here knows a phase or an event; `retry.py` and `deadlines.py` decide which rule applies. All times are seconds;
instants are on the clock `at` unless the name says otherwise. `jitter` is a random number in [0, 1).
"""

from __future__ import annotations

from math import ceil, isfinite, log

from trayapp.core.model import Failing, Policy

HOT_RETRY_BLIND = 30  # s; Retry-After for callers while the next attempt can't be known (M15)
HOT_RETRY_MAX = 3600  # s; M15
SHORT_RETRY_COUNTED = 1000  # tries that are added up at most; only an absurd configuration has more
TICK_FLOOR = 10.0  # s; M3: shortest delay between attempts while a token is usable


def spread(delay: float, fraction: float, jitter: float) -> float:
    """`delay` moved by up to `fraction` of itself either way, so that many clients don't retry in step."""
    return delay * (1.0 + fraction * (2.0 * jitter - 1.0))


def manual_attempt(last_attempt_at: float | None, at: float, policy: Policy) -> float:
    """When a *Retry now* at `at` begins its attempt: immediately, at most one per `manual_spacing` (M8)."""
    return at if last_attempt_at is None else max(at, last_attempt_at + policy.manual_spacing)


def refresh_due(obtained_at: float, expires_at: float | None, policy: Policy) -> float | None:
    """When to refresh a token ahead of its expiry (M1); None if no expiry is known."""
    if expires_at is None:
        return None
    lifetime = min(max(expires_at - obtained_at, 0.0), policy.lifetime_cap)
    ahead = min(policy.refresh_ahead_max, policy.refresh_ahead_fraction * lifetime)
    return obtained_at + max(lifetime - ahead, policy.refresh_spacing)


def short_retry(tries: int, policy: Policy, jitter: float) -> float | None:
    """Delay of the short retry after the `tries`-th failed try (M2); None once the tries are used up.

    The attempt that failed first is try 1, so 5 tries have 4 waits between them.
    """
    if tries >= policy.max_tries:
        return None
    return spread(_grown_interval(max(tries, 1) - 1, policy), policy.retry_jitter, jitter)


def short_retry_left(tries: int, elapsed: float, policy: Policy) -> float:
    """Seconds that the short retry still has after the `tries`-th failed try, its waits taken without jitter (M2).

    `elapsed` is the outage's awake time so far.
    """
    left, most = 0.0, max(0.0, policy.max_elapsed_time - elapsed)
    for each in range(tries, min(policy.max_tries, tries + SHORT_RETRY_COUNTED)):
        if left >= most:
            break
        left += short_retry(each, policy, 0.5) or 0.0
    return min(left, most)


def _grown_interval(steps: int, policy: Policy) -> float:
    """The first interval grown `steps` times, capped at the largest; computed so that the power can't overflow."""
    first, largest = policy.initial_retry_interval, policy.max_retry_interval
    if first >= largest:
        return largest
    if policy.retry_factor <= 1.0:
        return first
    if steps >= log(largest / first) / log(policy.retry_factor):
        return largest
    return float(first * policy.retry_factor**steps)


def tick(policy: Policy, jitter: float) -> float:
    """Delay between two attempts of the long phase (M4)."""
    return spread(policy.tick_interval, policy.tick_jitter, jitter)


def long_tick_with_token(policy: Policy, time_to_expiry: float) -> float:
    """The same while a token is usable: one last attempt is made before it expires (M3)."""
    return max(TICK_FLOOR, min(policy.tick_interval, time_to_expiry))


def burst(tries: int, policy: Policy, jitter: float) -> float | None:
    """Delay before try number `tries` (from 0) of the burst (M8); None after its end."""
    if not 0 <= tries < len(policy.burst):
        return None
    return spread(policy.burst[tries], policy.burst_jitter, jitter)


def same_token_retry(tries: int, policy: Policy) -> float | None:
    """Delay before repeat number `tries` (from 0) with the same token (M9); None after the end of the series.

    No jitter: the server's grace is short, and only one client holds this token.
    """
    return policy.again[tries] if 0 <= tries < len(policy.again) else None


def rate_limited(recent: tuple[float, ...], at: float, policy: Policy, *, rescue: bool = False) -> float:
    """The earliest instant, not before `at`, that M8's limit allows for the next automatic attempt.

    `recent` holds the instants of past automatic attempts, newest last, as many as `attempts_remembered` says. A
    `rescue` (M9) may exceed the limit by one series: the server's grace doesn't wait until a failed burst is forgotten.
    """
    most = policy.automatic_attempts + (len(policy.again) if rescue else 0)
    if policy.automatic_attempts <= 0 or len(recent) < most:
        return at
    return max(at, recent[-most] + policy.automatic_window)


def attempts_remembered(policy: Policy) -> int:
    """How many automatic attempts `rate_limited` needs to know."""
    return policy.automatic_attempts + len(policy.again)


def counted(failing: Failing, awake: float) -> float:
    """Seconds of the long phase counted so far, including the running part (M6)."""
    if failing.counting_from is None:
        return failing.counted
    return failing.counted + max(0.0, awake - failing.counting_from)


def ceiling_reached(failing: Failing, counted: float, policy: Policy) -> bool:
    """Whether the ceiling has passed (M6): enough counted time, and enough attempts and time since the latest nudge.

    The second condition keeps a weekend in a bag from turning a workload red on Monday morning.
    """
    retried_enough = (
        failing.fresh_tries >= policy.ceiling_attempts and counted - failing.fresh_counted >= policy.tick_interval
    )
    return counted >= policy.ceiling and retried_enough


def retry_after(seconds: float | None, policy: Policy) -> float:
    """The server's Retry-After in seconds, capped (M12); 0 if it sent none."""
    if seconds is None or seconds != seconds:
        return 0.0
    return min(max(seconds, 0.0), policy.retry_after_cap)


def hot_retry_after(next_attempt_at: float | None, at: float) -> int:
    """Retry-After for a caller that got no token, in whole seconds (M15)."""
    if next_attempt_at is None or not isfinite(next_attempt_at):
        return HOT_RETRY_BLIND
    return ceil(min(max(next_attempt_at - at, 1.0), HOT_RETRY_MAX))
