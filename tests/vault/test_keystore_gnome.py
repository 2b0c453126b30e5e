"""Keystore on a real gnome-keyring: rotation, locks without a dialog, restarts, and no service at all."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.vault.keyrings import CANARY, login
from tests.vault.secret_service import SecretService, secret_service, wait_for
from trayapp.core.model import Trouble
from trayapp.engine.ports import StoredLogin
from trayapp.vault import unlock_watcher
from trayapp.vault.keystore import Keystore
from trayapp.vault.unlock_watcher import watch

pytestmark = [pytest.mark.desktop, pytest.mark.linux("the Secret Service is Linux's")]


@pytest.fixture
def service() -> Iterator[SecretService]:
    """A running, unlocked gnome-keyring. A short path: a socket's may have 107 characters only."""
    with tempfile.TemporaryDirectory(prefix="ss-") as root, secret_service(Path(root)) as running:
        running.up()
        yield running


@pytest.fixture
async def keystore() -> AsyncIterator[Keystore]:
    """The keystore as the app makes it."""
    made = Keystore("inst")
    yield made
    await made.close()


async def test_logins_are_kept_and_rotated(service: SecretService, keystore: Keystore) -> None:
    """Three rotations, a long login and a candidate; another run reads the newest; removal leaves nothing."""

    assert await keystore.status() is None
    assert await keystore.describe() == "Secret Service"
    assert StoredLogin(None) == await keystore.load("gh")
    assert await keystore.probe("gh") is None
    for generation in (1, 2, 3):
        assert await keystore.store("gh", login(generation, size=20_000)) is None
    assert await keystore.store_candidate("gh", login(4, lineage="new")) is None

    other = Keystore("inst")
    assert StoredLogin(login(3, size=20_000), login(4, lineage="new")) == await other.load("gh")
    assert await other.store("gh", login(4, lineage="new")) is None
    assert await other.discard("gh") is None
    assert StoredLogin(None) == await other.load("gh")
    await other.close()


async def test_a_locked_keyring_is_reported_without_a_dialog(
    service: SecretService, keystore: Keystore, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a click no call goes to a locked collection; after the unlock everything is there."""

    await keystore.store("gh", login(1))
    service.lock()
    began = time.monotonic()
    assert Trouble.LOCKED is await keystore.load("gh")
    assert Trouble.LOCKED is await keystore.probe("gh")
    assert Trouble.LOCKED is await keystore.store("gh", login(2))
    assert Trouble.LOCKED is await keystore.status()
    assert time.monotonic() - began < 1.0
    assert "locked" in await keystore.describe()

    service.unlock()
    assert StoredLogin(login(1)) == await keystore.load("gh")
    assert await keystore.store("gh", login(2)) is None
    assert CANARY not in caplog.text


async def test_a_dialog_that_cannot_come_up_is_a_lock_too(service: SecretService, keystore: Keystore) -> None:
    """After a click the unlock is requested; without a display that fails, once, and raises nothing."""

    await keystore.store("gh", login(1))
    service.lock()

    assert Trouble.LOCKED is await keystore.load("gh", prompt=True)
    assert Trouble.LOCKED is await keystore.load("gh")
    service.unlock()
    assert StoredLogin(login(1)) == await keystore.load("gh")


async def test_unlocking_calls_on_up(service: SecretService, keystore: Keystore) -> None:
    """The watcher hears the unlock and the service's return, not the lock; and it can be cancelled."""

    heard = asyncio.Event()
    watching = asyncio.create_task(keystore.watch(heard.set))
    await _listening()
    service.lock()
    await asyncio.sleep(0.2)
    assert not heard.is_set()

    service.unlock()
    await asyncio.wait_for(heard.wait(), 5)
    heard.clear()
    await asyncio.to_thread(service.down)
    await asyncio.sleep(0.1)
    assert not heard.is_set()
    await asyncio.to_thread(service.up)
    await asyncio.wait_for(heard.wait(), 5)

    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def _listening() -> None:
    await asyncio.sleep(0.2)  # until the match rules are with the bus


async def test_a_restarted_daemon_gets_a_new_session(service: SecretService, keystore: Keystore) -> None:
    """The new daemon doesn't know the open connection's session; the call succeeds nevertheless."""

    await keystore.store("gh", login(1))
    await asyncio.to_thread(service.down)
    await asyncio.to_thread(service.up)

    assert await keystore.store("gh", login(2)) is None
    assert StoredLogin(login(2)) == await keystore.load("gh")


async def test_a_service_that_comes_later_is_found(service: SecretService, keystore: Keystore) -> None:
    """No Secret Service is UNAVAILABLE, asked anew each time, and healed by its arrival."""

    await asyncio.to_thread(service.down)
    assert Trouble.UNAVAILABLE is await keystore.load("gh")
    assert Trouble.UNAVAILABLE is await keystore.probe("gh")
    assert "No keyring was found" in await keystore.describe()

    await asyncio.to_thread(service.up)
    assert StoredLogin(None) == await keystore.load("gh")
    assert await keystore.store("gh", login(1)) is None


async def test_a_service_that_goes_is_unavailable(service: SecretService, keystore: Keystore) -> None:
    """A daemon that ends under a kept connection is no error of ours."""

    await keystore.store("gh", login(1))
    await asyncio.to_thread(service.down)

    assert Trouble.UNAVAILABLE is await keystore.load("gh")
    assert Trouble.UNAVAILABLE is await keystore.store("gh", login(2))


@pytest.mark.parametrize("address", [None, "unix:path=/nonexistent/bus", "nonsense"])
async def test_without_a_session_bus_there_is_no_keyring(
    keystore: Keystore, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    """No bus, or a wrong address: UNAVAILABLE, and the watcher keeps looking for one."""

    monkeypatch.setenv("XDG_RUNTIME_DIR", "/nonexistent")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if address is not None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)

    assert Trouble.UNAVAILABLE is await keystore.load("gh")
    assert "No keyring was found" in await keystore.describe()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch(lambda: None), 0.2)


