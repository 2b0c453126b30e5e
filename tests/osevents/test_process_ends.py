"""What the kernel reports of other processes' ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from trayapp.osevents import process_ends
from trayapp.osevents.process_ends import ProcessEnds

LIMIT = 10.0  # s


def child() -> subprocess.Popen[bytes]:
    """A process that runs until its standard input is closed."""
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(LIMIT)


class Ended(asyncio.Event):
    """How often something ended."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def set(self) -> None:
        self.times += 1
        super().set()

    async def once(self) -> None:
        """Wait for the first, and see that none follows."""
        await asyncio.wait_for(self.wait(), LIMIT)
        await asyncio.sleep(0.05)
        assert 1 == self.times


@pytest.mark.linux("pidfd_open")
async def test_an_end_is_reported_once() -> None:
    """Of the process that ends, not of the other one; no descriptor is left."""

    before = set(os.listdir("/proc/self/fd"))
    first, second, ended = child(), child(), Ended()
    ends = ProcessEnds(ended.set)
    try:
        assert ends.watch({first.pid, second.pid})
        await asyncio.sleep(0.05)
        assert 0 == ended.times
        end(first)
        await ended.once()
        assert ends.watch({first.pid, second.pid})
        await asyncio.sleep(0.05)
        assert 1 == ended.times
    finally:
        ends.close()
        end(second)
    assert before >= set(os.listdir("/proc/self/fd"))


@pytest.mark.linux("pidfd_open")
async def test_one_that_has_ended_already_is_reported_once() -> None:
    """Not with every call that names it, and again when it was forgotten meanwhile."""

    gone, ended = child(), Ended()
    end(gone)
    ends = ProcessEnds(ended.set)
    assert ends.watch({gone.pid})
    await ended.once()
    assert ends.watch({gone.pid})
    await asyncio.sleep(0.05)
    assert 1 == ended.times
    assert ends.watch(())
    assert ends.watch({gone.pid})
    await asyncio.sleep(0.05)
    assert 2 == ended.times
    ends.close()


@pytest.mark.linux("pidfd_open")
async def test_what_is_not_watched_any_more_is_not_reported() -> None:
    """Nor after the end."""

    process, ended = child(), Ended()
    ends = ProcessEnds(ended.set)
    assert ends.watch({process.pid})
    assert ends.watch(())
    end(process)
    await asyncio.sleep(0.05)
    ends.close()
    ends.close()
    assert 0 == ended.times


@pytest.mark.linux("pidfd_open")
async def test_more_than_a_few_hundred_are_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a descriptor; the caller is told, and looks by time."""

    monkeypatch.setattr(process_ends, "MOST", 1)
    first, second = child(), child()
    ends = ProcessEnds(lambda: None)
    assert ends.watch({first.pid})
    assert not ends.watch({first.pid, second.pid})
    assert 1 == len(ends._descriptors)
    ends.close()
    end(first)
    end(second)


@pytest.mark.linux("pidfd_open")
@pytest.mark.parametrize("process", [-1, 0, 1 << 40])
async def test_a_number_that_no_process_has(process: int) -> None:
    """It isn't reported, which the caller is told; nothing is raised."""

    ends = ProcessEnds(lambda: None)
    assert not ends.watch({process})
    ends.close()


async def test_other_systems_report_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the caller looks by time."""

    monkeypatch.setattr(sys, "platform", "darwin")
    ends = ProcessEnds(lambda: None)
    assert not ends.watch({os.getpid()})
    assert ends.watch(())
    ends.close()
