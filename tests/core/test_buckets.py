"""History in parts that can be drawn."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.core.buckets import WIDTHS, State, empty_buckets, fill

GREEN = State("running", "green", "tick", "ok")
AMBER = State("auth_retrying", "amber", "retry", "retrying")
NOW = 1_800_000_000.0 + 100.0  # 100 s after a full quarter of an hour


@pytest.mark.parametrize(("days", "count", "width"), [(1, 96, 900.0), (7, 84, 7200.0), (30, 120, 21600.0)])
def test_the_parts(days: int, count: int, width: float) -> None:
    """They begin at round times, and the last one has begun."""

    parts = empty_buckets(days, NOW)

    assert count == len(parts)
    assert {0.0} == {part.at % width for part in parts}
    assert parts[-1].at <= NOW < parts[-1].at + width
    assert {width} == {b.at - a.at for a, b in pairwise(parts)}


def test_states_are_spread() -> None:
    """The longest comes first; what was before the first state, and what is to come, is missing."""

    parts = empty_buckets(1, NOW)
    last = parts[-1].at
    fill(parts, 900.0, [(last - 1000, GREEN), (last - 500, AMBER), (last - 100, GREEN)], NOW)

    assert [(GREEN, 100.0)] == parts[-1].parts()
    assert [(GREEN, 500.0), (AMBER, 400.0)] == parts[-2].parts()
    assert [(GREEN, 100.0)] == parts[-3].parts()
    assert [] == parts[-4].parts()


def test_before_and_after_the_drawn_time() -> None:
    """A state that began earlier fills all parts; one in the future none."""

    parts = empty_buckets(1, NOW)
    fill(parts, 900.0, [(0.0, GREEN), (NOW + 50, AMBER)], NOW)

    assert {(GREEN, 900.0)} == {part.parts()[0] for part in parts[:-1]}
    assert [(GREEN, 100.0)] == parts[-1].parts()


def test_a_clock_that_was_set_back() -> None:
    """Times that run backwards end nowhere, and nothing is negative."""

    parts = empty_buckets(1, NOW)
    fill(parts, 900.0, [(NOW - 10, GREEN), (NOW - 500, AMBER), (NOW - 400, GREEN)], NOW)

    assert all(seconds > 0 for part in parts for _, seconds in part.parts())


def test_a_time_after_the_last_part() -> None:
    """As when the clock was set while it was read."""

    parts = empty_buckets(1, NOW)
    fill(parts, 900.0, [(NOW, GREEN)], NOW + 3600)

    assert [(GREEN, 800.0)] == parts[-1].parts()


@given(
    st.sampled_from(sorted(WIDTHS)),
    st.lists(st.tuples(st.floats(NOW - 40 * 86400, NOW + 10), st.sampled_from([GREEN, AMBER])), max_size=30),
)
def test_nothing_is_counted_twice(days: int, changes: list[tuple[float, State]]) -> None:
    """The parts hold as much as there was since the first state."""

    parts, width = empty_buckets(days, NOW), WIDTHS[days]
    changes.sort(key=lambda change: change[0])
    fill(parts, width, changes, NOW)
    held = sum(seconds for part in parts for _, seconds in part.parts())
    began = max(changes[0][0], parts[0].at) if changes else NOW

    assert held == pytest.approx(max(NOW - began, 0.0), abs=0.01)
    assert all(sum(seconds for _, seconds in part.parts()) <= width + 0.001 for part in parts)
