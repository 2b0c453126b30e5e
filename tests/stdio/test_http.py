"""The HTTP client, byte by byte: bodies of all framings, and connections that end too early."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from trayapp.stdio.http import Exchange, LostError, NotSentError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=utf-8\r\n"


class Raw:
    """Answers the next connection with these bytes, in pieces; `received` is what the client sent."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.received = b""
        self.thread: threading.Thread | None = None

    def answer(self, *pieces: bytes, hold: float = 0.0) -> None:
        def serve() -> None:
            connection, _ = self.listener.accept()
            with connection:
                while b"\r\n\r\n" not in self.received:
                    self.received += connection.recv(65536)
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(0.01)
                time.sleep(hold)

        self.thread = threading.Thread(target=serve)
        self.thread.start()

    def close(self) -> None:
        if self.thread is not None:
            self.thread.join(5)
        self.listener.close()


@pytest.fixture
def raw() -> Iterator[Raw]:
    server = Raw()
    yield server
    server.close()


def body_of(raw: Raw) -> bytes:
    with Exchange() as exchange:
        exchange.send(raw.port, "GET", "/x", {})
        assert (200, "text/event-stream") == (exchange.status, exchange.content_type)
        return exchange.whole()


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD + b"Content-Length: 5\r\n\r\nhello",),
        (HEAD[:20], HEAD[20:] + b"Content-Length: 5\r\n\r", b"\nhel", b"lo"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r", b"\n3\r\nll", b"o\r\n0\r\n\r\n"),
        (HEAD + b"\r\nhel", b"lo"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello",),
    ],
    ids=["length", "pieces", "chunks", "until the end", "after an interim response"],
)
def test_a_body_is_read_whole(raw: Raw, pieces: tuple[bytes, ...]) -> None:
    raw.answer(*pieces)
    assert b"hello" == body_of(raw)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (HEAD,),
        (b"SSH-2.0-OpenSSH\r\n\r\n",),
        (HEAD + b"Content-Length: 5\r\n\r\nhel",),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n",),
        (HEAD + b"X: " + b"x" * 100_000,),
    ],
    ids=["nothing", "half a head", "no http", "cut", "cut chunk", "no last chunk", "no chunk", "endless head"],
)
def test_a_part_does_not_pass_for_all(raw: Raw, pieces: tuple[bytes, ...]) -> None:
    raw.answer(*pieces)
    with pytest.raises(LostError):
        body_of(raw)


def test_nothing_is_awaited_after_202(raw: Raw) -> None:
    """Some servers say "chunked" and send nothing."""
    raw.answer(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n", hold=0.1)
    with Exchange() as exchange:
        exchange.send(raw.port, "POST", "/x", {"A": "b"}, b"{}")
        assert b"" == exchange.whole()
    assert raw.received.startswith(
        f"POST /x HTTP/1.1\r\nHost: 127.0.0.1:{raw.port}\r\nAccept-Encoding: identity\r\nA: b\r\n".encode()
    )
    assert raw.received.endswith(b"Content-Length: 2\r\n\r\n{}")


def test_an_answer_to_a_body_that_nobody_reads(raw: Raw) -> None:
    """The refusal is read although the rest of the request could not be sent."""
    raw.answer(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", hold=0.1)
    with Exchange() as exchange:
        try:
            exchange.send(raw.port, "POST", "/x", {}, b"x" * (8 << 20))
        except LostError:
            return  # the kernel threw the answer away with the connection
        assert 413 == exchange.status


def test_the_head_has_a_limit(raw: Raw) -> None:
    raw.answer(hold=0.2)
    with Exchange() as exchange, pytest.raises(LostError):
        exchange.send(raw.port, "GET", "/x", {}, limit=0.05)


def test_another_thread_ends_the_wait(raw: Raw) -> None:
    raw.answer(hold=0.3)
    with Exchange() as exchange:
        threading.Timer(0.05, exchange.close).start()
        with pytest.raises(LostError):
            exchange.send(raw.port, "GET", "/x", {})
    with Exchange() as exchange:
        exchange.close()  # before it began
        with pytest.raises(LostError):
            exchange.send(raw.port, "GET", "/x", {})


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for each in (port, 99999):
        with Exchange() as exchange, pytest.raises(NotSentError):
            exchange.send(each, "GET", "/", {})