async def test_a_keyring_that_returns_with_another_bus(
    service: SecretService, keystore: Keystore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session bus restarts, and with it the daemon: its later unlock is heard as before."""

    monkeypatch.setattr(unlock_watcher, "RETRY_FIRST", 0.02)
    await keystore.store("gh", login(1))
    heard = asyncio.Event()
    watching = asyncio.create_task(keystore.watch(heard.set))
    await _listening()
    await asyncio.to_thread(service.end_bus)
    assert Trouble.UNAVAILABLE is await keystore.load("gh")
    await asyncio.to_thread(service.start_bus)
    await asyncio.wait_for(heard.wait(), 5)
    heard.clear()
    await asyncio.to_thread(service.up)
    await asyncio.wait_for(heard.wait(), 5)
    assert StoredLogin(login(1)) == await keystore.load("gh")

    service.lock()
    await asyncio.sleep(0.2)
    heard.clear()
    service.unlock()
    await asyncio.wait_for(heard.wait(), 5)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_writing_is_no_news(service: SecretService, keystore: Keystore) -> None:
    """The watcher does not take our own writes for a change of the keyring."""

    heard: list[None] = []
    watching = asyncio.create_task(keystore.watch(lambda: heard.append(None)))
    await _listening()
    for generation in (1, 2, 3):
        await keystore.store("gh", login(generation))
    await keystore.discard("gh")
    await asyncio.sleep(0.3)
    assert [] == heard
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


CHILD = """
import asyncio, os, signal, sys
from trayapp.vault import vaults
from trayapp.vault.login_store import LoginStore
from tests.vault.keyrings import login

left = int(sys.argv[1])

def step(*_):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1

vault = vaults.choose()
real_get, real_set = vault.get, vault.set

def get(*a):
    step()
    return real_get(*a)

def put(*a):
    step()
    real_set(*a)
    step()

vault.get, vault.set = get, put
LoginStore("inst").write(vault, "gh", login(10 + int(sys.argv[1]), size=1400), candidate=False)
vault.close()
"""


async def test_a_kill_at_any_step_leaves_a_valid_login(service: SecretService, keystore: Keystore) -> None:
    """SIGKILL at each step of a store against the real daemon: the old login or the new one, whole."""

    for generation in (1, 2):
        await keystore.store("gh", login(generation, size=1400))
    steps = ("read a", "read b", "before the write", "after it", "before the read-back")
    for at, generation in enumerate((2, 2, 2, 13, 14)):
        assert -9 == await asyncio.to_thread(_run_child, at), steps[at]
        assert StoredLogin(login(generation, size=1400)) == await _fresh_load("gh"), steps[at]
    assert 0 == await asyncio.to_thread(_run_child, 5)
    assert StoredLogin(login(15, size=1400)) == await keystore.load("gh")


async def _fresh_load(name: str) -> StoredLogin | Trouble:
    keystore = Keystore("inst")
    try:
        return await keystore.load(name)
    finally:
        await keystore.close()


def _run_child(at: int) -> int:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", CHILD, str(at)], env=env, check=False, timeout=30).returncode


async def test_no_connection_is_left_open(service: SecretService) -> None:
    """Many failures and a close leave no socket behind."""

    keystore = Keystore("inst")
    await keystore.store("gh", login(1))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        service.lock()
        assert Trouble.LOCKED is await keystore.load("gh")
        service.unlock()
        assert isinstance(await keystore.load("gh"), StoredLogin)
    assert before >= len(os.listdir("/proc/self/fd"))
    await keystore.close()
    wait_for(lambda: len(os.listdir("/proc/self/fd")) < before, "the sockets to be closed")
