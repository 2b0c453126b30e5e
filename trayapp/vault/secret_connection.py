"""Connection to the Secret Service over dbus-fast: finds, reads and writes entries; no dialog unless a person asked.

Every wait here has a limit: the bus itself would wait for ever for a service that hangs, and a dialog for its person.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from typing import Any

from dbus_fast import Message, MessageType, Variant

from trayapp.system.dbus import BUS, BUS_PATH, PROPERTIES, SessionBus
from trayapp.vault import kwallet
from trayapp.vault.secret_errors import LockedError, NoCollectionError, ServiceError
from trayapp.vault.secret_naming import APPLICATION_ATTRIBUTE, DEFAULT_COLLECTION, Naming
from trayapp.vault.secret_session import Session, open_session
from trayapp.vault.unlock_watcher import COLLECTION, OWNER_RULE, ROOT, SERVICE, ask
from trayapp.vault.unlock_watcher import INTERFACE as SERVICE_INTERFACE

ITEM = "org.freedesktop.Secret.Item"
PROMPT = "org.freedesktop.Secret.Prompt"
NO_OBJECT = "/"  # no item, no prompt
PASSING = "/collection/session"  # gnome-keyring's collection that a logout empties
NOT_FOUND_ERRORS = {
    f"org.freedesktop.DBus.Error.{name}" for name in ("UnknownObject", "UnknownMethod", "UnknownInterface")
}
NOT_FOUND_ERRORS.add("org.freedesktop.Secret.Error.NoSuchObject")
LOCKED_ERROR = "org.freedesktop.Secret.Error.IsLocked"
NO_REPLY = "org.freedesktop.DBus.Error.NoReply"
NO_SESSION = "org.freedesktop.Secret.Error.NoSession"
NO_SERVICE = "org.freedesktop.DBus.Error.ServiceUnknown"  # it isn't there, and the bus knows no program to start for it
CALL_LIMIT = 60.0  # s; a healthy service answers in milliseconds, a bus starts one in seconds
# s for which a collection that was seen open counts as open for overwriting an entry: a lock makes that fail, and no
# service asks anything. Before a search it's looked at each time: KeePassXC asks for a password to search in a closed one.
WRITABLE_FOR = 30.0
PROMPT_LIMIT = 300.0  # s that a person has to answer a dialog
SILENT_LIMIT = 5.0  # s for a prompt that should show no dialog
PROMPT_RULES = (
    f"type='signal',sender='{SERVICE}',interface='{PROMPT}'",
    OWNER_RULE,
)


def _search_attributes(attributes: dict[str, str]) -> dict[str, str]:
    """The attributes that an entry is searched by."""
    return {name: value for name, value in attributes.items() if name != APPLICATION_ATTRIBUTE}


async def open_connection(naming: Naming, *, encrypted: bool) -> Connection:
    """Connect and open a session.

    Raises what connecting to a bus raises, or `ServiceError` if the service refuses such a session.
    """
    bus = SessionBus()
    try:
        async with asyncio.timeout(CALL_LIMIT):
            await bus.connect()
    except TimeoutError:
        bus.disconnect()
        raise ServiceError(NO_REPLY) from None
    connection = Connection(bus, naming)
    try:
        try:
            connection.session = await open_session(connection.open_session, encrypted=encrypted)
        except ServiceError as error:
            if error.name != NO_SERVICE or not await kwallet.start(connection.ask, SERVICE):
                raise
            connection.session = await open_session(connection.open_session, encrypted=encrypted)
    except BaseException:
        await connection.close()
        raise
    return connection


class Connection:
    """A connection with its session. `prompt` says whether a dialog may appear."""

    session: Session  # opened before anything else is called

    def __init__(self, bus: SessionBus, naming: Naming) -> None:
        self.prompt = False
        self._dismissed = False  # the last dialog of a write was dismissed
        self._asked = False  # an unlocking that should have been silent was not
        self._owner = ""  # the service that opened the session
        self._open_at = float("-inf")  # when the default collection was last seen open
        self._naming = naming
        self._collection = naming.collection
        self.ask = functools.partial(ask, bus)
        self._bus = bus
        self._bus_lost = asyncio.create_task(bus.lost(), name="the end of the session bus")

    async def close(self) -> None:
        self._bus.disconnect()
        await self._bus_lost

    async def ready(self) -> None:
        """Do nothing: to have a connection is enough."""

    async def open_session(self, algorithm: str, argument: Variant) -> tuple[Variant, str]:
        """The service's part of a new session, and its path."""
        output, path = await self.call(ROOT, SERVICE_INTERFACE, "OpenSession", "sv", algorithm, argument)
        return output, path

    async def get(self, attributes: dict[str, str]) -> str | None:
        there = await self._ensure_open()
        unlocked, locked = await self._search(attributes)
        if not unlocked and not locked:
            if not (there and await self._ensure_open()):  # a collection locked in the meantime finds nothing either
                raise NoCollectionError  # it may hold the entry: that is no absence
            return None
        item = await self._newest(unlocked or locked)
        (secret,) = await self._call_item(item, "GetSecret", "o", self.session.path)
        value = self.session.unwrapped(secret)
        return value.decode(errors="replace")  # anything not written by us counts as damage, not as an error

    async def set(self, label: str, attributes: dict[str, str], value: str) -> None:
        """Overwrite the entry if there is one. KeePassXC allows that silently, while it prompts for each new entry."""
        secret = self.session.wrapped(value.encode())
        item = await self._overwrite(attributes, secret) or await self._find_and_write(label, attributes, secret)
        await self._delete_duplicates(item, attributes)

    async def _overwrite(self, attributes: dict[str, str], secret: list[Any]) -> str | None:
        """Overwrite the only such entry of a collection that was open a moment ago; None if it takes more than that.

        A new login exists nowhere else until this is done, so it is two calls and not four.
        """
        if not self._open_within(WRITABLE_FOR):
            return None
        try:
            (found,) = await self._search_default(attributes)
            if len(found) != 1:
                return None
            await self.call(found[0], ITEM, "SetSecret", "(oayays)", secret)
        except LockedError:
            return None
        except ServiceError as error:
            if error.name in NOT_FOUND_ERRORS:
                return None
            raise
        return str(found[0])

    async def _find_and_write(self, label: str, attributes: dict[str, str], secret: list[Any]) -> str:
        """Overwrite the newest entry in the default collection, or create it; open the collection first.

        Where there is no default collection, an entry is overwritten wherever it is, and none is created.
        """
        there = await self._ensure_open()
        unlocked, locked = await self._search(attributes)
        if there:
            (in_default,) = await self._search_default(attributes)
            unlocked, locked = ([item for item in items if item in in_default] for items in (unlocked, locked))
        if unlocked or locked:
            item = await self._newest(unlocked or locked)
            await self._call_item(item, "SetSecret", "(oayays)", secret)
            return item
        if not there:
            raise NoCollectionError
        return await self._create_item(label, attributes, secret)

    async def _create_item(self, label: str, attributes: dict[str, str], secret: list[Any]) -> str:
        """Create the entry in the default collection."""
        properties = {f"{ITEM}.Label": Variant("s", label), f"{ITEM}.Attributes": Variant("a{ss}", attributes)}
        arguments = ("CreateItem", "a{sv}(oayays)b", properties, secret, True)
        item, prompt = await self.call(self._collection, COLLECTION, *arguments)
        return str(item if prompt == NO_OBJECT else await self._complete_prompt(prompt))

    async def delete(self, attributes: dict[str, str]) -> None:
        there = await self._ensure_open()
        unlocked, locked = await self._search(attributes)
        if not (there or unlocked or locked):
            raise NoCollectionError
        for item in (*unlocked, *locked):
            (prompt,) = await self._call_item(item, "Delete")
            if prompt != NO_OBJECT:
                await self._complete_prompt(prompt)

    async def locked(self) -> bool:
        """Whether the default collection is locked. Without one, nothing is as long as another collection is open.

        Raises `NoCollectionError` if there is none at all.
        """
        state = await self._lock_state()
        if state is None:
            await self._ensure_another_is_open()
        return state is True

    async def _ensure_another_is_open(self) -> None:
        """Raises `NoCollectionError` unless a collection is open: KeePassXC would ask for a password to search in none."""
        (collections,) = await self.call(ROOT, PROPERTIES, "Get", "ss", SERVICE_INTERFACE, "Collections")
        for path in collections.value:
            if not path.endswith(PASSING) and await self._lock_state(path) is False:
                return
        raise NoCollectionError

    def _open_within(self, seconds: float) -> bool:
        """Whether the collection was seen open so lately."""
        return time.monotonic() - self._open_at < seconds

    async def _lock_state(self, path: str = "") -> bool | None:
        """Whether a collection is locked, by default the one to write to; None if there is none. A wallet of KWallet's
        that is open for other programs is opened here, too."""
        locked = await self._read_lock_state(path)
        if not locked or self._asked or not await self._opens_silently(path or self._collection):
            return locked
        self._asked = True
        with contextlib.suppress(LockedError):
            await self._unlock(path or self._collection, limit=SILENT_LIMIT)
            self._asked = False
        return await self._read_lock_state(path)

    async def _read_lock_state(self, path: str) -> bool | None:
        try:
            (locked,) = await self.call(path or self._collection, PROPERTIES, "Get", "ss", COLLECTION, "Locked")
        except ServiceError as error:
            if error.name in NOT_FOUND_ERRORS:
                self._open_at = float("-inf")
                return None
            raise
        if not path:
            self._open_at = float("-inf") if locked.value else time.monotonic()
        return bool(locked.value)

    async def _opens_silently(self, path: str) -> bool:
        """Whether unlocking this collection shows no dialog."""
        daemon = await kwallet.daemon_behind(self.ask, SERVICE)
        if daemon is None:
            return False
        (label,) = await self.call(path, PROPERTIES, "Get", "ss", COLLECTION, "Label")
        return await kwallet.opens_silently(self.ask, daemon, label.value)

    async def _search(self, attributes: dict[str, str]) -> tuple[list[str], list[str]]:
        """The unlocked and the locked items of all collections: yesterday the default collection may have been another
        one."""
        unlocked, locked = await self.call(
            ROOT, SERVICE_INTERFACE, "SearchItems", "a{ss}", _search_attributes(attributes)
        )
        return unlocked, locked

    async def _search_default(self, attributes: dict[str, str]) -> list[Any]:
        """The items of the default collection."""
        return await self.call(self._collection, COLLECTION, "SearchItems", "a{ss}", _search_attributes(attributes))

    async def _newest(self, items: list[str]) -> str:
        """The newest of several items. A merged or copied keyring holds a name more than once and lists them in any
        order."""
        if len(items) == 1:
            return items[0]
        times = [await self.call(item, PROPERTIES, "Get", "ss", ITEM, "Modified") for item in items]
        return items[max(range(len(items)), key=lambda at: int(times[at][0].value))]

    async def _delete_duplicates(self, item: str, attributes: dict[str, str]) -> None:
        """Delete other items with the same attributes. Some services add where they should replace, and a copy in
        another collection would be taken for the newest when that becomes the default again."""
        unlocked, _ = await self._search(attributes)
        if item not in unlocked:
            return  # the write wasn't stored, so nothing may be deleted for it
        for other in unlocked:
            if other != item:
                with contextlib.suppress(ServiceError, LockedError):  # no dialog is shown for this
                    await self.call(other, ITEM, "Delete")

    async def _ensure_open(self) -> bool:
        """Whether there is a default collection. It is open then, or the person opens or creates it.

        Raises `LockedError` if it is locked and stays so, and `NoCollectionError` if there is none and no other is open.
        """
        state = await self._lock_state()
        if state is False:
            return True
        if state is None and not (self.prompt and self._collection == DEFAULT_COLLECTION):
            await self._ensure_another_is_open()
            return False
        if state is None:
            try:
                await self._create_collection()
            except LockedError:
                raise NoCollectionError from None
        elif self.prompt:
            await self._unlock(self._collection)
        if not self.prompt or await self._lock_state() is not False:
            raise LockedError("the collection is locked")
        return True

    async def _create_collection(self) -> None:
        properties = {f"{COLLECTION}.Label": Variant("s", "Default")}
        _, prompt = await self.call(ROOT, SERVICE_INTERFACE, "CreateCollection", "a{sv}s", properties, "default")
        if prompt != NO_OBJECT:
            await self._show_prompt(prompt)

    async def _unlock(self, *paths: str, limit: float | None = None) -> None:
        _, prompt = await self.call(ROOT, SERVICE_INTERFACE, "Unlock", "ao", list(paths))
        if prompt != NO_OBJECT:
            await self._show_prompt(prompt, limit)

    async def _call_item(self, item: str, member: str, signature: str = "", *body: Any) -> list[Any]:
        """Call a method of an item. Some services lock each item separately, for each program that connects.

        KeePassXC shows a dialog for that, so all of our items are unlocked with the first one.
        """
        try:
            return await self.call(item, ITEM, member, signature, *body)
        except LockedError:
            if not self.prompt:
                raise
        await self._unlock(*dict.fromkeys((item, *await self._our_locked_items())))
        return await self.call(item, ITEM, member, signature, *body)

    async def _our_locked_items(self) -> list[str]:
        """The locked items of Amberlight."""
        every = {APPLICATION_ATTRIBUTE: self._naming.application}
        _, locked = await self.call(ROOT, SERVICE_INTERFACE, "SearchItems", "a{ss}", every)
        found = []
        for item in locked:
            with contextlib.suppress(ServiceError, LockedError):  # one that doesn't even say what it is
                (attributes,) = await self.call(item, PROPERTIES, "Get", "ss", ITEM, "Attributes")
                if self._naming.is_ours(attributes.value):
                    found.append(item)
        return found

    async def _complete_prompt(self, prompt: str) -> Any:
        """The result of a change for which the service returned a prompt, as KeePassXC does for each, mostly without a
        dialog. A dismissed dialog isn't shown again unless a person asks, and neither is one that would ask for a
        password."""
        if not self.prompt and (self._dismissed or await self.locked()):
            raise LockedError("the service wants to ask")
        self._dismissed = True
        result = await self._show_prompt(prompt)
        self._dismissed = False
        return result

    async def _show_prompt(self, prompt: str, limit: float | None = None) -> Any:
        """Show a dialog of the service, wait for its end and return its result. Raises `LockedError` if it was
        dismissed or if nobody answered: every other call waits behind it, and the service may have forgotten it."""
        ended: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

        def on_signal(message: Message) -> None:
            """The dialog's end; or that of the service, as then nobody would tell of the dialog's."""
            if ended.done() or message.message_type is not MessageType.SIGNAL:
                return
            if message.member == "Completed" and message.path == prompt:
                ended.set_result(message.body)
            elif message.member == "NameOwnerChanged" and message.body[0] == SERVICE and not message.body[2]:
                ended.set_exception(ServiceError(NO_REPLY))

        self._bus.add_message_handler(on_signal)
        try:
            for rule in PROMPT_RULES:
                await self.call(BUS_PATH, BUS, "AddMatch", "s", rule, destination=BUS)
            await self.call(prompt, PROMPT, "Prompt", "s", "")
            await asyncio.wait(
                (ended, self._bus_lost), timeout=limit or PROMPT_LIMIT, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            self._bus.remove_message_handler(on_signal)
        if self._bus_lost.done() and not ended.done():
            raise ServiceError(NO_REPLY)
        if not ended.done():
            with contextlib.suppress(ServiceError):
                await self.call(prompt, PROMPT, "Dismiss")
            raise LockedError("nobody answered the dialog")
        dismissed, result = ended.result()
        if dismissed:
            raise LockedError("the dialog was dismissed")
        return result.value

    async def call(
        self, path: str, interface: str, member: str, signature: str = "", *body: Any, destination: str = SERVICE
    ) -> list[Any]:
        """The body of the reply. Raises `LockedError` or `ServiceError`, also if none comes: the bus itself would wait
        for ever.

        Another service that has taken the name does not know our session, which not all of them say: KeePassXC reports
        a dismissed dialog.
        """
        message = Message(destination, path, interface, member, signature=signature, body=list(body))
        try:
            async with asyncio.timeout(CALL_LIMIT):
                reply = await self._bus.call(message)
        except TimeoutError:
            raise ServiceError(NO_REPLY) from None
        if reply.message_type is MessageType.ERROR:
            if reply.error_name == LOCKED_ERROR:
                self._open_at = float("-inf")
                raise LockedError("the service says that it is locked")
            raise ServiceError(reply.error_name or "")
        if destination == SERVICE:
            self._owner = self._owner or reply.sender or ""
            if reply.sender != self._owner:
                raise ServiceError(NO_SESSION)
        return list(reply.body)
