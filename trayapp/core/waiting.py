"""When the next attempt is wanted: actions of `machine.TABLE` on network, wake, callers, upstream and *Retry now*.

They set `due`, `series` and `trigger` and send nothing; `deadlines.py` holds that against gate, server and limits.
"""

from __future__ import annotations

from dataclasses import replace

from trayapp.core import schedule
from trayapp.core.messages import (
    Accepted,
    Event,
    GateBlocked,
    GateUnblocked,
    HotCall,
    KeyringUp,
    Manual,
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
from trayapp.core.storing import Result, forced_refresh, write_if_unsaved

SURVIVABLE_PAUSE = 1.0  # s; a connection outlives a machine that stood still for so long
READ_AFTER_WAKE = 2.0  # s; how long an attempt that slept may still hear its answer


def attempt_now(w: Workload, e: Event, trigger: Trigger, series: Series = Series.DUE, delay: float = 0.0) -> Workload:
    """Phase `waiting`, with its attempt due in `delay` seconds."""
    return replace(w, phase=Phase.WAITING, due=e.now.at + delay, series=series, trigger=trigger, attempt=None)


def keyring_up_waiting(w: Workload, e: KeyringUp) -> Result:
    """Unlocked: what waited for it is due at once."""
    w, effects = write_if_unsaved(w, e)
    if w.keyring is None:
        return w, effects
    return replace(w, keyring=None, keyring_since=None, keyring_tries=0, due=e.now.at), effects


def nudged(w: Workload, e: Event) -> Result:
    """M8: a network change or a wake starts the burst. The same-token series of M9 stays what it is, but begins anew and
    is due: its earlier tries met another network. What bounds it is the limit in `schedule.rate_limited`."""
    w = _reset_series(w, e)
    trigger = Trigger.WAKE if isinstance(e, Woke) else Trigger.NETWORK
    if w.keyring is not None and isinstance(e, Woke):  # whoever opened the lid has unlocked it: asking costs no token
        return replace(w, due=e.now.at), ()
    if w.keyring is not None:
        return w, ()  # that has its own reason to wait
    if w.trigger in (Trigger.MANUAL, Trigger.REJECTED):  # these too; but names may not be looked up yet when they leave
        return (w if w.series is Series.AGAIN else replace(w, series=Series.BURST)), ()
    if w.series is Series.AGAIN:
        return replace(w, due=e.now.at), ()
    first = schedule.burst(0, w.spec.policy, 0.5) or 0.0
    return attempt_now(w, e, trigger, Series.BURST, first), ()


def _reset_series(w: Workload, e: Event) -> Workload:
    """M6, M8: tries are counted from here; what failed before says nothing about the network that is there now."""
    failing = w.failing
    if failing is not None:
        counted = schedule.counted(failing, e.now.awake)
        failing = replace(failing, tries=0, fresh_tries=0, fresh_counted=counted)
    return replace(w, nudged_at=e.now.at, failing=failing)


def nudged_valid(w: Workload, e: Event) -> Result:
    """M8: a usable token is never refreshed early; one that is past due has its attempt after settling."""
    past_due = w.due is not None and w.due <= e.now.at
    return nudged(w, e) if past_due else (replace(w, nudged_at=e.now.at), ())


def woke_refreshing(w: Workload, e: Woke) -> Result:
    """The connection most likely died in sleep: read on for two seconds, then the answer is lost."""
    w = _reset_series(w, e)
    if w.attempt is None or w.attempt.step is not Step.SENT:
        return w, ()
    began, now = w.attempt.began, e.now
    if (now.at - began.at) - (now.awake - began.awake) < SURVIVABLE_PAUSE:
        return w, ()  # the sleep was called off: its connection is as good as before
    return replace(w, attempt=replace(w.attempt, deadline=now.at + READ_AFTER_WAKE)), ()


def network_changed_refreshing(w: Workload, e: Event) -> Result:
    """The network changed: an attempt that is in flight may fail for a reason that is gone; `retry.plan` sees it."""
    return _reset_series(w, e), ()


def gate_blocked(w: Workload, e: GateBlocked) -> Result:
    """M6: nothing can be attempted, so nothing counts."""
    if w.loopback or w.gate_blocked:
        return w, ()
    failing = w.failing
    if failing is not None:
        failing = replace(failing, counted=schedule.counted(failing, e.now.awake), counting_from=None)
    return replace(w, gate_blocked=True, failing=failing), ((Save(),) if failing else ())


def gate_unblocked(w: Workload, e: GateUnblocked) -> Result:
    """M6: the count goes on."""
    failing = w.failing
    if failing is not None and failing.exhausted and failing.counting_from is None:
        failing = replace(failing, counting_from=e.now.awake)
    return replace(w, gate_blocked=False, failing=failing), ()


def sleep_refreshing(w: Workload, e: SleepSoon) -> Result:
    """The answer may be lost: the mark is set now (the intent is on disk already), the connection is kept."""
    sent = w.attempt is not None and w.attempt.step is Step.SENT
    return (replace(w, maybe_spent=True, marked_at=e.now.at) if sent else w), ()


def retry_now(w: Workload, e: Manual) -> Result:
    """M8: at once, past M12 and the gate, at most one a second."""
    spaced = (w.last_attempt_at if w.last_attempt_at is not None else float("-inf")) + w.spec.policy.manual_spacing
    return replace(w, phase=Phase.WAITING, due=max(e.now.at, spaced), trigger=Trigger.MANUAL, not_before=0.0), ()


def hot_call_valid(w: Workload, e: HotCall) -> Result:
    """A caller needs more life than the token has left: refresh it early, within the spacing of a forced refresh."""
    access = w.access
    if e.validity <= 0.0 or access is None or access.lasts(e.now.at, e.validity):
        return w, ()
    if w.last_attempt_at is not None and e.now.at - w.last_attempt_at < w.spec.policy.rejected_spacing:
        return w, ()
    return replace(w, due=e.now.at, trigger=Trigger.DUE), ()


def rejected_valid(w: Workload, e: Rejected) -> Result:
    """M8 and M18: one forced refresh; after three fresh tokens in a row the upstream itself is the trouble."""
    with_strike = _with_strike(w, e)
    return (w if with_strike is w else forced_refresh(with_strike, e.now)), ()


def rejected_refreshing(w: Workload, e: Rejected) -> Result:
    """A new token is served before its login is stored: if it is rejected by then, `valid` forces the next refresh."""
    return _with_strike(w, e), ()


def _with_strike(w: Workload, e: Rejected) -> Workload:
    access = w.access
    if access is None or access.serial != e.serial or access.rejected:
        return w
    strikes = w.strikes + 1 if e.now.at - access.obtained_at < w.spec.policy.fresh else 0
    return replace(w, strikes=strikes, access=replace(access, rejected=True))


def rejected(w: Workload, e: Rejected) -> Result:
    """The token in hand is of no use any more; what comes next is decided already."""
    if w.access is None or w.access.serial != e.serial:
        return w, ()
    return replace(w, access=replace(w.access, rejected=True)), ()


def accepted(w: Workload, e: Accepted) -> Result:
    """M18: any 2xx clears the strikes."""
    return (replace(w, strikes=0) if w.strikes else w), ()
