"""The Credential Manager of Windows itself: its limits, its neighbours, and kills at the steps of a write.

A kill costs the start of a process, seconds in Wine: so a few steps of each write are tried, spread over all of it.
AMBERLIGHT_KILLS=all tries every step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

if sys.platform != "win32":
    pytest.skip("the Credential Manager is Windows'", allow_module_level=True)

from keyring.backends import Windows
from keyring.backends.Windows import WinVaultKeyring

from tests import ROOT
from tests.vault.keyrings import login
from trayapp.engine.ports import StoredLogin
from trayapp.vault import vaults
from trayapp.vault.backends import wrap
from trayapp.vault.client_entry import erase_entry, read_entry, write_entry
from trayapp.vault.login_store import LoginStore
from trayapp.vault.slots import WINDOWS_LIMIT
from trayapp.vault.windows_vault import WindowsVault

INSTALL = f"test-{uuid4().hex}"
NAME = "notes"
KILLED = 9
KILLS = 1000 if os.environ.get("AMBERLIGHT_KILLS") == "all" else 6  # of each write
LIMIT = 240.0  # s

# A step of the vault is counted before and after each call that changes something; then the process is terminated.
CHILD = """
import ctypes, sys
from keyring.backends.Windows import WinVaultKeyring
from tests.vault.keyrings import login
from trayapp.vault.backends import wrap
from trayapp.vault.login_store import LoginStore

install, act, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
vault, left = wrap(WinVaultKeyring()), first
store = LoginStore(install)
kernel = ctypes.WinDLL("kernel32.dll")
kernel.TerminateProcess.argtypes = ctypes.c_void_p, ctypes.c_uint32
kernel.GetCurrentProcess.restype = ctypes.c_void_p

def step():
    global left
    if left == 0:
        kernel.TerminateProcess(kernel.GetCurrentProcess(), 9)
    left -= 1

def counted(call):
    def work(*arguments):
        step()
        call(*arguments)
        step()
    return work

vault.set, vault.delete = counted(vault.set), counted(vault.delete)
exec(act)
"""


def entries() -> dict[str, dict[str, Any]]:
    """Every credential of these tests, by target, whoever wrote it."""
    found: dict[str, dict[str, Any]] = {}
    # Never all of them: Wine counts entries before it copies them, and another test that adds one ends this process.
    for start in (f"amberlight/{INSTALL}*", f"{NAME}@amberlight/{INSTALL}*"):
        with contextlib.suppress(Windows.pywintypes.error):  # there is none
            found |= {each["TargetName"]: each for each in Windows.win32cred.CredEnumerate(start, 0)}
    return found


@pytest.fixture
def vault() -> Iterator[WindowsVault]:
    made = wrap(WinVaultKeyring())
    assert isinstance(made, WindowsVault)
    yield made
    for target in entries():
        made._delete(target)


def test_it_is_the_one_that_is_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]) -> None:
    """On Windows there is no other."""

    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert isinstance(vaults.choose(), WindowsVault)


def test_the_longest_entry(vault: WindowsVault) -> None:
    """1,280 characters, whatever they are; ours stay below. One more is refused, and the old value stays.

    Wine's Credential Manager has no limit.
    """

    service = f"amberlight/{INSTALL}/limit"
    for text in ("x" * 1280, "ä" * 1280, "x" * WINDOWS_LIMIT):
        vault.set(service, NAME, text)
        assert text == vault.get(service, NAME)
    if in_wine():
        return
    with pytest.raises(Windows.pywintypes.error) as caught:
        vault.set(service, NAME, "y" * 1281)
    assert 1783 == caught.value.winerror
    assert "x" * WINDOWS_LIMIT == vault.get(service, NAME)


def in_wine() -> bool:
    return sys.platform == "win32" and hasattr(ctypes.WinDLL("ntdll.dll"), "wine_get_version")


def test_entries_stay_on_this_machine(vault: WindowsVault) -> None:
    """CRED_PERSIST_LOCAL_MACHINE: they don't roam with the profile."""

    vault.set(f"amberlight/{INSTALL}/x", NAME, "value")
    (entry,) = entries().values()
    assert (2, NAME) == (entry["Persist"], entry["UserName"])


def test_the_library_keeps_what_is_overwritten_and_this_vault_does_not(vault: WindowsVault) -> None:
    """The reason for calls of our own; what an older Amberlight left is deleted with the next write."""

    service = f"amberlight/{INSTALL}/slot"
    library = WinVaultKeyring()
    for value in ("old token", "new token"):
        library.set_password(service, NAME, value)
    assert {service, f"{NAME}@{service}"} == entries().keys()
    assert "new token" == vault.get(service, NAME)
    vault.set(service, NAME, "newest token")
    assert {service} == entries().keys()
    assert "newest token" == library.get_password(service, NAME)


