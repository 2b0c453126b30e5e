"""Scheduling the next attempt on network changes, wakes, callers, rejections and *Retry now*. Actions of `machine.TABLE`.

They set `due`, `series` and `trigger` and send nothing; `deadlines.py` combines that with gate, server and limits.
"""

from __future__ import annotations

from dataclasses import replace

from trayapp.core import access_only, deadlines, schedule
from trayapp.core.messages import (
    Accepted,
    Event,
    GateBlocked,
    GateUnblocked,
    HotCall,
    KeyringUp,
    Manual,
    PermissionNeeded,
    Rejected,
    Save,
    SleepSoon,
    Woke,
)
from trayapp.core.model import (
    Phase,
    Series,
    Step,
    Trigger,
    Workload,
)
from trayapp.core.storing import Result, forced_refresh, keyring_up

SURVIVABLE_PAUSE = 1.0  # s of sleep that a connection survives
READ_AFTER_WAKE = 2.0  # s; how long an attempt may still get its answer after a sleep (M9)


def attempt_now(w: Workload, e: Event, trigger: Trigger, series: Series = Series.DUE, delay: float = 0.0) -> Workload:
    """Enter phase `waiting`, with an attempt due in `delay` seconds."""
    return replace(w, phase=Phase.WAITING, due=e.now.at + delay, series=series, trigger=trigger, attempt=None)


def keyring_up_waiting(w: Workload, e: KeyringUp) -> Result:
    """The keyring is usable again: what waited for it is due now."""
    w, effects = keyring_up(w, e)
    if w.keyring is None:
        return w, effects
    return replace(w, keyring=None, keyring_since=None, keyring_tries=0, due=e.now.at), effects


def nudged(w: Workload, e: Event) -> Result:
    """A wake or network change starts the burst (M8).

    A waiting M9 repeat stays in its series, which starts over and is due now: its earlier tries met another network.
    What bounds it is M8's limit in `schedule.rate_limited`.
    """
    w = _reset_series(w, e)
    trigger = Trigger.WAKE if isinstance(e, Woke) else Trigger.NETWORK
    if w.keyring is not None:
        # Once that is usable, the attempt meets this network. A network change says nothing about the keyring. Whoever opened
        # the lid may have unlocked it, and asking costs no token.
        w = _failing_into_burst(w)
        return (replace(w, due=e.now.at) if isinstance(e, Woke) else w), ()
    if w.trigger in (Trigger.MANUAL, Trigger.REJECTED):  # they leave as planned, but DNS may not be back yet
        return _failing_into_burst(w), ()
    if w.series is Series.AGAIN:
        return replace(w, due=e.now.at), ()
    first = schedule.burst(0, w.spec.policy, 0.5) or 0.0
    return attempt_now(w, e, trigger, Series.BURST, first), ()


def _reset_series(w: Workload, e: Event) -> Workload:
    """Start counting tries over: earlier failures say nothing about the present network (M6, M8)."""
    failing = w.failing
    if failing is not None:
        counted = schedule.counted(failing, e.now.awake)
        failing = replace(failing, tries=0, fresh_tries=0, fresh_counted=counted)
    return replace(w, nudged_at=e.now.at, failing=failing)


def nudged_valid(w: Workload, e: Event) -> Result:
    """A nudge never refreshes a usable token early; an overdue refresh joins the burst after settling (M8)."""
    past_due = w.due is not None and w.due <= e.now.at
    return nudged(w, e) if past_due else (replace(w, nudged_at=e.now.at), ())


def woke_valid(w: Workload, e: Woke) -> Result:
    """The same for a wake, as which a set clock counts."""
    w, effects = nudged_valid(w, e)
    w, ending = access_only.clock_read(w, e.now)
    return w, (*effects, *ending)


def woke_refreshing(w: Workload, e: Woke) -> Result:
    """The connection most likely died in sleep: wait for its answer `READ_AFTER_WAKE` longer, then call it ambiguous."""
    w = _burst_if_probing(_reset_series(w, e))
    if w.attempt is None or w.attempt.step is not Step.SENT:
        return w, ()
    began, now = w.attempt.began, e.now
    if (now.at - began.at) - (now.awake - began.awake) < SURVIVABLE_PAUSE:
        return w, ()  # the sleep was called off, so the connection is intact
    return replace(w, attempt=replace(w.attempt, deadline=now.at + READ_AFTER_WAKE)), ()


def network_changed_refreshing(w: Workload, e: Event) -> Result:
    """The network changed during an attempt, which may now fail for a reason that is gone; `retry.plan` accounts for it."""
    return _burst_if_probing(_reset_series(w, e)), ()


