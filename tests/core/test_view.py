"""The derived view of a workload: status, detail, style, times, and when they change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.core.states import (
    AMBER,
    ASLEEP,
    FLIGHT,
    GONE,
    JUST_OFFLINE,
    LOGIN,
    LONG,
    NOW,
    OFFLINE,
    OPEN,
    PAGE,
    PORTAL,
    SETTLING,
    SHORT,
    SPEC,
    START,
    STATES,
    VALID,
    outage,
    token,
    work,
)
from trayapp.core import gate as gates
from trayapp.core import machine
from trayapp.core.gate import Gate
from trayapp.core.messages import Load, Manual
from trayapp.core.model import (
    Failing,
    Moment,
    Phase,
    Policy,
    SignedOut,
    Step,
    Trigger,
    Trouble,
    Workload,
)
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.snapshot import Detail, Health, Status
from trayapp.core.view import derive, next_change, style_of


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
        (work(Phase.SIGNED_OUT, signed_out=SignedOut.REFUSED), OPEN, Colour.RED, Glyph.WARNING, Health.UNAUTHENTICATED),
        (work(Phase.SIGNED_OUT, signed_out=SignedOut.NEVER), OPEN, Colour.BLUE, Glyph.OPEN, Health.UNKNOWN),
        (work(failing=GONE, signing_in=True), OPEN, Colour.BLUE, Glyph.OPEN, Health.UNKNOWN),
        (work(Phase.BROKEN), OPEN, Colour.RED, Glyph.CROSS, Health.UNHEALTHY),
        (work(Phase.PAUSED), OPEN, Colour.GREY, Glyph.SQUARE, Health.UNHEALTHY),
        (work(Phase.PAUSED, after="remove"), OPEN, Colour.GREY, Glyph.SQUARE, Health.UNHEALTHY),
    ],
)
def test_style(w: Workload, gate: Gate, colour: Colour, glyph: Glyph, health: Health) -> None:
    """Amber whenever there is no usable token and no verdict; blue where nothing is wrong."""

    view = derive(w, gate, NOW)
    assert (colour, glyph, health) == (view.colour, view.glyph, view.health)


def test_an_unknown_word_is_drawn_as_unknown() -> None:
    """A status from elsewhere is not refused."""

    assert style_of("hibernating") == style_of("unknown")
    assert style_of("running").colour is Colour.GREEN


def test_a_loopback_endpoint_is_not_held_by_the_network() -> None:
    """M10: nothing but sleep gates a server on this machine."""

    local = replace(START, login=replace(LOGIN, token_endpoint="http://127.0.0.1:9/token"))
    assert derive(local, OFFLINE, NOW).auth.detail is Detail.STARTING


@pytest.mark.parametrize(
    ("w", "usable"),
    [
        (VALID, True),
        (work(Phase.SIGNED_OUT, access=token(), signed_out=SignedOut.REFUSED), True),  # served to its end (M5)
        (SHORT, False),
        (START, False),
        (work(access=token(rejected=True)), False),
        (work(Phase.PAUSED, access=token()), False),
        (work(Phase.BROKEN, access=token()), False),
        (work(access=token(), after="remove"), False),
    ],
)
def test_whether_clients_get_a_token(w: Workload, usable: bool) -> None:
    """What the command line's exit code goes by, whatever the word (M3)."""

    assert usable is derive(w, OPEN, NOW).auth.usable


# --- the auth object -------------------------------------------------------------------------------------------------


def test_the_auth_object_of_an_outage() -> None:
    """Times are shown as wall time; the ceiling only while it counts."""

    counting = replace(LONG, counted=400.0, counting_from=800.0)
    w = replace(AMBER, failing=counting, last_outcome="server_busy", last_trigger=Trigger.TICK, lost_rotations=2)
    auth = derive(replace(w, last_refreshed_at=5.0), OPEN, NOW).auth
    assert (auth.attempts, auth.last_outcome, auth.last_trigger, auth.last_error) == (5, "server_busy", "tick", PAGE)
    assert (auth.next_attempt_at, auth.token_expires_at) == (NOW.wall + 200.0, NOW.wall - 5.0)
    assert (auth.ceiling_at, auth.retrying_since) == (NOW.wall + 86400.0 - 500.0, NOW.wall - 40.0)
    assert (auth.last_refreshed_at, auth.lost_rotations, auth.signing_in) == (5.0, 2, False)


