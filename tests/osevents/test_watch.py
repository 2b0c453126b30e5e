"""Merging all sources: which events come out, when the network is read, and how long a silent source is waited for."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.osevents.test_linux import until
from tests.osevents.test_network import WIFI
from tests.osevents.test_polling import HOME, FakeReader, moment
from trayapp.core.model import Moment
from trayapp.osevents import watch
from trayapp.osevents.events import (
    ClockStepped,
    NetworkChangeHint,
    NetworkState,
    OsEvent,
    PortalHint,
    SleepImminent,
    Source,
    WakeDetected,
)
from trayapp.osevents.network import NetworkSnapshot
from trayapp.osevents.polling import Polling
from trayapp.osevents.watch import AWAKE, Watch


class Pretend:
    """A source through which a test emits events."""

    def __init__(self, *, power: bool, live: bool = True) -> None:
        self.name = "power" if power else "plain"
        self.power = power
        self.network = not power
        self.live = live
        self.begun = 0
        self.error: Exception | None = None

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        self.begun += 1
        self.emit = emit
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()


class World:
    """A watch over fake clocks, a fake network and fake sources."""

    def __init__(self, *sources: Pretend) -> None:
        self.now = moment(0)
        self.network = FakeReader(WIFI)
        self.asked = 0
        self.watch = Watch(self._asked, lambda: self.now, Polling(self.network))
        self.sources = sources
        self.watch.poll(self.now)
        self._task: asyncio.Task[None] | None = None

    def _asked(self) -> None:
        self.asked += 1

    def at(self, at: float, *, slept: float = 0.0) -> list[OsEvent]:
        """Move the clocks to `at` and poll."""
        self.now = moment(at, slept=slept)
        return self.watch.poll(self.now)

    async def __aenter__(self) -> World:
        found: list[Source] = list(self.sources)
        self._task = asyncio.create_task(self.watch.run(found))
        await until(lambda: all(source.begun for source in self.sources))
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_a_burst_of_hints_makes_one_snapshot() -> None:
    """Ten hints request one poll, which reads the network however recent the last snapshot is, and finds the change."""

    kernel = Pretend(power=False)
    async with World(kernel) as world:
        world.network.snapshot = HOME
        for number in range(10):
            world.now = moment(1.0 + number / 100)
            kernel.emit(NetworkChangeHint())
        assert [] == world.at(1.1)  # not yet: more may come
        assert 1 == world.network.reads
        await asyncio.sleep(0.3)
        assert 1 == world.asked

        assert [NetworkState(False, digest=HOME.digest(), reasons=("default route", "addresses"))] == world.at(1.4)
        assert [] == world.at(1.5)


async def test_a_portal_is_remembered() -> None:
    """A portal hint changes nothing but `portal`; it outlasts a change of the network until it is taken back."""

    manager = Pretend(power=False)
    async with World(manager) as world:
        manager.emit(PortalHint(True))
        assert 1 == world.asked
        (told,) = world.at(1.0)
        assert isinstance(told, NetworkState)
        assert (False, True) == (told.offline, told.portal)

        world.network.snapshot = NetworkSnapshot()
        (told,) = world.at(30.0)
        assert isinstance(told, NetworkState)
        assert (True, True) == (told.offline, told.portal)

        manager.emit(PortalHint(False))
        (told,) = world.at(31.0)
        assert isinstance(told, NetworkState)
        assert (True, False) == (told.offline, told.portal)


async def test_sleep_and_wake_come_one_at_a_time() -> None:
    """Two sleeps and wakes in one batch take four polls: their order is not lost."""

    lid = Pretend(power=True)
    async with World(lid) as world:
        for event in (SleepImminent(), WakeDetected(), SleepImminent(), WakeDetected(3.0)):
            lid.emit(event)
        asked = world.asked

        told = [world.at(at) for at in (1.0, 1.1, 1.2, 1.3, 1.4)]
        assert [[SleepImminent()], [WakeDetected()], [SleepImminent()], [WakeDetected(3.0)], []] == told
        assert asked + 3 == world.asked


async def test_a_reported_wake_is_not_repeated_by_the_clocks() -> None:
    """The clocks show the same sleep in the same poll, and later."""

    lid = Pretend(power=True)
    async with World(lid) as world:
        lid.emit(WakeDetected(600.0))
        assert [WakeDetected(600.0)] == world.at(700.0, slept=600.0)
        assert [] == world.at(800.0, slept=600.0)


async def test_a_sleep_that_only_the_clocks_show_counts_after_a_minute_awake() -> None:
    """With a live power source: a maintenance wake ends sooner, and each new sleep restarts the minute."""

    lid = Pretend(power=True)
    async with World(lid) as world:
        assert [] == world.at(1000.0, slept=900.0)
        assert [] == world.at(1050.0, slept=900.0)  # 50 s awake
        assert [] == world.at(2000.0, slept=1840.0)  # and asleep again
        assert [] == world.at(2055.0, slept=1840.0)
        assert [WakeDetected()] == world.at(2000.0 + AWAKE, slept=1840.0)
        assert [] == world.at(2100.0, slept=1840.0)


async def test_a_missing_wake_after_an_announced_sleep() -> None:
    """The machine did not sleep, or its wake was not reported: after a minute awake the gate opens again."""

    lid = Pretend(power=True)
    async with World(lid) as world:
        lid.emit(SleepImminent())
        assert [SleepImminent()] == world.at(10.0)
        assert [] == world.at(10.0 + AWAKE - 1.0)
        assert [WakeDetected()] == world.at(10.0 + AWAKE)


async def test_a_reported_wake_ends_the_wait() -> None:
    """The clocks show it first, the report comes 0.5 s later: one wake, immediately."""

    lid = Pretend(power=True)
    async with World(lid) as world:
        assert [] == world.at(1000.0, slept=900.0)
        lid.emit(WakeDetected(900.0))
        assert [WakeDetected(900.0)] == world.at(1000.5, slept=900.0)
        assert [] == world.at(1100.0, slept=900.0)


async def test_without_power_events_the_clocks_count_immediately() -> None:
    """Without a live power source, a sleep that the clocks show is a wake now."""

    async with World(Pretend(power=True, live=False), Pretend(power=False)) as world:
        assert ("plain",) == world.watch.live
        assert not world.watch.power
        assert [WakeDetected(900.0)] == world.at(1000.0, slept=900.0)


async def test_a_wake_of_a_lesser_source_waits_for_the_power_source() -> None:
    """The kernel's timer counts when it is alone; beside a live power source it has to wait like the clocks."""

    lid, timer = Pretend(power=True), Pretend(power=False)
    async with World(lid, timer) as world:
        timer.emit(WakeDetected(2.0))
        assert [] == world.at(1.0)
        assert [WakeDetected()] == world.at(1.0 + AWAKE)
        lid.live = False
        timer.emit(WakeDetected(2.0))
        assert [WakeDetected(2.0)] == world.at(100.0)


