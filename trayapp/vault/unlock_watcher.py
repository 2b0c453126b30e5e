"""Secret Service watcher: reports on the session bus that the keyring appeared, changed or was unlocked. Never prompts.

Signals are hints, not states: each one makes us read the default collection, and `on_up` is called if that is open. When
the bus is lost, another connection is tried at growing intervals; whatever happened meanwhile was not heard, so a bus
that returned counts as good news.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trayapp.vault import kwallet

if TYPE_CHECKING:
    from dbus_fast import Message

    from trayapp.system.dbus import SessionBus

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
RETRY_FIRST, RETRY_LAST = 2.0, 60.0  # s between two tries to reach a lost bus, doubled each time
# A gnome-keyring that the bus has just started reports its first unlock by CollectionChanged alone, later ones by both.
RULES = (
    f"type='signal',sender='{SERVICE}',interface='{INTERFACE}'",
    f"type='signal',sender='{SERVICE}',interface='{PROPERTIES}',member='PropertiesChanged',path_namespace='{ROOT}'",
    OWNER_RULE,
    f"type='signal',interface='{kwallet.INTERFACE}',member='{kwallet.OPENED}'",
)
OTHER_COLLECTIONS = ("CollectionCreated", "CollectionDeleted")  # a login may have been in any of them


async def watch(on_up: Callable[[], None]) -> None:
    """Call `on_up` when the service appears, and when a collection opens, comes or goes while the default one is open.

    Runs until cancelled; returns where there is no Secret Service.
    """
    if not sys.platform.startswith("linux"):
        return
    delay, outage = RETRY_FIRST, False
    while True:
        bus = await _connected(quiet=outage)
        if bus is not None:
            try:
                await _listen(bus, on_up, returned=outage)
            finally:
                bus.disconnect()
            delay = RETRY_FIRST
        outage = True
        await asyncio.sleep(delay)
        delay = min(delay * 2, RETRY_LAST)


async def _connected(*, quiet: bool) -> SessionBus | None:
    """A connection to the session bus; None if there is none now."""
    from trayapp.system.dbus import SessionBus

    bus: SessionBus | None = None
    try:
        bus = SessionBus()
        async with asyncio.timeout(CALL_LIMIT):
            await bus.connect()
    except Exception as error:  # noqa: BLE001 - no address, no socket, a refused handshake: all one
        if bus is not None:
            bus.disconnect()
        if not quiet:
            log.info(
                "No session bus (%s): checking periodically whether the keyring is unlocked.", type(error).__name__
            )
        return None
    return bus


async def _listen(bus: SessionBus, on_up: Callable[[], None], *, returned: bool) -> None:
    """Report what is heard on this bus, until it is lost. `returned`: there was none before."""
    signals: asyncio.Queue[Message | None] = asyncio.Queue()
    bus.add_message_handler(lambda message: _enqueue(message, signals))
    end_task = asyncio.create_task(_wait_for_end(bus, signals), name="wait for the session bus to end")
    try:
        for rule in RULES:
            await ask(bus, BUS, "/org/freedesktop/DBus", BUS, "AddMatch", "s", rule)
        if returned:
            on_up()
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


def _enqueue(message: Message, signals: asyncio.Queue[Message | None]) -> None:
    """Keep the signals that matter. The bus's reader calls this for every message."""
    owner = message.member == "NameOwnerChanged" and message.interface == BUS and message.body[0] == SERVICE
    lock = message.member == "PropertiesChanged" and message.body[0] == COLLECTION and "Locked" in message.body[1]
    changed = message.interface == INTERFACE and message.member in ("CollectionChanged", *OTHER_COLLECTIONS)
    wallet = message.interface == kwallet.INTERFACE and message.member == kwallet.OPENED
    if owner or lock or changed or wallet:
        signals.put_nowait(message)


async def _wait_for_end(bus: SessionBus, signals: asyncio.Queue[Message | None]) -> None:
    log.debug("%s", await bus.lost())
    signals.put_nowait(None)


async def _is_available(bus: SessionBus, message: Message) -> bool:
    """Whether this signal is good news. A new owner is, even while locked: "locked" is more than "not there"."""
    if message.member == "NameOwnerChanged":
        return bool(message.body[2])
    if message.member == kwallet.OPENED:
        return True  # its collection stays locked until somebody unlocks it
    if message.member == "PropertiesChanged" and message.body[1]["Locked"].value:
        return False
    collection = message.path if message.member == "PropertiesChanged" else message.body[0]
    alias = await ask(bus, SERVICE, ROOT, INTERFACE, "ReadAlias", "s", "default")
    if alias is None:
        return False
    if message.member not in OTHER_COLLECTIONS and collection not in (alias, f"{ROOT}/aliases/default"):
        return False
    locked = await ask(bus, SERVICE, alias, PROPERTIES, "Get", "ss", COLLECTION, "Locked")
    return locked is not None and not locked.value


async def ask(
    bus: SessionBus, destination: str, path: str, interface: str, member: str, signature: str, *body: Any
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
