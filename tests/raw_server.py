"""A raw TCP server for tests: it does one thing to whoever connects and keeps every byte that it really got."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field


@dataclass
class Seen:
    """What the server got, over all connections."""

    port: int = 0
    connections: int = 0
    received: bytes = b""
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # a whole request is here
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # a client closed its connection

    async def read(self, reader: asyncio.StreamReader, size: int = 65536) -> bytes:
        data = await reader.read(size)
        self.received += data
        if not data:
            self.ended.set()
        return data

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """One whole request, head and body."""
        got = b""
        while b"\r\n\r\n" not in got:
            data = await self.read(reader)
            if not data:
                return got
            got += data
        head, _, body = got.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            data = await self.read(reader)
            if not data:
                break
            body += data
        self.asked.set()
        return head + b"\r\n\r\n" + body


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Seen], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Seen]:
    """Listen on a free port of 127.0.0.1 and do `behaviour` to each connection."""
    seen = Seen()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        seen.connections += 1
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
            try:
                await behaviour(reader, writer, seen)
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                    await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(answer: bytes) -> Behaviour:
    """Read the whole request, write these bytes, close."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
        await seen.request(reader)
        writer.write(answer)
        await writer.drain()

    return behaviour


def says_and_hangs(answer: bytes) -> Behaviour:
    """Read the whole request, write these bytes, then nothing."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
        await seen.request(reader)
        writer.write(answer)
        while await seen.read(reader):
            pass

    return behaviour


def reads_and_resets(size: int | None) -> Behaviour:
    """Read so many bytes (None: the whole request), then reset the connection."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
        if size is None:
            await seen.request(reader)
        elif size:
            await seen.read(reader, size)
        reset(writer)

    return behaviour


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
    """Close at once."""


async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Seen) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport reads
    await asyncio.sleep(60)


def http(status: str, body: bytes = b"", *headers: str, kind: str = "application/json") -> bytes:
    """A complete HTTP answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
