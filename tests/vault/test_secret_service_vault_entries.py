"""Which entry counts: in another collection than the default, several of one name, and services that add."""

from __future__ import annotations

import pytest

from tests.vault.keyrings import login
from tests.vault.scripted_secret_service import HOME, OTHER, Item, Scripted
from tests.vault.secret_service import SecretService
from trayapp.core.model import Trouble
from trayapp.engine.ports import StoredLogin
from trayapp.vault.keystore import Keystore
from trayapp.vault.secret_errors import LockedError
from trayapp.vault.secret_service_vault import SecretServiceVault

pytestmark = [pytest.mark.desktop, pytest.mark.linux("the Secret Service is Linux's")]

NAMES = {"service": "s", "username": "u"}


async def test_another_default_keyring_signs_nobody_out(bus: SecretService) -> None:
    """A person who makes another keyring the default one keeps every login: it is found, and moves with the next write."""

    bus.up()
    before = Keystore("inst")
    assert await before.store("gh", login(1)) is None
    assert await before.store("gh", login(2)) is None
    await before.close()
    bus._call("SetAlias", "string:default", "objpath:/org/freedesktop/secrets/collection/session")

    keystore = Keystore("inst")
    assert StoredLogin(login(2)) == await keystore.load("gh")
    for generation in (3, 4):
        assert await keystore.store("gh", login(generation)) is None
    assert StoredLogin(login(4)) == await keystore.load("gh")
    assert await keystore.discard("gh") is None
    assert StoredLogin(None) == await keystore.load("gh")
    await keystore.close()


def test_what_is_locked_elsewhere_is_not_absent(script: Scripted, vault: SecretServiceVault) -> None:
    """The keyring that holds it is not the default one any more: a lock, until a person opens it."""

    script.items[f"{OTHER}1"] = Item(NAMES, b"x", locked=True)
    with pytest.raises(LockedError):
        vault.get("s", "u")
    vault.prompt = True
    assert "x" == vault.get("s", "u")


def test_a_write_leaves_one_entry(script: Scripted, vault: SecretServiceVault) -> None:
    """In the default collection; an older value elsewhere would be read when the default changes back."""

    script.items[f"{OTHER}1"] = Item(NAMES, b"old")
    vault.set("s", "u", "new")
    (path,) = script.items
    assert path.startswith(HOME)
    assert "new" == vault.get("s", "u")


@pytest.mark.parametrize("newest", [0, 1, 2])
def test_of_several_the_newest_is_read(script: Scripted, vault: SecretServiceVault, newest: int) -> None:
    """Whatever their order is: a merged or copied keyring may hold a name twice."""

    for number in range(3):
        script.items[f"{HOME}{number}"] = Item(NAMES, b"%d" % number, modified=9 if number == newest else number)
    assert str(newest) == vault.get("s", "u")


async def test_a_service_that_adds_instead_of_replacing(script: Scripted) -> None:
    """Every write is read back, and one entry stays for each slot and one for the probe."""

    keystore = Keystore("inst")
    for generation in range(1, 6):
        keystore._wrote_at = None
        assert await keystore.probe("gh") is None
        assert await keystore.store("gh", login(generation)) is None
    assert StoredLogin(login(5)) == await keystore.load("gh")
    assert 3 == len(script.items)
    await keystore.close()


async def test_a_service_that_keeps_nothing_is_found_out(script: Scripted) -> None:
    """It says stored and drops it: the login is not believed to be safe, and no older entry is deleted for it."""

    keystore = Keystore("inst")
    for generation in (1, 2):
        assert await keystore.store("gh", login(generation)) is None
    script.drops = True
    assert Trouble.FAILED is await keystore.store("gh", login(3))
    assert StoredLogin(login(2)) == await keystore.load("gh")
    script.items[f"{OTHER}1"] = Item({"service": "amberlight/inst/new/a", "username": "new"}, b"older")
    assert Trouble.FAILED is await keystore.store("new", login(1))
    assert f"{OTHER}1" in script.items
    script.drops = False
    assert await keystore.store("gh", login(3)) is None
    assert StoredLogin(login(3)) == await keystore.load("gh")
    await keystore.close()


def test_delete_removes_every_duplicate(script: Scripted, vault: SecretServiceVault) -> None:
    """Else the login that a person removed would be found again."""

    script.items[f"{HOME}1"] = Item(NAMES, b"x")
    script.items[f"{OTHER}1"] = Item(NAMES, b"y")
    vault.delete("s", "u")
    assert {} == script.items
    assert vault.get("s", "u") is None
