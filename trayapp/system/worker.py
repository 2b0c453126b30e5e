"""Worker thread: one job at a time. Nothing overtakes a job that has begun, not even when it hangs.

Waiting jobs run in order, except that a patient one lets the others go first: a login that exists nowhere else must not
wait for forty that are only read.

Blocking libraries (the keyring, SQLite) are only ever called from such a thread. A job that has begun always runs to
its end, whoever stopped waiting for it, so a secret is never half written because a caller was cancelled. The thread is
a daemon, because a keyring that waits for a person must not delay the end of the program; that is also why this isn't a
`ThreadPoolExecutor`, whose threads the interpreter joins at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from itertools import count
from typing import Any, TypeVar

T = TypeVar("T")


class HangingError(Exception):
    """The job in front (or this one itself) has been running for longer than the limit."""


class ClosedError(Exception):
    """The worker was closed and takes no more jobs."""


class _Turn(IntEnum):
    """Which waiting jobs run first."""

    NEXT = 0
    PATIENT = 1
    END = 2  # the thread ends when nothing is left to do


class _Job:
    """A piece of work and the future of its caller."""

    __slots__ = ("abandoned", "future", "loop", "work")

    def __init__(self, work: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.work = work
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.abandoned = False  # its caller was told that it hangs, so it must not run later

    def finish(self, value: Any, error: BaseException | None) -> None:
        """Deliver the result, from the worker's thread. If the loop is closed by now, nobody is waiting for it."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._resolve, value, error)

    def _resolve(self, value: Any, error: BaseException | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(value)
        else:
            self.future.set_exception(error)


class Worker:
    """The thread and its queue. `limit` is in seconds for one blocking call; None means no limit."""

    def __init__(self, name: str, limit: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: queue.PriorityQueue[tuple[_Turn, int, _Job | None]] = queue.PriorityQueue()
        self._numbers = count()  # jobs of the same turn run in the order in which they came
        self._thread: threading.Thread | None = None
        self._running_since: float | None = None  # start of the current blocking call
        self._closed = False

    def heartbeat(self) -> None:
        """Restart the limit, from inside a job before each blocking call: it applies to one call, not to the whole job."""
        self._running_since = self._clock()

    async def run(self, work: Callable[[], T], *, patient: bool = False) -> T:
        """Run `work` in the thread and wait for it. A patient job lets those that are not go first, also later ones.

        Raises `HangingError` or `ClosedError`, or what `work` raised.
        """
        with self._lock:
            if self._closed:
                raise ClosedError
            if self._overdue():
                raise HangingError
            job = _Job(work, asyncio.get_running_loop())
            self._queue.put((_Turn.PATIENT if patient else _Turn.NEXT, next(self._numbers), job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name=self._name, daemon=True)
                self._thread.start()
        try:
            result: T = await self._result(job)
        except asyncio.CancelledError:
            job.future.cancel()
            raise
        return result

    async def _result(self, job: _Job) -> Any:
        while self._limit is not None:
            done, _ = await asyncio.wait({job.future}, timeout=self._time_left())
            if done:
                return job.future.result()
            with self._lock:
                if self._overdue():
                    job.abandoned = True  # without effect on the job that hangs: it runs to its end
                    job.future.cancel()
                    raise HangingError
        return await job.future

    def _overdue(self) -> bool:
        running_since = self._running_since
        return self._limit is not None and running_since is not None and self._clock() - running_since >= self._limit

    def _time_left(self) -> float | None:
        if self._limit is None:
            return None
        running_since = self._running_since
        return self._limit if running_since is None else max(self._limit - (self._clock() - running_since), 0.001)

    def _loop(self) -> None:
        while (job := self._queue.get()[2]) is not None:
            with self._lock:
                if job.abandoned:
                    continue
                self._running_since = self._clock()
            value, error = None, None
            try:
                value = job.work()
            except BaseException as raised:  # noqa: BLE001 - it belongs to the caller, not to this thread
                error = raised
            with self._lock:
                self._running_since = None
            job.finish(value, error)
            del job, value, error  # nothing of a login stays in this frame while the thread waits

    def end(self) -> None:
        """Take no more jobs; the thread ends after the queued ones."""
        with self._lock:
            self._closed = True
            self._queue.put((_Turn.END, next(self._numbers), None))

    async def close(self, patience: float = 2.0) -> bool:
        """Take no more jobs, finish the queued ones, end the thread; False if that took longer than `patience` seconds."""
        self.end()
        thread = self._thread
        if thread is None:
            return True
        await asyncio.to_thread(thread.join, patience)
        return not thread.is_alive()


async def run_alone(name: str, work: Callable[[], T], limit: float) -> T:
    """Run one job in a thread of its own, for what is asked too rarely to keep a thread. Raises `HangingError`."""
    worker = Worker(name, limit)
    try:
        return await worker.run(work)
    finally:
        worker.end()
