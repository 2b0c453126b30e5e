"""Scripted Secret Service: prompts that are accepted, dismissed or never answered, locks, refusals.

It does what gnome-keyring can't be made to do without a person. It is strict: an unknown call, a session that it didn't
open, or a prompt that it didn't create is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from secretstorage.dhcrypto import Session as Exchange
from secretstorage.util import format_secret

ROOT = "/org/freedesktop/secrets"
DEFAULT = f"{ROOT}/aliases/default"
HOME = f"{ROOT}/collection/login/"  # what the default collection holds
OTHER = f"{ROOT}/collection/other/"
NAME = "org.freedesktop.secrets"
PREFIX = "org.freedesktop.Secret."
ENCRYPTED = "dh-ietf1024-sha256-aes128-cbc-pkcs7"


class Failed(Exception):
    """The reply is this D-Bus error."""


@dataclass
class Item:
    """An entry; some services lock each one separately. `modified` is in seconds."""

    attributes: dict[str, str]
    value: bytes
    locked: bool = False
    modified: int = 0


@dataclass
class Scripted:
    """The service's state; change it freely between calls. `answer` is what a person does with a dialog."""

    plain: bool = True  # whether it opens plain sessions
    encrypted: bool = True  # the same for encrypted ones
    collection: bool = True  # the default one
    other: bool = False  # whether another one is listed
    other_locked: bool = False
    locked: bool = False
    answer: str = "accept"  # dismiss, vanish (the service ends), silent
    opens: bool = True  # what a dialog is accepted for
    asks_to_write: bool = False
    lock_at_search: bool = False  # locked by somebody else, just between a look and a search
    forget_session: bool = False
    drops: bool = False  # says stored and keeps nothing
    deaf_to: str = ""  # a call that is never answered
    now: int = 0  # s; when an entry is written
    items: dict[str, Item] = field(default_factory=dict)
    prompts: int = 0
    strangers: int = 0  # uses of a session that it did not open
    calls: list[str] = field(default_factory=list)
    received: list[Any] = field(default_factory=list)  # the last secret as it crossed the bus
    sent: list[Any] = field(default_factory=list)
    _exchange: Exchange = field(default_factory=Exchange)
    _pending: dict[str, Callable[[], Variant]] = field(default_factory=dict)
    _session: str = ""
    _bus: MessageBus | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Own the name on the session bus, from a thread of its own."""
        up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(up)), name="scripted service")
        self._thread.start()
        assert up.wait(10)

    def stop(self) -> None:
        """Release the name."""
        assert self._loop is not None
        assert self._bus is not None
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._bus.disconnect)
        self._thread.join(10)

    async def _serve(self, up: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._bus = await MessageBus().connect()
        self._bus.add_message_handler(self._heard)
        await self._bus.request_name(NAME)
        up.set()
        with contextlib.suppress(EOFError, OSError):  # the bus may end first
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    def _heard(self, message: Message) -> Message | bool | None:
        path, member = message.path or "", message.member or ""
        if message.message_type is not MessageType.METHOD_CALL or not path.startswith(ROOT):
            return None
        self.calls.append(member)
        if member == self.deaf_to:
            return True
        try:
            signature, body = getattr(self, f"_{member}")(message)
        except Failed as error:
            return Message.new_error(message, str(error), "a text that must not be shown")
        return Message.new_method_return(message, signature, body)

    # --- the interface -----------------------------------------------------------------------------------------------

    def _OpenSession(self, message: Message) -> tuple[str, list[Any]]:
        algorithm, argument = message.body
        if not {"plain": self.plain, ENCRYPTED: self.encrypted}[algorithm]:
            raise Failed("org.freedesktop.DBus.Error.NotSupported")
        self._session = f"{ROOT}/session/{len(self.calls)}"
        self._exchange.object_path = self._session
        self._exchange.encrypted = algorithm == ENCRYPTED
        if algorithm == "plain":
            assert argument == Variant("s", "")
            return "vo", [Variant("s", ""), self._session]
        assert argument.signature == "ay"
        self._exchange.set_server_public_key(int.from_bytes(argument.value, "big"))
        return "vo", [Variant("ay", self._exchange.my_public_key.to_bytes(128, "big")), self._session]

    def _ReadAlias(self, message: Message) -> tuple[str, list[Any]]:
        assert message.body == ["default"]
        return "o", [DEFAULT if self.collection else "/"]

    def _Get(self, message: Message) -> tuple[str, list[Any]]:
        if item := self.items.get(message.path or ""):
            assert message.body[0] == f"{PREFIX}Item"
            known = {
                "Locked": Variant("b", item.locked),
                "Modified": Variant("t", item.modified),
                "Attributes": Variant("a{ss}", item.attributes),
            }
            return "v", [known[message.body[1]]]
        if message.body == [f"{PREFIX}Service", "Collections"]:
            passing = [f"{ROOT}/collection/session"]
            return "v", [Variant("ao", [*passing, *([OTHER.rstrip("/")] if self.other else [])])]
        assert message.body == [f"{PREFIX}Collection", "Locked"]
        if self.other and message.path == OTHER.rstrip("/"):
            return "v", [Variant("b", self.other_locked)]
        self._there(message)
        return "v", [Variant("b", self.locked)]

    def _SearchItems(self, message: Message) -> tuple[str, list[Any]]:
        """Of the service: all collections. The default one finds nothing while it is locked, as KeePassXC's."""
        if message.path != ROOT:
            self._there(message)
        if self.lock_at_search:
            self.locked = True
        wanted = message.body[0].items()
        found = [path for path, item in self.items.items() if wanted <= item.attributes.items()]
        found = [path for path in found if path.startswith(OTHER) or not self.locked]
        if message.path != ROOT:
            return "ao", [[path for path in found if path.startswith(HOME)]]
        return "aoao", [[p for p in found if not self.items[p].locked], [p for p in found if self.items[p].locked]]

    def _CreateItem(self, message: Message) -> tuple[str, list[Any]]:
        self._there(message)
        properties, secret, replace = message.body
        value = self._received(secret)
        if self.locked:
            raise Failed(f"{PREFIX}Error.IsLocked")
        attributes = properties[f"{PREFIX}Item.Attributes"].value
        assert replace
        assert properties[f"{PREFIX}Item.Label"].signature == "s"
        path = f"{HOME}{len(self.calls)}"  # it does not replace, whatever is asked: some services add

        def write() -> Variant:
            if self.drops:
                return Variant("o", path)
            self.items[path] = Item(attributes, value, modified=self.now)
            return Variant("o", path)

        if self.asks_to_write:
            return "oo", ["/", self._prompt(write)]
        write()
        return "oo", [path, "/"]

    def _GetSecret(self, message: Message) -> tuple[str, list[Any]]:
        item = self.items[message.path or ""]
        self._same_session(message.body[0])
        if item.locked:
            raise Failed(f"{PREFIX}Error.IsLocked")
        self.sent = list(format_secret(self._exchange, item.value, "text/plain"))
        return "(oayays)", [self.sent]

    def _SetSecret(self, message: Message) -> tuple[str, list[Any]]:
        item = self.items[message.path or ""]
        (secret,) = message.body
        value = self._received(secret)
        if item.locked:
            raise Failed(f"{PREFIX}Error.IsLocked")
        if not self.drops:
            item.value, item.modified = value, self.now
        return "", []

    def _Delete(self, message: Message) -> tuple[str, list[Any]]:
        path = message.path or ""
        if self.items[path].locked:
            raise Failed(f"{PREFIX}Error.IsLocked")

        def remove() -> Variant:
            del self.items[path]
            return Variant("s", "")

        if self.asks_to_write:
            return "o", [self._prompt(remove)]
        remove()
        return "o", ["/"]

    def _Unlock(self, message: Message) -> tuple[str, list[Any]]:
        paths: list[str] = message.body[0]
        assert len(paths) == len(set(paths))

        def unlock() -> Variant:
            for path in paths:
                if path == DEFAULT:
                    self.locked = False
                elif self.opens:
                    self.items[path].locked = False
            return Variant("ao", paths)

        return "aoo", [[], self._prompt(unlock)]

    def _CreateCollection(self, message: Message) -> tuple[str, list[Any]]:
        assert message.body[1] == "default"

        def make() -> Variant:
            self.collection = True
            return Variant("o", DEFAULT)

        return "oo", ["/", self._prompt(make)]

    def _Prompt(self, message: Message) -> tuple[str, list[Any]]:
        work = self._pending.pop(message.path or "")
        self.prompts += 1
        assert self._loop is not None
        if self.answer == "vanish":
            assert self._bus is not None
            self._loop.call_soon(self._bus.disconnect)
        elif self.answer != "silent":
            self._loop.call_soon(self._completed, message, work)
        return "", []

    def _Dismiss(self, message: Message) -> tuple[str, list[Any]]:
        return "", []

    def _completed(self, message: Message, work: Callable[[], Variant]) -> None:
        dismissed = self.answer == "dismiss"
        result = Variant("s", "") if dismissed else work()
        assert self._bus is not None
        self._bus.send(
            Message(
                path=message.path,
                interface=f"{PREFIX}Prompt",
                member="Completed",
                signature="bv",
                body=[dismissed, result],
                message_type=MessageType.SIGNAL,
            )
        )

    # --- what it insists on ------------------------------------------------------------------------------------------

    def _there(self, message: Message) -> None:
        if not self.collection or message.path != DEFAULT:
            raise Failed("org.freedesktop.DBus.Error.UnknownObject")

    def _received(self, secret: list[Any]) -> bytes:
        """The value of a secret of this session, decrypted."""
        self._same_session(secret[0])
        self.received, value = secret, bytes(secret[2])
        if not self._exchange.encrypted:
            assert secret[1] == b""
            return value
        decryptor = Cipher(algorithms.AES(self._exchange.aes_key or b""), modes.CBC(secret[1])).decryptor()
        padded = decryptor.update(value) + decryptor.finalize()
        assert 1 <= padded[-1] <= 16
        assert padded.endswith(bytes([padded[-1]]) * padded[-1])
        return padded[: -padded[-1]]

    def _same_session(self, session: str) -> None:
        forgotten, self.forget_session = self.forget_session, False
        self.strangers += session != self._session
        if forgotten or session != self._session:
            raise Failed(f"{PREFIX}Error.NoSession")

    def _prompt(self, work: Callable[[], Variant]) -> str:
        path = f"{ROOT}/prompt/p{len(self.calls)}"
        self._pending[path] = work
        return path
