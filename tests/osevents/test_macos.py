"""Sleep and wake of macOS without a Mac: recorded messages in, events and replies out."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import threading
import time
from collections.abc import Callable

import pytest

from tests.osevents.listening import Heard, listening, until
from trayapp.core.model import Moment
from trayapp.osevents.events import OsEvent, SleepImminent, WakeDetected
from trayapp.osevents.macos import MacNetwork, MacPower
from trayapp.osevents.macos_iokit import load_iokit
from trayapp.osevents.network import NetworkSnapshot
from trayapp.osevents.polling import Polling
from trayapp.osevents.watch import Watch

CAN_SLEEP, WILL_SLEEP, WILL_NOT_SLEEP, WILL_POWER_ON, POWERED_ON = (
    0xE0000270,
    0xE0000280,
    0xE0000290,
    0xE0000320,
    0xE0000300,
)
EVERYTHING, DARK = 0x1F, 0x19  # CPU, video, audio, network, disk; CPU, network, disk


def test_elsewhere_it_is_refused_with_a_sentence() -> None:
    """The modules import on every system; only creating a source of another system fails."""

    if sys.platform == "darwin":
        pytest.skip("this is a Mac")
    with pytest.raises(OSError, match="macOS"):
        MacNetwork()
    with pytest.raises(OSError, match="Apple"):
        MacPower()
    with pytest.raises(OSError, match="Apple"):
        load_iokit()


class Machine:
    """A fake Mac behind `PowerCalls`. Wrong order, wrong thread or a second reply to one message is a failure."""

    def __init__(self, powered: int | None = EVERYTHING, *, refuses: bool = False) -> None:
        self.powered = powered
        self.refuses = refuses
        self.allowed: list[tuple[int, float]] = []
        self.asked: set[int] = set()
        self.on_message: Callable[[int, int], None] | None = None
        self.said: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self.calls: list[str] = []
        self.thread: threading.Thread | None = None
        self.deaf_to_stops = 0

    def say(self, message: int, argument: int = 0) -> None:
        """IOKit sends a message."""
        if message in (CAN_SLEEP, WILL_SLEEP):
            self.asked.add(argument)
        self.said.put((message, argument))

    def register(self, on_message: Callable[[int, int], None]) -> None:
        if self.refuses:
            raise OSError("IORegisterForSystemPower was refused")
        self.thread = threading.current_thread()
        assert self.thread is not threading.main_thread()
        self.on_message = on_message
        self.calls.append("register")

    def listen(self) -> None:
        assert self.thread is threading.current_thread()
        assert self.on_message is not None
        self.calls.append("listen")
        while (said := self.said.get()) is not None:
            self.on_message(*said)

    def stop(self) -> None:
        if self.deaf_to_stops:
            self.deaf_to_stops -= 1
        else:
            self.said.put(None)

    def unregister(self) -> None:
        assert self.thread is threading.current_thread()
        self.calls.append("unregister")

    def allow(self, argument: int) -> None:
        assert argument in self.asked, f"nobody asked {argument}, or it was answered already"
        self.asked.remove(argument)
        self.allowed.append((argument, time.monotonic()))

    def capabilities(self) -> int | None:
        return self.powered

    def prevent_app_nap(self) -> Callable[[], None]:
        self.calls.append("punctual")
        return lambda: self.calls.append("nap")


async def test_sleep_is_allowed_by_done_and_wake_is_reported() -> None:
    """The lid closes, the engine calls `done`, the lid opens: two events, on the loop's own thread."""

    machine = Machine()
    async with listening(MacPower(machine)) as heard:
        machine.say(WILL_SLEEP, 0x1234)
        (sleep,) = await heard.until(1)
        assert isinstance(sleep, SleepImminent)
        assert machine.allowed == []
        sleep.done()
        sleep.done()
        assert [argument for argument, _ in machine.allowed] == [0x1234]
        machine.say(WILL_POWER_ON)
        machine.say(POWERED_ON)

        assert [SleepImminent(), WakeDetected()] == await heard.until(2)
        assert {threading.current_thread()} == heard.threads
    assert ["register", "punctual", "listen", "unregister", "nap"] == machine.calls


async def test_idle_sleep_is_allowed_immediately() -> None:
    """`CanSystemSleep` is a question of policy: allowed without an event."""

    machine = Machine()
    async with listening(MacPower(machine)) as heard:
        machine.say(CAN_SLEEP, 7)
        await until(lambda: bool(machine.allowed))
        machine.say(WILL_NOT_SLEEP)
        machine.say(POWERED_ON)

        assert [WakeDetected()] == await heard.until(1)


async def test_a_sleep_that_is_called_off() -> None:
    """A cancelled sleep is reported as a wake."""

    machine = Machine()
    async with listening(MacPower(machine)) as heard:
        machine.say(WILL_SLEEP, 1)
        machine.say(WILL_NOT_SLEEP)

        assert [SleepImminent(), WakeDetected()] == await heard.until(2)


async def test_a_stuck_engine_delays_sleep_only_to_the_limit() -> None:
    """After the limit the sleep is allowed, even while the loop itself is stuck, and a late `done` changes nothing."""

    machine = Machine()
    async with listening(MacPower(machine, hold=0.05)) as heard:
        machine.say(WILL_SLEEP, 42)
        began = time.monotonic()
        while not machine.allowed and time.monotonic() - began < 2.0:
            time.sleep(0.005)  # noqa: ASYNC251 the loop is stuck here, and that is the point

        ((argument, at),) = machine.allowed
        assert argument == 42
        assert 0.0 < at - began < 1.0
        (sleep,) = await heard.until(1)
        assert isinstance(sleep, SleepImminent)
        sleep.done()
        assert len(machine.allowed) == 1


