"""Icon, menu and notifications in a Wayland session, where there is no X at all.

Sway and its bars are large, so the test command does not install them; without them these tests are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.desktop.panels import VIEWS, ShownIcon
from tests.desktop.wayland import Sway, Waybar
from tests.tray.bus import require_dbus
from trayapp.core.presentation import Action, Colour, Verb

pytestmark = pytest.mark.desktop

REAUTHORIZE = 0  # line of the menu below the bar: it begins at the pointer, so its first line is on the bar
SHOW = Action(Verb.SHOW)


@pytest.fixture
def shown(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShownIcon]:
    """An icon on the bar that the test names."""
    kind: type[Sway] = request.param
    require_dbus()
    if not kind.installed():
        pytest.skip(f"not installed: one of {', '.join(kind.needed)}")
    with kind() as bar:
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bar.env["DBUS_SESSION_BUS_ADDRESS"])
        shown = ShownIcon(bar)
        try:
            yield shown
        finally:
            shown.close()


@pytest.mark.parametrize("shown", [Sway, Waybar], ids=lambda kind: kind.program, indirect=True)
def test_states_and_left_click(shown: ShownIcon) -> None:
    """Each state in its colour and no other; the left button opens the dashboard."""

    for view in VIEWS[:3]:
        shown.show(view)
        absent = {Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE} - {view.colour, *view.segments}
        assert all(shown.share(colour) < 0.01 for colour in absent)
    click(shown, 1)
    assert SHOW == shown.actions.get(timeout=5)


@pytest.mark.parametrize("shown", [Waybar], ids=["waybar"], indirect=True)
def test_waybars_menu(shown: ShownIcon) -> None:
    """A line of the menu posts its action."""

    shown.show(VIEWS[2])
    box = shown.open_menu()
    shown.panel.click_row(box, REAUTHORIZE)
    assert Action(Verb.REAUTHORIZE, "git_hub") == shown.actions.get(timeout=5)


@pytest.mark.parametrize("shown", [Sway], ids=["sway"], indirect=True)
def test_sways_own_bar_has_no_menus(shown: ShownIcon) -> None:
    """The right button opens the dashboard, which offers the same."""

    shown.show(VIEWS[0])
    click(shown, 3)
    assert SHOW == shown.actions.get(timeout=5)


def click(shown: ShownIcon, button: int) -> None:
    """Press a mouse button on the icon."""
    x, y, width, height = shown.panel.icon_box()
    shown.panel.hover(100, 100)
    shown.panel.click(x + width - 10 if x else width // 2, y + height // 2, button)
