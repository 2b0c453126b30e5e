"""Secret Service vault with an encrypted session (SecretStorage), for services and remote buses that need one.

It uses the keyring library's own class, with one connection kept open and without a dialog unless a person asked.
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
    """The library's Secret Service backend over one open connection, which is three times as fast as one per call."""

    may_prompt = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.may_prompt = False  # again: KEYRING_PROPERTY_* of the environment may have set it
        self._collection: Any = None
        self._close_connection: Callable[[], None] | None = None

    def get_preferred_collection(self) -> Any:
        """The unlocked collection. Raises `KeyringLocked` if only a dialog could open it and nobody asked."""
        collection = self.collection()
        if collection.is_locked():
            if self.may_prompt:
                collection.unlock()  # waits for the person
            if collection.is_locked():
                raise KeyringLocked("the collection is locked")
        return collection

    def unlock(self, item: Any) -> None:
        """Unlock an item only if it is locked and a person asked. The library's own method requests it without looking;
        reading a locked item then raises."""
        if self.may_prompt and item.is_locked():
            item.unlock()

    def collection(self) -> Any:
        """The collection, locked or not, over the open connection."""
        if self._collection is None:
            connection = secretstorage.dbus_init()
            try:
                collection = self._find_collection(connection)
                collection.session = collection.session or secretstorage.util.open_session(connection)
            except BaseException:
                connection.close()
                raise
            # keyring closes the connection after every call; this keeps it open.
            self._close_connection, connection.close = connection.close, _keep_open
            self._collection = collection
        return self._collection

    def _find_collection(self, connection: Any) -> Any:
        if path := getattr(self, "preferred_collection", None):
            return secretstorage.Collection(connection, path)
        try:
            return secretstorage.Collection(connection)  # the default collection
        except secretstorage.ItemNotFoundException:
            if self.may_prompt:
                return secretstorage.get_default_collection(connection)  # creates it, with a dialog for its password
            raise KeyringLocked("there is no default collection yet") from None

    def disconnect(self) -> None:
        """Close the connection; the next call opens another."""
        close_connection, self._close_connection, self._collection = self._close_connection, None, None
        if close_connection is not None:
            close_connection()


def _keep_open() -> None:
    """Stands in for the connection's `close`."""


class EncryptedVault:
    """A vault over an `EncryptedKeyring`. A failure other than a lock is retried once on a new connection.

    A restarted daemon no longer knows our session: the first call after that fails and the second works.
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
                raise  # a retry would be a second dialog
        return work()
