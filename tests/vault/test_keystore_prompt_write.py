"""Between the server's answer and the keyring: what a new login has to wait for. It exists nowhere else meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from tests.vault.keyrings import FakeVault, WindowsFake, login, mac, windows
from trayapp.core.model import Trouble
from trayapp.engine.ports import StoredLogin
from trayapp.vault.keystore import Keystore
from trayapp.vault.login_store import PREPARED_FOR

NAMES = [f"w{number}" for number in range(30)]


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def keystore() -> AsyncIterator[Keystore]:
    """The keystore as the app makes it."""
    made = Keystore("inst")
    yield made
    await made.close()


async def signed_in(vault: FakeVault, clock: Clock | None = None) -> Keystore:
    """A keystore with two logins in its slots, of which the second counts."""
    keystore = Keystore("inst", lambda: vault, clock=clock or Clock())
    for generation in (1, 2):
        assert await keystore.store("gh", login(generation)) is None
    return keystore


@pytest.mark.parametrize("make", [windows, mac])
async def test_after_a_probe_a_store_begins_with_the_write(make: Callable[[], FakeVault]) -> None:
    """Both slots were read before the token was spent."""

    vault = make()
    keystore = await signed_in(vault)
    assert await keystore.probe("gh") is None
    vault.calls.clear()
    assert await keystore.store("gh", login(3)) is None

    assert ("set", "amberlight/inst/gh/a") == vault.calls[0]
    assert StoredLogin(login(3)) == await keystore.load("gh")
    await keystore.close()


async def test_slots_that_were_read_too_long_ago_are_read_again() -> None:
    """An attempt may wait for the network in between, and a keyring may change."""

    vault, clock = mac(), Clock()
    keystore = await signed_in(vault, clock)
    assert await keystore.probe("gh") is None
    clock.now = PREPARED_FOR
    newer = Keystore("inst", lambda: mac(vault.backend))  # type: ignore[arg-type]
    assert await newer.store("gh", login(3, token="another")) is None

    assert await keystore.store("gh", login(4)) is None
    assert StoredLogin(login(4)) == await keystore.load("gh")
    assert login(3, token="another").refresh_token.reveal() in (vault.get("amberlight/inst/gh/a", "gh") or "")
    await newer.close()
    await keystore.close()


async def test_slots_are_read_again_once_they_were_written_or_the_keyring_failed() -> None:
    """What was read counts for one write, of this workload, in this keyring."""

    vault = mac()
    keystore = await signed_in(vault)

    async def first_call_of(generation: int) -> tuple[str, str]:
        vault.calls.clear()
        assert await keystore.store("gh", login(generation)) is None
        return vault.calls[0]

    assert await keystore.probe("gh") is None
    assert await keystore.store_candidate("gh", login(3, lineage="new")) is None
    assert ("get", "amberlight/inst/gh/a") == await first_call_of(4)

    assert await keystore.probe("gh") is None
    vault.before = broken
    assert Trouble.FAILED is await keystore.load("other")
    vault.before = lambda what, service: None
    assert ("get", "amberlight/inst/gh/a") == await first_call_of(5)

    assert await keystore.probe("gh") is None
    assert await keystore.discard("gh") is None
    assert ("get", "amberlight/inst/gh/a") == await first_call_of(6)
    await keystore.close()


def broken(what: str, service: str) -> None:
    raise OSError("broken")


async def test_no_token_is_spent_whose_successor_could_not_be_stored() -> None:
    """A slot that a newer version wrote must not be overwritten: the probe says so, not the store."""

    vault = mac()
    keystore = await signed_in(vault)
    vault.set("amberlight/inst/gh/a", "gh", '{"v": 99}')

    assert Trouble.FAILED is await keystore.probe("gh")
    assert await keystore.probe("another") is None
    await keystore.close()


async def test_a_keyring_exchanged_between_probe_and_store_still_gets_the_login() -> None:
    """All of it: parts that the other keyring had and this one lacks are noticed when they are read back."""

    vault = windows()
    keystore = await signed_in(vault)
    candidate = login(3, size=2500, lineage="new")
    assert await keystore.store_candidate("gh", candidate) is None
    assert await keystore.probe("gh") is None
    vault.backend = WindowsFake()

    accepted = replace(candidate, generation=4)
    assert Trouble.FAILED is await keystore.store("gh", accepted)
    assert await keystore.store("gh", accepted) is None
    assert StoredLogin(accepted) == await keystore.load("gh")
    await keystore.close()


async def test_a_login_is_written_before_what_only_reads() -> None:
    """At most the call that is being made is waited for, however many workloads are being loaded or probed."""

    vault, ends = mac(), list[str]()
    keystore = Keystore("inst", lambda: vault)
    assert await keystore.probe("gh") is None
    vault.calls.clear()
    vault.before = lambda what, service: time.sleep(0.005)

    async def noted(name: str) -> None:
        assert await keystore.store(name, login(1)) is None
        ends.append(name)

    reading = [asyncio.create_task(keystore.load(name)) for name in NAMES[:15]]
    reading += [asyncio.create_task(keystore.probe(name)) for name in NAMES[15:]]  # type: ignore[arg-type]
    await asyncio.sleep(0.012)
    await asyncio.gather(noted("gh"), noted("fresh"))
    calls = [service.split("/")[2] for _, service in vault.calls if service]

    assert ["gh", "fresh"] == ends
    assert len(set(calls[: calls.index("gh")])) < 8
    assert not any(isinstance(found, Trouble) for found in await asyncio.gather(*reading))
    await keystore.close()


async def test_a_deleted_login_stays_deleted_and_a_new_one_stays() -> None:
    """A write never overtakes a deletion."""

    vault = mac()
    keystore = await signed_in(vault)
    vault.before = lambda what, service: time.sleep(0.005)
    found = await asyncio.gather(
        keystore.load("other"), keystore.discard("gh"), keystore.store("gh", login(3)), keystore.load("gh")
    )
    assert StoredLogin(login(3)) == found[3]
    await keystore.close()
