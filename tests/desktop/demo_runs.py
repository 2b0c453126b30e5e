"""`amberlight demo` on three desktops, each with a simulated user in a thread who watches and clicks.

A demo takes half a minute of real time, whatever else runs. So the demos start with the first test that needs a desktop,
and the demos' own tests only collect what the users have seen.
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
from tests.desktop import fake_browser
from tests.desktop.desk import Desk
from tests.desktop.screen import wait_for
from trayapp.core.presentation import Colour

MINUTE = 60.0
VISIBLE_SHARE = 0.02  # of the icon's square: a colour counts as visible
REAUTHORIZE = 1  # line of the menu, below the summary


class DemoRun:
    """One demo on its own desktop."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.visits_file = desk.root / "visits"
        desk.env |= {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "BROWSER": fake_browser.command(self.visits_file),
        }
        self.began = time.monotonic()
        self.process = desk.spawn(sys.executable, "-m", "trayapp", "demo")

    def wait_for_icon(self, *wanted: Colour, limit: float = MINUTE) -> None:
        """Wait until the icon on the panel shows these status colours and no other."""

        def visible() -> bool:
            time.sleep(0.1)  # each state lasts for seconds, and others work on this machine
            shares = self.desk.icon_shares(Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE)
            return {colour for colour, share in shares.items() if share > VISIBLE_SHARE} == set(wanted)

        wait_for(visible, f"an icon in {', '.join(wanted)}; the demo said: {self.output()}", limit)

    def output(self) -> str:
        """What the demo has printed."""
        return self.desk.log(Path(sys.executable).name)

    def screenshot(self, name: str) -> None:
        """Save the whole screen in the directory of AMBERLIGHT_SHOTS, if that is set."""
        if folder := os.environ.get("AMBERLIGHT_SHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.desk.shot(Path(folder) / f"{name}.png")

    def is_fixed(self) -> None:
        """Green after one visit to the sign-in page, with no notification left; it ends on SIGTERM."""
        self.wait_for_icon(Colour.GREEN, limit=10)
        wait_for(lambda: not self.desk.notifications(), "the notification to go")
        assert ["came", "200"] == fake_browser.visits(self.visits_file)
        self.screenshot("5-fixed")
        self.process.send_signal(signal.SIGTERM)
        assert 0 == self.process.wait(15), self.output()
        assert "Traceback" not in self.output()


# --- three users ------------------------------------------------------------------------------------------------------


def reauthorizes_by_notification(run: DemoRun) -> None:
    """Watch from the start, and press the button of the notification once."""
    run.wait_for_icon(Colour.GREEN)
    run.screenshot("1-green")
    run.wait_for_icon(Colour.AMBER)
    run.screenshot("2-amber")
    run.wait_for_icon(Colour.GREEN)
    run.screenshot("3-green-again")
    assert [] == run.desk.notifications(), "an automatic recovery must not notify"
    run.wait_for_icon(Colour.GREEN, Colour.RED)
    assert time.monotonic() - run.began < MINUTE
    box = run.desk.notification()
    run.desk.settle(box)
    run.screenshot("4-red")
    assert 2 == len(run.desk.buttons(box)), "Reauthorize and Retry now"
    assert [] == fake_browser.visits(run.visits_file), "nobody has clicked yet"
    run.desk.press_button(0)
    run.is_fixed()


def reauthorizes_by_menu(run: DemoRun) -> None:
    """Click the line at the top of the menu."""
    run.wait_for_icon(Colour.GREEN, Colour.RED)
    run.desk.notification()
    box = run.desk.open_menu()
    run.screenshot("4-red-menu")
    run.desk.click_row(box, REAUTHORIZE)
    run.is_fixed()


def reauthorizes_by_command(run: DemoRun) -> None:
    """Run `amberlight reauthorize` instead of clicking."""
    run.wait_for_icon(Colour.GREEN, Colour.RED)
    command = [sys.executable, "-m", "trayapp", "reauthorize", "tickets"]
    done = subprocess.run(command, env=run.desk.env, capture_output=True, text=True, timeout=30, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr
    run.is_fixed()


USERS: dict[Callable[[DemoRun], None], bool] = {  # and whether their panel is dark
    reauthorizes_by_notification: False,
    reauthorizes_by_menu: True,
    reauthorizes_by_command: False,
}


class DemoRuns:
    """Three demos that started together. `results` holds the outcome of each user; `end` closes the desktops early."""

    def __init__(self, results: dict[Callable[[DemoRun], None], Future[None]], ending: ExitStack) -> None:
        self.results = results
        self.end = ending.close


@contextmanager
def demos_started() -> Iterator[DemoRuns]:
    """Run all demos; `end` of the result may be called before this context ends."""
    with ExitStack() as stack:
        desks = [stack.enter_context(Desk(keyring_password=None, dark=dark)) for dark in USERS.values()]
        users = stack.enter_context(ThreadPoolExecutor(len(USERS), "before a demo"))
        runs = [DemoRun(desk) for desk in desks]
        results = {user: users.submit(user, run) for user, run in zip(USERS, runs, strict=True)}
        yield DemoRuns(results, stack)
