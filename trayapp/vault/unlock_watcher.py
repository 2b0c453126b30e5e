"""Secret Service watcher: reports on the session bus that the keyring appeared or was unlocked. Never prompts.

Signals are hints, not states: each one makes us read the default collection, and `on_up` is called if that is open.
Without a session bus (or without D-Bus at all) `watch` returns, and the engine's own polling is all there is.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

log = logging.getLogger(__name__)

SERVICE = "org.freedesktop.secrets"
ROOT = "/org/freedesktop/secrets"
INTERFACE = "org.freedesktop.Secret.Service"
COLLECTION = "org.freedesktop.Secret.Collection"
PROPERTIES = "org.freedesktop.DBus.Properties"
BUS = "org.freedesktop.DBus"

OWNER_RULE = f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{SERVICE}'"
CALL_LIMIT = 5.0  # s; no signal is handled while a reply is awaited
BATCH_WINDOW = 0.05  # s; signals closer together than this are one event
# A gnome-keyring that the bus has just started reports its first unlock by CollectionChanged alone, later ones by both.
RULES = (
    f"type='signal',sender='{SERVICE}',interface='{INTERFACE}',member='CollectionChanged'",
    f"type='signal',sender='{SERVICE}',interface='{PROPERTIES}',member='PropertiesChanged',path_namespace='{ROOT}'",
    OWNER_RULE,
)


async def watch(on_up: Callable[[], None]) -> None:
    """Call `on_up` when the default collection opens or the service appears, until cancelled or until the bus is gone."""
    if not sys.platform.startswith("linux"):
        return
    try:
        from trayapp.system.dbus import SessionBus

        bus = await SessionBus().connect()
    except Exception as error:  # noqa: BLE001 - no address, no socket, no library, a refused handshake: all one
        log.info("No session bus (%s): an unlocked keyring is noticed by looking again.", type(error).__name__)
        return
    signals: asyncio.Queue[Message | None] = asyncio.Queue()
    bus.add_message_handler(lambda message: _enqueue(message, signals))
    end_task = asyncio.create_task(_wait_for_end(bus, signals), name="wait for the session bus to end")
    try:
        for rule in RULES:
            await _call(bus, BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", rule)
        while True:
            messages = [await signals.get()]
            await asyncio.sleep(BATCH_WINDOW)
            while not signals.empty():
                messages.append(signals.get_nowait())
            if None in messages:
                return
            if any([await _is_available(bus, message) for message in messages if message is not None]):
                on_up()
    finally:
        end_task.cancel()
        bus.disconnect()


def _enqueue(message: Message, signals: asyncio.Queue[Message | None]) -> None:
    """Keep the signals that matter. The bus's reader calls this for every message."""
    owner = message.member == "NameOwnerChanged" and message.interface == BUS and message.body[0] == SERVICE
    lock = message.member == "PropertiesChanged" and message.body[0] == COLLECTION and "Locked" in message.body[1]
    changed = message.member == "CollectionChanged" and message.interface == INTERFACE
    if owner or lock or changed:
        signals.put_nowait(message)


async def _wait_for_end(bus: MessageBus, signals: asyncio.Queue[Message | None]) -> None:
    try:
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
    except (OSError, EOFError) as error:
        log.debug("The session bus is gone: %s", type(error).__name__)
    signals.put_nowait(None)


async def _is_available(bus: MessageBus, message: Message) -> bool:
    """Whether this signal is good news. A new owner is, even while locked: "locked" is more than "not there"."""
    if message.member == "NameOwnerChanged":
        return bool(message.body[2])
    if message.member == "PropertiesChanged" and message.body[1]["Locked"].value:
        return False
    collection = message.path if message.member == "PropertiesChanged" else message.body[0]
    alias = await _call(bus, SERVICE, ROOT, INTERFACE, "ReadAlias", "s", "default")
    if alias is None or collection not in (alias, f"{ROOT}/aliases/default"):
        return False
    locked = await _call(bus, SERVICE, alias, PROPERTIES, "Get", "ss", COLLECTION, "Locked")
    return locked is not None and not locked.value


async def _call(
    bus: MessageBus, destination: str, path: str, interface: str, member: str, signature: str, *body: Any
) -> Any:
    """The first value of the reply; None if the call failed. Never starts a service that isn't running."""
    from dbus_fast import Message, MessageFlag, MessageType

    message = Message(
        destination=destination,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=list(body),
        flags=MessageFlag.NO_AUTOSTART,
    )
    try:
        async with asyncio.timeout(CALL_LIMIT):
            reply = await bus.call(message)
    except (OSError, EOFError):  # TimeoutError is an OSError too
        return None
    if reply.message_type is not MessageType.METHOD_RETURN or not reply.body:
        return None
    return reply.body[0]
