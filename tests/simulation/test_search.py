"""The shortest plans that lose a login: one lost answer where the server gives no grace, else trouble for all of the grace."""

from __future__ import annotations

import pytest

from tests.simulation.marks import WORLDS
from tests.simulation.plan import PlannedEvent
from tests.simulation.search import BrokenInvariantError, cost, play, shortest
from trayapp.core import gate

GRACE = 60.0  # s

pytestmark = WORLDS


def test_one_lost_answer_is_enough_without_a_grace() -> None:
    """No rule can save that login: only the lost answer knew the new token. Nothing shorter exists."""

    found = shortest(0.0, examples=80)

    assert found is not None
    assert (1, 0.0) == cost(found.events)
    assert "no grace" in found.played.causes[0]
    assert "the server ends the family" in found.text()
    assert () == play(found.events, GRACE).causes


def test_with_a_grace_trouble_has_to_last_for_all_of_it() -> None:
    """Whatever the trouble: what ends a second earlier leaves time for the repeat (M9)."""

    found = shortest(GRACE, examples=150)

    assert found is not None
    count, seconds = cost(found.events)
    assert 1 == count
    assert GRACE - 2.0 <= seconds <= GRACE + 30.0
    shorter = [PlannedEvent(e.t, e.what, e.duration - 2.0, e.target) for e in found.events]
    assert () == play(shorter, GRACE).causes


def test_short_troubles_lose_nothing_within_a_grace() -> None:
    """Not even two of them, as long as each ends within a third of the grace."""

    assert shortest(GRACE, most=2, longest=20, examples=120) is None


def test_a_broken_invariant_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is worse than a lost login; the plan and its history are shown."""

    monkeypatch.setattr(gate.Gate, "settles_at", lambda self: None)

    with pytest.raises(BrokenInvariantError, match="before the network settled"):
        play([PlannedEvent(0.0, "link down", 3.0)], 0.0)
