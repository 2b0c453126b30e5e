"""The logind and NetworkManager sources against fakes of both services on a private bus."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio.message_bus import MessageBus

from tests.osevents.test_linux import heard, until
from tests.tray.bus import Bus, private_bus
from trayapp.osevents import linux, logind, networkmanager
from trayapp.osevents.events import OsEvent, PortalHint, SleepImminent, WakeDetected

pytestmark = pytest.mark.linux("logind and NetworkManager")

LIMIT = 5.0  # s


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    """A system bus of this test's own."""
    with private_bus() as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield bus


class Service:
    """What both fake services share: a name on the bus, replies, signals."""

    name = path = ""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @contextlib.asynccontextmanager
    async def on(self, bus: Bus) -> AsyncIterator[Service]:
        """Run on the bus until the context ends."""
        self._bus = MessageBus(bus_address=bus.address, negotiate_unix_fd=True)
        await self._bus.connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name(self.name)
        try:
            yield self
        finally:
            self._bus.disconnect()
            with contextlib.suppress(Exception):
                await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    def signal(self, interface: str, member: str, signature: str, *body: object) -> None:
        self._bus.send(Message.new_signal(self.path, interface, member, signature, list(body)))

    def _answer(self, call: Message) -> Message | None:
        if call.message_type is not MessageType.METHOD_CALL or call.destination not in (
            self.name,
            self._bus.unique_name,
        ):
            return None
        self.asked.append(call.member or "")
        return self.answer(call)

    def answer(self, call: Message) -> Message | None:
        raise NotImplementedError


class Login1(Service):
    """A fake logind. `refuse` is the error with which it answers `Inhibit`."""

    name, path = logind.NAME, logind.PATH

    def __init__(self, refuse: str = "") -> None:
        super().__init__()
        self.refuse = refuse
        self.inhibit_calls: list[list[str]] = []
        self.locks: list[int] = []  # the end of each pipe that becomes readable on release

    def answer(self, call: Message) -> Message | None:
        self.inhibit_calls.append(call.body)
        if self.refuse:
            return Message.new_error(call, self.refuse, "no")
        ours, theirs = os.pipe()
        self.locks.append(ours)
        asyncio.get_running_loop().call_later(0.2, os.close, theirs)
        return Message.new_method_return(call, "h", [0], [theirs])

    def prepare(self, asleep: bool) -> None:
        self.signal(logind.MANAGER, logind.SIGNAL, "b", asleep)

    def held(self, number: int) -> bool:
        """Whether that lock has not been released yet."""
        return not select.select([self.locks[number]], [], [], 0)[0]

    def close(self) -> None:
        for lock in self.locks:
            os.close(lock)


@pytest.fixture
def login1() -> Iterator[Login1]:
    found = Login1()
    yield found
    found.close()


# --- logind ----------------------------------------------------------------------------------------------------------


@pytest.mark.alone
async def test_the_lock_is_held_through_each_sleep(bus: Bus, login1: Login1) -> None:
    """The lock is taken immediately, held until `done`, and taken again after the wake; it is a delay lock on sleep only."""

    async with login1.on(bus), heard(linux.Logind()) as told:
        await until(lambda: login1.locks)
        login1.prepare(True)
        await until(lambda: told)
        (soon,) = told
        assert isinstance(soon, SleepImminent)
        await asyncio.sleep(0.3)  # logind has closed its own copy by then
        assert login1.held(0)

        soon.done()
        await until(lambda: not login1.held(0))
        login1.prepare(False)
        await until(lambda: len(told) == 2 and len(login1.locks) == 2)
        soon.done()  # late, and once more: this lock is not its own
        assert login1.held(1)
        woke = told[1]
        assert isinstance(woke, WakeDetected)
        assert 1.0 > woke.slept >= 0.0
        assert [list(logind.INHIBIT_ARGUMENTS)] * 2 == login1.inhibit_calls
        assert ("sleep", "delay") == (logind.INHIBIT_ARGUMENTS[0], logind.INHIBIT_ARGUMENTS[3])
    await until(lambda: not login1.held(1))


