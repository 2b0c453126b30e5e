"""Loading the login from the keyring at start, after keyring trouble and on *Retry now*. Actions of `machine.TABLE`.

An error is not absence: a keyring that can't be read is waited for, and only an empty one means "never signed in".
"""

from __future__ import annotations

from dataclasses import replace

from trayapp.core import access_only, deadlines, rechecks
from trayapp.core.messages import (
    Event,
    KeyringDown,
    Load,
    Loaded,
    Manual,
    NotStored,
    ReadConfiguration,
    Stored,
)
from trayapp.core.model import (
    Failing,
    Login,
    Phase,
    Saved,
    SignedOut,
    Spec,
    Trigger,
    Workload,
)
from trayapp.core.resources import covers, same_origin
from trayapp.core.storing import (
    Result,
    check_stored,
    confirm_change,
    enter_paused,
    enter_signed_out,
    keyring_retry_wait,
    schedule_write,
    store,
    write_ended,
)
from trayapp.core.waiting import attempt_now


def read_again(w: Workload, e: Event) -> Result:
    """Read the keyring again. Only *Retry now* may show the unlock dialog.

    A login from earlier in this run (paused and resumed meanwhile) is looked for first: the keyring may have lost it.
    """
    return replace(w, due=None), (*check_stored(w), Load(prompt=isinstance(e, Manual)))


def stored_loading(w: Workload, e: Stored | NotStored) -> Result:
    """A write ended while the keyring is being read: what was read before it may lack this login."""
    stored = isinstance(e, Stored) and w.storing == e.generation
    w, effects = write_ended(w, e)
    return w, ((*effects, Load()) if stored and not w.after else effects)


def read_if_due(w: Workload, e: Event) -> Result:
    """Read again once the wait after a failed read is over."""
    return read_again(w, e) if w.due is not None and e.now.at >= w.due else (w, ())


def read_if_failed(w: Workload, e: Event) -> Result:
    """Read again after a wake or network change, if the last read failed."""
    return read_again(w, e) if w.keyring is not None else (w, ())


def reread_configuration(w: Workload, e: Event) -> Result:
    """*Retry now* on a broken configuration: only a changed file can fix it."""
    return w, (ReadConfiguration(),)


def retry_signed_out(w: Workload, e: Manual) -> Result:
    """*Retry now* after a verdict: look for another combination in keyring and file. If there is none, the refused one is
    tried once, as `Loaded` says `asked` (M7)."""
    return w, (Load(prompt=True), ReadConfiguration())


def loaded(w: Workload, e: Loaded) -> Result:
    """The keyring was read at start: attempt a refresh, unless a verdict, a pause or a changed identity stands (M14).

    A login that is in memory only (paused and resumed meanwhile) is newer than the one in the keyring.
    """
    if w.unsaved and w.login is not None:
        w, effects = loaded_late(w, e)
        if w.login is not None and w.combination == w.login.fingerprint():  # refused, then paused and resumed
            return rechecks.stay_red(w, e.now), effects
        w, begun = _use(replace(w, signed_out=None, combination="", refusal=None), e, Trigger.START)
        return w, (*effects, *begun)
    w = replace(
        w,
        slots_read=True,
        login=e.login,
        highest_generation=max(w.highest_generation, e.login.generation if e.login else 0),
        keyring=None,
        keyring_since=None,
        keyring_tries=0,
    )
    w = _remembered(w, e.saved)
    if e.saved.paused:
        return replace(w, phase=Phase.PAUSED, due=None), ()
    if e.login is None:
        return enter_signed_out(w, SignedOut.NEVER), ()
    if _made_for_another_identity(w.spec, e.login):
        return ask_for_confirmation(w, w.spec), ()
    if e.saved.combination == e.login.fingerprint():
        in_doubt = e.login.renewable and _in_doubt(e.login, e.saved)  # a check was cut short
        return rechecks.stay_red(replace(w, maybe_spent=in_doubt, marked_at=e.now.at), e.now), ()
    return _use(_with_saved_outage(w, e), e, Trigger.START)


def _remembered(w: Workload, saved: Saved) -> Workload:
    """With what state.db knows of its last run."""
    return replace(
        w,
        lost_rotations=max(w.lost_rotations, saved.lost_rotations),
        last_error=saved.last_error,
        last_refreshed_at=saved.last_refreshed_at,
        signed_out=saved.signed_out,
        combination=saved.combination,
        refusal=saved.refusal,
        original=saved.original,
    )


def _use(w: Workload, e: Loaded, trigger: Trigger) -> Result:
    """Begin with a login that was read: one attempt, or, if it can't be renewed, its access token (RULES.md section 6)."""
    if deadlines.access_only(w):
        return access_only.serve(w, e.now, e.serial)
    return attempt_now(w, e, trigger), ()


