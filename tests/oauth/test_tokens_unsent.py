"""Requests that provably never left this machine: `sent` is false, and the server saw none of the token."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest
import trustme

from tests.oauth.token_requests import (
    AMPLE,
    CANARY,
    NAME,
    TLS_LIMIT,
    environment,
    full_port,
    refresh,
    server_side,
    told,
)
from tests.raw_server import (
    RESET_KIND,
    Behaviour,
    Received,
    http_response,
    raw_server,
    read_and_reset,
    respond_and_hang,
    respond_with,
)
from trayapp.core.outcomes import Answer, Fault

__all__ = ["environment"]


async def test_unknown_name() -> None:
    """A name that cannot be looked up."""

    assert (False, "dns") == told(await refresh("https://nowhere.test/token"))


async def test_refused() -> None:
    """Nobody listens there."""

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert (False, "refused") == told(await refresh(f"http://127.0.0.1:{port}/"))


async def test_unreachable() -> None:
    """No route: the kernel refuses."""

    assert (False, "unreachable") == told(await refresh("https://far.test/"))


async def test_connect_timeout() -> None:
    """A full backlog drops what knocks."""

    with full_port() as port:
        reply = await refresh(f"http://127.0.0.1:{port}/", connect=0.1)

    assert (False, "connect_timeout") == told(reply)


async def test_our_own_limit_before_sending() -> None:
    """The limit of the whole attempt can end it in the handshake, too."""

    async with raw_server(respond_and_hang(b"")) as server:
        reply = await refresh(f"https://{NAME}:{server.port}/", limit=0.15, connect=5)

    gc.collect()  # a connection left open would warn here

    assert (False, "connect_timeout") == told(reply)
    assert CANARY.encode() not in server.received


async def test_tls_that_hangs() -> None:
    """Connected, but the handshake is never answered."""

    async with raw_server(respond_and_hang(b"")) as server:
        assert (False, "connect_timeout") == told(await refresh(f"https://{NAME}:{server.port}/", connect=0.1))
        assert CANARY.encode() not in server.received


async def test_tls_to_a_plain_port() -> None:
    """A server that answers the handshake in plain text."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        await seen.read(reader)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw_server(plain) as server:
        assert (False, "tls") == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert CANARY.encode() not in server.received


async def test_untrusted_certificate(authority: trustme.CA) -> None:
    """An unknown authority, as an inspecting firewall or a portal has it: words of their own."""

    async with raw_server(respond_with(http_response("200 OK")), server_side(authority)) as server:
        reply = await refresh(f"https://{NAME}:{server.port}/")

    assert (False, "tls") == told(reply)
    assert isinstance(reply, Fault)
    assert "isn't trusted" in reply.summary
    assert b"" == server.received


async def test_certificate_of_another_name(trusted: None, authority: trustme.CA) -> None:
    """A trusted certificate for somebody else is not trusted."""

    async with raw_server(respond_with(http_response("200 OK")), server_side(authority, "portal.test")) as server:
        assert (False, "tls") == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert b"" == server.received


async def test_end_in_the_handshake() -> None:
    """Closed instead of answered."""

    async def hello_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        await seen.read(reader)

    async with raw_server(hello_and_close) as server:
        assert (False, "tls") == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert CANARY.encode() not in server.received


async def test_reset_in_the_handshake() -> None:
    """A firewall that cuts TLS."""

    async with raw_server(read_and_reset(1)) as server:
        kind = "tls" if RESET_KIND == "eof" else RESET_KIND  # an end within the handshake
        assert (False, kind) == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert CANARY.encode() not in server.received


