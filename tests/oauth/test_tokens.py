"""Refresh requests on real sockets: raw answers, and `sent` is true once the server may have got the token."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading

import pytest
import trustme

from tests.oauth.token_requests import (
    AMPLE,
    CANARY,
    LIMIT,
    NAME,
    TLS_LIMIT,
    environment,
    login,
    refresh,
    server_side,
    told,
)
from tests.raw_server import (
    RESET_KIND,
    Behaviour,
    close_connection,
    http_response,
    never_read,
    raw_server,
    read_and_reset,
    respond_and_hang,
    respond_with,
)
from trayapp.core.outcomes import Answer
from trayapp.oauth.progress import READS_AHEAD
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire

__all__ = ["environment"]


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
    async with raw_server(respond_with(http_response(status, body, *headers))) as server:
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
    async with raw_server(respond_with(http_response("200 OK", body, "Content-Encoding: gzip"))) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/")

    assert isinstance(reply, Answer)
    assert b'{"access_token":"at"}' == reply.body


async def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """HTTP/1.0 style answers are complete when the server closes."""

    async with raw_server(respond_with(b"HTTP/1.0 200 OK\r\n\r\n{}")) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/")

    assert isinstance(reply, Answer)
    assert b"{}" == reply.body


async def test_a_complete_answer_counts_though_the_connection_stays_open() -> None:
    """The end of the body is enough: nothing waits for the server to close."""

    async with raw_server(respond_and_hang(http_response("200 OK", b"{}"))) as server:
        assert isinstance(await refresh(f"http://127.0.0.1:{server.port}/"), Answer)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SENT: dict[str, tuple[Behaviour, str]] = {
    "hang before headers": (respond_and_hang(b""), "timeout"),
    "hang in the headers": (respond_and_hang(HEAD), "timeout"),
    "hang in the body": (respond_and_hang(HEAD + b'Content-Length: 99\r\n\r\n{"a'), "timeout"),
    "reset after the request": (read_and_reset(None), RESET_KIND),
    "closed without an answer": (respond_with(b""), "eof"),
    "truncated headers": (respond_with(HEAD), "eof"),
    "truncated body": (respond_with(HEAD + b'Content-Length: 99\r\n\r\n{"access_token":"a'), "truncated"),
    "truncated chunks": (respond_with(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"), "truncated"),
    "not HTTP": (respond_with(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "truncated"),
    "bad gzip": (respond_with(http_response("200 OK", b"no gzip at all", "Content-Encoding: gzip")), "truncated"),
    "too large": (respond_with(http_response("200 OK", b" " * (2 << 20))), "truncated"),
}


@pytest.mark.parametrize("case", SENT)
async def test_no_complete_answer_means_sent(case: str) -> None:
    """The server got everything, and the fault says so."""

    behaviour, kind = SENT[case]
    async with raw_server(behaviour) as server:
        limit = LIMIT if kind == "timeout" else AMPLE
        reply = await refresh(f"http://127.0.0.1:{server.port}/token", limit=limit)

        assert (True, kind) == told(reply)
        assert f"refresh_token={CANARY}".encode() in server.received


@pytest.mark.parametrize("case", SENT)
async def test_the_same_over_tls(case: str, trusted: None, authority: trustme.CA) -> None:
    """Encryption changes nothing."""

    behaviour, kind = SENT[case]
    async with raw_server(behaviour, server_side(authority)) as server:
        limit = TLS_LIMIT if kind == "timeout" else AMPLE
        reply = await refresh(f"https://{NAME}:{server.port}/token", limit=limit)

        assert (True, kind) == told(reply)
        assert f"refresh_token={CANARY}".encode() in server.received


async def test_a_gzip_bomb_stops_at_the_cap() -> None:
    """64 MiB of zeros in 64 KiB: decoding ends soon after 1 MiB."""

    bomb = gzip.compress(bytes(64 << 20))
    async with raw_server(respond_with(http_response("200 OK", bomb, "Content-Encoding: gzip"))) as server:
        assert (True, "truncated") == told(await refresh(f"http://127.0.0.1:{server.port}/"))


@pytest.mark.parametrize("behaviour", [read_and_reset(0), close_connection])
async def test_a_connection_closed_at_accept(behaviour: Behaviour) -> None:
    """Nothing is sent if the end is noticed; else the kernel took the bytes, which proves nothing."""

    async with raw_server(behaviour) as server:
        found = told(await refresh(f"http://127.0.0.1:{server.port}/"))

    assert found in {(False, "reset"), (True, "reset"), (True, "eof")}
    assert b"" == server.received


async def test_a_write_that_breaks_counts_as_sent() -> None:
    """8 MB, of which the server read 1000 bytes before it hung up."""

    async with raw_server(read_and_reset(1000)) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/", "x" * (8 << 20))

    assert (True, RESET_KIND) == told(reply)
    assert 1000 == len(server.received)


async def test_a_write_that_hangs_counts_as_sent() -> None:
    """8 MB to a server that never reads."""

    async with raw_server(never_read) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/", "x" * (8 << 20), limit=LIMIT)

    assert (True, "timeout") == told(reply)
    assert b"" == server.received


async def test_a_demanded_client_certificate_counts_as_sent(trusted: None, authority: trustme.CA) -> None:
    """With TLS 1.3 the handshake looks finished to us before the server refuses it."""

    context = server_side(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    async with raw_server(respond_with(http_response("200 OK")), context) as server:
        answer = told(await refresh(f"https://{NAME}:{server.port}/"))

    sent, _ = answer
    assert sent or (READS_AHEAD and (False, "reset") == answer)  # the refusal may be there before the request leaves
    assert b"" == server.received


async def test_every_attempt_has_a_fresh_connection() -> None:
    """No keep-alive: after sleep a kept connection would put the token in doubt for nothing."""

    async with raw_server(respond_and_hang(http_response("200 OK", b"{}"))) as server:
        tokens = HttpTokens(Wire("1.2.3"))
        for _ in range(2):
            await tokens.refresh(login(f"http://127.0.0.1:{server.port}/"), limit=AMPLE, connect=AMPLE)

    assert 2 == server.connections
    assert b"\r\nUser-Agent: Amberlight/1.2.3\r\n" in server.received
    assert b"\r\nAccept: application/json\r\n" in server.received
    assert b"\r\nConnection: close\r\n" in server.received
    assert b"Cookie" not in server.received


async def test_cookies_are_not_kept() -> None:
    """A portal's cookie does not come back."""

    async with raw_server(respond_with(http_response("200 OK", b"{}", "Set-Cookie: portal=1"))) as server:
        tokens = HttpTokens(Wire("0"))
        for _ in range(2):
            await tokens.refresh(login(f"http://127.0.0.1:{server.port}/"), limit=AMPLE, connect=AMPLE)

    assert b"portal=1" not in server.received


