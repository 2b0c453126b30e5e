"""Sockets of connections to upstreams."""

from __future__ import annotations

import socket

from trayapp.proxy.upstream import _socket


def test_keep_alive_is_on_everywhere() -> None:
    """A system that knows only some of the options, or none, still gives a socket: Windows before 2017, Wine."""

    address = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1))
    with _socket(address) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not made.getblocking()
