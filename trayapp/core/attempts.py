"""Refresh attempts, one at a time per workload: probe, send, judge the answer, store. Actions of `machine.TABLE`.

A new refresh token is stored before anything else in the answer is looked at, because nothing that is odd about the
rest may cost the login. The access token is served immediately: the old refresh token is spent either way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from trayapp.core import rechecks, retry, schedule
from trayapp.core.deadlines import attempt_limit, may_be_rescued, ready_at
from trayapp.core.id_claims import refreshed_account
from trayapp.core.messages import (
    Abandon,
    CloseIntent,
    Effect,
    Finished,
    Go,
    KeyringDown,
    KeyringUp,
    Manual,
    Note,
    Probe,
    ProbeOk,
    Save,
    Send,
    Time,
    Unreachable,
)
from trayapp.core.model import (
    AccessToken,
    Attempt,
    Failing,
    Login,
    Moment,
    Phase,
    Problem,
    Series,
    SignedOut,
    Step,
    Trigger,
    Workload,
)
from trayapp.core.outcomes import (
    Ambiguous,
    NotSent,
    Refreshed,
    Refused,
    ServerBusy,
    without_ended_token,
    without_plain_token,
)
from trayapp.core.storing import (
    Result,
    check_stored,
    enter_valid,
    keyring_retry_wait,
    run_deferred,
    schedule_write,
    store,
)

DEADLINE_MARGIN = 5.0  # s beyond `attempt_limit`, in case nothing ended the attempt (a sleep without an event)
PHASES_THAT_USE_THE_TOKEN = (Phase.WAITING, Phase.REFRESHING, Phase.PAUSED)  # it will be sent again, so doubt matters

OUTCOME_WORDS = {
    Refreshed: "refreshed",
    NotSent: "not_sent",
    Ambiguous: "ambiguous",
    ServerBusy: "server_busy",
    Refused: "refused",
}


def begin(w: Workload, e: Go) -> Result:
    """Probe the keyring before a token is spent (RULES.md section 4, step 1). `Go` never comes before `opens_at`."""
    if w.login is None or not w.login.renewable:
        return w, ()
    number = w.attempts + 1
    attempt = Attempt(number, w.trigger, Step.PROBE, e.now, w.login.fingerprint(), w.login.lineage)
    manual = w.trigger is Trigger.MANUAL
    w = replace(w, phase=Phase.REFRESHING, attempt=attempt, attempts=number, last_trigger=w.trigger, due=None)
    return w, (Probe(number, prompt=manual),)


def recheck(w: Workload, e: Go) -> Result:
    """Try a refused login once more. On disk it counts as tried before anything is sent (M7)."""
    if w.due is None:
        return w, ()
    w, effects = begin(rechecks.counted(w, e.now), e)
    return w, (Save(), *effects)


def send(w: Workload, e: ProbeOk) -> Result:
    """Send the refresh request: the intent is on disk (RULES.md section 4, steps 2 and 3)."""
    attempt = w.attempt
    if attempt is None or w.login is None or attempt.number != e.attempt or attempt.step is not Step.PROBE:
        return w, ()
    login = w.login
    if w.after:  # paused, removed or quit during the probe: no token is spent (M17)
        closing = (
            () if w.maybe_spent else (CloseIntent(attempt.fingerprint),)
        )  # an open intent may be the mark of an earlier attempt
        if w.rechecking:
            w = rechecks.stay_red(w, e.now)
        else:
            w = replace(w, phase=Phase.WAITING, attempt=None, due=e.now.at, trigger=attempt.trigger)
        w, ending = run_deferred(w, e.now)
        return w, (*closing, *ending)
    policy = w.spec.policy
    recent = w.recent
    hurried = w.failing is not None or attempt.trigger in (Trigger.REJECTED, Trigger.RECHECK)
    if hurried and attempt.trigger is not Trigger.MANUAL:  # M8: ordinary refreshes of short-lived tokens don't count
        recent = (*recent, e.now.at)[-schedule.attempts_remembered(policy) :]  # until it proves `not_sent`
    deadline = e.now.at + attempt_limit(login, policy) + DEADLINE_MARGIN
    attempt = replace(attempt, step=Step.SENT, began=e.now, deadline=deadline)
    w = replace(
        w, attempt=attempt, last_attempt_at=e.now.at, recent=recent, keyring=None, keyring_since=None, keyring_tries=0
    )
    return w, (Send(attempt.number, login, attempt.trigger),)


def probe_again(w: Workload, e: Manual | KeyringUp) -> Result:
    """An unlock or *Retry now* during a silent probe: if that probe fails, it was only too early, so probe once more.

    *Retry now* makes the second probe one that may show the keyring's password dialog. After an unlock, the login is
    looked for as well.
    """
    effects = check_stored(w) if isinstance(e, KeyringUp) else ()
    attempt = w.attempt
    if attempt is None or attempt.step is not Step.PROBE or attempt.reprobe_for is Trigger.MANUAL:
        return w, effects
    asked = attempt.trigger is Trigger.MANUAL
    if isinstance(e, Manual):
        return (w if asked else replace(w, attempt=replace(attempt, reprobe_for=Trigger.MANUAL))), effects
    return replace(w, attempt=replace(attempt, reprobe_for=Trigger.DUE if asked else attempt.trigger)), effects


def probe_failed(w: Workload, e: KeyringDown) -> Result:
    """Keyring locked, absent, hanging or failing: no try is counted and no token spent.

    A login that is in memory only is refreshed anyway, because waiting wouldn't make it safer (M10).
    """
    attempt = w.attempt
    if e.attempt is None:  # a read failed, not this probe
        return schedule_write(w, e.now), ()
    if attempt is None or attempt.number != e.attempt or attempt.step is not Step.PROBE:
        return w, ()
    if w.unsaved:
        return send(w, ProbeOk(e.now, attempt.number))
    if w.rechecking:
        w, effects = run_deferred(rechecks.not_begun(w, e.now), e.now)
        return w, (Note("attempt", "store_failed", attempt.trigger), *effects)
    in_doubt = may_be_rescued(w, e.now.at)
    w = replace(
        w,
        phase=Phase.WAITING,
        attempt=None,
        keyring=e.trouble,
        keyring_since=w.keyring_since if w.keyring_since is not None else e.now.at,
        keyring_tries=w.keyring_tries + 1,
        due=e.now.at + (0.0 if attempt.reprobe_for else keyring_retry_wait(w.keyring_tries, in_doubt=in_doubt)),
        trigger=attempt.reprobe_for or (Trigger.DUE if attempt.trigger is Trigger.MANUAL else attempt.trigger),
    )
    w, effects = run_deferred(w, e.now)
    return w, (Note("attempt", "store_failed", attempt.trigger), *effects)


def finished(w: Workload, e: Finished) -> Result:
    """The outcome of the attempt in flight; any other one is late."""
    attempt = w.attempt
    if attempt is None or attempt.number != e.attempt or attempt.step is not Step.SENT:
        return late(w, e)
    e = replace(e, outcome=without_ended_token(e.outcome))
    if w.spec.dpop and w.login is not None and w.login.proof_key is not None:  # a person wants no others
        e = replace(e, outcome=without_plain_token(e.outcome))
    w, effects = _by_outcome(w, e, attempt)
    problem = None if isinstance(e.outcome, Refreshed) else e.outcome.problem
    return w, (Note("attempt", OUTCOME_WORDS[type(e.outcome)], attempt.trigger, problem), *effects)


def _by_outcome(w: Workload, e: Finished, attempt: Attempt) -> Result:
    """Token, verdict, or neither."""
    w = replace(w, last_outcome=OUTCOME_WORDS[type(e.outcome)])
    match e.outcome:
        case Refreshed():
            return _refreshed(w, e, e.outcome)
        case Refused():
            return _refused(w, e, e.outcome.problem)
        case NotSent() | Ambiguous() | ServerBusy():
            return _failed(w, e, e.outcome, attempt)
        case _:
            assert_never(e.outcome)


def _refreshed(w: Workload, e: Finished, outcome: Refreshed) -> Result:
    """Store a rotated login (RULES.md section 4, step 4); its access token is served meanwhile."""
    now = e.now
    sent_at = now.at if w.attempt is None else w.attempt.began.at  # the answer may have been long on its way (M1)
    expires_at = None if outcome.expires_in is None else sent_at + min(outcome.expires_in, w.spec.policy.lifetime_cap)
    expires_wall = None if expires_at is None else now.wall + (expires_at - now.at)
    key = w.login.proof_key if w.login is not None and outcome.bound else None
    access = AccessToken(e.serial, outcome.access_token, now.at, expires_at, expires_wall, proof_key=key)
    w = replace(
        w,
        access=access,
        failing=None,
        maybe_spent=False,
        signed_out=None,
        combination="",
        refusal=None,
        last_error=None,
        last_refreshed_at=now.wall,
        not_before=0.0,
        redirected_to=outcome.redirected_to,
    )
    w, effects = _rotate(w, outcome, now)
    if not effects:
        w, effects = _update_account(w, outcome, now)
    if effects and w.storing is not None:
        attempt = None if w.attempt is None else replace(w.attempt, step=Step.STORING)
        return replace(w, attempt=attempt), effects
    if not effects:
        effects = (CloseIntent(e.fingerprint),)
        if w.unsaved and w.login is not None:  # the token wasn't rotated, and the login is still in memory only
            w, writing = store(w, w.login)
            effects = (*effects, *writing)
    w, ending = run_deferred(enter_valid(w, now), now)
    return w, (*effects, Save(), *ending)


def _refused(w: Workload, e: Finished, problem: Problem) -> Result:
    """A verdict (M5, M9, M16): the login stays in the keyring, unused; a usable access token is served to its end."""
    lost = w.maybe_spent and problem.code == "invalid_grant"
    was_lost = w.signed_out is SignedOut.LOST_ROTATION  # and checked once more
    w = replace(
        w,
        signed_out=SignedOut.LOST_ROTATION if lost or was_lost else SignedOut.REFUSED,
        combination=e.fingerprint,
        refusal=rechecks.refused(w.refusal, problem, e.now),
        lost_rotations=w.lost_rotations + lost,
        maybe_spent=False,
        failing=None,
        last_error=problem,
    )
    w, ending = run_deferred(rechecks.stay_red(w, e.now), e.now)
    return w, (Save(), CloseIntent(e.fingerprint), *ending)  # in this order, so that a crash in between forgets nothing


def _failed(w: Workload, e: Finished, outcome: NotSent | Ambiguous | ServerBusy, attempt: Attempt) -> Result:
    """No token and no verdict: plan the next attempt. A failure that proves nothing doesn't lift the mark (M9)."""
    settled = isinstance(outcome, NotSent) or (isinstance(outcome, ServerBusy) and not outcome.maybe_spent)
    was_marked = w.maybe_spent
    doubtful = not settled
    effects: tuple[Effect, ...] = ()
    if isinstance(outcome, NotSent):
        w = replace(w, recent=tuple(at for at in w.recent if at != attempt.began.at))
    elif attempt.trigger is Trigger.MANUAL:
        w = replace(w, not_before=0.0)  # the server was asked after all
    if isinstance(outcome, ServerBusy):
        wait = schedule.retry_after(outcome.retry_after, w.spec.policy)
        w = replace(w, not_before=w.not_before if outcome.retry_after is None else e.now.at + wait)
        w, effects = _rotate(w, outcome, e.now)
        if effects:  # odd, but it replaces the old token: nothing is in doubt
            doubtful, was_marked = False, False
            w = replace(w, signed_out=None, combination="", refusal=None)  # nor is the new one refused
    marked_at = w.marked_at if was_marked else attempt.began.at
    w = replace(w, maybe_spent=was_marked or doubtful, marked_at=marked_at)
    if settled and not was_marked and not effects:
        effects = (CloseIntent(e.fingerprint),)
    notes: tuple[Effect, ...] = ()
    if w.rechecking:
        w = rechecks.failed(w, outcome.problem, e.now)
    else:
        w, notes = _planned(w, outcome, e.now, e.jitter, attempt.trigger)
    w, ending = run_deferred(w, e.now)
    return w, (*effects, *notes, Save(), *ending)


