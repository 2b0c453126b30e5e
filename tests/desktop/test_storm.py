"""A short kill storm with and without a server's grace; `python -m tests.desktop.storm` is the long one.

Both run at the same time, each with a server and an installation of its own: most of a storm is waiting.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest

from tests.desktop.conftest import require_desk
from tests.desktop.desk import Desk
from tests.desktop.storm import Storm, Tally, storm_server, wait_until_idle

pytestmark = pytest.mark.desktop

KILLS = 20  # of each kind
HEAD = (
    "POST /token HTTP/1.1\r\nHost: x\r\nUser-Agent: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: {}\r\n\r\n"
)
SEEDS = {60.0: 60, 0.0: 0}  # by the grace of the server, in seconds


@pytest.fixture(scope="module")
def storms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[float, Future[Tally]]]:
    """The running storms by grace. They share a session bus and a keyring."""
    require_desk()

    roots = {grace: tmp_path_factory.mktemp("storm") for grace in SEEDS}

    def run(grace: float) -> Tally:
        with storm_server(grace) as server:
            return Storm(desk, roots[grace], server, SEEDS[grace]).run_kills(KILLS)

    with (
        Desk(panel=False, notifications=False) as desk,
        pytest.MonkeyPatch.context() as patch,
        ThreadPoolExecutor(len(SEEDS), "storm") as executor,
    ):
        for name in ("DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"):
            patch.setenv(name, desk.env[name])
        yield {grace: executor.submit(run, grace) for grace in SEEDS}


def test_losses_are_tallied_when_the_server_is_idle() -> None:
    """Every earlier request is decided by then; otherwise a login that is lost a moment later would go uncounted."""

    with storm_server(60.0) as server:
        server.latency = 0.3
        grant = server.issue(scope="mail")
        assert grant.refresh_token is not None
        form = {"grant_type": "refresh_token", "refresh_token": grant.refresh_token, "client_id": server.client_id}
        body = urlencode(form).encode()
        connection = socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0))
        with connection:
            connection.sendall(HEAD.format(len(body)).encode() + body)
            wait_until_idle(server)
        assert grant.refresh_token != server.current_refresh_token(grant.family)


def test_with_a_grace_no_kill_costs_a_login(storms: dict[float, Future[Tally]]) -> None:
    """Running after each restart, no browser ever, and at the end the keyring holds what the server accepts."""

    tally = storms[60.0].result()
    assert [] == tally.wrong
    assert 0 == tally.losses
    assert KILLS == tally.kills
    assert tally.refreshes >= 3 * KILLS, str(tally)
    assert tally.caught_in_window, f"no kill met the window: {tally}"


def test_without_a_grace_each_loss_is_reported_and_no_other(storms: dict[float, Future[Tally]]) -> None:
    """`lost_rotation` is reported for exactly those whose new token the server had issued and the keyring had not."""

    tally = storms[0.0].result()
    assert [] == tally.wrong
    assert tally.losses == tally.caught_in_window > 0, str(tally)
