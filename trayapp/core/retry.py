"""Retry planning: which of the rules M9, M8, M2 and M4 decides the delay after a failed attempt.

`plan` asks one rule after the other, strongest first; each returns the next delay or passes. The gate (M10) and the
server's Retry-After (M12) stand above all of them and are applied in `deadlines.py`, where a delay becomes an instant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trayapp.core import schedule
from trayapp.core.model import Failing, Moment, Series, Trigger, Workload
from trayapp.core.outcomes import Ambiguous, NotSent, Outcome, ServerBusy
from trayapp.core.quirks import grace_of, provider_of

TLS_SUSPECT = 15.0  # s after a nudge; M8: before, a VPN that comes up, or a resolver that lies, breaks handshakes
LAST_MINUTE = 60.0  # s before expiry; M9: where a provider gives no grace, a usable token is used up first
GRACE_GUESSED = 60.0  # s; where none is known (M9)
GRACE_FRACTION = 0.1  # of a known grace, between two attempts inside it


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """The next step of an outage. `delay` is seconds from now; None: no attempt by time (M7)."""

    series: Series
    delay: float | None
    trigger: Trigger
    failing: Failing


def plan(w: Workload, outcome: Outcome, now: Moment, jitter: float) -> RetryPlan:
    """The next attempt after an outcome that is neither a token nor a verdict. `jitter` is in [0, 1)."""
    failing = _with_failure_counted(w, now)
    return (
        _same_token(w, failing, outcome, now, jitter)
        or _portal(w, failing, outcome, now)
        or _burst(w, failing, outcome, jitter)
        or _short(w, failing, outcome, now, jitter)
        or _long(w, failing, now, jitter, by_gateway=isinstance(outcome, ServerBusy) and outcome.maybe_spent)
    )


def enter_long_phase(w: Workload, failing: Failing, now: Moment) -> Failing:
    """Begin the long phase; the ceiling counts from here (M6)."""
    if failing.exhausted:
        return failing
    return replace(
        failing,
        exhausted=True,
        retrying_since=now.wall,
        counting_from=None if w.gate_blocked else now.awake,
        fresh_counted=0.0,
    )


def _with_failure_counted(w: Workload, now: Moment) -> Failing:
    """The outage with this failure counted. Decides the ceiling, as only a failed attempt may (M6).

    The attempt must have been made while the gate was open: what fails offline says nothing about the login.
    """
    failing = w.failing or Failing(since=now)
    failing = replace(failing, total=failing.total + 1, fresh_tries=failing.fresh_tries + 1)
    counted = schedule.counted(failing, now.awake)
    if failing.exhausted and not w.gate_blocked and schedule.ceiling_reached(failing, counted, w.spec.policy):
        return replace(failing, gave_up=True)
    return failing


def _tries_in(w: Workload, series: Series, failing: Failing) -> int:
    """Earlier failures in this series."""
    return failing.tries if w.series is series else 0


def _same_token(w: Workload, failing: Failing, outcome: Outcome, now: Moment, jitter: float) -> RetryPlan | None:
    """Send the same token again within the server's grace (M9), or once after a 502 or 504 (classification row 7)."""
    policy, tries = w.spec.policy, _tries_in(w, Series.AGAIN, failing)
    delay: float | None
    if isinstance(outcome, ServerBusy):
        if not outcome.maybe_spent or tries or w.series is Series.SHORT:  # within M2 a repeat would start M2 over
            return None
        delay = schedule.spread(policy.gateway_repeat, policy.retry_jitter, jitter)
    elif isinstance(outcome, Ambiguous) or w.maybe_spent:
        delay = _until_last_minute(w, now) if tries == 0 else None
        delay = schedule.same_token_retry(tries, policy) if delay is None else delay
    else:
        return None
    if delay is None:  # unanswered at the end of the series, which replaced the short retry
        return _long(w, failing, now, jitter)
    return RetryPlan(Series.AGAIN, delay, Trigger.SHORT_RETRY, replace(failing, tries=tries + 1))


def _until_last_minute(w: Workload, now: Moment) -> float | None:
    """Seconds until `LAST_MINUTE` before a usable token expires, where the provider is known to give no grace (M9).

    There a second use of the refresh token ends the login, so the access token is used up first.
    """
    if w.login is None or grace_of(provider_of(w.login.token_endpoint)) != 0.0:
        return None
    if w.access is None or w.access.rejected or w.access.expires_at is None:
        return None
    left = w.access.expires_at - LAST_MINUTE - now.at
    return left if left > 0.0 else None