def _with_saved_outage(w: Workload, e: Loaded) -> Workload:
    """Continue the outage from before the restart, so that the ceiling doesn't start over (M6)."""
    since = e.saved.retrying_since
    failing = None
    same = w.login is not None and e.saved.lineage in (
        "",
        w.login.lineage,
    )  # not about a login from before the last sign-in
    if since is not None and same:
        failing = Failing(
            since=e.now,
            exhausted=True,
            retrying_since=min(since, e.now.wall),
            counted=max(0.0, e.saved.counted),
            counting_from=None if w.gate_blocked else e.now.awake,
            fresh_counted=max(0.0, e.saved.counted),
            gave_up=e.saved.gave_up,
        )
    maybe_spent = w.login is not None and _in_doubt(w.login, e.saved)
    return replace(
        w, failing=failing, maybe_spent=maybe_spent, marked_at=e.now.at, signed_out=None, combination="", refusal=None
    )


def _in_doubt(login: Login, saved: Saved) -> bool:
    """Whether this token was sent without an answer, or a later one that never reached the keyring: then it is spent."""
    return saved.open_intent == login.fingerprint() or saved.open_generation > login.generation


def loaded_again(w: Workload, e: Loaded) -> Result:
    """The keyring was read again while signed out: attempt with a combination other than the refused one, and with that
    one only if a person asked (M7)."""
    if e.login is None or access_only.is_over(e.login, e.now):
        return w, ()
    if w.unsaved or e.login.fingerprint() == w.combination:  # what is in the keyring is the refused login, or older
        if not e.asked or not w.combination:
            return w, ()
        if deadlines.access_only(w):
            return access_only.try_again(w, e.now, e.serial)
        return rechecks.asked_for(w, e.now), ()
    if w.signed_out is SignedOut.NEVER and e.login.generation <= w.highest_generation:
        return w, ()  # it was read before a sign-out deleted it
    if _made_for_another_identity(w.spec, e.login):
        return ask_for_confirmation(replace(w, login=e.login), w.spec), ()
    w = replace(
        w,
        slots_read=True,
        login=e.login,
        highest_generation=max(w.highest_generation, e.login.generation),
        signed_out=None,
        combination="",
        refusal=None,
        maybe_spent=False,
        needs=None,
    )
    return _use(replace(w, failing=None), e, Trigger.MANUAL)


def woke_signed_out(w: Workload, e: Event) -> Result:
    """A set clock counts as a wake: the end of a login that can't be renewed is wall time, and may not have come yet."""
    login = w.login
    again = w.signed_out is SignedOut.ENDED and login is not None and not access_only.is_over(login, e.now)
    return w, ((Load(),) if again else ())


def loaded_late(w: Workload, e: Loaded) -> Result:
    """The slots were read in another phase, for example after a sign-in overtook the read.

    Now the highest generation is known, so a login that is in memory only can be written above it.
    """
    top = max(w.highest_generation, e.login.generation if e.login else 0)
    w = replace(w, slots_read=True, highest_generation=top, keyring=None, keyring_since=None)
    login = w.login
    if not w.unsaved or login is None:
        return w, ()
    if login.generation <= (e.login.generation if e.login else 0):
        login = replace(login, generation=top + 1)
        w = replace(w, highest_generation=top + 1)
    return store(w, login)


def keyring_down_loading(w: Workload, e: KeyringDown) -> Result:
    """The keyring can't be read: amber after `impossible_grace`, never signed out (M14).

    A workload that was paused waits for a person, and not for the keyring: the resume reads it (M17).
    """
    if e.saved.paused:
        return enter_paused(_remembered(w, e.saved)), ()
    since = w.keyring_since if w.keyring_since is not None else e.now.at
    in_doubt = bool(e.saved.open_intent or w.maybe_spent) and e.now.at < since + deadlines.GRACE_MAX
    return replace(
        w,
        keyring=e.trouble,
        keyring_since=since,
        keyring_tries=w.keyring_tries + 1,
        due=e.now.at + keyring_retry_wait(w.keyring_tries, in_doubt=in_doubt),
    ), ()


def keyring_down_unsaved(w: Workload, e: KeyringDown) -> Result:
    """Reading failed while the newest login is in memory only: try the write again later."""
    return schedule_write(w, e.now), ()


def keyring_down_signed_out(w: Workload, e: KeyringDown) -> Result:
    """The keyring can't be read: no other login is found, and the refused one isn't tried."""
    w, effects = keyring_down_unsaved(w, e)
    return (w if w.refusal is None else replace(w, last_error=rechecks.KEYRING)), effects


def _made_for_another_identity(spec: Spec, login: Login) -> bool:
    """Whether the login was made for another identity than the configuration names now."""
    pairs = (
        (spec.token_endpoint, login.token_endpoint),
        (spec.issuer, login.issuer),
        (spec.client_id, login.client_id),
    )
    if any(wanted and had and wanted != had for wanted, had in pairs):
        return True
    # With only a URL configured, the login belongs to what that URL named: it must not follow to another URL.
    if spec.issuer or spec.metadata_url or spec.token_endpoint or spec.resource or spec.omit_resource:
        return False
    if login.resource:
        return not covers(login.resource, spec.url)
    return not same_origin(
        login.issuer, spec.url
    )  # without RFC 9728 metadata the resource is its own authorization server


def ask_for_confirmation(w: Workload, wanted: Spec) -> Workload:
    """The configuration names another identity than the login's: wait until a person agrees."""
    return confirm_change(replace(w, confirm=wanted))
