"""The redirect listener under junk requests: nothing without the right state ends an attempt."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

import pytest

from tests.oauth.attempts import Attempt, browse, get, issuer_of, quiet_log
from tests.oauth.authserver import auth_server

__all__ = ["quiet_log"]

pytestmark = pytest.mark.usefixtures("quiet_log")


async def send(port: int, data: bytes) -> bytes:
    """Raw bytes to the listener; its raw answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        return await asyncio.wait_for(reader.read(), 3)
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


GARBAGE = {  # HOST and PATH stand for the listener's own
    "binary": (bytes(range(256)) + b"\r\n\r\n", b"HTTP/1.1 400 "),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"HTTP/1.1 400 "),
    "nothing but newlines": (b"\r\n\r\n", b"HTTP/1.1 400 "),
    "huge header": (b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n", b"HTTP/1.1 431 "),
    "endless": (b"x" * 100_000, b"HTTP/1.1 431 "),
    "favicon": (b"GET /favicon.ico HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 404 "),
    "post": (b"POST PATH HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 405 "),
    "head": (b"HEAD PATH HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 405 "),
    "absolute": (b"GET http://HOSTPATH HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 400 "),
    "no host": (b"GET PATH HTTP/1.1\r\n\r\n", b"HTTP/1.1 403 "),
    "two hosts": (b"GET PATH HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 403 "),
    "rebound name": (b"GET PATH HTTP/1.1\r\nHost: evil.test\r\n\r\n", b"HTTP/1.1 403 "),
    "folded header": (b"GET PATH HTTP/1.1\r\nHost: HOST\r\n x\r\n\r\n", b"HTTP/1.1 400 "),
    "no query": (b"GET PATH HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 400 "),
    "page too early": (b"GET PATH/done HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 404 "),
    "wrong state": (b"GET PATH?code=x&state=y HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 400 "),
    "error without state": (b"GET PATH?error=access_denied HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 400 "),
    "odd state": (b"GET PATH?code=x&state=%ff%00%f0 HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 400 "),
    "many parameters": (b"GET PATH?" + b"a=1&" * 99 + b" HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 400 "),
    "markup": (b"GET PATH?error=<script>1</script> HTTP/1.1\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 400 "),
}


@pytest.mark.parametrize("case", GARBAGE)
async def test_garbage_does_not_end_the_attempt(case: str) -> None:
    """It is refused without an echo, and the real browser still gets through."""

    data, expected = GARBAGE[case]
    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        uri = urlsplit(await attempt.redirect_uri())
        data = data.replace(b"HOST", uri.netloc.encode()).replace(b"PATH", uri.path.encode())
        answer = await send(uri.port or 0, data)

        assert answer.startswith(expected) or (case in ("huge header", "endless") and answer == b"reset")
        assert b"script" not in answer
        assert await attempt.waits()

        browser = asyncio.create_task(browse(await attempt.url()))
        await attempt.login()
        await browser
        assert 1 == len(server.exchanged)


async def test_a_state_is_accepted_once() -> None:
    """The second use is refused, and only one code is exchanged."""

    async with auth_server(hold=asyncio.Event()) as server, Attempt(issuer_of(server)) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        first, second = await get(back), await get(back)
        assert server.hold is not None
        server.hold.set()
        await attempt.login()

    assert (303, 400) == (first.status_code, second.status_code)
    assert 1 == len(server.exchanged)


async def test_a_parameter_that_comes_twice_is_refused() -> None:
    """Which of two codes is meant cannot be known (RFC 6749 section 3.1); the attempt continues."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        uri, state = await attempt.redirect_uri(), await attempt.state()

        assert 400 == (await get(f"{uri}?code=a&code=b&state={state}")).status_code
        assert 400 == (await get(f"{uri}?state={state}")).status_code
        assert 400 == (await get(f"{uri}?state={state}&code=%00")).status_code
        assert await attempt.waits()


async def test_slow_senders_are_cut_off_and_lock_nobody_out() -> None:
    """100 connections that send nothing: the browser still gets through."""

    async with auth_server() as server, Attempt(issuer_of(server), header_limit=0.1) as attempt:
        port = urlsplit(await attempt.redirect_uri()).port
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        slow[-1][1].write(b"GET /callback")
        tab = asyncio.create_task(browse(await attempt.url()))
        await attempt.login()
        await tab

        assert b"" == await asyncio.wait_for(slow[-1][0].read(), 2)
        for _, writer in slow:
            writer.close()


async def test_a_client_that_resets_disturbs_nobody() -> None:
    """Neither the attempt nor the log."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        port = urlsplit(await attempt.redirect_uri()).port
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port or 0)) as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.send(b"GET / HTTP/1.1\r\n")
            await asyncio.sleep(0.01)

        assert await attempt.waits()
