"""Raw TCP server for tests: does one thing to every client and records every byte it received."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field


@dataclass
class Received:
    """What the server received, over all connections."""

    port: int = 0
    connections: int = 0
    received: bytes = b""
    request_received: asyncio.Event = field(default_factory=asyncio.Event)  # a whole request is here
    connection_ended: asyncio.Event = field(default_factory=asyncio.Event)  # a client closed its connection

    async def read(self, reader: asyncio.StreamReader, size: int = 65536) -> bytes:
        data = await reader.read(size)
        self.received += data
        if not data:
            self.connection_ended.set()
        return data

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """One whole request, header and body."""
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
        self.request_received.set()
        return head + b"\r\n\r\n" + body


Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Received], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_server(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[Received]:
    """Listen on a free port of 127.0.0.1 and apply `behaviour` to each connection."""
    received_so_far = Received()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        received_so_far.connections += 1
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
            try:
                await behaviour(reader, writer, received_so_far)
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                    await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    received_so_far.port = server.sockets[0].getsockname()[1]
    try:
        yield received_so_far
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def respond_with(answer: bytes) -> Behaviour:
    """Read the whole request, write these bytes, close."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received_so_far: Received) -> None:
        await received_so_far.request(reader)
        writer.write(answer)
        await writer.drain()

    return behaviour


def respond_and_hang(answer: bytes) -> Behaviour:
    """Read the whole request, write these bytes, then nothing more."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received_so_far: Received) -> None:
        await received_so_far.request(reader)
        writer.write(answer)
        while await received_so_far.read(reader):
            pass

    return behaviour


def read_and_reset(size: int | None) -> Behaviour:
    """Read that many bytes (None: the whole request), then reset the connection."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received_so_far: Received) -> None:
        if size is None:
            await received_so_far.request(reader)
        elif size:
            await received_so_far.read(reader, size)
        reset(writer)

    return behaviour


# As what a client sees `reset`: asyncio's loop of Windows shuts a connection down before it closes it.
RESET_KIND = "eof" if sys.platform == "win32" else "reset"


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def close_connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received_so_far: Received
) -> None:
    """Close immediately."""


async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received_so_far: Received) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket transport reads
    await asyncio.sleep(60)


def http_response(status: str, body: bytes = b"", *headers: str, kind: str = "application/json") -> bytes:
    """A complete HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body
