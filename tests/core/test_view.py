"""What people see of a workload, derived: tables of states against status, detail, look and golden sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.core import gate as gates
from trayapp.core.face import Colour, Detail, Glyph, Health, Status, WorkloadView
from trayapp.core.gate import Gate
from trayapp.core.model import (
    AccessToken,
    Attempt,
    Failing,
    Login,
    Moment,
    Phase,
    Policy,
    Problem,
    Secret,
    Series,
    SignedOut,
    Spec,
    Step,
    Trigger,
    Trouble,
    Workload,
)
from trayapp.core.view import derive, look, next_change, unavailable
from trayapp.core.words import duration, help_for

NOW = Moment(at=1000.0, awake=900.0, wall=1_700_000_000.0)
SPEC = Spec("jira", "https://jira.example/mcp", token_endpoint="https://login.example/token")
LOGIN = Login(1, "l", Secret("rt"), 0.0, "https://login.example/token", "client")
OPEN = Gate()
OFFLINE = gates.network(OPEN, 980.0, offline=True)
JUST_OFFLINE = gates.network(OPEN, 995.0, offline=True)
PORTAL = gates.network(OPEN, 980.0, offline=False, portal=True)
ASLEEP = gates.sleep_soon(OPEN, 999.0)
SETTLING = gates.woke(OPEN, 998.0)  # until 1001
PAGE = Problem("http", "The server answered 403 with a web page: firewall, VPN or captive portal?", 403)
NO = Problem("oauth", "The server no longer accepts this login (invalid_grant).", 400, "invalid_grant")


def token(left: float | None = 600.0, rejected: bool = False) -> AccessToken:
    return AccessToken(1, Secret("at"), 900.0, None if left is None else NOW.at + left, None, rejected)


def outage(**changes: Any) -> Failing:
    return replace(Failing(since=Moment(950.0, 850.0, NOW.wall - 50.0), tries=1, total=1), **changes)


def work(phase: Phase = Phase.WAITING, **changes: Any) -> Workload:
    return replace(Workload(SPEC, phase=phase, login=LOGIN), **changes)


LONG = outage(exhausted=True, retrying_since=NOW.wall - 40.0, total=5)
GONE = outage(exhausted=True, gave_up=True, total=150)
FLIGHT = Attempt(3, Trigger.TICK, Step.SENT, NOW, "f", "l")
VALID = work(Phase.VALID, access=token(), due=1300.0)
SHORT = work(failing=outage(), access=token(-5.0), last_error=PAGE, due=1010.0, series=Series.SHORT)
AMBER = work(failing=LONG, access=token(-5.0), last_error=PAGE, due=1200.0, series=Series.TICK)
START = work(due=1000.0)

STATES: list[tuple[str, Workload, Gate, Status, Detail, str]] = [
    ("all is well", VALID, OPEN, Status.RUNNING, Detail.OK, ""),
    ("a token without end", replace(VALID, access=token(None), due=None), OPEN, Status.RUNNING, Detail.OK, ""),
    ("offline does not matter while nothing is due", VALID, OFFLINE, Status.RUNNING, Detail.OK, ""),
    ("nor does settling", replace(VALID, due=990.0), SETTLING, Status.RUNNING, Detail.OK, ""),
    (
        "past due and offline",
        replace(VALID, due=990.0),
        OFFLINE,
        Status.RUNNING,
        Detail.OFFLINE,
        "There is no network; Amberlight goes on by itself when it is back.",
    ),
    ("past due and offline for a moment", replace(VALID, due=990.0), JUST_OFFLINE, Status.RUNNING, Detail.OK, ""),
    ("the short retry behind a token is unseen", replace(SHORT, access=token()), OPEN, Status.RUNNING, Detail.OK, ""),
    (
        "exhausted behind a token",
        replace(AMBER, access=token()),
        OPEN,
        Status.RUNNING,
        Detail.REFRESH_DELAYED,
        "Works, but its token could not be renewed yet, trying again by itself: the server answered 403 with a web page: "
        "firewall, VPN or captive portal?",
    ),
    (
        "gave up, but the token still works",
        work(failing=GONE, access=token()),
        OPEN,
        Status.RUNNING,
        Detail.REFRESH_DELAYED,
        "Works, but its token could not be renewed yet, trying again by itself: waiting for the next attempt.",
    ),
    (
        "the upstream rejected the token",
        work(access=token(rejected=True)),
        OPEN,
        Status.RUNNING,
        Detail.REFRESH_DELAYED,
        "Its token is being renewed.",
    ),
    (
        "the short retry",
        SHORT,
        OPEN,
        Status.RUNNING,
        Detail.RETRYING,
        "Cannot refresh now, trying again by itself: the server answered 403 with a web page: firewall, VPN or captive "
        "portal?",
    ),
    (
        "the short retry at a start",
        replace(SHORT, access=None, last_error=None),
        OPEN,
        Status.STARTING,
        Detail.RETRYING,
        "Cannot refresh now, trying again by itself: waiting for the next attempt.",
    ),
    (
        "the long phase",
        AMBER,
        OPEN,
        Status.AUTH_RETRYING,
        Detail.RETRYING,
        "Cannot refresh now, trying again by itself: the server answered 403 with a web page: firewall, VPN or captive "
        "portal?",
    ),
    (
        "the server said when",
        replace(AMBER, not_before=1500.0),
        OPEN,
        Status.AUTH_RETRYING,
        Detail.SERVER_SAID_WAIT,
        "The server asked to wait; Amberlight tries again by itself after that.",
    ),
    (
        "the portal",
        AMBER,
        PORTAL,
        Status.AUTH_RETRYING,
        Detail.PORTAL,
        "This network wants you to sign in first: open any web page to do so; Amberlight goes on by itself.",
    ),
    (
        "sleep comes",
        AMBER,
        ASLEEP,
        Status.AUTH_RETRYING,
        Detail.SLEEPING,
        "The computer is about to sleep; Amberlight goes on when it wakes.",
    ),
    (
        "settling",
        SHORT,
        SETTLING,
        Status.RUNNING,
        Detail.SETTLING,
        "The network has just changed; Amberlight tries in a moment.",
    ),
    ("starting", START, OPEN, Status.STARTING, Detail.STARTING, "Starting with the saved login."),
    ("reading", work(Phase.LOADING), OPEN, Status.STARTING, Detail.STARTING, "Starting with the saved login."),
    (
        "starting offline, at first",
        START,
        JUST_OFFLINE,
        Status.STARTING,
        Detail.OFFLINE,
        "There is no network; Amberlight goes on by itself when it is back.",
    ),
    (
        "starting offline, then",
        START,
        OFFLINE,
        Status.AUTH_RETRYING,
        Detail.OFFLINE,
        "There is no network; Amberlight goes on by itself when it is back.",
    ),
    (
        "the keyring is locked at a start",
        work(Phase.LOADING, keyring=Trouble.LOCKED, keyring_since=985.0),
        OPEN,
        Status.AUTH_RETRYING,
        Detail.KEYRING_LOCKED,
        "The keyring is locked: unlock it, and Amberlight goes on by itself.",
    ),
    (
        "the keyring has just been found locked",
        work(Phase.LOADING, keyring=Trouble.LOCKED, keyring_since=999.0),
        OPEN,
        Status.STARTING,
        Detail.KEYRING_LOCKED,
        "The keyring is locked: unlock it, and Amberlight goes on by itself.",
    ),
    (
        "the keyring hangs behind a token",
        work(access=token(), keyring=Trouble.HANGING, keyring_since=900.0),
        OFFLINE,
        Status.RUNNING,
        Detail.KEYRING_UNAVAILABLE,
        "The keyring does not answer: look for a window that asks for its password; Amberlight tries again by itself.",
    ),
    (
        "no keyring",
        work(keyring=Trouble.UNAVAILABLE),
        OPEN,
        Status.AUTH_RETRYING,
        Detail.KEYRING_UNAVAILABLE,
        "No safe keyring was found: start one (GNOME Keyring, KWallet, …), and Amberlight goes on by itself.",
    ),
    (
        "a failing keyring",
        work(keyring=Trouble.FAILED, keyring_since=0.0),
        OPEN,
        Status.AUTH_RETRYING,
        Detail.KEYRING_UNAVAILABLE,
        "The keyring answered with an error; Amberlight tries again by itself.",
    ),
    (
        "the write failed",
        replace(VALID, unsaved=True, keyring_tries=1, store_at=1060.0),
        OPEN,
        Status.RUNNING,
        Detail.NOT_STORED,
        "The newest login could not be saved in the keyring and is held in memory only: keep Amberlight running; it tries "
        "again by itself.",
    ),
    ("a write under way", replace(VALID, unsaved=True, storing=2), OPEN, Status.RUNNING, Detail.OK, ""),
    (
        "a rotation under way",
        replace(VALID, phase=Phase.REFRESHING, unsaved=True, storing=2, attempt=replace(FLIGHT, step=Step.STORING)),
        OPEN,
        Status.RUNNING,
        Detail.OK,
        "",
    ),
    (
        "refreshed while still unsaved",
        replace(VALID, phase=Phase.REFRESHING, unsaved=True, attempt=FLIGHT),
        OPEN,
        Status.RUNNING,
        Detail.NOT_STORED,
        "The newest login could not be saved in the keyring and is held in memory only: keep Amberlight running; it tries "
        "again by itself.",
    ),
    (
        "refused",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED, last_error=NO),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        "Choose Reauthorize to sign in again: the server no longer accepts this login (invalid_grant).",
    ),
    (
        "refused, while the token still works",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED, access=token()),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        "Choose Reauthorize to sign in again: the server ended this login.",
    ),
    (
        "lost",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.LOST_ROTATION, last_error=NO),
        OFFLINE,
        Status.UNAUTHENTICATED,
        Detail.LOST_ROTATION,
        "Choose Reauthorize to sign in again: the server replaced this login, but its answer was lost on the way; you did "
        "nothing wrong.",
    ),
    (
        "never signed in",
        work(Phase.SIGNED_OUT, login=None, signed_out=SignedOut.NEVER),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.NEVER_SIGNED_IN,
        "Not signed in yet: choose “Sign in…” in its menu.",
    ),
    (
        "the ceiling",
        work(failing=GONE, access=token(-5.0), last_error=PAGE),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.CEILING,
        "No success in 24 h of trying, the login is kept: choose Retry now, or Reauthorize to sign in again.",
    ),
    (
        "signing in",
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED, signing_in=True),
        OPEN,
        Status.UNAUTHENTICATED,
        Detail.REFUSED,
        "Finish signing in in your browser; its menu can open the page again.",
    ),
    (
        "the upstream rejects",
        work(access=token(rejected=True), strikes=3),
        OPEN,
        Status.UNHEALTHY,
        Detail.UPSTREAM_REJECTS,
        "The service rejects even fresh tokens: check there that your account still has access; Amberlight asks again "
        "from time to time.",
    ),
    (
        "broken",
        work(Phase.BROKEN, broken="config.toml, line 3: “url” is missing."),
        OPEN,
        Status.ERROR,
        Detail.CONFIG_ERROR,
        "config.toml, line 3: “url” is missing.",
    ),
    (
        "broken without a word",
        work(Phase.BROKEN),
        OPEN,
        Status.ERROR,
        Detail.CONFIG_ERROR,
        "Its configuration cannot be used: mend it, and Amberlight reads it again by itself.",
    ),
    (
        "changed",
        work(Phase.BROKEN, broken="x", confirm=SPEC),
        OPEN,
        Status.ERROR,
        Detail.CONFIRM_CHANGE,
        "Its server or client was changed in the configuration: choose Reauthorize to sign in there; until then nothing "
        "is sent.",
    ),
    (
        "paused",
        work(Phase.PAUSED, access=token()),
        OFFLINE,
        Status.STOPPED,
        Detail.PAUSED,
        "Paused: choose Resume to start it again.",
    ),
    (
        "being paused",
        replace(VALID, phase=Phase.REFRESHING, attempt=FLIGHT, after="pause"),
        OPEN,
        Status.STOPPED,
        Detail.PAUSED,
        "Paused: choose Resume to start it again.",
    ),
    (
        "being removed",
        work(Phase.PAUSED, after="remove"),
        OPEN,
        Status.REMOVING,
        Detail.OK,
        "Being removed: its login is revoked and deleted.",
    ),
]


@pytest.mark.parametrize(
    ("w", "gate", "status", "detail", "sentence"), [s[1:] for s in STATES], ids=[s[0] for s in STATES]
)
def test_status_detail_and_sentence(w: Workload, gate: Gate, status: Status, detail: Detail, sentence: str) -> None:
    """Every state has one status, one detail and one plain sentence."""

    view = derive(w, gate, NOW)
    assert (status, detail, sentence) == (view.status, view.auth.detail, view.status_context)


def test_every_detail_is_reached() -> None:
    """The table above leaves no detail out."""

    assert set(Detail) == {detail for _, _, _, _, detail, _ in STATES}


@pytest.mark.parametrize(
    ("w", "gate", "colour", "glyph", "health"),
    [
        (VALID, OPEN, Colour.GREEN, Glyph.TICK, Health.HEALTHY),
        (AMBER, OPEN, Colour.AMBER, Glyph.RETRY, Health.DEGRADED),
        (SHORT, OPEN, Colour.AMBER, Glyph.RETRY, Health.HEALTHY),  # the word is still `running`
        (START, OPEN, Colour.BLUE, Glyph.OPEN, Health.UNKNOWN),
        (START, JUST_OFFLINE, Colour.AMBER, Glyph.RETRY, Health.UNKNOWN),
        (replace(SHORT, access=None), OPEN, Colour.AMBER, Glyph.RETRY, Health.UNKNOWN),
        (STATES[31][1], OPEN, Colour.RED, Glyph.WARNING, Health.UNAUTHENTICATED),
        (work(Phase.SIGNED_OUT, signed_out=SignedOut.NEVER), OPEN, Colour.BLUE, Glyph.OPEN, Health.UNKNOWN),
        (work(failing=GONE, signing_in=True), OPEN, Colour.BLUE, Glyph.OPEN, Health.UNKNOWN),
        (work(Phase.BROKEN), OPEN, Colour.RED, Glyph.CROSS, Health.UNHEALTHY),
        (work(Phase.PAUSED), OPEN, Colour.GREY, Glyph.SQUARE, Health.UNHEALTHY),
        (work(Phase.PAUSED, after="remove"), OPEN, Colour.GREY, Glyph.OPEN, Health.UNHEALTHY),
    ],
)
def test_look(w: Workload, gate: Gate, colour: Colour, glyph: Glyph, health: Health) -> None:
    """Amber is drawn whenever there is no usable token and no verdict; blue is nobody's fault."""

    view = derive(w, gate, NOW)
    assert (colour, glyph, health) == (view.colour, view.glyph, view.health)