async def test_one_tls_context_for_all() -> None:
    """It is made once, in a thread, also when several attempts want it at the same time."""

    made: list[str] = []

    def certificates() -> ssl.SSLContext:
        made.append(threading.current_thread().name)
        return ssl.create_default_context()

    async with raw_server(respond_with(http_response("200 OK", b"{}"))) as server:
        tokens = HttpTokens(Wire("0", certificates))
        one = login(f"http://127.0.0.1:{server.port}/")
        await asyncio.gather(*(tokens.refresh(one, limit=AMPLE, connect=AMPLE) for _ in range(5)))

    assert 1 == len(made)
    assert "MainThread" not in made


async def test_cancelling_closes_the_connection() -> None:
    """Nothing is left behind, and being cancelled is no fault."""

    async with raw_server(respond_and_hang(b"")) as server:
        task = asyncio.create_task(refresh(f"http://127.0.0.1:{server.port}/"))
        await asyncio.wait_for(server.request_received.wait(), 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.connection_ended.wait(), 1)


async def test_an_unexpected_exception_is_an_internal_fault_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever breaks inside is an `internal` fault; the log has the frames, and not the exception's text."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(CANARY)

    monkeypatch.setattr(Wire, "_client", staticmethod(broken))

    assert (False, "internal") == told(await refresh("https://auth.test/"))
    assert "unexpected RuntimeError" in caplog.text
    assert "in broken" in caplog.text
