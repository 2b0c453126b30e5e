"""Who can click in the demo, what they are told, and an end where nobody can."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trayapp.config.loader import Paths
from trayapp.core.checks import OK, WARNING, Check
from trayapp.demo import audience as here
from trayapp.demo import demo, story
from trayapp.demo.audience import PATIENCE, Audience, audience, command
from trayapp.system.shown_command import quoted

NO_TRAY = "This desktop has no tray for icons (no StatusNotifierWatcher)."


@pytest.mark.parametrize(
    ("given", "patience", "hint"),
    [
        (Audience(), 0.0, "The demo chooses Reauthorize itself."),
        (Audience(icon=True), None, "In the menu or notification, choose Reauthorize."),
        (
            Audience(icon=True, notification=True, command="amberlight x"),
            None,
            "In the menu or notification, choose Reauthorize, or run `amberlight x`.",
        ),
        (
            Audience(notification=True),
            PATIENCE,
            "In the notification, choose Reauthorize. In 30 seconds the demo does it for you.",
        ),
        (
            Audience(command="./.venv/bin/amberlight x"),
            PATIENCE,
            "In another terminal, run `./.venv/bin/amberlight x` in this folder. In 30 seconds the demo does it for you.",
        ),
        (
            Audience(command="amberlight x"),
            PATIENCE,
            "In another terminal, run `amberlight x`. In 30 seconds the demo does it for you.",
        ),
    ],
)
def test_what_there_is_to_click(given: Audience, patience: float | None, hint: str) -> None:
    """Only an icon is waited for without limit."""

    assert (patience, hint) == (given.patience, given.hint)


def checks(monkeypatch: pytest.MonkeyPatch, *states: str) -> None:
    async def found() -> list[Check]:
        return [Check("", state, NO_TRAY) for state in states]

    monkeypatch.setattr(here, "_checks", found)


@pytest.mark.parametrize(
    ("states", "icon", "notification", "opening"),
    [
        ((), True, True, ""),
        ((OK, OK), True, True, ""),
        ((OK, WARNING), True, False, ""),
        ((WARNING, OK), False, True, f"{NO_TRAY} The demo runs without an icon."),
        ((WARNING, WARNING), False, False, f"{NO_TRAY} The demo runs without an icon."),
    ],
)
def test_what_this_desktop_shows(
    states: tuple[str, ...], icon: bool, notification: bool, opening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing tray is said first; systems without these checks always have both."""

    checks(monkeypatch, *states)
    found = audience(tray=True, arguments=())

    assert (icon, notification, opening) == (found.icon, found.notification, found.opening)


def test_without_a_terminal_nobody_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe gets no command to run; a terminal does, unless it would reach another app."""

    for terminal in (False, True):
        monkeypatch.setattr("sys.stdin.isatty", lambda answer=terminal: answer)
        monkeypatch.setattr("sys.stdout.isatty", lambda answer=terminal: answer)
        assert terminal == bool(audience(tray=False, arguments=("list",)).command)
        assert "" == audience(tray=False, arguments=()).command


def test_the_command_runs_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program on PATH by its name, one below this directory by its relative path, any other by its full path."""

    program = tmp_path / ".venv" / "bin" / "amberlight"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    other = tmp_path / "other dir" / "amberlight"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setattr(here, "client_command", lambda *arguments: (str(program), *arguments))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(other.parent))
    assert "./.venv/bin/amberlight reauthorize notes" == command("reauthorize", "notes").replace(os.sep, "/")
    monkeypatch.chdir(other.parent)
    assert f"{quoted(str(program))} reauthorize notes" == command("reauthorize", "notes")
    if os.name == "nt":  # which finds what ends with .exe
        return
    monkeypatch.setenv("PATH", str(program.parent))
    assert "amberlight reauthorize notes" == command("reauthorize", "notes")
    monkeypatch.setattr(here, "client_command", lambda *arguments: (str(other), *arguments))
    monkeypatch.chdir(tmp_path)
    assert f"{quoted(os.path.join('.', 'other dir', 'amberlight'))} list" == command("list")


@pytest.mark.linux("other systems always have a tray")
@pytest.mark.parametrize("fast", [False, True])
def test_the_demo_ends_where_nobody_can_click(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fast: bool
) -> None:
    """Without a session bus and a terminal it says so, plays the click, and quits, without opening a browser; at high
    speed, too."""

    for name in ("CONFIG_HOME", "STATE_HOME", "DATA_HOME", "CACHE_HOME", "RUNTIME_DIR"):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(story, "PAUSE", 0.2)
    quick, server = demo.policy(fast=True), demo._server
    monkeypatch.setattr(demo, "policy", lambda fast: quick)
    monkeypatch.setattr(demo, "_server", lambda fast: server(True))
    monkeypatch.setattr(demo, "_browser", lambda url: pytest.fail("opened a browser"))

    assert 0 == demo.run(tray=True, fast=fast, exit_when_done=False, as_json=False)
    said = capfd.readouterr().out
    assert "This isn't a desktop session (no D-Bus session bus). The demo runs without an icon.\n" in said
    assert "\nThe demo chooses Reauthorize itself.\n" in said
    assert said.endswith("\nOne click, and it's green again.\n")
    assert not os.listdir(tmp_path / "STATE_HOME")


def test_no_command_reaches_another_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another Amberlight runs, `amberlight reauthorize` would go to that one, so only the click is named."""

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert demo._the_click(Paths.default()) == ("reauthorize", "tickets")
    assert demo._the_click(Paths.under(tmp_path / "own")) == ()
