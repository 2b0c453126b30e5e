"""Windows without Windows: recorded notifications on foreign threads, and libraries that check how they are used."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

from tests.osevents.listening import Heard, Library, listening
from trayapp.osevents.events import NetworkChangeHint, SleepImminent, WakeDetected
from trayapp.osevents.windows import WindowsNetwork, WindowsPower
from trayapp.osevents.windows_calls import SubscribeParameters, WindowsApi, WindowsLibraries, load_windows

SUSPEND, RESUME_CRITICAL, RESUME_SUSPEND, STATUS_CHANGE, RESUME_AUTOMATIC = 4, 6, 7, 10, 18


@pytest.fixture
def few_objects() -> Iterator[None]:
    """A collection looks at the objects of this test alone; at those of a whole run it takes a second."""
    gc.freeze()
    yield
    gc.unfreeze()


class Machine:
    """A fake Windows behind `NotificationCalls`. Callbacks come on its own threads; a cancel from one is a failure."""

    def __init__(self, refuses: str = "") -> None:
        self.refuses = refuses
        self.watched: dict[str, Callable[..., None]] = {}
        self.cancelled: list[str] = []
        self.foreign: list[threading.Thread] = []

    def watch_addresses(self, notify: Callable[[], None]) -> Callable[[], None]:
        return self._watch("addresses", notify)

    def watch_routes(self, notify: Callable[[], None]) -> Callable[[], None]:
        return self._watch("routes", notify)

    def watch_power(self, notify: Callable[[int], None]) -> Callable[[], None]:
        return self._watch("power", notify)

    def _watch(self, what: str, notify: Callable[..., None]) -> Callable[[], None]:
        if what == self.refuses:
            raise OSError(f"{what} was refused (error 5)")
        self.watched[what] = notify

        def cancel() -> None:
            assert threading.current_thread() not in self.foreign, "this would wait for itself for ever"
            assert what not in self.cancelled
            self.cancelled.append(what)
            for thread in self.foreign:  # as Windows does: it waits for callbacks that are running
                thread.join(2.0)
                assert not thread.is_alive(), "the cancel and a callback wait for each other"

        return cancel

    def tell(self, what: str, *arguments: int) -> threading.Thread:
        """A notification; the thread ends when the callback returns."""
        thread = threading.Thread(target=self.watched[what], args=arguments)
        self.foreign.append(thread)
        thread.start()
        return thread


async def test_addresses_and_routes_make_hints() -> None:
    """Each notification comes on a foreign thread and is emitted on the loop's."""

    machine = Machine()
    async with listening(WindowsNetwork(machine)) as heard:
        machine.tell("addresses")
        machine.tell("routes")

        assert [NetworkChangeHint(), NetworkChangeHint()] == await heard.until(2)
        assert {threading.current_thread()} == heard.threads
    assert {"addresses", "routes"} == set(machine.cancelled)


async def test_a_notification_after_the_end() -> None:
    """A callback that runs while we unregister emits nothing and delays no suspend."""

    machine = Machine()
    async with listening(WindowsNetwork(machine)) as heard:
        pass
    async with listening(WindowsPower(machine, hold=5.0)) as power:
        pass
    machine.tell("routes").join()
    machine.tell("power", RESUME_AUTOMATIC).join()
    machine.tell("power", SUSPEND).join(0.5)
    await asyncio.sleep(0)

    assert not machine.foreign[-1].is_alive()
    assert [] == heard.events == power.events


@pytest.mark.parametrize("refused", ["addresses", "routes"])
async def test_a_refusal_is_an_oserror_and_leaves_nothing_behind(refused: str) -> None:
    """If the second registration fails, the first one is cancelled."""

    machine = Machine(refused)
    source = WindowsNetwork(machine)
    with pytest.raises(OSError, match=refused):
        await source.run(Heard())

    assert list(machine.watched) == machine.cancelled
    assert not source.live


async def test_power_is_refused() -> None:
    """The same for power."""

    with pytest.raises(OSError, match="error 5"):
        await WindowsPower(Machine("power")).run(Heard())


async def test_a_suspend_waits_for_done_and_a_resume_is_one_wake() -> None:
    """A suspend waits for `done`, and of the two messages of a resume the second one adds nothing."""

    machine = Machine()
    async with listening(WindowsPower(machine, hold=5.0)) as heard:
        waiting = machine.tell("power", SUSPEND)
        (sleep,) = await heard.until(1)
        assert isinstance(sleep, SleepImminent)
        assert waiting.is_alive()
        sleep.done()
        waiting.join(1.0)
        assert not waiting.is_alive()
        for code in (RESUME_AUTOMATIC, RESUME_SUSPEND, STATUS_CHANGE):
            machine.tell("power", code).join()

        assert [SleepImminent(), WakeDetected()] == await heard.until(2)
        assert {threading.current_thread()} == heard.threads


