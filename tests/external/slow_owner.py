"""A program whose actions take virtual time, each in a thread as in the app, and which never has two of one workload."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.external.stopping_owner import StoppingOwner
from trayapp.external.owner import ExternalError, Reading
from trayapp.system.worker import HangingError

T = TypeVar("T")


class Job:
    """Work in a thread that only runs while the loop waits for it: until its end, or until it sleeps."""

    current: Job

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._turns = {True: threading.Semaphore(0), False: threading.Semaphore(0)}  # the thread's, the loop's
        self.sleeps: float | None = 0.0  # s until it goes on; None: it has ended
        self.result: Any = None
        self.error: BaseException | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def go_on(self) -> None:
        """On the loop."""
        Job.current = self
        self._turns[True].release()
        self._turns[False].acquire()

    def sleep(self, seconds: float) -> None:
        """In the thread."""
        self.sleeps = seconds
        self._turns[False].release()
        self._turns[True].acquire()

    def _run(self) -> None:
        self._turns[True].acquire()
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - its caller's
            self.error = error
        self.sleeps = None
        self._turns[False].release()


class SlowThreads:
    """Where it is read and asked. Nobody waits longer than `limit`; what was begun goes on to its end."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.under_way: set[asyncio.Task[Any]] = set()
        self.reading_takes = 0.0

    async def read(self, work: Callable[[], T]) -> T:
        """See `Threads`."""
        await asyncio.sleep(0.0)
        result = await self.ask(work)
        await asyncio.sleep(self.reading_takes)
        return result

    async def ask(self, work: Callable[[], T]) -> T:
        """See `Threads`."""
        task = asyncio.get_running_loop().create_task(self._carry_out(Job(work)))
        self.under_way.add(task)
        task.add_done_callback(self._done)
        try:
            async with asyncio.timeout(self.limit):
                found: T = await asyncio.shield(task)
        except TimeoutError:
            raise HangingError from None
        return found

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        while self.under_way:
            await asyncio.wait(self.under_way)

    async def _carry_out(self, job: Job) -> Any:
        job.go_on()
        while job.sleeps is not None:
            await asyncio.sleep(job.sleeps)
            job.go_on()
        if job.error is not None:
            raise job.error
        return job.result

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.under_way.discard(task)
        task.cancelled() or task.exception()

    def end(self) -> None:
        """See `Threads`."""


@dataclass
class SlowOwner(StoppingOwner):
    """`takes`: s for an action, by the call's name. `later`: s from the end of a restart to its effect, as by an API.
    `overlaps` are actions that were asked for during another of the same workload."""

    takes: dict[str, float] = field(default_factory=dict)
    later: float = 0.0
    loop: asyncio.AbstractEventLoop | None = None
    fails_late: bool = False
    overlaps: list[str] = field(default_factory=list)
    under_way: dict[str, str] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)  # restarts that will have an effect
    on_start: Callable[[str], None] = lambda name: None
    after_stop: Callable[[str], None] = lambda name: None

    def read(self) -> Reading:
        self._takes("read")
        self._may("read")
        return super().read()

    def restart(self, name: str) -> None:
        with self._action(name, "restart"):
            self._may("restart")
            self.becomes(name, "stopped")
            self._takes("restart")
            if self.fails_late:
                raise ExternalError("ToolHive didn't restart it.")
            if self.later:
                assert self.loop is not None
                self.pending.add(name)
                self.loop.call_later(self.later, self._starts, name)
            else:
                self._starts(name)

    def stop(self, name: str) -> None:
        with self._action(name, "stop"):
            self._may("stop")
            self._takes("stop")
            self.becomes(name, "stopped")
            self.after_stop(name)

    def _starts(self, name: str) -> None:
        self.history.append(f"{name} runs")
        self.pending.discard(name)
        self.becomes(name, "running")
        self.on_start(name)

    @contextlib.contextmanager
    def _action(self, name: str, verb: str) -> Any:
        self._known(name)
        self.history.append(f"{verb} {name}")
        if name in self.under_way:
            self.overlaps.append(f"{verb} {name} during {self.under_way[name]}")
        self.under_way[name] = verb
        try:
            yield
        finally:
            self.under_way.pop(name, None)

    def _takes(self, verb: str) -> None:
        if seconds := self.takes.get(verb, 0.0):
            Job.current.sleep(seconds)
