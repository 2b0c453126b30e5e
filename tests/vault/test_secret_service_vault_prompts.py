"""Services that return a prompt for every write, as KeePassXC does, and prompts that never end."""

from __future__ import annotations

import socket

import pytest

from tests.vault.keyrings import login
from tests.vault.scripted_secret_service import HOME, Item, Scripted
from tests.vault.secret_service import SecretService
from trayapp.core.model import Trouble
from trayapp.engine.ports import StoredLogin
from trayapp.vault import secret_connection
from trayapp.vault.keystore import Keystore
from trayapp.vault.secret_errors import LockedError, NoCollectionError
from trayapp.vault.secret_naming import APPLICATION
from trayapp.vault.secret_service_vault import SecretServiceVault

pytestmark = [pytest.mark.desktop, pytest.mark.linux("the Secret Service is Linux's")]

NAMES = {"service": "s", "username": "u"}


async def test_logins_are_kept_where_every_write_is_a_prompt(script: Scripted) -> None:
    """No click is needed: the collection is open, and an unwritten login would be lost with the program."""

    script.asks_to_write = True
    keystore = Keystore("inst")
    assert await keystore.probe("gh") is None
    for generation in (1, 2, 3):
        assert await keystore.store("gh", login(generation)) is None
    assert StoredLogin(login(3)) == await keystore.load("gh")
    assert 3 == len(script.items)
    assert await keystore.discard("gh") is None
    assert StoredLogin(None) == await keystore.load("gh")
    await keystore.close()


def test_a_dismissed_write_is_not_asked_for_again(script: Scripted, vault: SecretServiceVault) -> None:
    """The dialog was unwanted once; it comes again when a person wishes for it."""

    script.asks_to_write, script.answer = True, "dismiss"
    for _ in range(3):
        with pytest.raises(LockedError):
            vault.set("s", "u", "x")
    assert 1 == script.prompts
    assert {} == script.items

    script.answer, vault.prompt = "accept", True
    vault.set("s", "u", "y")
    assert "y" == vault.get("s", "u")
    vault.prompt = False
    vault.set("s", "v", "z")
    assert "z" == vault.get("s", "v")


def test_a_locked_entry_is_written_only_after_a_click(script: Scripted, vault: SecretServiceVault) -> None:
    """After a restart KeePassXC asks for each of them: such a prompt would be a dialog."""

    script.asks_to_write = True
    script.items[f"{HOME}1"] = Item(NAMES | {"application": APPLICATION}, b"x", locked=True)
    with pytest.raises(LockedError):
        vault.set("s", "u", "y")
    assert 0 == script.prompts
    vault.prompt = True
    vault.set("s", "u", "y")
    assert "y" == vault.get("s", "u")


def test_one_dialog_unlocks_all_entries_of_ours(script: Scripted, vault: SecretServiceVault) -> None:
    """Not one for each slot of each workload; what other programs keep with the same library stays as it is."""

    ours = [f"amberlight/x/{name}" for name in ("gh/a", "gh/b", "notes/a", "probe")]
    for number, service in enumerate([*ours, "https://example.org"]):
        names = {"service": service, "username": "u", "application": APPLICATION}
        script.items[f"{HOME}{number}"] = Item(names, service.encode(), locked=True)
    with pytest.raises(LockedError):
        vault.get(ours[0], "u")
    vault.prompt = True
    assert ours == [vault.get(service, "u") for service in ours]
    assert 1 == script.prompts
    assert [f"{HOME}4"] == [path for path, item in script.items.items() if item.locked]


def test_a_dismissed_new_collection_is_still_missing(script: Scripted, vault: SecretServiceVault) -> None:
    """The person did not want to make one: that is no lock, and not asked for again."""

    script.collection, script.answer = False, "dismiss"
    vault.prompt = True
    with pytest.raises(NoCollectionError):
        vault.get("s", "u")
    assert 1 == script.prompts


def test_a_collection_locked_before_the_prompt_is_not_opened_by_it(script: Scripted, vault: SecretServiceVault) -> None:
    """Locked between the look and the write: its prompt would ask for the password."""

    script.asks_to_write = True
    real = script._CreateItem

    def locked_meanwhile(message: object) -> object:
        found = real(message)  # type: ignore[arg-type]
        script.locked = True
        return found

    script._CreateItem = locked_meanwhile  # type: ignore[method-assign, assignment]
    with pytest.raises(LockedError):
        vault.set("s", "u", "y")
    assert 0 == script.prompts


async def test_a_prompt_that_nobody_answers_ends(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its dialog is taken back; what the keyring is asked afterwards is answered, as nothing overtakes a call."""

    monkeypatch.setattr(secret_connection, "PROMPT_LIMIT", 0.2)
    script.locked, script.answer = True, "silent"
    keystore = Keystore("inst")
    assert Trouble.LOCKED is await keystore.load("gh", prompt=True)
    assert "Dismiss" in script.calls
    script.locked = False
    assert StoredLogin(None) == await keystore.load("gh")
    await keystore.close()


def test_an_entry_that_stays_locked_is_asked_for_once(script: Scripted, vault: SecretServiceVault) -> None:
    """A dialog that ended well and opened nothing, as when the keyring is locked again behind it."""

    script.items[f"{HOME}1"] = Item(NAMES, b"x", locked=True)
    script.opens = False
    vault.prompt = True
    with pytest.raises(LockedError):
        vault.get("s", "u")
    assert 1 == script.prompts


async def test_a_bus_that_never_answers_ends(bus: SecretService, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing: neither we nor the keyring library wait for it without end."""

    monkeypatch.setattr(secret_connection, "CALL_LIMIT", 0.1)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(path := f"{bus.env['HOME']}/mute")
        mute.listen()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={path}")
        keystore = Keystore("inst", hang_limit=3)
        assert Trouble.UNAVAILABLE is await keystore.load("gh")
    await keystore.close()


@pytest.mark.parametrize("member", ["OpenSession", "Get", "SearchItems", "CreateItem", "SetSecret", "GetSecret"])
async def test_a_call_that_is_never_answered_ends(
    script: Scripted, monkeypatch: pytest.MonkeyPatch, member: str
) -> None:
    """A service that lost one call would hold up every workload for as long as the program runs."""

    monkeypatch.setattr(secret_connection, "CALL_LIMIT", 0.1)
    keystore = Keystore("inst")
    if member != "OpenSession":
        assert await keystore.store("gh", login(1)) is None
    script.deaf_to = member
    told = [await keystore.store("gh", login(generation)) for generation in (2, 3)]
    assert Trouble.UNAVAILABLE in told
    script.deaf_to = ""
    assert await keystore.store("gh", login(4)) is None
    assert StoredLogin(login(4)) == await keystore.load("gh")
    await keystore.close()
