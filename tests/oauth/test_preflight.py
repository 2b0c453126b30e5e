"""Connecting is the preflight (M8): the token leaves over a connection that is fresh, open and silent, once, or not at all."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import trustme

from tests.oauth.tls import bare
from tests.oauth.token_requests import AMPLE, CANARY, NAME, environment, full_port, login, server_side, told
from tests.raw_server import Behaviour, Received, http_response, raw_server, respond_and_hang, respond_with
from trayapp.core.outcomes import Answer, Reply
from trayapp.oauth.progress import SEND_WITHIN, RequestProgress
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import CHANGES, CHANGES_WINDOW, Wire

__all__ = ["environment"]

GRANTED = http_response("200 OK", b'{"access_token": "at"}')


class Slept:
    """A clock on which `seconds` pass between the end of connecting and the request."""

    def __init__(self, seconds: float) -> None:
        self._readings = iter((100.0, 100.0, *[100.0 + seconds] * 100))  # begun, connected, then

    def __call__(self) -> float:
        return next(self._readings)


@pytest.fixture
def slow_to_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between connecting and sending, the other end gets the time to be heard."""
    look = RequestProgress._ready_to_send

    async def later(progress: RequestProgress) -> None:
        await asyncio.sleep(0.1)
        await look(progress)

    monkeypatch.setattr(RequestProgress, "_ready_to_send", later)


async def refresh(
    endpoint: str, *, now: Callable[[], float] | None = None, limit: float = AMPLE, connect: float = AMPLE
) -> Reply:
    make_context = ssl.create_default_context if endpoint.startswith("https") else bare
    wire = Wire("0", make_context) if now is None else Wire("0", make_context, now)
    return await HttpTokens(wire).refresh(login(endpoint), limit=limit, connect=connect)


async def test_a_machine_that_slept_after_connecting_sends_nothing() -> None:
    """Over a second between connection and request: who knows what the network has become."""
    async with raw_server(respond_with(GRANTED)) as server:
        reply = await refresh(f"http://127.0.0.1:{server.port}/", now=Slept(SEND_WITHIN + 0.1))

        assert (False, "connect_timeout") == told(reply)
        assert b"" == server.received


async def test_a_moment_between_connection_and_request_is_fine() -> None:
    """A busy machine may take some of that second."""
    async with raw_server(respond_with(GRANTED)) as server:
        assert isinstance(await refresh(f"http://127.0.0.1:{server.port}/", now=Slept(SEND_WITHIN - 0.1)), Answer)


async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
    writer.close()


async def answer_unasked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
    writer.write(http_response("408 Request Timeout"))
    await seen.read(reader)


