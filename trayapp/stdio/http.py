"""A small HTTP/1.1 client for our own loopback server: one connection for each request, its response read as it comes.

A connection is never used twice: one that the server closes at the moment it is used again would leave open whether a
call has run. On loopback a new one costs a tenth of a millisecond.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from trayapp.stdio.memory import LARGE, expect_large

HOST = "127.0.0.1"
CONNECT_LIMIT = 2.0  # s; the kernel answers
HEAD_MAX = 64 * 1024  # bytes
PIECE = 64 * 1024  # bytes read at once


class NotSentError(Exception):
    """Nothing listens there: nothing of the request was sent."""


class LostError(Exception):
    """The connection ended before the response was complete: whether the request was carried out is unknown."""


class Exchange:
    """One request and its response. `close` may be called by any thread, and ends whatever waits here."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}  # names in lower case
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._closed = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def send(
        self,
        port: int,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        limit: float | None = None,
    ) -> None:
        """Send, and read the head of the response, for which there are `limit` seconds. Raises `NotSentError` or
        `LostError`."""
        try:
            connected = socket.create_connection((HOST, port), CONNECT_LIMIT)
        except (OSError, OverflowError):
            raise NotSentError from None
        with self._lock:
            self._socket = connected
        if self._closed:
            self.close()
            raise LostError
        connected.settimeout(limit)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}:{port}", "Accept-Encoding: identity"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before it was read to its end
                connected.sendall("\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body)
            self._read_head()
            connected.settimeout(None)
        except OSError:
            raise LostError from None

    def pieces(self) -> Iterator[bytes]:
        """The body, as it comes. Raises `LostError` if it is cut."""
        try:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                yield from self._chunks()
            elif (length := self.headers.get("content-length", "")).isdecimal():
                yield from self._exactly(int(length))
            else:
                while self._buffer or self._fill():
                    yield self._take(len(self._buffer))
        except (OSError, ValueError):
            raise LostError from None

    def whole(self) -> bytes:
        """The whole body. Raises `LostError`."""
        body = bytearray()
        for piece in self.pieces():
            body += piece
            if len(body) > LARGE:
                expect_large()
        return bytes(body)

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            self._closed = True
            ended, self._socket = self._socket, None
        if ended is not None:
            with contextlib.suppress(OSError):
                ended.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
            ended.close()

    def _read_head(self) -> None:
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > HEAD_MAX or not self._fill():
                    raise LostError
                continue
            first, *rest = self._take(end + 4)[:-4].decode("latin-1").split("\r\n")
            words = first.split(" ", 2)
            if len(words) < 2 or not words[1].isdecimal():
                raise LostError
            self.status = int(words[1])
            if self.status >= 200:  # else an interim response: the real one follows
                break
        for line in rest:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        if self.status in (202, 204):
            self.headers.pop("transfer-encoding", None)
            self.headers["content-length"] = "0"

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = int(self._line().partition(b";")[0], 16)
            if not size:
                return  # trailers, if any, are ignored
            yield from self._exactly(size)
            self._line()

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._buffer and not self._fill():
                raise LostError
            piece = self._take(min(size, len(self._buffer)))
            size -= len(piece)
            yield piece

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > HEAD_MAX or not self._fill():
                raise LostError
        return self._take(end + 2)[:-2]

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fill(self) -> bool:
        reading = self._socket
        if reading is None:
            raise LostError
        piece = reading.recv(PIECE)
        self._buffer += piece
        return bool(piece)
