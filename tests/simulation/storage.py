"""The laptop's keyring and disk, with everything that can go wrong with them. They outlive every crash.

The keyring's entries are the strict fakes of tests/vault, below the real vault rules, so that a value too long for
Windows is split, and a set on macOS is a delete and an add that a crash can separate.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import random
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vault.keyrings import Fake, MacFake, WindowsFake
from trayapp.core.model import Login
from trayapp.storage.journal import Journal, _prepare
from trayapp.system.worker import Worker
from trayapp.vault.login_store import LoginStore
from trayapp.vault.slots import WINDOWS_LIMIT, RefusalError, Slot


class PowerCut(BaseException):
    """The machine stops in the middle of a call."""


class KeyringLocked(Exception):  # `trouble_of` recognises it by its name
    """The error that the keyring library raises for a locked collection."""


class Keyring:
    """The entries of this user's keyring (`login_store.Vault`)."""

    def __init__(self, rng: random.Random, kind: str) -> None:
        self.name = f"a simulated keyring ({kind})"
        self.limit = WINDOWS_LIMIT if kind == "windows" else None
        self.prompt = False
        self.rng = rng
        self.backend: Fake = WindowsFake(step=self._step) if kind == "windows" else MacFake(step=self._step)
        self.lock = self.hang = self.read_only = self.failing = self.stale = self.lying = 0
        self.shows_old = False
        self.free = asyncio.Event()
        self.free.set()
        self.crash_point: Callable[[str], None] = lambda what: None  # where the machine may stop
        self.writing: Callable[[str], None] = lambda service: None  # before an entry changes
        self.wrote: Callable[[str], None] = lambda service: None  # after it did
        self._old: dict[tuple[str, str], str | None] = {}
        self._found: dict[str, tuple[list[Any], Login | None]] = {}  # what `login` found, and in which entries

    @property
    def troubled(self) -> bool:
        return bool(self.lock or self.hang or self.read_only or self.failing or self.stale or self.lying)

    @property
    def unreadable(self) -> bool:
        return bool(self.lock or self.hang)

    def get(self, service: str, user: str) -> str | None:
        self._open("get")
        if self.shows_old and (service, user) in self._old:
            return self._old[service, user]
        return self.backend.get_password(service, user)

    def set(self, service: str, user: str, value: str) -> None:
        self._open("set")
        if self.read_only or (self.failing and self.rng.random() < 0.7):
            raise OSError(30, "read-only")
        if self.lying and self.rng.random() < 0.7:
            return
        self._old[service, user] = self.backend.get_password(service, user)
        self.writing(service)
        self.backend.set_password(service, user, value)
        self.wrote(service)
        self.crash_point(f"wrote {service.rsplit('/', 1)[-1]}")

    def delete(self, service: str, user: str) -> None:
        self._open("delete")
        if self.read_only:
            raise OSError(30, "read-only")
        self.writing(service)
        self.backend.delete_password(service, user)
        self.wrote(service)
        self.crash_point("deleted")

    def locked(self) -> bool | None:
        return bool(self.lock)

    def close(self) -> None:
        """There is nothing to close."""

    def turn(self) -> None:
        """A new access: a stale keyring may show the state before the last change, but then all of it."""
        self.shows_old = bool(self.stale) and self.rng.random() < 0.5

    def restarted(self) -> None:
        """A starting program opens the keyring again and does not see a stale cache.

        An old value at the start would be indistinguishable from a keyring restored from a backup.
        """
        self._old.clear()

    def login(self, install: str, name: str) -> Login | None:
        """The login that a start would find now, all troubles aside. Looked for anew only if an entry has changed."""
        mark = f"/{name}/"
        entries = [
            item
            for item in self.backend.entries.items()
            if mark in (item[0] if isinstance(item[0], str) else item[0][0])
        ]
        known = self._found.get(name)
        if known is not None and known[0] == entries:
            return known[1]
        held = [slot for slot in self.slots(install, name) if slot.login and not slot.candidate]
        login = max(held, key=lambda slot: slot.rank).login if held else None
        self._found[name] = entries, login
        return login

    def slots(self, install: str, name: str) -> list[Slot]:
        """Both slots as they are, read by the real rules."""
        try:
            store = LoginStore(install)
            store._reported_damage = _ContainsAll()
            return list(store._read_slots(_UntroubledKeyring(self), name))
        except RefusalError:
            return []

    def _open(self, what: str) -> None:
        self.crash_point(what)
        if self.lock:
            raise KeyringLocked

    def _step(self, what: str) -> None:
        self.crash_point(f"{what} of an entry")


