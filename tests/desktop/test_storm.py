"""The kill storm, in small: `python -m tests.desktop.storm` is the long one.

Both kinds blow at once, each with a server and an installation of its own: most of a storm is waiting.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.storm import Books, Storm, calm, sky

pytestmark = pytest.mark.desktop

KILLS = 20  # of each kind
HEAD = (
    "POST /token HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: {}\r\n\r\n"
)
SEEDS = {60.0: 60, 0.0: 0}  # by the grace of the server, in seconds


@pytest.fixture(scope="module")
def storms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[float, Future[Books]]]:
    """By grace. They share a session bus and a keyring; nobody looks at it."""
    require_desk()

    roots = {grace: tmp_path_factory.mktemp("storm") for grace in SEEDS}

    def blow(grace: float) -> Books:
        with sky(grace) as server:
            return Storm(desk, roots[grace], server, SEEDS[grace]).blow(KILLS)

    with (
        Desk(panel=False, notifications=False) as desk,
        pytest.MonkeyPatch.context() as patch,
        ThreadPoolExecutor(len(SEEDS), "storm") as sky_above,
    ):
        for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"):
            patch.setenv(name, desk.env[name])
        yield {grace: sky_above.submit(blow, grace) for grace in SEEDS}


def test_the_books_are_made_when_the_server_is_done() -> None:
    """What was asked before is decided when it is calm: else a login that is lost a moment later is in no book."""

    with sky(60.0) as server:
        server.latency = 0.3
        grant = server.issue(scope="mail")
        assert grant.refresh_token is not None
        form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token, "client_id": server.client_id}
        body = urlencode(form).encode()
        asked = socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0))
        with asked:
            asked.sendall(HEAD.format(len(body)).encode() + body)
            calm(server)
        assert grant.refresh_token != server.current_refresh_token(grant.family)


def test_with_a_grace_no_kill_costs_a_login(storms: dict[float, Future[Books]]) -> None:
    """Running after each restart, no browser ever, and at the end the keyring holds what the server will take."""

    books = storms[60.0].result()
    assert [] == books.wrong
    assert 0 == books.losses
    assert KILLS == books.kills
    assert books.refreshes >= 3 * KILLS, str(books)
    assert books.caught, f"no kill met the window: {books}"


def test_without_a_grace_each_loss_is_in_the_one_window_and_has_its_name(storms: dict[float, Future[Books]]) -> None:
    """`lost_rotation` is said of exactly those whose newest token the server had decided and the keyring had not."""

    books = storms[0.0].result()
    assert [] == books.wrong
    assert books.losses == books.caught > 0, str(books)
