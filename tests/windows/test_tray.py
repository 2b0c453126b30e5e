"""The icon of the Windows program, its tooltip and its menu, on a screen. Wine docks them into a panel of X."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.desktop.screen import wait_for
from tests.windows.laptops import laptop
from tests.windows.wine_desk import PROFILE, WindowsIcon, WineDesk, off, require_windows, second_program
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Status

pytestmark = [
    pytest.mark.wine,
    pytest.mark.linux("it starts Wine"),
    pytest.mark.skipif(not PROFILE, reason="packaging/dev.sh test --windows-screen runs it"),
]

GREEN = laptop(Status.RUNNING, Status.RUNNING)
AMBER = laptop(Status.RUNNING, Status.AUTH_RETRYING)
RED = laptop(Status.RUNNING, Status.UNAUTHENTICATED)
SHOW = Action(Verb.SHOW)
REAUTHORIZE = Action(Verb.REAUTHORIZE, "notion")
# Lines of text in RED's menu, from above.
SUMMARY, TOP, DASHBOARD, NOTION, GITHUB = range(5)


@pytest.fixture(scope="module")
def desk() -> Iterator[WineDesk]:
    require_windows()
    with WineDesk() as desk:
        yield desk


@pytest.fixture(scope="module")
def running(desk: WineDesk) -> Iterator[WindowsIcon]:
    icon = WindowsIcon(desk)
    yield icon
    icon.close()


@pytest.fixture
def icon(running: WindowsIcon) -> Iterator[WindowsIcon]:
    """The icon, green."""
    running.show(GREEN)
    yield running
    running.desk.close_menu()
    assert running.said.empty()


def test_each_state_is_drawn_pixel_by_pixel(icon: WindowsIcon) -> None:
    """Nothing scales it."""

    for view in (AMBER, RED, GREEN):
        icon.show(view)
        wait_for(lambda view=view: off(icon.desk, view) <= 3, "the icon as it is drawn", 5)  # type: ignore[misc]


def test_a_left_click_opens_the_dashboard_and_a_double_click_too(icon: WindowsIcon) -> None:
    """Once."""

    icon.desk.click_icon()
    assert SHOW == icon.clicked()
    icon.desk.xdo("sleep", "0.6", "click", "--repeat", "2", "--delay", "60", "1", "sleep", "0.8")
    assert SHOW == icon.clicked()


def test_a_line_clicked_with_the_mouse_does_what_it_says(icon: WindowsIcon) -> None:
    """The first line that can be clicked is what helps."""

    icon.show(RED)
    icon.desk.click_row(icon.desk.open_menu(), TOP)
    assert REAUTHORIZE == icon.clicked()


def test_a_workload_has_a_menu_of_its_own(icon: WindowsIcon) -> None:
    """Beside the first."""

    icon.show(RED)
    menu = icon.desk.open_menu()
    icon.desk.hover_row(menu, NOTION)
    submenu = wait_for(lambda: icon.desk.menus()[1:], "the submenu")[0]
    icon.desk.settle(submenu)
    icon.desk.click_row(submenu, 0)
    assert REAUTHORIZE == icon.clicked()


def test_a_disabled_line_does_nothing(icon: WindowsIcon) -> None:
    """It is grey, and the menu stays."""

    menu = icon.desk.open_menu()
    icon.desk.click_row(menu, SUMMARY)
    assert [menu] == icon.desk.menus()


def test_a_state_that_changes_leaves_the_open_menu_alone(icon: WindowsIcon) -> None:
    """Also while the mouse moves over the icon; what changed is shown once the menu is closed."""

    menu = icon.desk.open_menu()
    icon.publish(RED)
    icon.desk.xdo("mousemove", 6, 16, "sleep", "0.3", "mousemove", 8, 18, "sleep", "0.5")
    assert [menu] == icon.desk.menus()
    icon.desk.close_menu()
    wait_for(lambda: off(icon.desk, RED) <= 3, "the red icon", 5)


def test_the_menu_key_opens_the_menu_at_the_icon(icon: WindowsIcon) -> None:
    """Wherever the mouse is; arrows and Enter choose."""

    icon.show(RED)
    icon.desk.hover(900, 600)
    with second_program(icon.desk) as other:
        other.does("context_menu", 300, 500)
        menu = wait_for(icon.desk.menus, "the menu")[0]
        assert (300, 500) == (menu[0], menu[1] + menu[3])
        icon.desk.over(menu)
        icon.desk.xdo("key", "Down", "sleep", "0.1", "key", "Down", "sleep", "0.1", "key", "Return")
    assert REAUTHORIZE == icon.clicked()


def test_the_icon_comes_back_with_explorer_and_lets_the_session_end(icon: WindowsIcon) -> None:
    """Told by a second program, as Windows tells it."""

    with second_program(icon.desk) as other:
        assert 1 == other.does("lose_icon")
        wait_for(lambda: icon.desk.icon_share(GREEN.icon.colour.value) == 0, "the icon to go")
        other.does("taskbar_created")
        wait_for(lambda: off(icon.desk, GREEN) <= 3, "the icon to come back", 5)
        assert 1 == other.does("may_end")
    icon.desk.click_icon()
    assert SHOW == icon.clicked()


def test_the_tooltip_has_a_line_for_what_is_wrong(icon: WindowsIcon) -> None:
    """Below the summary. (That version 4 shows none unless it is told to, Wine doesn't know.)"""

    def height() -> int:
        icon.desk.hover(900, 600)
        wait_for(lambda: not icon.desk.tips(), "the end of the tooltip")
        icon.desk.hover(16, 16)
        icon.desk.hover(17, 17)
        return wait_for(icon.desk.tips, "the tooltip")[0][3]

    one_line = height()
    icon.show(RED)
    assert height() > one_line + 8


def test_the_end_takes_the_icon_away_and_closes_the_menu(desk: WineDesk, running: WindowsIcon) -> None:
    """Also while the menu is open. The last test of this file."""

    desk.open_menu()
    running.close()
    wait_for(lambda: not desk.menus(), "the menu to close")
    wait_for(lambda: desk.icon_share(GREEN.icon.colour.value) == 0, "the icon to go")
