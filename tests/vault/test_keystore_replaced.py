"""A keyring that is replaced by another one, or reset, while the program runs: the login is missed and written again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.vault.keyrings import FakeVault, MacFake, WindowsFake, login, mac, windows
from trayapp.core.model import Trouble
from trayapp.engine.ports import StoredLogin
from trayapp.vault import keystore as keystore_module
from trayapp.vault.keystore import Keystore


async def stored(vault: FakeVault, generations: int) -> Keystore:
    """A keystore that has written so many generations."""
    keystore = Keystore("inst", lambda: vault)
    for generation in range(1, generations + 1):
        assert await keystore.store("gh", login(generation)) is None
    return keystore


@pytest.mark.parametrize("generations", [1, 2, 5])
@pytest.mark.parametrize("make", [mac, windows])
async def test_an_empty_keyring_gets_the_login_again(make: Callable[[], FakeVault], generations: int) -> None:
    """The same login, which only this keyring lacks; a rotation continues above it."""

    vault = make()
    keystore, newest = await stored(vault, generations), login(generations)
    assert await keystore.holds("gh", newest) is True
    vault.backend.entries.clear()
    assert await keystore.holds("gh", newest) is False
    assert await keystore.store("gh", newest) is None
    assert await keystore.holds("gh", newest) is True
    assert StoredLogin(newest) == await keystore.load("gh")
    assert await keystore.store("gh", login(generations + 1)) is None
    await keystore.close()
    other = Keystore("inst", lambda: vault)
    assert StoredLogin(login(generations + 1)) == await other.load("gh")
    await other.close()


@pytest.mark.parametrize("copied_at", [1, 2, 3])
async def test_an_older_copy_gets_the_login_again(copied_at: int) -> None:
    """Restored from a backup: what it holds isn't overwritten, the newer login goes beside it."""

    vault = mac()
    assert isinstance(vault.backend, MacFake)
    keystore = await stored(vault, copied_at)
    copy = dict(vault.backend.entries)
    for generation in range(copied_at + 1, 5):
        assert await keystore.store("gh", login(generation)) is None
    vault.backend.entries = copy
    assert await keystore.holds("gh", login(4)) is False
    older = {text for text in copy.values() if f'"generation":{copied_at}' in text}
    assert await keystore.store("gh", login(4)) is None
    assert older <= set(vault.backend.entries.values())
    assert StoredLogin(login(4)) == await keystore.load("gh")
    await keystore.close()


async def test_a_newer_login_is_left_alone() -> None:
    """Another computer of the person wrote it, or a later run: it isn't missing."""

    vault = mac()
    keystore = await stored(vault, 2)
    other = Keystore("inst", lambda: vault)
    assert await other.store("gh", login(3)) is None
    assert await keystore.holds("gh", login(2)) is True
    assert Trouble.FAILED is await keystore.store("gh", login(2))
    for each in (keystore, other):
        await each.close()


async def test_another_login_of_the_same_generation_is_refused() -> None:
    """Only the very login that was lost may be written again."""

    vault = mac()
    keystore = await stored(vault, 2)
    vault.backend.entries.clear()
    assert Trouble.FAILED is await keystore.store("gh", login(2, token="other"))
    assert Trouble.FAILED is await keystore.store("gh", login(1))
    assert Trouble.FAILED is await keystore.store_candidate("gh", login(2))
    assert {} == vault.backend.entries
    await keystore.close()


async def test_what_was_read_before_a_refresh_does_not_hide_the_loss() -> None:
    """The slots that a probe read are those of the keyring of before."""

    vault = mac()
    keystore = await stored(vault, 2)
    assert await keystore.probe("gh") is None
    vault.backend.entries.clear()
    assert await keystore.holds("gh", login(2)) is False
    assert await keystore.store("gh", login(2)) is None
    assert StoredLogin(login(2)) == await keystore.load("gh")
    await keystore.close()


async def test_an_answer_that_denies_it_is_asked_for_twice() -> None:
    """A keyring that stumbles once has lost nothing."""

    vault = mac()
    keystore = await stored(vault, 2)
    lies = 2  # both slots
    real = vault.reading

    def once(service: str, value: str | None) -> str | None:
        nonlocal lies
        lies -= 1
        return None if lies >= 0 else real(service, value)

    vault.reading = once
    assert await keystore.holds("gh", login(2)) is True
    await keystore.close()


async def test_a_keyring_that_cannot_be_read_has_lost_nothing() -> None:
    """Trouble is no answer."""

    vault = mac()
    keystore = await stored(vault, 2)

    def refuse(what: str, service: str) -> None:
        raise PermissionError(13)

    vault.before = refuse
    assert Trouble.FAILED is await keystore.holds("gh", login(2))
    await keystore.close()


async def test_a_candidate_is_not_the_login() -> None:
    """A login that waits for agreement is none that a start would use."""

    vault = windows(WindowsFake())
    keystore = Keystore("inst", lambda: vault)
    assert await keystore.store_candidate("gh", login(1)) is None
    assert await keystore.holds("gh", login(1)) is False
    assert await keystore.holds("gh", replace(login(1), generation=0)) is False
    await keystore.close()


async def test_a_probe_notices_another_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing reports it: what the last probe wrote is gone. Once, and not for the keyring's own lapses."""

    async def silent(on_up: Callable[[], None]) -> None:
        """A system without signals."""

    monkeypatch.setattr(keystore_module, "watch", silent)
    now = 0.0
    vault, heard = mac(), list[None]()
    keystore = Keystore("inst", lambda: vault, clock=lambda: now)
    await keystore.watch(lambda: heard.append(None))
    for _ in range(3):
        now += 100.0
        assert await keystore.probe("gh") is None
    assert [] == heard
    vault.backend.entries.clear()
    for _ in range(3):
        now += 100.0
        assert await keystore.probe("gh") is None
    assert 1 == len(heard)
    await keystore.close()
