"""Checking a refusal again (M7): twice within an hour where that can do no harm, and whenever a person asks.

A check is an attempt in phase `refreshing` during which `signed_out` stays set: the status doesn't change until the server
accepts the login. A check that fails for any other reason than a verdict proves nothing and plans nothing.
"""

from __future__ import annotations

from dataclasses import replace

from trayapp.core import schedule
from trayapp.core.model import Moment, Problem, SignedOut, Trigger, Workload
from trayapp.core.quirks import may_recheck
from trayapp.core.refusal import CLIENT_CODES, Refusal
from trayapp.core.storing import enter_signed_out

RECHECKS = (600.0, 3600.0)  # s after the refusal
KEYRING = Problem("keyring", "The keyring can't be used, so the login wasn't tried.")


def refused(before: Refusal | None, problem: Problem, now: Moment) -> Refusal:
    """The record of a verdict. A repeated one keeps the time and the count of the first."""
    if before is None:
        return Refusal(now.wall, problem.code, problem.summary)
    return replace(before, code=problem.code, summary=problem.summary, checked_at=now.wall)


def stay_red(w: Workload, now: Moment) -> Workload:
    """Enter phase `signed_out` with the verdict that is known, and plan the next automatic check, if there is one."""
    w = enter_signed_out(w, w.signed_out or SignedOut.REFUSED)
    return replace(w, due=_next_check(w, now), trigger=Trigger.RECHECK)


def failed(w: Workload, problem: Problem, now: Moment) -> Workload:
    """The check came to neither a token nor a verdict: the refusal stands."""
    refusal = None if w.refusal is None else replace(w.refusal, checked_at=now.wall)
    return stay_red(replace(w, last_error=problem, refusal=refusal), now)


def not_begun(w: Workload, now: Moment) -> Workload:
    """The keyring was in the way. A click or an unlock while a silent probe ran makes up for it."""
    attempt = w.attempt
    asked = attempt is not None and Trigger.MANUAL in (attempt.trigger, attempt.reprobe_for)
    again = asked and attempt is not None and attempt.reprobe_for is not None
    w = stay_red(replace(w, last_error=KEYRING), now)
    return replace(w, due=now.at, trigger=Trigger.MANUAL) if again else w


def asked_for(w: Workload, now: Moment) -> Workload:
    """A person asked for a check: one attempt, spaced like any *Retry now* (M8)."""
    if w.login is None or not w.login.renewable:
        return w
    return replace(w, due=schedule.manual_attempt(w.last_attempt_at, now.at, w.spec.policy), trigger=Trigger.MANUAL)


def counted(w: Workload, now: Moment) -> Workload:
    """An automatic check begins. Those missed meanwhile, asleep or switched off, are made up for by this one."""
    refusal = w.refusal
    if refusal is None or w.trigger is not Trigger.RECHECK:
        return w
    passed = sum(now.wall >= refusal.at + after for after in RECHECKS)
    return replace(w, refusal=replace(refusal, checks=max(refusal.checks + 1, passed)))


def _next_check(w: Workload, now: Moment) -> float | None:
    """When (`at`) the next automatic check is due; None: never. A set clock delays it by `RECHECKS[-1]` at most."""
    refusal = w.refusal
    if refusal is None or refusal.checks >= len(RECHECKS) or not _harmless(w, refusal):
        return None
    at = refusal.at + RECHECKS[refusal.checks]
    if refusal.checked_at is not None:
        at = max(at, refusal.checked_at + RECHECKS[0])
    return now.at + min(max(at - now.wall, 0.0), RECHECKS[-1])


def _harmless(w: Workload, refusal: Refusal) -> bool:
    """Whether sending the token again unasked can't end a login that lives elsewhere (RFC 9700 section 4.14.2).

    A server that rotates takes the second use of a token for a theft, so only a token that was never rotated is sent, or
    one that the server can't have looked at.
    """
    login = w.login
    if login is None or not login.renewable or w.maybe_spent or w.signed_out is not SignedOut.REFUSED:
        return False
    known_safe = refusal.code in CLIENT_CODES or login.fingerprint() == w.original
    return known_safe and may_recheck(login.token_endpoint)
