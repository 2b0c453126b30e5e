"""What Windows tells only to windows: recorded messages on a foreign thread, and real ones from a second program."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tests.osevents.listening import Heard, listening
from trayapp.core.model import Moment
from trayapp.osevents.events import ClockStepped, SleepImminent, WakeDetected
from trayapp.osevents.windows import WindowsSession
from trayapp.osevents.windows_window import (
    TITLE,
    WM_ENDSESSION,
    WM_POWERBROADCAST,
    WM_TIMECHANGE,
    OnMessage,
    load_window_calls,
)

SUSPEND, RESUME_AUTOMATIC = 4, 18


class Window:
    """A fake window; its messages come on threads of their own, and the sender waits for the answer."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.heard: OnMessage | None = None
        self.closed = 0
        self.senders: list[threading.Thread] = []

    def watch(self, on_message: OnMessage) -> Callable[[], None]:
        if self.refuses:
            raise OSError("Windows opened no window")
        self.heard = on_message

        def end() -> None:
            self.closed += 1
            for sender in self.senders:
                sender.join(2.0)
                assert not sender.is_alive(), "the end and a message wait for each other"

        return end

    def send(self, kind: int, wparam: int = 0) -> threading.Thread:
        assert self.heard is not None
        sender = threading.Thread(target=self.heard, args=(kind, wparam))
        self.senders.append(sender)
        sender.start()
        return sender


class Clock:
    """A wall clock that is set, beside one that runs."""

    def __init__(self) -> None:
        self.at = self.wall = 1000.0

    def now(self) -> Moment:
        self.at += 1.0
        self.wall += 1.0
        return Moment(self.at, self.at, self.wall)


def session(window: Window, clock: Clock | None = None, *, power: bool = True) -> WindowsSession:
    return WindowsSession(window, 5.0, (clock or Clock()).now, with_power=lambda: power)


async def test_a_clock_that_is_set() -> None:
    """By as much as the wall clock gained on the other one since the last message, forward or back."""

    window, clock = Window(), Clock()
    async with listening(session(window, clock)) as heard:
        clock.wall += 3600.0
        window.send(WM_TIMECHANGE).join()
        clock.wall -= 60.0
        window.send(WM_TIMECHANGE).join()

        assert [ClockStepped(3600.0), ClockStepped(-60.0)] == await heard.until(2)
        assert {threading.current_thread()} == heard.threads
    assert 1 == window.closed


async def test_the_end_of_the_session_waits_for_what_is_pending() -> None:
    """As a suspend does; if somebody calls it off, the machine goes on as after a wake."""

    window = Window()
    async with listening(session(window)) as heard:
        sender = window.send(WM_ENDSESSION, 1)
        (ending,) = await heard.until(1)
        assert isinstance(ending, SleepImminent)
        assert sender.is_alive()
        ending.done()
        sender.join(2.0)
        assert not sender.is_alive()
        window.send(WM_ENDSESSION, 0).join()
        assert [SleepImminent(), WakeDetected()] == await heard.until(2)
        window.send(WM_ENDSESSION, 0).join()
        await asyncio.sleep(0)
        assert 2 == len(heard.events)


async def test_suspend_and_resume_count_until_the_callback_has_told_of_them() -> None:
    """Two messages of one suspend would be two."""

    window = Window()
    async with listening(session(window)) as heard:
        window.send(WM_POWERBROADCAST, SUSPEND)
        (sleep,) = await heard.until(1)
        assert isinstance(sleep, SleepImminent)
        sleep.done()
        window.send(WM_POWERBROADCAST, RESUME_AUTOMATIC).join()
        assert [SleepImminent(), WakeDetected()] == await heard.until(2)
    window = Window()
    async with listening(session(window, power=False)) as heard:
        window.send(WM_POWERBROADCAST, SUSPEND).join()
        window.send(WM_POWERBROADCAST, RESUME_AUTOMATIC).join()
    assert [] == heard.events


async def test_ending_lets_the_session_end() -> None:
    """Closing the window waits for a message that is being answered, so that is released first."""

    window = Window()
    async with listening(session(window)) as heard:
        window.send(WM_ENDSESSION, 1)
        await heard.until(1)
    assert [SleepImminent(), WakeDetected()] == heard.events


