"""Histories that the simulated laptop lived through before the rules were right (`python -m tests.simulation`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import Player, reached, turn
from trayapp.core import deadlines, gate
from trayapp.core.gate import Gate
from trayapp.core.model import Phase, Series


def played(p: Player, text: str) -> Player:
    """All events, one after the other."""
    for event in text.split("; "):
        turn(p, event)
    return p


def test_a_wake_settles_even_when_the_attempt_of_an_offline_tick_is_long_due() -> None:
    """M10: asleep for hours and still offline, the attempt that tests the kernel's word waits for DHCP like any other."""

    p = reached(Phase.WAITING)
    shut = gate.network(Gate(), p.now.at, offline=True)
    p.pass_time(7200.0, asleep=True)
    awake = gate.woke(shut, p.now.at)

    assert p.now.at + 3.0 == deadlines.opens_at(p.w, awake)


def test_a_network_change_during_an_attempt_that_fails_starts_the_burst_after_it() -> None:
    """M8: in the long phase the next tick would be ten minutes away."""

    p = played(reached(Phase.REFRESHING), "not-sent")
    while p.w.failing is None or not p.w.failing.exhausted:
        p.pass_time(60.0)
        played(p, "go; probe ok; not-sent")
    played(p, "+600 go; probe ok; +1 network; +4 not-sent")

    assert Series.BURST is p.w.series
    assert p.now.at == p.w.due


def test_a_change_during_an_attempt_counts_its_failures_afresh() -> None:
    """M6: the ceiling needs three failures since the latest change, wherever the workload stood when it came."""

    p = played(reached(Phase.REFRESHING), "not-sent; +10 go; probe ok; +1 network; +1 not-sent")

    assert p.w.failing is not None
    assert 1 == p.w.failing.fresh_tries


def test_a_wake_asks_a_keyring_that_was_in_trouble() -> None:
    """Where no signal tells that it was unlocked, whoever opened the lid has unlocked it; a network change tells nothing."""

    p = played(reached(Phase.WAITING), "go; probe locked")
    due = p.w.due
    played(p, "+5 network")
    assert due == p.w.due

    played(p, "+5 wake")
    assert p.now.at == p.w.due


@pytest.mark.parametrize(
    ("host", "delays"),
    [
        pytest.param("auth.atlassian.com", [60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 60.0, 600.0], id="600 s"),
        pytest.param("a.okta.com", [600.0] * 10, id="a short grace is over by then"),
        pytest.param("as.example", [600.0] * 10, id="nobody knows a grace"),
    ],
)
def test_a_long_grace_is_not_slept_through_by_the_tick(host: str, delays: list[float]) -> None:
    """M9: when the quick series had no answer, a server that forgives for ten minutes is asked inside them."""

    p = reached(Phase.WAITING)
    assert p.w.login is not None
    p.w = replace(p.w, login=replace(p.w.login, token_endpoint=f"https://{host}/token"))
    found: list[float] = []
    while len(found) < 10:
        played(p, f"go; probe ok; {'busy 503' if p.w.series is Series.TICK else 'ambiguous'}")
        assert p.w.due is not None
        if p.w.series is Series.TICK:
            found.append(p.w.due - p.now.at)
        p.pass_time(p.w.due - p.now.at)

    assert delays == found
