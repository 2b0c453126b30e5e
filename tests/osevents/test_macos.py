"""macOS without a Mac: recorded routing messages, and an IOKit that checks how it is used."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import gc
import os
import queue
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable

import pytest

from tests.osevents.listening import Heard, Library, listening, until
from trayapp.core.model import Moment
from trayapp.osevents import OsEvent, SleepSoon, Stirred, Woke
from trayapp.osevents.macos import MacNetwork, MacPower, interface_name
from trayapp.osevents.macos_iokit import INTEREST, IoKit, Libraries, system
from trayapp.osevents.macos_routes import stirs
from trayapp.osevents.network import Picture
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

UP, GATEWAY, HOST, STATIC, LLINFO, WASCLONED = 0x1, 0x2, 0x4, 0x800, 0x400, 0x20000
NAMES = {1: "lo0", 4: "en0", 9: "awdl0", 10: "llw0", 12: "ipsec0"}


# --- the routing socket ----------------------------------------------------------------------------------------------


def inet(address: str) -> bytes:
    """sockaddr_in"""
    return struct.pack("<BBH4s8x", 16, 2, 0, socket.inet_aton(address))


def inet6(address: str) -> bytes:
    """sockaddr_in6"""
    return struct.pack("<BBHI16sI", 28, 30, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0)


def link(name: str) -> bytes:
    """sockaddr_dl, padded to 20 bytes"""
    return struct.pack("<BBHBBBB12s", 20, 18, 4, 6, len(name), 0, 0, name.encode())


def route(kind: int, destination: bytes, flags: int = UP | GATEWAY | STATIC, index: int = 4) -> bytes:
    """rt_msghdr with destination, gateway and an empty netmask"""
    body = destination + inet("192.168.1.1") + bytes(4)
    head = struct.pack("<HBBHHiiiiiii", 92 + len(body), 5, kind, index, 0, flags, 0x7, 1, 0, 0, 0, 0) + bytes(4 + 52)
    assert len(head) == 92
    return head + body


def address(kind: int, name: str, held: bytes, index: int = 4) -> bytes:
    """ifa_msghdr with netmask, interface and address"""
    body = bytes(4) + (link(name) if name else b"") + held
    return struct.pack("<HBBiiHHi", 20 + len(body), 5, kind, 0x34 if name else 0x24, 0, index, 0, 0) + body


def interface(index: int, kind: int = 0xE) -> bytes:
    """if_msghdr with its if_data, and no address"""
    return struct.pack("<HBBiiHH", 112, 5, kind, 0, 0x8863, index, 0) + bytes(96)


DEFAULT = inet("0.0.0.0")


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(route(0x1, DEFAULT), id="a default route comes"),
        pytest.param(route(0x2, DEFAULT), id="a default route goes"),
        pytest.param(route(0x3, inet6("::")), id="an IPv6 default route changes"),
        pytest.param(route(0x1, DEFAULT, index=12), id="a VPN through ipsec0 takes the traffic"),
        pytest.param(address(0xC, "en0", inet("192.168.1.7")), id="a new address"),
        pytest.param(address(0xD, "en0", inet6("2001:db8::7")), id="a lost address"),
        pytest.param(address(0xD, "", inet("192.168.1.7"), index=99), id="of an interface that is gone already"),
        pytest.param(interface(4), id="Wi-Fi goes on or off"),
        pytest.param(interface(4, 0x12), id="the same in the newer form"),
        pytest.param(interface(1) + route(0x1, DEFAULT), id="after noise in the same read"),
        pytest.param(b"\x05", id="less than a header"),
        pytest.param(struct.pack("<HBB", 4, 6, 0xF), id="another version of the format"),
        pytest.param(struct.pack("<HBB", 0, 5, 0xF), id="no length: it would never end"),
        pytest.param(struct.pack("<HBB", 400, 5, 0xF), id="cut off"),
        pytest.param(struct.pack("<HBB", 4, 5, 0x1), id="a route without its header"),
        pytest.param(route(0x1, b"")[:92], id="a route without an address"),
    ],
)
def test_what_deserves_a_look(message: bytes) -> None:
    """Changes of routes, addresses and links stir, and so does whatever is not understood."""

    assert stirs(message, lambda index: NAMES.get(index, ""))


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(route(0x4, DEFAULT), id="somebody asked for a route"),
        pytest.param(route(0x7, inet("192.0.2.1")), id="a lookup missed"),
        pytest.param(route(0x14, DEFAULT), id="the answer in the newer form"),
        pytest.param(route(0x1, inet("192.168.1.50"), UP | HOST | LLINFO), id="a neighbour"),
        pytest.param(route(0x2, inet("192.0.2.80"), UP | GATEWAY | HOST | WASCLONED), id="a host somebody talks to"),
        pytest.param(route(0x1, inet6("fe80::1")), id="a link-local IPv6 route"),
        pytest.param(route(0x1, inet("169.254.0.0")), id="a link-local IPv4 route"),
        pytest.param(route(0x1, inet("224.0.0.251")), id="multicast"),
        pytest.param(route(0x1, inet6("ff02::fb")), id="IPv6 multicast"),
        pytest.param(struct.pack("<HBBiiHH", 16, 5, 0xF, 0, 0, 4, 0), id="a group is joined"),
        pytest.param(struct.pack("<HBBiiHH", 16, 5, 0x13, 0, 0, 4, 0), id="the same in the newer form"),
        pytest.param(address(0xC, "en0", inet6("fe80::1")), id="a link-local address"),
        pytest.param(address(0xC, "awdl0", inet6("2001:db8::7"), index=9), id="AirDrop"),
        pytest.param(address(0xC, "", inet("10.0.0.1"), index=12), id="a tunnel, named by its index only"),
        pytest.param(interface(9) + interface(10) + interface(1), id="links that lead nowhere"),
    ],
)
def test_noise_wakes_nobody(message: bytes) -> None:
    """What a quiet Mac says all day long stirs nothing."""

    assert not stirs(message, lambda index: NAMES.get(index, ""))


async def test_a_burst_in_the_socket_is_one_event() -> None:
    """Whatever is there when the loop looks is one `Stirred`; noise is none, and lost messages are one."""

    ours, kernel = socket.socketpair()
    with kernel:
        async with listening(MacNetwork(lambda: ours, lambda index: NAMES.get(index, ""))) as heard:
            kernel.send(interface(9))
            for _ in range(5):
                kernel.send(route(0x1, DEFAULT))

            assert [Stirred()] == await heard.until(1)

            kernel.send(interface(9))
            kernel.send(address(0xC, "en0", inet("192.168.1.7")))

            assert [Stirred()] * 2 == await heard.until(2)
        assert ours.fileno() == -1


class Deaf(socket.socket):
    """A socket whose reads fail so, once each."""

    def __init__(self, fileno: int, fails: list[int]) -> None:
        super().__init__(fileno=fileno)
        self.fails = fails

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self.fails:
            super().recv(size)
            code = self.fails.pop(0)
            raise OSError(code, os.strerror(code))
        return super().recv(size)


async def test_lost_messages_are_a_change_and_a_broken_socket_an_end() -> None:
    """ENOBUFS means that there was too much to tell; any other fault ends the source, and polling goes on."""

    ours, kernel = socket.socketpair()
    source = MacNetwork(lambda: Deaf(ours.detach(), [errno.ENOBUFS, errno.ENETDOWN]))
    heard = Heard()
    with kernel:
        running = asyncio.create_task(source.run(heard))
        await until(lambda: source.live)
        kernel.send(interface(9))
        await until(lambda: heard.events == [Stirred()])
        kernel.send(interface(9))
        with pytest.raises(OSError, match="down"):
            await asyncio.wait_for(running, 2.0)

    assert not source.live


def test_elsewhere_it_is_refused_with_a_sentence() -> None:
    """The files import on every system; only making a source of another system fails."""

    if sys.platform == "darwin":
        pytest.skip("this is a Mac")
    with pytest.raises(OSError, match="macOS"):
        MacNetwork()
    with pytest.raises(OSError, match="Apple"):
        MacPower()
    with pytest.raises(OSError, match="Apple"):
        system()


def test_an_interface_that_is_gone_has_no_name() -> None:
    """A message may name what does not exist any more."""

    assert interface_name(0x7FFFFF) == ""


async def test_a_socket_that_closes_is_an_end() -> None:
    """An empty read would come for ever."""

    ours, kernel = socket.socketpair()
    kernel.close()
    with pytest.raises(OSError, match="closed"):
        await asyncio.wait_for(MacNetwork(lambda: ours).run(Heard()), 2.0)


# --- sleep and wake --------------------------------------------------------------------------------------------------


class Machine:
    """A Mac behind `PowerCalls`. Wrong order, wrong thread or a second answer to one question is a failure."""

    def __init__(self, powered: int | None = EVERYTHING, *, refuses: bool = False) -> None:
        self.powered = powered
        self.refuses = refuses
        self.allowed: list[tuple[int, float]] = []
        self.asked: set[int] = set()
        self.heard: Callable[[int, int], None] | None = None
        self.said: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self.calls: list[str] = []
        self.thread: threading.Thread | None = None
        self.deaf_to_stops = 0

    def say(self, message: int, argument: int = 0) -> None:
        """IOKit sends a message."""
        if message in (CAN_SLEEP, WILL_SLEEP):
            self.asked.add(argument)
        self.said.put((message, argument))

    def register(self, heard: Callable[[int, int], None]) -> None:
        if self.refuses:
            raise OSError("IORegisterForSystemPower was refused")
        self.thread = threading.current_thread()
        assert self.thread is not threading.main_thread()
        self.heard = heard
        self.calls.append("register")

    def listen(self) -> None:
        assert self.thread is threading.current_thread()
        assert self.heard is not None
        self.calls.append("listen")
        while (said := self.said.get()) is not None:
            self.heard(*said)

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

    def stay_punctual(self) -> Callable[[], None]:
        self.calls.append("punctual")
        return lambda: self.calls.append("nap")


async def test_a_night() -> None:
    """The lid closes, the engine says that it is done, the lid opens: two events, on the loop's own thread."""

    machine = Machine()
    async with listening(MacPower(machine)) as heard:
        machine.say(WILL_SLEEP, 0x1234)
        (sleep,) = await heard.until(1)
        assert isinstance(sleep, SleepSoon)
        assert machine.allowed == []
        sleep.done()
        sleep.done()
        assert [argument for argument, _ in machine.allowed] == [0x1234]
        machine.say(WILL_POWER_ON)
        machine.say(POWERED_ON)

        assert [SleepSoon(), Woke()] == await heard.until(2)
        assert {threading.current_thread()} == heard.threads
    assert ["register", "punctual", "listen", "unregister", "nap"] == machine.calls