async def test_a_lock_that_is_held_is_not_taken_again(bus: Bus, login1: Login1) -> None:
    """A wake without a sleep: a second lock would never be released, and delay every sleep until we quit."""

    source = linux.Logind()
    async with login1.on(bus), heard(source) as told:
        await until(lambda: login1.locks)
        login1.prepare(False)
        login1.prepare(False)
        login1.prepare(True)
        await until(lambda: len(told) == 3)
        assert [WakeDetected, WakeDetected, SleepImminent] == [type(event) for event in told]
        assert 1 == len(login1.inhibit_calls)
        assert login1.held(0)

        told[2].done()  # type: ignore[union-attr]
        await asyncio.sleep(0.25)  # the fake closes its own copy
        assert not login1.held(0)
        login1.prepare(False)
        await until(lambda: len(login1.locks) == 2)
    await until(lambda: not login1.held(1))
    assert 2 == len(login1.inhibit_calls)
    assert not source.live


async def test_a_sleep_that_is_called_off_keeps_its_own_lock(bus: Bus, login1: Login1) -> None:
    """The wake takes the next lock meanwhile; `done` releases the first one only, however often it is called."""

    async with login1.on(bus), heard(linux.Logind()) as told:
        await until(lambda: login1.locks)
        login1.prepare(True)
        login1.prepare(False)
        await until(lambda: len(login1.locks) == 2)
        await asyncio.sleep(0.25)  # the fake closes its own copies
        assert [True, True] == [login1.held(0), login1.held(1)]
        for _ in (1, 2):
            told[0].done()  # type: ignore[union-attr]
            assert [False, True] == [login1.held(0), login1.held(1)]

        login1.prepare(True)
        await until(lambda: len(told) == 3)
        assert login1.held(1)
        told[2].done()  # type: ignore[union-attr]
        assert not login1.held(1)


async def test_a_wake_says_how_long_the_machine_slept(
    bus: Bus, login1: Login1, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the boot clock has gained on the monotonic one between the two signals; never less than nothing."""

    clocks = {time.CLOCK_BOOTTIME: 1000.0, time.CLOCK_MONOTONIC: 900.0}
    monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
    async with login1.on(bus), heard(linux.Logind()) as told:
        for gained, slept in ((60.0, 60.0), (-1.0, 0.0)):
            told.clear()
            login1.prepare(True)
            await until(lambda: told)
            clocks[time.CLOCK_BOOTTIME] += gained
            login1.prepare(False)
            await until(lambda: len(told) == 2)
            assert WakeDetected(slept) == told[1]
    assert 159.0 == logind.seconds_asleep()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert 0.0 == logind.seconds_asleep()


async def test_child_processes_do_not_inherit_the_lock(bus: Bus, login1: Login1) -> None:
    """A program that we start cannot delay a sleep."""

    source = linux.Logind()
    async with login1.on(bus), heard(source):
        await until(lambda: source._lock is not None)
        assert source._lock is not None
        assert source._lock._descriptor is not None
        assert not os.get_inheritable(source._lock._descriptor)


async def test_a_refused_lock_is_logged_once(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """Sleep and wake are still reported; the sentence says what is lost."""

    caplog.set_level(logging.INFO)
    service = Login1("org.freedesktop.DBus.Error.AccessDenied")
    async with service.on(bus), heard(linux.Logind()) as told:
        for night in (1, 2):
            service.prepare(True)
            service.prepare(False)
            await until(lambda night=night: len(told) == 2 * night and len(service.inhibit_calls) == night + 1)  # type: ignore[misc]
        told[0].done()  # type: ignore[union-attr]
    assert [SleepImminent, WakeDetected] * 2 == [type(event) for event in told]
    (sentence,) = [r.getMessage() for r in caplog.records if "logind" in r.getMessage()]
    assert "does not allow delaying sleep" in sentence
    assert "AccessDenied" in sentence


async def test_logind_that_starts_later_is_used(bus: Bus, login1: Login1, caplog: pytest.LogCaptureFixture) -> None:
    """Its absence is logged first."""

    caplog.set_level(logging.INFO)
    source = linux.Logind()
    task = asyncio.create_task(source.run(lambda event: None))
    await until(lambda: "logind is not there" in caplog.text)
    assert not source.live
    async with login1.on(bus):
        await until(lambda: source.live and login1.locks)
    await until(lambda: not source.live)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_logind_ends_while_the_machine_is_about_to_sleep(bus: Bus, login1: Login1) -> None:
    """The wake can't be reported any more, so its end counts as one; it is not reported twice."""

    source = linux.Logind()
    told: list[OsEvent] = []
    task = asyncio.create_task(source.run(told.append))
    async with login1.on(bus):
        await until(lambda: login1.locks)
        login1.prepare(True)
        await until(lambda: told)
    await until(lambda: len(told) == 2)
    assert isinstance(told[1], WakeDetected)
    assert not source.live
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert 2 == len(told)


@pytest.mark.parametrize("backend", [linux.Logind, linux.NetworkManager])
async def test_the_end_of_the_bus_ends_the_source(
    bus: Bus, login1: Login1, backend: type[linux.Logind] | type[linux.NetworkManager]
) -> None:
    """It raises OSError with a sentence."""

    source = backend()
    async with login1.on(bus):
        task = asyncio.create_task(source.run(lambda event: None))
        await until(lambda: login1.locks or backend is linux.NetworkManager)
        await asyncio.sleep(0.05)
        bus.stop()
        with pytest.raises(OSError, match="the system bus closed the connection"):
            await asyncio.wait_for(task, LIMIT)
    assert not source.live


@pytest.mark.parametrize("backend", [linux.Logind, linux.NetworkManager])
async def test_without_a_system_bus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: Callable[[], linux.Logind | linux.NetworkManager]
) -> None:
    """In a container or on a minimal machine the error is one sentence."""

    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'nowhere'}")

    with pytest.raises(OSError, match="can't reach the system bus"):
        await backend().run(lambda event: None)


