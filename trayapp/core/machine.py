"""Everything that changes a phase lives in this file.

`TABLE` holds one row for each (phase, event): the action that answers it. `nothing` is an answer too and is written
out, so that every pair is decided and a missing row is a bug (a test counts them). An action is a function of workload
and event that returns the next workload and the effects that are wanted; it asks for no clock and no dice. What an
action may rely on:

* `attempt` is set exactly in phase `refreshing`; its steps are probe → sent → storing.
* A login is only replaced by a newer one: by a rotation of the token that was sent, or by a sign-in. It is dropped by
  `Discard` and `Forget` alone, which only a person asks for.
* `due` is the instant the phase waits for; `deadlines.py` holds it against gate, server and limits, and the engine
  says `Go` when all agree. So nothing here is ever cancelled, only overtaken.
* What must not interrupt an attempt (pause, removal, shutdown, a changed identity) is noted in `after` and done by
  `_leave` when the attempt has ended and its login is stored (M11, M17).

How an attempt ends is the longest part and stands beside this table, in `attempts.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from trayapp.core import attempts, schedule
from trayapp.core.attempts import Result, later_write, leave, store, valid
from trayapp.core.messages import (
    Abandon,
    Accepted,
    Configured,
    Discard,
    Done,
    Effect,
    Event,
    Finished,
    Forget,
    Go,
    HotCall,
    Impeded,
    KeyringDown,
    KeyringUp,
    Load,
    Loaded,
    Manual,
    NetworkUp,
    Note,
    NotStored,
    Pause,
    ProbeOk,
    ReadConfiguration,
    Rejected,
    Remove,
    Resume,
    Save,
    Shutdown,
    SignedIn,
    SignInEnded,
    SignInStarted,
    SignOut,
    SleepSoon,
    Stored,
    Time,
    Unimpeded,
    Woke,
)
from trayapp.core.model import (
    Failing,
    Login,
    Moment,
    Phase,
    Saved,
    Series,
    SignedOut,
    Spec,
    Step,
    Trigger,
    Workload,
)

Action: TypeAlias = Callable[[Workload, Any], Result]


def begin(spec: Spec) -> Result:
    """A workload that has just been configured: its login is read first."""
    return Workload(spec=spec), (Load(),)


def step(w: Workload, event: Event) -> Result:
    """The next workload and what is wanted. Pure; the only way a workload ever changes."""
    return TABLE[w.phase][type(event)](w, event)


def saved(w: Workload, now: Moment) -> Saved:
    """What state.db is to remember. An open intent is the journal's own record and not part of it."""
    failing = w.failing
    return Saved(
        retrying_since=failing.retrying_since if failing else None,
        counted=schedule.counted(failing, now.awake) if failing else 0.0,
        gave_up=failing.gave_up if failing else False,
        signed_out=w.signed_out,
        combination=w.combination,
        lost_rotations=w.lost_rotations,
        last_error=w.last_error,
        last_refreshed_at=w.last_refreshed_at,
        paused=w.phase is Phase.PAUSED,
    )


# --- actions: nothing, and reading the login -------------------------------------------------------------------------


def nothing(w: Workload, e: Event) -> Result:
    """Decided: this changes nothing here."""
    return w, ()


def read_again(w: Workload, e: Event) -> Result:
    """Look into the keyring once more. A person may be asked to unlock it only where a person asked for this."""
    return replace(w, due=None), (Load(prompt=isinstance(e, Manual)),)


def read_if_due(w: Workload, e: Event) -> Result:
    """Time, while loading: the keyring did not answer, and this is when it is tried again."""
    return read_again(w, e) if w.due is not None and e.now.at >= w.due else (w, ())


def read_if_failed(w: Workload, e: Event) -> Result:
    """A wake may have brought the keyring back."""
    return read_again(w, e) if w.keyring is not None else (w, ())


def reread_configuration(w: Workload, e: Event) -> Result:
    """*Retry now* on something broken: only the file can mend it."""
    return w, (ReadConfiguration(),)


def retry_signed_out(w: Workload, e: Manual) -> Result:
    """M7: after a verdict the combination is not tried again; another one in keyring or file is."""
    return w, (Load(prompt=True), ReadConfiguration())