async def test_an_idle_machine_may_sleep_at_once() -> None:
    """`CanSystemSleep` is a question of policy: allowed on the spot, and no event."""

    machine = Machine()
    async with listening(MacPower(machine)) as heard:
        machine.say(CAN_SLEEP, 7)
        await until(lambda: bool(machine.allowed))
        machine.say(WILL_NOT_SLEEP)
        machine.say(POWERED_ON)

        assert [Woke()] == await heard.until(1)


async def test_a_sleep_that_is_called_off() -> None:
    """Whoever was told of a sleep hears that it did not come."""

    machine = Machine()
    async with listening(MacPower(machine)) as heard:
        machine.say(WILL_SLEEP, 1)
        machine.say(WILL_NOT_SLEEP)

        assert [SleepSoon(), Woke()] == await heard.until(2)


async def test_an_engine_that_never_answers_holds_nothing_up() -> None:
    """After the limit the sleep is allowed, even while the loop itself is stuck, and a late answer changes nothing."""

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
        assert isinstance(sleep, SleepSoon)
        sleep.done()
        assert len(machine.allowed) == 1


async def test_two_nights_have_two_answers() -> None:
    """The late answer of the last night does not let the next one go."""

    machine = Machine()
    async with listening(MacPower(machine, hold=5.0)) as heard:
        machine.say(WILL_SLEEP, 1)
        machine.say(POWERED_ON)
        machine.say(WILL_SLEEP, 2)
        first, _, second = await heard.until(3)
        assert isinstance(first, SleepSoon)
        assert isinstance(second, SleepSoon)
        first.done()
        assert [1] == [argument for argument, _ in machine.allowed]
        second.done()
        assert [1, 2] == [argument for argument, _ in machine.allowed]


