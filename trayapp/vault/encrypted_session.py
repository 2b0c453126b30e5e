"""The Secret Service by SecretStorage, encrypted on the bus: for a service that wants it, or a bus that leaves the machine.

It is the keyring library's own class with one kept connection, and without a dialog unless a person asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import secretstorage
from keyring.backends import SecretService
from keyring.errors import KeyringLocked

from trayapp.vault.allowed_keyrings import SECRET_SERVICE

T = TypeVar("T")


class EncryptedKeyring(SecretService.Keyring):
    """One kept connection is three times as fast as one for each call."""

    may_prompt = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.may_prompt = False  # again, after the environment had its say (KEYRING_PROPERTY_*)
        self._collection: Any = None
        self._close_connection: Callable[[], None] | None = None

    def get_preferred_collection(self) -> Any:
        """The collection, unlocked. Raises `KeyringLocked` where only a dialog could open it and nobody asked."""
        collection = self.collection()
        if collection.is_locked():
            if self.may_prompt:
                collection.unlock()  # waits for the person
            if collection.is_locked():
                raise KeyringLocked("the collection is locked")
        return collection

    def unlock(self, item: Any) -> None:
        """The stock one asks for an unlock without looking. Reading looks by itself, and raises for a locked item."""
        if self.may_prompt and item.is_locked():
            item.unlock()

    def collection(self) -> Any:
        """The collection, locked or not, over the kept connection."""
        if self._collection is None:
            connection = secretstorage.dbus_init()
            try:
                collection = self._find_collection(connection)
                collection.session = collection.session or secretstorage.util.open_session(connection)
            except BaseException:
                connection.close()
                raise
            self._close_connection, connection.close = (
                connection.close,
                _keep_open,
            )  # keyring closes it after every call
            self._collection = collection
        return self._collection

    def _find_collection(self, connection: Any) -> Any:
        if path := getattr(self, "preferred_collection", None):
            return secretstorage.Collection(connection, path)
        try:
            return secretstorage.Collection(connection)  # the default one
        except secretstorage.ItemNotFoundException:
            if self.may_prompt:
                return secretstorage.get_default_collection(connection)  # asks for a new password
            raise KeyringLocked("there is no default collection yet") from None

    def disconnect(self) -> None:
        """Close the kept connection; the next call opens another."""
        close_connection, self._close_connection, self._collection = self._close_connection, None, None
        if close_connection is not None:
            close_connection()


def _keep_open() -> None:
    """Close nothing."""


class EncryptedVault:
    """The kept keyring. After a failure that is no lock, one repetition on a new connection.

    A restarted daemon does not know our session any more: the first call after that fails and the second works.
    """

    name = SECRET_SERVICE
    limit: int | None = None

    def __init__(self, keyring: EncryptedKeyring) -> None:
        self._keyring = keyring

    @property
    def prompt(self) -> bool:
        return self._keyring.may_prompt

    @prompt.setter
    def prompt(self, allowed: bool) -> None:
        self._keyring.may_prompt = allowed

    def get(self, service: str, user: str) -> str | None:
        value: str | None = self._with_retry(lambda: self._keyring.get_password(service, user))  # type: ignore[no-untyped-call]
        return value

    def set(self, service: str, user: str, value: str) -> None:
        self._with_retry(lambda: self._keyring.set_password(service, user, value))  # type: ignore[no-untyped-call]

    def delete(self, service: str, user: str) -> None:
        self._with_retry(lambda: self._keyring.delete_password(service, user))  # type: ignore[no-untyped-call]

    def locked(self) -> bool:
        try:
            return bool(self._with_retry(lambda: self._keyring.collection().is_locked()))
        except KeyringLocked:
            return True  # there is no collection yet

    def close(self) -> None:
        self._keyring.disconnect()

    def _with_retry(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:
            self._keyring.disconnect()
            if isinstance(
                error, KeyringLocked | secretstorage.LockedException | secretstorage.PromptDismissedException
            ):
                raise  # a second try would be a second dialog
        return work()
