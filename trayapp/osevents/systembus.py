"""Signals of one D-Bus service on the system bus, and its starts and stops, in the order in which they arrive."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbus_fast import Message

    from trayapp.system.dbus import SystemBus

OWNER = "NameOwnerChanged"


class ServiceSignals:
    """Iterates over a service's messages; raises `OSError` when the bus is lost. `present`: whether the service runs."""

    def __init__(self, bus: SystemBus, name: str) -> None:
        self.bus = bus
        self.present = False
        self._name = name
        self._received: asyncio.Queue[Message | str] = asyncio.Queue()

    def __aiter__(self) -> ServiceSignals:
        return self

    async def __anext__(self) -> Message:
        message = await self._received.get()
        if isinstance(message, str):
            raise OSError(message)
        if message.member == OWNER:
            self.present = bool(message.body[2])
        return message

    async def subscribe(self, rule: str) -> None:
        """Subscribe, then ask whether the service runs: in this order no change is missed."""
        from trayapp.system.dbus import BUS, BUS_PATH

        self.bus.add_message_handler(self._on_message)
        for match_rule in (
            f"type='signal',sender='{BUS}',interface='{BUS}',member='{OWNER}',arg0='{self._name}'",
            rule,
        ):
            await self.bus.ask(BUS, BUS_PATH, BUS, "AddMatch", "s", match_rule)
        reply = await self.bus.ask(BUS, BUS_PATH, BUS, "NameHasOwner", "s", self._name)
        self.present = bool(reply.body[0])

    def _on_message(self, message: Message) -> None:
        """From the bus's reader, for every message: those that match our rules, and those addressed to us."""
        from dbus_fast import MessageType

        if message.message_type is MessageType.SIGNAL and message.member != "NameAcquired":
            self._received.put_nowait(message)

    async def watch_connection(self) -> None:
        """Wait until the connection is lost, then let the iteration raise the reason."""
        self._received.put_nowait(await self.bus.lost())


@contextlib.asynccontextmanager
async def subscribed(name: str, rule: str) -> AsyncIterator[ServiceSignals]:
    """The signals of `name` that match `rule`, and its `NameOwnerChanged`, on a bus connection of their own."""
    from trayapp.system.dbus import SystemBus

    bus = await SystemBus.open()
    signals = ServiceSignals(bus, name)
    watch_connection = asyncio.create_task(signals.watch_connection(), name=f"watch the system bus for {name}")
    try:
        await signals.subscribe(rule)
        yield signals
    finally:
        bus.disconnect()
        watch_connection.cancel()
        await asyncio.gather(watch_connection, return_exceptions=True)
