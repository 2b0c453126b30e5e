"""Detecting sleep and clock steps from the three clocks."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.core.model import Moment
from trayapp.engine.ports import Clock
from trayapp.osevents.clocks import ClockJump, SystemClock, compare
from trayapp.osevents.events import ClockStepped, WakeDetected

START = Moment(at=1000.0, awake=800.0, wall=1.8e9)


def after(at: float, awake: float, wall: float) -> Moment:
    return Moment(START.at + at, START.awake + awake, START.wall + wall)


@pytest.mark.parametrize(
    ("later", "jump"),
    [
        (after(30, 30, 30), None),
        (after(0, 0, 0), None),
        (after(5, 0, 5), None),
        (after(6, 0, 6), ClockJump(slept=6.0)),
        (after(259230, 30, 259230), ClockJump(slept=259200.0)),
        (after(30, 30, 3630), ClockJump(stepped=3600.0)),
        (after(30, 30, -3570), ClockJump(stepped=-3600.0)),
        (after(30, 30, 34.9), None),
        (after(330, 30, 3930), ClockJump(slept=300.0, stepped=3600.0)),
        (after(30, 3000, 30), None),
    ],
)
def test_jumps(later: Moment, jump: ClockJump | None) -> None:
    """Sleep is what `at` gains on `awake`, a step what wall gains on `at`; up to 5 s of either are ignored."""

    assert compare(START, later) == jump


@given(st.floats(0, 1e7), st.floats(5.5, 1e6), st.floats(0, 1e7))
def test_sleep_is_seen_however_the_clock_is_set(awake: float, slept: float, wall: float) -> None:
    """Setting the wall clock neither hides a sleep nor fakes one."""

    slept_jump = compare(START, after(awake + slept, awake, wall))
    still = compare(START, after(awake, awake, wall))

    assert slept_jump is not None
    assert slept_jump.slept == pytest.approx(slept, abs=1e-2)
    assert still is None or still.slept == 0.0


def test_a_jump_as_events() -> None:
    """The wake comes before the step."""

    assert ClockJump(300.0, -60.0).events() == [WakeDetected(300.0), ClockStepped(-60.0)]
    assert ClockJump(300.0).events() == [WakeDetected(300.0)]
    assert ClockJump(stepped=60.0).events() == [ClockStepped(60.0)]


def test_the_real_clocks_are_monotonic() -> None:
    """Read twice, no clock goes back, and a machine that is awake shows no jump."""

    clock: Clock = SystemClock()
    before = clock.now()
    later = clock.now()

    assert later.at >= before.at
    assert later.awake >= before.awake
    assert abs(later.wall - time.time()) < 5
    assert compare(before, later) is None


def test_jitter_is_between_0_and_1() -> None:
    """A thousand values stay in [0, 1) and differ."""

    values = {SystemClock().jitter() for _ in range(1000)}

    assert all(0.0 <= value < 1.0 for value in values)
    assert len(values) > 990


async def test_sleep_waits() -> None:
    """A wait lasts at least as long as asked for."""

    clock = SystemClock()
    before = clock.now()
    await clock.sleep(0.02)

    assert clock.now().at - before.at >= 0.019
