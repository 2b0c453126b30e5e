"""The laptop's keyring and disk, with everything that can be wrong with them. They outlive every crash.

The keyring's entries are the strict fakes of tests/edge; above them stand the real vault rules, so that a value too long
for Windows is split, and a set on macOS is a delete and an add that can be torn apart.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections import deque
from collections.abc import Awaitable, Callable
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


class KeyringLocked(Exception):  # the name is what `trouble_of` knows it by
    """What keyring raises for a locked collection."""


class Keyring:
    """The entries of this user's keyring (`cabinet.Vault`)."""

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
        self.point: Callable[[str], None] = lambda what: None  # where the machine may stop
        self.writing: Callable[[str], None] = lambda service: None  # before an entry changes
        self.wrote: Callable[[str], None] = lambda service: None  # after it did
        self._old: dict[tuple[str, str], str | None] = {}

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
        self.point(f"wrote {service.rsplit('/', 1)[-1]}")

    def delete(self, service: str, user: str) -> None:
        self._open("delete")
        if self.read_only:
            raise OSError(30, "read-only")
        self.writing(service)
        self.backend.delete_password(service, user)
        self.wrote(service)
        self.point("deleted")

    def locked(self) -> bool | None:
        return bool(self.lock)

    def close(self) -> None:
        """Nothing is kept open."""

    def turn(self) -> None:
        """Another visitor: he may be shown what was there before the last change, but then all of it."""
        self.shows_old = bool(self.stale) and self.rng.random() < 0.5

    def restarted(self) -> None:
        """A program that starts opens the keyring anew and is not answered from an old cache.

        An old value at the very start could not be told from a keyring that was restored from a backup.
        """
        self._old.clear()

    def login(self, install: str, name: str) -> Login | None:
        """What a start would find there now, all troubles aside."""
        held = [slot for slot in self.slots(install, name) if slot.login and not slot.candidate]
        return max(held, key=lambda slot: slot.rank).login if held else None

    def slots(self, install: str, name: str) -> list[Slot]:
        """Both slots as they are, read by the real rules."""
        try:
            store = LoginStore(install)
            store._reported_damage = _Everything()
            return list(store._read_slots(_Bare(self), name))
        except RefusalError:
            return []

    def _open(self, what: str) -> None:
        self.point(what)
        if self.lock:
            raise KeyringLocked

    def _step(self, what: str) -> None:
        self.point(f"{what} of an entry")


class _Everything(set[tuple[str, str, str]]):
    """It was all said before: a check does not log."""

    def __contains__(self, item: object) -> bool:
        return True


class _Bare:
    """The entries without any trouble, to look at them."""

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
        """Nothing is kept open."""


class PlayedWorker(Worker):
    """The real worker with its queue and its time limits; the thread is played by a task of the virtual loop.

    `turn` is awaited before each job: that is how long the disk or the keyring takes, or hangs.
    """

    def __init__(
        self, name: str, limit: float | None, clock: Callable[[], float], turn: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(name, limit, clock)
        self._turn = turn
        self._jobs: deque[Any] = deque()
        self._thread = threading.current_thread()  # so that none is started
        self._queue = self  # type: ignore[assignment]  # only `put` is used by what is inherited
        self.player: asyncio.Task[None] | None = None

    def put(self, job: Any) -> None:
        if job is None:
            return
        self._jobs.append(job)
        if self.player is None or self.player.done():
            self.player = asyncio.get_running_loop().create_task(self._play(), name=self._name)

    async def _play(self) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            if job.abandoned:
                continue
            self._running_since = self._clock()
            await self._turn()
            value, error = None, None
            try:
                value = job.work()
            except PowerCut:
                return
            except Exception as raised:  # noqa: BLE001 - it belongs to the caller
                error = raised
            self._running_since = None
            job.finish(value, error)

    async def close(self, patience: float = 2.0) -> bool:
        self._closed = True
        return True


class Disk:
    """Where state.db is. What was committed stays through a crash, unless somebody deletes it."""

    def __init__(self) -> None:
        self.full = self.hang = 0
        self.free = asyncio.Event()
        self.free.set()
        self.lost_at = float("-inf")  # true time
        self.db = self._fresh()

    def _fresh(self) -> sqlite3.Connection:
        db = sqlite3.connect(":memory:", isolation_level=None)
        _prepare(db)
        return db

    def delete(self, t: float) -> None:
        self.db.close()
        self.db = self._fresh()
        self.lost_at = t


class PlayedJournal(Journal):
    """The real journal on that disk."""

    def __init__(self, disk: Disk, now_wall: Callable[[], float], worker: Worker) -> None:
        super().__init__(Path("state.db"), now_wall)
        self._worker = worker
        self._disk = disk

    def _open(self) -> sqlite3.Connection:
        if self._disk.full:
            raise sqlite3.OperationalError("database or disk is full")
        self._db = self._disk.db
        return self._db

    def _shut(self) -> None:
        self._db = None
