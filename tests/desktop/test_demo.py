"""`amberlight demo` as a new user sees it: green, amber, green, red within a minute, and one click makes it green.

Three demos run side by side, each on a desktop of its own and each fixed in another way: `demo_runs.py`. With
AMBERLIGHT_SHOTS set to a directory, screenshots of every state are saved there.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.demo_runs import (
    DemoRuns,
    demos_started,
    reauthorizes_by_command,
    reauthorizes_by_menu,
    reauthorizes_by_notification,
)

pytestmark = pytest.mark.desktop


@pytest.fixture(scope="module")
def runs(started_demos: DemoRuns | None) -> Iterator[DemoRuns]:
    """The demos, started here if they are not running yet, and ended after the tests of this module."""
    require_desk()
    if started_demos is None:
        with demos_started() as demos:
            yield demos
    else:
        yield started_demos
        started_demos.end()


def test_the_button_of_the_notification(runs: DemoRuns) -> None:
    """The whole demo on the panel, and at its end one click in the notification."""

    runs.results[reauthorizes_by_notification].result()


def test_the_line_in_the_menu(runs: DemoRuns) -> None:
    """A workload that needs a sign-in is at the top of the menu."""

    runs.results[reauthorizes_by_menu].result()


def test_the_command(runs: DemoRuns) -> None:
    """The command line finds the demo as it finds the app."""

    runs.results[reauthorizes_by_command].result()