def _planned(
    w: Workload, outcome: NotSent | Ambiguous | ServerBusy, now: Moment, jitter: float, trigger: Trigger
) -> Result:
    """The workload with its next attempt planned, and a note if the long phase begins here."""
    began_long = not (w.failing and w.failing.exhausted)
    plan = retry.plan(w, outcome, now, jitter)
    w = replace(
        w,
        phase=Phase.WAITING,
        attempt=None,
        failing=plan.failing,
        series=plan.series,
        trigger=plan.trigger,
        due=None if plan.delay is None else now.at + plan.delay,
        last_error=outcome.problem,
    )
    w = replace(w, failing=_with_long_wait(w, plan.failing, now))
    begins = began_long and plan.failing.exhausted
    return w, ((Note("phase", "auth_retrying", trigger, outcome.problem),) if begins else ())


def unreachable(w: Workload, e: Unreachable) -> Result:
    """The way to the server was tried for another workload, and nothing could be sent: that counts here as well (M8).

    A workload of the burst moves one step with the one that tried, any other one only if it was due. Not concerned are
    a person's click, the rescue of a token in doubt (M9), and a network that is newer than that attempt.
    """
    newer = w.nudged_at is not None and w.nudged_at > e.began
    own = w.trigger is Trigger.MANUAL or w.series is Series.AGAIN or w.maybe_spent
    due = w.series is Series.BURST or (w.due is not None and w.due <= e.now.at)
    if newer or own or not due or w.keyring is not None or w.login is None:
        return w, ()
    w, notes = _planned(w, e.outcome, e.now, e.jitter, w.trigger)
    return w, (*notes, Save())