def test_an_unknown_word_is_drawn_as_unknown() -> None:
    """A status from elsewhere is not refused."""

    assert look("hibernating") == look("unknown")
    assert look("running").colour is Colour.GREEN


def test_a_loopback_endpoint_is_not_held_by_the_network() -> None:
    """M10: nothing but sleep gates a server on this machine."""

    local = replace(START, login=replace(LOGIN, token_endpoint="http://127.0.0.1:9/token"))
    assert derive(local, OFFLINE, NOW).auth.detail is Detail.STARTING


# --- the auth object -------------------------------------------------------------------------------------------------


def test_the_auth_object_of_an_outage() -> None:
    """Times leave as wall time; the ceiling is told as long as it counts."""

    counting = replace(LONG, counted=400.0, counting_from=800.0)
    w = replace(AMBER, failing=counting, last_outcome="server_busy", last_trigger=Trigger.TICK, lost_rotations=2)
    auth = derive(replace(w, last_refreshed_at=5.0), OPEN, NOW).auth
    assert (auth.attempts, auth.last_outcome, auth.last_trigger, auth.last_error) == (5, "server_busy", "tick", PAGE)
    assert (auth.next_attempt_at, auth.token_expires_at) == (NOW.wall + 200.0, NOW.wall - 5.0)
    assert (auth.ceiling_at, auth.retrying_since) == (NOW.wall + 86400.0 - 500.0, NOW.wall - 40.0)
    assert (auth.last_refreshed_at, auth.lost_rotations, auth.signing_in) == (5.0, 2, False)


