"""Deadlines derived from state, instead of timers: when the next attempt may leave, when the engine must look again.

The gate (M10), Retry-After (M12) and M8's limit are applied here, on top of the delays of `retry.py`: an attempt leaves
at the latest instant any of them asks for. All instants are seconds on the clock `at`.
"""

from __future__ import annotations

from trayapp.core import schedule
from trayapp.core.gate import Gate
from trayapp.core.model import Login, Phase, Policy, Series, Step, Trigger, Workload
from trayapp.core.quirks import grace_of, provider_of

GRACE_MAX = 600.0  # s; M10, M14: how long a token in doubt is retried whatever is in the way (Atlassian's grace)
FIRST_IN_DOUBT = 10.0  # s after the gate closed, or after what put a token in doubt, until that is tried anyway
AGAIN_IN_DOUBT = 60.0  # s until the next such attempt; rare enough for M8's limit


def ready_at(w: Workload) -> float | None:
    """When the next attempt is ready to leave, the gate aside; None: not by time."""
    if w.phase not in (Phase.VALID, Phase.WAITING, Phase.SIGNED_OUT) or w.due is None or w.after:
        return None
    if by_hand(w):
        return w.due
    if w.phase is Phase.SIGNED_OUT and w.signing_in:  # M7
        return None
    rescue = w.series is Series.AGAIN
    return schedule.rate_limited(w.recent, max(w.due, w.not_before), w.spec.policy, rescue=rescue)


def opens_at(w: Workload, gate: Gate) -> float | None:
    """When the next attempt may begin; None: only an event can start one.

    For a workload between attempts; for an attempt that has begun, see `open_at`.
    """
    ready = ready_at(w)
    if ready is None or (w.phase is Phase.SIGNED_OUT and gate.blocked(w.loopback) and not by_hand(w)):
        return None
    return open_at(w, gate, ready, manual=by_hand(w))


def by_hand(w: Workload) -> bool:
    """Whether the next attempt is a person's *Retry now*."""
    return w.trigger is Trigger.MANUAL and w.phase in (Phase.WAITING, Phase.SIGNED_OUT)


def open_at(w: Workload, gate: Gate, at: float, *, manual: bool) -> float | None:
    """When an attempt that is ready `at` may pass the gate (M10); None: only an event can open it.

    Offline and portal hints can be wrong, so even then one attempt per tick is made; any answer opens the gate.
    """
    if gate.sleeping:
        return None
    if manual:
        return at
    if gate.blocked(w.loopback):
        return max(at, despite_gate_at(w, gate), gate.settles_at() or 0.0)
    return gate.opens_at(at, w.loopback)


def despite_gate_at(w: Workload, gate: Gate) -> float:
    """When an attempt is made although the gate is blocked (M10): once per tick, a token in doubt more often.

    If there really is no network, nothing is sent and nothing lost; if the hint is wrong, this saves a server's grace.
    """
    closed, last = gate.closed_since or 0.0, w.last_attempt_at or 0.0
    since, pause = max(closed, last), w.spec.policy.tick_interval
    if may_be_rescued(w, since):
        # An attempt that put it in doubt was sent, so there is a network.
        unsent = closed < last and (w.marked_at or 0.0) < last
        pause = min(pause, AGAIN_IN_DOUBT if unsent else FIRST_IN_DOUBT)
    return since + pause


def may_be_rescued(w: Workload, at: float) -> bool:
    """Whether its token is in doubt and some server's grace could last (M9)."""
    return w.maybe_spent and w.marked_at is not None and at < w.marked_at + GRACE_MAX


def attempt_limit(login: Login, policy: Policy) -> float:
    """Seconds that one attempt may take in all (M9): half of a known short grace, so that the repeat falls inside it."""
    grace = grace_of(provider_of(login.token_endpoint))
    if not grace:
        return policy.attempt_limit
    return min(policy.attempt_limit, max(grace / 2.0, 2.0 * policy.connect_limit))  # a slow connection needs its time


def access_only(w: Workload) -> bool:
    """Whether it has a login that can't be renewed: its server gave no refresh token (RULES.md section 6)."""
    return w.login is not None and not w.login.renewable


def login_ends_at(w: Workload) -> float | None:
    """When a login that can't be renewed stops being served; None: never by time alone."""
    if w.phase is not Phase.VALID or w.after or not access_only(w) or w.access is None:
        return None
    return w.access.ends_at(w.spec.policy.usable_margin)


def next_deadline(w: Workload, gate: Gate) -> float | None:
    """When the machine next needs `Go` or `Time`; None: it waits for another event."""
    instants = [opens_at(w, gate), login_ends_at(w)]
    if w.phase is Phase.LOADING:  # what is unsaved is written after the slots have been read
        instants.append(w.due)
    elif w.unsaved and w.phase is not Phase.REFRESHING:  # nor while an attempt is under way
        instants.append(w.store_at)
    if w.attempt is not None and w.attempt.step is Step.SENT:
        instants.append(w.attempt.deadline)
    return min((i for i in instants if i is not None), default=None)
