"""The redirect listener under junk requests: nothing without the right state ends an attempt."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from asyncio.subprocess import PIPE
from urllib.parse import urljoin, urlsplit

import pytest

from tests.oauth.attempts import Attempt, browse, get, issuer_of, quiet_log
from tests.oauth.authserver import auth_server
from tests.server.test_connections import FLOOD
from trayapp.oauth.callback import Arrival, RedirectListener
from trayapp.oauth.loopback import LoopbackSockets

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
    "HTTP/2": (b"GET PATH HTTP/2.0\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 505 "),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.1 505 "),
    "HTTP/1.2": (b"GET PATH HTTP/1.2\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 505 "),
    "HTTP/3": (b"GET PATH HTTP/3\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 505 "),
    "no version": (b"GET PATH\r\nHost: HOST\r\n\r\n", b"HTTP/1.1 400 "),
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
    """The very same answer sees the same page, any other is refused, and only one code is exchanged."""

    async with auth_server(hold=asyncio.Event()) as server, Attempt(issuer_of(server)) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        first, again, other = await get(back), await get(back), await get(f"{back}&code=another")
        assert server.hold is not None
        server.hold.set()
        await attempt.login()

    assert [303, 303, 400] == [answer.status_code for answer in (first, again, other)]
    assert 1 == len(server.exchanged)


@pytest.mark.parametrize(
    ("query", "which"),
    [
        ("code=a&code=b&state=STATE", "code"),
        ("error=access_denied&state=STATE&error=server_error", "error"),
        ("code=a&state=STATE&state=other", "state"),
        ("code=a&state=other&state=STATE", "state"),
        ("code=a&state=STATE&session_state=1&session_state=2", "session_state"),
        ("code=a&state=STATE&%3Cb%3E=1&%3Cb%3E=2", "a parameter"),
    ],
)
@pytest.mark.parametrize("pasted", [False, True])
async def test_a_parameter_that_comes_twice_ends_the_attempt(query: str, which: str, pasted: bool) -> None:
    """Which of the two is meant cannot be known (RFC 6749 section 3.1): the sentence says so, and no code is exchanged."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        uri, state = await attempt.redirect_uri(), await attempt.state()
        address = f"{uri}?{query.replace('STATE', state).replace('ISSUER', server.issuer)}"
        if pasted:
            assert attempt.signin.paste("github", address) is None
        else:
            assert 303 == (await get(address)).status_code
        problem = await attempt.problem()

    assert problem.summary.startswith(f"The server's answer contains {which} twice")
    assert [] == server.exchanged


@pytest.mark.parametrize("issuers", ["iss=ISSUER&iss=https://evil.test", "iss=&iss=", "iss=ISSUER&iss=ISSUER/"])
async def test_an_answer_of_two_issuers_ends_the_attempt(issuers: str) -> None:
    """The sentence names what is wrong, in the parameter's own name; nothing is sent to either."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        query = f"code=a&{issuers.replace('ISSUER', server.issuer)}&state={await attempt.state()}"
        await get(f"{await attempt.redirect_uri()}?{query}")
        problem = await attempt.problem()

    assert problem.summary.startswith("The server's answer contains two issuers (iss)")
    assert [] == server.exchanged


async def test_the_right_issuer_twice_is_the_right_issuer() -> None:
    """A framework writes it, and so does what uses it: no question which one is meant."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        assert 303 == (await get(f"{back}&iss={server.issuer}&iss={server.issuer}")).status_code
        await attempt.login()


# --- answers that don't count, and answers that come again -------------------------------------------------------------


