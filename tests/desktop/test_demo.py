"""`amberlight demo` as a stranger meets it: green, amber, green, red within a minute, and one click makes it green.

Three demos run side by side, each on a desk of its own, and each is mended by another click. With AMBERLIGHT_SHOTS set
to a directory every state is kept there as a picture.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.desktop import visitor
from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.screen import wait_for
from tests.real.app import ROOT
from trayapp.core.face import Colour

pytestmark = pytest.mark.desktop

MINUTE = 60.0
SEEN = 0.02  # of the icon's square: a colour that is there at all
REAUTHORIZE = 1  # line of the menu, below the summary


class Day:
    """A demo on its desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.visited = desk.root / "visits"
        desk.env |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "BROWSER": visitor.command(self.visited)}
        self.began = time.monotonic()
        self.process = desk.spawn(sys.executable, "-m", "trayapp", "demo")

    def shows(self, *wanted: Colour, limit: float = MINUTE) -> None:
        """Wait until the icon on the panel has these colours of a status, and no other."""

        def seen() -> bool:
            colours = (Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE)
            return {c for c in colours if self.desk.icon_share(c.value) > SEEN} == set(wanted)

        wait_for(seen, f"an icon in {', '.join(wanted)}; the demo said: {self.said()}", limit)

    def said(self) -> str:
        """What it printed."""
        return self.desk.log(Path(sys.executable).name)

    def keep(self, name: str) -> None:
        """A picture of the whole screen for whoever wants to look at it."""
        if folder := os.environ.get("AMBERLIGHT_SHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.desk.shot(Path(folder) / f"{name}.png")

    def is_mended(self) -> None:
        """Green by one visit to the sign-in page, nothing left on the screen, and it ends when it is told to."""
        self.shows(Colour.GREEN, limit=10)
        wait_for(lambda: not self.desk.notifications(), "the notification to go")
        assert ["came", "200"] == visitor.visits(self.visited)
        self.keep("5-mended")
        self.process.send_signal(signal.SIGTERM)
        assert 0 == self.process.wait(15), self.said()
        assert "Traceback" not in self.said()


@pytest.fixture(scope="module")
def days() -> Iterator[list[Day]]:
    """Three demos that began at the same time; the second has a dark panel."""
    require_desk()
    with ExitStack() as stack:
        desks = [stack.enter_context(Desk(keyring_password=None, dark=dark)) for dark in (False, True, False)]
        yield [Day(desk) for desk in desks]


def test_the_button_of_the_notification(days: list[Day]) -> None:
    """The whole day on the panel, and at its end one press in the notification."""

    day = days[0]
    day.shows(Colour.GREEN)
    day.keep("1-green")
    day.shows(Colour.AMBER)
    day.keep("2-amber")
    day.shows(Colour.GREEN)
    day.keep("3-green-again")
    assert [] == day.desk.notifications(), "what heals by itself is no news"
    day.shows(Colour.GREEN, Colour.RED)
    assert time.monotonic() - day.began < MINUTE
    box = day.desk.notification()
    day.desk.settle(box)
    day.keep("4-red")
    assert 2 == len(day.desk.buttons(box)), "Reauthorize and Retry now"
    assert [] == visitor.visits(day.visited), "nobody has clicked yet"
    day.desk.press_button(0)
    day.is_mended()


def test_the_line_in_the_menu(days: list[Day]) -> None:
    """What needs a person stands at the top of the menu."""

    day = days[1]
    day.shows(Colour.GREEN, Colour.RED)
    day.desk.notification()
    box = day.desk.open_menu()
    day.keep("4-red-menu")
    day.desk.click_row(box, REAUTHORIZE)
    day.is_mended()


def test_the_command(days: list[Day]) -> None:
    """The command line finds the demo as it finds the app."""

    day = days[2]
    day.shows(Colour.GREEN, Colour.RED)
    command = [sys.executable, "-m", "trayapp", "reauthorize", "tickets"]
    done = subprocess.run(command, env=day.desk.env, capture_output=True, text=True, timeout=30, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    day.is_mended()
