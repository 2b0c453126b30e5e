"""Clicks that concern the app and no single workload: quit, mute, start at login, the dashboard, copying."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from trayapp.app.client_addresses import ClientAddresses
from trayapp.app.dashboard import Dashboard
from trayapp.app.notifier import Notifier
from trayapp.app.start_at_login import StartAtLogin
from trayapp.core.presentation import Action, Verb
from trayapp.engine.engine import Engine
from trayapp.system.private_files import write_private

log = logging.getLogger(__name__)

QUIT_AGAIN = 30.0  # s; a second *Quit* within this time quits even with unsaved logins


class AppActions:
    """On the engine's loop. `quit` ends the program; `muted_file` keeps the last choice of *Mute notifications*."""

    def __init__(
        self,
        engine: Engine,
        notifier: Notifier,
        at_login: StartAtLogin,
        dashboard: Dashboard,
        clients: ClientAddresses,
        muted_file: Path,
        quit_: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._notifier = notifier
        self._at_login = at_login
        self._dashboard = dashboard
        self._clients = clients
        self._muted_file = muted_file
        self._quit = quit_
        self._quit_at = float("-inf")

    def act(self, action: Action) -> None:
        """One click."""
        match action.verb:
            case Verb.QUIT:
                self._quit_asked()
            case Verb.MUTE:
                self._toggle_mute()
            case Verb.AUTOSTART:
                self._engine.task("switch starting at login", self._at_login.toggle())
            case Verb.SHOW | Verb.ADD:
                self._dashboard.clicked(add=action.verb is Verb.ADD)
            case Verb.COPY_CLIENT:
                access = self._clients.workload(action.name)
                self._engine.task("copy client settings", self._notifier.copy_client(action.name, access))
            case Verb.COPY_ERROR:
                self._engine.task("copy error details", self._notifier.copy_error(action.name))
            case _:
                log.info("nothing to do for %s", action.verb)

    def muted(self, otherwise: bool) -> bool:
        """The last choice in the menu; before the first one, `otherwise`."""
        try:
            return self._muted_file.read_text(encoding="utf-8").strip() == "yes"
        except (OSError, ValueError):
            return otherwise

    def _toggle_mute(self) -> None:
        muted = not self._engine.snapshot().muted
        write_private(self._muted_file, "yes\n" if muted else "no\n")
        self._engine.set_app_fields(muted=muted)

    def _quit_asked(self) -> None:
        """A login that is in memory only would be lost: say so once, then quit."""
        unsaved, at = self._engine.unsaved(), self._engine.now().at
        if unsaved and at - self._quit_at > QUIT_AGAIN:
            self._quit_at = at
            self._notifier.warn_quit(unsaved)
            return
        self._quit()