@pytest.mark.parametrize("size", [100, 2500, 9000])
def test_a_login_and_a_client_of_every_length(vault: WindowsVault, size: int) -> None:
    """Written, read by another process's store, and deleted without a trace."""

    store, service = LoginStore(INSTALL), f"amberlight/{INSTALL}/{NAME}/client"
    for generation in (1, 2, 3):
        store.write(vault, NAME, login(generation, size=size), candidate=False)
        assert login(generation, size=size) == LoginStore(INSTALL).load(vault, NAME).login
    text = login(1, size=size).refresh_token
    write_entry(vault, service, NAME, text)
    assert text == read_entry(vault, service, NAME)
    assert not [target for target in entries() if "@" in target]
    store.erase(vault, NAME)
    erase_entry(vault, service, NAME)
    assert {} == entries()


def killed(act: str, step: int) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, INSTALL, act, str(step)]
    return subprocess.run(command, env=environment, timeout=LIMIT, check=False).returncode


def steps_of(act: Callable[[WindowsVault], None]) -> int:
    """How many steps it has, counted while it is done here: two for each call that changes something."""
    vault = wrap(WinVaultKeyring())
    assert isinstance(vault, WindowsVault)
    steps = 0

    def counted(call: Callable[..., None]) -> Callable[..., None]:
        def work(*arguments: str) -> None:
            nonlocal steps
            steps += 2
            call(*arguments)

        return work

    for name in ("set", "delete"):
        setattr(vault, name, counted(getattr(vault, name)))
    act(vault)
    return steps


def tried(steps: int) -> list[int]:
    """The steps to be killed at: all, or the first, the last and some between."""
    if steps <= KILLS:
        return list(range(steps))
    return sorted({round(number * (steps - 1) / (KILLS - 1)) for number in range(KILLS)})


@pytest.mark.parametrize("what", ["rotation", "candidate", "accept"])
def test_a_kill_at_any_step_leaves_a_valid_login(vault: WindowsVault, what: str) -> None:
    """Before and after every write and deletion: what is loaded is the old login or the new one, whole."""

    old, new = login(2, size=2500), login(3, size=2500, lineage=what)
    act = f"store.write(vault, {NAME!r}, login(3, size=2500, lineage={what!r}), candidate={what == 'candidate'})"

    def prepared() -> LoginStore:
        store = LoginStore(INSTALL)
        store.erase(vault, NAME)
        store.write(vault, NAME, login(1, size=2500), candidate=False)
        store.write(vault, NAME, old, candidate=False)
        if what == "accept":
            store.write(vault, NAME, new, candidate=True)
        return LoginStore(INSTALL)

    store = prepared()
    steps = steps_of(lambda counting: store.write(counting, NAME, new, candidate=what == "candidate"))
    whole = LoginStore(INSTALL).load(vault, NAME)
    found: list[StoredLogin] = []
    for step in tried(steps):
        prepared()
        assert KILLED == killed(act, step)
        found.append(LoginStore(INSTALL).load(vault, NAME))
    assert min(steps, KILLS) == len(found) > 1
    assert all(each.login in (old, new) for each in found)
    assert (StoredLogin(old, new) if what == "accept" else StoredLogin(old)) == found[0]
    assert (StoredLogin(old, new) if what == "candidate" else StoredLogin(new)) == found[-1] == whole
    prepared()
    assert 0 == killed(act, steps), "there is no step after the last one"


def test_a_kill_of_a_sign_out_brings_nothing_old_back(vault: WindowsVault) -> None:
    """What is left is the newest login or none; repeated, it leaves nothing."""

    newest = login(4, size=100)

    def prepared() -> LoginStore:
        store = LoginStore(INSTALL)
        for generation in range(1, 5):
            store.write(vault, NAME, login(generation, size=100), candidate=False)
        return LoginStore(INSTALL)

    store = prepared()
    steps = steps_of(lambda counting: store.erase(counting, NAME))
    assert {} == entries()
    for step in tried(steps):
        prepared()
        assert KILLED == killed(f"store.erase(vault, {NAME!r})", step)
        held = LoginStore(INSTALL).load(vault, NAME).login
        assert held is None or held.generation >= newest.generation - 1
        LoginStore(INSTALL).erase(vault, NAME)
        assert {} == entries()
