"""Captive-portal hints from NetworkManager. Whether there is a network at all is for the kernel to say.

`Connectivity` of org.freedesktop.NetworkManager: NMConnectivityState 2 is PORTAL. It comes from NetworkManager's own
probe, made every few minutes, often switched off and sometimes wrong, so it only closes a gate that any response opens
again (M10). Where NetworkManager does not run, nothing is logged: a network can be managed in other ways.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from trayapp.osevents.events import OsEvent, PortalHint
from trayapp.osevents.systembus import OWNER, ServiceSignals, subscribed

if TYPE_CHECKING:
    from dbus_fast import Message

NAME = "org.freedesktop.NetworkManager"
PATH = "/org/freedesktop/NetworkManager"
PROPERTIES = "org.freedesktop.DBus.Properties"
CHANGED = "PropertiesChanged"
RULE = f"type='signal',sender='{NAME}',interface='{PROPERTIES}',member='{CHANGED}',path='{PATH}',arg0='{NAME}'"
PORTAL = 2


class NetworkManager:
    """Emits `PortalHint` when NetworkManager's verdict changes; it starts as "no portal"."""

    name = "NetworkManager"
    power = False
    network = False

    def __init__(self) -> None:
        if sys.platform != "linux" or find_spec("dbus_fast") is None:
            raise OSError("NetworkManager needs Linux and dbus-fast")
        self.live = False
        self._portal = False

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        """Emit until cancelled. Raises `OSError` when the system bus is missing or lost."""
        try:
            async with subscribed(NAME, RULE) as signals:
                await self._read_connectivity(signals, emit)
                async for message in signals:
                    if message.member == OWNER:
                        await self._read_connectivity(signals, emit)
                    elif (state := connectivity(message)) is not None:
                        self._set_portal(state == PORTAL, emit)
        finally:
            self.live = False
            self._set_portal(False, emit)

    async def _read_connectivity(self, signals: ServiceSignals, emit: Callable[[OsEvent], None]) -> None:
        """Ask for its present verdict; without NetworkManager there is no portal."""
        self.live = signals.present
        state = 0
        if signals.present:
            try:
                reply = await signals.bus.ask(NAME, PATH, PROPERTIES, "Get", "ss", NAME, "Connectivity")
                state = int(reply.body[0].value)
            except (OSError, ValueError):
                self.live = False
        self._set_portal(state == PORTAL, emit)

    def _set_portal(self, portal: bool, emit: Callable[[OsEvent], None]) -> None:
        if portal != self._portal:
            self._portal = portal
            emit(PortalHint(portal))


def connectivity(message: Message) -> int | None:
    """The new `Connectivity` in a `PropertiesChanged` message; None if it did not change."""
    if message.member != CHANGED or len(message.body) < 2 or "Connectivity" not in message.body[1]:
        return None
    return int(message.body[1]["Connectivity"].value)
