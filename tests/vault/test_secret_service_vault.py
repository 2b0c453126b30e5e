"""Direct Secret Service vault: which calls it makes, what the end of a dialog means, and what never counts as absence."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.vault.keyrings import CANARY, login
from tests.vault.scripted_secret_service import OTHER, Item, Scripted
from tests.vault.secret_service import SecretService
from trayapp.core.model import Trouble
from trayapp.engine.ports import StoredLogin
from trayapp.vault import vaults
from trayapp.vault.keystore import Keystore, trouble_of
from trayapp.vault.secret_errors import LockedError, NoCollectionError, ServiceError
from trayapp.vault.secret_service_vault import SecretServiceVault

pytestmark = [pytest.mark.desktop, pytest.mark.linux("the Secret Service is Linux's")]


def test_an_entry_is_written_replaced_read_and_deleted(script: Scripted, vault: SecretServiceVault) -> None:
    """With the attributes of the keyring library, under a label that a person understands."""

    assert vault.get("amberlight/x/gh/a", "gh") is None
    vault.set("amberlight/x/gh/a", "gh", "one")
    vault.set("amberlight/x/gh/a", "gh", "tẃo")
    vault.set("amberlight/x/gh/b", "gh", "other")

    (first, _) = script.items.values()
    assert {
        "service": "amberlight/x/gh/a",
        "username": "gh",
        "application": "Python keyring library",
    } == first.attributes
    assert "tẃo" == vault.get("amberlight/x/gh/a", "gh")
    vault.delete("amberlight/x/gh/a", "gh")
    assert vault.get("amberlight/x/gh/a", "gh") is None
    assert "other" == vault.get("amberlight/x/gh/b", "gh")
    assert 1 == script.calls.count("OpenSession")
    assert 0 == script.prompts


def test_a_collection_locked_while_it_is_searched_is_not_empty(script: Scripted, vault: SecretServiceVault) -> None:
    """A locked collection finds nothing: taken for absence, it would make a login look signed out."""

    vault.set("s", "u", "x")
    script.lock_at_search = True
    with pytest.raises(LockedError):
        vault.get("s", "u")


def test_no_dialog_without_a_click(script: Scripted, vault: SecretServiceVault) -> None:
    """Opening it needs one."""

    script.locked = True
    with pytest.raises(LockedError):
        vault.get("s", "u")
    with pytest.raises(LockedError):
        vault.set("s", "u", "x")
    with pytest.raises(LockedError):
        vault.delete("s", "u")
    assert vault.locked()
    assert not {"Unlock", "CreateCollection", "Prompt"} & set(script.calls)


def test_a_keyring_without_a_default_collection_is_not_locked(script: Scripted, vault: SecretServiceVault) -> None:
    """Nor is it empty: nothing was made yet, or a database is closed. No dialog, and nothing is tried twice."""

    script.collection = False
    calls: list[Callable[[], object]] = [
        lambda: vault.get("s", "u"),
        lambda: vault.set("s", "u", "x"),
        lambda: vault.delete("s", "u"),
    ]
    for call in calls:
        with pytest.raises(NoCollectionError) as caught:
            call()
        assert Trouble.NO_COLLECTION is trouble_of(caught.value)
    with pytest.raises(NoCollectionError):
        vault.locked()
    assert not {"Unlock", "CreateCollection", "Prompt"} & set(script.calls)
    assert 1 == script.calls.count("OpenSession")


def test_without_a_default_collection_another_one_serves(script: Scripted, vault: SecretServiceVault) -> None:
    """The alias was removed, the collection is there and open: entries are read, written and deleted; none is made."""

    script.collection, script.other = False, True
    script.items[f"{OTHER}1"] = Item({"service": "s", "username": "u"}, b"x")
    assert not vault.locked()
    assert "x" == vault.get("s", "u")
    vault.set("s", "u", "y")
    assert "y" == vault.get("s", "u")
    with pytest.raises(NoCollectionError):
        vault.set("s", "v", "z")
    vault.delete("s", "u")
    assert {} == script.items
    script.other_locked = True
    with pytest.raises(NoCollectionError):
        vault.locked()


@pytest.mark.parametrize("collection", [True, False], ids=["locked", "not there yet"])
def test_a_person_opens_it(script: Scripted, vault: SecretServiceVault, collection: bool) -> None:
    """One dialog, and the call that waited for it continues."""

    script.locked, script.collection = collection, collection
    vault.prompt = True
    vault.set("s", "u", "x")
    assert "x" == vault.get("s", "u")
    assert 1 == script.prompts


def test_a_dismissed_dialog_comes_once(script: Scripted, vault: SecretServiceVault) -> None:
    """A lock is no failure, so nothing is repeated."""

    script.locked, script.answer = True, "dismiss"
    vault.prompt = True
    with pytest.raises(LockedError):
        vault.get("s", "u")
    assert 1 == script.prompts


def test_a_single_entry_may_be_locked(script: Scripted, vault: SecretServiceVault) -> None:
    """As in KeePassXC: requested only after a click."""

    script.items["/org/freedesktop/secrets/collection/login/9"] = Item({"service": "s", "username": "u"}, b"x", True)
    with pytest.raises(LockedError):
        vault.get("s", "u")
    assert 0 == script.prompts
    vault.prompt = True
    assert "x" == vault.get("s", "u")


def test_a_service_that_ends_behind_its_dialog(bus: SecretService) -> None:
    """Nobody would tell of the dialog's end: the call ends with the service, and that is "not there"."""

    script, vault = Scripted(locked=True, answer="vanish"), SecretServiceVault()
    script.start()
    vault.prompt = True
    with pytest.raises(ServiceError) as caught:
        vault.get("s", "u")
    assert Trouble.UNAVAILABLE is trouble_of(caught.value)
    vault.close()
    script._thread.join(10)


