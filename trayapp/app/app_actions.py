"""Clicks that concern the app and not the state of a workload: quit, mute, start at login, dashboard, copying."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, Unpack

from trayapp.api.controls import PortChanged
from trayapp.app.dashboard import Dashboard
from trayapp.app.notifier import Notifier
from trayapp.app.start_at_login import StartAtLogin
from trayapp.core.model import Moment, Problem
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot
from trayapp.engine.publisher import AppFields
from trayapp.system.plain_files import read_plain
from trayapp.system.private_files import NotPrivateError, write_private

log = logging.getLogger(__name__)

MUTED_MAX = 100  # bytes; ours has four
QUIT_AGAIN = 30.0  # s; a second *Quit* within this time quits even with unsaved logins


class ActionsEngine(Protocol):
    """What these clicks need of the engine."""

    def now(self) -> Moment: ...

    def snapshot(self) -> Snapshot: ...

    def unsaved(self) -> list[str]: ...

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None: ...

    def task(self, what: str, work: Coroutine[Any, Any, None]) -> object: ...


class AppActions:
    """Carries them out, on the engine's loop. `quit_` ends the program; `muted_file` keeps the choice of *Mute*;
    `sign_in_page` gives the address that a sign-in waits for; `change_port` moves the loopback server;
    `restart` has another program restart its workload."""

    def __init__(
        self,
        engine: ActionsEngine,
        notifier: Notifier,
        at_login: StartAtLogin,
        dashboard: Dashboard,
        sign_in_page: Callable[[str], str | None],
        change_port: Callable[[int | None], Awaitable[PortChanged | Problem]],
        restart: Callable[[str], None],
        muted_file: Path,
        quit_: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._notifier = notifier
        self._at_login = at_login
        self._dashboard = dashboard
        self._sign_in_page = sign_in_page
        self._change_port = change_port
        self._restart = restart
        self._muted_file = muted_file
        self._quit = quit_
        self._quit_warned_at = float("-inf")

    def act(self, action: Action) -> None:
        """Carry out one click."""
        match action.verb:
            case Verb.QUIT:
                self._quit_clicked()
            case Verb.MUTE:
                self._toggle_mute()
            case Verb.AUTOSTART:
                self._engine.task("switch starting at login", self._at_login.toggle())
            case Verb.CHANGE_PORT:
                self._engine.task("change the port", self._port_clicked())
            case Verb.SHOW:
                self._dashboard.clicked()
            case Verb.ADD:
                self._dashboard.clicked("add")
            case Verb.SET_UP:
                self._dashboard.clicked("setup")
            case Verb.CONNECT:
                self._dashboard.clicked(f"connect={action.name}")
            case Verb.RESTART:
                self._restart(action.name)
            case Verb.TAKE_OVER:
                self._dashboard.clicked(f"take-over={action.name}")
            case Verb.COPY_SIGN_IN:
                page = self._sign_in_page(action.name)
                self._engine.task("copy a sign-in URL", self._notifier.copy_sign_in(action.name, page))
            case Verb.COPY_ERROR:
                self._engine.task("copy error details", self._notifier.copy_error(action.name))
            case _:
                log.info("no handler for %s", action.verb)

    def muted(self, default: bool) -> bool:
        """The last choice in the menu; `default` before the first one."""
        try:
            return read_plain(self._muted_file, MUTED_MAX).strip() == b"yes"
        except OSError:
            return default

    def _toggle_mute(self) -> None:
        muted = not self._engine.snapshot().muted
        try:
            write_private(self._muted_file, "yes\n" if muted else "no\n")
        except (NotPrivateError, OSError) as error:
            log.warning("the choice of Mute lasts only for this run: %s", error)
        self._engine.set_app_fields(muted=muted)

    async def _port_clicked(self) -> None:
        """Use a port that is free, and say which."""
        result = await self._change_port(None)
        if isinstance(result, Problem):
            self._notifier.show_text("port", "Couldn't change the port", result.summary)
        else:
            self._notifier.show_text("port", "Port changed", result.message)

    def set_muted(self, muted: bool) -> None:
        """config.toml says so from now on, not the menu."""
        try:
            self._muted_file.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the last choice of Mute stays: %s", error)
        self._engine.set_app_fields(muted=muted)

    def _quit_clicked(self) -> None:
        """Quit; but if that would lose a login that is only in memory, warn first and quit on the second click."""
        unsaved, at = self._engine.unsaved(), self._engine.now().at
        if unsaved and at - self._quit_warned_at > QUIT_AGAIN:
            self._quit_warned_at = at
            self._notifier.warn_quit(unsaved)
            return
        self._quit()
