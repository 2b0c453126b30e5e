"""Client secrets that end soon: renewed at the server where it offers that (RFC 7592), else warned of a week ahead."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from trayapp.app.local_time import local_datetime
from trayapp.app.warning_lines import WarningLines
from trayapp.core.messages import ClientRenewed
from trayapp.core.model import Login, Phase, Secret, Workload
from trayapp.engine.ports import EngineCore

log = logging.getLogger(__name__)

LOOK_EVERY = 3600.0  # s; a look costs nothing until a secret's last week
FIRST_LOOK = 60.0  # s after the start: what is needed then comes first
WARN_AHEAD = 7 * 86400.0  # s
QUIET = 60.0  # s to the next refresh: a renewal must not overtake one

# Workload, client id, wall clock → the client's secret and its end (wall; 0: never), after a renewal if one was due.
Current = Callable[[str, str, float], Awaitable[tuple[Secret, float] | None]]


async def watch(engine: EngineCore, current: Current, warnings: WarningLines) -> None:
    """Look every hour for as long as the app runs."""
    secrets = ClientSecrets(engine, current, warnings)
    await asyncio.sleep(FIRST_LOOK)
    while True:
        try:
            await secrets.look()
        except Exception:  # the next look may succeed
            log.exception("looking at the clients' secrets failed")
        await asyncio.sleep(LOOK_EVERY)


class ClientSecrets:
    """Looks every hour at the clients that Amberlight registered."""

    def __init__(self, engine: EngineCore, current: Current, warnings: WarningLines) -> None:
        self._engine = engine
        self._current = current
        self._warnings = warnings
        self._ending: dict[str, float] = {}  # workload → end of its client's secret, as last seen

    async def look(self) -> None:
        """Renew what ends soon, give the new secret to the login, and warn of the rest."""
        for name in list(self._engine.workloads):
            now, w = self._engine.now(), self._engine.workloads.get(name)
            if w is None or w.login is None or not _may_be_renewed(w, w.login, now.at):
                continue
            found = await self._current(name, w.login.client_id, now.wall)
            if found is None or name not in self._engine.workloads:
                continue
            secret, self._ending[name] = found
            self._engine.apply(name, ClientRenewed(self._engine.now(), w.login.client_id, secret))
        self._show(self._engine.now().wall)

    def _show(self, wall: float) -> None:
        """One line for those that end within a week and couldn't be renewed."""
        ending = {name: ends for name, ends in self._ending.items() if name in self._engine.workloads}
        lines = [_sentence(name, ends) for name, ends in ending.items() if 0 < ends < wall + WARN_AHEAD]
        if lines and "client secrets" not in self._warnings.lines:
            log.warning("%s", " ".join(lines))
        self._warnings.set("client secrets", " ".join(lines))


def _may_be_renewed(w: Workload, login: Login, at: float) -> bool:
    """Whether the login has a registered client with a secret, works, and isn't about to be refreshed."""
    quiet = w.phase is Phase.VALID and not w.unsaved and (w.due is None or w.due - at > QUIET)
    return quiet and login.client_secret is not None and _is_registered(login)


def _is_registered(login: Login) -> bool:
    try:
        registration = json.loads(login.registration.reveal()) if login.registration is not None else None
    except ValueError:
        return False
    return isinstance(registration, dict) and registration.get("registered") is True


def _sentence(name: str, ends: float) -> str:
    day = f"{local_datetime(ends):%d %B %Y}".lstrip("0")
    return (
        f"The client secret of {name} ends on {day}, and the server doesn't renew it. Before then, run "
        f"`amberlight reauthorize {name}`."
    )
