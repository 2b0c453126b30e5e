"""What becomes of the keyring while the app runs: logins are kept for this run only while there is none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, Unpack

from trayapp.app.diagnostics import KeyringHealth
from trayapp.app.warning_lines import WarningLines
from trayapp.core.model import Trouble
from trayapp.engine.publisher import AppFields

log = logging.getLogger(__name__)

NO_KEYRING = "No keyring. Logins are lost when Amberlight quits."


class KeyringEngine(Protocol):
    """What is needed of the engine."""

    async def keyring_up(self) -> None: ...

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None: ...

    def task(self, what: str, work: Coroutine[Any, Any, None]) -> object: ...


class KeyringNews:
    """Belongs to the engine's loop. `user_is_back` is called when the keyring was unlocked."""

    def __init__(
        self, keyring: KeyringHealth, engine: KeyringEngine, warnings: WarningLines, user_is_back: Callable[[], None]
    ) -> None:
        self._keyring = keyring
        self._engine = engine
        self._warnings = warnings
        self._user_is_back = user_is_back

    def up(self) -> None:
        """It was unlocked, or it appeared."""
        self._user_is_back()
        self._engine.task("the keyring is back", self._greet())

    async def check(self) -> None:
        """Look whether there is one."""
        missing = await self._keyring.status() is Trouble.UNAVAILABLE
        if missing:
            log.warning(NO_KEYRING)
        self._warnings.set("keyring", NO_KEYRING if missing else "")
        self._engine.set_app_fields(this_run_only=missing)

    async def _greet(self) -> None:
        await self._engine.keyring_up()
        await self.check()
