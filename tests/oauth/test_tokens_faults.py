"""Faults named from exceptions alone, for shapes that a test's socket can't produce on every system."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx2
import pytest

from tests.raw_server import http_response, raw_server, respond_with
from trayapp.core.model import Login, Secret
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.faults import exception_chain, fault
from trayapp.oauth.progress import RequestProgress
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire, is_loopback


def caused(outer: Exception, inner: BaseException) -> Exception:
    outer.__context__ = inner
    return outer


def name(exc: Exception, *, sent: bool = False, handshaking: bool = False) -> str:
    trace = RequestProgress("auth.test", lambda: 0.0)
    trace.sent, trace.handshaking = sent, handshaking
    found = fault(exc, trace, 30.0)
    assert sent is found.sent
    return found.kind


def test_several_addresses_that_all_fail() -> None:
    """A name with an IPv6 and an IPv4 address fails as a group; the more telling member names it."""

    group = ExceptionGroup("all failed", [OSError(101, "unreachable"), ConnectionRefusedError()])

    assert "refused" == name(caused(httpx2.ConnectError("x"), caused(OSError("all failed"), group)))
    assert "unreachable" == name(caused(httpx2.ConnectError("x"), OSError(113, "no route")))


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (httpx2.UnsupportedProtocol("x"), "request"),
        (httpx2.LocalProtocolError("x"), "request"),
        (caused(httpx2.ConnectError("x"), socket.gaierror(-2, "x")), "dns"),
        (caused(httpx2.ConnectError("x"), ssl.SSLError("x")), "tls"),
        (caused(httpx2.ConnectTimeout("x"), ssl.SSLWantReadError()), "connect_timeout"),
        (RuntimeError("x"), "internal"),
    ],
)
def test_before_it_was_sent(exc: Exception, kind: str) -> None:
    """The innermost reason counts, wherever in the chain it is."""

    assert kind == name(exc)


def test_a_connection_that_ends_in_the_handshake_without_a_word() -> None:
    """No TLS error at all, only that we were in the middle of it."""

    assert "tls" == name(httpx2.ConnectError("x"), handshaking=True)


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (caused(httpx2.ReadError("x"), ssl.SSLError("x")), "tls"),
        (httpx2.WriteTimeout("x"), "timeout"),
        (httpx2.WriteError("x"), "reset"),
        (RuntimeError("x"), "internal"),
    ],
)
def test_after_it_was_sent(exc: Exception, kind: str) -> None:
    """Everything is said to have been sent, even what we do not understand."""

    assert kind == name(exc, sent=True)


def test_a_cyclic_exception_chain_ends() -> None:
    """Exceptions can refer to each other."""

    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__context__ = two, one

    def first(walk: Iterator[BaseException], most: int) -> list[BaseException]:
        return [exc for exc, _ in zip(walk, range(most), strict=False)]

    assert [one, two] == first(exception_chain(one), 10)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine(host: str) -> None:
    """All of 127/8, ::1 and the one name."""

    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "auth.test", "10.0.0.1", "localhost.evil.test", "127.0.0.1.evil.test", "0.0.0.0"])
def test_not_this_machine(host: str) -> None:
    """Names that only look like it."""

    assert not is_loopback(host)


async def test_a_server_on_ipv6() -> None:
    """A refusal there is a refusal, and not a proxy's."""

    try:
        with socket.socket(socket.AF_INET6) as unused:
            unused.bind(("::1", 0))
            port = unused.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no IPv6")
    wire = Wire("0", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    one = Login(1, "l", Secret("t"), 0, f"http://[::1]:{port}/", "c")

    reply = await HttpTokens(wire).refresh(one, limit=1, connect=1)

    assert isinstance(reply, Fault)
    assert (False, "refused") == (reply.sent, reply.kind)


async def test_the_user_agent_names_the_release() -> None:
    """By default the User-Agent names the installed version, or none."""

    async with raw_server(respond_with(http_response("200 OK", b"{}"))) as server:
        wire = Wire(make_context=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        one = Login(1, "l", Secret("t"), 0, f"http://127.0.0.1:{server.port}/", "c")
        assert isinstance(await HttpTokens(wire).refresh(one, limit=1, connect=1), Answer)

    assert b"\r\nUser-Agent: Amberlight/" in server.received