async def test_a_clock_step_is_reported_immediately() -> None:
    """Even beside a live power source."""

    timer = Pretend(power=False)
    async with World(timer, Pretend(power=True)) as world:
        timer.emit(ClockStepped(-3600.0))
        assert [ClockStepped(-3600.0)] == world.at(1.0)


async def test_a_source_that_ends_is_restarted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A limited number of times, with pauses; the reason is logged once, and the others keep running."""

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(watch, "RESTART_PAUSES", (0.0, 0.0))
    ends, other = Pretend(power=True, live=False), Pretend(power=False)
    ends.error = OSError("there is no system bus to be reached")
    async with World(ends, other):
        await asyncio.sleep(0.05)
        assert (3, 1) == (ends.begun, other.begun)
    assert 1 == caplog.text.count("power is not heard: there is no system bus to be reached; looking takes its place")


async def test_a_source_with_a_bug_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its traceback is in the log (M13)."""

    monkeypatch.setattr(watch, "RESTART_PAUSES", ())
    ends, other = Pretend(power=True, live=False), Pretend(power=False)
    ends.error = ZeroDivisionError("a bug")
    async with World(ends, other) as world:
        await asyncio.sleep(0.05)
        other.emit(ClockStepped(9.0))
        assert [ClockStepped(9.0)] == world.at(1.0)
    assert "a bug" in caplog.text


async def test_a_source_that_lasted_gets_all_its_restarts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bus that is restarted once a day does not use up the restarts."""

    monkeypatch.setattr(watch, "RESTART_PAUSES", (0.0,))
    source = Pretend(power=True)
    ages = itertools.count(0, 100)  # the poll asks too, as often as the machine is slow

    def now() -> Moment:
        return replace(moment(0), awake=float(next(ages)))

    source.error = OSError("restarted")
    listening = asyncio.create_task(Watch(lambda: None, now, Polling(FakeReader(WIFI))).run([source]))
    await until(lambda: source.begun >= 10)
    assert not listening.done()
    listening.cancel()
    (end,) = await asyncio.gather(listening, return_exceptions=True)
    assert isinstance(end, asyncio.CancelledError)
