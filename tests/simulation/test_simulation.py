"""Simulated laptops live for a week without breaking an invariant, most of them new each day; each planted bug breaks one."""

from __future__ import annotations

import datetime

import pytest

from tests.simulation import runner
from tests.simulation.marks import WORLDS
from tests.simulation.planted_bugs import BUGS, Bug, hunt
from trayapp.core.model import Phase

DAYS = 6  # of each world
FIXED = 5  # worlds that are the same every time
NEW = 50  # worlds of today: 300 laptop-days of three workloads
GROUPS = 10  # so that several processors can share them, and no test reaches its time limit
TODAY = int(f"{datetime.datetime.now(datetime.UTC):%Y%m%d}") * 100  # the first seed of today
HUNTED = 30  # worlds that a bug may hide in

pytestmark = WORLDS


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_invariant_breaks(group: int) -> None:
    """A failure names the command that prints a shortened history."""

    print(f"today's seeds: {TODAY} to {TODAY + NEW - 1}")
    for seed in (*range(group, FIXED, GROUPS), *range(TODAY + group, TODAY + NEW, GROUPS)):
        report = runner.run(seed, DAYS)
        again = f"repeat: python -m tests.simulation --days {DAYS} --seed {seed}"
        assert report.failure is None, f"{again}\n{report.text()}"
        assert report.requests > 0


def test_the_same_seed_is_the_same_history() -> None:
    """Line by line: a world depends on nothing but its seed."""

    first, second = runner.run(7, 4), runner.run(7, 4)

    assert first.digest == second.digest
    assert first.digest != runner.run(8, 4).digest


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(bug: Bug) -> None:
    """By a rule that names the mistake."""

    catch = hunt(bug, worlds=HUNTED)

    assert catch.report is not None
    assert catch.report.failure is not None
    assert catch.report.failure[1] in bug.caught_by


def test_a_broken_invariant_prints_a_shortened_history() -> None:
    """Kinds of fault that are not needed to break it are switched off: here clocks, crashes, keyrings and servers."""

    bug = next(bug for bug in BUGS if "settle" in bug.name)
    with bug.plant():
        report = runner.run(0, 2)
        short = runner.shortened(report, 2, 3)

    assert short.failure is not None
    assert {"clock", "crash", "keyring", "server"} <= short.without
    assert "before the network settled" in short.text()
    assert f"→ {Phase.REFRESHING}" in short.text()