async def test_unreadable_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong SSL_CERT_FILE is said, and nothing is sent."""

    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    reply = await refresh(f"https://{NAME}/")

    assert (False, "tls") == told(reply)
    assert isinstance(reply, Fault)
    assert "SSL_CERT_FILE" in reply.summary


UNTIL_SENT = 1.0  # s; the connection to the proxy is made within it on a busy machine too
PROXIES: dict[str, Behaviour] = {
    "407": respond_with(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
    "403 page": respond_with(http_response("403 Forbidden", b"<html>", kind="text/html")),
    "302 to a portal": respond_with(http_response("302 Found", b"", "Location: http://portal.test/")),
    "hangs up": respond_with(b""),
    "silent": respond_and_hang(b""),
    "resets": read_and_reset(None),
    "half an answer": respond_and_hang(b"HTTP/1.1 200"),
}


@pytest.mark.parametrize("case", PROXIES)
async def test_a_proxy_that_opens_no_tunnel(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It got a CONNECT and nothing else, so the token is unspent, whatever class the exception has."""

    async with raw_server(PROXIES[case]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        limit = UNTIL_SENT if case in ("silent", "half an answer") else AMPLE
        reply = await refresh(f"https://{NAME}/token", limit=limit)

        assert (False, "proxy") == told(reply)
        assert proxy.received.startswith(f"CONNECT {NAME}:443 ".encode())
        assert CANARY.encode() not in proxy.received
        assert b"the-client" not in proxy.received


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "http://nowhere.test:3128", "socks5://127.0.0.1:9", "gopher://x", "http://[::"]
)
async def test_a_proxy_that_cannot_be_used(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Down, unknown, of a kind that we do not speak, or no address at all."""

    monkeypatch.setenv("HTTPS_PROXY", address)

    assert (False, "proxy") == told(await refresh(f"https://{NAME}/token"))


async def test_a_proxy_password_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy address may hold a password; no summary quotes it."""

    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:hunter2@proxy.test:1")
    reply = await refresh(f"https://{NAME}/token")

    assert isinstance(reply, Fault)
    assert "hunter2" not in reply.summary


def tunnel(port: int) -> Behaviour:
    """A CONNECT proxy that leads everybody to one port."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        await seen.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, count: bool) -> None:
            while data := await (seen.read(source) if count else source.read(65536)):
                target.write(data)
                await target.drain()
            target.close()

        try:
            await asyncio.gather(pump(reader, back, True), pump(there, writer, False))
        finally:
            back.close()

    return behaviour


async def test_a_proxy_that_works(trusted: None, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used, and sees only ciphertext."""

    async with (
        raw_server(respond_with(http_response("200 OK", b"{}")), server_side(authority)) as server,
        raw_server(tunnel(server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert isinstance(await refresh(f"https://{NAME}/token"), Answer)

        assert CANARY.encode() in server.received
        assert CANARY.encode() not in proxy.received


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [(respond_and_hang(b""), "timeout"), (respond_with(b""), "eof"), (read_and_reset(None), "eof")],
)
async def test_trouble_behind_a_tunnel_counts_as_sent(
    behaviour: Behaviour, kind: str, trusted: None, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the request went through the tunnel, its server may have acted."""

    async with (
        raw_server(behaviour, server_side(authority)) as server,
        raw_server(tunnel(server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        limit = TLS_LIMIT if kind == "timeout" else AMPLE
        assert (True, kind) == told(await refresh(f"https://{NAME}/token", limit=limit))
        assert CANARY.encode() in server.received


async def test_an_inspecting_proxy_is_not_trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS inside a tunnel has the same words as without one."""

    async with (
        raw_server(respond_with(http_response("200 OK", b"{}")), server_side(authority)) as server,
        raw_server(tunnel(server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert (False, "tls") == told(await refresh(f"https://{NAME}/token"))
        assert b"" == server.received


async def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to a loopback server would hand the token to the proxy in clear text."""

    async with (
        raw_server(respond_with(http_response("200 OK", b"{}"))) as server,
        raw_server(respond_and_hang(b"")) as proxy,
    ):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert isinstance(await refresh(f"http://127.0.0.1:{server.port}/"), Answer)
        assert b"" == proxy.received


@pytest.mark.parametrize(
    "endpoint",
    [
        f"http://{NAME}/token",
        "ftp://127.0.0.1/token",
        "https://127.0.0.1:99999/token",
        "https://user:pw@auth.test/token",
        "https://auth.test/token#x",
        "https://auth.test/to ken",
        "https:///token",
        "",
        "https://[::1/token",
        "http://127.0.0.1.evil.test/token",
    ],
)
async def test_a_token_is_not_sent_to_unsafe_endpoints(endpoint: str) -> None:
    """Not https, not an address, or not what it seems."""

    assert (False, "request") == told(await refresh(endpoint))


async def test_a_token_that_no_form_can_carry() -> None:
    """A damaged store can hold a lone surrogate."""

    async with raw_server(respond_with(http_response("200 OK"))) as server:
        assert (False, "request") == told(await refresh(f"http://127.0.0.1:{server.port}/", "\ud800"))
        assert 0 == server.connections