async def test_each_sleep_is_allowed_by_its_own_done() -> None:
    """A late `done` of the last sleep does not allow the next one."""

    machine = Machine()
    async with listening(MacPower(machine, hold=5.0)) as heard:
        machine.say(WILL_SLEEP, 1)
        machine.say(POWERED_ON)
        machine.say(WILL_SLEEP, 2)
        first, _, second = await heard.until(3)
        assert isinstance(first, SleepImminent)
        assert isinstance(second, SleepImminent)
        first.done()
        assert [1] == [argument for argument, _ in machine.allowed]
        second.done()
        assert [1, 2] == [argument for argument, _ in machine.allowed]


async def test_ending_lets_the_machine_sleep() -> None:
    """Quitting while a sleep is delayed allows it, and reports a wake."""

    machine = Machine()
    async with listening(MacPower(machine, hold=5.0)) as heard:
        machine.say(WILL_SLEEP, 3)
        await heard.until(1)

    assert [3] == [argument for argument, _ in machine.allowed]
    assert [SleepImminent(), WakeDetected()] == heard.events


async def test_a_message_after_the_end() -> None:
    """A callback that runs while we unregister gets its reply and emits nothing."""

    machine = Machine()
    async with listening(MacPower(machine)) as heard:
        pass
    machine.asked |= {8, 9}
    on_message = machine.on_message
    assert on_message is not None

    def say() -> None:
        for said in ((WILL_SLEEP, 8), (CAN_SLEEP, 9), (POWERED_ON, 0)):
            on_message(*said)

    late = threading.Thread(target=say)
    late.start()
    late.join()
    await asyncio.sleep(0)

    assert [8, 9] == [argument for argument, _ in machine.allowed]
    assert [] == heard.events


async def test_a_refusal_is_an_oserror() -> None:
    """Where IOKit refuses, the source raises OSError with a sentence and never becomes live."""

    machine = Machine(refuses=True)
    source = MacPower(machine)
    with pytest.raises(OSError, match="IORegisterForSystemPower"):
        await asyncio.wait_for(source.run(Heard()), 2.0)

    assert not source.live
    assert [] == machine.calls


async def test_a_port_that_closes_is_an_oserror() -> None:
    """A run loop that ends unasked means that no message will come any more."""

    machine = Machine()
    source = MacPower(machine)
    running = asyncio.create_task(source.run(Heard()))
    await until(lambda: source.live)
    machine.said.put(None)
    with pytest.raises(OSError, match="closed"):
        await asyncio.wait_for(running, 2.0)

    assert machine.calls.count("unregister") == 1


async def test_a_run_loop_that_misses_the_first_stop() -> None:
    """A stop that comes before the run loop has begun is repeated until it takes effect."""

    machine = Machine()
    machine.deaf_to_stops = 2
    async with listening(MacPower(machine)):
        pass

    assert machine.thread is not None
    assert not machine.thread.is_alive()


async def test_dark_wake() -> None:
    """Started while the video hardware is off, the machine counts as asleep until `SystemHasPoweredOn`."""

    machine = Machine(DARK)
    source = MacPower(machine)
    async with listening(source) as heard:
        assert [SleepImminent()] == await heard.until(1)
        assert source.in_dark_wake()
        machine.powered = EVERYTHING
        assert not source.in_dark_wake()
        machine.say(POWERED_ON)
        assert [SleepImminent(), WakeDetected()] == await heard.until(2)


async def test_a_long_dark_wake_is_not_taken_for_a_person() -> None:
    """Ten minutes of maintenance count as sleep; once fully powered without a message, a minute awake is enough.

    A machine that stays in DarkWake for longer than any maintenance counts as in use.
    """

    machine, clock = Machine(DARK), [0.0]

    def watch_now() -> Moment:
        return Moment(clock[0], clock[0], clock[0])

    requests: list[float] = []  # for a poll, by the time of the clock
    watch = Watch(lambda: requests.append(clock[0]), watch_now, Polling(NetworkSnapshot))
    listening_task = asyncio.create_task(watch.run([MacPower(machine)]))
    await until(lambda: watch.power)

    def told(seconds: float) -> list[OsEvent]:
        clock[0] += seconds
        return [event for event in watch.poll(watch_now()) if isinstance(event, WakeDetected | SleepImminent)]

    await until(lambda: bool(requests))
    assert [SleepImminent()] == told(1.0)
    for _ in range(20):
        assert [] == told(30.0)
    machine.powered = EVERYTHING
    assert [WakeDetected()] == told(30.0)
    assert [] == told(300.0)

    machine.powered = DARK
    requests.clear()
    machine.say(WILL_SLEEP, 1)
    await until(lambda: bool(requests))
    assert [SleepImminent()] == told(1.0)
    assert [] == told(1700.0)
    assert [WakeDetected()] == told(200.0)
    listening_task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening_task


@pytest.mark.parametrize("powered", [None, 0, EVERYTHING, 0x3])
def test_unknown_power_is_not_dark_wake(powered: int | None) -> None:
    """A missing call, a sample without a CPU and a fully powered machine keep no gate closed."""

    assert not MacPower(Machine(powered)).in_dark_wake()
