"""KeePassXC as the keyring: its question whether a program may read, a locked and a closed database, and no dialog unasked."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.keepassxc import PASSWORD, KeePassXC, missing
from tests.desktop.program import Program
from tests.desktop.screen import wait_for
from tests.vault.keyrings import login
from trayapp.core.model import Trouble
from trayapp.engine.ports import StoredLogin
from trayapp.oauthtest import Grant, OAuthServer
from trayapp.vault.keystore import Keystore
from trayapp.vault.secret_service_vault import SecretServiceVault

pytestmark = [
    pytest.mark.desktop,
    pytest.mark.oauth_server(access_token_lifetime=3600, grace=0),
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}"),
]


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    require_desk()
    with Desk(keyring_password=None, panel=False, notifications=False) as desk:
        yield desk


@pytest.fixture(scope="module")
def started(desk: Desk) -> KeePassXC:
    return KeePassXC(desk)


@pytest.fixture
def keepassxc(started: KeePassXC, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeePassXC]:
    """The program with its database open and empty; at the end no dialog is left."""
    for name in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY"):
        monkeypatch.setenv(name, started.desk.env[name])
    started.make_database()
    started.start()
    yield started
    left = started.dialogs()
    started.stop()
    assert [] == left


class Runs:
    """Runs of the app, each with a connection of its own: KeePassXC asks for each anew whether it may read."""

    def __init__(self, *, encrypted: bool) -> None:
        self._encrypted = encrypted
        self._made: list[Keystore] = []

    def next(self) -> Keystore:
        self._made.append(Keystore("inst", lambda: SecretServiceVault(encrypted=self._encrypted)))
        return self._made[-1]

    async def close(self) -> None:
        for keystore in self._made:
            await keystore.close()


@pytest_asyncio.fixture(params=[False, True], ids=["plain", "encrypted"])
async def runs(request: pytest.FixtureRequest) -> AsyncIterator[Runs]:
    made = Runs(encrypted=request.param)
    yield made
    await made.close()


async def with_dialog(keepassxc: KeePassXC, work: Awaitable[object], key: str, text: str = "") -> object:
    """The result of a call that waits for a dialog, which is answered by a text and a key."""
    task = asyncio.ensure_future(work)
    await asyncio.to_thread(keepassxc.answer, key, text=text)
    return await asyncio.wait_for(task, 10)


async def test_logins_are_kept_and_rotated_without_a_dialog(keepassxc: KeePassXC, runs: Runs) -> None:
    """KeePassXC lets a program read what it wrote itself; a second write of an entry leaves one entry."""

    keystore = runs.next()
    assert await keystore.status() is None
    for generation in (1, 2, 3):
        assert await keystore.probe("gh") is None
        assert await keystore.store("gh", login(generation)) is None
    assert StoredLogin(login(3)) == await keystore.load("gh")
    assert await keystore.holds("gh", login(3)) is True
    assert [] == keepassxc.dialogs()
    await asyncio.to_thread(wait_for, lambda: keepassxc.entries() == 3, "the two slots and the probe in the file")


async def test_the_next_run_may_read_after_one_click(keepassxc: KeePassXC, runs: Runs) -> None:
    """Locked, and no dialog, until a person asks; then one dialog for all logins, and none for what follows."""

    before = runs.next()
    for name in ("gh", "notes"):
        for generation in (1, 2):
            assert await before.store(name, login(generation)) is None
    assert await before.probe("gh") is None
    await before.close()

    keystore = runs.next()
    assert Trouble.LOCKED is await keystore.load("gh")
    assert Trouble.LOCKED is await keystore.probe("gh")
    assert Trouble.LOCKED is await keystore.holds("gh", login(2))
    assert [] == keepassxc.dialogs()
    assert StoredLogin(login(2)) == await with_dialog(keepassxc, keystore.load("gh", prompt=True), "Return")
    assert StoredLogin(login(2)) == await keystore.load("notes")
    assert await keystore.probe("gh") is None
    assert await keystore.store("gh", login(3)) is None
    assert StoredLogin(login(3)) == await keystore.load("gh")
    assert [] == keepassxc.dialogs()


@pytest.mark.parametrize("runs", [True], indirect=True, ids=["encrypted"])
async def test_a_denied_access_is_not_asked_for_again(keepassxc: KeePassXC, runs: Runs) -> None:
    """The person closed the dialog: locked, until the next click."""

    before = runs.next()
    assert await before.store("gh", login(1)) is None
    await before.close()
    keystore = runs.next()
    assert Trouble.LOCKED is await with_dialog(keepassxc, keystore.load("gh", prompt=True), "Escape")
    assert Trouble.LOCKED is await keystore.load("gh")
    assert [] == keepassxc.dialogs()
    assert StoredLogin(login(1)) == await with_dialog(keepassxc, keystore.load("gh", prompt=True), "Return")


@pytest.mark.parametrize("runs", [True], indirect=True, ids=["encrypted"])
async def test_a_locked_database(keepassxc: KeePassXC, runs: Runs) -> None:
    """No dialog for it unasked; its unlocking is heard, and the login is there."""

    keystore = runs.next()
    assert await keystore.store("gh", login(1)) is None
    heard = asyncio.Event()
    watching = asyncio.create_task(keystore.watch(heard.set))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(keepassxc.lock)
    for answer in (
        await keystore.status(),
        await keystore.load("gh"),
        await keystore.probe("gh"),
        await keystore.store("gh", login(2)),
        await keystore.holds("gh", login(1)),
    ):
        assert Trouble.LOCKED is answer
    assert [] == keepassxc.dialogs()
    heard.clear()
    await asyncio.to_thread(keepassxc.open)
    await asyncio.wait_for(heard.wait(), 5)
    assert StoredLogin(login(1)) == await keystore.load("gh")
    assert await keystore.store("gh", login(2)) is None
    watching.cancel()


@pytest.mark.parametrize("runs", [True], indirect=True, ids=["encrypted"])
async def test_a_click_unlocks_the_database(keepassxc: KeePassXC, runs: Runs) -> None:
    """KeePassXC's own dialog for its password."""

    keystore = runs.next()
    assert await keystore.store("gh", login(1)) is None
    await asyncio.to_thread(keepassxc.lock)
    load = keystore.load("gh", prompt=True)
    assert StoredLogin(login(1)) == await with_dialog(keepassxc, load, "Return", PASSWORD)


