"""What people want: actions of `machine.TABLE` for signing in and out, pausing, removing, quitting, and configuring.

Nothing here interrupts an attempt: while one is in flight a wish is noted in `after`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from trayapp.core import schedule
from trayapp.core.loading import ask_for_confirmation
from trayapp.core.messages import (
    Abandon,
    Configured,
    Discard,
    Done,
    Effect,
    Event,
    Forget,
    Load,
    Note,
    Pause,
    Remove,
    Resume,
    Save,
    Shutdown,
    SignedIn,
    SignInEnded,
    SignInStarted,
    SignOut,
)
from trayapp.core.model import (
    Login,
    Phase,
    Workload,
)
from trayapp.core.storing import Result, enter_valid, give_up_login, run_deferred, store

Action: TypeAlias = Callable[[Workload, Any], Result]


def sign_in_started(w: Workload, e: SignInStarted) -> Result:
    """An overlay: it changes neither the status nor the retries, nor what is known of the login."""
    return replace(w, signing_in=True, device=e.device, sign_in_error=None), ()


def sign_in_ended(w: Workload, e: SignInEnded) -> Result:
    """Nothing came of it, and nothing changes."""
    return replace(w, signing_in=False, device=None, sign_in_error=e.problem), (
        Note("sign_in", "failed", problem=e.problem),
    ) if e.problem else ()


def signed_in(w: Workload, e: SignedIn) -> Result:
    """A new login ends every outage and every red. An attempt of the old lineage is let go."""
    abandon: tuple[Effect, ...] = (Abandon(w.attempt.number),) if w.attempt else ()
    paused = w.phase is Phase.PAUSED
    login = replace(e.login, generation=w.highest_generation + 1)
    w = _new_login(w, login, e)
    w = replace(w, phase=Phase.PAUSED, due=None) if paused else enter_valid(w, e.now)
    w, effects = store(w, login)
    w, ending = run_deferred(w, e.now)
    return w, (
        *abandon,
        *effects,
        Note("sign_in", "signed_in", problem=e.warning),
        *ending,
    )  # what was refused is forgotten once it is stored


def _new_login(w: Workload, login: Login, e: SignedIn) -> Workload:
    return replace(
        w,
        spec=w.confirm or w.spec,
        confirm=None,
        broken="",
        login=login,
        highest_generation=login.generation,
        access=e.access,
        attempt=None,
        signing_in=False,
        device=None,
        sign_in_error=None,
        sign_in_warning=e.warning,
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


def defer(what: str) -> Action:
    """Finish the attempt in flight and its storing first; removal outranks the rest."""

    def note_it(w: Workload, e: Event) -> Result:
        return (w if w.after == "remove" else replace(w, after=what)), ()

    return note_it


def resume_after(w: Workload, e: Resume) -> Result:
    """A pause that had not begun yet is called off."""
    return (replace(w, after="") if w.after == "pause" else w), ()


def sign_out(w: Workload, e: SignOut) -> Result:
    """The user gives the login up."""
    gone = give_up_login(w)
    return gone, (Discard(w.login, revoke=True), Save(), Note("phase", "signed_out"))


def remove(w: Workload, e: Remove) -> Result:
    """Revoke, delete, gone. A refused login has nothing left to revoke."""
    if w.storing is not None:
        return replace(w, after="remove"), ()
    revoke = w.phase not in (Phase.SIGNED_OUT, Phase.BROKEN)
    return replace(w, phase=Phase.PAUSED, due=None, after="remove"), (Forget(w.login, revoke),)


def shutdown(w: Workload, e: Shutdown) -> Result:
    """Nothing is in flight; only a write on its way is waited for. A removal under way goes on by itself."""
    if w.after == "remove":
        return w, ()
    return replace(w, after="shutdown"), () if w.storing is not None else (Save(), Done())


def configured(w: Workload, e: Configured) -> Result:
    """Timing takes effect at once; a changed identity asks first, before any token is sent (SECURITY.md 21)."""
    if w.login is not None and w.spec.identity() != e.spec.identity():
        return ask_for_confirmation(w, e.spec), (Note("phase", "confirm_change"),)
    w = replace(w, spec=e.spec)
    if w.phase is Phase.VALID and w.access is not None and w.due is not None:
        due = schedule.refresh_due(w.access.obtained_at, w.access.expires_at, e.spec.policy)
        w = replace(w, due=due)
    return w, ()


def configured_refreshing(w: Workload, e: Configured) -> Result:
    """The attempt in flight is finished under the identity it began with. One that was changed back is no change."""
    if w.spec.identity() == e.spec.identity():
        return replace(w, spec=e.spec, confirm=None, after="" if w.after == "confirm" else w.after), ()
    return (replace(w, confirm=e.spec, after="confirm") if not w.after else replace(w, confirm=e.spec)), ()


def configured_broken(w: Workload, e: Configured) -> Result:
    """Checked again: whether the login fits is found when it is read."""
    return replace(w, phase=Phase.LOADING, spec=e.spec, confirm=None, broken="", due=None), (Load(),)
