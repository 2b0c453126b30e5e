"""Logins without a refresh token: the access token itself is the login, until its end or a confirmed 401.

Some servers (GitHub's OAuth apps, Slack without token rotation) give only an access token, which lasts a year or for ever.
It is kept in the keyring and served as it is (RULES.md section 6). No attempt is ever made with such a login: it is never
`waiting` or `refreshing`, and never in doubt. Actions of `machine.TABLE`.
"""

from __future__ import annotations

from dataclasses import replace

from trayapp.core.deadlines import login_ends_at
from trayapp.core.messages import Effect, Event, Note, Rejected, Save
from trayapp.core.model import AccessToken, Login, Moment, Phase, Problem, Secret, SignedOut, Workload
from trayapp.core.storing import Result, enter_signed_out, enter_valid, write_if_unsaved

LIFE_MAX = 100 * 365.25 * 86400.0  # s; what claims to last longer has no known end
REMIND_BEFORE = 86400.0  # s before its end that a person is reminded
REMIND_FRACTION = 0.5  # of its life at most: a token of an hour is no reason to remind right after the sign-in
INVALID = "invalid_token"  # RFC 6750 section 3.1: expired, revoked, malformed, or invalid for other reasons
CONFIRMATIONS = 2  # such answers, `rejected_spacing` apart, before the login counts as ended: one may be a mistake
REFUSED = Problem("oauth", "The service no longer accepts this login (invalid_token).", 401, INVALID)


def token_of(login: Login, now: Moment, serial: int) -> AccessToken:
    """The login's access token, on this run's clocks."""
    age = max(0.0, now.wall - login.obtained_at)
    left = None if login.expires_at is None else login.expires_at - now.wall
    ends = None if left is None else now.at + left
    value = login.access_token or Secret("")
    return AccessToken(serial, value, now.at - age, ends, login.expires_at, proof_key=login.proof_key)


def is_over(login: Login, now: Moment) -> bool:
    """Whether it can't be renewed and its end has come, by the wall clock."""
    return not login.renewable and login.expires_at is not None and now.wall >= login.expires_at


def remind_at(login: Login) -> float | None:
    """When (wall) a person is reminded of its end; None: never."""
    if login.renewable or login.expires_at is None:
        return None
    life = max(0.0, login.expires_at - login.obtained_at)
    return login.expires_at - min(REMIND_BEFORE, REMIND_FRACTION * life)


def serve(w: Workload, now: Moment, serial: int) -> Result:
    """Serve the access token of a login that was read from the keyring; red immediately if its end has come."""
    if w.login is None:
        return w, ()
    return _end_if_over(enter_valid(replace(w, access=token_of(w.login, now, serial)), now), now)


def try_again(w: Workload, now: Moment, serial: int) -> Result:
    """*Retry now* after a verdict (M7): serve the token once more. The next `invalid_token` confirms the verdict."""
    w, ending = serve(w, now, serial)
    if w.phase is not Phase.VALID:
        return w, ending
    return replace(w, rejections=((now.at, INVALID),), strikes=1, refusal=None), (Save(), Note("phase", "retried"))


def time_valid(w: Workload, e: Event) -> Result:
    """A deadline in phase `valid`: the end of a login that can't be renewed, or the next write of an unsaved one."""
    w, ending = _end_if_over(w, e.now)
    w, effects = write_if_unsaved(w, e)
    return w, (*ending, *effects)


def clock_read(w: Workload, now: Moment) -> Result:
    """Its end is wall time, and the wall clock may have been set."""
    if w.login is None or w.login.renewable or w.access is None:
        return w, ()
    token = token_of(w.login, now, w.access.serial)
    return _end_if_over(replace(w, access=replace(token, rejected=w.access.rejected)), now)


def _end_if_over(w: Workload, now: Moment) -> Result:
    ends = login_ends_at(w)
    if ends is None or now.at < ends:
        return w, ()
    return enter_signed_out(w, SignedOut.ENDED), (Save(), Note("phase", "ended"))


def rejected(w: Workload, e: Rejected) -> Result:
    """The upstream answered 401. There is no other token, so it stays in use until a second request confirms that.

    Only `invalid_token` ends the login. Anything else may be about the request, or a mistake: after `strikes` of them in a
    row the workload is unhealthy (M18), and any 2xx clears that.
    """
    access, login, policy = w.access, w.login, w.spec.policy
    if access is None or login is None or access.serial != e.serial:
        return w, ()
    if w.rejections and e.now.at - w.rejections[-1][0] < policy.rejected_spacing:
        return w, ()  # the same moment, asked again: it confirms nothing
    rejections = (*w.rejections, (e.now.at, e.code))[-max(policy.strikes, CONFIRMATIONS) :]
    w = replace(w, rejections=rejections, strikes=min(w.strikes + 1, policy.strikes))
    if [code for _, code in rejections].count(INVALID) < CONFIRMATIONS:
        return w, ()
    w = replace(
        enter_signed_out(w, SignedOut.REFUSED),
        access=replace(access, rejected=True),
        combination=login.fingerprint(),
        last_error=REFUSED,
        rejections=(),
        strikes=0,
    )
    effects: tuple[Effect, ...] = (Save(), Note("phase", "refused", problem=REFUSED))
    return w, effects