async def test_ending_lets_the_machine_sleep() -> None:
    """Who quits while a sleep waits allows it, and says that the night is over."""

    machine = Machine()
    async with listening(MacPower(machine, hold=5.0)) as heard:
        machine.say(WILL_SLEEP, 3)
        await heard.until(1)

    assert [3] == [argument for argument, _ in machine.allowed]
    assert [SleepSoon(), Woke()] == heard.events


async def test_a_message_after_the_end() -> None:
    """A callback that was under way when we unregistered is answered and tells nobody."""

    machine = Machine()
    async with listening(MacPower(machine)) as heard:
        pass
    machine.asked |= {8, 9}
    heard_by_us = machine.heard
    assert heard_by_us is not None

    def say() -> None:
        for said in ((WILL_SLEEP, 8), (CAN_SLEEP, 9), (POWERED_ON, 0)):
            heard_by_us(*said)

    late = threading.Thread(target=say)
    late.start()
    late.join()
    await asyncio.sleep(0)

    assert [8, 9] == [argument for argument, _ in machine.allowed]
    assert [] == heard.events


async def test_a_refusal_is_an_oserror() -> None:
    """Where IOKit refuses, the source ends by a sentence, and never was live."""

    machine = Machine(refuses=True)
    source = MacPower(machine)
    with pytest.raises(OSError, match="IORegisterForSystemPower"):
        await asyncio.wait_for(source.run(Heard()), 2.0)

    assert not source.live
    assert [] == machine.calls


