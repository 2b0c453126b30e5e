"""Getting a login into the keyring, and where a workload goes once it is there.

A login counts as stored when it was written and read back. Until then it is served from memory and written again; what
must not interrupt that (pause, removal, shutdown, a changed identity) waits in `after` and is done by `leave` (M17).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from trayapp.core import schedule
from trayapp.core.messages import (
    Discard,
    Done,
    Effect,
    Event,
    Forget,
    Load,
    Note,
    NotStored,
    Save,
    Store,
    Stored,
    Time,
)
from trayapp.core.model import (
    AccessToken,
    Login,
    Moment,
    Phase,
    Series,
    SignedOut,
    Step,
    Trigger,
    Workload,
)

Result: TypeAlias = tuple[Workload, tuple[Effect, ...]]

KEYRING_RETRY_WAITS = (60.0, 300.0, 900.0)  # s; where no signal tells that it was unlocked (DESIGN.md section 4)


def keyring_retry_wait(tries: int) -> float:
    """Seconds until a keyring that gave trouble `tries` times before is asked again."""
    return KEYRING_RETRY_WAITS[min(tries, len(KEYRING_RETRY_WAITS) - 1)]


def store(w: Workload, login: Login) -> Result:
    """Want the newest login written. `unsaved` stands from now until it is confirmed.

    Before the slots were read nobody knows which generation is above all that is there, so they are read first.
    """
    if not w.slots_read:
        return replace(w, login=login, unsaved=True, store_at=None), (Load(),)
    spent = w.attempt.fingerprint if w.attempt is not None else ""
    return replace(w, login=login, unsaved=True, storing=login.generation, store_at=None), (Store(login, spent),)


def write_ended(w: Workload, e: Stored | NotStored) -> Result:
    """The write has ended: confirmed, or to be done again later. *Quit* warns of what is in memory only.

    state.db is told only now what became of the workload: a crash before the write leaves the old login, and with it
    what is known of that (a verdict, the ceiling's count).
    """
    confirmed = isinstance(e, Stored) and w.storing == e.generation
    w = _with_write_ended(w, e)
    w, ending = run_deferred(w, e.now) if w.storing is None else (w, ())
    return w, ((Save(), *ending) if confirmed else ending)


def write_ended_refreshing(w: Workload, e: Stored | NotStored) -> Result:
    """Step ⑤: with its write the attempt has ended and all marks are cleared, stored or not: it is served."""
    storing = w.storing == e.generation
    w = _with_write_ended(w, e)
    if not storing or w.attempt is None or w.attempt.step is not Step.STORING:
        return w, ()
    w, ending = run_deferred(enter_valid(w, e.now), e.now)
    failed = (Note("attempt", "store_failed"),) if isinstance(e, NotStored) else ()
    return w, (Save(), *failed, *ending)


def _with_write_ended(w: Workload, e: Stored | NotStored) -> Workload:
    if w.storing != e.generation:  # overtaken by a newer login, whose own write is under way
        return w
    if isinstance(e, NotStored):
        return schedule_write(replace(w, storing=None), e.now)
    w = replace(w, storing=None, unsaved=False, store_at=None)
    if w.phase is not Phase.WAITING:  # what waits for the keyring has its own reason and its own due
        w = replace(w, keyring=None, keyring_since=None, keyring_tries=0)
    if w.phase is Phase.VALID and w.access is not None:
        w = replace(w, due=schedule.refresh_due(w.access.obtained_at, w.access.expires_at, w.spec.policy))
    return w


def schedule_write(w: Workload, now: Moment) -> Workload:
    """The next write of a login that is in memory only."""
    if not w.unsaved or w.storing is not None:
        return w
    pause = keyring_retry_wait(w.keyring_tries)
    return replace(w, keyring_tries=w.keyring_tries + 1, store_at=now.at + pause)


def write_if_unsaved(w: Workload, e: Event) -> Result:
    """The keyring is back, or its time has come: the login that is only in memory is written, or first read around."""
    if not w.unsaved or w.login is None or w.storing is not None:
        return w, ()
    if isinstance(e, Time) and (w.store_at is None or e.now.at < w.store_at):
        return w, ()
    return store(w, w.login)


def enter_valid(w: Workload, now: Moment) -> Workload:
    """Phase `valid`: all is well, and the next refresh is due ahead of the expiry (M1).

    While the login is in memory only, the next refresh waits for the keyring as long as the token lasts. A token that was
    rejected while its login was being stored is of no use already: then it is not well.
    """
    due = None if w.access is None else _refresh_at(w.access, w, now)
    w = replace(
        w,
        phase=Phase.VALID,
        attempt=None,
        due=due,
        series=Series.DUE,
        trigger=Trigger.DUE,
        failing=None,
        maybe_spent=False,
        signed_out=None,
        combination="",
        not_before=0.0,
        last_error=None,
    )
    return forced_refresh(w, now) if w.access is not None and w.access.rejected else w


def forced_refresh(w: Workload, now: Moment) -> Workload:
    """The upstream rejected the token in hand: one refresh, not sooner than M8 and M18 allow."""
    policy = w.spec.policy
    spacing = policy.strike_interval if w.strikes >= policy.strikes else policy.rejected_spacing
    due = now.at if w.last_attempt_at is None else max(now.at, w.last_attempt_at + spacing)
    return replace(w, phase=Phase.WAITING, due=due, series=Series.DUE, trigger=Trigger.REJECTED, attempt=None)


def _refresh_at(access: AccessToken, w: Workload, now: Moment) -> float | None:
    policy = w.spec.policy
    ends = access.ends_at(policy.usable_margin)
    if w.unsaved and ends is not None:
        return max(ends, now.at + policy.refresh_spacing)
    return schedule.refresh_due(access.obtained_at, access.expires_at, policy)


def confirm_change(w: Workload) -> Workload:
    """The configuration names another identity: no token is sent until the user has agreed by signing in."""
    return replace(
        w,
        phase=Phase.BROKEN,
        attempt=None,
        due=None,
        broken="Its endpoints or client were changed in the configuration.",
    )


def give_up_login(w: Workload) -> Workload:
    """Signed out by the user's own wish: nothing is kept."""
    return replace(
        w,
        phase=Phase.SIGNED_OUT,
        signed_out=SignedOut.NEVER,
        combination="",
        login=None,
        access=None,
        due=None,
        failing=None,
        maybe_spent=False,
        unsaved=False,
        storing=None,
        keyring=None,
        keyring_since=None,
        confirm=None,
        broken="",
        sign_in_warning=None,
        spec=w.confirm or w.spec,
    )


def run_deferred(w: Workload, now: Moment) -> Result:
    """What was put off until the attempt had ended and its login was stored (M17)."""
    if not w.after or w.attempt is not None or w.storing is not None:
        return w, ()
    done = replace(w, after="")
    match w.after:
        case "pause":
            return replace(done, phase=Phase.PAUSED, due=None, failing=None), (Save(), Note("phase", "paused"))
        case "confirm":
            return confirm_change(done), (Note("phase", "confirm_change"),)
        case "sign_out":
            gone = give_up_login(done)
            return gone, (Discard(w.login, revoke=True), Save(), Note("phase", "signed_out"))
        case "remove":
            return replace(w, phase=Phase.PAUSED, due=None), (Forget(w.login, revoke=True),)
        case _:
            return w, (Save(), Done())
