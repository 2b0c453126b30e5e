"""The worker thread: what waits for what."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from trayapp.system.worker import ClosedError, Worker


class Bench:
    """A worker whose first job holds the thread until `go`; every other job notes its name."""

    def __init__(self) -> None:
        self.worker = Worker("bench")
        self.done: list[str] = []
        self.go = threading.Event()

    def job(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)

    async def hold(self) -> asyncio.Task[bool]:
        begun = threading.Event()

        def work() -> bool:
            begun.set()
            return self.go.wait(10)

        task = asyncio.create_task(self.worker.run(work))
        assert await asyncio.to_thread(begun.wait, 10)
        return task


async def test_a_patient_job_lets_the_others_go_first() -> None:
    """Also those that came later; each kind keeps its order, and the job that runs is not interrupted."""

    bench = Bench()
    jobs = [await bench.hold()]
    for name, patient in (("read 1", True), ("write 1", False), ("read 2", True), ("write 2", False)):
        jobs.append(asyncio.create_task(bench.worker.run(bench.job(name), patient=patient)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
    bench.go.set()
    await asyncio.gather(*jobs)

    assert ["write 1", "write 2", "read 1", "read 2"] == bench.done
    assert await bench.worker.close()


async def test_closing_finishes_everything_that_waits() -> None:
    """Patient jobs too; a later one is refused."""

    bench = Bench()
    jobs = [await bench.hold()]
    for name, patient in (("read", True), ("write", False)):
        jobs.append(asyncio.create_task(bench.worker.run(bench.job(name), patient=patient)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
    closing = asyncio.create_task(bench.worker.close())
    await asyncio.sleep(0)
    with pytest.raises(ClosedError):
        await bench.worker.run(bench.job("late"))
    bench.go.set()

    assert await closing
    await asyncio.gather(*jobs)
    assert ["write", "read"] == bench.done
