"""The state machine: one table of (phase, event) → action, through which every change of phase goes.

`TABLE` has a row for every pair. `nothing` is an action too and is written out, so a missing row is a bug (a test
counts them). An action is a pure function of workload and event; it returns the next workload and the effects it wants.
It reads no clock and draws no random number: both come with the event. The actions live in `loading`, `waiting`,
`attempts`, `storing` and `requests`, by subject; the rules they implement are RULES.md section 3. They may rely on this:

* `attempt` is set exactly in phase `refreshing`; its steps are probe → sent → storing.
* A login is replaced only by a newer one: by a rotation of the token that was sent, by a sign-in, or by a copy with
  a renewed client secret. It is dropped only by `Discard` and `Forget`, which only a person requests.
* `due` is the instant the phase waits for. `deadlines.py` combines it with gate, server and limits, and the engine
  sends `Go` when all of them agree. So there are no timers: nothing is cancelled, only overtaken.
* What must not interrupt an attempt (pause, removal, shutdown, a changed identity) is noted in `after` and done by
  `storing.run_deferred` once the attempt has ended and its login is stored (M11, M17).
"""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.core import access_only, attempts, loading, requests, schedule, storing, waiting
from trayapp.core.messages import (
    Accepted,
    ClientRenewed,
    Configured,
    Event,
    Finished,
    GateBlocked,
    GateUnblocked,
    Go,
    HotCall,
    KeyringDown,
    KeyringUp,
    Load,
    Loaded,
    LoginMissing,
    Manual,
    NetworkUp,
    NotStored,
    Pause,
    PermissionNeeded,
    ProbeOk,
    Rejected,
    Remove,
    Resume,
    Shutdown,
    SignedIn,
    SignInEnded,
    SignInStarted,
    SignOut,
    SleepSoon,
    Stored,
    Time,
    Unreachable,
    Woke,
)
from trayapp.core.model import (
    Moment,
    Phase,
    Saved,
    Spec,
    Workload,
)
from trayapp.core.storing import Result


def begin(spec: Spec) -> Result:
    """The initial state of a configured workload: its login has to be read first."""
    return Workload(spec=spec), (Load(),)


def step(w: Workload, event: Event) -> Result:
    """The next workload and the effects it wants. Pure, and the only way a workload ever changes."""
    return TABLE[w.phase][type(event)](w, event)


def saved(w: Workload, now: Moment) -> Saved:
    """What state.db is to keep. Open intents aren't part of it: the journal records those separately."""
    failing = w.failing
    # A login that only memory holds is gone after a crash: what was refused before it must not be sent again then.
    verdict = w.replaced if w.unsaved and w.replaced is not None and not w.combination else w
    return Saved(
        lineage=w.login.lineage if w.login else "",
        retrying_since=failing.retrying_since if failing else None,
        counted=schedule.counted(failing, now.awake) if failing else 0.0,
        gave_up=failing.gave_up if failing else False,
        signed_out=verdict.signed_out,
        combination=verdict.combination,
        refusal=verdict.refusal,
        original=verdict.original,
        lost_rotations=w.lost_rotations,
        last_error=w.last_error,
        last_refreshed_at=w.last_refreshed_at,
        paused=w.phase is Phase.PAUSED,
    )


def nothing(w: Workload, e: Event) -> Result:
    """The explicit no-op: this event changes nothing in this phase."""
    return w, ()


# --- the table -------------------------------------------------------------------------------------------------------

_EVERYWHERE: Mapping[type[Event], requests.Action] = {
    Accepted: waiting.accepted,
    PermissionNeeded: waiting.permission_needed,
    GateBlocked: waiting.gate_blocked,
    GateUnblocked: waiting.gate_unblocked,
    SignInStarted: requests.sign_in_started,
    SignInEnded: requests.sign_in_ended,
    SignedIn: requests.signed_in,
    Stored: storing.write_ended,
    NotStored: storing.write_ended,
    LoginMissing: storing.login_missing,
    Pause: requests.pause,
    SignOut: requests.sign_out,
    Remove: requests.remove,
    Shutdown: requests.shutdown,
    Configured: requests.configured,
    Finished: attempts.late,
    ClientRenewed: nothing,  # told again once the login works: a token in doubt must stay recognisable
    ProbeOk: nothing,  # belongs to an attempt that was overtaken
    HotCall: nothing,  # answered from the view (M15)
    SleepSoon: nothing,  # the gate holds attempts back (M10)
    Resume: nothing,  # not paused
    Unreachable: nothing,  # no attempt is planned, or one is under way
}