def loaded(w: Workload, e: Loaded) -> Result:
    """M14. With a login: one attempt, whatever the network says. A verdict on it still stands after a restart.

    A login that is only in memory (paused and resumed meanwhile) is newer than what the keyring holds.
    """
    if w.unsaved and w.login is not None:
        w, effects = loaded_late(w, e)
        return _attempt_now(w, e, Trigger.START), effects
    w = replace(
        w,
        read=True,
        login=e.login,
        top=max(w.top, e.login.generation if e.login else 0),
        keyring=None,
        keyring_since=None,
        keyring_tries=0,
        lost_rotations=max(w.lost_rotations, e.saved.lost_rotations),
        last_error=e.saved.last_error,
        last_refreshed_at=e.saved.last_refreshed_at,
        signed_out=e.saved.signed_out,
        combination=e.saved.combination,
    )
    if e.saved.paused:
        return replace(w, phase=Phase.PAUSED, due=None), ()
    if e.login is None:
        return _signed_out(w, SignedOut.NEVER), ()
    if _foreign(w.spec, e.login):
        return _broken(w, w.spec), ()
    if e.saved.combination == e.login.fingerprint():
        return _signed_out(w, e.saved.signed_out or SignedOut.REFUSED), ()
    return _attempt_now(_remembering(w, e), e, Trigger.START), ()


def _remembering(w: Workload, e: Loaded) -> Workload:
    """The outage that was under way when the program ended goes on: the ceiling must not start anew (M6)."""
    since = e.saved.retrying_since
    failing = None
    if since is not None:
        failing = Failing(
            since=e.now,
            exhausted=True,
            retrying_since=min(since, e.now.wall),
            counted=max(0.0, e.saved.counted),
            counting_from=None if w.impeded else e.now.awake,
            fresh_counted=max(0.0, e.saved.counted),
            gave_up=e.saved.gave_up,
        )
    maybe_spent = w.login is not None and e.saved.open_intent == w.login.fingerprint()
    return replace(w, failing=failing, maybe_spent=maybe_spent, signed_out=None, combination="")


def loaded_again(w: Workload, e: Loaded) -> Result:
    """Signed out and read again: only another combination than the refused one is worth an attempt (M7)."""
    if e.login is None or e.login.fingerprint() == w.combination:
        return w, ()
    if _foreign(w.spec, e.login):
        return _broken(replace(w, login=e.login), w.spec), ()
    w = replace(w, read=True, login=e.login, top=max(w.top, e.login.generation), signed_out=None, combination="")
    return _attempt_now(replace(w, failing=None), e, Trigger.MANUAL), ()


def loaded_late(w: Workload, e: Loaded) -> Result:
    """The slots were read after a sign-in had overtaken the reading: now the generation is known, and it can be
    written."""
    top = max(w.top, e.login.generation if e.login else 0)
    w = replace(w, read=True, top=top, keyring=None, keyring_since=None)
    login = w.login
    if not w.unsaved or login is None:
        return w, ()
    if login.generation <= (e.login.generation if e.login else 0):
        login = replace(login, generation=top + 1)
        w = replace(w, top=top + 1)
    return store(w, login)


def keyring_down_loading(w: Workload, e: KeyringDown) -> Result:
    """No login can be read: amber after ten seconds, never signed out (DESIGN.md section 4)."""
    return _keyring_trouble(w, e), ()


def keyring_down_unsaved(w: Workload, e: KeyringDown) -> Result:
    """Reading failed while the newest login is in memory only: the write is tried again later."""
    return later_write(w, e.now), ()


def _keyring_trouble(w: Workload, e: KeyringDown) -> Workload:
    return replace(
        w,
        keyring=e.trouble,
        keyring_since=w.keyring_since if w.keyring_since is not None else e.now.at,
        keyring_tries=w.keyring_tries + 1,
        due=e.now.at + attempts.keyring_pause(w.keyring_tries),
    )


def write_if_unsaved(w: Workload, e: Event) -> Result:
    """The keyring is back, or its time has come: the login that is only in memory is written, or first read around."""
    if not w.unsaved or w.login is None or w.storing is not None:
        return w, ()
    if isinstance(e, Time) and (w.store_at is None or e.now.at < w.store_at):
        return w, ()
    return (replace(w, store_at=None), (Load(),)) if not w.read else store(w, w.login)


# --- actions: waiting and its reasons --------------------------------------------------------------------------------


def _attempt_now(w: Workload, e: Event, trigger: Trigger, series: Series = Series.DUE, delay: float = 0.0) -> Workload:
    return replace(
        w, phase=Phase.WAITING, due=e.now.at + delay, series=series, trigger=trigger, attempt=None, keyring=w.keyring
    )


