"""Keystore over fake keyrings: slot rules, troubles, hanging calls, and what must never be logged."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from tests.vault.keyrings import CANARY, FakeVault, MacFake, VaultError, WindowsFake, login, mac, windows
from trayapp.core.model import Login, Trouble
from trayapp.engine.ports import Keystore as KeystorePort
from trayapp.engine.ports import StoredLogin
from trayapp.vault.keystore import Keystore, MemoryKeystore, trouble_of
from trayapp.vault.login_store import Vault

BOTH = [pytest.param(windows, id="windows"), pytest.param(mac, id="mac")]
Make = Callable[[], FakeVault]


class Ticking:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def open_keystore() -> AsyncIterator[Callable[..., Keystore]]:
    """Keystores that are closed at the end."""
    made: list[Keystore] = []

    def make(vault: FakeVault | Callable[[], Vault], **options: float) -> Keystore:
        factory = vault if callable(vault) else lambda: vault
        made.append(Keystore("inst", factory, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for keystore in made:
        await keystore.close()


Open = Callable[..., Keystore]


@pytest.mark.parametrize("make", BOTH)
async def test_logins_take_turns_in_two_slots(make: Make, open_keystore: Open) -> None:
    """Each store goes to the other slot, and a new run reads the newest."""

    vault = make()
    keystore = open_keystore(vault)
    for generation in (1, 2, 3):
        assert await keystore.store("gh", login(generation, size=2500)) is None
    headers = [service for service in vault.written() if service.endswith(("/a", "/b"))]

    assert ["gh/a", "gh/b", "gh/a"] == headers
    assert StoredLogin(login(3, size=2500)) == await open_keystore(vault).load("gh")


@pytest.mark.parametrize("make", BOTH)
async def test_the_header_is_written_last_and_read_back(make: Make, open_keystore: Open) -> None:
    """The last write is the header, and a read of the whole slot follows it."""

    vault = make()
    await open_keystore(vault).store("gh", login(1, size=3000))
    sets = vault.written()
    after = vault.calls[max(at for at, (what, _) in enumerate(vault.calls) if what == "set") + 1 :]

    assert "gh/a" == sets[-1]
    assert ("get", "amberlight/inst/gh/a") in after
    assert (["gh/a/1", "gh/a/2", "gh/a/3"] if vault.limit else []) == sets[:-1]


@pytest.mark.parametrize("make", BOTH)
async def test_a_repetition_is_no_write_and_an_older_generation_is_refused(make: Make, open_keystore: Open) -> None:
    """A store is idempotent; a generation that is not new is a fault of ours and destroys nothing."""

    vault = make()
    keystore = open_keystore(vault)
    await keystore.store("gh", login(1))
    await keystore.store("gh", login(2))
    before = len(vault.written())

    assert await keystore.store("gh", login(2)) is None
    assert Trouble.FAILED is await keystore.store("gh", login(2, token="other"))
    assert Trouble.FAILED is await keystore.store("gh", login(1))
    assert before == len(vault.written())
    assert StoredLogin(login(2)) == await keystore.load("gh")


@pytest.mark.parametrize("make", BOTH)
async def test_a_candidate_is_ignored_until_it_is_accepted(make: Make, open_keystore: Open) -> None:
    """A new sign-in stands beside the login; accepting it writes one header and leaves the old login alone."""

    vault = make()
    keystore = open_keystore(vault)
    old, new = login(4), login(5, lineage="new", size=3000)
    await keystore.store("gh", old)
    assert await keystore.store_candidate("gh", new) is None
    assert StoredLogin(old, new) == await open_keystore(vault).load("gh")
    before = len(vault.written())

    assert await keystore.store("gh", new) is None
    assert ["gh/b"] == vault.written()[before:]
    assert StoredLogin(new) == await open_keystore(vault).load("gh")


async def test_a_candidate_may_be_accepted_under_a_later_generation(open_keystore: Open) -> None:
    """A rotation while a candidate waits takes its slot, never the login's; the candidate can be accepted afterwards."""

    vault = windows()
    keystore = open_keystore(vault)
    await keystore.store("gh", login(4))
    await keystore.store_candidate("gh", login(5, lineage="new"))
    assert await keystore.store("gh", login(5)) is None
    assert StoredLogin(login(5)) == await keystore.load("gh")

    accepted = replace(login(5, lineage="new"), generation=6)
    assert await keystore.store("gh", accepted) is None
    assert StoredLogin(accepted) == await keystore.load("gh")
    assert StoredLogin(accepted) == await open_keystore(vault).load("gh")


