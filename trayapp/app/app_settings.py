"""The settings of the app as the dashboard shows and changes them: `[settings]` of config.toml, and starting at login."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from trayapp.api.controls import PortChanged, Rejected, SettingsTable
from trayapp.app import rejections
from trayapp.app.editing import Configuration, problem_of_file
from trayapp.app.rejections import RejectedError
from trayapp.core.model import Problem

if TYPE_CHECKING:
    from trayapp.autostart import State
    from trayapp.config.described import Files, Row

START_AT_LOGIN, MUTED, PORT = "start_at_login", "muted", "port"


class Login(Protocol):
    """Starting at login: `start_at_login.py`."""

    async def state(self) -> State | None: ...

    async def set(self, *, on: bool) -> str: ...


class AppSettings:
    """`muted` says whether notifications are off now; `mute` forgets the menu's choice, so that config.toml's counts.
    `change_port` moves the local server, if the port is free, and updates clients' files."""

    def __init__(
        self,
        configuration: Configuration,
        login: Login,
        muted: Callable[[], bool],
        mute: Callable[[], None],
        change_port: Callable[[int], Awaitable[PortChanged | Problem]],
    ) -> None:
        self._configuration = configuration
        self._login = login
        self._muted = muted
        self._mute = mute
        self._change_port = change_port

    async def table(self) -> SettingsTable | Rejected:
        """All of them, as they are now."""
        from trayapp.config import described

        paths = self._configuration.paths
        try:
            files = await self._configuration.in_thread(lambda: described.read_files(paths))
        except RejectedError as error:
            return error.rejected
        rows = [self._as_it_is(row) for row in described.settings_rows(files, os.environ)]
        notes = {}
        if (state := await self._login.state()) is not None:
            rows.insert(0, _login_row(on=state.on))
            notes[START_AT_LOGIN] = f"{state.text} {state.help}".strip()
        problem = await problem_of_file(self._configuration)
        return SettingsTable(self._revision(files), str(paths.config_file), problem, rows, notes)

    def _as_it_is(self, row: Row) -> Row:
        """The row, with the last choice of *Mute* in the menu."""
        muted = self._muted()
        return row if row.name != MUTED or row.value is muted else replace(row, value=muted, source="menu")

    def _revision(self, files: Files) -> str:
        from trayapp.config import described

        return described.revision(files, described.SETTINGS)

    async def change(self, changes: Mapping[str, object], revision: str) -> SettingsTable | Rejected:
        """Change settings, all of them or none; null takes one out of the file. The table then."""
        in_file = {key: value for key, value in changes.items() if key != START_AT_LOGIN}
        moved = ""
        try:
            rejections.check_settings(in_file)
            at_login = changes.get(START_AT_LOGIN)
            if START_AT_LOGIN in changes and not isinstance(at_login, bool):
                rejections.raise_if({START_AT_LOGIN: "Must be true or false."})
            port = in_file.pop(PORT) if in_file.get(PORT) else None  # 0 and null only change the file
            if in_file or port is not None:
                await self._write(in_file, revision)
            if isinstance(port, int):
                moved = await self._move(port)
            if isinstance(at_login, bool) and (failed := await self._login.set(on=at_login)):
                raise RejectedError(Rejected(409, START_AT_LOGIN, failed, {START_AT_LOGIN: failed}))
        except RejectedError as error:
            return error.rejected
        table = await self.table()
        return (
            replace(table, notes={**table.notes, PORT: moved}) if isinstance(table, SettingsTable) and moved else table
        )

    async def _move(self, port: int) -> str:
        """What was done, in sentences."""
        done = await self._change_port(port)
        if isinstance(done, Problem):
            raise RejectedError(Rejected(409, PORT, done.summary, {PORT: done.summary}))
        return done.message

    async def _write(self, changes: Mapping[str, object], revision: str) -> None:
        from trayapp.config import editor
        from trayapp.config.described import SETTINGS

        configuration = self._configuration
        await configuration.load()
        await configuration.in_thread(lambda: editor.change(configuration.paths, SETTINGS, changes, revision))
        await configuration.load()
        if MUTED in changes:
            self._mute()


def _login_row(*, on: bool) -> Row:
    from trayapp.config.checks import flag
    from trayapp.config.described import Row
    from trayapp.config.kinds import KINDS

    meaning = "start Amberlight when you log in"
    return Row(START_AT_LOGIN, "general", KINDS[flag], meaning, on, False, on, "system")
