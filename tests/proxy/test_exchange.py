"""One HTTP exchange against upstreams that behave oddly: what is sent or repeated, and which connections stay."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from trayapp.proxy.exchange import RequestBody, UpstreamResponse, send_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """An upstream that plays one script for each connection; a connection without a script is an error."""

    def __init__(self, *scripts: Script) -> None:
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0
        self._scripts = list(scripts)
        self._connector = aiohttp.TCPConnector(limit=0)
        self._tasks: list[asyncio.Task[None]] = []

    async def ask(self, method: str = "GET", body: RequestBody = None, **head: str) -> UpstreamResponse:
        upstream = aiohttp.ClientRequest("GET", URL(f"http://127.0.0.1:{self.port}"))
        return await send_request(self._connector, upstream, method, "/x", CIMultiDict(head, Host="upstream"), body)

    async def head(self, reader: asyncio.StreamReader) -> bytes:
        """The next request's, which is noted."""
        found = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(found)
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._scripts.pop(0)(reader, writer)
        finally:
            writer.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.create_task(self._serve(reader, writer)))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Peer]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            await self._connector.close()
            server.close()
            async with asyncio.timeout(2.0):
                await asyncio.gather(*self._tasks)
            assert not self._scripts


def answering(*answers: bytes) -> Script:
    """Each is the answer to one request without a body; then it listens until the other side is gone."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        assert b"" == await reader.read()

    return script


def hanging_up(*answers: bytes) -> Script:
    """The same, but it hangs up while the next request is on its way."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        await reader.readuntil(b"\r\n\r\n")

    return script


async def pieces(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_a_connection_is_kept() -> None:
    """What was answered to the end leaves its connection to the next request."""

    async with Peer(answering(OK, OK)).running() as peer:
        for _ in range(2):
            with await peer.ask() as answer:
                assert (200, b"ok") == (answer.status, await answer.content.read())
        assert 1 == peer.connections


async def test_a_connection_is_not_kept_with_something_in_it() -> None:
    """An answer that nobody read to its end would be the beginning of the next one."""

    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    async with Peer(answering(half), answering(OK)).running() as peer:
        with await peer.ask() as answer:
            assert b"half" == await answer.content.readany()
        with await peer.ask() as answer:
            assert b"ok" == await answer.content.read()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_what_may_be_sent_twice_is(method: str) -> None:
    """A kept connection that the upstream just closed is no error for these; they begin again on a new one."""

    ok = OK.removesuffix(b"ok") if method == "HEAD" else OK
    async with Peer(hanging_up(ok), answering(ok)).running() as peer:
        for _ in range(2):
            with await peer.ask(method) as answer:
                await answer.content.read()
        assert 2 == peer.connections


@pytest.mark.parametrize(("method", "body"), [("POST", None), ("PATCH", None), ("PUT", pieces(b"x"))])
async def test_what_may_not_be_sent_twice_is_not(method: str, body: RequestBody) -> None:
    """The upstream may have done it already, or the body is gone: an error, and no second request."""

    async with Peer(hanging_up(OK)).running() as peer:
        with await peer.ask() as answer:
            await answer.content.read()
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await peer.ask(method, body)


async def test_a_repeated_request_is_not_repeated_again() -> None:
    """Who hangs up again is not asked again."""

    async with Peer(hanging_up(), hanging_up()).running() as peer:
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            await peer.ask()


@pytest.mark.parametrize(
    ("method", "body", "given", "length", "chunked"),
    [
        ("GET", None, {}, None, False),
        ("POST", None, {}, b"0", False),
        ("POST", b"", {}, b"0", False),
        ("POST", b"four", {"Content-Length": "4"}, b"4", False),
        ("GET", b"four", {}, b"4", False),
        ("POST", pieces(b"fo", b"ur"), {}, None, True),
        ("POST", pieces(b"fo", b"ur"), {"Content-Length": "4"}, b"4", False),
    ],
)
async def test_how_a_body_is_framed(
    method: str, body: RequestBody, given: dict[str, str], length: bytes | None, chunked: bool
) -> None:
    """By its length where that is known, else in chunks; never both, and a POST always says."""
    arrived: list[tuple[dict[bytes, bytes], bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        assert f"{method} /x HTTP/1.1".encode() == first
        assert b"Host: upstream" in lines
        fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        assert len(fields) == len(lines)
        size = int(fields.get(b"content-length", b"0"))
        arrived.append((fields, await (reader.readuntil(b"0\r\n\r\n") if chunked else reader.readexactly(size))))
        writer.write(OK)
        await reader.read()

    async with Peer(script).running() as peer:
        with await peer.ask(method, body, **given) as answer:
            await answer.content.read()
    [(fields, sent)] = arrived
    assert length == fields.get(b"content-length")
    assert (b"chunked" if chunked else None) == fields.get(b"transfer-encoding")
    assert sent == (b"2\r\nfo\r\n2\r\nur\r\n0\r\n\r\n" if chunked else b"four"[: int(length or 0)])


async def test_an_interim_answer_is_not_the_answer() -> None:
    """100, 102 and 103 come before the real one (RFC 9110 section 15.2)."""

    interim = b"".join(b"HTTP/1.1 %d Hold on\r\nLink: </x>\r\n\r\n" % code for code in (100, 102, 103))
    async with Peer(answering(interim + OK)).running() as peer:
        with await peer.ask() as answer:
            assert (200, b"ok") == (answer.status, await answer.content.read())
            assert "Link" not in answer.headers


async def test_an_unrequested_101_is_an_error() -> None:
    """A 101 that was not asked for is no answer, and its connection is not used again."""

    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    async with Peer(answering(switching)).running() as peer:
        with pytest.raises(HttpProcessingError):
            await peer.ask()


async def test_an_early_answer_ends_the_upload() -> None:
    """The upstream has refused before all was sent: the answer is passed on, the rest is not sent, the connection ends."""
    asked = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        asked.set()
        await asyncio.Event().wait()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"x\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        assert b"" == await reader.read()

    async with Peer(script).running() as peer:
        with await peer.ask("POST", endless()) as answer:
            assert 413 == answer.status
            assert asked.is_set()


async def test_a_body_that_breaks_off_is_not_taken_for_whole() -> None:
    """The upstream sees no last chunk, and whoever waits for the answer is told."""
    left: list[bytes] = []

    async def broken() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"begun\r\n")
        with contextlib.suppress(ConnectionResetError):
            left.append(await reader.read())

    async with Peer(script).running() as peer:
        with pytest.raises(aiohttp.ClientConnectionError):
            await peer.ask("POST", broken())
    assert left in ([], [b""])


async def test_a_body_that_breaks_off_ends_an_answer_that_has_begun() -> None:
    """Whoever reads the answer is told as well: nothing more will come of it."""
    go_on = asyncio.Event()

    async def broken() -> AsyncIterator[bytes]:
        yield b"begun"
        await go_on.wait()
        raise ValueError

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"begun\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        with contextlib.suppress(ConnectionResetError):
            await reader.read()

    async with Peer(script).running() as peer, asyncio.timeout(2.0):
        with await peer.ask("POST", broken()) as answer:
            assert b"x" == await answer.content.readany()
            go_on.set()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.content.readany()


async def test_a_cancelled_request_leaves_nothing_open() -> None:
    """A request that is cancelled while it waits ends its connection and its upload."""
    arrived = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"x\r\n")
        arrived.set()
        assert b"" == await reader.read()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    async with Peer(script).running() as peer:
        waiting = asyncio.create_task(peer.ask("POST", endless()))
        await arrived.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("upload to")]