@pytest.mark.parametrize("codes", [(RESUME_AUTOMATIC,), (RESUME_CRITICAL,), (RESUME_SUSPEND,)])
async def test_every_resume_is_a_wake(codes: tuple[int, ...]) -> None:
    """Whichever message comes first after a suspend."""

    machine = Machine()
    async with listening(WindowsPower(machine, hold=0.01)) as heard:
        machine.tell("power", SUSPEND)
        await heard.until(1)
        for code in codes:
            machine.tell("power", code)

        assert [SleepImminent(), WakeDetected()] == await heard.until(2)


async def test_a_resume_without_a_suspend() -> None:
    """An emergency suspend is unannounced; 18 still counts, 7 alone does not."""

    machine = Machine()
    async with listening(WindowsPower(machine)) as heard:
        machine.tell("power", RESUME_SUSPEND).join()
        machine.tell("power", RESUME_AUTOMATIC)

        assert [WakeDetected()] == await heard.until(1)


async def test_a_suspend_is_delayed_only_to_the_limit() -> None:
    """An engine that never calls `done` cannot keep the machine awake."""

    machine = Machine()
    async with listening(WindowsPower(machine, hold=0.05)) as heard:
        waiting = machine.tell("power", SUSPEND)
        waiting.join(2.0)

        assert not waiting.is_alive()
        assert [SleepImminent()] == await heard.until(1)


async def test_ending_lets_the_machine_sleep() -> None:
    """Cancelling waits for a running callback, so that one is released first; a wake is reported."""

    machine = Machine()
    began = time.monotonic()
    async with listening(WindowsPower(machine, hold=5.0)) as heard:
        machine.tell("power", SUSPEND)
        await heard.until(1)

    assert ["power"] == machine.cancelled
    assert [SleepImminent(), WakeDetected()] == heard.events
    assert time.monotonic() - began < 1.5


def test_elsewhere_it_is_refused_with_a_sentence() -> None:
    """The modules import on every system; only creating a source of another system fails."""

    if sys.platform == "win32":
        pytest.skip("this is Windows")
    with pytest.raises(OSError, match="Microsoft"):
        WindowsNetwork()
    with pytest.raises(OSError, match="Microsoft"):
        WindowsPower()
    with pytest.raises(OSError, match="Microsoft"):
        load_windows()


@pytest.mark.skipif(sys.platform != "win32", reason="iphlpapi is Windows'")
def test_windows_calls_a_callback_of_ours() -> None:
    """With what it tells immediately if it is asked to. Wine tells nothing else: its network is the system's."""

    api = load_windows()
    assert isinstance(api, WindowsApi)
    told: list[int] = []
    there = threading.Event()

    def changed(_context: int | None, _row: int | None, kind: int) -> None:
        told.append(kind)
        there.set()

    callback, handle = api._changed(changed), ctypes.c_void_p()
    assert 0 == api._addresses(0, callback, None, True, ctypes.byref(handle))
    assert there.wait(60)
    assert 0 == api._cancel_change(handle)
    assert 3 == told[0], "MibInitialNotification"


# --- the C calls -----------------------------------------------------------------------------------------------------

ULONG, PVOID = ctypes.c_uint32, ctypes.c_void_p
CHANGED = ctypes.CFUNCTYPE(None, PVOID, PVOID, ctypes.c_int)
POWERED = ctypes.CFUNCTYPE(ULONG, PVOID, ULONG, PVOID)
NOTIFY = (ULONG, ctypes.c_uint16, CHANGED, PVOID, ctypes.c_ubyte, ctypes.POINTER(PVOID))
NETIOAPI_H = {
    "NotifyUnicastIpAddressChange": NOTIFY,
    "NotifyRouteChange2": NOTIFY,
    "CancelMibChangeNotify2": (ULONG, PVOID),
}
POWERBASE_H = {
    "PowerRegisterSuspendResumeNotification": (ULONG, ULONG, PVOID, ctypes.POINTER(PVOID)),
    "PowerUnregisterSuspendResumeNotification": (ULONG, PVOID),
}


