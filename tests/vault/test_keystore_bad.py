"""Keyrings that keep misbehaving, under the keystore and under a whole engine: no good login is overwritten.

The slot rules under single faults are in test_keystore_faults.py. Here each fault lasts, as on a real machine, and the
question is what becomes of the login: it isn't shown as absent, isn't replaced, and is there again afterwards.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.engines import World, login_of, one, with_policy
from tests.vault.keyrings import FakeVault, login, mac, windows
from trayapp.core.model import Login, Secret, Trouble
from trayapp.core.presentation import Verb
from trayapp.engine.ports import StoredLogin
from trayapp.oauthtest import OAuthServer
from trayapp.storage.journal import Journal
from trayapp.vault.keystore import Keystore

BOTH = [pytest.param(windows, id="windows"), pytest.param(mac, id="mac")]
Make = Callable[[], FakeVault]
Open = Callable[..., Keystore]


@pytest.fixture
async def open_keystore() -> AsyncIterator[Open]:
    """Keystores that are closed at the end; each is what one run of the app has."""
    made: list[Keystore] = []

    def make(vault: FakeVault, hang_limit: float = 20.0) -> Keystore:
        made.append(Keystore("inst", lambda: vault, hang_limit=hang_limit))
        return made[-1]

    yield make
    for keystore in made:
        await keystore.close()


async def filled(keystore: Keystore, name: str, *logins: Login) -> None:
    for each in logins:
        assert await keystore.store(name, each) is None


def broken(what: str, suffix: str = "") -> Callable[[str, str], None]:
    """Every such call fails."""

    def fail(called: str, service: str) -> None:
        if called == what and service.endswith(suffix):
            raise OSError(5, "Input/output error")

    return fail


def well(vault: FakeVault) -> None:
    """The keyring works again."""
    fresh = FakeVault(vault.backend)
    vault.before, vault.after, vault.reading = fresh.before, fresh.after, fresh.reading


def entries(vault: FakeVault) -> dict[object, object]:
    """All that it holds but the probe, which is no login."""
    return {key: value for key, value in vault.backend.entries.items() if "probe" not in str(key)}


# --- the keystore ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", ["/a", "/b"])
@pytest.mark.parametrize("make", BOTH)
async def test_one_unreadable_slot_at_start_hides_and_costs_nothing(make: Make, slot: str, open_keystore: Open) -> None:
    """A fresh run gets trouble whichever slot fails, writes nothing, and afterwards finds the newest."""

    vault = make()
    await filled(open_keystore(vault), "gh", login(1), login(2))
    before, vault.before = entries(vault), broken("get", slot)
    keystore = open_keystore(vault)
    assert Trouble.FAILED is await keystore.load("gh")
    assert Trouble.FAILED is await keystore.store("gh", login(3))
    assert Trouble.FAILED is await keystore.store_candidate("gh", login(3))
    assert before == entries(vault)

    well(vault)
    assert StoredLogin(login(2)) == await keystore.load("gh")


@pytest.mark.parametrize("make", BOTH)
async def test_a_read_only_keyring_still_gives_what_it_has(make: Make, open_keystore: Open) -> None:
    """Reading works; the probe says so before anything is spent; nothing changes."""

    vault = make()
    await filled(open_keystore(vault), "gh", login(1), login(2, size=2500))
    before = entries(vault)
    vault.before = lambda what, service: None if what == "get" else broken(what)(what, service)
    keystore = open_keystore(vault)
    assert StoredLogin(login(2, size=2500)) == await keystore.load("gh")
    assert Trouble.FAILED is await keystore.probe("gh")
    assert Trouble.FAILED is await keystore.store("gh", login(3))
    assert Trouble.FAILED is await keystore.discard("gh")
    assert before == entries(vault)


@pytest.mark.parametrize("other", ["its other slot", "another workload's"])
@pytest.mark.parametrize("make", BOTH)
async def test_the_value_of_another_entry_is_no_login(make: Make, other: str, open_keystore: Open) -> None:
    """An older login, or somebody else's, under the newest one's name: found out, not sent, and not built upon."""

    vault = make()
    await filled(open_keystore(vault), "gh", login(1), login(2))
    await filled(open_keystore(vault), "xy", login(9, token="theirs"), login(10, token="theirs too"))
    before = entries(vault)
    of, name = ("gh", "gh/a") if other == "its other slot" else ("xy", "xy/b")
    wrong = vault.backend.get_password(f"amberlight/inst/{name}", of)
    assert wrong is not None
    vault.reading = lambda service, value: wrong if service.endswith("gh/b") else value
    keystore = open_keystore(vault)
    assert Trouble.FAILED is await keystore.load("gh")
    assert Trouble.FAILED is await keystore.store("gh", login(11))
    assert before == entries(vault)

    well(vault)
    assert StoredLogin(login(2)) == await keystore.load("gh")


async def test_a_login_that_does_not_name_its_place_is_read(open_keystore: Open) -> None:
    """Older entries do not; the next rotation does."""

    from trayapp.vault import slots

    vault = mac()
    (text,) = slots.encode(login(1), candidate=False, limit=None)
    vault.backend.set_password("amberlight/inst/gh/a", "gh", text)
    keystore = open_keystore(vault)
    assert StoredLogin(login(1)) == await keystore.load("gh")
    assert await keystore.store("gh", login(2)) is None
    assert StoredLogin(login(2)) == await open_keystore(vault).load("gh")


@pytest.mark.parametrize("make", BOTH)
async def test_a_keyring_that_says_yes_and_writes_nothing_keeps_the_old(make: Make, open_keystore: Open) -> None:
    """Each store is a failure, however often it is tried; the login before stays."""

    vault = make()
    await filled(open_keystore(vault), "gh", login(1), login(2))
    before, real = entries(vault), vault.set
    keystore = open_keystore(vault)
    vault.set = lambda service, user, value: None  # type: ignore[method-assign]
    for _ in range(2):
        assert Trouble.FAILED is await keystore.store("gh", login(3))
    assert before == entries(vault)
    assert StoredLogin(login(2)) == await keystore.load("gh")

    vault.set = real  # type: ignore[method-assign]
    assert await keystore.store("gh", login(3)) is None
    assert StoredLogin(login(3)) == await open_keystore(vault).load("gh")


# --- the whole engine ------------------------------------------------------------------------------------------------


class Held:
    """A keyring with the login of one workload, after a rotation, and what the server thinks of it."""

    def __init__(self, server: OAuthServer, vault: FakeVault) -> None:
        self.server = server
        self.vault = vault
        self.first = login_of(server)
        self.family = server.live_families()[-1]

    async def fill(self, keystore: Keystore) -> Held:
        old = replace(self.first, refresh_token=Secret("rt-spent-long-ago"))
        await filled(keystore, "one", old, replace(self.first, generation=2))
        self.vault.calls.clear()
        return self

    async def is_newest(self, keystore: Keystore) -> bool:
        """Whether a fresh run would find the token that the server will take."""
        found = await keystore.load("one")
        assert isinstance(found, StoredLogin), found
        assert found.login is not None
        return found.login.refresh_token.reveal() == self.server.current_refresh_token(self.family)


async def saved(world: World) -> None:
    await world.engine.keyring_up()
    await world.green()


BAD_STARTS = {
    "one slot unreadable": lambda vault: setattr(vault, "before", broken("get", "/b")),
    "the other slot unreadable": lambda vault: setattr(vault, "before", broken("get", "/a")),
    "read-only": lambda vault: setattr(vault, "before", broken("set")),
    "another entry": lambda vault: setattr(vault, "reading", _swapped(vault)),
}


def _swapped(vault: FakeVault) -> Callable[[str, str | None], str | None]:
    older = vault.backend.get_password("amberlight/inst/one/a", "one")
    return lambda service, value: older if service.endswith("one/b") else value


@pytest.mark.parametrize("bad", BAD_STARTS)
async def test_no_token_is_spent_on_a_keyring_that_is_bad_at_start(
    tmp_path: Path, bad: str, open_keystore: Open
) -> None:
    """Amber with the keyring as its reason, never signed out; nothing sent, nothing written; once it works, green automatically."""

    vault = mac()
    with OAuthServer() as server:
        held = await Held(server, vault).fill(open_keystore(vault))
        before = entries(vault)
        BAD_STARTS[bad](vault)
        async with one(server, tmp_path, keystore=open_keystore(vault)) as world:
            await world.becomes("auth_retrying keyring_unavailable")
            world.do(Verb.RETRY)
            await world.quiet()
            assert not any("unauthenticated" in word for word in world.seen["one"])
            assert 0 == server.count("token")
            assert before == entries(vault)
            well(vault)
            await saved(world)
        assert await held.is_newest(open_keystore(vault))


async def test_a_write_that_completes_after_its_time_out_is_found(tmp_path: Path, open_keystore: Open) -> None:
    """Served from memory and named meanwhile; when the write came through it is not done again, and nothing is lost."""

    vault, entered, go = mac(), threading.Event(), threading.Event()

    def stuck(what: str, service: str) -> None:
        if what == "set" and "/one/" in service and not entered.is_set():
            entered.set()
            assert go.wait(10)

    with OAuthServer() as server:
        held = await Held(server, vault).fill(open_keystore(vault))
        vault.before = stuck
        async with one(server, tmp_path, keystore=open_keystore(vault, 0.1)) as world:
            try:
                await world.becomes("running not_stored")
                assert entered.is_set()
            finally:
                go.set()
            await asyncio.sleep(0.02)
            await saved(world)
            assert ["one/a"] == [name for name in vault.written() if name != "probe"]
        assert await held.is_newest(open_keystore(vault))


async def test_a_keyring_that_hangs_holds_up_nothing_else(tmp_path: Path, open_keystore: Open) -> None:
    """From the start: amber and named, no token spent; the hung call comes back: green."""

    vault, go = mac(), threading.Event()
    with OAuthServer() as server:
        held = await Held(server, vault).fill(open_keystore(vault))
        vault.before = lambda what, service: _wait(go)
        async with one(server, tmp_path, keystore=open_keystore(vault, 0.1)) as world:
            try:
                await world.becomes("auth_retrying keyring_unavailable")
                assert 0 == server.count("token")
            finally:
                go.set()
            await asyncio.sleep(0.02)
            await saved(world)
        assert await held.is_newest(open_keystore(vault))


async def test_a_lying_keyring_costs_nothing_while_the_app_runs(tmp_path: Path, open_keystore: Open) -> None:
    """It reports success and keeps the old value: reported immediately, refreshed from memory, stored once possible."""

    vault = mac()
    with OAuthServer(access_token_lifetime=0.2) as server:
        held = await Held(server, vault).fill(open_keystore(vault))
        before, real = entries(vault), vault.set

        def lying(service: str, user: str, value: str) -> None:
            """The small entry that proves it writable is kept, a login is not."""
            if service.endswith("/probe"):
                real(service, user, value)

        vault.set = lying  # type: ignore[method-assign]
        async with one(server, tmp_path, with_policy(refresh_spacing=0.05), keystore=open_keystore(vault)) as world:
            await world.becomes("running not_stored")
            await world.until(lambda: server.count("token", outcome="ok") >= 3, "refreshes from memory")
            assert before == entries(vault)
            vault.set = real  # type: ignore[method-assign]
            server.access_token_lifetime = 3600.0
            await saved(world)
        assert await held.is_newest(open_keystore(vault))
        assert server.count("token") == server.count("token", outcome="ok")


async def test_a_keyring_that_keeps_nothing_is_found_out_before_a_token_is_spent(
    open_keystore: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """What the probe wrote is read back: a keyring that says yes and drops it would drop the next login too."""

    vault = mac()
    real = vault.set
    vault.set = lambda service, user, value: None  # type: ignore[method-assign]
    keystore = open_keystore(vault)
    assert Trouble.FAILED is await keystore.probe("gh")
    assert "The keyring doesn't keep what is written to it." in caplog.text
    vault.set = real  # type: ignore[method-assign]
    assert await keystore.probe("gh") is None


async def test_a_deleted_state_db_costs_nothing(tmp_path: Path, open_keystore: Open) -> None:
    """The keyring is the truth: deleted between two runs, or under a running one, the next refresh is as any other."""

    vault = mac()
    with OAuthServer() as server:
        held = await Held(server, vault).fill(open_keystore(vault))
        for _ in range(2):
            async with one(server, tmp_path, keystore=open_keystore(vault)) as world:
                await world.green()
                if sys.platform != "win32":  # nobody can delete a file there that a program has open
                    _lose(tmp_path)
                done = server.count("token")
                world.do(Verb.RETRY)
                assert await asyncio.to_thread(server.wait, "token", outcome="ok", times=done + 1)
                await world.green()
            _lose(tmp_path)
        assert await held.is_newest(open_keystore(vault))
        assert server.count("token") == server.count("token", outcome="ok")
        journal = Journal(tmp_path / "state.db")
        assert await journal.status() is None
        await journal.close()


def _wait(go: threading.Event) -> None:
    assert go.wait(10)


def _lose(directory: Path) -> None:
    for file in directory.glob("state.db*"):
        file.unlink()