async def test_the_first_candidate_is_no_login(open_keystore: Open) -> None:
    """Before anything was accepted there is a candidate and no login; a second sign-in does not overwrite the first."""

    vault = mac()
    keystore = open_keystore(vault)
    await keystore.store_candidate("gh", login(1, token="one"))
    await keystore.store_candidate("gh", login(2, token="two"))

    assert StoredLogin(None, login(2, token="two")) == await keystore.load("gh")
    assert {"gh/a", "gh/b"} == set(vault.written())
    assert await keystore.store("gh", login(2, token="two")) is None
    assert StoredLogin(login(2, token="two")) == await keystore.load("gh")


@pytest.mark.parametrize("make", BOTH)
async def test_an_error_is_not_absence(make: Make, open_keystore: Open) -> None:
    """If one slot cannot be read there is no answer, whatever the other one holds; and nothing is written."""

    vault = make()
    keystore = open_keystore(vault)
    await keystore.store("gh", login(1))
    vault.calls.clear()

    def fail(what: str, service: str) -> None:
        if service.endswith("/b"):
            raise OSError("no")

    vault.before = fail
    assert Trouble.FAILED is await keystore.load("gh")
    assert Trouble.FAILED is await keystore.store("gh", login(2))
    assert [] == vault.written()


async def test_a_damaged_slot_is_told_and_written_next(open_keystore: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A slot with a bad digest is no login, its content is not logged, and the next write repairs it."""

    vault = mac()
    await open_keystore(vault).store("gh", login(1))
    await open_keystore(vault).store("gh", login(2))
    key = ("amberlight/inst/gh/b", "gh")
    assert isinstance(vault.backend, MacFake)
    vault.backend.entries[key] = vault.backend.entries[key].replace("read write", "read xrite")
    keystore = open_keystore(vault)

    assert StoredLogin(login(1)) == await keystore.load("gh")
    assert "digest" in caplog.text
    assert CANARY not in caplog.text
    assert await keystore.store("gh", login(2)) is None
    assert "gh/b" == vault.written()[-1]
    assert StoredLogin(login(2)) == await keystore.load("gh")


async def test_a_keyring_that_goes_back_in_time_is_not_believed(open_keystore: Open) -> None:
    """An older answer than one seen in this run is no login, and the newest slot is not written because of it."""

    vault = mac()
    keystore = open_keystore(vault)
    for generation in (1, 2, 3):
        await keystore.store("gh", login(generation))  # 3 is in a
    old = vault.backend.get_password("amberlight/inst/gh/b", "gh")
    vault.reading = lambda service, value: None if service.endswith("/a") else old if value is None else value

    assert Trouble.FAILED is await keystore.load("gh")
    vault.reading = lambda service, value: None if service.endswith("/a") and not vault.written()[3:] else value
    await keystore.store("gh", login(4))
    assert "gh/b" == vault.written()[-1]
    vault.reading = lambda service, value: value
    assert StoredLogin(login(4)) == await keystore.load("gh")


async def test_a_read_back_that_differs_is_a_failure(open_keystore: Open) -> None:
    """A keyring that says yes and keeps the old value has not stored; asked again when it works, it has."""

    vault = mac()
    keystore = open_keystore(vault)
    await keystore.store("gh", login(1))
    await keystore.store("gh", login(2))
    stale = vault.backend.get_password("amberlight/inst/gh/a", "gh")
    vault.reading = lambda service, value: stale if service.endswith("/a") else value

    assert Trouble.FAILED is await keystore.store("gh", login(3))
    vault.reading = lambda service, value: value
    assert await keystore.store("gh", login(3)) is None
    assert StoredLogin(login(3)) == await keystore.load("gh")


async def test_a_shorter_login_leaves_no_piece_of_the_longer_one(open_keystore: Open) -> None:
    """Parts that nothing refers to any more are deleted, at a store and at a removal, with their Windows doubles."""

    vault = windows()
    keystore = open_keystore(vault)
    await keystore.store("gh", login(1, size=6000))
    await keystore.store("gh", login(2, size=6000))
    await keystore.store("gh", login(3))
    assert isinstance(vault.backend, WindowsFake)
    assert not [target for target in vault.backend.entries if "/gh/a/" in target]

    assert await keystore.discard("gh") is None
    assert {} == vault.backend.entries
    assert StoredLogin(None) == await keystore.load("gh")
    assert await keystore.discard("gh") is None


async def test_removing_deletes_the_older_slot_first(open_keystore: Open) -> None:
    """A removal that breaks off leaves the newest login, never only an older one."""

    for newest in (2, 3):
        vault = mac()
        keystore = open_keystore(vault)
        for generation in range(1, newest + 1):
            await keystore.store("gh", login(generation))

        def fail(what: str, service: str) -> None:
            if what == "delete":
                raise OSError("gone")

        vault.after = fail
        assert Trouble.FAILED is await keystore.discard("gh")
        vault.after = lambda what, service: None
        assert StoredLogin(login(newest)) == await keystore.load("gh")


async def test_workloads_do_not_see_each_other(open_keystore: Open) -> None:
    """Names are part of every service."""

    vault = windows()
    keystore = open_keystore(vault)
    await keystore.store("a", login(1, token="one"))
    await keystore.store("b", login(7, token="two"))

    assert StoredLogin(login(1, token="one")) == await keystore.load("a")
    assert StoredLogin(login(7, token="two")) == await keystore.load("b")
    assert StoredLogin(None) == await keystore.load("c")


async def test_the_probe_writes_once_a_minute(open_keystore: Open) -> None:
    """A write within the last 60 s is proof enough, whichever write it was; a failure ends the proof."""

    vault, clock = mac(), Ticking()
    keystore = open_keystore(vault, clock=clock)
    assert await keystore.probe("gh") is None
    clock.now = 59.0
    assert await keystore.probe("gh") is None
    assert ["probe"] == vault.written()

    clock.now = 60.0
    await keystore.store("gh", login(1))
    clock.now = 100.0
    assert await keystore.probe("gh") is None
    assert ["probe", "gh/a"] == vault.written()

    vault.before = _raise(OSError(28, "No space left on device"))
    assert Trouble.FAILED is await keystore.load("gh")
    assert Trouble.FAILED is await keystore.probe("gh")
    vault.before = lambda what, service: None
    assert await keystore.probe("gh") is None
    assert "probe" == vault.written()[-1]


async def test_a_proof_ends_when_the_keyring_is_locked(open_keystore: Open) -> None:
    """A recent write does not hide that the keyring was locked since: the write is tried, and fails."""

    vault = mac()
    keystore = open_keystore(vault)
    await keystore.probe("gh")
    vault.lock = True
    vault.before = _raise(type("KeyringLocked", (Exception,), {})())

    assert Trouble.LOCKED is await keystore.probe("gh")
    assert Trouble.LOCKED is await keystore.status()


def _raise(error: Exception) -> Callable[[str, str], None]:
    def fail(what: str, service: str) -> None:
        raise error

    return fail


def _named(name: str, base: type[Exception] = Exception, *args: object) -> Exception:
    made: Exception = type(name, (base,), {})(*args)
    return made


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_named("KeyringLocked"), Trouble.LOCKED),
        (_named("LockedException"), Trouble.LOCKED),
        (_caused(_named("InitError"), _named("PromptDismissedException")), Trouble.LOCKED),
        (_caused(_named("KeyringError"), _named("Error", Exception, -25308, "Unknown Error")), Trouble.LOCKED),
        (_named("NoKeyringError", RuntimeError), Trouble.UNAVAILABLE),
        (_named("SecretServiceNotAvailableException"), Trouble.UNAVAILABLE),
        (FileNotFoundError(2, "no bus"), Trouble.UNAVAILABLE),
        (ConnectionResetError(104, "reset"), Trouble.UNAVAILABLE),
        (VaultError(1312, "CredRead", "no logon session"), Trouble.UNAVAILABLE),
        (VaultError(1783, "CredWrite", "The stub received bad data"), Trouble.FAILED),
        (OSError(28, "No space left on device"), Trouble.FAILED),
        (RuntimeError("whatever"), Trouble.FAILED),
        (_named("PasswordSetError"), Trouble.FAILED),
    ],
    ids=repr,
)
async def test_every_exception_is_a_trouble(error: Exception, expected: Trouble, open_keystore: Open) -> None:
    """Whatever a keyring raises, the caller gets a word and not the exception."""

    vault = mac()
    vault.before = _raise(error)
    keystore = open_keystore(vault)

    assert expected is trouble_of(error)
    assert expected is await keystore.load("gh")
    assert expected is await keystore.store("gh", login(1))
    assert expected is await keystore.probe("gh")
    assert expected is await keystore.discard("gh")


async def test_nothing_of_a_login_reaches_the_log(open_keystore: Open, caplog: pytest.LogCaptureFixture) -> None:
    """An exception that quotes the password is logged by its class only."""

    caplog.set_level(logging.DEBUG)
    vault = windows()
    keystore = open_keystore(vault)
    await keystore.store("gh", login(1))
    vault.before = lambda what, service: _quote() if what == "set" else None

    assert Trouble.FAILED is await keystore.store("gh", login(2, size=3000))
    assert "UnicodeError" in caplog.text
    assert CANARY not in caplog.text
    assert CANARY not in await keystore.describe()


def _quote() -> None:
    raise UnicodeError(f"cannot encode {CANARY}")


async def test_a_keyring_that_was_absent_is_looked_for_again(
    open_keystore: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """No answer is kept: the next call after "there is none" asks anew, and each reason is said once."""

    caplog.set_level(logging.INFO)
    vault = mac()
    answers: list[Exception | FakeVault] = [_named("NoVaultError", Exception, "Nothing here.")] * 2 + [vault]

    def factory() -> FakeVault:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    keystore = open_keystore(factory)
    assert Trouble.UNAVAILABLE is await keystore.status()
    assert "Nothing here." == await keystore.describe()
    assert StoredLogin(None) == await keystore.load("gh")
    assert ["Nothing here.", "The keyring is available again."] == [record.getMessage() for record in caplog.records]
    assert "fake" == await keystore.describe()


class Stuck:
    """Makes the first matching call wait until it is let go."""

    def __init__(self, what: str, suffix: str = "") -> None:
        self._wanted = (what, suffix)
        self.entered = threading.Event()
        self.go = threading.Event()

    def __call__(self, what: str, service: str) -> None:
        if what == self._wanted[0] and service.endswith(self._wanted[1]) and not self.entered.is_set():
            self.entered.set()
            assert self.go.wait(10)


@pytest.mark.alone
async def test_a_call_that_hangs_is_reported_and_nothing_overtakes_it(open_keystore: Open) -> None:
    """Over the limit the caller gets HANGING, later callers get it immediately, and everything works again once it answers."""

    vault = mac()
    keystore = open_keystore(vault, hang_limit=0.1)
    await keystore.store("gh", login(1))
    stuck = vault.before = Stuck("get")
    began = asyncio.get_running_loop().time()
    loading = asyncio.create_task(keystore.load("gh"))
    assert await asyncio.to_thread(stuck.entered.wait, 5)
    storing = asyncio.create_task(keystore.store("gh", login(2)))

    assert Trouble.HANGING is await loading
    assert Trouble.HANGING is await storing
    assert 0.1 <= asyncio.get_running_loop().time() - began < 5.0
    began = asyncio.get_running_loop().time()
    assert Trouble.HANGING is await keystore.probe("gh")
    assert Trouble.HANGING is await keystore.status()
    assert asyncio.get_running_loop().time() - began < 0.05
    assert ["gh/a"] == vault.written()  # the store that waited behind it was dropped, not put off

    stuck.go.set()
    assert StoredLogin(login(1)) == await _settled(keystore, "gh")
    assert await keystore.store("gh", login(2)) is None


async def _settled(keystore: Keystore, name: str) -> StoredLogin:
    for _ in range(500):
        if isinstance(found := await keystore.load(name), StoredLogin):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("the keyring did not come back")


@pytest.mark.parametrize("make", BOTH)
async def test_a_write_that_hangs_and_then_succeeds_keeps_the_rules(make: Make, open_keystore: Open) -> None:
    """The write completes; a still newer login that was rejected meanwhile is then stored in the other slot."""

    vault = make()
    keystore = open_keystore(vault, hang_limit=0.1)
    await keystore.store("gh", login(1, size=2500))
    stuck = vault.before = Stuck("set", "/b")
    assert Trouble.HANGING is await keystore.store("gh", login(2, size=2500))
    assert Trouble.HANGING is await keystore.store("gh", login(3, size=2500))

    stuck.go.set()
    assert StoredLogin(login(2, size=2500)) == await _settled(keystore, "gh")
    assert await keystore.store("gh", login(2, size=2500)) is None
    assert await keystore.store("gh", login(3, size=2500)) is None
    assert "gh/a" == vault.written()[-1]
    assert StoredLogin(login(3, size=2500)) == await open_keystore(vault).load("gh")


async def test_the_limit_is_for_one_call_not_for_a_store(open_keystore: Open) -> None:
    """A slow keyring that answers each call in time does not hang, however many calls a login takes."""

    vault = windows()
    vault.before = lambda what, service: time.sleep(0.03)
    keystore = open_keystore(vault, hang_limit=0.15)

    assert await keystore.store("gh", login(1, size=5000)) is None
    assert len(vault.calls) * 0.03 > 0.15


async def test_a_caller_that_gives_up_does_not_stop_a_write(open_keystore: Open) -> None:
    """A cancelled store runs to its end: a secret is never half written."""

    vault = windows()
    keystore = open_keystore(vault)
    stuck = vault.before = Stuck("set", "/a/2")
    storing = asyncio.create_task(keystore.store("gh", login(1, size=3000)))
    await asyncio.to_thread(stuck.entered.wait, 10)
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing

    stuck.go.set()
    assert StoredLogin(login(1, size=3000)) == await keystore.load("gh")


async def test_all_calls_are_made_in_one_thread_of_its_own(open_keystore: Open) -> None:
    """The backend is made and called in one thread, which is not the caller's."""

    threads: set[str] = set()
    vault = mac()
    vault.before = lambda what, service: threads.add(threading.current_thread().name)

    def factory() -> FakeVault:
        threads.add(threading.current_thread().name)
        return vault

    keystore = open_keystore(factory)
    await asyncio.gather(*(keystore.store(f"w{number}", login(1)) for number in range(5)))
    assert {"keyring"} == threads


async def test_a_closed_keystore_answers(open_keystore: Open) -> None:
    """After the end there is no keyring, and no exception."""

    vault = mac()
    keystore = open_keystore(vault)
    await keystore.load("gh")
    await keystore.close()

    assert 1 == vault.closed
    assert Trouble.UNAVAILABLE is await keystore.store("gh", login(1))
    await keystore.close()


async def test_the_memory_keystore_keeps_logins_for_this_run() -> None:
    """The same answers without a keyring."""

    keystore = MemoryKeystore()
    assert StoredLogin(None) == await keystore.load("gh")
    assert await keystore.probe("gh") is None
    assert await keystore.store("gh", login(1)) is None
    assert await keystore.store("gh", login(1)) is None
    assert Trouble.FAILED is await keystore.store("gh", login(1, token="other"))
    assert await keystore.store_candidate("gh", login(2, lineage="new")) is None
    assert StoredLogin(login(1), login(2, lineage="new")) == await keystore.load("gh")
    assert await keystore.store("gh", login(2, lineage="new")) is None
    assert StoredLogin(login(2, lineage="new")) == await keystore.load("gh")
    assert await keystore.discard("gh") is None
    assert StoredLogin(None) == await keystore.load("gh")
    assert await keystore.status() is None
    assert "until Amberlight quits" in await keystore.describe()


def test_both_fit_the_port() -> None:
    """mypy proves the shapes; this keeps the assignments alive."""

    ports: list[KeystorePort] = [Keystore("inst"), MemoryKeystore()]
    assert all(isinstance(port, Keystore | MemoryKeystore) for port in ports)
    assert isinstance(login(), Login)