def _burst_if_probing(w: Workload) -> Workload:
    """An attempt that still probes leaves over the new network, so if nothing can be sent, the burst goes on from it (M8)."""
    return w if w.attempt is None or w.attempt.step is not Step.PROBE else _failing_into_burst(w)


def _failing_into_burst(w: Workload) -> Workload:
    """If its next attempt sends nothing, it continues in the burst; M9 stands above that."""
    return w if w.series is Series.AGAIN else replace(w, series=Series.BURST)


def gate_blocked(w: Workload, e: GateBlocked) -> Result:
    """Offline, portal or sleep: the ceiling stops counting (M6)."""
    if w.loopback or w.gate_blocked:
        return w, ()
    failing = w.failing
    if failing is not None:
        failing = replace(failing, counted=schedule.counted(failing, e.now.awake), counting_from=None)
    return replace(w, gate_blocked=True, failing=failing), ((Save(),) if failing else ())


def gate_unblocked(w: Workload, e: GateUnblocked) -> Result:
    """The gate is no longer blocked: the ceiling counts again (M6)."""
    failing = w.failing
    if failing is not None and failing.exhausted and failing.counting_from is None:
        failing = replace(failing, counting_from=e.now.awake)
    return replace(w, gate_blocked=False, failing=failing), ()


def sleep_refreshing(w: Workload, e: SleepSoon) -> Result:
    """The answer may be lost in sleep: set the mark (the intent is on disk already) and keep the connection (M9)."""
    sent = w.attempt is not None and w.attempt.step is Step.SENT
    return (replace(w, maybe_spent=True, marked_at=e.now.at) if sent else w), ()


def retry_now(w: Workload, e: Manual) -> Result:
    """*Retry now*: immediate, past gate and Retry-After, at most one per `manual_spacing` (M8). Nothing to try for a login
    that can't be renewed."""
    if deadlines.access_only(w):
        return w, ()
    due = schedule.manual_attempt(w.last_attempt_at, e.now.at, w.spec.policy)
    return replace(w, phase=Phase.WAITING, due=due, trigger=Trigger.MANUAL), ()


def hot_call_valid(w: Workload, e: HotCall) -> Result:
    """A caller asked for more life than the token has: refresh now, but respect `rejected_spacing` (M15)."""
    access = w.access
    if e.validity <= 0.0 or access is None or access.lasts(e.now.at, e.validity):
        return w, ()
    if deadlines.access_only(w):
        return w, ()
    if w.last_attempt_at is not None and e.now.at - w.last_attempt_at < w.spec.policy.rejected_spacing:
        return w, ()
    return replace(w, due=e.now.at, trigger=Trigger.DUE), ()


def rejected_valid(w: Workload, e: Rejected) -> Result:
    """The upstream answered 401: force one refresh, spaced by M8 and, after `strikes` fresh tokens in a row, by M18."""
    if deadlines.access_only(w):
        return access_only.rejected(w, e)
    with_strike = _with_strike(w, e)
    return (w if with_strike is w else forced_refresh(with_strike, e.now)), ()


def rejected_refreshing(w: Workload, e: Rejected) -> Result:
    """A token rejected while its login is still being stored: `enter_valid` forces the next refresh."""
    return _with_strike(w, e), ()


def _with_strike(w: Workload, e: Rejected) -> Workload:
    """The current token marked as rejected, and counted if it was fresh; `w` itself if another token was rejected."""
    access = w.access
    if access is None or access.serial != e.serial or access.rejected:
        return w
    strikes = w.strikes + 1 if e.now.at - access.obtained_at < w.spec.policy.fresh else 0
    return replace(w, strikes=strikes, access=replace(access, rejected=True))


def rejected(w: Workload, e: Rejected) -> Result:
    """Stop serving the rejected token; the next attempt is already decided."""
    if w.access is None or w.access.serial != e.serial:
        return w, ()
    return replace(w, access=replace(w.access, rejected=True)), ()


def permission_needed(w: Workload, e: PermissionNeeded) -> Result:
    """The upstream wants more than this token grants: the login stays as it is, and a person is told (RULES.md section 7)."""
    if w.access is None or w.access.serial != e.serial:
        return w, ()
    needs = e.needs if w.needs is None else w.needs.with_more(e.needs)
    return (w if needs == w.needs else replace(w, needs=needs)), ()


def accepted(w: Workload, e: Accepted) -> Result:
    """Any 2xx from the upstream clears the strikes (M18)."""
    return (replace(w, strikes=0, rejections=()) if w.strikes else w), ()