def _with_long_wait(w: Workload, failing: Failing, now: Moment) -> Failing:
    """The outage, with `long_wait` if Retry-After (M12) or M8's limit put the next attempt beyond the short retry (M3).

    The attempts keep their times; only the short retry's silence ends.
    """
    ready = ready_at(w)
    if failing.exhausted or ready is None or w.due is None or ready <= w.due:
        return failing
    tries = failing.tries if w.series is Series.SHORT else 1
    left = schedule.short_retry_left(tries, now.awake - failing.since.awake, w.spec.policy)
    return replace(failing, long_wait=failing.long_wait or ready - now.at > left)


def overdue(w: Workload, e: Time) -> Result:
    """No answer by the attempt's deadline, asleep or awake: it counts as ambiguous, and its connection is closed."""
    attempt = w.attempt
    if attempt is None or attempt.step is not Step.SENT or e.now.at < attempt.deadline:
        return w, ()
    problem = Problem("timeout", "The server took the request and didn't answer in time.")
    lost = Finished(e.now, attempt.number, attempt.fingerprint, attempt.lineage, Ambiguous(problem))
    w, effects = finished(w, lost)
    return w, (Abandon(attempt.number), *effects)


def late(w: Workload, e: Finished) -> Result:
    """An answer that no longer belongs to the attempt in flight: it changes no phase (M11).

    Its refresh token is stored only if it replaces the very token still held; once another answer has replaced that
    one, the late answer can only be older.
    """
    if w.login is None or w.login.lineage != e.lineage or w.login.fingerprint() != e.fingerprint:
        return w, ()
    match e.outcome:
        case Refreshed() as outcome:
            w, effects = _rotate(w, outcome, e.now)
            return (replace(w, maybe_spent=False), (*effects, Note("attempt", "late"))) if effects else (w, ())
        case Ambiguous():
            return (replace(w, maybe_spent=True, marked_at=e.now.at) if w.phase in PHASES_THAT_USE_THE_TOKEN else w), ()
        case _:
            return w, ()


