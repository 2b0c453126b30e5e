"""Client records: across runs, in short entries, without a keyring, and never over one that couldn't be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.oauth.fake_web import AS, MCP
from tests.vault.keyrings import mac, windows
from trayapp.core.model import Secret, Trouble
from trayapp.oauth.address_class import AddressClass
from trayapp.oauth.client_store import ClientRecord, ClientRecords, from_text, to_text
from trayapp.oauth.discovery import DiscoveredServer
from trayapp.oauth.registration import RegisteredClient
from trayapp.vault.client_entry import erase_entry, read_entry, write_entry
from trayapp.vault.keystore import Keystore, MemoryKeystore

CLIENT = RegisteredClient(
    "c-1", Secret("client-canary"), "client_secret_basic", AS, True, "http://127.0.0.1:1/callback/x", ("a",)
)
RECORD = ClientRecord(CLIENT, Secret("own-canary"), AS, MCP, DiscoveredServer((AS,), MCP, ("a",), AddressClass.PUBLIC))
MANAGED = RegisteredClient(
    "m-1", method="none", issuer=AS, registered=True, redirect_uri="http://127.0.0.1:1/callback/x",
    manage_uri=f"{AS}/clients/m-1", manage_token=Secret("manage-canary"),
)  # fmt: skip
SERVICE = "amberlight/i/github/client"


class Store:
    """A client store that can fail."""

    def __init__(self) -> None:
        self.texts: dict[str, Secret] = {}
        self.trouble: Trouble | None = None

    async def load_client(self, name: str) -> Secret | Trouble | None:
        return self.trouble or self.texts.get(name)

    async def store_client(self, name: str, text: Secret) -> Trouble | None:
        if self.trouble is None:
            self.texts[name] = text
        return self.trouble

    async def discard_client(self, name: str) -> Trouble | None:
        self.texts.pop(name, None)
        return self.trouble


def test_a_client_record_round_trips() -> None:
    """All of it, or nothing at all; what makes no sense is left out."""

    doubted = ClientRecord(client=CLIENT, doubted=True, replaced=(MANAGED, CLIENT))
    for kept in (RECORD, ClientRecord(), ClientRecord(client=CLIENT), ClientRecord(secret=Secret("x")), doubted):
        assert kept == from_text(to_text(kept))
    for bad in (
        "",
        "[]",
        "{",
        "5",
        '{"client": 5, "secret": 5, "found": []}',
        '{"doubted": 1, "replaced": [5, {}]}',
        '{"replaced": 5}',
        '{"found": {"url": "x", "issuers": []}}',
    ):
        assert ClientRecord() == from_text(Secret(bad))
    assert "canary" not in repr(RECORD)


async def test_a_client_record_survives_a_restart() -> None:
    """And removal leaves nothing, but tells which client it was."""

    store = Store()
    assert await ClientRecords(store).save("github", RECORD) is None
    again = ClientRecords(store)
    assert RECORD == await again.load("github")
    assert (CLIENT,) == await again.forget("github")
    assert {} == store.texts
    assert ClientRecord() == await again.load("github")


async def test_without_a_keyring_a_client_record_lasts_for_this_run() -> None:
    """Nobody is asked twice to register."""

    for clients in (ClientRecords(), ClientRecords(MemoryKeystore())):
        await clients.save("github", RECORD)
        assert RECORD == await clients.load("github")
        await clients.drop_client("github")
        assert (None, RECORD.secret) == ((await clients.load("github")).client, (await clients.load("github")).secret)


async def test_what_cannot_be_read_is_not_written_over() -> None:
    """A locked keyring holds a person's secret: a registration made meanwhile must not take its place."""

    store = Store()
    await ClientRecords(store).set_secret("github", Secret("own-canary"))
    store.trouble = Trouble.LOCKED
    clients = ClientRecords(store)
    assert ClientRecord() == await clients.load("github")
    assert Trouble.LOCKED is await clients.save("github", ClientRecord(client=CLIENT))
    assert CLIENT == (await clients.load("github")).client  # for this run

    store.trouble = None
    assert Secret("own-canary") == (await ClientRecords(store).load("github")).secret


async def test_what_could_not_be_read_is_read_later() -> None:
    """Unlocked in the middle of a run: the secret counts at the next sign-in, beside what was made meanwhile, and both
    are in the keyring then. A locked one is not asked at every look, as that may be a dialog each time."""

    store = Store()
    await ClientRecords(store).set_secret("github", Secret("own-canary"))
    clients = ClientRecords(store)
    store.trouble = Trouble.LOCKED
    await clients.load("github")
    await clients.save("github", ClientRecord(client=CLIENT, url=MCP, discovered=RECORD.discovered))

    store.trouble = None
    assert (await clients.load("github")).secret is None
    await clients.save("github", ClientRecord(client=CLIENT, url=MCP, discovered=RECORD.discovered))
    assert Secret("own-canary") == (await ClientRecords(store).load("github")).secret
    kept = await clients.load("github", retry_unreadable=True)
    assert (CLIENT, Secret("own-canary"), RECORD.discovered) == (kept.client, kept.secret, kept.discovered)
    assert kept == await ClientRecords(store).load("github")


