"""The gate (M10) and the deadlines above it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import Player, play_line, player, reached
from trayapp.core import deadlines, gate
from trayapp.core.gate import Gate
from trayapp.core.model import Phase, Policy
from trayapp.core.snapshot import Detail


def test_a_change_has_to_settle() -> None:
    """Three quiet seconds after the last change, fifteen after the first at most, if so configured."""

    g = gate.network(gate.with_settling_times(Gate(), 3.0, 15.0), 100.0, offline=False)
    assert Detail.SETTLING is g.reason(102.9)
    assert g.reason(103.0) is None
    for at in range(101, 120):
        g = gate.network(g, float(at), offline=False)
        if at == 114:
            assert 115.0 == g.settles_at()

    assert 118.0 == g.settles_at() or 122.0 == g.settles_at()


def test_a_settled_change_is_forgotten() -> None:
    """The next change after a quiet time begins a new count."""

    g = gate.network(Gate(), 100.0, offline=False)
    g = gate.woke(g, 110.0)

    assert 110.0 + gate.SETTLE == g.settles_at()
    assert 110.0 == g.unsettled_since


def links(*changes: tuple[float, str]) -> Gate:
    """A gate that has heard of these links, `up` and `down`."""
    g = Gate(offline=True)
    for at, what in changes:
        g = gate.network(g, at, offline=what == "down")
    return g


def test_a_network_that_was_lost_at_once_has_to_be_quiet_for_longer() -> None:
    """A link that goes up and down in its first seconds would cut off what is sent in between."""

    flapping = links((100.0, "up"), (101.0, "down"), (102.0, "up"))
    assert 102.0 + gate.SETTLE_UNSTEADY == flapping.settles_at()
    for at in (103.0, 105.0, 107.0, 109.0, 111.0, 113.0):
        flapping = gate.network(flapping, at, offline=at % 4 == 1)
    assert flapping.settles_at() == flapping.unsettled_since + gate.SETTLE_UNSTEADY_MAX  # type: ignore[operator]
    assert 101.0 == flapping.unsettled_since, "from the first loss"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param([(100.0, "up")], "the first link", id="comes"),
        pytest.param([(100.0, "up"), (105.0, "down"), (107.0, "up")], "it was steady", id="lost later"),
        pytest.param(
            [(100.0, "up"), (100.2, "down"), (100.4, "up")], "one storm of messages", id="lost before it settled"
        ),
        pytest.param(
            [(100.0, "up"), (101.0, "up"), (102.0, "up")], "a VPN or a new address isn't a loss", id="changes"
        ),
        pytest.param([(100.0, "up"), (101.0, "down"), (131.0, "up")], "that was another network", id="long ago"),
        pytest.param([(100.0, "down"), (101.0, "up")], "it was there for long", id="was there"),
    ],
)
def test_any_other_change_settles_quickly(changes: list[tuple[float, str]], why: str) -> None:
    """Only a network that was lost within five seconds of its coming is suspicious, and only for half a minute."""

    assert changes[-1][0] + gate.SETTLE == links(*changes).settles_at(), why


@pytest.mark.parametrize(
    ("told_again", "settle"), [(True, gate.SETTLE_UNSTEADY), (False, gate.SETTLE)], ids=["it came", "it was there"]
)
def test_a_network_that_is_reported_after_an_answer_came_then(told_again: bool, settle: float) -> None:
    """The system said offline, and a server answered. That isn't its coming, which may be hours ago; the report is."""

    g = gate.answered(gate.answered(Gate(offline=True), 99.0), 99.5)
    if told_again:
        g = gate.network(g, 100.0, offline=False)
    g = gate.network(gate.network(g, 101.0, offline=True), 102.0, offline=False)

    assert 102.0 + settle == g.settles_at()


def test_longer_settling_times_hold_for_an_unsteady_network_too() -> None:
    """`settle` and `settle_max` are never shortened by it."""

    g = gate.with_settling_times(links((100.0, "up"), (101.0, "down"), (102.0, "up")), 5.0, 30.0)
    assert 107.0 == g.settles_at()


