"""A hint from NetworkManager: a captive portal is in the way. Whether there is a network at all stays the kernel's word.

`Connectivity` of org.freedesktop.NetworkManager: NMConnectivityState 2 is PORTAL. It is NetworkManager's own probe, made
every few minutes, often switched off and sometimes wrong, so it only closes a gate that an answer opens again (M10).
Where NetworkManager does not run, nothing is said: there are other ways to have a network.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from trayapp.osevents.events import OsEvent, PortalHint
from trayapp.osevents.systembus import OWNER, ServiceSignals, listening

if TYPE_CHECKING:
    from dbus_fast import Message

NAME = "org.freedesktop.NetworkManager"
PATH = "/org/freedesktop/NetworkManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
CHANGED = "PropertiesChanged"
RULE = f"type='signal',sender='{NAME}',interface='{PROPERTIES}',member='{CHANGED}',path='{PATH}',arg0='{NAME}'"
PORTAL = 2


class NetworkManager:
    """Emits `PortalHint` when its opinion changes; at first nobody thinks of a portal."""

    name = "NetworkManager"
    power = False
    network = False

    def __init__(self) -> None:
        if sys.platform != "linux" or find_spec("dbus_fast") is None:
            raise OSError("NetworkManager needs Linux and dbus-fast")
        self.live = False
        self._portal = False

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Until cancelled; `OSError` when there is no system bus, or no longer."""
        try:
            async with listening(NAME, RULE) as line:
                await self._look(line, emit)
                async for message in line:
                    if message.member == OWNER:
                        await self._look(line, emit)
                    elif (state := connectivity(message)) is not None:
                        self._think(state == PORTAL, emit)
        finally:
            self.live = False
            self._think(False, emit)

    async def _look(self, line: ServiceSignals, emit: Callable[[OsEvent], None]) -> None:
        """What it thinks now; nothing, if it is not there."""
        self.live = line.present
        state = 0
        if line.present:
            try:
                reply = await line.bus.ask(NAME, PATH, PROPERTIES, "Get", "ss", NAME, "Connectivity")
                state = int(reply.body[0].value)
            except (OSError, ValueError):
                self.live = False
        self._think(state == PORTAL, emit)

    def _think(self, portal: bool, emit: Callable[[OsEvent], None]) -> None:
        if portal != self._portal:
            self._portal = portal
            emit(PortalHint(portal))


def connectivity(message: Message) -> int | None:
    """The new `Connectivity` in a `PropertiesChanged`, if it is in there."""
    if message.member != CHANGED or len(message.body) < 2 or "Connectivity" not in message.body[1]:
        return None
    return int(message.body[1]["Connectivity"].value)
