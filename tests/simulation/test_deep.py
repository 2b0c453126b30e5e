"""The deep run: what is finished stays finished, and a changed program begins anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation import deep
from tests.simulation.marks import WORLDS

pytestmark = WORLDS


def run(folder: Path, days: int) -> list[deep.World]:
    """Run worlds of one day; the finished ones."""
    options = ["--each", "1", "--processes", "1", "--keep-going", "--results", str(folder)]
    assert deep.main(["--days", str(days), *options]) in (0, 1)
    (file,) = folder.glob(f"{deep.fingerprint()}-*.jsonl")
    return list(deep.finished(file))


def test_an_interrupted_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that was cut off is simulated again; all others are kept as they are."""

    first = run(tmp_path, 2)
    (file,) = tmp_path.glob("*.jsonl")
    file.write_text(file.read_text("utf-8")[:-20], "utf-8")
    capsys.readouterr()
    worlds = run(tmp_path, 3)

    assert [world.seed for world in first] == [0, 1]
    assert [world.seed for world in worlds] == [0, 1, 2]
    assert worlds[0] == first[0]
    assert worlds[1].digest == first[1].digest
    assert "Going on after 1 worlds" in capsys.readouterr().out


def test_a_changed_program_begins_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And says so."""

    (tmp_path / "000000000000-1-3.jsonl").write_text("", "utf-8")
    worlds = run(tmp_path, 1)

    assert len(worlds) == 1
    assert "The program has changed since 000000000000-1-3.jsonl" in capsys.readouterr().out


def test_the_fingerprint_is_of_every_module(tmp_path: Path) -> None:
    """Any change of a module, and any new one, makes another program."""

    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "a.py").write_text("1\n", "utf-8")
    before = deep.fingerprint(tmp_path, ("core",))
    (tmp_path / "core" / "b.py").write_text("", "utf-8")
    with_another = deep.fingerprint(tmp_path, ("core",))
    (tmp_path / "core" / "a.py").write_text("2\n", "utf-8")

    assert len({before, with_another, deep.fingerprint(tmp_path, ("core",))}) == 3