@pytest.mark.parametrize("failing", [None, outage(), LONG, GONE])
def test_no_ceiling_is_told_while_none_counts(failing: Failing | None) -> None:
    """Not before the long phase, not offline, not after it was passed."""

    assert derive(work(failing=failing), OPEN, NOW).auth.ceiling_at is None


def test_a_passed_ceiling_waits_for_an_attempt() -> None:
    """It is decided by a failed attempt only, so it may lie in the past: then it is now."""

    late = replace(LONG, counted=90000.0, counting_from=NOW.awake)
    assert derive(work(failing=late), OPEN, NOW).auth.ceiling_at == NOW.wall


def test_a_rejected_token_has_no_end_to_tell() -> None:
    """What the upstream rejected is over already."""

    assert derive(work(access=token(rejected=True)), OPEN, NOW).auth.token_expires_at is None


def test_since_is_kept_while_status_and_detail_stay() -> None:
    """`since` is the time of the latest change of either."""

    before = derive(SHORT, OPEN, NOW)
    later = Moment(1005.0, 905.0, NOW.wall + 5.0)
    assert derive(SHORT, OPEN, later, before).auth.since == NOW.wall
    assert derive(AMBER, OPEN, later, before).auth.since == later.wall
    assert derive(replace(SHORT, not_before=1100.0), OPEN, later, before).auth.since == later.wall