def keyring_up_waiting(w: Workload, e: KeyringUp) -> Result:
    """Unlocked: what waited for it is due at once."""
    w, effects = write_if_unsaved(w, e)
    if w.keyring is None:
        return w, effects
    return replace(w, keyring=None, keyring_since=None, keyring_tries=0, due=e.now.at), effects


def nudged(w: Workload, e: Event) -> Result:
    """M8: a network change or a wake starts the burst; the same-token series of M9 keeps its place but not its wait."""
    w = replace(w, nudged_at=e.now.at)
    trigger = Trigger.WAKE if isinstance(e, Woke) else Trigger.NETWORK
    failing = w.failing
    if failing is not None:
        counted = schedule.counted(failing, e.now.awake)
        failing = replace(failing, tries=0, fresh_tries=0, fresh_counted=counted)
        w = replace(w, failing=failing)
    if w.keyring is not None or w.trigger in (Trigger.MANUAL, Trigger.REJECTED):
        return w, ()  # these have their own reason to wait
    if w.series is Series.AGAIN:
        return replace(w, due=e.now.at), ()
    first = schedule.burst(0, w.spec.policy, 0.5) or 0.0
    return _attempt_now(w, e, trigger, Series.BURST, first), ()


def nudged_valid(w: Workload, e: Event) -> Result:
    """M8: a usable token is never refreshed early; one that is past due has its attempt after settling."""
    past_due = w.due is not None and w.due <= e.now.at
    return nudged(w, e) if past_due else (replace(w, nudged_at=e.now.at), ())


def woke_refreshing(w: Workload, e: Woke) -> Result:
    """The connection most likely died in sleep: read on for two seconds, then the answer is lost."""
    w = replace(w, nudged_at=e.now.at)
    if w.attempt is None or w.attempt.step is not Step.SENT:
        return w, ()
    deadline = min(w.attempt.deadline, e.now.at + attempts.READ_ON)
    return replace(w, attempt=replace(w.attempt, deadline=deadline)), ()


def noticed(w: Workload, e: Event) -> Result:
    """The network changed; it only matters for later failures."""
    return replace(w, nudged_at=e.now.at), ()


def impeded(w: Workload, e: Impeded) -> Result:
    """M6: nothing can be attempted, so nothing counts."""
    if w.loopback or w.impeded:
        return w, ()
    failing = w.failing
    if failing is not None:
        failing = replace(failing, counted=schedule.counted(failing, e.now.awake), counting_from=None)
    return replace(w, impeded=True, failing=failing), ((Save(),) if failing else ())


def unimpeded(w: Workload, e: Unimpeded) -> Result:
    """M6: the count goes on."""
    failing = w.failing
    if failing is not None and failing.exhausted and failing.counting_from is None:
        failing = replace(failing, counting_from=e.now.awake)
    return replace(w, impeded=False, failing=failing), ()


def sleep_refreshing(w: Workload, e: SleepSoon) -> Result:
    """The answer may be lost: the mark is set now (the intent is on disk already), the connection is kept."""
    sent = w.attempt is not None and w.attempt.step is Step.SENT
    return (replace(w, maybe_spent=True) if sent else w), ()


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
    access = w.access
    if access is None or access.serial != e.serial or access.rejected:
        return w, ()
    policy = w.spec.policy
    strikes = w.strikes + 1 if e.now.at - access.obtained_at < policy.fresh else 0
    spacing = policy.strike_interval if strikes >= policy.strikes else policy.rejected_spacing
    earliest = e.now.at if w.last_attempt_at is None else max(e.now.at, w.last_attempt_at + spacing)
    w = replace(w, strikes=strikes, access=replace(access, rejected=True))
    return _attempt_now(w, e, Trigger.REJECTED, Series.DUE, earliest - e.now.at), ()


def rejected(w: Workload, e: Rejected) -> Result:
    """The token in hand is of no use any more; what comes next is decided already."""
    if w.access is None or w.access.serial != e.serial:
        return w, ()
    return replace(w, access=replace(w.access, rejected=True)), ()


def accepted(w: Workload, e: Accepted) -> Result:
    """M18: any 2xx clears the strikes."""
    return (replace(w, strikes=0) if w.strikes else w), ()


# --- actions: what people want ---------------------------------------------------------------------------------------


def sign_in_started(w: Workload, e: SignInStarted) -> Result:
    """An overlay: it changes neither the status nor the retries."""
    return replace(w, signing_in=True), ()


def sign_in_ended(w: Workload, e: SignInEnded) -> Result:
    """Nothing came of it, and nothing changes."""
    return replace(w, signing_in=False), (Note("sign_in", "failed", problem=e.problem),) if e.problem else ()


