"""`amberlight demo` as a stranger meets it: green, amber, green, red within a minute, and one click makes it green.

Three demos run side by side, each on a desk of its own, and each is mended by another click: `days.py`. With
AMBERLIGHT_SHOTS set to a directory every state is kept there as a picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.days import Days, begun, presses_the_button, takes_the_menu, types_the_command

pytestmark = pytest.mark.desktop


@pytest.fixture(scope="module")
def days(begun_demos: Days | None) -> Iterator[Days]:
    """They begin here if they have not begun yet, and are not needed any more when the tests of this module are over."""
    require_desk()
    if begun_demos is None:
        with begun() as demos:
            yield demos
    else:
        yield begun_demos
        begun_demos.end()


def test_the_button_of_the_notification(days: Days) -> None:
    """The whole day on the panel, and at its end one press in the notification."""

    days.over[presses_the_button].result()


def test_the_line_in_the_menu(days: Days) -> None:
    """What needs a person stands at the top of the menu."""

    days.over[takes_the_menu].result()


def test_the_command(days: Days) -> None:
    """The command line finds the demo as it finds the app."""

    days.over[types_the_command].result()