def test_a_bus_that_ends_behind_a_dialog(bus: SecretService, script: Scripted, vault: SecretServiceVault) -> None:
    """The end of the session ends the waiting."""

    script.locked, script.answer = True, "silent"
    vault.prompt = True
    real = script._Prompt

    def ends(message: object) -> object:
        bus._bus.terminate()
        return real(message)  # type: ignore[arg-type]

    script._Prompt = ends  # type: ignore[method-assign, assignment]
    with pytest.raises((ServiceError, OSError, EOFError)) as caught:
        vault.get("s", "u")
    assert Trouble.UNAVAILABLE is trouble_of(caught.value)


def test_a_forgotten_session_is_opened_anew(script: Scripted, vault: SecretServiceVault) -> None:
    """Once: the first call fails inside, the second works."""

    vault.set("s", "u", "x")
    script.forget_session = True
    assert "x" == vault.get("s", "u")
    assert 2 == script.calls.count("OpenSession")


def test_the_session_of_another_service_is_not_used(bus: SecretService, encrypted: bool) -> None:
    """One took the other's place between two calls; KeePassXC would take such a session for a dismissed dialog."""

    vault, first, second = SecretServiceVault(encrypted=encrypted), Scripted(), Scripted(asks_to_write=True)
    first.start()
    vault.set("s", "u", "x")
    first.stop()
    second.start()
    assert vault.get("s", "u") is None
    vault.set("s", "u", "y")
    assert "y" == vault.get("s", "u")
    second.stop()
    first = Scripted(items=second.items)
    first.start()
    vault.set("s", "u", "z")
    assert "z" == vault.get("s", "u")
    vault.close()
    first.stop()
    assert 0 == first.strangers == second.strangers


def test_what_is_no_text_is_damaged_and_stops_nothing(script: Scripted, vault: SecretServiceVault) -> None:
    """An entry that somebody else wrote over is read as something that no login is."""

    script.items["/org/freedesktop/secrets/collection/login/9"] = Item(
        {"service": "s", "username": "u"}, b"\xff\xfe\x00"
    )
    assert "�" in (vault.get("s", "u") or "")


def test_an_error_of_the_service_shows_its_name_only(script: Scripted, vault: SecretServiceVault) -> None:
    """Its text could quote anything."""

    vault.set("s", "u", CANARY)
    script.collection = False

    def broken(message: object) -> object:
        from tests.vault.scripted_secret_service import Failed

        raise Failed("org.example.Error.Odd")

    script._Get = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(ServiceError) as caught:
        vault.locked()
    assert "org.example.Error.Odd" == str(caught.value)


def test_one_that_takes_no_plain_session_gets_an_encrypted_one(bus: SecretService) -> None:
    """And the value is not to be seen on the bus."""

    script = Scripted(plain=False)
    script.start()
    vault = vaults.choose()
    vault.set("s", "u", CANARY)
    assert CANARY == vault.get("s", "u")
    for secret in (script.received, script.sent):
        assert secret[1]
        assert CANARY.encode() not in bytes(secret[2])
    vault.close()
    script.stop()


def test_one_that_takes_no_session_is_none(bus: SecretService) -> None:
    """The reason says so."""

    script = Scripted(plain=False, encrypted=False)
    script.start()
    reasons: list[str] = []
    assert vaults._secret_service(reasons) is None
    assert ["keyring.backends.SecretService.Keyring: org.freedesktop.DBus.Error.NotSupported"] == reasons
    script.stop()


