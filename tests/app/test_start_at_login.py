"""*Start at login*: the menu item of the running app, and the command."""

from __future__ import annotations

import json
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from trayapp import autostart
from trayapp.app.app import App
from trayapp.app.parts import Parts
from trayapp.app.start_at_login import StartAtLogin
from trayapp.autostart import AutostartError, Kind, State
from trayapp.cli import main
from trayapp.cli.client import ApiClient
from trayapp.config.loader import Config, Settings
from trayapp.config.paths import Paths
from trayapp.core.presentation import Action, Verb
from trayapp.vault.keystore import MemoryKeystore

ME = (sys.executable, "run")


class System:
    """A fake autostart, which can fail or be overridden."""

    def __init__(self) -> None:
        self.kind = Kind.OFF
        self.stubborn = ""
        self.overridden = False
        self.started: Sequence[str] = ()

    def status(self) -> State:
        return State(self.kind, f"It is {self.kind}.", "Look elsewhere." if self.kind is Kind.DISABLED else "")

    def on(self, command: Sequence[str]) -> State:
        return self._switch(Kind.DISABLED if self.overridden else Kind.ON, command)

    def off(self) -> State:
        return self._switch(Kind.OFF, ())

    def _switch(self, kind: Kind, command: Sequence[str]) -> State:
        if self.stubborn:
            raise AutostartError(self.stubborn)
        self.kind, self.started = kind, command
        return self.status()


class Item:
    """The menu item with a fake system: what it shows and tells."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.system = System()
        self.shown: list[bool | None] = []
        self.told: list[str] = []
        self.at_login = StartAtLogin(lambda: self.system, self.shown.append, self.told.append)
        monkeypatch.setattr(autostart, "login_command", lambda: ME)


@pytest.fixture
def item(monkeypatch: pytest.MonkeyPatch) -> Item:
    return Item(monkeypatch)


async def test_a_click_switches_it(item: Item) -> None:
    """On, with the command that was found, and off again; only the check mark shows it."""

    await item.at_login.refresh()
    await item.at_login.toggle()
    assert ME == item.system.started
    await item.at_login.toggle()
    assert [False, True, False] == item.shown
    assert [] == item.told
    await item.at_login.close()


@pytest.mark.parametrize("kind", [Kind.BROKEN, Kind.DISABLED])
async def test_what_starts_nothing_has_no_check_mark(item: Item, kind: Kind) -> None:
    """A click fixes it."""

    item.system.kind = kind
    await item.at_login.refresh()
    await item.at_login.toggle()
    assert [False, True] == item.shown
    await item.at_login.close()


async def test_a_switch_of_the_system_is_explained(item: Item) -> None:
    """A click that changes nothing says why, and what to do."""

    item.system.overridden = True
    await item.at_login.toggle()
    assert [False] == item.shown
    assert ["It is disabled. Look elsewhere."] == item.told
    await item.at_login.close()


async def test_a_failure_is_shown(item: Item) -> None:
    """And the check mark shows the actual state."""

    item.system.stubborn = "The disk is full."
    await item.at_login.toggle()
    assert ["The disk is full."] == item.told
    assert [False] == item.shown
    await item.at_login.close()


async def test_a_checkout_offers_nothing(item: Item, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing could be started there is nothing to choose; but what is on can be switched off."""

    def nothing() -> Sequence[str]:
        raise autostart.CannotStartError("not installed")

    monkeypatch.setattr(autostart, "login_command", nothing)
    await item.at_login.refresh()
    item.system.kind = Kind.ON
    await item.at_login.refresh()
    await item.at_login.toggle()
    assert [None, True, False] == item.shown
    await item.at_login.close()


async def test_an_unexpected_error_of_the_system(item: Item, caplog: pytest.LogCaptureFixture) -> None:
    """One entry in the log, and the app continues."""

    item.system.status = lambda: 1 / 0  # type: ignore[assignment, return-value]
    await item.at_login.refresh()
    assert [] == item.shown
    assert "it could not be seen" in caplog.text
    await item.at_login.close()
    await item.at_login.refresh()  # after the end: nothing
    await item.at_login.toggle()


async def test_the_demo_offers_nothing() -> None:
    """Its click, if it came, would do nothing."""

    nobody = StartAtLogin(None, lambda _: pytest.fail("shown"), lambda _: pytest.fail("told"))
    await nobody.refresh()
    await nobody.toggle()
    await nobody.close()


def test_the_menu_follows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A click switches it; a change by the command is shown too."""

    monkeypatch.setattr(autostart, "login_command", lambda: ME)
    system, paths, seen = System(), Paths.under(tmp_path), queue.Queue[bool | None]()
    paths.make()
    parts = Parts(
        keystore=MemoryKeystore,
        notifications=False,
        autostart=lambda: system,
        on_snapshot=lambda snapshot: seen.put(snapshot.autostart),
    )
    app = App(paths, lambda: Config(Settings(port=0), {}), parts)
    thread = threading.Thread(target=app.run, kwargs={"tray": False})

    def until(wanted: bool) -> None:
        while seen.get(timeout=10) is not wanted:
            pass

    thread.start()
    try:
        until(False)
        app.act(Action(Verb.AUTOSTART))
        until(True)
        assert ME == system.started
        system.off()
        ApiClient.find(paths.runtime_dir).reload()
        until(False)
    finally:
        app.quit()
        thread.join(10)
    assert not thread.is_alive()


# --- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("CONFIG_HOME", "CONFIG_DIRS", "STATE_HOME", "DATA_HOME", "RUNTIME_DIR"):
        monkeypatch.setenv(f"XDG_{name}", str(tmp_path / name.lower()))
    monkeypatch.delenv("XDG_CURRENT_DESKTOP", raising=False)
    monkeypatch.setattr("trayapp.cli.autostart.login_command", lambda: ME)
    return tmp_path


linux = pytest.mark.linux("the XDG entry is Linux's")


@linux
def test_the_three_commands(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """on, status and off, each with the resulting state; status is the default."""

    entry = home / "config_home/autostart/amberlight.desktop"
    assert 0 == main(["autostart", "on"])
    assert f"On: {sys.executable} starts at login ({entry}).\n" == capsys.readouterr().out
    assert 0 == main(["autostart"])
    assert "On: " in capsys.readouterr().out
    assert 0 == main(["autostart", "off"])
    assert "Off: Amberlight doesn't start at login.\n" == capsys.readouterr().out
    assert not entry.exists()


@linux
def test_status_for_scripts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON; and exit code 1 only for an entry that starts nothing."""

    assert 0 == main(["autostart", "status", "--format", "json"])
    assert "off" == json.loads(capsys.readouterr().out)["state"]
    entry = home / "config_home/autostart/amberlight.desktop"
    entry.parent.mkdir(parents=True)
    entry.write_text("[Desktop Entry]\nExec=/gone/amberlight run\n")
    assert 1 == main(["autostart", "status", "--format", "json"])
    assert "broken" == json.loads(capsys.readouterr().out)["state"]


@linux
def test_a_failure_is_one_sentence(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the standard error, with exit code 1."""

    (home / "config_home").write_text("")
    assert 1 == main(["autostart", "on"])
    said = capsys.readouterr()
    assert "" == said.out
    assert said.err.startswith(f"amberlight: {home}/config_home/autostart/amberlight.desktop can't be written")
    assert 1 == said.err.count("\n")


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Anything but the three subcommands."""

    assert 2 == main(["autostart", "maybe"])
    assert "maybe" in capsys.readouterr().err
