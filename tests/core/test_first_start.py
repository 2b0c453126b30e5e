"""What an installation says and opens once, at its first start."""

from __future__ import annotations

import pytest

from trayapp.core.first_start import GNOME_EXTENSION, KEY, Desktop, Start, Told, no_tray, notice, opens_set_up
from trayapp.core.presentation import Action, Notice, Verb

XFCE = Desktop("linux", "XFCE")


@pytest.mark.parametrize(
    ("desktop", "body"),
    [
        (XFCE, "Look for its icon in the panel."),
        (Desktop("darwin"), "Look for its icon in the menu bar."),
        (Desktop("win32"), "Look for its icon in the taskbar."),
    ],
)
def test_the_first_start_says_where_the_icon_is(desktop: Desktop, body: str) -> None:
    """In the words of the system."""

    assert (Told.ICON, Notice(KEY, "Amberlight is running", body)) == notice(True, set(), desktop, muted=False)


@pytest.mark.parametrize("shown", [True, False])
def test_it_is_said_once_and_never_when_muted(shown: bool) -> None:
    """Each of the two has its own mark: a tray may come or go later."""

    said = notice(shown, set(), XFCE, muted=False)
    assert said is not None
    assert notice(shown, {str(said[0])}, XFCE, muted=False) is None
    assert notice(not shown, {str(said[0])}, XFCE, muted=False) is not None
    assert notice(shown, set(), XFCE, muted=True) is None


@pytest.mark.parametrize(
    ("names", "gnome"),
    [
        ("GNOME", True),
        ("ubuntu:GNOME", True),
        ("GNOME-Classic:GNOME", True),
        ("GNOME-Flashback", True),
        ("XFCE", False),
        ("sway", False),
        ("", False),
    ],
)
def test_without_a_tray_it_says_what_to_do(names: str, gnome: bool) -> None:
    """GNOME needs an extension, which is named; elsewhere, and until then, the dashboard shows everything."""

    found = notice(False, set(), Desktop("linux", names), muted=False)
    assert found is not None
    told, shown = found
    assert Told.NO_TRAY is told
    assert no_tray(Desktop("linux", names)) == shown.body
    assert gnome is (GNOME_EXTENSION in shown.body)
    assert "`amberlight dashboard`" in shown.body
    assert (("Open dashboard", Action(Verb.SHOW)),) == shown.buttons


@pytest.mark.parametrize(
    ("start", "opens"),
    [
        (Start(terminal=True, browser=True), True),
        (Start(page=True, browser=True), True),  # the desktop's menu
        (Start(browser=True), False),  # at login, or as a service
        (Start(page=False, terminal=True, browser=True), False),  # by another program
        (Start(terminal=True, browser=True, remote=True), False),
        (Start(page=True, browser=True, remote=True), False),
        (Start(terminal=True), False),
        (Start(page=True), False),
    ],
)
def test_set_up_opens_where_a_person_sees_it(start: Start, opens: bool) -> None:
    """Never otherwise, never twice, and never where there is something else to see."""

    assert opens is opens_set_up(start, set(), 0)
    assert opens is opens_set_up(start, {Told.ICON}, 0)
    assert not opens_set_up(start, {Told.SET_UP}, 0)
    assert not opens_set_up(start, set(), 1)
