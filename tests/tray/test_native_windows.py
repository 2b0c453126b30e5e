"""The Windows backend over the strict fakes of `strict_windows.py`."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import pytest
from PIL import Image

from tests.tray.strict_pystray import MENU, QUIT, RED, RETRY, SHOW, pystray, pystray_base
from tests.tray.strict_windows import TASKBAR_CREATED, WM_MOUSEMOVE, WM_QUERYENDSESSION, Windows
from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, Verb
from trayapp.tray import art, native, windows_shell
from trayapp.tray import native_windows as windows_tray
from trayapp.tray.balloons import NIN_BALLOONUSERCLICK, WM_BALLOON
from trayapp.tray.mailbox import ViewUpdate
from trayapp.tray.native_windows import WM_CONTEXTMENU, WM_LBUTTONUP, WM_RBUTTONUP

GREEN = IconView(Glyph.TICK, Colour.GREEN, (Colour.GREEN,) * 3)


def test_on_windows_every_call_is_made_in_the_thread_of_the_window() -> None:
    """The painter only posts a message. That the icon is shown is reported once, from that thread."""

    with Windows() as windows:
        windows.apply(ViewUpdate(RED, "1 needs sign-in", MENU))
        assert "1 needs sign-in" == windows.shell.shown()["szTip"]
        assert [("R&&D", ["Retry now"]), "- - - -", "Open dashboard", "Mute", "Quit"] == windows.icon._menu_handle[0]
        assert [(True, windows.screen.thread)] == windows.hosts
        assert windows.shell.own
        assert windows.shell.shown()["flags"] & windows_shell.NIF_SHOWTIP, "version 4 shows no tooltip unasked"


# --- the menu -------------------------------------------------------------------------------------------------------------


def test_on_windows_an_open_menu_is_left_alone_until_it_is_closed() -> None:
    """The menu's loop delivers our message; the change waits, and the click does what the user read."""

    with Windows() as windows:
        windows.apply(ViewUpdate(menu=MENU))
        windows.happens(WM_CONTEXTMENU)
        windows.apply(ViewUpdate(tooltip="changed", menu=MENU[2:]))
        assert "changed" != windows.shell.shown()["szTip"]
        windows.choose(6)
        assert "changed" == windows.shell.shown()["szTip"]
    assert [QUIT] == windows.actions


@pytest.mark.parametrize("event", [WM_MOUSEMOVE, WM_CONTEXTMENU, WM_RBUTTONUP, windows_tray.NIN_SELECT])
def test_on_windows_the_mouse_over_the_icon_leaves_the_open_menu_alone(event: int) -> None:
    """The icon tells of each of its moves, also while the menu is open."""

    with Windows() as windows:
        windows.apply(ViewUpdate(menu=MENU))
        windows.happens(WM_CONTEXTMENU)
        windows.happens(event)
        windows.apply(ViewUpdate(menu=MENU[2:]))
        windows.choose(6)
    assert QUIT == windows.actions[-1]


@pytest.mark.parametrize(("x", "y"), [(1900, 1060), (-20, 5), (0, -1080)])
def test_on_windows_the_menu_opens_where_the_shell_says(x: int, y: int) -> None:
    """Also by the keyboard, when the mouse is elsewhere, and on a monitor left of the first one."""

    with Windows() as windows:
        windows.apply(ViewUpdate(menu=MENU))
        windows.happens(WM_CONTEXTMENU, x, y)
        assert (x, y) == windows.shell.menu_at
        windows.choose(0)
        assert windows_shell.NIM_SETFOCUS not in windows.shell.told


def test_on_windows_escape_gives_the_keyboard_back() -> None:
    """To the notification area, where it was."""

    with Windows() as windows:
        windows.apply(ViewUpdate(menu=MENU))
        windows.happens(WM_CONTEXTMENU)
        windows.choose(-1)
        assert windows_shell.NIM_SETFOCUS == windows.shell.told[-1]


def test_on_windows_an_open_menu_does_not_hold_up_the_end() -> None:
    """It closes."""

    with Windows() as windows:
        windows.apply(ViewUpdate(menu=MENU))
        windows.happens(WM_CONTEXTMENU)


# --- clicks and keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [windows_tray.NIN_SELECT, windows_tray.NIN_KEYSELECT])
def test_on_windows_a_left_click_opens_the_dashboard(event: int) -> None:
    """Whatever the menu contains, and by the keyboard, too."""

    with Windows() as windows:
        windows.happens(WM_LBUTTONUP)
        windows.happens(event)
    assert [SHOW] == windows.actions