TABLE: Mapping[Phase, Mapping[type[Event], requests.Action]] = {
    Phase.LOADING: {
        **_EVERYWHERE,
        Loaded: loading.loaded,
        Stored: loading.stored_loading,
        KeyringDown: loading.keyring_down_loading,
        KeyringUp: loading.read_again,
        Go: loading.read_again,
        Rejected: nothing,
        NetworkUp: loading.read_if_failed,
        Woke: loading.read_if_failed,
        Manual: loading.read_again,
        Time: loading.read_if_due,
    },
    Phase.VALID: {
        **_EVERYWHERE,
        ClientRenewed: requests.client_renewed,
        Loaded: loading.loaded_late,
        KeyringDown: loading.keyring_down_unsaved,
        KeyringUp: storing.keyring_up,
        Go: attempts.begin,
        Rejected: waiting.rejected_valid,
        NetworkUp: waiting.nudged_valid,
        Woke: waiting.woke_valid,
        Manual: waiting.retry_now,
        HotCall: waiting.hot_call_valid,
        Time: access_only.time_valid,
    },
    Phase.REFRESHING: {
        **_EVERYWHERE,
        Loaded: loading.loaded_late,
        KeyringDown: attempts.probe_failed,
        KeyringUp: attempts.probe_again,
        Go: nothing,  # impossible: single flight (M11)
        ProbeOk: attempts.send,
        Finished: attempts.finished,
        Stored: storing.write_ended_refreshing,
        NotStored: storing.write_ended_refreshing,
        Rejected: waiting.rejected_refreshing,
        NetworkUp: waiting.network_changed_refreshing,
        Woke: waiting.woke_refreshing,
        SleepSoon: waiting.sleep_refreshing,
        Manual: attempts.probe_again,  # past the probe it joins the attempt in flight
        Time: attempts.overdue,
        Pause: requests.defer("pause"),
        Resume: requests.resume_after,
        SignOut: requests.defer("sign_out"),
        Remove: requests.defer("remove"),
        Shutdown: requests.defer("shutdown"),
        Configured: requests.configured_refreshing,
    },
    Phase.WAITING: {
        **_EVERYWHERE,
        Loaded: loading.loaded_late,
        KeyringDown: loading.keyring_down_unsaved,
        KeyringUp: waiting.keyring_up_waiting,
        Go: attempts.begin,
        Rejected: waiting.rejected,
        NetworkUp: waiting.nudged,
        Woke: waiting.nudged,
        Unreachable: attempts.unreachable,
        Manual: waiting.retry_now,
        Time: storing.write_if_unsaved,
    },
    Phase.SIGNED_OUT: {
        **_EVERYWHERE,
        Loaded: loading.loaded_again,
        KeyringDown: loading.keyring_down_signed_out,
        KeyringUp: storing.keyring_up,
        Go: attempts.recheck,
        Rejected: waiting.rejected,
        NetworkUp: nothing,
        Woke: loading.woke_signed_out,
        Manual: loading.retry_signed_out,
        Time: storing.write_if_unsaved,
    },
    Phase.PAUSED: {
        **_EVERYWHERE,
        Loaded: loading.loaded_late,
        KeyringDown: loading.keyring_down_unsaved,
        KeyringUp: storing.keyring_up,
        Go: nothing,
        Rejected: waiting.rejected,
        NetworkUp: nothing,
        Woke: nothing,
        Manual: nothing,  # the command line says "paused"
        Time: storing.write_if_unsaved,
        Pause: nothing,
        Resume: requests.resume,
    },
    Phase.BROKEN: {
        **_EVERYWHERE,
        Loaded: loading.loaded_late,
        KeyringDown: loading.keyring_down_unsaved,
        KeyringUp: storing.keyring_up,
        Go: nothing,
        Rejected: waiting.rejected,
        NetworkUp: nothing,
        Woke: nothing,
        Manual: loading.reread_configuration,
        Time: storing.write_if_unsaved,
        Configured: requests.configured_broken,
    },
}
