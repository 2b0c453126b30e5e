"""*Start at login* as the running app has it: looked up in the system, switched by a click, shown in the menu.

Nothing is remembered here. Files and system calls are waited for in a thread of their own, made when it is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from trayapp.system.worker import ClosedError, Worker

if TYPE_CHECKING:
    from trayapp.autostart import Autostart, State

log = logging.getLogger(__name__)

Show = Callable[[bool | None], None]  # the check mark; None: there is nothing to choose
Tell = Callable[[str], None]  # a sentence for the person who clicked


def system() -> Autostart:
    """This system's way."""
    from trayapp.autostart import native

    return native()


class StartAtLogin:
    """On the engine's loop. `make` is None where the choice is not to be offered: the demo, some tests."""

    def __init__(self, make: Callable[[], Autostart] | None, show: Show, tell: Tell) -> None:
        self._make = make
        self._show = show
        self._tell = tell
        self._worker = Worker("start at login")

    async def look(self) -> None:
        """Read what is so, and show it."""
        if self._make is None:
            return
        make = self._make
        try:
            self._show(await self._worker.run(lambda: _offered(make())))
        except ClosedError:
            return
        except Exception:  # a line of the menu is not worth more than a line of the log
            log.exception("it could not be seen whether Amberlight starts at login")

    async def toggle(self) -> None:
        """A click: on becomes off, everything else on. What came of it is read back; a failure is told."""
        from trayapp.autostart import AutostartError

        if self._make is None:
            return
        make = self._make
        try:
            wanted, state = await self._worker.run(lambda: _switched(make()))
        except ClosedError:
            return
        except AutostartError as error:
            log.warning("start at login: %s", error)
            self._tell(str(error))
            await self.look()
            return
        log.info("start at login: %s", state.text)
        self._show(state.on)
        if state.on is not wanted:
            self._tell(f"{state.text} {state.help}".strip())

    async def close(self) -> None:
        await self._worker.close()


def _offered(autostart: Autostart) -> bool | None:
    """In the worker: whether it is on, or None if it is off and there is nothing that could be switched on."""
    from trayapp.autostart import AutostartError, Kind, login_command

    state = autostart.status()
    if state.kind is not Kind.OFF:
        return state.on
    try:
        login_command()
    except AutostartError:
        return None
    return False


def _switched(autostart: Autostart) -> tuple[bool, State]:
    """In the worker: what was wanted, and what is so now."""
    from trayapp.autostart import login_command

    wanted = not autostart.status().on
    return wanted, autostart.on(login_command()) if wanted else autostart.off()