async def test_a_port_that_closes_is_an_oserror() -> None:
    """A run loop that ends by itself means that nothing will be told any more."""

    machine = Machine()
    source = MacPower(machine)
    running = asyncio.create_task(source.run(Heard()))
    await until(lambda: source.live)
    machine.said.put(None)
    with pytest.raises(OSError, match="closed"):
        await asyncio.wait_for(running, 2.0)

    assert machine.calls.count("unregister") == 1


async def test_a_run_loop_that_misses_the_first_stop() -> None:
    """A stop that comes before the run loop has begun is said again until it is heard."""

    machine = Machine()
    machine.deaf_to_stops = 2
    async with listening(MacPower(machine)):
        pass

    assert machine.thread is not None
    assert not machine.thread.is_alive()


async def test_dark_wake() -> None:
    """The screen's half of the machine is not powered: asleep as far as people are concerned, until it says otherwise."""

    machine = Machine(DARK)
    source = MacPower(machine)
    async with listening(source) as heard:
        assert [SleepSoon()] == await heard.until(1)
        assert source.dark()
        machine.powered = EVERYTHING
        assert not source.dark()
        machine.say(POWERED_ON)
        assert [SleepSoon(), Woke()] == await heard.until(2)


async def test_a_long_dark_wake_is_not_taken_for_a_person() -> None:
    """Ten minutes of maintenance pass for sleep; when the machine is fully powered and says nothing, a minute is enough.

    A machine that stays dark for longer than any maintenance is believed to be in use all the same.
    """

    machine, clock = Machine(DARK), [0.0]
    watch = Watch(lambda: None, lambda: Moment(clock[0], clock[0], clock[0]), Polling(Picture))
    listening_task = asyncio.create_task(watch.run([MacPower(machine)]))
    await until(lambda: watch.power)

    def told(seconds: float) -> list[OsEvent]:
        clock[0] += seconds
        return [event for event in watch.poll(watch_now()) if isinstance(event, Woke | SleepSoon)]

    def watch_now() -> Moment:
        return Moment(clock[0], clock[0], clock[0])

    await asyncio.sleep(0.01)
    assert [SleepSoon()] == told(1.0)
    for _ in range(20):
        assert [] == told(30.0)
    machine.powered = EVERYTHING
    assert [Woke()] == told(30.0)
    assert [] == told(300.0)

    machine.powered = DARK
    machine.say(WILL_SLEEP, 1)
    await until(lambda: bool(machine.asked))
    await asyncio.sleep(0.02)
    assert [SleepSoon()] == told(1.0)
    assert [] == told(1700.0)
    assert [Woke()] == told(200.0)
    listening_task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening_task


@pytest.mark.parametrize("powered", [None, 0, EVERYTHING, 0x3])
def test_what_is_not_known_is_not_dark(powered: int | None) -> None:
    """A missing call, a sample without a CPU and a fully powered machine keep no gate closed."""

    assert not MacPower(Machine(powered)).dark()


# --- the C calls -----------------------------------------------------------------------------------------------------

PORT, POINTER = ctypes.c_uint32, ctypes.c_void_p
IOKIT_H = {
    "IORegisterForSystemPower": (PORT, POINTER, ctypes.POINTER(POINTER), INTEREST, ctypes.POINTER(PORT)),
    "IODeregisterForSystemPower": (ctypes.c_int, ctypes.POINTER(PORT)),
    "IOAllowPowerChange": (ctypes.c_int, PORT, ctypes.c_ssize_t),
    "IONotificationPortGetRunLoopSource": (POINTER, POINTER),
    "IONotificationPortDestroy": (None, POINTER),
    "IOServiceClose": (ctypes.c_int, PORT),
    "IOPMConnectionGetSystemCapabilities": (ctypes.c_uint32,),
}
CFRUNLOOP_H = {
    "CFRunLoopGetCurrent": (POINTER,),
    "CFRunLoopAddSource": (None, POINTER, POINTER, POINTER),
    "CFRunLoopRun": (None,),
    "CFRunLoopStop": (None, POINTER),
}