@pytest.mark.parametrize("failing", [None, outage(), LONG, replace(GONE, counting_from=800.0)])
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


@pytest.mark.parametrize(
    ("w", "unsaved"),
    [
        (replace(VALID, unsaved=True, storing=2), False),  # on its way
        (replace(VALID, unsaved=True, keyring_tries=1), True),
        (work(Phase.PAUSED, unsaved=True, keyring_tries=1), True),
        (work(Phase.BROKEN, confirm=SPEC, unsaved=True, keyring_tries=1), True),
    ],
)
def test_what_would_be_lost_is_told_beside_the_detail(w: Workload, unsaved: bool) -> None:
    """*Quit* warns of it, whatever the detail has to say first."""

    assert unsaved is derive(w, OPEN, NOW).auth.unsaved


def test_since_is_kept_while_status_and_detail_stay() -> None:
    """`since` is the time of the latest change of either."""

    before = derive(SHORT, OPEN, NOW)
    later = Moment(1005.0, 905.0, NOW.wall + 5.0)
    assert derive(SHORT, OPEN, later, before).auth.since == NOW.wall
    assert derive(AMBER, OPEN, later, before).auth.since == later.wall
    assert derive(replace(SHORT, not_before=1100.0), OPEN, later, before).auth.since == later.wall


def test_clock_drift_changes_no_view() -> None:
    """The clocks drift by microseconds between readings; the view stays equal, so nothing is redrawn."""

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
    """The next change is exactly the instant at which the view would differ."""

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


@given(WORKLOADS, st.sampled_from(list(Phase)), st.sampled_from(["", "pause", "remove"]), GATES)
def test_what_was_decided_comes_before_what_is_in_the_way(w: Workload, phase: Phase, after: str, gate: Gate) -> None:
    """Paused, removed, changed or signed out: keyring and network change no word of it, because neither would let it continue."""

    w = replace(w, phase=phase, after=after, confirm=SPEC if phase is Phase.BROKEN else None)
    alone = derive(replace(w, keyring=None, keyring_since=None), OPEN, NOW)
    decided = alone.status in (Status.STOPPED, Status.REMOVING, Status.ERROR) or phase is Phase.SIGNED_OUT
    assume(decided)

    view = derive(w, gate, NOW)
    assert (alone.status, alone.auth.detail, alone.status_context) == (
        view.status,
        view.auth.detail,
        view.status_context,
    )
    assert "automatically" not in view.status_context or view.auth.detail is Detail.NOT_STORED


@given(WORKLOADS, st.sampled_from(list(Phase)), st.sampled_from(["", "pause", "remove"]), GATES)
def test_an_unlock_is_offered_only_where_it_does_something(w: Workload, phase: Phase, after: str, gate: Gate) -> None:
    """The menu's item asks with a dialog: immediately, or with the attempt that it makes due."""

    attempt = replace(FLIGHT, step=Step.PROBE) if phase is Phase.REFRESHING else None
    w = replace(w, phase=phase, after=after, attempt=attempt, keyring=Trouble.LOCKED, unsaved=False)
    w = w if phase is Phase.SIGNED_OUT else replace(w, signed_out=None)
    offered = derive(w, gate, NOW).auth.detail is Detail.KEYRING_LOCKED
    assert offered is (after == "" and phase in (Phase.LOADING, Phase.VALID, Phase.WAITING, Phase.REFRESHING))

    asked, effects = machine.step(w, Manual(NOW))
    by_hand = asked.phase is Phase.WAITING and asked.trigger is Trigger.MANUAL and asked.due is not None
    again = asked.attempt is not None and asked.attempt.reprobe_for is Trigger.MANUAL
    assert not offered or Load(prompt=True) in effects or by_hand or again


@given(WORKLOADS, GATES)
def test_a_usable_token_is_never_amber(w: Workload, gate: Gate) -> None:
    """Whatever fails behind it, nothing is alarming (M3)."""

    usable = w.access is not None and w.access.usable(NOW.at, Policy().usable_margin)
    assert not (usable and derive(w, gate, NOW).colour is Colour.AMBER)
