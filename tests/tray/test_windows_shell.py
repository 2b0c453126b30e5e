"""The calls of the tray icon on Windows: over libraries that record, and there, over the real ones."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from trayapp.core.presentation import Colour, Glyph, IconView
from trayapp.tray import art
from trayapp.tray.windows_shell import NIM_MODIFY, WindowsShell, load_shell

GREEN = art.draw(IconView(Glyph.TICK, Colour.GREEN), 20)


class Function:
    """A function of a library, which answers with what it was told to and keeps its arguments."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any) -> Any:
        self.calls.append(arguments)
        return self.answer(*arguments) if callable(self.answer) else self.answer


class Library:
    """Any function that is asked for; those without an answer return 0."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Function:
        function = Function(self._answers.get(name, 0))
        setattr(self, name, function)
        return function


def dpi_is(dpi: int) -> Any:
    def answer(monitor: int, kind: int, across: Any, down: Any) -> int:
        ctypes.cast(across, ctypes.POINTER(ctypes.c_uint32))[0] = dpi
        return 0

    return answer


@pytest.mark.parametrize(
    ("monitor", "side"), [(dpi_is(144), 24), (lambda *_: -1, 16)], ids=["of the monitor", "else of the system"]
)
def test_the_size_of_an_icon_is_that_of_the_first_monitor(monitor: Any, side: int) -> None:
    """The notification area is there."""

    user = Library(GetDpiForSystem=96, GetSystemMetricsForDpi=lambda metric, dpi: dpi // 6)
    assert side == WindowsShell(Library(), user, Library(GetDpiForMonitor=monitor)).icon_side()
    assert 49 == user.GetSystemMetricsForDpi.calls[0][0]


@pytest.mark.parametrize(("left_handed", "aligned"), [(0, 0x00), (1, 0x08)])
@pytest.mark.parametrize(
    ("chosen", "escape", "answer"), [(3, 0, (3, False)), (3, -1, (3, False)), (0, 0, (0, False)), (0, -1, (0, True))]
)
def test_a_menu_is_of_a_window_in_front(
    left_handed: int, aligned: int, chosen: int, escape: int, answer: tuple[int, bool]
) -> None:
    """Otherwise a click elsewhere doesn't close it; and a message follows it, without which the next one closes at once."""

    calls: list[str] = []

    def track(menu: int, flags: int, x: int, y: int, window: int, area: None) -> int:
        calls.append(f"{menu} {flags:x} {x} {y} {window}")
        return chosen

    win32 = SimpleNamespace(
        SetForegroundWindow=lambda window: calls.append(f"front {window}"),
        TrackPopupMenuEx=track,
        PostMessage=lambda window, message, *_: calls.append(f"post {window} {message}"),
    )
    shell = WindowsShell(win32, Library(GetSystemMetrics=left_handed, GetKeyState=escape), Library())
    assert answer == shell.track_menu(7, 4712, -5, 900)
    assert ["front 4712", f"7 {0x122 | aligned:x} -5 900 4712", "post 4712 0"] == calls


def test_an_icon_that_windows_refuses_is_an_error() -> None:
    """Not a handle of nothing."""

    with pytest.raises(OSError, match="no icon"):
        WindowsShell(Library(), Library(), Library()).make_icon(GREEN)


@pytest.mark.skipif(sys.platform != "win32", reason="Windows' own calls")
def test_windows_has_these_calls() -> None:
    """Each with this signature."""

    from pystray._util import win32

    shell = load_shell(win32)
    shell.own_pixels()
    assert shell.icon_side() in range(16, 65)
    handle = shell.make_icon(GREEN)
    assert handle
    shell.destroy_icon(handle)
    assert 0.1 < shell.double_click() < 6
    assert 2 == len(shell.cursor())
    assert not shell.tell(NIM_MODIFY, 0, 0), "there is no such icon"
    assert 1 == shell.default(_window(), 0x11, 0, 0), "the session may end"
    shell.set_timer(0, 60)
    shell.stop_timer(0)


def _window() -> int:
    """A window that needs no screen."""
    create: Any = vars(ctypes)["windll"].user32.CreateWindowExW
    create.restype, messages_only = ctypes.c_void_p, ctypes.c_void_p(-3)
    return int(create(0, "STATIC", None, 0, 0, 0, 0, 0, messages_only, None, None, None))
