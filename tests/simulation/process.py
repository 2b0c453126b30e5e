"""One run of the program, from its start to its end, with simulated adapters.

A crash marks the run as dead and cancels its tasks in the middle of whatever they await: nothing of it reaches the
keyring, the disk or a server afterwards. A server still carries out what it was asked before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trayapp.engine.engine
from tests.simulation.loop import SPINNING, StalledError
from tests.simulation.machine import Watcher
from tests.simulation.planned import DAY
from tests.simulation.servers import AuthServer, Family
from tests.simulation.storage import PowerCut, SimulatedJournal, SimulatedWorker, Turn
from tests.simulation.wire import Tokens
from trayapp.core.gate import Gate
from trayapp.core.messages import Event
from trayapp.core.model import AccessToken, Moment, Problem, Secret, Spec
from trayapp.core.snapshot import Snapshot
from trayapp.engine.engine import MAX_SLEEP, RESTLESS_SLEEP, Engine
from trayapp.engine.ports import Adapters, NewLogin, SystemChange
from trayapp.vault.keystore import HANG_LIMIT, Keystore

if TYPE_CHECKING:
    from tests.simulation.world import World

INSTALL = "sim"


class Process:
    """The running program."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.alive = True
        self.closing = False
        self.tasks: set[asyncio.Task[None]] = set()
        self.watcher = Watcher(world.network, world.native, self._on_noticed)
        keystore = Keystore(INSTALL, lambda: world.keyring, clock=self._awake)
        self.keys = SimulatedWorker(
            "keyring", HANG_LIMIT, self._awake, Turn(self._keyring_takes, world.keyring.free, self._at_keyring)
        )
        keystore._worker = self.keys
        self.writer = SimulatedWorker(
            "journal", None, self._awake, Turn(self._disk_takes, world.disk.free, self._at_disk)
        )
        journal = SimulatedJournal(world.disk, lambda: world.clocks.now().wall, self.writer)
        self.tokens = Tokens(self)
        adapters = Adapters(_Clock(self), self.tokens, keystore, journal, _Page(self), self.watcher)
        offline = self.watcher.first(world.clocks.now())
        gate = Gate(offline=offline, closed_since=world.clocks.now().at if offline else None)
        self.engine = ObservedEngine(self, adapters, gate)
        self.task("configuration", self.engine.configure(world.specs))
        self.task("engine", self.engine.run())

    def task(self, what: str, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        task.set_name(what)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def stop(self) -> None:
        """End the run immediately, wherever it is."""
        self.alive = False
        hanging = [task for task in (self.keys.hanging, self.writer.hanging) if task is not None]
        for task in sorted([*self.tasks, *self.engine._tasks._all, *hanging], key=lambda task: task.get_name()):
            if task is not asyncio.current_task():
                task.cancel()

    def crash_point(self, what: str) -> None:
        """A point at which the machine may stop. Raises `PowerCut` there, and wherever a dead run would continue."""
        if self.alive and self.world.crash_countdown > 0:
            self.world.crash_countdown -= 1
            if self.world.crash_countdown == 0:
                self.world.crash(f"at {what!r}")
        if not self.alive:
            raise PowerCut

    async def crash_point_or_wait(self, what: str) -> None:
        """The same for coroutines: a dead run waits for ever instead."""
        try:
            self.crash_point(what)
        except PowerCut:
            await asyncio.get_running_loop().create_future()

    def _keyring_takes(self) -> float:
        return self.world.rng.uniform(0.002, 0.02)

    def _at_keyring(self) -> None:
        self.crash_point("a call of the keyring")
        self.world.keyring.turn()
        self.world.keyring.crash_point = self.crash_point

    def _disk_takes(self) -> float:
        return self.world.rng.uniform(0.001, 0.01)

    def _at_disk(self) -> None:
        self.crash_point("a write to state.db")

    def _awake(self) -> float:
        return self.world.clocks.now().awake

    def _on_noticed(self, seen: SystemChange) -> None:
        self.world.checks.noticed(self, seen)
        if seen.network or seen.woke:
            self.tokens.wire.network_changed()


class ObservedEngine(Engine):
    """The engine, with every step checked."""

    def __init__(self, process: Process, adapters: Adapters, gate: Gate) -> None:
        self._process = process
        self._events, self._events_at = 0, 0.0
        super().__init__(adapters, _ignore_snapshot, first_gate=gate)

    def apply(self, name: str, event: Event) -> None:
        self._not_for_ever(event.now.at)
        before = self.workloads.get(name)
        super().apply(name, event)
        after = self.workloads.get(name)
        if before is not None and after is not None and self._process.alive:
            self._process.world.checks.applied(self._process, name, before, event, after)

    def _not_for_ever(self, at: float) -> None:
        """A loop of the engine that never awaits isn't seen by the virtual loop: end it, as a broken invariant."""
        self._events, self._events_at = (self._events + 1 if at == self._events_at else 0), at
        if self._events > SPINNING:
            raise StalledError("events follow one another without any time passing")


def _ignore_snapshot(snapshot: Snapshot) -> None:
    """There is no icon; the checks read the views."""


class _Clock:
    def __init__(self, process: Process) -> None:
        self._process = process
        self.now: Callable[[], Moment] = process.world.clocks.now

    def jitter(self) -> float:
        return self._process.world.rng.random()

    async def sleep(self, seconds: float) -> None:
        """Sleep in virtual time, by more than the rounding error of a float."""
        if seconds in (MAX_SLEEP, RESTLESS_SLEEP):
            seconds *= self._idle_polls(seconds)
        await asyncio.sleep(max(seconds, 1e-4))

    def _idle_polls(self, every: float) -> int:
        """How many polls in a row are certain to find nothing; skipping them makes a day ten times faster.

        The next poll that is not skipped comes exactly when it would have come, before anything can have happened.
        """
        world, now = self._process.world, self.now()
        if self._process.watcher.network_changed:
            return 1
        with _without_poll_cap():
            quiet = self._process.engine._until_next(now)
        return max(1, int(min(quiet, world.director.quiet_for(), DAY) // every))


@contextmanager
def _without_poll_cap() -> Iterator[None]:
    """Let `_until_next` return the next deadline alone, however far away."""
    trayapp.engine.engine.MAX_SLEEP = trayapp.engine.engine.RESTLESS_SLEEP = float("inf")
    try:
        yield
    finally:
        trayapp.engine.engine.MAX_SLEEP, trayapp.engine.engine.RESTLESS_SLEEP = MAX_SLEEP, RESTLESS_SLEEP


class _Page:
    """The person at the browser (`ports.SignIn`)."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def run(
        self, spec: Spec, *, browser: bool, show: Callable[[str], None], now: Callable[[], Moment], **_: object
    ) -> NewLogin | Problem:
        process, world = self._process, self._process.world
        await process.crash_point_or_wait("the sign-in begins")
        show("https://as.example/authorize")
        await asyncio.sleep(world.rng.uniform(4.0, 60.0))
        await process.crash_point_or_wait("the sign-in ends")
        server = world.server_at(spec.token_endpoint)
        if world.obstacle(server) or world.rng.random() < 0.1:
            return Problem("cancelled", "The page did not come back.")
        scope = world.checks.step_up.page(spec, world.checks.truths[spec.name].family)
        if isinstance(scope, Problem):
            return scope
        family, access = server.sign_in(spec.name, world.clocks.t)
        family.scope = scope
        world.checks.signed_in(spec.name, family, access)
        return NewLogin(world.login_of(server, family), token_of(server, access, now()))

    def paste(self, name: str, url: str) -> Problem | None:
        return None

    def reopen(self, name: str) -> bool:
        return True


def token_of(server: AuthServer, access: str, now: Moment) -> AccessToken:
    """The access token of a sign-in."""
    life = server.life
    return AccessToken(
        0, Secret(access), now.at, None if life is None else now.at + life, None if life is None else now.wall + life
    )


__all__ = ["INSTALL", "Family", "Process"]
