"""Refreshing on real sockets: what comes back, and whether `sent` tells the truth about what the server got."""

from __future__ import annotations

import asyncio
import gc
import gzip
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.edge.raw import (
    Behaviour,
    Seen,
    closes,
    http,
    never_reads,
    raw,
    reads_and_resets,
    says,
    says_and_hangs,
)
from trayapp.core.messages import Answer, Fault, Reply
from trayapp.core.model import Login, Secret
from trayapp.edge.tokens import HttpTokens
from trayapp.edge.wire import Wire

CANARY = "rt-canary-3f9a51c0"
LIMIT, CONNECT = 0.3, 0.2
NAME = "auth.test"  # not this machine by its name, so proxies are used; it resolves to 127.0.0.1 here


def login(endpoint: str, token: str = CANARY, **more: Any) -> Login:
    return Login(1, "lineage", Secret(token), 0.0, endpoint, "the-client", **more)


def bare() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def refresh(endpoint: str, token: str = CANARY, *, limit: float = LIMIT, connect: float = CONNECT) -> Reply:
    wire = Wire("0") if endpoint.startswith("https") else Wire("0", bare)  # reading all authorities takes 30 ms
    reply = await HttpTokens(wire).refresh(login(endpoint, token), limit=limit, connect=connect)
    if isinstance(reply, Fault):
        assert token not in reply.summary
        assert len(reply.summary) <= 200
    return reply


def told(reply: Reply) -> tuple[bool, str]:
    assert isinstance(reply, Fault), reply
    return reply.sent, reply.kind


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No proxy or certificates of the machine; names resolve to this machine; no log line ever holds the token."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    real = socket.getaddrinfo

    def lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name == "nowhere.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real({NAME: "127.0.0.1", "far.test": "255.255.255.255"}.get(name, name), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    caplog.set_level(logging.DEBUG)
    yield
    assert CANARY not in caplog.text


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))


def server_side(authority: trustme.CA, name: str = NAME) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


# --- answers: whatever it is, it arrives whole ------------------------------------------------------------------------

