"""The transition table, cell by cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.history import play, reached
from trayapp.core import messages
from trayapp.core.machine import TABLE
from trayapp.core.messages import Event
from trayapp.core.model import Phase

CELLS = Path(__file__).with_name("table.txt").read_text(encoding="utf-8")


def events() -> list[type[Event]]:
    """All event types."""
    found = [each for each in vars(messages).values() if isinstance(each, type) and issubclass(each, Event)]
    return [each for each in found if each is not Event]


def cells() -> list[tuple[Phase, str]]:
    """Each line of table.txt with the phase it stands under."""
    found: list[tuple[Phase, str]] = []
    phase = Phase.LOADING
    for line in CELLS.splitlines():
        if line.startswith("## "):
            phase = Phase(line[3:])
        else:
            found.append((phase, line))
    return found


@pytest.mark.parametrize("phase", Phase)
def test_every_pair_is_decided(phase: Phase) -> None:
    """Each phase has a row for every event and no other."""

    assert set(events()) == set(TABLE[phase])


@pytest.mark.parametrize(("phase", "line"), cells())
def test_cell(phase: Phase, line: str) -> None:
    """A workload brought to this phase by the usual events responds as written."""

    assert line == play(line, reached(phase)).rstrip()