async def test_no_window_is_an_oserror() -> None:
    """A service has none; polling takes its place."""

    with pytest.raises(OSError, match="no window"):
        await session(Window(refuses=True)).run(Heard())


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
def test_elsewhere_it_is_refused_with_a_sentence() -> None:
    """The module imports on every system."""

    with pytest.raises(OSError, match="Microsoft"):
        load_window_calls()


# --- Windows' own messages -------------------------------------------------------------------------------------------

# A second program: finds the windows of that title in all processes, and sends or posts to each.
SECOND = """
import ctypes, sys
user = ctypes.WinDLL("user32.dll")
user.FindWindowExW.restype = ctypes.c_void_p
user.FindWindowExW.argtypes = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_wchar_p
for name in ("SendMessageW", "PostMessageW"):
    getattr(user, name).argtypes = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_size_t, ctypes.c_ssize_t
user.GetWindowThreadProcessId.argtypes = ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32)
title, process, *messages = sys.argv[1:]
window, found, owner = None, 0, ctypes.c_uint32()
while window := user.FindWindowExW(None, window, None, title):
    user.GetWindowThreadProcessId(window, owner)
    if owner.value != int(process):  # a program of another test
        continue
    found += 1
    for message in messages:
        how, kind, wparam = message.split(":")
        getattr(user, how)(window, int(kind), int(wparam), 0)
print(found)
"""


@pytest.fixture
def desktop() -> None:
    if sys.platform != "win32":
        pytest.skip("user32 is Microsoft's")
    try:
        load_window_calls().watch(lambda kind, wparam: None)()
    except OSError as error:
        pytest.skip(f"there's no desktop to open a window on: {error}")


@pytest.mark.usefixtures("desktop")
async def test_messages_of_a_second_program() -> None:
    """Through user32: a suspend, a resume, the end of the session and its recall, a clock that was set."""

    messages = [
        f"PostMessageW:{WM_POWERBROADCAST}:{SUSPEND}",
        f"PostMessageW:{WM_POWERBROADCAST}:{RESUME_AUTOMATIC}",
        f"PostMessageW:{WM_TIMECHANGE}:0",
        f"PostMessageW:{WM_ENDSESSION}:1",
        f"PostMessageW:{WM_ENDSESSION}:0",
    ]
    done: list[str] = []
    async with listening(WindowsSession(hold=0.05, with_power=lambda: True)) as heard:
        command = [sys.executable, "-c", SECOND, TITLE, str(os.getpid()), *messages]
        output = await asyncio.to_thread(subprocess.check_output, command, text=True)
        assert "1" == output.strip()
        async with asyncio.timeout(60):
            while len(heard.events) < 5:  # noqa: ASYNC110 - events come from a thread of Windows
                await asyncio.sleep(0.05)
        done = [type(event).__name__ for event in heard.events]
    assert ["SleepImminent", "WakeDetected", "ClockStepped", "SleepImminent", "WakeDetected"] == done


@pytest.mark.usefixtures("desktop")
async def test_a_window_is_opened_and_closed_again_and_again() -> None:
    """Each has a class of its own, which goes with it; nothing is left to be found."""

    for _ in range(3):
        async with listening(WindowsSession()):
            pass
    command = [sys.executable, "-c", SECOND, TITLE, str(os.getpid())]
    assert "0" == (await asyncio.to_thread(subprocess.check_output, command, text=True)).strip()


@pytest.mark.skipif(sys.platform != "win32", reason="Windows' own sources")
async def test_all_sources_begin_or_say_why() -> None:
    """None crashes, and none ends before it is told to: what a system lacks is an `OSError` with a sentence."""

    from trayapp.osevents.sources import native_sources

    sources = native_sources()
    assert ["iphlpapi", "powrprof", "window"] == [source.name for source in sources]
    heard = Heard()
    tasks = [asyncio.create_task(source.run(heard)) for source in sources]
    async with asyncio.timeout(60):
        while not all(source.live or task.done() for source, task in zip(sources, tasks, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for source, task in zip(sources, tasks, strict=True):
        assert source.live or isinstance(task.exception(), OSError)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
