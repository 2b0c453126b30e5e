"""The Linux kernel sources, rtnetlink and timerfd, on real descriptors where that is possible."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable

import pytest

from tests import ROOT
from tests.osevents.test_polling import UNSHARE, require_namespace
from trayapp.osevents import linux, rtnetlink, timerfd
from trayapp.osevents.events import ClockStepped, NetworkChangeHint, OsEvent, Source, WakeDetected
from trayapp.osevents.sources import native_sources

pytestmark = pytest.mark.linux("rtnetlink and timerfd")

LIMIT = 5.0  # s


@contextlib.asynccontextmanager
async def heard(source: Source) -> AsyncIterator[list[OsEvent]]:
    """The events of a source that runs while the context lasts."""
    told: list[OsEvent] = []
    task = asyncio.create_task(source.run(told.append))
    async with asyncio.timeout(LIMIT):
        while not source.live:
            assert not task.done(), task.exception()
            await asyncio.sleep(0)
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while True:
            if holds():
                return
            await asyncio.sleep(0.002)


def test_linux_has_four_sources() -> None:
    """They are imported by name, lazily, and creating one needs nothing but this machine."""

    found = native_sources("linux")

    assert [linux.RtNetlink, linux.Logind, linux.Timerfd, linux.NetworkManager] == [type(source) for source in found]
    assert ["logind"] == [source.name for source in found if source.power]
    assert not any(source.live for source in found)


@pytest.mark.parametrize("backend", [linux.RtNetlink, linux.Logind, linux.Timerfd, linux.NetworkManager])
def test_linux_sources_are_refused_elsewhere(monkeypatch: pytest.MonkeyPatch, backend: Callable[[], Source]) -> None:
    """On another system none can be created, and the error is a sentence."""

    monkeypatch.setattr(sys, "platform", "plan9")

    with pytest.raises(OSError, match="Linux"):
        backend()


# --- rtnetlink -------------------------------------------------------------------------------------------------------

STORY = """
import asyncio, subprocess
from trayapp.osevents.rtnetlink import RtNetlink

async def main():
    told = []
    task = asyncio.create_task(RtNetlink().run(told.append))
    for command in ("", "link set lo up", "address add 10.0.0.1/32 dev lo", "route add blackhole 10.1.0.0/16",
                    "-6 address add fd00::1/128 dev lo", "-6 route add blackhole fd01::/64", "link set lo down"):
        told.clear()
        if command:
            done = await asyncio.create_subprocess_exec("ip", *command.split())
            assert await done.wait() == 0
        for _ in range(200):
            if told:
                break
            await asyncio.sleep(0.01)
        print(f"{command or 'start'}: {'heard' if told else 'silence'}")
    task.cancel()

asyncio.run(main())
"""


@pytest.mark.desktop
def test_the_kernel_reports_links_addresses_and_routes() -> None:
    """Each kind of change in a real namespace makes a hint, without any privilege in the socket; so does the start."""

    require_namespace()
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-c", STORY], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert 0 == done.returncode, done.stderr
    assert 7 == len(done.stdout.splitlines())
    assert "silence" not in done.stdout


class Kernel:
    """A socket whose reads give these errno codes (0: a message), then nothing more."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)

    def recv(self, size: int) -> bytes:
        if not self.answers:
            raise BlockingIOError
        if code := self.answers.pop(0):
            raise OSError(code, os.strerror(code))
        return b"something"


def test_lost_messages_are_a_change() -> None:
    """ENOBUFS counts as a message, and the rest is read."""

    kernel = Kernel(0, errno.ENOBUFS, 0)

    rtnetlink.drain(kernel)  # type: ignore[arg-type]

    assert [] == kernel.answers


def test_any_other_failure_ends_the_source() -> None:
    """Without a working socket there is nothing to wait for; polling continues alone."""

    with pytest.raises(OSError, match="Bad file"):
        rtnetlink.drain(Kernel(errno.EBADF))  # type: ignore[arg-type]


