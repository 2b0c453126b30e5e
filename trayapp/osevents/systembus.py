"""One service on the system bus, listened to: its signals, and its coming and going, in the order in which they came."""

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
    """Yields messages; raises `OSError` when the bus is gone. `present` is whether the service runs."""

    def __init__(self, bus: SystemBus, name: str) -> None:
        self.bus = bus
        self.present = False
        self._name = name
        self._heard: asyncio.Queue[Message | str] = asyncio.Queue()

    def __aiter__(self) -> ServiceSignals:
        return self

    async def __anext__(self) -> Message:
        message = await self._heard.get()
        if isinstance(message, str):
            raise OSError(message)
        if message.member == OWNER:
            self.present = bool(message.body[2])
        return message

    async def begin(self, rule: str) -> None:
        """Subscribe, then look whether the service is there: in this order nothing falls between."""
        from trayapp.system.dbus import BUS, BUS_PATH

        self.bus.add_message_handler(self._hear)
        for each in (f"type='signal',sender='{BUS}',interface='{BUS}',member='{OWNER}',arg0='{self._name}'", rule):
            await self.bus.ask(BUS, BUS_PATH, BUS, "AddMatch", "s", each)
        reply = await self.bus.ask(BUS, BUS_PATH, BUS, "NameHasOwner", "s", self._name)
        self.present = bool(reply.body[0])

    def _hear(self, message: Message) -> None:
        """From the bus's reader, for every message. The rules let through what is ours, and what is addressed to us."""
        from dbus_fast import MessageType

        if message.message_type is MessageType.SIGNAL and message.member != "NameAcquired":
            self._heard.put_nowait(message)

    async def end(self) -> None:
        """Wait for the end of the connection, and pass it on."""
        self._heard.put_nowait(await self.bus.lost())


@contextlib.asynccontextmanager
async def listening(name: str, rule: str) -> AsyncIterator[ServiceSignals]:
    """A connection of its own, with one match rule beside the one for the service's owner."""
    from trayapp.system.dbus import SystemBus

    bus = await SystemBus.open()
    line = ServiceSignals(bus, name)
    end = asyncio.create_task(line.end(), name=f"watch the system bus for {name}")
    try:
        await line.begin(rule)
        yield line
    finally:
        bus.disconnect()
        end.cancel()
        await asyncio.gather(end, return_exceptions=True)