def test_on_windows_a_balloon_is_shown_by_the_thread_of_the_window() -> None:
    """Whoever asks only posts. A click on it shows the dashboard, as one on a notification does."""

    with Windows() as windows:
        assert windows.icon.show_balloon("notes needs a sign-in", "Sign in again.")
        windows.screen.settle()
        shown = windows.shell.shown()
        assert ("notes needs a sign-in", "Sign in again.", 0x80) == (
            shown["szInfoTitle"],
            shown["szInfo"],
            shown["dwInfoFlags"],
        )
        assert 0x10 == shown["flags"], "NIF_INFO"
        windows.happens(NIN_BALLOONUSERCLICK)
        assert windows.icon.show_balloon("", "")
        windows.screen.settle()
        assert "" == windows.shell.shown()["szInfo"]
    assert [SHOW] == windows.actions
    assert windows_tray.WM_APPLY != WM_BALLOON


def test_on_windows_there_is_no_balloon_before_there_is_a_window() -> None:
    """The notification says so and is not lost in a queue."""

    windows = Windows()
    windows.icon._hwnd = None
    assert not windows.icon.show_balloon("title", "text")


@pytest.mark.parametrize(("pause", "times"), [(0.2, 1), (0.6, 3)])
def test_on_windows_a_double_click_opens_it_once(pause: float, times: int) -> None:
    """And so does the Enter key, of which Windows tells twice."""

    with Windows() as windows:
        for _ in range(3):
            windows.happens(windows_tray.NIN_SELECT)
            windows.shell.clock += pause
    assert times * [SHOW] == windows.actions


def test_on_windows_a_shell_without_version_4_has_the_mouse() -> None:
    """Then an event is a button, and the place is the mouse's."""

    with Windows(version_4=False) as windows:
        windows.apply(ViewUpdate(menu=MENU))
        windows.happens(WM_LBUTTONUP)
        windows.happens(WM_RBUTTONUP, 7, 8)
        assert (30, 40) == windows.shell.menu_at
        windows.choose(6)
    assert [SHOW, QUIT] == windows.actions


def test_on_windows_other_events_are_passed_on() -> None:
    """Those of a balloon, with nothing but their number."""

    with Windows() as windows:
        windows.happens(0x402, 17, 4)
        assert [0x402] == windows.icon.others


# --- the icon -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [16, 20, 24, 32, 40, 48])
def test_on_windows_the_icon_has_the_size_that_is_shown(side: int) -> None:
    """Drawn so, not scaled."""

    with Windows(side=side) as windows:
        windows.apply(ViewUpdate(GREEN))
        assert art.draw(GREEN, side).tobytes() == windows.shell.shown()["image"].tobytes()


@pytest.mark.parametrize("message", [0x7E, 0x1A, 0x2E0], ids=["display", "setting", "dpi"])
def test_on_windows_the_icon_follows_the_scale_of_the_monitor(message: int) -> None:
    """And a change of anything else leaves it alone."""

    with Windows() as windows:
        windows.apply(ViewUpdate(GREEN))
        before = len(windows.shell.told)
        windows.send(message)
        assert before == len(windows.shell.told)
        windows.shell.side = 24
        windows.send(message)
        assert (24, 24) == windows.shell.shown()["image"].size


def test_on_windows_each_handle_of_an_icon_is_freed() -> None:
    """There are 10,000 for a program, and states change for weeks."""

    with Windows() as windows:
        for view in 3 * [RED, GREEN]:
            windows.apply(ViewUpdate(view))
        assert 1 == len(windows.shell.handles)


def test_on_windows_the_icon_comes_back_with_explorer() -> None:
    """As it is now, and with the same keys and clicks."""

    with Windows() as windows:
        windows.apply(ViewUpdate(GREEN, "all well"))
        windows.shell.icons.clear()
        windows.send(TASKBAR_CREATED)
        windows.apply(ViewUpdate(menu=MENU))
        assert "all well" == windows.shell.shown()["szTip"]
        assert windows_shell.NIM_SETVERSION in windows.shell.told[-3:]
        windows.happens(windows_tray.NIN_SELECT)
    assert [SHOW] == windows.actions


def test_on_windows_a_change_that_the_shell_did_not_take_is_told_again() -> None:
    """At a login the notification area may be too busy to answer."""

    with Windows(running=False) as windows:
        windows.apply(ViewUpdate(GREEN, "all well"))
        assert (windows_tray.RETRY, []) == (windows.shell.timer, windows.hosts)
        windows.shell.running = True
        windows.send(windows_tray.WM_TIMER)
        assert "all well" == windows.shell.shown()["szTip"]
        assert windows.shell.timer is None
        windows.shell.running = False
        windows.apply(ViewUpdate(RED))
        windows.shell.running = True
        windows.send(windows_tray.WM_TIMER)
        assert art.draw(RED, 16).tobytes() == windows.shell.shown()["image"].tobytes()
    assert [True] == [present for present, _ in windows.hosts]


