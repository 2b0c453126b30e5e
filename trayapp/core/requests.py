"""What people request: sign in, sign out, pause, resume, remove, quit, reconfigure. Actions of `machine.TABLE`.

No request interrupts an attempt: while one is in flight, the request is noted in `after` (M11, M17).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from trayapp.core import schedule
from trayapp.core.loading import ask_for_confirmation
from trayapp.core.messages import (
    Abandon,
    ClientRenewed,
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
    Saved,
    Workload,
)
from trayapp.core.storing import Result, check_stored, enter_paused, enter_valid, give_up_login, run_deferred, store

Action: TypeAlias = Callable[[Workload, Any], Result]


def sign_in_started(w: Workload, e: SignInStarted) -> Result:
    """A sign-in began. It is an overlay: status, retries and login stay as they are (RULES.md section 5)."""
    return replace(w, signing_in=True, device=e.device, browser_fault=e.browser_fault, sign_in_error=None), ()


def sign_in_ended(w: Workload, e: SignInEnded) -> Result:
    """A sign-in was cancelled, failed or timed out; only the overlay ends."""
    return replace(w, signing_in=False, device=None, browser_fault=None, sign_in_error=e.problem), (
        Note("sign_in", "failed", problem=e.problem),
    ) if e.problem else ()


def signed_in(w: Workload, e: SignedIn) -> Result:
    """A new login ends every outage and every red status; an attempt with the old login is abandoned (M5)."""
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
    )  # no Save yet: the old verdict is forgotten in state.db once the login is stored


def client_renewed(w: Workload, e: ClientRenewed) -> Result:
    """The login's client has another secret: from now on the login is sent with it, and stored like a rotation."""
    login = w.login
    if login is None or login.client_id != e.client_id or login.client_secret in (None, e.secret):
        return w, ()
    login = replace(login, client_secret=e.secret, generation=w.highest_generation + 1)
    return store(replace(w, highest_generation=login.generation), login)


def _new_login(w: Workload, login: Login, e: SignedIn) -> Workload:
    verdict = Saved(signed_out=w.signed_out, combination=w.combination, refusal=w.refusal, original=w.original)
    return replace(
        w,
        replaced=(w.replaced if w.unsaved else None) or verdict,
        spec=w.confirm or w.spec,
        confirm=None,
        broken="",
        login=login,
        highest_generation=login.generation,
        access=e.access,
        attempt=None,
        signing_in=False,
        device=None,
        browser_fault=None,
        sign_in_error=None,
        sign_in_warning=e.warning,
        redirected_to="",
        signed_out=None,
        combination="",
        refusal=None,
        original=login.fingerprint(),
        failing=None,
        maybe_spent=False,
        strikes=0,
        rejections=(),
        needs=None,
        keyring=None,
        keyring_since=None,
        keyring_tries=0,
        last_refreshed_at=e.now.wall,
        after="" if w.after in ("confirm", "sign_out") else w.after,
    )


def pause(w: Workload, e: Pause) -> Result:
    """Stop: no attempt, no token served, until resumed (M17)."""
    return enter_paused(w), (Save(), Note("phase", "paused"))


def resume(w: Workload, e: Resume) -> Result:
    """Start over as after a restart: read the keyring, then one attempt. A changed identity still needs agreement."""
    w = replace(w, phase=Phase.LOADING, due=None, spec=w.confirm or w.spec, confirm=None)
    return w, (Save(), *check_stored(w), Load(), Note("phase", "resumed"))


def defer(what: str) -> Action:
    """An action that notes `what` for after the attempt in flight and its write; removal outranks everything else."""

    def note_it(w: Workload, e: Event) -> Result:
        return (w if w.after == "remove" else replace(w, after=what)), ()

    return note_it


def resume_after(w: Workload, e: Resume) -> Result:
    """Call off a pause that still waits for the attempt in flight."""
    return (replace(w, after="") if w.after == "pause" else w), ()


def sign_out(w: Workload, e: SignOut) -> Result:
    """Revoke and delete the login; keep the workload."""
    gone = give_up_login(w)
    return gone, (Discard(w.login, revoke=True), Save(), Note("phase", "signed_out"))


def remove(w: Workload, e: Remove) -> Result:
    """Delete login and workload. A refused login has nothing left to revoke; one of another identity isn't sent anywhere."""
    if w.storing is not None:
        return replace(w, after="remove"), ()
    revoke = w.phase not in (Phase.SIGNED_OUT, Phase.BROKEN)
    return replace(w, phase=Phase.PAUSED, due=None, after="remove"), (Forget(w.login, revoke),)


def shutdown(w: Workload, e: Shutdown) -> Result:
    """Quit: only a write that is under way is waited for. A removal already under way ends on its own."""
    if w.after == "remove":
        return w, ()
    return replace(w, after="shutdown"), () if w.storing is not None else (Save(), Done())


def configured(w: Workload, e: Configured) -> Result:
    """Changed timing takes effect immediately; a changed identity needs a person's agreement first (SECURITY.md 21)."""
    if w.login is not None and w.spec.identity() != e.spec.identity():
        return ask_for_confirmation(w, e.spec), (Note("phase", "confirm_change"),)
    w = replace(w, spec=e.spec)
    if w.phase is Phase.VALID and w.access is not None and w.due is not None:
        due = schedule.refresh_due(w.access.obtained_at, w.access.expires_at, e.spec.policy)
        w = replace(w, due=due)
    return w, ()


def configured_refreshing(w: Workload, e: Configured) -> Result:
    """The attempt in flight ends under the identity it began with; a change that was undone meanwhile is no change."""
    if w.spec.identity() == e.spec.identity():
        return replace(w, spec=e.spec, confirm=None, after="" if w.after == "confirm" else w.after), ()
    return (replace(w, confirm=e.spec, after="confirm") if not w.after else replace(w, confirm=e.spec)), ()


def configured_broken(w: Workload, e: Configured) -> Result:
    """Read the login again: only then it shows whether it fits the new configuration."""
    w = replace(w, phase=Phase.LOADING, spec=e.spec, confirm=None, broken="", due=None)
    return w, (*check_stored(w), Load())
