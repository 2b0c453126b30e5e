"""The menu item *Start at login*: read from the system, switched by a click, shown as a check mark.

The system is the only record of it; nothing is remembered here. Files and system calls are waited for in a thread of
their own, made when it is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from trayapp.system.worker import ClosedError, Worker

if TYPE_CHECKING:
    from trayapp.autostart import Autostart, State

log = logging.getLogger(__name__)

Show = Callable[[bool | None], None]  # the check mark; None takes the item out of the menu
Tell = Callable[[str], None]  # shows a sentence to the person who clicked


def system_autostart() -> Autostart:
    """The autostart mechanism of this operating system."""
    from trayapp.autostart import native

    return native()


class StartAtLogin:
    """Owns the menu item, on the engine's loop. `make` is None where it isn't offered: the demo, some tests."""

    def __init__(self, make: Callable[[], Autostart] | None, show: Show, tell: Tell) -> None:
        self._make = make
        self._show = show
        self._tell = tell
        self._worker = Worker("start at login")

    async def refresh(self) -> None:
        """Read the state from the system and show it."""
        if self._make is None:
            return
        make = self._make
        try:
            self._show(await self._worker.run(lambda: _check_mark(make())))
        except ClosedError:
            return
        except Exception:  # one menu item is worth no more than a line in the log
            log.exception("it could not be seen whether Amberlight starts at login")

    async def toggle(self) -> None:
        """Switch it: on becomes off, everything else on. The state is read back; a failure is shown to the person."""
        from trayapp.autostart import AutostartError

        if self._make is None:
            return
        make = self._make
        try:
            wanted, state = await self._worker.run(lambda: _toggle(make()))
        except ClosedError:
            return
        except AutostartError as error:
            log.warning("start at login: %s", error)
            self._tell(str(error))
            await self.refresh()
            return
        log.info("start at login: %s", state.text)
        self._show(state.on)
        if state.on is not wanted:
            self._tell(f"{state.text} {state.help}".strip())

    async def state(self) -> State | None:
        """The state as the system has it; None where it isn't offered."""
        make = self._make
        if make is None:
            return None
        try:
            return await self._worker.run(lambda: make().status())
        except ClosedError:
            return None

    async def set(self, *, on: bool) -> str:
        """Switch it on or off. Why that didn't work, in sentences; empty if it did."""
        from trayapp.autostart import AutostartError, login_command

        make = self._make
        if make is None:
            return "Start at login isn't available here."
        try:
            state = await self._worker.run(lambda: make().on(login_command()) if on else make().off())
        except ClosedError:
            return ""
        except AutostartError as error:
            log.warning("start at login: %s", error)
            return str(error)
        log.info("start at login: %s", state.text)
        self._show(state.on)
        return "" if state.on is on else f"{state.text} {state.help}".strip()

    async def close(self) -> None:
        """End the worker thread."""
        await self._worker.close()


def _check_mark(autostart: Autostart) -> bool | None:
    """In the worker thread: whether it is on, or None if it is off and nothing could be started at login."""
    from trayapp.autostart import AutostartError, Kind, login_command

    state = autostart.status()
    if state.kind is not Kind.OFF:
        return state.on
    try:
        login_command()
    except AutostartError:
        return None
    return False


def _toggle(autostart: Autostart) -> tuple[bool, State]:
    """In the worker thread: switch it; what was wanted, and the state read back."""
    from trayapp.autostart import login_command

    wanted = not autostart.status().on
    return wanted, autostart.on(login_command()) if wanted else autostart.off()
