"""Processes and consoles of Windows: what runs, and what its keys do."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time

import pytest

from trayapp.system import windows_console, windows_processes
from trayapp.system.running import names_of, runs
from trayapp.system.windows_console import CTRL_BREAK, CTRL_C, CTRL_CLOSE, ConsoleEvents, console_events

windows = pytest.mark.skipif(sys.platform != "win32", reason="kernel32 is Microsoft's")


@windows
def test_programs_are_known_by_name() -> None:
    """This one, and in any case; not one that doesn't run."""

    own = os.path.basename(sys.executable).removesuffix(".exe")
    assert own.lower() in {name.lower() for name in windows_processes.names()}
    assert runs((own.upper(), "no such program"))
    assert not runs(("no such program",))
    assert windows_processes.exists(os.getpid())
    assert not windows_processes.exists(0)
    assert {os.getpid(): own.lower()} == {pid: name.lower() for pid, name in names_of({os.getpid(), 3}).items()}


@pytest.mark.skipif(sys.platform == "win32", reason="there it works")
def test_elsewhere_it_is_refused_with_a_sentence() -> None:
    """The modules import on every system."""

    for call in (lambda: windows_processes.exists(1), lambda: windows_console._kernel32()):
        with pytest.raises(OSError, match="Microsoft"):
            call()


# --- keys and the end of the session ---------------------------------------------------------------------------------


class Kernel:
    """SetConsoleCtrlHandler behind a C function pointer; it holds the handler by its address alone."""

    def __init__(self) -> None:
        self.handlers: list[int] = []
        self._type = windows_console._callback(ctypes.c_int, ctypes.c_uint32)
        self.SetConsoleCtrlHandler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(self._set)

    def _set(self, address: int, add: int) -> int:
        (self.handlers.append if add else self.handlers.remove)(address)
        return 1

    def press(self, kind: int) -> list[int]:
        """As Windows does it: on a thread of its own; what the handler answered."""
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(self._type(self.handlers[-1])(kind)))
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        return answers


@pytest.mark.parametrize("kind", [CTRL_C, CTRL_BREAK])
def test_a_key_quits(kind: int) -> None:
    """From a thread of Windows, while the main one waits for something else; the process goes on until it has ended."""

    kernel, quits = Kernel(), list[int]()
    with console_events(lambda: quits.append(threading.get_ident()), kernel):
        assert [1] == kernel.press(kind)
    assert [] == kernel.handlers
    assert 1 == len(quits)
    assert threading.get_ident() not in quits


def test_an_end_of_the_process_waits_for_ours() -> None:
    """Windows ends it when the handler returns: not before everything is stored, and not later than it allows."""

    events = ConsoleEvents(lambda: None, hold_limit=30)
    waiting = threading.Thread(target=events.on_event, args=(CTRL_CLOSE,))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    events.ended()
    waiting.join(10)
    assert not waiting.is_alive()
    before = time.monotonic()
    assert ConsoleEvents(lambda: None, hold_limit=0.01).on_event(CTRL_CLOSE)
    assert time.monotonic() - before < 10


def test_another_event_is_somebody_elses() -> None:
    """The next handler gets it."""

    assert not ConsoleEvents(lambda: pytest.fail("nobody asked for an end")).on_event(3)
