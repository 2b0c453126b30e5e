"""A balloon of pystray's real icon on Windows: messages of the window, posted as Explorer posts them."""

from __future__ import annotations

import ctypes
import queue
import sys
import threading
from typing import Any

import pytest

if sys.platform != "win32":
    pytest.skip("the icon is Windows'", allow_module_level=True)

from pystray._util import win32

from trayapp.core.presentation import Action, Verb
from trayapp.osevents.windows_window import load_window_calls
from trayapp.tray.balloons import NIN_BALLOONUSERCLICK, TEXT_LIMIT, TITLE_LIMIT, cut
from trayapp.tray.icon import TrayIcon, native_backend

try:
    load_window_calls().watch(lambda kind, wparam: None)()
except OSError as error:
    pytest.skip(f"there's no desktop to open a window on: {error}", allow_module_level=True)

LIMIT = 60.0  # s; the first window of a process takes some in Wine


def test_a_balloon_is_a_change_of_the_icon_and_its_click_shows_the_dashboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest texts fit into what Windows takes, in the window's thread."""

    seen: queue.Queue[tuple[str, str, str]] = queue.Queue()
    notify = win32.Shell_NotifyIcon

    def recorded(code: int, data: win32.NOTIFYICONDATAW) -> bool:
        if data.uFlags == 0x10:
            seen.put((data.szInfoTitle, data.szInfo, threading.current_thread().name))
        return bool(notify(code, ctypes.byref(data)))

    monkeypatch.setattr(win32, "Shell_NotifyIcon", recorded)
    actions: queue.Queue[Action] = queue.Queue()
    windows: queue.Queue[int] = queue.Queue()
    ready = threading.Event()

    def backend(*arguments: Any) -> Any:
        made: Any = native_backend(*arguments)
        show, made.run = made.run, lambda setup: show(lambda icon: (windows.put(icon._hwnd), setup(icon)))
        return made

    tray = TrayIcon(actions.put, ready.set, make_backend=backend)
    thread = threading.Thread(target=tray.run, name="tray of the test")
    thread.start()
    try:
        assert ready.wait(LIMIT)
        title, text = cut("é" * 100, TITLE_LIMIT), cut("😀" * 300, TEXT_LIMIT)
        assert tray.show_balloon(title, text)
        assert (title, text, "tray of the test") == seen.get(timeout=LIMIT)
        win32.PostMessage(windows.get(timeout=LIMIT), win32.WM_NOTIFY, 0, NIN_BALLOONUSERCLICK)
        assert Action(Verb.SHOW) == actions.get(timeout=LIMIT)
    finally:
        tray.stop()
        thread.join(LIMIT)
    assert not thread.is_alive()
    assert not tray.show_balloon("late", "text")
