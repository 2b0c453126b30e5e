"""Public status of a workload, derived from its state, the gate and the clocks; nothing of it is stored.

The machine keeps the phase; status, detail, colour and every time shown are functions of it (RULES.md section 2).
`next_change` says when one of them changes by time alone. Instants named `at` are converted to wall time by `now`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import TypedDict

from trayapp.core import access_only, schedule, sentences
from trayapp.core.deadlines import by_hand, opens_at
from trayapp.core.gate import Gate
from trayapp.core.id_claims import account_text
from trayapp.core.model import Moment, Phase, SignedOut, Step, Trigger, Trouble, Workload
from trayapp.core.permission import Needs
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.snapshot import AuthView, Detail, Health, Status, Unavailable, WorkloadView

SHOWN_TIME_TOLERANCE = 0.5  # s; the clocks drift by microseconds: a time that moved by less counts as unchanged
EXPIRY_EPSILON = 0.001  # s; a token stops being usable between two floats, so look just after it, never before
WITHHELD = frozenset({Status.STOPPED, Status.REMOVING, Status.ERROR})  # no token is served, whether there is one or not
REAUTH_RETRY_AFTER = 60  # s; M15: a person is needed, so clients needn't hurry


@dataclass(frozen=True, slots=True)
class StatusStyle:
    """How a status is drawn, and its health in vMCP's terms."""

    colour: Colour
    glyph: Glyph
    health: Health


AMBER = StatusStyle(Colour.AMBER, Glyph.RETRY, Health.DEGRADED)
BLUE = StatusStyle(Colour.BLUE, Glyph.OPEN, Health.UNKNOWN)
UNKNOWN = StatusStyle(Colour.GREY, Glyph.QUESTION, Health.UNKNOWN)
STYLES: Mapping[str, StatusStyle] = {
    Status.RUNNING: StatusStyle(Colour.GREEN, Glyph.TICK, Health.HEALTHY),
    Status.AUTH_RETRYING: AMBER,
    Status.UNAUTHENTICATED: StatusStyle(Colour.RED, Glyph.WARNING, Health.UNAUTHENTICATED),
    Status.ERROR: StatusStyle(Colour.RED, Glyph.CROSS, Health.UNHEALTHY),
    Status.UNHEALTHY: StatusStyle(Colour.RED, Glyph.CROSS, Health.UNHEALTHY),
    Status.STARTING: BLUE,
    Status.STOPPED: StatusStyle(Colour.GREY, Glyph.SQUARE, Health.UNHEALTHY),
    Status.POLICY_STOPPED: StatusStyle(Colour.GREY, Glyph.SQUARE, Health.UNHEALTHY),
    Status.STOPPING: StatusStyle(Colour.GREY, Glyph.SQUARE, Health.UNHEALTHY),
    Status.REMOVING: StatusStyle(Colour.GREY, Glyph.SQUARE, Health.UNHEALTHY),
    Status.UNKNOWN: UNKNOWN,
}


