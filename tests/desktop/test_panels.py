"""The icon and its menu on every panel that is installed: three toolkits, light and dark, single and double density.

LXQt's and MATE's panels are large, so the test command does not install them: without them their rows are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.panels import PANELS, VIEWS, Panel, Shown
from trayapp.core.presentation import Action, Colour, Verb

pytestmark = pytest.mark.desktop


@pytest.fixture(params=[(False, 1), (True, 2)], ids=["light 1x", "dark 2x"])
def how(request: pytest.FixtureRequest) -> tuple[bool, int]:
    dark, scale = request.param
    return dark, scale


@pytest.fixture(params=PANELS, ids=lambda kind: kind.program)
def shown(request: pytest.FixtureRequest, how: tuple[bool, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    require_desk()
    kind: type[Panel] = request.param
    if not kind.there():
        pytest.skip(f"{kind.program} is not installed")
    with kind(dark=how[0], scale=how[1]) as panel:
        for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
            monkeypatch.setenv(name, panel.env[name])
        shown = Shown(panel)
        try:
            yield shown
        finally:
            shown.close()


def test_states_and_menu(shown: Shown) -> None:
    """Every colour of the palette is seen, and no other; a line of the menu, chosen by keyboard, is what was clicked."""

    for view in VIEWS[:3]:
        shown.show(view)
        absent = {Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE} - {view.colour, *view.segments}
        assert all(shown.share(colour) < 0.01 for colour in absent)
    shown.open_menu()
    shown.panel.xdo("key", "Down", "sleep", "0.1", "key", "Return")
    assert Action(Verb.REAUTHORIZE, "git_hub") == shown.actions.get(timeout=5)