async def test_an_error_without_a_state_does_not_count_and_says_so() -> None:
    """Anybody could have sent it, so the sign-in waits on; a person who declined learns how to end it."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        uri = await attempt.redirect_uri()
        for query in ("error=access_denied", "error=access_denied&error_description=canary&iss=x"):
            answer = await get(f"{uri}?{query}")
            assert 400 == answer.status_code
            assert "Still waiting for you to sign in" in answer.text
            assert "choose <i>Cancel sign-in</i> in Amberlight's menu" in answer.text
            assert "canary" not in answer.text
        for query in ("error=access_denied&state=", "error=access_denied&state=x", "code=a", ""):
            assert "This link isn't valid" in (await get(f"{uri}?{query}")).text
        assert await attempt.waits()
        await browse(await attempt.url())
        await attempt.login()
        assert "This link isn't valid" in (await get(f"{uri}?error=access_denied")).text


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose", "X-Moz", ""])
async def test_an_answer_that_is_fetched_twice(header: str) -> None:
    """A browser fetches the address ahead, and shows it when the person arrives: the second sees the page, too. The
    code is redeemed once."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        ahead = {header: "prefetch;prerender" if header == "Sec-Purpose" else "prefetch"} if header else {}
        for headers in (ahead, {}):
            answer = await get(back, headers=headers)
            assert 303 == answer.status_code
            page = await get(urljoin(back, answer.headers["location"]), headers=headers)
            assert "Signed in to" in page.text
            await asyncio.sleep(0)
        await attempt.login()

    assert 1 == len(server.exchanged)


async def test_a_page_that_was_only_fetched_ahead_is_kept_for_the_person() -> None:
    """Whatever the browser announces as fetched ahead doesn't end the wait for the person."""

    async with auth_server() as server, Attempt(issuer_of(server), linger=0.4) as attempt:
        back = (await get(await attempt.url())).headers["location"]
        await get(back)
        await attempt.login()
        listener = next(iter(attempt.signin._serving_last_page))
        await get(f"{back.partition('?')[0]}/done", headers={"Sec-Purpose": "prefetch"})
        assert not listener._page_served.is_set()
        await get(f"{back.partition('?')[0]}/done")
        assert listener._page_served.is_set()


async def test_half_an_answer_is_refused() -> None:
    """An address with the right state and no more, as people copy it; the attempt continues."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        uri, state = await attempt.redirect_uri(), await attempt.state()

        assert 400 == (await get(f"{uri}?state={state}")).status_code
        assert 400 == (await get(f"{uri}?state={state}&code=%00")).status_code
        assert 400 == (await get(f"{uri}?code=a&code=b&state=wrong&state=wrong")).status_code
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


@pytest.mark.alone  # the flood takes all the time of a processor that it can get
@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root becomes another user")
async def test_another_user_cannot_lock_the_browser_out() -> None:
    """However many connections another user opens to the listener, and opens again as they are dropped."""

    async with auth_server() as server, Attempt(issuer_of(server)) as attempt:
        port = urlsplit(await attempt.redirect_uri()).port
        flood = await asyncio.create_subprocess_exec(
            "setpriv", "--reuid=65534", "--clear-groups", sys.executable, "-I", "-c", FLOOD, str(port), stdout=PIPE
        )  # fmt: skip
        try:
            assert flood.stdout is not None
            await flood.stdout.readline()
            host = urlsplit(await attempt.redirect_uri()).netloc
            slow = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(0.3)  # the browser is slow, and others are not
            slow[1].write(f"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert (await slow[0].read()).startswith(b"HTTP/1.1 404 ")
            slow[1].close()
            tab = asyncio.create_task(browse(await attempt.url()))
            await attempt.login()
            await tab
        finally:
            flood.kill()
            await flood.wait()


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


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_being_accepted_at_the_end_is_closed(turns: int) -> None:
    """However far that has come: a task that has not begun can't close it."""

    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    listener = RedirectListener(LoopbackSockets(sock), "/x", lambda query: Arrival.STALE)
    await listener.start()
    with socket.create_connection(("127.0.0.1", listener.port)) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.close()
        for _ in range(5):
            await asyncio.sleep(0)
        client.settimeout(2)
        with contextlib.suppress(ConnectionError):
            assert b"" == client.recv(1)