class _ContainsAll(set[tuple[str, str, str]]):
    """Contains everything: all damage counts as reported, so that a check does not log."""

    def __contains__(self, item: object) -> bool:
        return True


class _UntroubledKeyring:
    """Read access to the entries without any trouble."""

    prompt = False

    def __init__(self, keyring: Keyring) -> None:
        self.name, self.limit = keyring.name, keyring.limit
        self._backend = keyring.backend

    def get(self, service: str, user: str) -> str | None:
        return self._backend.get_password(service, user)

    def set(self, service: str, user: str, value: str) -> None:
        raise NotImplementedError

    def delete(self, service: str, user: str) -> None:
        raise NotImplementedError

    def locked(self) -> bool | None:
        return None

    def close(self) -> None:
        """There is nothing to close."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A call of the disk or the keyring: the seconds it takes, the event of its not hanging, and how it begins.

    `begins` raises `PowerCut` where the machine stops.
    """

    takes: Callable[[], float]
    free: asyncio.Event
    begins: Callable[[], None]


class SimulatedWorker(Worker):
    """The real worker with its queue and time limits; its thread is simulated by timers of the virtual loop."""

    def __init__(self, name: str, limit: float | None, clock: Callable[[], float], turn: Turn) -> None:
        super().__init__(name, limit, clock)
        self._turn = turn
        self._jobs: list[tuple[int, int, Any]] = []  # a heap, like the queue that it stands for
        self._busy = False
        self._thread = threading.current_thread()  # so that none is started
        self._queue = self  # type: ignore[assignment]  # only `put` is used by what is inherited
        self.hanging: asyncio.Task[None] | None = None
        self.has_work: Callable[[], bool] = lambda: True  # False: what is queued was done with an earlier job

    def put(self, waiting: tuple[int, int, Any]) -> None:
        if waiting[2] is None:
            return
        heapq.heappush(self._jobs, waiting)
        if not self._busy:
            self._busy = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        while self._jobs:
            job = heapq.heappop(self._jobs)[2]
            if job.abandoned:
                continue
            self._running_since = self._clock()
            if self.has_work():
                asyncio.get_running_loop().call_later(self._turn.takes(), self._begin, job)
                return
            self._do(job)
        self._busy = False

    def _begin(self, job: Any) -> None:
        if not self._turn.free.is_set():
            self.hanging = asyncio.get_running_loop().create_task(self._hang(job), name=self._name)
            return
        with contextlib.suppress(PowerCut):  # then nothing follows
            self._turn.begins()
            self._do(job)
            self._next()

    async def _hang(self, job: Any) -> None:
        while not self._turn.free.is_set():
            await self._turn.free.wait()
        self._begin(job)

    def _do(self, job: Any) -> None:
        value, error = None, None
        try:
            value = job.work()
        except PowerCut:
            raise
        except Exception as raised:  # noqa: BLE001 - it belongs to the caller
            error = raised
        self._running_since = None
        job.finish(value, error)

    async def close(self, patience: float = 2.0) -> bool:
        self._closed = True
        return True


class _Memory(sqlite3.Connection):
    """Closed with the world whose disk it is, in whichever thread that is collected."""

    def __del__(self) -> None:
        self.close()


class Disk:
    """The disk with state.db. What was committed survives a crash, unless the file is deleted."""

    def __init__(self) -> None:
        self.full = self.hang = 0
        self.free = asyncio.Event()
        self.free.set()
        self.lost_at = float("-inf")  # true time
        self.db = self._fresh()

    def _fresh(self) -> sqlite3.Connection:
        db = sqlite3.connect(":memory:", isolation_level=None, factory=_Memory, check_same_thread=False)
        _prepare(db)
        return db

    def delete(self, t: float) -> None:
        self.db.close()
        self.db = self._fresh()
        self.lost_at = t


class SimulatedJournal(Journal):
    """The real journal on the simulated disk."""

    def __init__(self, disk: Disk, now_wall: Callable[[], float], worker: SimulatedWorker) -> None:
        super().__init__(Path("state.db"), now_wall)
        self._worker = worker
        worker.has_work = lambda: bool(self._jobs)
        self._disk = disk

    def _open(self) -> sqlite3.Connection:
        if self._disk.full:
            raise sqlite3.OperationalError("database or disk is full")
        self._db = self._disk.db
        return self._db

    def _close_db(self) -> None:
        """What was not committed is gone; what was is there when it is opened again."""
        if self._db is not None and self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._db = None