def test_on_windows_a_missing_shell_is_reported_after_a_while() -> None:
    """And its return, too."""

    with Windows(running=False) as windows:
        for _ in range(windows_tray.TRIES):
            windows.send(windows_tray.WM_TIMER)
        windows.shell.running = True
        windows.send(windows_tray.WM_TIMER)
    assert [False, True] == [present for present, _ in windows.hosts]


# --- the session ----------------------------------------------------------------------------------------------------------


def test_on_windows_the_session_may_end() -> None:
    """pystray would answer 0 to what it doesn't know, which forbids it."""

    with Windows() as windows:
        assert 1 == windows.send(WM_QUERYENDSESSION)


def test_on_windows_a_request_to_close_is_left_to_the_other_window() -> None:
    """Windows' own answer would destroy the window, and leave the program running without an icon."""

    with Windows() as windows:
        windows.shell.default = lambda *message: pytest.fail(f"{message}")  # type: ignore[method-assign]
        assert 0 == windows.send(windows_tray.WM_CLOSE)


# --- plain functions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", "short"),
        ("x" * 127, "x" * 127),
        ("x" * 128, "x" * 126 + "…"),
        ("😀" * 64, "😀" * 63 + "…"),
        ("first\n" + "x" * 121, "first\n" + "x" * 121),
        ("first\n" + "x" * 122, "first\n…"),
        ("first\nsecond\n" + "x" * 122 + "\nlast", "first\nsecond\n…"),
        ("x" * 130 + "\nsecond", "x" * 126 + "…"),
        ("x" * 126 + "\nsecond", "x" * 126 + "…"),
    ],
)
def test_on_windows_a_tooltip_is_cut_to_what_fits(text: str, shown: str) -> None:
    """128 UTF-16 units with the final zero: whole lines, and no half of a surrogate pair."""

    assert shown == windows_tray.windows_tooltip(text)
    assert len(shown.encode("utf-16-le")) <= 2 * 127


@pytest.mark.parametrize("side", [16, 20, 24, 32, 33, 40, 48])
def test_an_icon_resource_is_what_its_header_says(side: int) -> None:
    """Pillow reads it back, if it is put into a file."""

    drawn = art.draw(GREEN, side)
    resource = windows_shell.icon_resource(drawn)
    directory = struct.pack("<HHHBBBBHHII", 0, 1, 1, side, side, 0, 0, 1, 32, len(resource), 22)
    with Image.open(io.BytesIO(directory + resource)) as read:
        assert drawn.tobytes() == read.convert("RGBA").tobytes()
    mask = resource[40 + 4 * side * side :]
    assert -(-side // 32) * 4 * side == len(mask)
    assert mask[0] & 0x80, "the lower left corner is clear"


def test_the_calls_of_windows_are_there_only() -> None:
    """Elsewhere they are refused, not missing."""

    if sys.platform == "win32":
        pytest.skip("this is Windows")
    with pytest.raises(OSError, match="Microsoft"):
        windows_shell.load_shell(None)


def test_default_item_and_check_marks_reach_pystray() -> None:
    """The same on both systems; of several items that show the dashboard, one is the default."""

    items = (*MENU, MenuItem("warning:0", "No keyring.", SHOW))
    menu, clickable = native.make_menu(pystray, items, lambda path, action: None, native.plain_label)
    workload, line, show, mute, quit_, warning = menu.items
    assert not warning.default
    assert line is pystray_base.Menu.SEPARATOR
    assert (False, True, False) == (workload.default, show.default, quit_.default)
    assert (None, True) == (quit_.checked, mute.checked)
    assert {
        (("a", "a/retry"), RETRY),
        (("dashboard",), SHOW),
        (("mute",), Action(Verb.MUTE)),
        (("quit",), QUIT),
        (("warning:0",), SHOW),
    } == clickable


def test_the_icon_imports_without_d_bus() -> None:
    """dbus-fast is installed on Linux only."""

    program = (
        "import sys; sys.modules['dbus_fast'] = None\n"
        "import trayapp.tray.icon, trayapp.tray.native, trayapp.tray.native_windows\n"
        "import trayapp.tray.notify, trayapp.tray.art, trayapp.tray.mailbox"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