def _rotate(w: Workload, outcome: Refreshed | ServerBusy, now: Moment) -> Result:
    """Store the next generation; no effect if the server sent no different refresh token."""
    token = outcome.refresh_token
    if w.login is None or token is None or token == w.login.refresh_token:
        return w, ()
    scope = outcome.scope if isinstance(outcome, Refreshed) else None
    return _store_next(w, replace(w.login.rotated(token, now.wall, scope), account=_account(w.login, outcome, now)))


def _update_account(w: Workload, outcome: Refreshed, now: Moment) -> Result:
    """Store the same refresh token with another account, as the next generation; no effect if it is the same one."""
    if w.login is None or not w.slots_read or (account := _account(w.login, outcome, now)) == w.login.account:
        return w, ()
    return _store_next(w, replace(w.login, account=account))


def _account(login: Login, outcome: Refreshed | ServerBusy, now: Moment) -> str:
    """The account after this answer. Only one that nobody on the way can have written may change it."""
    if not isinstance(outcome, Refreshed) or not outcome.verified:
        return login.account
    return refreshed_account(login, outcome.id_token, now.wall)


def _store_next(w: Workload, login: Login) -> Result:
    login = replace(login, generation=w.highest_generation + 1)
    return store(replace(w, highest_generation=login.generation), login)