def test_clock_drift_changes_no_view() -> None:
    """Two clocks differ by microseconds from reading to reading; the view stays equal, so nothing is redrawn."""

    w = replace(AMBER, failing=replace(LONG, counting_from=800.0))
    before = derive(w, OPEN, NOW)
    assert derive(w, OPEN, Moment(1001.0, 901.0, NOW.wall + 1.0003), before) == before
    assert derive(w, OPEN, Moment(1001.0, 901.0, NOW.wall + 61.0), before) != before


# --- what changes by time alone --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("w", "gate", "at"),
    [
        (VALID, OPEN, 1590.001),  # the token ends
        (replace(VALID, access=token(None), due=None), OPEN, None),
        (START, JUST_OFFLINE, 1005.0),  # impossible for ten seconds
        (START, SETTLING, 1001.0),  # settled
        (work(Phase.LOADING, keyring=Trouble.LOCKED, keyring_since=997.0), OPEN, 1007.0),
        (replace(AMBER, not_before=1500.0), OPEN, 1500.0),
        (AMBER, OPEN, None),
        (VALID, OFFLINE, 1300.0),  # past due, and offline for long
        (work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED), OFFLINE, None),
    ],
)
def test_next_change(w: Workload, gate: Gate, at: float | None) -> None:
    """The engine looks again at exactly the instants at which somebody would see a difference."""

    assert at == next_change(w, gate, NOW)


