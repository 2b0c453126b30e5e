"""The first start opens set-up in the browser: real processes, started in each of the ways that there are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.desktop.screen import wait_for
from tests.real.app import App as Program
from tests.real.terminal import Terminal
from tests.web.test_app import free_port
from trayapp.app.first_page import open_set_up, this_start
from trayapp.app.icon_notice import told
from trayapp.core.first_start import Start, Told
from trayapp.core.outages import Cause, Outage
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot

pytestmark = [pytest.mark.timeout(90), pytest.mark.linux("pseudo-terminals, launchers and services are POSIX")]

PERSON = Start(terminal=True, browser=True)
BROWSER = """#!/bin/sh
echo "$1" >> {visits}
"""


class Home:
    """An empty one. `visits` are the addresses that the browser was given."""

    def __init__(self, root: Path, **more: str) -> None:
        self.root = root
        self.state = root / "STATE/amberlight"
        (root / "run").mkdir(mode=0o700, exist_ok=True)
        browser = root / "browser"
        browser.write_text(BROWSER.format(visits=root / "visits"))
        browser.chmod(0o755)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            **{f"XDG_{name}_HOME": str(root / name) for name in ("CONFIG", "STATE", "DATA", "CACHE")},
            "XDG_RUNTIME_DIR": str(root / "run"),
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "DBUS_SYSTEM_BUS_ADDRESS": "disabled:",
            "BROWSER": str(browser),
            **more,
        }

    @property
    def visits(self) -> list[str]:
        file = self.root / "visits"
        return file.read_text().split() if file.exists() else []

    @contextmanager
    def program(self, *options: str) -> Iterator[Program]:
        """Running and answering, without a terminal."""
        program = Program(self.env, self.root, "none", "--no-tray", *options)
        program.configure(f"[settings]\nport = {free_port()}\n")
        with program:
            program.until_up()
            yield program

    @contextmanager
    def in_a_terminal(self, *options: str) -> Iterator[Terminal]:
        command = [sys.executable, "-m", "trayapp", "run", "--no-tray", *options]
        program = Program(self.env, self.root)
        program.configure(f"[settings]\nport = {free_port()}\n")
        with Terminal(command, program.environment, self.root) as terminal:
            terminal.expect("Amberlight is running")
            program.until_up()
            yield terminal
            terminal.interrupt()
            terminal.wait()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_in_a_terminal_it_opens_once(home: Home) -> None:
    """The terminal says so; the second start opens nothing, whoever makes it."""

    with home.in_a_terminal() as terminal:
        terminal.expect("Set-up opens in your browser")
        wait_for(lambda: len(home.visits) == 1, "the visit")
    assert "/?setup#once=" in home.visits[0]
    with home.in_a_terminal() as terminal:
        assert "Set-up" not in terminal.screen
    with home.program("--page"):
        pass
    assert 1 == len(home.visits)


def test_from_the_desktops_menu_it_opens(home: Home) -> None:
    """Its command is that of the entry that we install."""

    entry = (Path(__file__).parents[2] / "packaging/linux/amberlight.desktop").read_text()
    assert "Exec=amberlight run --page\n" in entry
    with home.program("--page"):
        wait_for(lambda: len(home.visits) == 1, "the visit")


def test_at_login_and_as_a_service_it_opens_nothing(home: Home) -> None:
    """The commands of autostart entry and unit say nothing of a page, and nobody watches."""

    folder = Path(__file__).parents[2] / "packaging"
    for file in ("linux/autostart.desktop", "systemd/amberlight.service"):
        assert "--page" not in (folder / file).read_text()
    with home.program():
        pass
    assert [] == home.visits
    assert Told.SET_UP not in told(home.state)


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ({}, ("--no-page",)),  # as `amberlight stdio` starts it
        ({"SSH_CONNECTION": "192.0.2.1 5 192.0.2.2 22"}, ()),
        ({"BROWSER": ""}, ()),
    ],
    ids=["another program", "ssh", "no browser"],
)
def test_it_opens_nothing_in_a_terminal_where_nobody_would_see_it(
    tmp_path: Path, more: Mapping[str, str], options: tuple[str, ...]
) -> None:
    """And it still may at a later start."""

    home = Home(tmp_path, **more)
    with home.in_a_terminal(*options) as terminal:
        assert "Set-up" not in terminal.screen
    assert [] == home.visits
    assert Told.SET_UP not in told(home.state)


# --- without processes -----------------------------------------------------------------------------------------------


@dataclass
class Recorded:
    shown: Snapshot = field(default_factory=lambda: Snapshot(1, {}))
    posted: list[Action] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        return self.shown

    def post(self, action: Action) -> None:
        self.posted.append(action)


def test_a_page_that_could_not_help_is_not_opened(tmp_path: Path) -> None:
    """After a mistake in the configuration, and where no server listens, it waits for a better start."""

    for shown in (Snapshot(1, {}, broken="line 3"), Snapshot(1, {}, outage=Outage(8765, Cause.IN_USE))):
        app = Recorded(shown)
        open_set_up(app, tmp_path, PERSON, None)
        assert [] == app.posted
    app = Recorded()
    open_set_up(app, tmp_path, PERSON, None)
    open_set_up(app, tmp_path, PERSON, None)
    assert [Action(Verb.SET_UP)] == app.posted


@pytest.mark.parametrize("name", ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"])
def test_how_a_start_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the environment, and by what standard input and error are."""

    monkeypatch.setattr(sys, "platform", "linux")
    assert Start(None) == this_start({}, None)
    assert Start(True, remote=True, browser=True) == this_start({name: "x", "WAYLAND_DISPLAY": "w"}, True)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(sys, "stdin", None)
    assert Start(False, browser=True) == this_start({}, False)