# --- NetworkManager --------------------------------------------------------------------------------------------------


class Nm(Service):
    """A fake NetworkManager with its `Connectivity`."""

    name, path = networkmanager.NAME, networkmanager.PATH

    def __init__(self, opinion: int) -> None:
        super().__init__()
        self.opinion = opinion

    def answer(self, call: Message) -> Message | None:
        assert [networkmanager.NAME, "Connectivity"] == call.body
        return Message.new_method_return(call, "v", [Variant("u", self.opinion)])

    def change(self, **properties: int) -> None:
        changed = {name: Variant("u", value) for name, value in properties.items()}
        self.signal(networkmanager.PROPERTIES, "PropertiesChanged", "sa{sv}as", networkmanager.NAME, changed, [])


async def test_a_portal_comes_and_goes(bus: Bus) -> None:
    """Only a change of its portal verdict is an event; other properties and other states are not."""

    service = Nm(4)
    async with service.on(bus), heard(linux.NetworkManager()) as told:
        service.change(State=70)
        service.change(Connectivity=3)
        service.change(Connectivity=2)
        service.change(Connectivity=2)
        service.change(Connectivity=4)
        service.change(Connectivity=2)
        await until(lambda: len(told) == 3)
    assert [
        PortalHint(True),
        PortalHint(False),
        PortalHint(True),
        PortalHint(False),
    ] == told  # the end of the source takes the hint back


async def test_a_portal_that_is_there_at_the_start(bus: Bus) -> None:
    """The verdict is asked for once; when NetworkManager stops, the hint is taken back."""

    service = Nm(2)
    source = linux.NetworkManager()
    told: list[OsEvent] = []
    task = asyncio.create_task(source.run(told.append))
    async with service.on(bus):
        await until(lambda: told)
    await until(lambda: len(told) == 2)
    assert [PortalHint(True), PortalHint(False)] == told
    assert not source.live
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_no_networkmanager_is_silence(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """Many machines have none: no event, no log line."""

    caplog.set_level(logging.DEBUG, "trayapp")
    told: list[OsEvent] = []
    task = asyncio.create_task(linux.NetworkManager().run(told.append))
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [] == told
    assert "" == caplog.text
