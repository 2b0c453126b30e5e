"""The clipboard of Windows: over a strict stand-in, over libraries in Python, and the real one."""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import sys
from typing import Any

import pytest

from tests.osevents.listening import Library
from trayapp.system import clipboard
from trayapp.system.windows_clipboard import (
    PRIVATE,
    TEXT,
    TRIES,
    ClipboardLibraries,
    WindowsClipboard,
    copy,
    load_clipboard,
)

SAID = "Zoë Ångström – „größer“ 😀 日本語\nsecond line"


class Clipboard:
    """A clipboard that only takes data while it is open, and was emptied by the one who opened it."""

    def __init__(self, busy: int = 0, full: bool = False) -> None:
        self.busy, self.full = busy, full
        self.is_open = self.emptied = False
        self.held: dict[int, bytes] = {9: b"old"}

    def open(self) -> bool:
        assert not self.is_open
        self.busy -= 1
        self.is_open, self.emptied = self.busy < 0, False
        return self.is_open

    def empty(self) -> bool:
        assert self.is_open
        self.emptied = True
        self.held.clear()
        return True

    def put(self, kind: int, data: bytes) -> bool:
        assert self.is_open
        assert self.emptied
        if not self.full:
            self.held[kind] = data
        return not self.full

    def format(self, name: str) -> int:
        assert PRIVATE == name
        return 0xC001

    def close(self) -> None:
        assert self.is_open
        self.is_open = False


def no_sleep(seconds: float) -> None:
    raise AssertionError("nothing to wait for")


def test_the_text_is_utf16_and_stays_out_of_the_history() -> None:
    """With a final zero, and lines as Windows ends them."""

    there = Clipboard()
    assert copy("Zoë 😀\nb\r\nc\0", there, no_sleep)
    assert {TEXT: "Zoë 😀\r\nb\r\nc\0".encode("utf-16-le"), 0xC001: b"\0"} == there.held
    assert not there.is_open


@pytest.mark.parametrize(("busy", "taken"), [(3, True), (TRIES, False)])
def test_another_program_may_have_it_open(busy: int, taken: bool) -> None:
    """For a moment; who keeps it for longer than a second is not waited for, and nothing is lost."""

    waited: list[float] = []
    there = Clipboard(busy)
    assert taken is copy("text", there, waited.append)
    assert sum(waited) <= 1.0
    assert not there.is_open
    assert taken is (9 not in there.held)


def test_without_memory_nothing_is_taken() -> None:
    """And it is closed again, or no program could use it any more."""

    there = Clipboard(full=True)
    assert not copy("text", there, no_sleep)
    assert not there.is_open


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
def test_elsewhere_it_is_refused() -> None:
    """The module imports on every system."""

    with pytest.raises(OSError, match="Microsoft"):
        load_clipboard()


# --- the C calls -------------------------------------------------------------------------------------------------------

P, UINT, INT, WIDE, SIZE = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_wchar_p, ctypes.c_size_t
WINUSER_H = {
    "CreateWindowExW": (P, UINT, WIDE, WIDE, UINT, INT, INT, INT, INT, P, P, P, P),
    "DestroyWindow": (INT, P),
    "OpenClipboard": (INT, P),
    "EmptyClipboard": (INT,),
    "SetClipboardData": (P, UINT, P),
    "RegisterClipboardFormatW": (UINT, WIDE),
    "CloseClipboard": (INT,),
}
WINBASE_H = {"GlobalAlloc": (P, UINT, SIZE), "GlobalLock": (P, P), "GlobalUnlock": (INT, P), "GlobalFree": (P, P)}


class Dlls:
    """user32 and kernel32 in Python behind C function pointers, and what is done to windows and memory."""

    def __init__(self, *, opens: int = 1, takes: bool = True) -> None:
        self.done: list[str] = []
        self.memory: dict[int, Any] = {}
        self.taken: dict[int, bytes] = {}
        self.takes = takes
        self.libraries = ClipboardLibraries(
            Library(
                WINUSER_H,
                {
                    "CreateWindowExW": lambda *given: self.say(f"create {given[1]}", 0x70000),
                    "DestroyWindow": lambda window: self.say(f"destroy {window:#x}", 1),
                    "OpenClipboard": lambda window: self.say(f"open {window:#x}", opens),
                    "EmptyClipboard": lambda: self.say("empty", 1),
                    "SetClipboardData": self.set,
                    "RegisterClipboardFormatW": lambda name: 0xC001,
                    "CloseClipboard": lambda: self.say("close", 1),
                },
            ),
            Library(
                WINBASE_H,
                {
                    "GlobalAlloc": self.allocate,
                    "GlobalLock": lambda handle: handle,
                    "GlobalUnlock": lambda handle: 0,
                    "GlobalFree": lambda handle: self.say("free", 0),
                },
            ),
        )

    def say(self, what: str, result: int) -> int:
        self.done.append(what)
        return result

    def allocate(self, flags: int, size: int) -> int:
        assert flags == 2
        buffer = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(buffer)] = buffer
        return ctypes.addressof(buffer)

    def set(self, kind: int, handle: int) -> int:
        self.taken[kind] = self.memory[handle].raw
        return handle if self.takes else 0


def test_through_the_c_interface() -> None:
    """Types and order; the window is destroyed after the clipboard was closed."""

    dlls = Dlls()
    assert copy("aé", WindowsClipboard(dlls.libraries))
    assert ["create STATIC", "open 0x70000", "empty", "close", "destroy 0x70000"] == dlls.done
    assert {TEXT: "aé\0".encode("utf-16-le"), 0xC001: b"\0"} == dlls.taken


def test_what_is_not_taken_is_freed() -> None:
    """Memory that the clipboard refuses, and the window of an attempt that failed."""

    dlls = Dlls(takes=False)
    assert not copy("a", WindowsClipboard(dlls.libraries))
    assert ["create STATIC", "open 0x70000", "empty", "free", "close", "destroy 0x70000"] == dlls.done
    dlls = Dlls(opens=0)
    assert not copy("a", WindowsClipboard(dlls.libraries), lambda seconds: None)
    assert ["create STATIC", "open 0x70000", "destroy 0x70000"] * TRIES == dlls.done


# --- Windows' own ------------------------------------------------------------------------------------------------------

SECOND = """
import ctypes, sys
user, kernel = ctypes.WinDLL("user32.dll"), ctypes.WinDLL("kernel32.dll")
user.GetClipboardData.restype = kernel.GlobalLock.restype = ctypes.c_void_p
kernel.GlobalLock.argtypes = [ctypes.c_void_p]
assert user.OpenClipboard(None)
sys.stdout.buffer.write(ctypes.wstring_at(kernel.GlobalLock(user.GetClipboardData(13))).encode())
user.CloseClipboard()
"""


@pytest.mark.skipif(sys.platform != "win32", reason="user32 is Windows'")
def test_a_second_program_reads_what_was_copied() -> None:
    """All of it, whatever the code page is; what a person had in the clipboard is put back."""

    calls = load_clipboard()
    if not calls.open():
        pytest.skip("there's no desktop with a clipboard")
    calls.close()
    before = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, check=False)
    try:
        assert asyncio.run(clipboard.copy(SAID))
        read = subprocess.run([sys.executable, "-c", SECOND], capture_output=True, check=True).stdout
        assert SAID.replace("\n", "\r\n") == read.decode()
    finally:
        if before.returncode == 0:
            copy(before.stdout.decode())