async def test_a_failing_socket_ends_the_source_with_oserror(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the socket fails, `run` raises OSError and the source is no longer live."""

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    monkeypatch.setattr(socket.socket, "bind", lambda self, address: None)
    monkeypatch.setattr(socket, "socket", lambda *how: ours)

    def broken(kernel: socket.socket) -> None:
        raise OSError(errno.ENODEV, "gone")

    source = rtnetlink.RtNetlink()
    told: list[OsEvent] = []
    task = asyncio.create_task(source.run(told.append))
    await until(lambda: source.live)
    monkeypatch.setattr(rtnetlink, "drain", broken)
    theirs.send(b"x")

    with theirs, pytest.raises(OSError, match="gone"):
        await asyncio.wait_for(task, LIMIT)
    assert not source.live
    assert [NetworkChangeHint()] == told


# --- timerfd ---------------------------------------------------------------------------------------------------------


async def test_a_timer_that_never_fires_is_silent() -> None:
    """Armed for the distant future, it is live and emits nothing."""

    async with heard(linux.Timerfd()) as told:
        await asyncio.sleep(0.05)
    assert [] == told


class Cancelled:
    """`os.read` of a timer that was cancelled `times` times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def __call__(self, descriptor: int, size: int) -> bytes:
        if self.times == 0:
            raise BlockingIOError
        self.times -= 1
        raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))


@pytest.mark.parametrize(
    ("asleep", "stepped", "event"),
    [(0.0, 3600.0, ClockStepped(3600.0)), (120.0, 0.0, WakeDetected(120.0)), (0.2, 0.0, WakeDetected(0.2))],
)
async def test_what_a_cancelled_read_means(
    monkeypatch: pytest.MonkeyPatch, asleep: float, stepped: float, event: OsEvent
) -> None:
    """The clocks tell a resume from a step of the clock, however short the sleep was; the timer is armed again."""

    clocks = {time.CLOCK_BOOTTIME: 1000.0, time.CLOCK_MONOTONIC: 900.0}
    wall = 1.8e9
    armed: list[float] = []
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    monkeypatch.setattr(time, "time", lambda: wall)
    monkeypatch.setattr(timerfd, "arm", lambda timer, at: armed.append(at))
    monkeypatch.setattr(os, "read", Cancelled(1))
    source = timerfd.Timerfd()
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    told: list[OsEvent] = []
    source._rearm(7)
    clocks[time.CLOCK_BOOTTIME] += asleep
    wall += asleep + stepped

    source._on_readable(7, told.append, ended)
    source._on_readable(7, told.append, ended)  # nothing more to read

    (said,) = told
    assert type(event) is type(said)
    assert vars_of(event) == pytest.approx(vars_of(said), abs=1e-3)
    assert 2 == len(armed)
    assert not ended.done()


def vars_of(event: OsEvent) -> float:
    """The event's one number."""
    return event.slept if isinstance(event, WakeDetected) else event.by  # type: ignore[union-attr]


async def test_a_timer_whose_read_fails_ends_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that fails for any other reason makes the source raise OSError."""

    source = timerfd.Timerfd()
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    source._on_readable(-1, lambda event: None, ended)

    with pytest.raises(OSError, match="Bad file"):
        await ended


@pytest.mark.parametrize(
    "newer", [pytest.param(True, marks=pytest.mark.skipif(sys.version_info < (3, 13), reason="3.13")), False]
)
async def test_a_real_step_of_the_clock_cancels_it(monkeypatch: pytest.MonkeyPatch, newer: bool) -> None:
    """Setting the wall clock to its own time is enough for the kernel; only root may do it."""

    if not newer and sys.version_info >= (3, 13):
        monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    async with heard(linux.Timerfd()) as told:
        if not set_clock_to_now():
            pytest.skip("nobody here may set the clock")
        await until(lambda: told)
    assert isinstance(told[0], ClockStepped)
    assert 0.5 > abs(told[0].by)


def set_clock_to_now() -> bool:
    """Set the clock to its own time by clock_settime(2); False if that is not permitted."""
    try:
        time.clock_settime(time.CLOCK_REALTIME, time.time())
    except OSError:
        return False
    return True


def test_a_c_library_without_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old or minimal C library causes an OSError with a sentence, not an AttributeError."""

    monkeypatch.setattr(ctypes, "CDLL", lambda *how, **more: object())

    with pytest.raises(OSError, match="has no timerfd_create"):
        timerfd._libc_function("timerfd_create")