class Dlls:
    """iphlpapi and powrprof in Python behind C function pointers; they hold a callback by its address alone."""

    def __init__(self, said: int = 0, ends: int = 0) -> None:
        self.said, self.ends = said, ends
        self.addresses: dict[int, int | None] = {}
        self.cancelled: list[int] = []
        self.libraries = WindowsLibraries(
            Library(
                NETIOAPI_H,
                {
                    "NotifyUnicastIpAddressChange": lambda *given: self.notify(0x100, *given),
                    "NotifyRouteChange2": lambda *given: self.notify(0x200, *given),
                    "CancelMibChangeNotify2": self.cancel,
                },
            ),
            Library(
                POWERBASE_H,
                {
                    "PowerRegisterSuspendResumeNotification": self.power,
                    "PowerUnregisterSuspendResumeNotification": self.cancel,
                },
            ),
            ctypes.CFUNCTYPE,
        )

    def notify(self, handle: int, family: int, callback: object, context: int | None, first: int, where: object) -> int:
        assert (family, context, first) == (0, None, 0)
        self.addresses[handle] = ctypes.cast(callback, PVOID).value  # type: ignore[arg-type]
        where[0] = handle  # type: ignore[index]
        return self.said

    def power(self, flags: int, recipient: int, where: object) -> int:
        assert flags == 2
        parameters = SubscribeParameters.from_address(recipient)
        assert parameters.context is None
        self.addresses[0x300] = parameters.callback
        where[0] = 0x300  # type: ignore[index]
        return self.said

    def cancel(self, handle: int) -> int:
        self.cancelled.append(handle)
        return self.ends

    def tell(self, handle: int, kind: int = 1) -> None:
        """Windows calls the address that it was given, on a thread of its own."""
        address = self.addresses[handle]
        assert address is not None
        call = POWERED(address) if handle == 0x300 else CHANGED(address)
        arguments = (None, kind, None) if handle == 0x300 else (None, None, kind)
        thread = threading.Thread(target=call, args=arguments)
        thread.start()
        thread.join()


@pytest.mark.usefixtures("few_objects")
async def test_through_the_c_interface() -> None:
    """Types, handles and callbacks, with real C calls in between and a collected heap."""

    dlls = Dlls()
    calls = WindowsApi(dlls.libraries)
    async with listening(WindowsNetwork(calls)) as network, listening(WindowsPower(calls, hold=0.01)) as power:
        gc.collect()
        dlls.tell(0x100)
        dlls.tell(0x200)
        dlls.tell(0x300, SUSPEND)
        dlls.tell(0x300, RESUME_AUTOMATIC)

        assert [NetworkChangeHint(), NetworkChangeHint()] == await network.until(2)
        assert [SleepImminent(), WakeDetected()] == await power.until(2)
    assert [0x100, 0x200, 0x300] == sorted(dlls.cancelled)


@pytest.mark.usefixtures("few_objects")
@pytest.mark.parametrize("watch", ["watch_addresses", "watch_routes", "watch_power"])
def test_a_callback_lives_until_windows_has_dropped_it(watch: str) -> None:
    """The function that cancels a watch keeps the callback alive, and for ever if Windows refuses to cancel."""

    class Listener:
        def __call__(self, *_: int) -> None:
            """Does nothing."""

    for ends, leaked in ((0, False), (5, True)):
        listener = Listener()
        alive = weakref.ref(listener)
        cancel = getattr(WindowsApi(Dlls(ends=ends).libraries), watch)(listener)
        del listener
        gc.collect()
        assert alive() is not None
        cancel()
        gc.collect()
        assert leaked == (alive() is not None)


@pytest.mark.parametrize("watch", ["watch_addresses", "watch_routes", "watch_power"])
def test_an_error_code_is_an_oserror(watch: str) -> None:
    """Windows gives a number; the error names the call."""

    with pytest.raises(OSError, match=r"Notif\w+ was refused \(error 87\)"):
        getattr(WindowsApi(Dlls(said=87).libraries), watch)(lambda *_: None)


def test_a_watch_is_cancelled_once() -> None:
    """A closed handle may belong to another program by now."""

    dlls = Dlls()
    cancel = WindowsApi(dlls.libraries).watch_routes(lambda: None)
    cancel()
    cancel()

    assert [0x200] == dlls.cancelled


async def test_a_call_that_is_missing_leaves_the_others_alone() -> None:
    """An old Windows, or what stands in for it: the source without its call says so, the other one works."""

    dlls = Dlls()
    del dlls.libraries.powrprof.PowerRegisterSuspendResumeNotification
    calls = WindowsApi(dlls.libraries)
    with pytest.raises(OSError, match="this Windows has no PowerRegisterSuspendResumeNotification"):
        await WindowsPower(calls).run(Heard())
    async with listening(WindowsNetwork(calls)) as heard:
        dlls.tell(0x100)
        assert [NetworkChangeHint()] == await heard.until(1)