async def test_a_replaced_secret_is_bound_to_no_server_yet() -> None:
    """It may be used with another server; and it can be taken away."""

    clients = ClientRecords(Store())
    await clients.save("github", RECORD)
    await clients.set_secret("github", Secret("new"))
    kept = await clients.load("github")
    assert (Secret("new"), "", CLIENT) == (kept.secret, kept.secret_for, kept.client)
    await clients.set_secret("github", None)
    assert (await clients.load("github")).secret is None


@pytest.mark.parametrize("make", [windows, mac])
@pytest.mark.parametrize("size", [10, 1150, 5000])
def test_a_client_record_is_split_into_short_entries(make: Any, size: int) -> None:
    """A long text is split where it has to be, a shorter one leaves no piece of it behind, and erasing leaves nothing."""

    vault = make()
    for length in (size, 5, size):
        write_entry(vault, SERVICE, "github", text := Secret("x" * length))
        assert text == read_entry(vault, SERVICE, "github")
    write_entry(vault, SERVICE, "github", Secret("short"))
    assert vault.get(f"{SERVICE}/1", "github") is None
    erase_entry(vault, SERVICE, "github")
    erase_entry(vault, SERVICE, "github")
    assert read_entry(vault, SERVICE, "github") is None


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "{",
        "[]",
        "null",
        '{"v": 2}',
        '{"v": 1, "parts": 99, "sha256": ""}',
        '{"v":1,"parts":0,"sha256":"x","text":"y"}',
    ],
)
def test_a_damaged_client_record_counts_as_absent(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is said without a word of what is there, and written over."""

    vault = windows()
    write_entry(vault, SERVICE, "github", Secret("canary" * 500))
    vault.set(SERVICE, "github", damage or "canary")

    assert read_entry(vault, SERVICE, "github") is None
    assert "damaged" in caplog.text
    assert "canary" not in caplog.text


async def test_a_client_record_has_a_keyring_entry_of_its_own() -> None:
    """Beside the slots of the login, under a service of its own."""

    vault = mac()
    keystore = Keystore("i", lambda: vault)
    clients = ClientRecords(keystore)
    await clients.save("github", RECORD)
    assert vault.get(SERVICE, "github") is not None
    assert RECORD == await ClientRecords(keystore).load("github")
    await clients.forget("github")
    assert vault.get(SERVICE, "github") is None
    await keystore.close()


# --- registrations that were replaced ----------------------------------------------------------------------------------


def managed(number: int) -> RegisteredClient:
    return replace(MANAGED, id=f"m-{number}", manage_uri=f"{AS}/clients/m-{number}")


async def test_replaced_registrations_are_remembered_for_their_deletion() -> None:
    """The newest ones, in another run, too; one that can't be deleted at the server isn't kept."""

    store = Store()
    for client in (CLIENT, *map(managed, range(1, 8))):
        await ClientRecords(store).replace_client("github", client)
    kept = await ClientRecords(store).load("github")
    assert tuple(map(managed, range(3, 7))) == kept.replaced
    assert managed(7) == kept.client
    assert tuple(map(managed, range(3, 8))) == await ClientRecords(store).forget("github")


async def test_a_doubt_ends_with_another_registration_or_a_sign_in() -> None:
    """It is about one registration only."""

    clients = ClientRecords(Store())
    await clients.doubt_client("github")
    assert ClientRecord() == await clients.load("github")
    await clients.replace_client("github", managed(1))
    await clients.doubt_client("github", "m-0")
    assert not (await clients.load("github")).doubted
    await clients.doubt_client("github", "m-1")
    await clients.trust_client("github", "m-0")
    assert (await clients.load("github")).doubted
    await clients.trust_client("github", "m-1")
    assert not (await clients.load("github")).doubted
    await clients.doubt_client("github")
    await clients.replace_client("github", managed(2))
    assert not (await clients.load("github")).doubted
    await clients.drop_client("github")
    assert (None, (managed(1), managed(2))) == (
        (await clients.load("github")).client,
        (await clients.load("github")).replaced,
    )


async def test_registrations_of_a_keyring_that_could_not_be_read_are_remembered() -> None:
    """The one made meanwhile counts, and the earlier one is still deleted in the end."""

    store = Store()
    await ClientRecords(store).save("github", ClientRecord(managed(1), doubted=True, replaced=(managed(0),)))
    store.trouble = Trouble.LOCKED
    clients = ClientRecords(store)
    await clients.replace_client("github", managed(2))
    store.trouble = None
    kept = await clients.load("github", retry_unreadable=True)

    assert (managed(2), (managed(0), managed(1)), False) == (kept.client, kept.replaced, kept.doubted)
