"""Keystore: the system's keyring as coroutines for the engine, with every failure as a `Trouble`.

The work is done in one thread (`system/worker.py`), one call after another; reads and probes let a login that is to be
written go first. The slot rules are in `login_store.py`, the choice of a keyring in `vaults.py`. Nothing logged here
carries text from a keyring or from its exceptions: only class names, numbers and sentences of our own (SECURITY.md 22).
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from trayapp.core.model import Login, Secret, Trouble
from trayapp.core.sentences import KEYRING_PROBLEMS
from trayapp.engine.ports import StoredLogin
from trayapp.system.worker import ClosedError, HangingError, Worker
from trayapp.vault.client_entry import erase_entry, move_entry, read_entry, write_entry
from trayapp.vault.login_store import LETTERS, LoginStore, Vault
from trayapp.vault.slots import RefusalError
from trayapp.vault.unlock_watcher import watch

log = logging.getLogger(__name__)

T = TypeVar("T")

HANG_LIMIT = 20.0  # s; a healthy call takes milliseconds; one that waits for a person takes longer
PROVED_FOR = 60.0  # s for which a successful write proves that the keyring is writable

# Exceptions by class name, because the modules they come from exist on one system only.
_LOCKED = {"LockedError", "KeyringLocked", "LockedException", "PromptDismissedException", "KeychainDenied"}
_ABSENT = {
    "NoVaultError",
    "NoKeyringError",
    "SecretServiceNotAvailableException",
    "ConnectionError",
    "FileNotFoundError",
}
_ABSENT_BUS_NAMES = ("ServiceUnknown", "NameHasNoOwner", "NoReply", "Disconnected", "NoServer", "Spawn")
_MACOS_LOCKED = {-128, -25293, -25308}  # cancelled, wrong password, no interaction allowed (locked screen, ssh)
_WINDOWS_ABSENT = {1312}  # no logon session: a service or a network logon has no vault


class Keystore:
    """The logins of this installation in the system's keyring (`engine/ports.py:Keystore`)."""

    def __init__(
        self,
        install_id: str,
        backend_factory: Callable[[], Vault] | None = None,
        hang_limit: float = HANG_LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`backend_factory` is called in the keyring's thread, and again after each time that no keyring was available."""
        self._install_id = install_id
        self._factory = backend_factory or _choose_vault
        self._clock = clock
        self._worker = Worker("keyring", hang_limit, clock)
        self._login_store = LoginStore(install_id, clock)
        self._vault: Vault | None = None
        self._wrote_at: float | None = None
        self._probe_value = ""  # what the keyring has to hold from the last probe, unless it is another one by now
        self._replaced = False  # found out by a probe, and not reported yet
        self._on_up: Callable[[], None] = lambda: None
        self._dismissed_at = float("-inf")
        self._last_message = ""

    async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble:
        """The current login, read from both slots, and a candidate that waits for agreement."""
        return await self._run(lambda vault: self._login_store.load(vault, name), prompt=prompt, patient=True)

    async def probe(self, name: str, *, prompt: bool = False) -> Trouble | None:
        """Prove that the keyring is unlocked and writable before a token is spent (RULES.md section 4).

        The slots of `name` are read here too, so that `store` begins with the write. Each step waits for its own turn: a
        login of another workload that has arrived meanwhile is stored before the next.
        """
        trouble = await self._run(self._probe, prompt=prompt, patient=True)
        if self._replaced:
            self._replaced = False
            self._on_up()
        for letter in LETTERS:
            if trouble is None:
                read = partial(self._login_store.prepare, name=name, letter=letter)
                trouble = await self._run(read, prompt=prompt, patient=True)
        return trouble

    async def store(self, name: str, login: Login) -> Trouble | None:
        """Write to the slot that doesn't hold the highest generation, header last, and read it back."""
        return await self._run(lambda vault: self._login_store.write(vault, name, login, candidate=False))

    async def holds(self, name: str, login: Login) -> bool | Trouble:
        """Whether the keyring still has this login, or a newer one. It may have been replaced by an empty one."""
        return await self._run(lambda vault: self._login_store.holds(vault, name, login), patient=True)

    async def store_candidate(self, name: str, login: Login) -> Trouble | None:
        """Write a login that a start ignores. `store` with the same login makes it current by rewriting its header."""
        return await self._run(lambda vault: self._login_store.write(vault, name, login, candidate=True))

    async def discard_candidate(self, name: str, login: Login) -> Trouble | None:
        """Delete this candidate, if a slot still holds it."""
        return await self._run(lambda vault: self._login_store.erase_candidate(vault, name, login))

    async def discard(self, name: str) -> Trouble | None:
        """Delete both slots."""
        return await self._run(lambda vault: self._login_store.erase(vault, name))

    async def move(self, name: str, new: str) -> Trouble | None:
        """Make `new` the owner of what `name` has: its login and its client record. May be repeated."""

        def work(vault: Vault) -> None:
            self._login_store.move(vault, name, new)
            move_entry(vault, self._client_service(name), name, self._client_service(new), new)

        return await self._run(work)

    async def load_client(self, name: str) -> Secret | Trouble | None:
        """The workload's client record (`oauth/client_store.py`). A person's click led here, so it may prompt."""
        return await self._run(lambda vault: read_entry(vault, self._client_service(name), name), prompt=True)

    async def store_client(self, name: str, text: Secret) -> Trouble | None:
        """Overwrite the workload's client record."""
        return await self._run(lambda vault: write_entry(vault, self._client_service(name), name, text), prompt=True)

    async def discard_client(self, name: str) -> Trouble | None:
        """Delete the workload's client record."""
        return await self._run(lambda vault: erase_entry(vault, self._client_service(name), name))

    def _client_service(self, name: str) -> str:
        return f"amberlight/{self._install_id}/{name}/client"

    async def status(self) -> Trouble | None:
        """The keyring's problem, as far as it can be seen without a prompt."""
        return await self._run(_lock_status, patient=True)

    async def describe(self) -> str:
        """One sentence for `doctor`: the keyring in use, or why none is."""
        trouble = await self._run(_lock_status, patient=True)
        if trouble is None and self._vault is not None:
            return self._vault.name
        return self._last_message or f"The keyring is {trouble}."

    async def watch(self, on_up: Callable[[], None]) -> None:
        """Call `on_up` whenever the keyring was unlocked or became available. Returns where the system doesn't report
        it; a probe that finds another keyring than the last one calls it everywhere."""
        self._on_up = on_up
        await watch(on_up)

    async def close(self) -> None:
        """Finish the queued calls and close the vault. A call that hangs is left behind."""
        with contextlib.suppress(HangingError, ClosedError):
            await self._worker.run(self._close_vault, patient=True)
        await self._worker.close()

    # --- in the keyring's thread -------------------------------------------------------------------------------------

    async def _run(self, work: Callable[[Vault], T], *, prompt: bool = False, patient: bool = False) -> T | Trouble:
        asked_at = self._clock() if prompt else float("-inf")
        try:
            return await self._worker.run(lambda: self._guarded(work, asked_at), patient=patient)
        except HangingError:
            self._report(KEYRING_PROBLEMS[Trouble.HANGING])
            return Trouble.HANGING
        except ClosedError:
            return Trouble.UNAVAILABLE

    def _guarded(self, work: Callable[[Vault], T], asked_at: float) -> T | Trouble:
        """Run `work` in the keyring's thread. Every exception becomes a `Trouble` here; none crosses the thread.

        `asked_at` is when a person's click led here. Somebody who clicked *Retry all now* and dismissed the dialog
        isn't shown another for each workload that waited behind.
        """
        prompt = asked_at > self._dismissed_at
        try:
            if self._vault is None:
                self._vault = self._factory()
            self._vault.prompt = prompt
            result = work(_WatchedVault(self._vault, self))
        except Exception as error:  # noqa: BLE001 - keyrings raise anything: pywintypes, jeepney, OSError
            if prompt:
                self._dismissed_at = self._clock()
            return self._trouble_from(error)
        if not isinstance(result, Trouble) and self._last_message:
            log.info("The keyring is available again.")
            self._last_message = ""
        return result

    def _trouble_from(self, error: Exception) -> Trouble:
        trouble = trouble_of(error)
        self._wrote_at = None
        self._login_store.forget_prepared()
        if trouble is Trouble.UNAVAILABLE:
            self._close_vault()
        self._report(_describe(trouble, error), getattr(error, "reasons", "") if trouble is Trouble.UNAVAILABLE else "")
        return trouble

    def _close_vault(self) -> None:
        vault, self._vault = self._vault, None
        if vault is not None:
            vault.close()

    def _probe(self, vault: Vault) -> Trouble | None:
        proved = self._wrote_at is not None and self._clock() - self._wrote_at < PROVED_FOR
        if proved and not vault.locked():
            return None
        service, value = f"amberlight/{self._install_id}/probe", secrets.token_hex(4)
        if self._probe_value and vault.get(service, "amberlight") != self._probe_value:
            self._replaced = True
        vault.set(service, "amberlight", value)
        if vault.get(service, "amberlight") != value:
            raise RefusalError("The keyring doesn't keep what is written to it.")
        self._probe_value = value
        return None

    def _report(self, sentence: str, reasons: str = "") -> None:
        """Log a sentence once per change: a keyring that stays away would fill the log."""
        if sentence != self._last_message:
            self._last_message = sentence
            log.warning("%s%s", sentence, f" ({reasons})" if reasons else "")


class _WatchedVault:
    """A vault that sends the worker a heartbeat before each call and tells the keystore after each write."""

    def __init__(self, vault: Vault, keystore: Keystore) -> None:
        self.name = vault.name
        self.limit = vault.limit
        self.prompt = vault.prompt
        self._vault = vault
        self._keystore = keystore
        self._heartbeat = keystore._worker.heartbeat

    def get(self, service: str, user: str) -> str | None:
        self._heartbeat()
        return self._vault.get(service, user)

    def set(self, service: str, user: str, value: str) -> None:
        self._heartbeat()
        self._vault.set(service, user, value)
        self._keystore._wrote_at = self._keystore._clock()

    def delete(self, service: str, user: str) -> None:
        self._heartbeat()
        self._vault.delete(service, user)

    def locked(self) -> bool | None:
        self._heartbeat()
        return self._vault.locked()

    def close(self) -> None:
        self._vault.close()


def _choose_vault() -> Vault:
    from trayapp.vault import vaults  # up to a tenth of a second: only here, in the keyring's thread

    return vaults.choose()


def _lock_status(vault: Vault) -> Trouble | None:
    return Trouble.LOCKED if vault.locked() else None


def trouble_of(error: BaseException) -> Trouble:
    """The `Trouble` that an exception of any keyring stands for."""
    names = {name.__name__ for name in type(error).__mro__}
    cause = error.__cause__
    if (
        names & _LOCKED
        or _error_number(error) in _MACOS_LOCKED
        or (cause is not None and _error_number(cause) in _MACOS_LOCKED)
    ):
        return Trouble.LOCKED
    if cause is not None and {name.__name__ for name in type(cause).__mro__} & _LOCKED:
        return Trouble.LOCKED
    if "NoCollectionError" in names:
        return Trouble.NO_COLLECTION
    if (
        names & _ABSENT
        or _error_number(error) in _WINDOWS_ABSENT
        or any(bus_error in _bus_name(error) for bus_error in _ABSENT_BUS_NAMES)
    ):
        return Trouble.UNAVAILABLE
    return Trouble.FAILED


def _error_number(error: BaseException) -> int | None:
    """The number that Windows, macOS and the C library put first. Never text, which could quote anything."""
    code = getattr(error, "winerror", None) or (error.args[0] if error.args else None)
    return code if isinstance(code, int) else None


def _bus_name(error: BaseException) -> str:
    """The name of a D-Bus error, such as org.freedesktop.Secret.Error.NoSession."""
    name = getattr(error, "name", "")
    return name if isinstance(name, str) and type(error).__name__ in ("DBusErrorResponse", "ServiceError") else ""


def _describe(trouble: Trouble, error: Exception) -> str:
    if isinstance(error, RefusalError) or type(error).__name__ in ("NoVaultError", "NoCollectionError"):
        return str(error)  # our own words
    if trouble is Trouble.LOCKED:
        return KEYRING_PROBLEMS[Trouble.LOCKED]
    detail = _bus_name(error) or (str(code) if (code := _error_number(error)) is not None else "")
    what = type(error).__name__ + (f" {detail}" if detail else "")
    return (
        f"The keyring isn't available ({what})." if trouble is Trouble.UNAVAILABLE else f"The keyring failed ({what})."
    )


class MemoryKeystore:
    """Logins for this run only: for the demo and for machines without any keyring (`engine/ports.py:Keystore`)."""

    def __init__(self) -> None:
        self._logins: dict[str, Login] = {}
        self._candidates: dict[str, Login] = {}
        self._clients: dict[str, Secret] = {}

    async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble:
        return StoredLogin(self._logins.get(name), self._candidates.get(name))

    async def probe(self, name: str, *, prompt: bool = False) -> Trouble | None:
        return None

    async def store(self, name: str, login: Login) -> Trouble | None:
        held = self._logins.get(name)
        if held is not None and held != login and login.generation <= held.generation:
            log.warning("Generation %d of %s is not newer than %d", login.generation, name, held.generation)
            return Trouble.FAILED
        self._logins[name] = login
        candidate = self._candidates.get(name)
        if candidate is not None and candidate.generation <= login.generation:
            del self._candidates[name]
        return None

    async def holds(self, name: str, login: Login) -> bool | Trouble:
        return name in self._logins

    async def store_candidate(self, name: str, login: Login) -> Trouble | None:
        self._candidates[name] = login
        return None

    async def discard_candidate(self, name: str, login: Login) -> Trouble | None:
        if (held := self._candidates.get(name)) is not None and held.lineage == login.lineage:
            del self._candidates[name]
        return None

    async def discard(self, name: str) -> Trouble | None:
        self._logins.pop(name, None)
        self._candidates.pop(name, None)
        return None

    async def move(self, name: str, new: str) -> Trouble | None:
        of_names: tuple[dict[str, Any], ...] = (self._logins, self._candidates, self._clients)
        for kept in of_names:
            if name in kept:
                kept[new] = kept.pop(name)
        return None

    async def load_client(self, name: str) -> Secret | Trouble | None:
        return self._clients.get(name)

    async def store_client(self, name: str, text: Secret) -> Trouble | None:
        self._clients[name] = text
        return None

    async def discard_client(self, name: str) -> Trouble | None:
        self._clients.pop(name, None)
        return None

    async def status(self) -> Trouble | None:
        return None

    async def describe(self) -> str:
        return "No keyring. Logins are kept in memory until Amberlight quits."

    async def watch(self, on_up: Callable[[], None]) -> None:
        """Returns immediately: it is always available."""

    async def close(self) -> None:
        """Nothing to close."""
