"""The comparison of rules: paired worlds, kept results, and an interval that means something."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.simulation import compare, deep, process, runner, wire, world
from tests.simulation.marks import WORLDS
from trayapp.core import machine

pytestmark = WORLDS


def run(folder: Path, worlds: int) -> dict[tuple[str, int], compare.Lived]:
    """Compare worlds of two days; the finished ones."""
    options = ["--each", "2", "--processes", "1", "--results", str(folder)]
    assert compare.main(["--days", str(2 * worlds), *options]) == 0
    (file,) = folder.glob(f"{deep.fingerprint()}-*.jsonl")
    return compare.kept(file)


def test_an_interrupted_comparison_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is finished stays as it is; a line that was cut off is simulated again."""

    first = run(tmp_path, 1)
    (file,) = tmp_path.glob("*.jsonl")
    file.write_text(file.read_text("utf-8")[:-20], "utf-8")
    capsys.readouterr()
    again = run(tmp_path, 1)
    shown = capsys.readouterr().out

    assert {(rule, 0) for rule in compare.RULES} == set(first)
    assert {key: one.recoveries for key, one in first.items()} == {key: one.recoveries for key, one in again.items()}
    assert "Going on after 2 worlds" in shown
    assert [rule for rule in compare.RULES if f"{rule:<28}{2:>8}" in shown] == list(compare.RULES)
    assert "laptop-days in" in shown


def test_one_rule_can_be_compared_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the program's, over the worlds that both have."""

    options = ["--each", "2", "--processes", "1", "--results", str(tmp_path), "--rule", "3 s"]
    compare.main(["--days", "2", *options])
    lines = capsys.readouterr().out.splitlines()

    assert [line.split("  ")[0] for line in lines if "none" not in line and line.startswith(("3 s", "250 ms"))] == [
        "3 s",
        compare.PROGRAM,
        "3 s",
    ]


def test_the_program_as_it_is_lives_as_always() -> None:
    """To observe a world changes nothing in it, and without a patch no invariant breaks."""

    lived, report = compare.live((compare.PROGRAM, 3, 4, 3)), runner.run(3, 4)

    assert (report.requests, report.losses) == (lived.requests, lived.losses)
    assert {} == lived.broken
    assert 0 < lived.sent <= lived.requests
    assert lived.recoveries


def test_without_a_preflight_more_tokens_are_put_in_doubt() -> None:
    """And the checks name it: tokens leave over connections that nothing has proven."""

    naive, ours = (compare.live((rule, 3, 6, 3)) for rule in ("250 ms without preflight", compare.PROGRAM))

    assert naive.sent > ours.sent
    assert naive.broken["preflight"] >= naive.sent


def test_a_rule_leaves_no_patch_behind() -> None:
    """The next world is simulated under its own rule."""

    def names() -> tuple[object, ...]:
        return vars(process)["Gate"], vars(world)["Policy"], machine.TABLE, wire.SimulatedWire.preflight

    before = names()
    for rule in compare.RULES.values():
        with rule():
            pass

    assert before == names()


def test_the_interval_of_a_real_difference_excludes_zero() -> None:
    """And that of mere chance doesn't."""

    rng = random.Random(1)
    chance = [rng.gauss(0.0, 10.0) for _ in range(200)]
    low, high = compare.interval(chance)
    worse, _ = compare.interval([each + 5.0 for each in chance])

    assert low < 0.0 < high
    assert worse > 0.0


def test_quantiles_are_values_that_occurred() -> None:
    """The median of an even number is the upper one of the two; no value at all counts as zero."""

    assert compare.quantile([4.0, 1.0, 3.0, 2.0], 0.5) == 3.0
    assert compare.quantile([4.0, 1.0, 3.0, 2.0], 0.9) == 4.0
    assert compare.quantile([], 0.5) == 0.0
