"""Sockets of a redirect address: with `localhost` both loopback addresses are ours, or the name isn't used."""

from __future__ import annotations

import errno
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.oauth.attempts import quiet_log
from tests.oauth.authserver import AuthServer, auth_server
from tests.oauth.test_signin_registered import bare, refused, signed_in
from trayapp.oauth import loopback
from trayapp.oauth.client_store import ClientRecords
from trayapp.oauth.loopback import bind, bind_both

__all__ = ["quiet_log"]

pytestmark = pytest.mark.usefixtures("quiet_log")


def on_ipv6(port: int) -> socket.socket:
    """Another program on ::1."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    sock.bind(("::1", port))
    sock.listen()
    return sock


@pytest.fixture
def demanding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server registers nothing but `localhost`, and says so in words of its own."""
    real = AuthServer._register

    def picky(server: AuthServer, asked: dict[str, Any]) -> web.Response:
        if "127.0.0.1" in asked["redirect_uris"][0]:
            return web.json_response({"code": "BAD_REQUEST", "message": "Redirect URI must use HTTPS"}, status=400)
        return real(server, asked)

    monkeypatch.setattr(AuthServer, "_register", picky)


def test_both_addresses_have_the_same_port() -> None:
    """A browser finds us whichever it looks up."""

    sockets = bind_both(0)
    assert sockets.ipv6 is not None
    assert sockets.port == sockets.ipv6.getsockname()[1]
    assert sockets.only_ipv4().ipv6 is None
    assert -1 == sockets.ipv6.fileno()
    sockets.close()
    assert -1 == sockets.ipv4.fileno()


def test_a_port_that_is_taken_in_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed one isn't ours; where any will do, another one is chosen."""

    with bind(0) as free:
        port = free.getsockname()[1]
    real, ports = bind, iter((port, 0))
    with on_ipv6(port):
        with pytest.raises(OSError, match=str(errno.EADDRINUSE)):
            bind_both(port)
        monkeypatch.setattr(loopback, "bind", lambda _: real(next(ports)))
        sockets = bind_both(0)
        assert port != sockets.port
        assert sockets.ipv6 is not None
        sockets.close()


def test_a_machine_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """There nobody else can listen on ::1 either."""

    real = loopback._bound

    def without(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no such address")
        return real(family, host, port)

    monkeypatch.setattr(loopback, "_bound", without)
    sockets = bind_both(0)
    assert (None, True) == (sockets.ipv6, sockets.localhost)
    sockets.close()


@pytest.mark.usefixtures("demanding")
async def test_localhost_is_not_registered_where_another_program_listens() -> None:
    """A fixed port leaves no choice, and the codes could go to that program: the person is told instead."""

    with bind(0) as free:
        port = free.getsockname()[1]
    async with auth_server(registers=True) as server:
        with on_ipv6(port):
            problem = await refused(server, ClientRecords(), bare(server, redirect_port=port))
        assert "register apps that redirect to this computer" in problem.summary
        assert {} == server.clients
        await signed_in(server, ClientRecords(), bare(server, redirect_port=port))

    assert "localhost" == urlsplit(server.authorized[0]["redirect_uri"]).hostname


@pytest.mark.usefixtures("demanding")
async def test_a_localhost_registration_is_made_anew_where_another_program_has_its_ipv6_port() -> None:
    """Its address isn't ours alone any more."""

    async with auth_server(registers=True) as server:
        clients = ClientRecords()
        await signed_in(server, clients)
        port = urlsplit(server.authorized[0]["redirect_uri"]).port
        assert port is not None
        with on_ipv6(port):
            await signed_in(server, clients)

    assert ["c-1", "c-2"] == list(server.clients)
    assert port != urlsplit(server.authorized[1]["redirect_uri"]).port