INSTANTS = st.none() | st.floats(900.0, 1200.0)
TOKENS = st.none() | st.builds(token, st.none() | st.floats(-50.0, 200.0), st.booleans())
FAILINGS = st.sampled_from([None, outage(), LONG, GONE, replace(LONG, counting_from=800.0)])
PHASES = st.sampled_from([Phase.LOADING, Phase.VALID, Phase.WAITING, Phase.SIGNED_OUT, Phase.PAUSED])
WORKLOADS = st.builds(
    work,
    PHASES,
    access=TOKENS,
    failing=FAILINGS,
    due=INSTANTS,
    not_before=st.floats(0.0, 1200.0),
    keyring=st.sampled_from([None, None, Trouble.LOCKED, Trouble.FAILED]),
    keyring_since=INSTANTS,
    signed_out=st.sampled_from(list(SignedOut)),
    unsaved=st.booleans(),
    strikes=st.integers(0, 4),
)
GATES = st.sampled_from([OPEN, OFFLINE, JUST_OFFLINE, PORTAL, ASLEEP, SETTLING, gates.woke(JUST_OFFLINE, 999.0)])


def at(instant: float) -> Moment:
    passed = instant - NOW.at
    return Moment(instant, NOW.awake + passed, NOW.wall + passed)


@given(WORKLOADS, GATES, st.floats(0.0, 1.0, exclude_min=True, exclude_max=True))
def test_nothing_changes_before_the_next_change(w: Workload, gate: Gate, part: float) -> None:
    """Between now and the next change the view is the same; at the change it is another; without one it never is."""

    view = derive(w, gate, NOW)
    change = next_change(w, gate, NOW)
    until = NOW.at + 5000.0 if change is None else change
    assert derive(w, gate, at(NOW.at + (until - 0.002 - NOW.at) * part), view) == view
    if change is not None:
        assert derive(w, gate, at(change), view) != view


@given(WORKLOADS, GATES)
def test_red_only_by_verdict_or_ceiling(w: Workload, gate: Gate) -> None:
    """No network, keyring or server in trouble makes a workload ask for a person."""

    view = derive(w, gate, NOW)
    gave_up = w.failing is not None and w.failing.gave_up
    assert view.status is not Status.UNAUTHENTICATED or w.phase is Phase.SIGNED_OUT or gave_up
    assert (view.auth.detail is Detail.OK) == (view.status_context == "")