def _pause_within_grace(w: Workload, now: Moment, *, by_gateway: bool = False) -> float | None:
    """M9 after its series has ended: seconds between attempts while a known grace lasts; the tick could come too late.

    `by_gateway`: a 502 or 504 has put the token in doubt. Its series is a single repeat, so a grace is guessed.
    """
    grace = None if w.login is None else grace_of(provider_of(w.login.token_endpoint))
    if grace is None and by_gateway:
        grace = GRACE_GUESSED
    if not w.maybe_spent or w.marked_at is None or not grace:
        return None
    pause = max(grace * GRACE_FRACTION, w.spec.policy.again[-1])
    return pause if now.at + pause <= w.marked_at + grace else None


def _portal(w: Workload, failing: Failing, outcome: Outcome, now: Moment) -> RetryPlan | None:
    """A web page, redirect or TLS failure soon after a nudge looks like a captive portal (M8): try every minute."""
    policy = w.spec.policy
    since = float("inf") if w.nudged_at is None else now.at - w.nudged_at
    suspicious = (isinstance(outcome, ServerBusy) and outcome.portal) or (
        isinstance(outcome, NotSent) and outcome.problem.kind == "tls" and since >= TLS_SUSPECT
    )
    if not suspicious or since >= policy.portal_window:
        return None
    tries = _tries_in(w, Series.PORTAL, failing) + 1
    failing = replace(enter_long_phase(w, failing, now), tries=tries)
    return RetryPlan(Series.PORTAL, policy.portal_interval, Trigger.TICK, failing)


def _burst(w: Workload, failing: Failing, outcome: Outcome, jitter: float) -> RetryPlan | None:
    """The burst after a nudge, until a server answers (M8)."""
    if not isinstance(outcome, NotSent):
        return None
    if w.attempt is not None and w.nudged_at is not None and w.nudged_at > w.attempt.began.at:
        return RetryPlan(
            Series.BURST, schedule.burst(0, w.spec.policy, jitter), Trigger.NETWORK, failing
        )  # the attempt began before the nudge
    if w.series is not Series.BURST:
        return None
    tries = failing.tries + 1
    delay = schedule.burst(tries, w.spec.policy, jitter)
    if delay is None:
        return None
    trigger = w.trigger if w.trigger is Trigger.WAKE else Trigger.NETWORK
    return RetryPlan(Series.BURST, delay, trigger, replace(failing, tries=tries))


def _short(w: Workload, failing: Failing, outcome: Outcome, now: Moment, jitter: float) -> RetryPlan | None:
    """The short retry (M2). An unanswered burst has replaced it; a burst that met a busy server begins it."""
    policy = w.spec.policy
    last_of_burst = w.series is Series.BURST and failing.tries + 1 >= len(policy.burst)
    unanswered = last_of_burst and isinstance(outcome, NotSent)
    if failing.exhausted or unanswered:
        return None
    tries = _tries_in(w, Series.SHORT, failing) + 1
    delay = schedule.short_retry(tries, policy, jitter)
    if delay is None or now.awake - failing.since.awake + delay > policy.max_elapsed_time:
        return None
    return RetryPlan(Series.SHORT, delay, Trigger.SHORT_RETRY, replace(failing, tries=tries))


def _long(w: Workload, failing: Failing, now: Moment, jitter: float, *, by_gateway: bool = False) -> RetryPlan:
    """The long phase: a tick (M4), sooner while a token is usable (M3), no attempt by time after the ceiling (M7)."""
    policy = w.spec.policy
    tries = _tries_in(w, Series.TICK, failing) + 1
    failing = replace(enter_long_phase(w, failing, now), tries=tries)
    delay: float | None = schedule.tick(policy, jitter)
    within_grace = _pause_within_grace(w, now, by_gateway=by_gateway)
    ends = w.access.ends_at(policy.usable_margin) if w.access is not None and not w.access.rejected else None
    if failing.gave_up:
        delay = None
    elif ends is not None and now.at < ends:
        delay = schedule.long_tick_with_token(policy, ends - now.at)
    elif within_grace is not None:
        delay = min(schedule.tick(policy, jitter), within_grace)
    return RetryPlan(Series.TICK, delay, Trigger.TICK, failing)
