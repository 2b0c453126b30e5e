"""Settings of the app as the dashboard changes them: config.toml, starting at login, and when notifications may come."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from trayapp.api.controls import PortChanged, Rejected, SettingsTable
from trayapp.app.app_settings import AppSettings
from trayapp.app.editing import Configuration
from trayapp.app.notifier import allowed_kinds
from trayapp.autostart.state import Kind, State
from trayapp.config import editor
from trayapp.config.described import SETTINGS
from trayapp.config.loader import ConfigError, Paths, Settings, load
from trayapp.core.model import Problem
from trayapp.core.notice_kinds import KINDS


class Site:
    """A configuration, and starting at login as a test says."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths.under(root)
        self.paths.config_file.parent.mkdir()
        self.login: State | None = State(Kind.OFF, "Off.")
        self.failure = ""
        self.muted = False
        self.unmuted = 0
        self.settings = AppSettings(
            Configuration(self.paths, self.reload), self, lambda: self.muted, self.mute, self.move
        )
        self.moves: list[int] = []
        self.taken = 0

    async def move(self, port: int) -> PortChanged | Problem:
        self.moves.append(port)
        if port == self.taken:
            return Problem("port", f"Port {port} is in use.")
        editor.change(self.paths, SETTINGS, {"port": port})
        return PortChanged(port, f"The port is {port} now. Updated Cursor.")

    def mute(self) -> None:
        self.unmuted += 1

    async def reload(self) -> tuple[list[str], list[str]]:
        try:
            load(self.paths, {})
        except ConfigError as error:
            return [str(mistake) for mistake in error.mistakes], []
        return [], []

    async def state(self) -> State | None:
        return self.login

    async def set(self, *, on: bool) -> str:
        if not self.failure:
            self.login = State(Kind.ON if on else Kind.OFF, "So.")
        return self.failure

    async def change(self, revision: str = "", **changes: object) -> SettingsTable:
        done = await self.settings.change(changes, revision)
        assert isinstance(done, SettingsTable), done
        return done

    async def refused(self, revision: str = "", **changes: object) -> Rejected:
        done = await self.settings.change(changes, revision)
        assert isinstance(done, Rejected), done
        return done


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def row(table: SettingsTable, name: str) -> tuple[object, bool, str]:
    (found,) = [row for row in table.rows if row.name == name]
    return found.value, found.changed, found.source


async def test_start_at_login_is_a_setting(site: Site) -> None:
    """Read from the system and written there; config.toml knows nothing of it."""

    table = await site.change(start_at_login=True)
    assert (True, True, "system") == row(table, "start_at_login")
    assert "So." == table.notes["start_at_login"]
    assert not site.paths.config_file.exists()


async def test_a_switch_that_fails_is_named(site: Site) -> None:
    """What was written before stays; a wrong value writes nothing."""

    site.failure = "The service manager refused."
    refused = await site.refused(start_at_login=True, port=9000)
    assert (409, {"start_at_login": site.failure}) == (refused.status, refused.fields)
    assert 9000 == load(site.paths, {}).settings.port
    refused = await site.refused(start_at_login="yes", port=9001)
    assert (400, ["start_at_login"]) == (refused.status, list(refused.fields))
    assert 9000 == load(site.paths, {}).settings.port


async def test_where_it_is_not_offered_there_is_no_row(site: Site) -> None:
    """In the demo, for example."""

    site.login = None
    table = await site.settings.table()
    assert isinstance(table, SettingsTable)
    assert "start_at_login" not in {row.name for row in table.rows}


async def test_a_choice_in_the_menu_ends_with_the_setting(site: Site) -> None:
    """Whichever came last counts."""

    site.muted = True
    table = await site.settings.table()
    assert isinstance(table, SettingsTable)
    assert (True, False, "menu") == row(table, "muted")
    await site.change(muted=True)
    assert 1 == site.unmuted
    await site.change(port=9000)
    assert 1 == site.unmuted


async def test_another_port_is_moved_to(site: Site) -> None:
    """As with *Change port…*: only if it is free, and with clients' files; the note says so."""

    table = await site.change(port=9000, muted=True)
    assert (9000, True, "file") == row(table, "port")
    assert "The port is 9000 now. Updated Cursor." == table.notes["port"]
    site.taken = 9001
    refused = await site.refused(port=9001)
    assert (409, {"port": "Port 9001 is in use."}) == (refused.status, refused.fields)
    assert [9000, 9001] == site.moves
    await site.change(port=None)
    assert (8765, 2) == (load(site.paths, {}).settings.port, len(site.moves))


async def test_a_revision_protects_an_edit_by_hand(site: Site) -> None:
    """412, and the key that the person changed stays."""

    table = await site.change(port=9000)
    site.paths.config_file.write_text("[settings]\nport = 9999\n")
    assert 412 == (await site.refused(table.revision, port=9001)).status
    assert 9999 == load(site.paths, {}).settings.port


@pytest.mark.parametrize("text", ["[settings\n", "[settings]\nport = -1\n"])
async def test_a_file_with_a_mistake(site: Site, text: str) -> None:
    """It is named, and stays as it is."""

    site.paths.config_file.write_text(text)
    refused = await site.refused(muted=True)
    assert (409, "configuration") == (refused.status, refused.code)
    assert "config.toml:" in refused.message
    assert text == site.paths.config_file.read_text()


async def test_a_file_that_cannot_be_changed_is_shown_with_the_reason(site: Site) -> None:
    """So that the form can say so before anybody types."""

    site.paths.config_file.write_text("[settings]\nport = 1\n")
    site.paths.config_file.chmod(0o400)
    table = await site.settings.table()
    assert isinstance(table, SettingsTable)
    assert "is read-only" in table.problem
    assert (1, True, "file") == row(table, "port")


def test_kinds_that_may_be_shown_now() -> None:
    """By the settings and the local time."""

    noon, night = (time.mktime((2026, 1, 2, hour, 30, 0, 0, 0, -1)) for hour in (12, 23))
    quiet = Settings(quiet_hours="22:00-07:00", notifications=("ending",))

    assert set(KINDS) == allowed_kinds(Settings(), night)
    assert {"ending"} == allowed_kinds(quiet, noon)
    assert set() == allowed_kinds(quiet, night)