ANSWERS = {
    "success": ("200 OK", b'{"access_token":"at","token_type":"Bearer"}', ()),
    "invalid_grant": ("400 Bad Request", b'{"error":"invalid_grant"}', ()),
    "invalid_client": ("401 Unauthorized", b'{"error":"invalid_client"}', ('WWW-Authenticate: Basic realm="x"',)),
    "github's error in a 200": ("200 OK", b'{"error":"bad_refresh_token"}', ()),
    "slow_down": ("429 Too Many Requests", b'{"error":"slow_down"}', ("Retry-After: 17",)),
    "error as an object": ("403 Forbidden", b'{"error":{"code":403}}', ()),
    "403 with a message": ("403 Forbidden", b'{"message":"Forbidden"}', ()),
    "429 with a message": ("429 Too Many Requests", b'{"message":"slow"}', ()),
    "problem+json": ("400 Bad Request", b'{"type":"about:blank"}', ()),
    "200 without a token": ("200 OK", b'{"foo":"bar"}', ()),
    "firewall": ("403 Forbidden", b"<html>blocked</html>", ()),
    "not found": ("404 Not Found", b"<html>?</html>", ()),
    "captive redirect": ("302 Found", b"", ("Location: http://portal.test/login",)),
    "network login": ("511 Network Authentication Required", b"<html>", ()),
    "server error in JSON": ("500 Internal Server Error", b'{"error":"invalid_grant"}', ()),
    "busy": ("503 Service Unavailable", b"<html>", ("Retry-After: Wed, 21 Oct 2026 07:28:00 GMT",)),
    "gateway": ("502 Bad Gateway", b"", ()),
    "captive page": ("200 OK", b"<html>welcome</html>", ()),
    "empty": ("200 OK", b"", ()),
    "half a JSON": ("200 OK", b'{"access_token":"a', ()),
    "list": ("200 OK", b"[1]", ()),
    "form": ("200 OK", b"access_token=at&token_type=bearer", ()),
    "odd expires_in": ("200 OK", b'{"access_token":"at","expires_in":"soon"}', ()),
    "no expires_in": ("200 OK", b'{"access_token":"at","expires_in":null}', ()),
    "empty refresh token": ("200 OK", b'{"access_token":"at","refresh_token":""}', ()),
    "proxy wants a login": ("407 Proxy Authentication Required", b"", ()),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_answers_come_back_raw(case: str) -> None:
    """Status, headers in lower case and body reach the classifier untouched; redirects are not followed."""

    status, body, headers = ANSWERS[case]
    async with raw(says(http(status, body, *headers))) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/token")

    assert isinstance(reply, Answer)
    assert (int(status[:3]), body) == (reply.status, reply.body)
    for line in headers:
        name, _, value = line.partition(": ")
        assert value == reply.headers[name.lower()]
    assert 1 == server.connections
    assert f"refresh_token={CANARY}".encode() in server.received


async def test_gzip_is_decoded() -> None:
    """A server that compresses without being asked is understood."""

    body = gzip.compress(b'{"access_token":"at"}')
    async with raw(says(http("200 OK", body, "Content-Encoding: gzip"))) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/")

    assert isinstance(reply, Answer)
    assert b'{"access_token":"at"}' == reply.body


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """HTTP/1.0 style answers are complete when the server closes."""

    async with raw(says(b"HTTP/1.0 200 OK\r\n\r\n{}")) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/")

    assert isinstance(reply, Answer)
    assert b"{}" == reply.body


async def test_a_complete_answer_counts_though_the_connection_stays_open() -> None:
    """The end of the body is enough: nothing waits for the server to close."""

    async with raw(says_and_hangs(http("200 OK", b"{}"))) as server:
        assert isinstance(await refresh(f"http://127.0.0.1:{server.port}/"), Answer)


# --- after the request left: every one of these is ambiguous ----------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SENT: dict[str, tuple[Behaviour, str]] = {
    "hang before headers": (says_and_hangs(b""), "timeout"),
    "hang in the headers": (says_and_hangs(HEAD), "timeout"),
    "hang in the body": (says_and_hangs(HEAD + b'Content-Length: 99\r\n\r\n{"a'), "timeout"),
    "reset after the request": (reads_and_resets(None), "reset"),
    "closed without an answer": (says(b""), "eof"),
    "truncated headers": (says(HEAD), "eof"),
    "truncated body": (says(HEAD + b'Content-Length: 99\r\n\r\n{"access_token":"a'), "truncated"),
    "truncated chunks": (says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"), "truncated"),
    "not HTTP": (says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "truncated"),
    "bad gzip": (says(http("200 OK", b"no gzip at all", "Content-Encoding: gzip")), "truncated"),
    "too large": (says(http("200 OK", b" " * (2 << 20))), "truncated"),
}


@pytest.mark.parametrize("case", SENT)
async def test_no_complete_answer_means_sent(case: str) -> None:
    """The server got everything, and the fault says so."""

    behaviour, kind = SENT[case]
    async with raw(behaviour) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/token")

        assert (True, kind) == told(reply)
        assert f"refresh_token={CANARY}".encode() in server.received


@pytest.mark.parametrize("case", SENT)
async def test_the_same_over_tls(case: str, trusted: None, authority: trustme.CA) -> None:
    """Encryption changes nothing."""

    behaviour, kind = SENT[case]
    async with raw(behaviour, server_side(authority)) as server:
        reply = await refresh(f"https://{NAME}:{server.port}/token")

        assert (True, kind) == told(reply)
        assert f"refresh_token={CANARY}".encode() in server.received


async def test_a_gzip_bomb_stops_at_the_cap() -> None:
    """64 MiB of zeros in 64 KiB: decoding ends soon after 1 MiB."""

    bomb = gzip.compress(bytes(64 << 20))
    async with raw(says(http("200 OK", bomb, "Content-Encoding: gzip"))) as server:
        assert (True, "truncated") == told(await refresh(f"http://127.0.0.1:{server.port}/", limit=2))


@pytest.mark.parametrize("behaviour", [reads_and_resets(0), closes])
async def test_an_end_at_accept_counts_as_sent(behaviour: Behaviour) -> None:
    """The kernel took the bytes, so it is no proof that the server got none."""

    async with raw(behaviour) as server:
        sent, kind = told(await refresh(f"http://127.0.0.1:{server.port}/"))

    assert sent
    assert kind in ("reset", "eof")
    assert b"" == server.received


async def test_a_write_that_breaks_counts_as_sent() -> None:
    """8 MB, of which the server read 1000 bytes before it hung up."""

    async with raw(reads_and_resets(1000)) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/", "x" * (8 << 20), limit=2)

    assert (True, "reset") == told(reply)
    assert 1000 == len(server.received)


async def test_a_write_that_hangs_counts_as_sent() -> None:
    """8 MB to a server that never reads."""

    async with raw(never_reads) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/", "x" * (8 << 20))

    assert (True, "timeout") == told(reply)
    assert b"" == server.received


async def test_a_demanded_client_certificate_counts_as_sent(trusted: None, authority: trustme.CA) -> None:
    """With TLS 1.3 the handshake looks finished to us before the server refuses it."""

    context = server_side(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    async with raw(says(http("200 OK")), context) as server:
        sent, _ = told(await refresh(f"https://{NAME}:{server.port}/"))

    assert sent
    assert b"" == server.received


# --- before it left: proof that the token is unspent ------------------------------------------------------------------


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
    """No route: the kernel refuses by itself."""

    assert (False, "unreachable") == told(await refresh("https://far.test/"))


async def test_connect_timeout() -> None:
    """A full backlog drops what knocks."""

    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        knocks = [socket.socket() for _ in range(3)]
        for knock in knocks:
            knock.setblocking(False)
            knock.connect_ex(full.getsockname())
        reply = await refresh(f"http://127.0.0.1:{full.getsockname()[1]}/", connect=0.1)
        for knock in knocks:
            knock.close()

    assert (False, "connect_timeout") == told(reply)


async def test_our_own_limit_before_sending() -> None:
    """The limit of the whole attempt can end it in the handshake, too."""

    async with raw(says_and_hangs(b"")) as server:
        reply = await refresh(f"https://{NAME}:{server.port}/", limit=0.15, connect=5)

    gc.collect()  # a connection left open would warn here

    assert (False, "connect_timeout") == told(reply)
    assert CANARY.encode() not in server.received


async def test_tls_that_hangs() -> None:
    """Connected, but the handshake is never answered."""

    async with raw(says_and_hangs(b"")) as server:
        assert (False, "connect_timeout") == told(await refresh(f"https://{NAME}:{server.port}/", connect=0.1))
        assert CANARY.encode() not in server.received


async def test_tls_to_a_plain_port() -> None:
    """A server that answers the handshake in plain text."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
        await seen.read(reader)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw(plain) as server:
        assert (False, "tls") == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert CANARY.encode() not in server.received


async def test_untrusted_certificate(authority: trustme.CA) -> None:
    """An unknown authority, as an inspecting firewall or a portal has it: words of their own."""

    async with raw(says(http("200 OK")), server_side(authority)) as server:
        reply = await refresh(f"https://{NAME}:{server.port}/")

    assert (False, "tls") == told(reply)
    assert isinstance(reply, Fault)
    assert "certificate not trusted: VPN, inspection or captive portal?" in reply.summary
    assert b"" == server.received


async def test_certificate_of_another_name(trusted: None, authority: trustme.CA) -> None:
    """A trusted certificate for somebody else is not trusted."""

    async with raw(says(http("200 OK")), server_side(authority, "portal.test")) as server:
        assert (False, "tls") == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert b"" == server.received


async def test_end_in_the_handshake() -> None:
    """Closed instead of answered."""

    async def hello_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
        await seen.read(reader)

    async with raw(hello_and_close) as server:
        assert (False, "tls") == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert CANARY.encode() not in server.received


async def test_reset_in_the_handshake() -> None:
    """A firewall that cuts TLS."""

    async with raw(reads_and_resets(1)) as server:
        assert (False, "reset") == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert CANARY.encode() not in server.received


async def test_unreadable_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong SSL_CERT_FILE is said, and nothing is sent."""

    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent/ca.pem")
    reply = await refresh(f"https://{NAME}/")

    assert (False, "tls") == told(reply)
    assert isinstance(reply, Fault)
    assert "SSL_CERT_FILE" in reply.summary


# --- proxies ----------------------------------------------------------------------------------------------------------

PROXIES: dict[str, Behaviour] = {
    "407": says(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
    "403 page": says(http("403 Forbidden", b"<html>", kind="text/html")),
    "302 to a portal": says(http("302 Found", b"", "Location: http://portal.test/")),
    "hangs up": says(b""),
    "silent": says_and_hangs(b""),
    "resets": reads_and_resets(None),
    "half an answer": says_and_hangs(b"HTTP/1.1 200"),
}


@pytest.mark.parametrize("case", PROXIES)
async def test_a_proxy_that_opens_no_tunnel(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It got a CONNECT and nothing else, so the token is unspent, whatever class the exception has."""

    async with raw(PROXIES[case]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        reply = await refresh(f"https://{NAME}/token")

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


async def test_the_password_of_a_proxy_stays_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy address may hold a password; no summary quotes it."""

    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:hunter2@proxy.test:1")
    reply = await refresh(f"https://{NAME}/token")

    assert isinstance(reply, Fault)
    assert "hunter2" not in reply.summary


def tunnel(port: int) -> Behaviour:
    """A CONNECT proxy that leads everybody to one port."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
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
        raw(says(http("200 OK", b"{}")), server_side(authority)) as server,
        raw(tunnel(server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert isinstance(await refresh(f"https://{NAME}/token"), Answer)

        assert CANARY.encode() in server.received
        assert CANARY.encode() not in proxy.received


@pytest.mark.parametrize(
    ("behaviour", "kind"), [(says_and_hangs(b""), "timeout"), (says(b""), "eof"), (reads_and_resets(None), "eof")]
)
async def test_trouble_behind_a_tunnel_counts_as_sent(
    behaviour: Behaviour, kind: str, trusted: None, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the request went through the tunnel, its server may have acted."""

    async with (
        raw(behaviour, server_side(authority)) as server,
        raw(tunnel(server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert (True, kind) == told(await refresh(f"https://{NAME}/token"))
        assert CANARY.encode() in server.received


async def test_an_inspecting_proxy_is_not_trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS inside a tunnel has the same words as without one."""

    async with (
        raw(says(http("200 OK", b"{}")), server_side(authority)) as server,
        raw(tunnel(server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert (False, "tls") == told(await refresh(f"https://{NAME}/token"))
        assert b"" == server.received


async def test_this_machine_is_never_reached_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http to a loopback server would hand the token to the proxy in clear text."""

    async with raw(says(http("200 OK", b"{}"))) as server, raw(says_and_hangs(b"")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert isinstance(await refresh(f"http://127.0.0.1:{server.port}/"), Answer)
        assert b"" == proxy.received


# --- what is never even tried -----------------------------------------------------------------------------------------


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
async def test_endpoints_that_get_no_token(endpoint: str) -> None:
    """Not https, not an address, or not what it seems."""

    assert (False, "request") == told(await refresh(endpoint))


async def test_a_token_that_no_form_can_carry() -> None:
    """A damaged store can hold a lone surrogate."""

    async with raw(says(http("200 OK"))) as server:
        assert (False, "request") == told(await refresh(f"http://127.0.0.1:{server.port}/", "\ud800"))
        assert 0 == server.connections


# --- the attempt itself -----------------------------------------------------------------------------------------------


async def test_every_attempt_has_a_fresh_connection() -> None:
    """No keep-alive: after sleep a kept connection would put the token in doubt for nothing."""

    async with raw(says_and_hangs(http("200 OK", b"{}"))) as server:
        tokens = HttpTokens(Wire("1.2.3"))
        for _ in range(2):
            await tokens.refresh(login(f"http://127.0.0.1:{server.port}/"), limit=LIMIT, connect=CONNECT)

    assert 2 == server.connections
    assert b"\r\nUser-Agent: Amberlight/1.2.3\r\n" in server.received
    assert b"\r\nAccept: application/json\r\n" in server.received
    assert b"\r\nConnection: close\r\n" in server.received
    assert b"Cookie" not in server.received


async def test_cookies_are_not_kept() -> None:
    """A portal's cookie does not come back."""

    async with raw(says(http("200 OK", b"{}", "Set-Cookie: portal=1"))) as server:
        tokens = HttpTokens(Wire("0"))
        for _ in range(2):
            await tokens.refresh(login(f"http://127.0.0.1:{server.port}/"), limit=LIMIT, connect=CONNECT)

    assert b"portal=1" not in server.received


async def test_one_tls_context_for_all() -> None:
    """It is made once, in a thread, also when several attempts want it at the same time."""

    made: list[str] = []

    def certificates() -> ssl.SSLContext:
        made.append(threading.current_thread().name)
        return ssl.create_default_context()

    async with raw(says(http("200 OK", b"{}"))) as server:
        tokens = HttpTokens(Wire("0", certificates))
        one = login(f"http://127.0.0.1:{server.port}/")
        await asyncio.gather(*(tokens.refresh(one, limit=1, connect=1) for _ in range(5)))

    assert 1 == len(made)
    assert "MainThread" not in made


async def test_cancelling_closes_the_connection() -> None:
    """Nothing is left behind, and being cancelled is no fault."""

    async with raw(says_and_hangs(b"")) as server:
        task = asyncio.create_task(refresh(f"http://127.0.0.1:{server.port}/", limit=5))
        await asyncio.wait_for(server.asked.wait(), 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.ended.wait(), 1)


async def test_the_unexpected_is_a_fault_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks inside is an `internal` fault; the log has the frames, and not the exception's text."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(Wire, "_client", staticmethod(broken))

    assert (False, "internal") == told(await refresh("https://auth.test/"))
    assert "unexpected RuntimeError" in caplog.text
    assert "in broken" in caplog.text
