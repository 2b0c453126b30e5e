"""The icon of the Windows program on screens of larger scales."""

from __future__ import annotations

import pytest

from tests.desktop.screen import wait_for
from tests.windows.laptops import laptop
from tests.windows.wine_desk import PROFILE, WindowsIcon, WineDesk, off, require_windows
from trayapp.core.snapshot import Status

pytestmark = [
    pytest.mark.wine,
    pytest.mark.linux("it starts Wine"),
    pytest.mark.skipif(not PROFILE, reason="packaging/dev.sh test --windows-screen runs it"),
]


@pytest.mark.parametrize(("dpi", "side"), [(120, 20), (144, 24)])
def test_at_a_larger_scale_the_icon_is_drawn_larger(dpi: int, side: int) -> None:
    """125 % and 150 %, on a dark taskbar."""

    require_windows()
    view = laptop(Status.RUNNING, Status.AUTH_RETRYING)
    with WineDesk(dark=True, dpi=dpi) as desk:
        icon = WindowsIcon(desk)
        icon.show(view)
        wait_for(lambda: off(desk, view, side) <= 3, f"an icon of {side} pixels", 5)
        icon.close()
