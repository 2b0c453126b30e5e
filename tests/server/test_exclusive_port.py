"""A port of ours is ours alone: on Windows, another program could otherwise take over its connections."""

from __future__ import annotations

import socket

import pytest

from trayapp.oauth import loopback
from trayapp.server import server


def can_be_shared(address: str, listener: socket.socket) -> bool:
    """Whether another program gets the same port by asking for a shared one."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind((address, listener.getsockname()[1]))
            other.listen()
        except OSError:
            return False
    return True


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_nobody_can_share_the_local_servers_port(address: str) -> None:
    """Neither on the loopback address nor on all of them."""

    with server._bind(0) as listener:
        assert not can_be_shared(address, listener)


def test_nobody_can_share_the_port_of_a_sign_in() -> None:
    """A code goes there."""

    with loopback._bound(socket.AF_INET, "127.0.0.1", 0) as listener:
        listener.listen()
        assert not can_be_shared("127.0.0.1", listener)
