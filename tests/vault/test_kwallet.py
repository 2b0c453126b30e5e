"""The real KWallet as Secret Service, without a display: opened by the login, closed, and started when it is needed.

It is large with its libraries, so the test command does not install it; without it these tests are skipped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jeepney import DBusAddress, message_bus, new_method_call  # type: ignore[import-untyped]
from jeepney.io.blocking import open_dbus_connection  # type: ignore[import-untyped]

from tests.vault.secret_service import SecretService, wait_for
from trayapp.vault import kwallet, secret_connection
from trayapp.vault.keystore import Keystore
from trayapp.vault.secret_service_vault import SecretServiceVault
from trayapp.vault.unlock_watcher import watch

pytestmark = [
    pytest.mark.desktop,
    pytest.mark.linux("KWallet is Linux's"),
    pytest.mark.skipif(not shutil.which("kwalletd5"), reason="kwalletd5 is not installed"),
]

WALLET = "kdewallet"
HASH = bytes(range(56))  # what the login makes of the person's password


class KWallet:
    """The real daemon on the session bus of a test."""

    def __init__(self, bus: SecretService) -> None:
        self.bus = bus
        self.start()

    def start(self) -> None:
        self._process = self.bus._spawn("kwalletd5")
        assert self._process.stdin is not None
        self._process.stdin.close()
        wait_for(self.bus.has_owner, "KWallet")

    def call(self, member: str, signature: str = "", *body: object) -> object:
        """A method of KWallet's own interface."""
        address = DBusAddress("/modules/kwalletd5", "org.kde.kwalletd5", "org.kde.KWallet")
        with open_dbus_connection(self.bus.env["DBUS_SESSION_BUS_ADDRESS"]) as connection:
            return connection.send_and_get_reply(new_method_call(address, member, signature or None, body)).body

    def open(self) -> None:
        """Open the wallet, or create it, as the login does (pam_kwallet): the Secret Service says nothing of it."""
        self.call("pamOpen", "sayi", WALLET, HASH, 0)
        assert (True,) == self.call("isOpen", "s", WALLET)

    def close(self) -> None:
        """Close the wallet, as KDE does when the session ends or the person wants it."""
        self.call("closeAllWallets")

    def restart(self) -> None:
        self.end()
        self.start()

    def end(self) -> None:
        """End the daemon, whoever started it."""
        with open_dbus_connection(self.bus.env["DBUS_SESSION_BUS_ADDRESS"]) as connection:
            asked = new_method_call(message_bus, "GetConnectionUnixProcessID", "s", ("org.kde.kwalletd5",))
            pid = connection.send_and_get_reply(asked).body[0]
        os.kill(pid, signal.SIGTERM)
        if pid == self._process.pid:
            self._process.wait(10)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the end of KWallet")


@pytest.fixture
def kde(bus: SecretService, monkeypatch: pytest.MonkeyPatch) -> Iterator[KWallet]:
    """KWallet with a closed wallet, in a session of KDE's."""
    session = {"XDG_CURRENT_DESKTOP": "KDE", "QT_QPA_PLATFORM": "offscreen", "XDG_DATA_DIRS": "/usr/share"}
    for name, value in session.items():
        monkeypatch.setenv(name, value)
    bus.env |= session
    daemon = KWallet(bus)
    daemon.open()
    daemon.restart()  # it offers a wallet only if that existed when it started
    yield daemon
    daemon.end()


@pytest.fixture
def vault(kde: KWallet) -> Iterator[SecretServiceVault]:
    made = SecretServiceVault()
    yield made
    made.close()


def test_a_wallet_that_the_login_opened_is_open(kde: KWallet, vault: SecretServiceVault) -> None:
    """KWallet's Secret Service calls it locked until somebody unlocks it, which asks for nothing then."""

    assert vault.locked()
    kde.open()
    assert not vault.locked()
    vault.set("amberlight/test", "mail", "secret")
    assert "secret" == vault.get("amberlight/test", "mail")


def test_an_open_wallet_is_read_and_written_without_looking_first(kde: KWallet, vault: SecretServiceVault) -> None:
    """Also after it was closed and opened again in the same session."""

    for value in ("first", "second"):
        kde.open()
        vault.set("amberlight/test", "mail", value)
        kde.close()
        assert vault.locked()
    kde.open()
    assert "second" == vault.get("amberlight/test", "mail")


def test_a_wallet_whose_owner_wants_to_be_asked_stays_locked(kde: KWallet, vault: SecretServiceVault) -> None:
    """KDE's setting "prompt when an application accesses an open wallet": that dialog needs a person's click here too."""

    file = Path(kde.bus.env["XDG_CONFIG_HOME"], "kwalletrc")
    file.write_text("[Wallet]\nPrompt on Open=true\n")
    kde.restart()
    kde.open()
    assert vault.locked()
    file.write_text("[Wallet]\nPrompt on Open=false\n")
    kde.restart()
    kde.open()
    assert not vault.locked()


def test_a_dialog_after_all_is_shown_once(
    kde: KWallet, vault: SecretServiceVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KWallet still runs with the setting that its file no longer has."""

    monkeypatch.setattr(secret_connection, "SILENT_LIMIT", 0.5)
    file = Path(kde.bus.env["XDG_CONFIG_HOME"], "kwalletrc")
    file.write_text("[Wallet]\nPrompt on Open=true\n")
    kde.restart()
    file.unlink()
    kde.open()
    assert vault.locked()
    began = time.monotonic()
    assert vault.locked()
    assert time.monotonic() - began < 0.4


async def test_the_opening_of_the_wallet_is_heard(kde: KWallet) -> None:
    """At a login the wallet opens when Amberlight runs already."""

    heard: list[None] = []
    task = asyncio.create_task(watch(lambda: heard.append(None)))
    await asyncio.sleep(0.2)  # until it has connected
    await asyncio.to_thread(kde.open)
    await until(lambda: heard)
    task.cancel()


async def test_kwallet_is_started_in_a_session_of_kde(kde: KWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bus knows KWallet by its own name, not as Secret Service; at most one start is asked for in a minute."""

    monkeypatch.setattr(kwallet, "_asked_at", float("-inf"))
    kde.end()
    offer(kde.bus)
    assert "unavailable" == await status_of_a_new_keystore("GNOME", monkeypatch)
    assert "locked" == await status_of_a_new_keystore("KDE", monkeypatch)
    kde.end()
    assert "unavailable" == await status_of_a_new_keystore("KDE", monkeypatch)
    monkeypatch.setattr(kwallet, "_asked_at", float("-inf"))
    assert "locked" == await status_of_a_new_keystore("KDE", monkeypatch)


async def status_of_a_new_keystore(desktop: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", desktop)
    keystore = Keystore("0123456789abcdef")
    try:
        return str(await keystore.status())
    finally:
        await keystore.close()


def offer(bus: SecretService) -> None:
    """Let the bus start KWallet by the name that its package gives it."""
    bus.services.joinpath("kwalletd5.service").write_text(
        "[D-BUS Service]\nName=org.kde.kwalletd5\nExec=/usr/bin/kwalletd5\n"
    )
    bus.end_bus()
    bus.start_bus()


async def until(holds: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_for, holds, "the news", 5.0)
