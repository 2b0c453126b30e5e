"""The vault of Windows over a strict Credential Manager, with what the keyring library would have left there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from keyring.backends.Windows import WinVaultKeyring

from tests.vault.keyrings import login
from trayapp.vault.login_store import LoginStore
from trayapp.vault.slots import WINDOWS_LIMIT
from trayapp.vault.windows_vault import WindowsVault


class CredentialError(Exception):
    """pywintypes.error."""

    def __init__(self, winerror: int, funcname: str, text: str) -> None:
        super().__init__(winerror, funcname, text)
        self.winerror, self.funcname = winerror, funcname


class Credentials:
    """win32cred over a dictionary by target. `broken` is the error of every call."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self.broken = 0
        self.deleted: list[str] = []

    def CredRead(self, *, Type: int, TargetName: str) -> dict[str, Any]:
        self._check("CredRead", Type, TargetName)
        return dict(self.held[TargetName])

    def CredWrite(self, credential: dict[str, Any], flags: int) -> None:
        assert (1, 2, 0) == (credential["Type"], credential["Persist"], flags)
        blob = credential["CredentialBlob"].encode("utf-16-le")
        if len(blob) > 2560:
            raise CredentialError(1783, "CredWrite", "The stub received bad data")
        self.held[credential["TargetName"]] = {**credential, "CredentialBlob": blob}

    def CredDelete(self, *, Type: int, TargetName: str) -> None:
        self._check("CredDelete", Type, TargetName)
        self.deleted.append(TargetName)
        del self.held[TargetName]

    def _check(self, name: str, kind: int, target: str) -> None:
        assert 1 == kind
        if self.broken:
            raise CredentialError(self.broken, name, "broken")
        if target not in self.held:
            raise CredentialError(1168, name, "Element not found")


@pytest.fixture
def credentials() -> Credentials:
    return Credentials()


@pytest.fixture
def vault(credentials: Credentials) -> WindowsVault:
    calls = SimpleNamespace(win32cred=credentials, pywintypes=SimpleNamespace(error=CredentialError))
    return WindowsVault(object.__new__(WinVaultKeyring), "windows", calls)


def test_overwriting_keeps_no_old_value(vault: WindowsVault, credentials: Credentials) -> None:
    """One entry, with the newest value, however often it's written."""

    assert vault.get("service", "notes") is None
    for value in ("one", "two", "three ☃"):
        vault.set("service", "notes", value)
        assert value == vault.get("service", "notes")
    assert ["service"] == list(credentials.held)
    vault.delete("service", "notes")
    vault.delete("service", "notes")
    assert {} == credentials.held


def test_what_the_library_left_is_deleted(vault: WindowsVault, credentials: Credentials) -> None:
    """An old value is never read, goes with the next write, and is deleted before the newest one."""

    vault.set("notes@service", "notes", "old")
    assert vault.get("service", "notes") is None
    vault.set("service", "notes", "new")
    assert ["service"] == list(credentials.held)
    vault.set("notes@service", "notes", "old")
    credentials.deleted.clear()
    vault.delete("service", "notes")
    assert ["notes@service", "service"] == credentials.deleted


def test_the_entry_of_another_user_isnt_ours(vault: WindowsVault) -> None:
    """It isn't read as ours."""

    vault.set("service", "other", "theirs")
    assert vault.get("service", "notes") is None


def test_other_errors_are_raised(vault: WindowsVault, credentials: Credentials) -> None:
    """Only "not found" is absence; without a logon session nothing can be known."""

    vault.set("service", "notes", "value")
    credentials.broken = 1312
    for call in (vault.get, vault.delete):
        with pytest.raises(CredentialError, match="1312"):
            call("service", "notes")


@pytest.mark.parametrize("blob", [b"\x00", b"\x00\xd8", b"\xff\xfe\xff", b""])
def test_what_isnt_text_is_damage_and_no_error(vault: WindowsVault, credentials: Credentials, blob: bytes) -> None:
    """As of another program, or half a write."""

    vault.set("service", "notes", "value")
    credentials.held["service"]["CredentialBlob"] = blob
    assert isinstance(vault.get("service", "notes"), str)


@pytest.mark.parametrize("size", [100, 700, 2500, 9000])
def test_logins_of_every_length(vault: WindowsVault, credentials: Credentials, size: int) -> None:
    """In parts where they don't fit, and never a copy beside them."""

    store = LoginStore("inst")
    for generation in range(1, 6):
        store.write(vault, "notes", login(generation, size=size), candidate=False)
        assert login(generation, size=size) == LoginStore("inst").load(vault, "notes").login
    assert not [target for target in credentials.held if "@" in target]
    assert all(len(each["CredentialBlob"]) <= 2 * WINDOWS_LIMIT for each in credentials.held.values())
    store.erase(vault, "notes")
    assert {} == credentials.held
