"""The table of other programs: each row fits the others that name the same program."""

from __future__ import annotations

from pathlib import Path

import pytest

from trayapp.clients.places import Machine
from trayapp.core.external import external_name, split_name
from trayapp.core.owners import TITLES
from trayapp.external.owners import owners
from trayapp.external.places import folders


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_each_program_has_a_place_and_a_name_of_its_own(platform: str, tmp_path: Path) -> None:
    """Without a directory to look for it would never be watched; its `id` is the first part of names."""

    found = owners(Machine(platform, {}, tmp_path))
    ids = [owner.id for owner in found]
    assert len(ids) == len(set(ids)) > 0
    assert set(ids) == folders(platform, {}, tmp_path).keys() == TITLES.keys()
    for owner in found:
        assert (owner.id, "a") == split_name(external_name(owner.id, "a"))
        assert TITLES[owner.id] == owner.title


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_one_that_is_not_there_has_nothing(platform: str, tmp_path: Path) -> None:
    """No workloads, no problems, nothing that runs, and no file is made."""

    for owner in owners(Machine(platform, {}, tmp_path)):
        reading = owner.read()
        assert ((), (), False) == (tuple(reading.workloads), tuple(reading.problems), reading.running)
    assert [] == list(tmp_path.iterdir())
