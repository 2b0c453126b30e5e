"""The encrypted way to the Secret Service: no dialog that nobody asked for, and no second one after the first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import secretstorage
from keyring.errors import KeyringLocked

from trayapp.vault.encrypted_session import EncryptedKeyring, EncryptedVault


class Connection:
    """A connection to the bus."""

    def __init__(self) -> None:
        self.closed = 0
        self.close: Callable[[], None] = self._close  # the vault puts another one in its place

    def _close(self) -> None:
        self.closed += 1


class Item:
    """The one entry. Services may lock each entry separately."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def is_locked(self) -> bool:
        return self._service.item_locked

    def unlock(self) -> None:
        self._service.dialogs += 1
        self._service.item_locked = not self._service.accepts

    def get_secret(self) -> bytes:
        if self._service.item_locked:
            raise secretstorage.LockedException("the item is locked")
        return b"value"


class Collection:
    """The default collection over one connection."""

    session: object = None

    def __init__(self, service: Service, connection: Connection) -> None:
        self._service = service
        self.connection = connection

    def is_locked(self) -> bool:
        return self._service.locked

    def unlock(self) -> None:
        self._service.dialogs += 1
        self._service.locked = not self._service.accepts

    def search_items(self, query: object) -> list[Item]:
        self._service.searches += 1
        if self._service.failures:
            raise self._service.failures.pop()
        return [Item(self._service)]


class Service:
    """SecretStorage's view of a keyring: what is locked, and what the person does with a dialog."""

    def __init__(self) -> None:
        self.there = True  # a default collection
        self.locked = self.item_locked = False
        self.accepts = True
        self.failures: list[Exception] = []  # of the next searches
        self.dialogs = self.searches = self.sessions = 0
        self.paths: list[str] = []  # of the collections that were asked for by name
        self.connections: list[Connection] = []

    def connect(self) -> Connection:
        self.connections.append(Connection())
        return self.connections[-1]

    def open_session(self, connection: Connection) -> int:
        self.sessions += 1
        return self.sessions

    def collection(self, connection: Connection, path: str = "") -> Collection:
        self.paths += [path] if path else []
        if not self.there:
            raise secretstorage.ItemNotFoundException("no default collection")
        return Collection(self, connection)

    def create(self, connection: Connection) -> Collection:
        self.dialogs += 1
        self.there = True
        return Collection(self, connection)

    def closed(self) -> list[int]:
        """How often each connection was closed."""
        return [connection.closed for connection in self.connections]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr(secretstorage, "dbus_init", made.connect)
    monkeypatch.setattr(secretstorage, "Collection", made.collection)
    monkeypatch.setattr(secretstorage, "get_default_collection", made.create)
    monkeypatch.setattr(secretstorage.util, "open_session", made.open_session)
    return made


@pytest.fixture
def vault() -> EncryptedVault:
    return EncryptedVault(EncryptedKeyring())


def read(vault: EncryptedVault) -> Any:
    return vault.get("amberlight/x/gh/a", "gh")


def test_a_locked_collection_is_reported_without_a_dialog(service: Service, vault: EncryptedVault) -> None:
    """One look, no search, no dialog, and the connection is not kept; once it is unlocked the value is there."""

    service.locked = True
    assert vault.locked()
    with pytest.raises(KeyringLocked):
        read(vault)
    assert (0, 0, [1]) == (service.dialogs, service.searches, service.closed())

    service.locked = False
    assert not vault.locked()
    assert "value" == read(vault)
    assert (0, [1, 0]) == (service.dialogs, service.closed())


def test_one_connection_serves_every_call(service: Service, vault: EncryptedVault) -> None:
    """The keyring library closes it after each call; only `close` does it here, and the next call opens another."""

    assert ["value", "value"] == [read(vault), read(vault)]
    assert not vault.locked()
    assert (1, [0]) == (service.sessions, service.closed())
    vault.close()
    vault.close()
    assert "value" == read(vault)
    assert (2, [1, 0]) == (service.sessions, service.closed())


def test_the_collection_that_a_person_chose(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyring library's own setting names it; otherwise it is the default one."""

    read(EncryptedVault(EncryptedKeyring()))
    assert [] == service.paths
    monkeypatch.setenv("KEYRING_PROPERTY_PREFERRED_COLLECTION", "/collection/work")
    read(EncryptedVault(EncryptedKeyring()))
    assert ["/collection/work"] == service.paths


@pytest.mark.parametrize("accepts", [True, False])
def test_a_person_who_asked_gets_one_dialog(accepts: bool, service: Service, vault: EncryptedVault) -> None:
    """Dismissed is locked: a second try would be a second dialog."""

    service.locked, service.accepts, vault.prompt = True, accepts, True
    if accepts:
        assert "value" == read(vault)
    else:
        with pytest.raises(KeyringLocked):
            read(vault)
    assert 1 == service.dialogs
    assert vault.locked() is not accepts


@pytest.mark.parametrize("prompt", [False, True])
def test_an_entry_that_is_locked_separately(prompt: bool, service: Service, vault: EncryptedVault) -> None:
    """The dialog is for it then; without a person there is none, and no second search."""

    service.item_locked, vault.prompt = True, prompt
    if prompt:
        assert "value" == read(vault)
    else:
        with pytest.raises(secretstorage.LockedException):
            read(vault)
    assert (int(prompt), 1) == (service.dialogs, service.searches)


def test_without_a_collection_it_is_locked(service: Service, vault: EncryptedVault) -> None:
    """A new one needs a new password, so it is made only for a person who asked; no connection is left open."""

    service.there = False
    assert vault.locked()
    with pytest.raises(KeyringLocked):
        read(vault)
    assert (0, [1, 1]) == (service.dialogs, service.closed())

    vault.prompt = True
    assert "value" == read(vault)
    assert (1, [1, 1, 0]) == (service.dialogs, service.closed())


@pytest.mark.parametrize(
    "lock", [KeyringLocked(), secretstorage.LockedException(), secretstorage.PromptDismissedException()]
)
def test_a_lock_that_comes_meanwhile_is_no_reason_to_ask_again(
    lock: Exception, service: Service, vault: EncryptedVault
) -> None:
    """Locked between the look and the search: reported immediately, and the next call finds it unlocked."""

    service.failures = [lock]
    with pytest.raises(type(lock)):
        read(vault)
    assert (1, [1]) == (service.searches, service.closed())
    assert "value" == read(vault)


def test_any_other_failure_gets_one_new_connection(service: Service, vault: EncryptedVault) -> None:
    """A restarted daemon does not know the session of before; one that fails twice is not asked a third time."""

    service.failures = [RuntimeError("no session")]
    assert "value" == read(vault)
    assert (2, [1, 0]) == (service.searches, service.closed())

    service.failures = [RuntimeError("second"), RuntimeError("first")]
    with pytest.raises(RuntimeError, match="second"):
        read(vault)
    assert 4 == service.searches
