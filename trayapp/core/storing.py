"""Storing a login in the keyring, and the state a workload enters once that is done.

A login counts as stored once it has been written and read back (RULES.md section 4). Until then it is served from memory
and the write is tried again. What must not interrupt that (pause, removal, shutdown, a changed identity) waits in
`after` and is done by `run_deferred` (M17).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

from trayapp.core import schedule
from trayapp.core.deadlines import access_only
from trayapp.core.messages import (
    CheckStored,
    Discard,
    Done,
    Effect,
    Event,
    Forget,
    KeyringUp,
    Load,
    LoginMissing,
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

KEYRING_RETRY_WAITS = (60.0, 300.0, 900.0)  # s; where no signal announces an unlock (M14)
KEYRING_WAITS_IN_DOUBT = (5.0, 10.0, 20.0, 60.0)  # s; while a server's grace can last (M9)


def keyring_retry_wait(tries: int, *, in_doubt: bool = False) -> float:
    """Seconds until the keyring is tried again after `tries` earlier failures; sooner while a token is in doubt."""
    waits = KEYRING_WAITS_IN_DOUBT if in_doubt else KEYRING_RETRY_WAITS
    return waits[min(tries, len(waits) - 1)]


def store(w: Workload, login: Login) -> Result:
    """Request that the newest login be written; it is `unsaved` until that is confirmed.

    The slots are read first if they haven't been: only then is the highest generation known.
    """
    if not w.slots_read:
        return replace(w, login=login, unsaved=True, store_at=None), (Load(),)
    spent = w.attempt.fingerprint if w.attempt is not None else ""
    return replace(w, login=login, unsaved=True, storing=login.generation, store_at=None), (Store(login, spent),)


def write_ended(w: Workload, e: Stored | NotStored) -> Result:
    """A write ended outside an attempt: confirmed, or to be tried again later.

    state.db is saved only now: a crash before the write leaves the old login, and what is known about that one (a
    verdict, the ceiling's count) must still stand.
    """
    confirmed = isinstance(e, Stored) and w.storing == e.generation
    w = _with_write_ended(w, e)
    w, ending = run_deferred(w, e.now) if w.storing is None else (w, ())
    return w, ((Save(), *ending) if confirmed else ending)


def write_ended_refreshing(w: Workload, e: Stored | NotStored) -> Result:
    """The write of an attempt's login ended, and the attempt with it. Stored or not, the new token is served."""
    storing = w.storing == e.generation
    w = _with_write_ended(w, e)
    if not storing or w.attempt is None or w.attempt.step is not Step.STORING:
        return w, ()
    w, ending = run_deferred(enter_valid(w, e.now), e.now)
    failed = (Note("attempt", "store_failed"),) if isinstance(e, NotStored) else ()
    return w, (Save(), *failed, *ending)


def _with_write_ended(w: Workload, e: Stored | NotStored) -> Workload:
    """The write's result, without what follows from it."""
    if w.storing != e.generation:  # overtaken by a newer login that has its own write
        return w
    if isinstance(e, NotStored):
        return schedule_write(replace(w, storing=None), e.now)
    w = replace(w, storing=None, unsaved=False, store_at=None, replaced=None)
    if w.phase is not Phase.WAITING:  # what waits for the keyring has a deadline of its own
        w = replace(w, keyring=None, keyring_since=None, keyring_tries=0)
    if w.phase is Phase.VALID and w.access is not None:
        w = replace(w, due=_refresh_at(w.access, w, e.now))
    return w


def schedule_write(w: Workload, now: Moment) -> Workload:
    """Plan the next write of a login that is in memory only."""
    if not w.unsaved or w.storing is not None:
        return w
    pause = keyring_retry_wait(w.keyring_tries)
    return replace(w, keyring_tries=w.keyring_tries + 1, store_at=now.at + pause)


def write_if_unsaved(w: Workload, e: Event) -> Result:
    """Write a login that is in memory only: the keyring is back, or the next write is due."""
    if not w.unsaved or w.login is None or w.storing is not None:
        return w, ()
    if isinstance(e, Time) and (w.store_at is None or e.now.at < w.store_at):
        return w, ()
    return store(w, w.login)


def keyring_up(w: Workload, e: KeyringUp) -> Result:
    """The keyring is back, or it is another one: write a login that is in memory only, and look for one that isn't."""
    return write_if_unsaved(w, e) if w.unsaved else (w, check_stored(w))


def check_stored(w: Workload) -> tuple[Effect, ...]:
    """Look for the login in the keyring, which may be another one by now."""
    if w.login is None or w.unsaved or w.storing is not None or w.after:
        return ()
    return (CheckStored(w.login),)


def login_missing(w: Workload, e: LoginMissing) -> Result:
    """Write the login again that the keyring has lost. Until that is confirmed it is in memory only.

    It settles no intent: if this very token is being sent, that attempt still has to answer for it.
    """
    login = w.login
    if login is None or w.unsaved or w.storing is not None or w.after:
        return w, ()
    if (login.generation, login.lineage) != (e.generation, e.lineage):
        return w, ()
    return replace(w, unsaved=True, storing=login.generation, store_at=None), (Store(login),)


def enter_valid(w: Workload, now: Moment) -> Workload:
    """Enter phase `valid`: the next refresh is due ahead of expiry (M1).

    While the login is in memory only, the refresh waits until the token stops being usable. If the token was rejected
    while its login was being stored, a forced refresh follows instead.
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
        refusal=None,
        not_before=0.0,
        last_error=None,
    )
    return forced_refresh(w, now) if w.access is not None and w.access.rejected else w


def forced_refresh(w: Workload, now: Moment) -> Workload:
    """One refresh because the upstream rejected the token, no sooner than M8 and M18 allow."""
    policy = w.spec.policy
    spacing = policy.strike_interval if w.strikes >= policy.strikes else policy.rejected_spacing
    due = now.at if w.last_attempt_at is None else max(now.at, w.last_attempt_at + spacing)
    return replace(w, phase=Phase.WAITING, due=due, series=Series.DUE, trigger=Trigger.REJECTED, attempt=None)


def _refresh_at(access: AccessToken, w: Workload, now: Moment) -> float | None:
    """M1; while the login is in memory only, not before the token stops being usable. None: it can't be renewed, or need
    not be."""
    if access_only(w):
        return None
    policy = w.spec.policy
    ends = access.ends_at(policy.usable_margin)
    if w.unsaved and ends is not None:
        return max(ends, now.at + policy.refresh_spacing)
    return schedule.refresh_due(access.obtained_at, access.expires_at, policy)


def confirm_change(w: Workload) -> Workload:
    """Enter phase `broken`: no token is sent until a person signs in again or changes the configuration back."""
    return replace(
        w,
        phase=Phase.BROKEN,
        attempt=None,
        due=None,
        keyring=None,
        keyring_since=None,
        broken="Its endpoints or client were changed in the configuration.",
    )


def enter_signed_out(w: Workload, reason: SignedOut) -> Workload:
    """Enter phase `signed_out`, which only a sign-in or another combination leaves."""
    return replace(
        w, phase=Phase.SIGNED_OUT, signed_out=reason, due=None, attempt=None, keyring=None, keyring_since=None
    )


def enter_paused(w: Workload) -> Workload:
    """Enter phase `paused`: it waits for a person alone, not for the network or the keyring (M17)."""
    return replace(w, phase=Phase.PAUSED, due=None, failing=None, keyring=None, keyring_since=None)


def give_up_login(w: Workload) -> Workload:
    """Signed out on request: everything about the login is dropped."""
    return replace(
        w,
        phase=Phase.SIGNED_OUT,
        signed_out=SignedOut.NEVER,
        combination="",
        refusal=None,
        original="",
        login=None,
        access=None,
        due=None,
        failing=None,
        maybe_spent=False,
        unsaved=False,
        storing=None,
        strikes=0,
        rejections=(),
        needs=None,
        keyring=None,
        keyring_since=None,
        confirm=None,
        broken="",
        sign_in_warning=None,
        spec=w.confirm or w.spec,
    )


def run_deferred(w: Workload, now: Moment) -> Result:
    """Do what was deferred until the attempt had ended and its login was stored (M17)."""
    if not w.after or w.attempt is not None or w.storing is not None:
        return w, ()
    cleared = replace(w, after="")
    match w.after:
        case "pause":
            return enter_paused(cleared), (Save(), Note("phase", "paused"))
        case "confirm":
            return confirm_change(cleared), (Note("phase", "confirm_change"),)
        case "sign_out":
            gone = give_up_login(cleared)
            return gone, (Discard(w.login, revoke=True), Save(), Note("phase", "signed_out"))
        case "remove":
            return replace(w, phase=Phase.PAUSED, due=None), (Forget(w.login, revoke=True),)
        case _:
            return w, (Save(), Done())
