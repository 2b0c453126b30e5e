"""Between the server's answer and the Secret Service: the write follows in the second call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.vault.keyrings import login
from tests.vault.scripted_secret_service import HOME, Item, Scripted
from tests.vault.secret_service import SecretService
from trayapp.core.model import Trouble
from trayapp.engine.ports import StoredLogin
from trayapp.vault.keystore import Keystore
from trayapp.vault.secret_connection import Connection
from trayapp.vault.secret_service_vault import SecretServiceVault

pytestmark = [pytest.mark.desktop, pytest.mark.linux("the Secret Service")]


@pytest.fixture
async def keystore() -> AsyncIterator[Keystore]:
    """The keystore as the app makes it."""
    made = Keystore("inst")
    yield made
    await made.close()


async def test_the_service_is_asked_to_write_in_the_second_call(script: Scripted, keystore: Keystore) -> None:
    """The first finds the entry: its path may belong to another program's by now."""

    for generation in (1, 2, 3):
        assert await keystore.store("gh", login(generation)) is None
    assert await keystore.probe("gh") is None
    script.calls.clear()
    assert await keystore.store("gh", login(4)) is None

    assert ["SearchItems", "SetSecret"] == script.calls[:2]
    assert StoredLogin(login(4)) == await keystore.load("gh")


@pytest.mark.parametrize("lost", ["locked", "item locked", "no collection"])
async def test_a_keyring_lost_in_between_is_a_trouble_without_a_dialog(
    script: Scripted, keystore: Keystore, lost: str
) -> None:
    """Locked or closed after the probe: the login is kept in memory and written later."""

    for generation in (1, 2):
        assert await keystore.store("gh", login(generation)) is None
    assert await keystore.probe("gh") is None
    script.locked, script.collection = lost == "locked", lost != "no collection"
    for item in script.items.values():
        item.locked = lost == "item locked"

    expected = Trouble.NO_COLLECTION if lost == "no collection" else Trouble.LOCKED
    assert expected is await keystore.store("gh", login(3))
    assert 0 == script.prompts
    script.locked, script.collection = False, True
    for item in script.items.values():
        item.locked = False
    assert await keystore.store("gh", login(3)) is None
    assert StoredLogin(login(3)) == await keystore.load("gh")


def test_an_entry_that_is_there_twice_or_not_at_all_is_looked_into(script: Scripted, vault: SecretServiceVault) -> None:
    """The newest of two is overwritten and the other deleted; a missing one is created."""

    names = {"service": "s", "username": "u"}
    vault.set("s", "u", "one")
    script.items[f"{HOME}2"] = Item(names, b"two", modified=5)
    vault.set("s", "u", "three")
    assert {f"{HOME}2": b"three"} == {path: item.value for path, item in script.items.items()}

    script.items.clear()
    vault.set("s", "u", "four")
    assert [b"four"] == [item.value for item in script.items.values()]


async def test_a_real_keyring_has_the_login_after_two_calls(
    bus: SecretService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has answered: killed at once, the daemon gives the login back when it is started again."""

    bus.up()
    keystore = Keystore("inst")
    for generation in (1, 2, 3):
        assert await keystore.store("gh", login(generation)) is None
    assert await keystore.probe("gh") is None
    real, made = Connection.call, list[str]()

    async def call(self: Connection, path: str, interface: str, member: str, *rest: object) -> list[object]:
        made.append(member)
        answer = await real(self, path, interface, member, *rest)  # type: ignore[arg-type]
        if member == "SetSecret":
            assert bus._daemon is not None
            bus._daemon.kill()
            bus._daemon.wait(10)
        return answer

    monkeypatch.setattr(Connection, "call", call)
    assert await keystore.store("gh", login(4)) is not None
    assert ["SearchItems", "SetSecret"] == made[:2]

    monkeypatch.undo()
    bus.up()
    fresh = Keystore("inst")
    assert StoredLogin(login(4)) == await fresh.load("gh")
    await fresh.close()
    await keystore.close()