async def abort(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
    writer.transport.abort()


@pytest.mark.usefixtures("slow_to_send")
@pytest.mark.parametrize("behaviour", [close, answer_unasked, abort])
async def test_a_server_that_is_done_before_it_was_asked(behaviour: Behaviour) -> None:
    """Closed, reset, or answered already: the token would be lost on it."""
    async with raw_server(behaviour) as server:
        assert (False, "reset") == told(await refresh(f"http://127.0.0.1:{server.port}/"))
        assert b"" == server.received


@pytest.mark.usefixtures("slow_to_send", "trusted")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("behaviour", [close, answer_unasked, abort])
async def test_a_server_that_closes_idle_tls(
    behaviour: Behaviour, version: ssl.TLSVersion, authority: trustme.CA
) -> None:
    """The same behind TLS, where TLS's own messages may come before."""
    tls = server_side(authority)
    tls.minimum_version = tls.maximum_version = version
    async with raw_server(behaviour, tls) as server:
        assert (False, "reset") == told(await refresh(f"https://{NAME}:{server.port}/"))
        assert b"" == server.received


@pytest.mark.usefixtures("slow_to_send", "trusted")
@pytest.mark.parametrize("tickets", [0, 2, 20])
async def test_session_tickets_are_no_answer(tickets: int, authority: trustme.CA) -> None:
    """After a TLS 1.3 handshake the server sends tickets, unasked and in order."""
    tls = server_side(authority)
    tls.num_tickets = tickets
    async with raw_server(respond_with(GRANTED), tls) as server:
        assert isinstance(await refresh(f"https://{NAME}:{server.port}/"), Answer)


@pytest.mark.usefixtures("trusted")
async def test_no_early_data(authority: trustme.CA) -> None:
    """A replayed early request would spend the token twice: each connection makes a full handshake, none resumes."""
    resumed = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await respond_with(GRANTED)(reader, writer, seen)

    async with raw_server(note, server_side(authority)) as server:
        tokens = HttpTokens(Wire("0"))
        for _ in range(2):
            reply = await tokens.refresh(login(f"https://{NAME}:{server.port}/"), limit=AMPLE, connect=AMPLE)
            assert isinstance(reply, Answer)

    assert [False, False] == resumed


class Once:
    """Counts requests, and cuts the connection after each."""

    def __init__(self, farewell: Callable[[asyncio.StreamWriter], None]) -> None:
        self.requests = 0
        self._farewell = farewell

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        if CANARY.encode() in await seen.request(reader):
            self.requests += 1
        self._farewell(writer)


@pytest.mark.parametrize(
    "farewell",
    [
        lambda writer: writer.close(),
        lambda writer: writer.transport.abort(),
        lambda writer: writer.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"),
        lambda writer: writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
        lambda writer: writer.write(b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n"),
        lambda writer: writer.write(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
        lambda writer: writer.write(b"HTTP/1.1 200 OK\r\nContent-Le"),
    ],
)
async def test_one_connection_and_one_request(farewell: Callable[[asyncio.StreamWriter], None]) -> None:
    """Whatever becomes of it, nothing below the core repeats a request or keeps its connection."""
    server_does = Once(farewell)
    async with raw_server(server_does) as server:
        await refresh(f"http://127.0.0.1:{server.port}/")
        await asyncio.sleep(0.05)

        assert (1, 1) == (server.connections, server_does.requests)


async def test_a_connection_is_not_kept_for_the_next_refresh() -> None:
    """A server that would keep it alive sees a new one each time."""

    async def keep_alive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        while await seen.request(reader):
            writer.write(http_response("200 OK", b"{}", "Connection: keep-alive", "Keep-Alive: timeout=60"))

    async with raw_server(keep_alive) as server:
        tokens = HttpTokens(Wire("0", bare))
        for _ in range(3):
            endpoint = f"http://127.0.0.1:{server.port}/"
            assert isinstance(await tokens.refresh(login(endpoint), limit=AMPLE, connect=AMPLE), Answer)

        assert 3 == server.connections


async def test_a_proxy_that_hangs_has_no_more_time_than_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to CONNECT belongs to connecting, and doesn't get the time of a token endpoint's answer."""
    async with raw_server(respond_and_hang(b"")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        begun = asyncio.get_running_loop().time()
        reply = await refresh(f"https://{NAME}/token", limit=60.0, connect=1.0)

        assert (False, "proxy") == told(reply)
        assert asyncio.get_running_loop().time() - begun < AMPLE


async def test_a_server_that_thinks_long_is_waited_for() -> None:
    """The limit for connecting ends where the request begins."""

    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        await seen.request(reader)
        await asyncio.sleep(0.5)
        writer.write(GRANTED)

    async with raw_server(think) as server:
        assert isinstance(await refresh(f"http://127.0.0.1:{server.port}/", connect=0.4), Answer)


# --- a network that changes ------------------------------------------------------------------------------------------


async def test_connecting_over_a_network_that_has_changed_ends_at_once() -> None:
    """The old network's silence would otherwise keep the new one waiting for seconds."""
    reply = await connecting_when_the_network_changes(Wire("0"), f"https://{NAME}", 20.0)
    assert (False, "unreachable") == told(reply)


async def connecting_when_the_network_changes(wire: Wire, origin: str, connect: float) -> Reply:
    """A refresh at a port that drops what knocks, while the network changes."""
    with full_port() as port:
        attempt = asyncio.create_task(HttpTokens(wire).refresh(login(f"{origin}:{port}/"), limit=30.0, connect=connect))
        await asyncio.sleep(0.1)
        wire.network_changed()
        return await asyncio.wait_for(attempt, AMPLE)


async def test_a_network_that_never_rests_lets_some_through() -> None:
    """Else no attempt that takes longer than it rests would ever end connecting."""
    now, ended = 100.0, list[bool]()
    wire = Wire("0", ssl.create_default_context, lambda: now)
    with full_port() as port:
        for _ in range(CHANGES + 2):
            endpoint = f"https://{NAME}:{port}/"
            attempt = asyncio.create_task(HttpTokens(wire).refresh(login(endpoint), limit=30.0, connect=20.0))
            await asyncio.sleep(0.05)
            wire.network_changed()
            ended.append(bool((await asyncio.wait({attempt}, timeout=0.2))[0]))
            attempt.cancel()
            await asyncio.gather(attempt, return_exceptions=True)
            now += 1.0 if len(ended) <= CHANGES else CHANGES_WINDOW

    assert [*[True] * CHANGES, False, True] == ended


async def test_connecting_to_this_machine_survives_a_network_change() -> None:
    """No network is between."""
    reply = await connecting_when_the_network_changes(Wire("0", bare), "http://127.0.0.1", 0.4)
    assert (False, "connect_timeout") == told(reply)


@pytest.mark.usefixtures("trusted")
async def test_a_sent_request_survives_a_network_change(authority: trustme.CA) -> None:
    """Its answer may still come, and nothing else tells whether the token is spent."""

    async def answer_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Received) -> None:
        await seen.request(reader)
        await asyncio.sleep(0.2)
        writer.write(GRANTED)

    wire = Wire("0")
    async with raw_server(answer_later, server_side(authority)) as server:
        endpoint = f"https://{NAME}:{server.port}/"
        attempt = asyncio.create_task(HttpTokens(wire).refresh(login(endpoint), limit=AMPLE, connect=AMPLE))
        await asyncio.wait_for(server.request_received.wait(), AMPLE)
        wire.network_changed()

        assert isinstance(await attempt, Answer)


async def test_ended_attempts_are_forgotten() -> None:
    """A later change has nothing to end."""
    wire = Wire("0", bare)
    async with raw_server(respond_with(GRANTED)) as server:
        await HttpTokens(wire).refresh(login(f"http://{NAME}:{server.port}/"), limit=AMPLE, connect=AMPLE)
    await HttpTokens(wire).refresh(login("https://nowhere.test/"), limit=AMPLE, connect=AMPLE)
    wire.network_changed()

    assert not wire._connecting


# --- two families ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dead", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("listed_first", ["127.0.0.1", "::1"])
async def test_a_family_that_leads_nowhere(dead: str, listed_first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Happy Eyeballs: IPv6 without a way out, or IPv4 without one, costs a quarter of a second and not the attempt."""
    alive = "::1" if dead == "127.0.0.1" else "127.0.0.1"
    with ExitStack() as held:
        try:
            port = held.enter_context(full_port(dead))
        except OSError:
            pytest.skip("this machine has no IPv6")

        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await respond_with(GRANTED)(reader, writer, Received())
            writer.close()

        answering = await asyncio.start_server(respond, alive, port)
        families = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}
        addresses = sorted(families, key=lambda address: address != listed_first)

        def lookup(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
            return [(families[a], socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

        real = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *a, **k: lookup(host) if host in ("localhost", b"localhost") else real(host, *a, **k),
        )
        begun = asyncio.get_running_loop().time()
        reply = await refresh(f"http://localhost:{port}/", connect=20.0, limit=30.0)
        took = asyncio.get_running_loop().time() - begun
        answering.close()

    assert isinstance(reply, Answer), reply
    assert took < 2.0