def style_of(status: str) -> StatusStyle:
    """How a status is drawn; one we don't know is drawn as unknown."""
    return STYLES.get(status, UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What both status and detail depend on."""

    usable: bool  # there is a usable token (M1)
    impossible: bool  # no attempt can be made: gate or keyring
    held: bool  # and that for long enough to say so (M3)
    exhausted: bool  # the short retry is used up (M2)
    outlasted: bool  # a wait that was imposed on us reaches beyond it (M3)
    late: bool  # the refresh is past due, or has failed


def _facts(w: Workload, gate: Gate, now: Moment) -> _Facts:
    policy = w.spec.policy
    since = _impossible_since(w, gate)
    return _Facts(
        usable=w.access is not None and w.access.usable(now.at, policy.usable_margin),
        impossible=since is not None,
        held=since is not None and now.at >= since + policy.impossible_grace,
        exhausted=w.failing is not None and w.failing.exhausted,
        outlasted=now.at < w.not_before if w.failing is None else w.failing.long_wait,
        late=w.failing is not None or (w.due is not None and now.at >= w.due),
    )


def _impossible_since(w: Workload, gate: Gate) -> float | None:
    """Since when (`at`) no attempt can be made; None if one can. Settling passes quickly and doesn't count (M3)."""
    since = []
    if w.keyring is not None:
        since.append(w.keyring_since or 0.0)
    if gate.blocked(w.loopback):
        since.append(gate.closed_since or 0.0)
    return min(since, default=None)


def _status(w: Workload, facts: _Facts) -> Status:
    """The public status (RULES.md section 2, M3). What a person or a server decided comes before the network's state."""
    if w.after == "remove":
        return Status.REMOVING
    if w.phase is Phase.PAUSED or w.after == "pause":
        return Status.STOPPED
    if w.phase is Phase.BROKEN:
        return Status.ERROR
    if w.phase is Phase.SIGNED_OUT or w.rechecking:
        return Status.UNAUTHENTICATED  # M5: immediately, even while the last token still works
    if w.strikes >= w.spec.policy.strikes:
        return Status.UNHEALTHY
    if facts.usable:
        return Status.RUNNING
    if w.failing is not None and w.failing.gave_up:
        return Status.UNAUTHENTICATED
    if facts.exhausted or facts.outlasted or facts.held:
        return Status.AUTH_RETRYING
    return Status.STARTING if w.access is None else Status.RUNNING


_SIGNED_OUT_DETAILS: Mapping[SignedOut | None, Detail] = {
    SignedOut.REFUSED: Detail.REFUSED,
    SignedOut.LOST_ROTATION: Detail.LOST_ROTATION,
    SignedOut.ENDED: Detail.ENDED,
}


def _detail(w: Workload, status: Status, facts: _Facts, gate: Gate, now: Moment) -> Detail:
    """The first that holds, in the order of `Detail`. What was decided goes before what is only in the way: no unlock
    and no network would let it continue."""
    match status:
        case Status.REMOVING:
            return Detail.OK
        case Status.ERROR:
            return Detail.CONFIRM_CHANGE if w.confirm is not None else Detail.CONFIG_ERROR
        case Status.UNAUTHENTICATED if w.phase is Phase.SIGNED_OUT or w.rechecking:
            return _SIGNED_OUT_DETAILS.get(w.signed_out, Detail.NEVER_SIGNED_IN)
        case _ if _write_failed(w):
            return Detail.NOT_STORED
        case Status.STOPPED:
            return Detail.PAUSED
        case _ if w.keyring is not None:
            return Detail.KEYRING_LOCKED if w.keyring is Trouble.LOCKED else Detail.KEYRING_UNAVAILABLE
        case Status.UNHEALTHY:
            return Detail.UPSTREAM_REJECTS
        case Status.UNAUTHENTICATED:
            return Detail.CEILING
        case _:
            return _waiting_detail(w, facts, gate, now)


def _write_failed(w: Workload) -> bool:
    """Whether a write of the newest login failed; one that is still under way isn't worth reporting."""
    on_its_way = w.keyring_tries == 0 and (w.attempt is None or w.attempt.step is Step.STORING)
    return w.unsaved and not on_its_way


def _waiting_detail(w: Workload, facts: _Facts, gate: Gate, now: Moment) -> Detail:
    """What a workload that nobody stopped waits for. Behind a usable token the short retry isn't shown (M2)."""
    if not facts.usable or facts.exhausted or (facts.held and facts.late):
        if (reason := gate.reason(now.at, w.loopback)) is not None:
            return reason
        if now.at < w.not_before and w.trigger is not Trigger.MANUAL:
            return Detail.SERVER_SAID_WAIT
    if facts.usable:
        return Detail.REFRESH_DELAYED if facts.exhausted else _beyond_login(w)
    if w.failing is not None:
        return Detail.RETRYING
    return Detail.STARTING if w.access is None else Detail.REFRESH_DELAYED


def _beyond_login(w: Workload) -> Detail:
    """All is well with the login; what the upstream wants beyond it is for a person to grant."""
    if w.needs is None:
        return Detail.OK
    return Detail.PERMISSION_NEEDED if w.needs.permission else Detail.STRONGER_SIGN_IN


def _style(w: Workload, status: Status, facts: _Facts) -> StatusStyle:
    """How a workload is drawn: amber without a usable token and without a verdict, even while it is still `running`."""
    style_of_status = style_of(status)
    if status is Status.UNAUTHENTICATED and (w.signing_in or w.signed_out is SignedOut.NEVER):
        return BLUE
    not_well = w.failing is not None or facts.impossible
    if (status is Status.RUNNING and not facts.usable) or (status is Status.STARTING and not_well):
        return StatusStyle(AMBER.colour, AMBER.glyph, style_of_status.health)
    return style_of_status


def derive(w: Workload, gate: Gate, now: Moment, before: WorkloadView | None = None) -> WorkloadView:
    """The public view at `now`. `before` is the previous one: an unchanged status and detail keep their `since`."""
    facts = _facts(w, gate, now)
    status = _status(w, facts)
    detail = _detail(w, status, facts, gate, now)
    style = _style(w, status, facts)
    same = before is not None and (before.status, before.auth.detail) == (status, detail)
    return WorkloadView(
        name=w.spec.name,
        url=w.spec.url,
        status=status,
        status_context=sentences.context(w, status, detail, facts.usable),
        health=style.health,
        colour=style.colour,
        glyph=style.glyph,
        auth=_auth(
            w, gate, now, detail, facts.usable and status not in WITHHELD, before.auth if before else None, same
        ),
        kind=w.spec.kind,
    )


def _auth(
    w: Workload, gate: Gate, now: Moment, detail: Detail, usable: bool, before: AuthView | None, same: bool
) -> AuthView:
    failing = w.failing
    return AuthView(
        detail=detail,
        since=before.since if before and same else now.wall,
        attempts=failing.total if failing else 0,
        last_outcome=w.last_outcome or None,
        last_error=w.last_error,
        last_trigger=str(w.last_trigger) if w.last_trigger else None,
        next_attempt_at=_unless_same(_wall_of(_next_attempt(w, gate), now), before.next_attempt_at if before else None),
        ceiling_at=_unless_same(_ceiling_at(w, now), before.ceiling_at if before else None),
        usable=usable,
        token_expires_at=_unless_same(_expires(w, now), before.token_expires_at if before else None),
        retrying_since=failing.retrying_since if failing else None,
        last_refreshed_at=w.last_refreshed_at,
        lost_rotations=w.lost_rotations,
        signing_in=w.signing_in,
        device=w.device,
        browser_fault=w.browser_fault,
        sign_in_error=w.sign_in_error,
        sign_in_warning=w.sign_in_warning,
        redirected_to=w.redirected_to.partition("?")[0],
        refused_at=w.refusal.at if w.refusal else None,
        rechecked_at=w.refusal.checked_at if w.refusal else None,
        **_login_facts(w, now),
        unsaved=_write_failed(w),
    )


class _LoginFacts(TypedDict, total=False):
    renewable: bool
    bound: bool
    login_ends_at: float | None
    ends_soon: bool
    missing_scopes: tuple[str, ...]
    reauthorize_scopes: tuple[str, ...]
    account: str


def _login_facts(w: Workload, now: Moment) -> _LoginFacts:
    """Whose login it is, and what a person should know of one that lacks something."""
    if w.login is None:
        return _LoginFacts()
    proof_key = w.login.proof_key if w.access is None else w.access.proof_key  # a refresh may have given a plain token
    facts = _LoginFacts(account=account_text(w.login.account), bound=proof_key is not None)
    if not w.login.renewable:
        remind_at = access_only.remind_at(w.login)
        soon = remind_at is not None and now.wall >= remind_at
        facts |= {"renewable": False, "login_ends_at": w.login.expires_at, "ends_soon": soon}
    if w.needs is not None:
        asked = w.needs.beyond(" ".join((w.login.scope, *w.spec.scopes)))
        facts |= {"missing_scopes": w.needs.missing(w.login.scope), "reauthorize_scopes": asked.scopes}
    return facts


def _next_attempt(w: Workload, gate: Gate) -> float | None:
    """When the next attempt begins; None: not known. A blocked gate may open any moment, and what M10 tries in spite of
    it is nothing to wait for."""
    return None if gate.blocked(w.loopback) and not by_hand(w) else opens_at(w, gate)


def _wall_of(at: float | None, now: Moment) -> float | None:
    return None if at is None else now.wall + (at - now.at)


def _unless_same(new: float | None, old: float | None) -> float | None:
    return old if new is not None and old is not None and abs(new - old) < SHOWN_TIME_TOLERANCE else new


def _expires(w: Workload, now: Moment) -> float | None:
    """Wall time at which the token expires; None without a token, without an expiry, or if it was rejected."""
    if w.access is None or w.access.rejected:
        return None
    return _wall_of(w.access.expires_at, now)


def _ceiling_at(w: Workload, now: Moment) -> float | None:
    """Wall time of the ceiling if the machine stays awake and online; None while it isn't counting (M6)."""
    failing = w.failing
    if failing is None or not failing.exhausted or failing.gave_up or failing.counting_from is None:
        return None
    return now.wall + max(0.0, w.spec.policy.ceiling - schedule.counted(failing, now.awake))


def next_change(w: Workload, gate: Gate, now: Moment, view: WorkloadView | None = None) -> float | None:
    """The next instant (`at`) at which `derive` changes by time alone; None if there is none. `view` is the present one.

    Only a few instants can matter, so each of them is simply tried.
    """
    policy = w.spec.policy
    instants = [w.due, w.not_before, gate.settles_at()]
    if w.access is not None and (ends := w.access.ends_at(policy.usable_margin)) is not None:
        instants.append(ends + EXPIRY_EPSILON)
    if (since := _impossible_since(w, gate)) is not None:
        instants.append(since + policy.impossible_grace)
    if w.login is not None and (remind_at := access_only.remind_at(w.login)) is not None:
        instants.append(now.at + (remind_at - now.wall) + EXPIRY_EPSILON)
    view = view or derive(w, gate, now)
    later = sorted(at for at in instants if at is not None and at > now.at)
    return next((at for at in later if derive(w, gate, _moment_at(now, at), view) != view), None)


def _moment_at(now: Moment, at: float) -> Moment:
    passed = at - now.at
    return Moment(at, now.awake + passed, now.wall + passed)


_ERROR_WORDS: Mapping[Status, str] = {
    Status.UNAUTHENTICATED: "reauth_required",
    Status.STOPPED: "stopped",
    Status.REMOVING: "stopped",
    Status.ERROR: "config_error",
    Status.UNHEALTHY: "upstream_rejects",
    Status.STARTING: "starting",
}


def unavailable(w: Workload, view: WorkloadView, gate: Gate, now: Moment) -> Unavailable:
    """The answer to a caller that gets no token (M15, M17, M18)."""
    return Unavailable(
        error=_ERROR_WORDS.get(view.status, "retrying"),
        status=view.status,
        detail=view.auth.detail,
        since=view.auth.since,
        retry_after=_retry_after(w, view.status, gate, now),
        next_attempt_at=view.auth.next_attempt_at,
        help=sentences.help_for(view),
    )


def not_permitted(w: Workload, view: WorkloadView, needs: Needs) -> Unavailable:
    """The answer to a caller whose request needs more than this login grants (RULES.md section 7)."""
    missing = needs.missing(w.login.scope if w.login else "")
    return _with_token("permission_needed", view, sentences.permission_help(view.name, needs, missing), None)


def doubted(w: Workload, view: WorkloadView) -> Unavailable:
    """The answer to a caller whose request the upstream answered by 401, where no other token can be had."""
    wait = ceil(w.spec.policy.rejected_spacing)
    return _with_token("upstream_rejects", view, sentences.DOUBTED.format(name=view.name), wait)


def _with_token(error: str, view: WorkloadView, text: str, retry_after: int | None) -> Unavailable:
    """There is a token, but it gets this request no answer."""
    return Unavailable(error, view.status, view.auth.detail, view.auth.since, retry_after, None, text)


def _retry_after(w: Workload, status: Status, gate: Gate, now: Moment) -> int | None:
    """Retry-After in whole seconds (M15); None if retrying is no use until a person acts (M17)."""
    if status in (Status.STOPPED, Status.REMOVING):
        return None
    if status in (Status.UNAUTHENTICATED, Status.ERROR):
        return REAUTH_RETRY_AFTER
    if w.attempt is not None:  # its outcome is near
        return schedule.hot_retry_after(now.at + w.spec.policy.hot_wait, now.at)
    return schedule.hot_retry_after(_next_attempt(w, gate), now.at)
