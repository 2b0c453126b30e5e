"""`amberlight demo` on three desks, each with somebody before it who looks and clicks.

A day lasts half a minute of real time, whatever else happens meanwhile. So the demos begin with the first test of a run
that has a desk, each person is a thread, and the demos' own tests ask them what they have seen.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import ROOT
from tests.desktop import visitor
from tests.desktop.desk import Desk
from tests.desktop.screen import wait_for
from trayapp.core.presentation import Colour

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
            time.sleep(0.1)  # each state lasts for seconds, and others work on this machine
            shares = self.desk.icon_shares(Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE)
            return {colour for colour, share in shares.items() if share > SEEN} == set(wanted)

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


# --- three persons ----------------------------------------------------------------------------------------------------


def presses_the_button(day: Day) -> None:
    """Looks from the first second on, and presses once in the notification."""
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


def takes_the_menu(day: Day) -> None:
    """Clicks the line at its top."""
    day.shows(Colour.GREEN, Colour.RED)
    day.desk.notification()
    box = day.desk.open_menu()
    day.keep("4-red-menu")
    day.desk.click_row(box, REAUTHORIZE)
    day.is_mended()


def types_the_command(day: Day) -> None:
    """Has never touched the mouse."""
    day.shows(Colour.GREEN, Colour.RED)
    command = [sys.executable, "-m", "trayapp", "reauthorize", "tickets"]
    done = subprocess.run(command, env=day.desk.env, capture_output=True, text=True, timeout=30, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    day.is_mended()


PERSONS: dict[Callable[[Day], None], bool] = {  # and whether their panel is dark
    presses_the_button: False,
    takes_the_menu: True,
    types_the_command: False,
}


class Days:
    """Three demos that began at the same time. `over` tells of each person whether their day was as it should be."""

    def __init__(self, over: dict[Callable[[Day], None], Future[None]], ending: ExitStack) -> None:
        self.over = over
        self.end = ending.close


@contextmanager
def begun() -> Iterator[Days]:
    """They are running; `end` may be called before the end of this."""
    with ExitStack() as stack:
        desks = [stack.enter_context(Desk(keyring_password=None, dark=dark)) for dark in PERSONS.values()]
        people = stack.enter_context(ThreadPoolExecutor(len(PERSONS), "before a demo"))
        days = [Day(desk) for desk in desks]
        over = {person: people.submit(person, day) for person, day in zip(PERSONS, days, strict=True)}
        yield Days(over, stack)
