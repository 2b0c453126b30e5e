"""The icon and its menu on every installed panel: three toolkits, light and dark, single and double density.

LXQt's and MATE's panels are large, so the test command does not install them; their rows are skipped without them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.panels import PANELS, VIEWS, Panel, ShownIcon
from trayapp.core.presentation import Action, Colour, Verb

pytestmark = pytest.mark.desktop


@pytest.fixture(params=[(False, 1), (True, 2)], ids=["light 1x", "dark 2x"])
def appearance(request: pytest.FixtureRequest) -> tuple[bool, int]:
    dark, scale = request.param
    return dark, scale


@pytest.fixture(params=PANELS, ids=lambda kind: kind.program)
def shown(
    request: pytest.FixtureRequest, appearance: tuple[bool, int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ShownIcon]:
    require_desk()
    kind: type[Panel] = request.param
    if not kind.installed():
        pytest.skip(f"{kind.program} is not installed")
    with kind(dark=appearance[0], scale=appearance[1]) as panel:
        for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
            monkeypatch.setenv(name, panel.env[name])
        shown = ShownIcon(panel)
        try:
            yield shown
        finally:
            shown.close()


def test_states_and_menu(shown: ShownIcon) -> None:
    """The view's colours are visible and no others; a menu line chosen by keyboard posts its action."""

    for view in VIEWS[:3]:
        shown.show(view)
        absent = {Colour.GREEN, Colour.AMBER, Colour.RED, Colour.BLUE} - {view.colour, *view.segments}
        assert all(shown.share(colour) < 0.01 for colour in absent)
    shown.open_menu()
    shown.panel.xdo("key", "Down", "sleep", "0.1", "key", "Return")
    assert Action(Verb.REAUTHORIZE, "git_hub") == shown.actions.get(timeout=5)