@given(WORKLOADS, GATES)
def test_a_usable_token_is_never_amber(w: Workload, gate: Gate) -> None:
    """Whatever fails behind it, nobody is alarmed (M3)."""

    usable = w.access is not None and w.access.usable(NOW.at, Policy().usable_margin)
    assert not (usable and derive(w, gate, NOW).colour is Colour.AMBER)


# --- callers that get no token ---------------------------------------------------------------------------------------


def told(w: Workload, gate: Gate = OPEN) -> tuple[str, int | None, str]:
    answer = unavailable(w, derive(w, gate, NOW), gate, NOW)
    return answer.error, answer.retry_after, answer.help


HELPS: list[tuple[Workload, Gate, str, int | None, str]] = [
    (
        AMBER,
        OPEN,
        "retrying",
        200,
        "Nothing to do: Amberlight is trying to refresh jira and goes on by itself.",
    ),
    (
        replace(AMBER, phase=Phase.REFRESHING, due=None, attempt=FLIGHT),
        OPEN,
        "retrying",
        2,
        "Nothing to do: Amberlight is trying to refresh jira and goes on by itself.",
    ),
    (AMBER, OFFLINE, "retrying", 30, "Connect to a network; jira goes on by itself."),
    (AMBER, PORTAL, "retrying", 30, "Open any web page and sign in to the network; jira goes on by itself."),
    (START, OPEN, "starting", 1, "jira is starting: ask again in a moment."),
    (
        work(Phase.LOADING, keyring=Trouble.LOCKED, keyring_since=0.0),
        OPEN,
        "retrying",
        30,
        "Unlock the keyring; jira goes on by itself.",
    ),
    (
        work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED),
        OPEN,
        "reauth_required",
        60,
        "Choose Reauthorize in the Amberlight menu, or run “amberlight reauthorize jira”.",
    ),
    (
        work(Phase.SIGNED_OUT, signed_out=SignedOut.NEVER),
        OPEN,
        "reauth_required",
        60,
        "Choose “Sign in…” in the Amberlight menu, or run “amberlight reauthorize jira”.",
    ),
    (
        work(failing=GONE),
        OPEN,
        "reauth_required",
        60,
        "If the network is right again, choose Retry now in the Amberlight menu or run “amberlight retry jira”; otherwise "
        "run “amberlight reauthorize jira”.",
    ),
    (
        work(Phase.PAUSED, unsaved=True, keyring=Trouble.LOCKED),
        OPEN,
        "stopped",
        None,
        "Choose Resume in the Amberlight menu, or run “amberlight start jira”.",
    ),
    (work(after="remove"), OPEN, "stopped", None, "jira is being removed; “amberlight add” brings it back."),
    (
        work(Phase.BROKEN),
        OPEN,
        "config_error",
        60,
        "Mend the configuration of jira; “amberlight status jira” says what is wrong.",
    ),
    (
        work(Phase.BROKEN, confirm=SPEC),
        OPEN,
        "config_error",
        60,
        "The configuration of jira was changed: choose Reauthorize in the Amberlight menu, or run “amberlight reauthorize "
        "jira”.",
    ),
    (
        work(access=token(rejected=True), strikes=3, due=1400.0),
        OPEN,
        "upstream_rejects",
        400,
        "Check that your account still has access to the service behind jira.",
    ),
]


@pytest.mark.parametrize(("w", "gate", "error", "retry_after", "sentence"), HELPS)
def test_what_a_caller_is_told(w: Workload, gate: Gate, error: str, retry_after: int | None, sentence: str) -> None:
    """A word for the program, seconds to wait that are true, and a sentence for its user (M15, M17, M18)."""

    assert (error, retry_after, sentence) == told(w, gate)


def test_a_caller_is_told_what_the_view_says() -> None:
    """Status, detail, since and the next attempt are those of the view."""

    view: WorkloadView = derive(AMBER, OPEN, NOW)
    answer = unavailable(AMBER, view, OPEN, NOW)
    assert (answer.status, answer.detail) == (Status.AUTH_RETRYING, Detail.RETRYING)
    assert (answer.since, answer.next_attempt_at) == (NOW.wall, NOW.wall + 200.0)
    assert "jira" in help_for(view)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(86400.0, "24 h"), (3600.0, "1 h"), (5400.0, "90 min"), (600.0, "10 min"), (90.0, "90 s"), (0.25, "0.25 s")],
)
def test_duration(seconds: float, text: str) -> None:
    """A length of time in the largest unit that divides it."""

    assert text == duration(seconds)