@pytest.mark.parametrize(
    ("closed", "why"),
    [
        (Gate(offline=True), Detail.OFFLINE),
        (Gate(portal=True, offline=True), Detail.PORTAL),
        (Gate(sleeping=True, portal=True), Detail.SLEEPING),
    ],
)
def test_the_reason_is_the_strongest(closed: Gate, why: Detail) -> None:
    """Sleep before portal before offline; only an event opens these."""

    assert why is closed.reason(0.0)
    assert closed.opens_at(0.0) is None


def test_loopback_is_held_by_sleep_alone() -> None:
    """No network lies between."""

    assert Gate(offline=True, portal=True).reason(0.0, loopback=True) is None
    assert 7.0 == gate.network(Gate(), 7.0, offline=False).opens_at(7.0, loopback=True)
    assert Detail.SLEEPING is Gate(sleeping=True).reason(0.0, loopback=True)


def test_closed_since_is_the_beginning_of_the_closure() -> None:
    """It does not move while one reason follows another, and it ends with the last."""

    g = gate.network(Gate(), 10.0, offline=True)
    g = gate.network(g, 20.0, offline=False, portal=True)
    g = gate.sleep_soon(g, 25.0)
    assert 10.0 == g.closed_since
    g = gate.woke(g, 30.0)
    assert 10.0 == g.closed_since
    g = gate.network(g, 40.0, offline=False)

    assert g.closed_since is None
    assert Detail.SETTLING is g.reason(40.0)


def test_an_answer_opens_the_gate() -> None:
    """Kernel and hints may be wrong; an answer is not."""

    g = gate.network(Gate(), 10.0, offline=True)

    assert not gate.answered(g, 11.0).blocked()
    assert gate.answered(Gate(), 11.0) == Gate()


def test_other_settling_times_can_be_set() -> None:
    """`settle` and `settle_max` are settings."""

    g = gate.network(gate.with_settling_times(Gate(), 1.0, 2.0), 10.0, offline=False)

    assert 11.0 == g.settles_at()


def _waiting() -> Player:
    return reached(Phase.WAITING)


def test_offline_one_attempt_per_tick_is_still_made() -> None:
    """M10: ten minutes after the closure or the last attempt, whichever came later."""

    p = _waiting()
    shut = gate.network(Gate(), p.now.at, offline=True)
    assert p.now.at + 600.0 == deadlines.opens_at(p.w, shut)
    for event in ("+5 go", "probe ok", "not-sent"):
        play_line(p, event)

    assert p.now.at + 600.0 == deadlines.opens_at(p.w, shut)
    assert 600.0 == deadlines.opens_at(p.w, Gate(offline=True)) or p.now.at + 600.0 == deadlines.opens_at(
        p.w, Gate(offline=True)
    )


def test_sleep_stops_even_the_user() -> None:
    """M10: *Retry now* passes everything but sleep and keyring."""

    p = _waiting()
    play_line(p, "manual")

    assert p.now.at == deadlines.opens_at(p.w, Gate(offline=True))
    assert deadlines.opens_at(p.w, Gate(sleeping=True)) is None


def test_the_next_deadline_is_the_nearest_of_all() -> None:
    """The next attempt, write or read, or the deadline of an unanswered request."""

    loading = player()
    assert deadlines.next_deadline(loading.w, Gate()) is None
    play_line(loading, "keyring locked")
    assert loading.now.at + 60.0 == deadlines.next_deadline(loading.w, Gate())
    sent = reached(Phase.REFRESHING)
    assert sent.now.at + 35.0 == deadlines.next_deadline(sent.w, Gate())
    unsaved = reached(Phase.REFRESHING)
    for event in ("refreshed rotated", "not-stored failed"):
        play_line(unsaved, event)
    assert unsaved.now.at + 60.0 == deadlines.next_deadline(unsaved.w, Gate())


def test_the_limit_of_automatic_attempts_holds_them_back() -> None:
    """M8: the sixteenth waits until the first is ten minutes old."""

    p = player(Policy(automatic_attempts=1))
    play_line(p, "loaded")
    p.w = replace(p.w, recent=(p.now.at - 100.0,))

    assert p.now.at + 500.0 == deadlines.opens_at(p.w, Gate())
