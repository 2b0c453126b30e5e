"""IOKit through ctypes without a Mac: the header's types, real C calls, and the order of cleaning up."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import queue
import sys
import types
from collections.abc import Callable
from typing import ClassVar

import pytest

from tests.osevents.listening import Heard, Library, listening
from trayapp.osevents.events import SleepImminent, WakeDetected
from trayapp.osevents.macos import MacPower
from trayapp.osevents.macos_iokit import INTEREST, IoKit, IoKitLibraries

WILL_SLEEP, POWERED_ON = 0xE0000280, 0xE0000300
DARK = 0x19  # CPU, network, disk

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
    """IOKit and CoreFoundation in Python behind C function pointers; they hold the callback by its address alone."""

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
        self.libraries = IoKitLibraries(
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
    iokit = IoKit(frameworks.libraries)
    source = MacPower(iokit, hold=5.0)
    async with listening(source) as heard:
        (dark,) = await heard.until(1)
        gc.collect()
        frameworks.said.put((WILL_SLEEP, 0x7FFF_FFFF_FFFF_FFF0))
        _, sleep = await heard.until(2)
        assert isinstance(sleep, SleepImminent)
        sleep.done()
        frameworks.said.put((POWERED_ON, 0))
        assert [dark, SleepImminent(), WakeDetected()] == await heard.until(3)
        assert source.in_dark_wake()
    iokit.allow(1)  # too late: the session's number may belong to another one by now
    iokit.stop()

    assert [
        ("add", Frameworks.LOOP, Frameworks.SOURCE, Frameworks.MODE),
        ("allow", Frameworks.SESSION, 0x7FFF_FFFF_FFFF_FFF0),
        ("deregister", Frameworks.NOTIFIER),
        ("destroy", Frameworks.NOTIFY_PORT),
        ("close", Frameworks.SESSION),
    ] == frameworks.done


async def test_a_refusal_of_iokit() -> None:
    """MACH_PORT_NULL is a refusal; nothing is cleaned up that was not created."""

    frameworks = Frameworks(refuses=True)
    with pytest.raises(OSError, match="refused"):
        await asyncio.wait_for(MacPower(IoKit(frameworks.libraries)).run(Heard()), 2.0)

    assert [] == frameworks.done


def test_a_system_without_the_private_call() -> None:
    """Should Apple remove it, DarkWake is never reported and everything else works."""

    assert IoKit(Frameworks(old=True).libraries).capabilities() is None
    assert not MacPower(IoKit(Frameworks(old=True).libraries)).in_dark_wake()


def test_timers_on_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With PyObjC, App Nap is held off until we stop; the machine may still sleep."""

    class Information:
        said: ClassVar[list[tuple[object, ...]]] = []

        def beginActivityWithOptions_reason_(self, options: int, reason: str) -> str:
            assert options == 0x00EFFFFF  # NSActivityUserInitiatedAllowingIdleSystemSleep
            self.said.append(("begin", reason))
            return "token"

        def endActivity_(self, token: str) -> None:
            self.said.append(("end", token))

    foundation = types.ModuleType("Foundation")
    foundation.NSProcessInfo = types.SimpleNamespace(processInfo=Information)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "Foundation", foundation)
    IoKit(Frameworks().libraries).prevent_app_nap()()

    assert [("begin", "keeps logins fresh"), ("end", "token")] == Information.said


def test_without_pyobjc_there_is_no_app_nap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyObjC we are no application, so nothing has to be prevented."""

    frameworks = Frameworks()
    monkeypatch.setitem(sys.modules, "Foundation", None)

    end = IoKit(frameworks.libraries).prevent_app_nap()
    end()

    assert [] == frameworks.done