@pytest.mark.parametrize("address", ["tcp:host=192.0.2.1,port=1", "unix:path=/nonexistent;tcp:host=192.0.2.1,port=1"])
def test_a_bus_that_leaves_the_machine_gets_encrypted_sessions_only(
    script: Scripted, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """Whoever is between would read a plain one; a service without encryption is refused there."""

    assert vaults._bus_is_local()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    assert not vaults._bus_is_local()

    monkeypatch.undo()
    monkeypatch.setattr(vaults, "_bus_is_local", lambda: False)
    vault = vaults._secret_service([])
    assert vault is not None
    vault.close()
    script.encrypted = False
    assert vaults._secret_service([]) is None


def test_settings_of_the_keyring_library_are_obeyed(bus: SecretService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library finds what we write by the same settings, in the same collection, and the other way round."""

    bus.up()
    monkeypatch.setenv("KEYRING_PROPERTY_SCHEME", "KeePassXC")
    monkeypatch.setenv("KEYRING_PROPERTY_PREFERRED_COLLECTION", "/org/freedesktop/secrets/collection/session")
    monkeypatch.setenv("KEYRING_PROPERTY_APPID", "mine")
    stock, ours = library(), vaults.choose()
    ours.set("amberlight/x/gh/a", "gh", "one")
    assert "one" == stock.get_password("amberlight/x/gh/a", "gh")
    stock.set_password("amberlight/x/gh/a", "gh", "two")
    assert "two" == ours.get("amberlight/x/gh/a", "gh")
    for name in ("SCHEME", "PREFERRED_COLLECTION", "APPID"):
        monkeypatch.delenv(f"KEYRING_PROPERTY_{name}")
    plain = vaults.choose()
    assert plain.get("amberlight/x/gh/a", "gh") is None
    plain.close()
    ours.close()


def test_a_collection_that_was_chosen_and_is_missing(bus: SecretService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A click makes no other one in its place."""

    bus.up()
    monkeypatch.setenv("KEYRING_PROPERTY_PREFERRED_COLLECTION", "/org/freedesktop/secrets/collection/nowhere")
    vault = vaults.choose()
    vault.prompt = True
    with pytest.raises(NoCollectionError):
        vault.set("s", "u", "x")
    vault.close()


def library() -> Any:
    """The keyring library's own backend, with its settings from the environment."""
    from keyring.backends.SecretService import Keyring

    backend = Keyring()  # type: ignore[no-untyped-call]
    backend.set_properties_from_env()
    return backend


def test_library_and_direct_vault_find_the_same_entries(bus: SecretService, encrypted: bool) -> None:
    """A login of the library's is found without it, replaced rather than doubled, and found by it again."""

    bus.up()
    stock, ours = library(), SecretServiceVault(encrypted=encrypted)
    stock.set_password("amberlight/x/gh/a", "gh", "one")
    assert "one" == ours.get("amberlight/x/gh/a", "gh")
    ours.set("amberlight/x/gh/a", "gh", "two")
    assert "two" == stock.get_password("amberlight/x/gh/a", "gh")
    ours.delete("amberlight/x/gh/a", "gh")
    assert stock.get_password("amberlight/x/gh/a", "gh") is None
    ours.close()


LIGHT = """
import asyncio, sys
from tests.vault.keyrings import login
from trayapp.vault.keystore import Keystore

async def main():
    keystore = Keystore("inst")
    assert await keystore.probe("gh") is None
    assert await keystore.store("gh", login(1)) is None
    await keystore.close()

asyncio.run(main())
print(sorted({name.partition(".")[0] for name in sys.modules} & {"keyring", "cryptography", "secretstorage", "jeepney"}))
"""


def test_the_keyring_library_is_not_loaded(bus: SecretService) -> None:
    """It and the cryptography behind it would be a fifth of the program's memory."""

    bus.up()
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, env=os.environ, check=True)
    assert "[]" == done.stdout.strip()


FOREIGN = """
import sys, urllib.request  # which asks the system for its proxies, and has to ask the one that is here
for name in ("secretstorage", "jeepney", "dbus_fast"):
    sys.modules[name] = None
sys.platform = "darwin"
from trayapp.vault import vaults
from trayapp.vault.allowed_keyrings import NoVaultError
try:
    vaults.choose()
except NoVaultError as error:
    print(error.reasons)
"""


def test_other_systems_need_nothing_of_linux() -> None:
    """No D-Bus library is there: the choice falls on the system's own class, here without a keychain to speak to."""

    done = subprocess.run([sys.executable, "-c", FOREIGN], capture_output=True, text=True, check=True)
    assert "macOS.Keyring: " in done.stdout
    assert "SecretService" not in done.stdout


async def test_a_session_bus_that_ends_is_survived(bus: SecretService) -> None:
    """The kept connection is dead: UNAVAILABLE, and no call hangs."""

    bus.up()
    keystore = Keystore("inst")
    assert await keystore.store("gh", login(1)) is None
    assert StoredLogin(login(1)) == await keystore.load("gh")
    bus._bus.terminate()
    await asyncio.to_thread(bus._bus.wait, 10)
    assert Trouble.UNAVAILABLE is await asyncio.wait_for(keystore.load("gh"), 10)
    await keystore.close()


async def test_one_click_on_everything_is_one_dialog(script: Scripted) -> None:
    """Dismissed, it does not come again for each workload that waited behind it; the next click asks again."""

    script.locked, script.answer = True, "dismiss"
    keystore = Keystore("inst")
    names = [f"w{number}" for number in range(5)]
    found = await asyncio.gather(*(keystore.load(name, prompt=True) for name in names))
    assert [Trouble.LOCKED] * 5 == found
    assert 1 == script.prompts

    script.answer = "accept"
    found = await asyncio.gather(*(keystore.load(name, prompt=True) for name in names))
    assert [StoredLogin(None)] * 5 == found
    assert 2 == script.prompts
    await keystore.close()