async def test_a_closed_database_is_neither_locked_nor_empty(keepassxc: KeePassXC, runs: Runs) -> None:
    """KeePassXC would ask for a password to search in nothing: it isn't searched. Opened again, the login is there."""

    keystore = runs.next()
    assert await keystore.store("gh", login(1)) is None
    heard = asyncio.Event()
    watching = asyncio.create_task(keystore.watch(heard.set))
    await asyncio.to_thread(wait_for, lambda: keepassxc.entries() == 1, "the saved file")  # otherwise closing it asks
    await asyncio.to_thread(keepassxc.close)
    for answer in (
        await keystore.load("gh"),
        await keystore.status(),
        await keystore.probe("gh"),
        await keystore.store("gh", login(2)),
        await keystore.holds("gh", login(1)),
    ):
        assert Trouble.NO_COLLECTION is answer
    assert "no default collection" in await keystore.describe()
    assert [] == keepassxc.dialogs()
    heard.clear()
    await asyncio.to_thread(keepassxc.open)
    await asyncio.wait_for(heard.wait(), 5)
    assert StoredLogin(login(1)) == await keystore.load("gh")
    watching.cancel()


async def test_it_takes_the_place_of_gnome_keyring(
    keepassxc: KeePassXC, tmp_path: Path, server: OAuthServer, grant: Grant
) -> None:
    """The whole app: its logins go from memory into the database, without a dialog and without a sign-in."""

    desk = keepassxc.desk
    keepassxc.stop()
    desk.keyring_password = "correct horse"
    desk.start_keyring()
    program = Program(desk, tmp_path, server, "--no-tray")
    await asyncio.to_thread(program.sign_in, grant)
    with program:
        program.until_is("running", "ok")
        desk.stop_keyring()
        shutil.rmtree(desk.root / "data/keyrings")
        keepassxc.start()
        try:
            wait_for(lambda: keepassxc.entries() == 1, "the login in the database", 30)
        except AssertionError:
            raise AssertionError(program.log()) from None
        program.until_is("running", "ok")
        assert [] == keepassxc.dialogs()
        assert 0 == program.quit(), program.tail()
    with program:
        program.until_is("starting", "keyring_locked")
        assert [] == keepassxc.dialogs()
        program.client().post(program.name, "retry")
        keepassxc.answer("Return")
        program.until_is("running", "ok")
        assert server.valid_access(program.token())
        assert 0 == server.count("authorize")