def signed_in(w: Workload, e: SignedIn) -> Result:
    """A new login ends every outage and every red. An attempt of the old lineage is let go."""
    abandon: tuple[Effect, ...] = (Abandon(w.attempt.number),) if w.attempt else ()
    paused = w.phase is Phase.PAUSED
    login = replace(e.login, generation=w.top + 1)
    w = _new_login(w, login, e)
    w = replace(w, phase=Phase.PAUSED, due=None) if paused else valid(w, e.now)
    w, effects = store(w, login) if w.read else (replace(w, unsaved=True), (Load(),))
    w, ending = leave(w, e.now)
    return w, (*abandon, *effects, Save(), Note("sign_in", "signed_in"), *ending)


def _new_login(w: Workload, login: Login, e: SignedIn) -> Workload:
    return replace(
        w,
        spec=w.confirm or w.spec,
        confirm=None,
        broken="",
        login=login,
        top=login.generation,
        access=e.access,
        attempt=None,
        signing_in=False,
        signed_out=None,
        combination="",
        failing=None,
        maybe_spent=False,
        strikes=0,
        keyring=None,
        keyring_since=None,
        keyring_tries=0,
        last_refreshed_at=e.now.wall,
        after="" if w.after in ("confirm", "sign_out") else w.after,
    )


def pause(w: Workload, e: Pause) -> Result:
    """M17."""
    return replace(w, phase=Phase.PAUSED, due=None, failing=None), (Save(), Note("phase", "paused"))


def resume(w: Workload, e: Resume) -> Result:
    """As at a start: the keyring is read, and one attempt made. A change that waits for agreement still does."""
    w = replace(w, phase=Phase.LOADING, due=None, spec=w.confirm or w.spec, confirm=None)
    return w, (Save(), Load(), Note("phase", "resumed"))


def after(what: str) -> Action:
    """Finish the attempt in flight and its storing first; removal outranks the rest."""

    def note_it(w: Workload, e: Event) -> Result:
        return (w if w.after == "remove" else replace(w, after=what)), ()

    return note_it


def resume_after(w: Workload, e: Resume) -> Result:
    """A pause that had not begun yet is called off."""
    return (replace(w, after="") if w.after == "pause" else w), ()


def sign_out(w: Workload, e: SignOut) -> Result:
    """The user gives the login up."""
    gone = attempts.without_login(w)
    return gone, (Discard(w.login, revoke=True), Save(), Note("phase", "signed_out"))


def remove(w: Workload, e: Remove) -> Result:
    """Revoke, delete, gone. A refused login has nothing left to revoke."""
    if w.storing is not None:
        return replace(w, after="remove"), ()
    revoke = w.phase not in (Phase.SIGNED_OUT, Phase.BROKEN)
    return replace(w, phase=Phase.PAUSED, due=None, after="remove"), (Forget(w.login, revoke),)


def shutdown(w: Workload, e: Shutdown) -> Result:
    """Nothing is in flight; only a write on its way is waited for."""
    return replace(w, after="shutdown"), () if w.storing is not None else (Save(), Done())


def configured(w: Workload, e: Configured) -> Result:
    """Timing takes effect at once; a changed identity asks first, before any token is sent (SECURITY.md 21)."""
    if w.login is not None and w.spec.identity() != e.spec.identity():
        return _broken(w, e.spec), (Note("phase", "confirm_change"),)
    w = replace(w, spec=e.spec)
    if w.phase is Phase.VALID and w.access is not None and w.due is not None:
        due = schedule.refresh_due(w.access.obtained_at, w.access.expires_at, e.spec.policy)
        w = replace(w, due=due)
    return w, ()


def configured_refreshing(w: Workload, e: Configured) -> Result:
    """The attempt in flight is finished under the identity it began with."""
    if w.spec.identity() == e.spec.identity():
        return replace(w, spec=e.spec), ()
    return (replace(w, confirm=e.spec, after="confirm") if not w.after else replace(w, confirm=e.spec)), ()


def configured_broken(w: Workload, e: Configured) -> Result:
    """Checked again: whether the login fits is found when it is read."""
    return replace(w, phase=Phase.LOADING, spec=e.spec, confirm=None, broken="", due=None), (Load(),)


def _signed_out(w: Workload, why: SignedOut) -> Workload:
    return replace(w, phase=Phase.SIGNED_OUT, signed_out=why, due=None, attempt=None, keyring=None, keyring_since=None)


def _broken(w: Workload, wanted: Spec) -> Workload:
    return attempts.confirm_change(replace(w, confirm=wanted))


