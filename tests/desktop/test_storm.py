"""The kill storm, in small: `python -m tests.desktop.storm` is the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.storm import Storm, sky

pytestmark = pytest.mark.desktop

KILLS = 20  # of each kind


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    """A session bus and a keyring; nobody looks at it."""
    require_desk()
    with Desk(panel=False, notifications=False) as desk:
        yield desk


def test_with_a_grace_no_kill_costs_a_login(on_desk: Desk, tmp_path: Path) -> None:
    """Running after each restart, no browser ever, and at the end the keyring holds what the server will take."""

    with sky(grace=60.0) as server:
        books = Storm(on_desk, tmp_path, server, seed=60).blow(KILLS)
    assert [] == books.wrong
    assert 0 == books.losses
    assert KILLS == books.kills
    assert books.refreshes >= 3 * KILLS, str(books)
    assert books.caught, f"no kill met the window: {books}"


def test_without_a_grace_each_loss_is_in_the_one_window_and_has_its_name(on_desk: Desk, tmp_path: Path) -> None:
    """`lost_rotation` is said of exactly those whose newest token the server had decided and the keyring had not."""

    with sky(grace=0.0) as server:
        books = Storm(on_desk, tmp_path, server, seed=0).blow(KILLS)
    assert [] == books.wrong
    assert books.losses == books.caught > 0, str(books)