class Frameworks:
    """IOKit and CoreFoundation in Python behind C function pointers; the callback is known by its address alone."""

    SESSION, NOTIFIER, NOTIFY_PORT, SOURCE, LOOP, MODE = 0x1503, 0x1603, 0x7F0000001000, 0x2000, 0x3000, 0x4000

    def __init__(self, *, refuses: bool = False, old: bool = False) -> None:
        self.done: list[tuple[object, ...]] = []
        self.address: int | None = None
        self.refuses = refuses
        self.said: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        names = {name: types for name, types in IOKIT_H.items() if not (old and name.startswith("IOPM"))}
        every: dict[str, Callable[..., object]] = {
            "IORegisterForSystemPower": self.register,
            "IODeregisterForSystemPower": lambda notifier: self.note("deregister", notifier[0]),
            "IOAllowPowerChange": lambda session, argument: self.note("allow", session, argument),
            "IONotificationPortGetRunLoopSource": lambda port: self.SOURCE if port == self.NOTIFY_PORT else 0,
            "IONotificationPortDestroy": lambda port: self.note("destroy", port) and None,
            "IOServiceClose": lambda session: self.note("close", session),
            "IOPMConnectionGetSystemCapabilities": lambda: DARK,
        }
        loops: dict[str, Callable[..., object]] = {
            "CFRunLoopGetCurrent": lambda: self.LOOP,
            "CFRunLoopAddSource": lambda loop, source, mode: self.note("add", loop, source, mode) and None,
            "CFRunLoopRun": self.run,
            "CFRunLoopStop": lambda loop: self.said.put(None) if loop == self.LOOP else None,
        }
        self.libraries = Libraries(
            Library(names, {name: every[name] for name in names}), Library(CFRUNLOOP_H, loops), POINTER(self.MODE)
        )

    def note(self, *what: object) -> int:
        self.done.append(what)
        return 0

    def register(self, _refcon: object, port: object, callback: object, notifier: object) -> int:
        if self.refuses:
            return 0
        port[0], notifier[0] = self.NOTIFY_PORT, self.NOTIFIER  # type: ignore[index]
        self.address = ctypes.cast(callback, POINTER).value  # type: ignore[arg-type]
        return self.SESSION

    def run(self) -> None:
        while (said := self.said.get()) is not None:
            assert self.address is not None
            INTEREST(self.address)(None, 0x99, *said)


async def test_through_the_c_interface() -> None:
    """Types, handles, callback and the order of cleaning up, with real C calls in between and a collected heap."""

    frameworks = Frameworks()
    source = MacPower(IoKit(frameworks.libraries), hold=5.0)
    async with listening(source) as heard:
        (dark,) = await heard.until(1)
        gc.collect()
        frameworks.said.put((WILL_SLEEP, 0x7FFF_FFFF_FFFF_FFF0))
        _, sleep = await heard.until(2)
        assert isinstance(sleep, SleepSoon)
        sleep.done()
        frameworks.said.put((POWERED_ON, 0))
        assert [dark, SleepSoon(), Woke()] == await heard.until(3)
        assert source.dark()

    assert [
        ("add", Frameworks.LOOP, Frameworks.SOURCE, Frameworks.MODE),
        ("allow", Frameworks.SESSION, 0x7FFF_FFFF_FFFF_FFF0),
        ("deregister", Frameworks.NOTIFIER),
        ("destroy", Frameworks.NOTIFY_PORT),
        ("close", Frameworks.SESSION),
    ] == frameworks.done


async def test_a_refusal_of_iokit() -> None:
    """MACH_PORT_NULL is a refusal; nothing is cleaned up that was not there."""

    frameworks = Frameworks(refuses=True)
    with pytest.raises(OSError, match="refused"):
        await asyncio.wait_for(MacPower(IoKit(frameworks.libraries)).run(Heard()), 2.0)

    assert [] == frameworks.done


def test_a_system_without_the_private_call() -> None:
    """Should Apple take it away, nothing is dark and all else works."""

    assert IoKit(Frameworks(old=True).libraries).capabilities() is None
    assert not MacPower(IoKit(Frameworks(old=True).libraries)).dark()