def _foreign(spec: Spec, login: Login) -> bool:
    """Whether the login was made for another identity than the configuration now names."""
    pairs = (
        (spec.token_endpoint, login.token_endpoint),
        (spec.issuer, login.issuer),
        (spec.client_id, login.client_id),
    )
    return any(wanted and had and wanted != had for wanted, had in pairs)


# --- the table -------------------------------------------------------------------------------------------------------

_EVERYWHERE: Mapping[type[Event], Action] = {
    Accepted: accepted,
    Impeded: impeded,
    Unimpeded: unimpeded,
    SignInStarted: sign_in_started,
    SignInEnded: sign_in_ended,
    SignedIn: signed_in,
    Stored: attempts.stored,
    NotStored: attempts.not_stored,
    Pause: pause,
    SignOut: sign_out,
    Remove: remove,
    Shutdown: shutdown,
    Configured: configured,
    Finished: attempts.late,
    ProbeOk: nothing,  # of an attempt that was overtaken
    HotCall: nothing,  # M15 answers it from the view
    SleepSoon: nothing,  # the gate holds everything
    Resume: nothing,  # not paused
}

TABLE: Mapping[Phase, Mapping[type[Event], Action]] = {
    Phase.LOADING: {
        **_EVERYWHERE,
        Loaded: loaded,
        KeyringDown: keyring_down_loading,
        KeyringUp: read_again,
        Go: read_again,
        Rejected: nothing,
        NetworkUp: read_if_failed,
        Woke: read_if_failed,
        Manual: read_again,
        Time: read_if_due,
    },
    Phase.VALID: {
        **_EVERYWHERE,
        Loaded: loaded_late,
        KeyringDown: keyring_down_unsaved,
        KeyringUp: write_if_unsaved,
        Go: attempts.begin,
        Rejected: rejected_valid,
        NetworkUp: nudged_valid,
        Woke: nudged_valid,
        Manual: retry_now,
        HotCall: hot_call_valid,
        Time: write_if_unsaved,
    },
    Phase.REFRESHING: {
        **_EVERYWHERE,
        Loaded: loaded_late,
        KeyringDown: attempts.probe_failed,
        KeyringUp: nothing,  # the probe finds it
        Go: nothing,  # impossible: single flight (M11)
        ProbeOk: attempts.send,
        Finished: attempts.finished,
        Stored: attempts.stored_refreshing,
        NotStored: attempts.not_stored_refreshing,
        Rejected: rejected,
        NetworkUp: noticed,
        Woke: woke_refreshing,
        SleepSoon: sleep_refreshing,
        Manual: nothing,  # joins the attempt in flight
        Time: attempts.overdue,
        Pause: after("pause"),
        Resume: resume_after,
        SignOut: after("sign_out"),
        Remove: after("remove"),
        Shutdown: after("shutdown"),
        Configured: configured_refreshing,
    },
    Phase.WAITING: {
        **_EVERYWHERE,
        Loaded: loaded_late,
        KeyringDown: keyring_down_unsaved,
        KeyringUp: keyring_up_waiting,
        Go: attempts.begin,
        Rejected: rejected,
        NetworkUp: nudged,
        Woke: nudged,
        Manual: retry_now,
        Time: write_if_unsaved,
    },
    Phase.SIGNED_OUT: {
        **_EVERYWHERE,
        Loaded: loaded_again,
        KeyringDown: keyring_down_unsaved,
        KeyringUp: write_if_unsaved,
        Go: nothing,
        Rejected: rejected,
        NetworkUp: nothing,
        Woke: nothing,
        Manual: retry_signed_out,
        Time: write_if_unsaved,
    },
    Phase.PAUSED: {
        **_EVERYWHERE,
        Loaded: loaded_late,
        KeyringDown: keyring_down_unsaved,
        KeyringUp: write_if_unsaved,
        Go: nothing,
        Rejected: rejected,
        NetworkUp: nothing,
        Woke: nothing,
        Manual: nothing,  # the command line says "paused"
        Time: write_if_unsaved,
        Pause: nothing,
        Resume: resume,
    },
    Phase.BROKEN: {
        **_EVERYWHERE,
        Loaded: loaded_late,
        KeyringDown: keyring_down_unsaved,
        KeyringUp: write_if_unsaved,
        Go: nothing,
        Rejected: rejected,
        NetworkUp: nothing,
        Woke: nothing,
        Manual: reread_configuration,
        Time: write_if_unsaved,
        Configured: configured_broken,
    },
}
