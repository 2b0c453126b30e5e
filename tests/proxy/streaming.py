"""An upstream in a process of its own for throughput tests: `GET …/BYTES` sends so many, `PUT` discards all."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

PIECE = bytes(1 << 16)


@contextlib.contextmanager
def sink_and_source() -> Iterator[int]:
    """Its port; the process ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.proxy.streaming"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()
            process.kill()
            process.wait()


def _serve(connection: socket.socket) -> None:
    """One request after another; its length is taken on trust."""
    with connection, connection.makefile("rb") as reader:
        while line := reader.readline():
            length = 0
            path = line.split(b" ")[1]
            while (header := reader.readline()) != b"\r\n":
                if header.lower().startswith(b"content-length:"):
                    length = int(header[15:])
            left = length
            while left:
                left -= len(reader.read1(min(left, len(PIECE))))
            if line.startswith(b"GET"):
                size = int(path.rpartition(b"/")[2])
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
                while size:
                    size -= connection.send(PIECE[: min(size, len(PIECE))])
            else:
                body = str(length).encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    sys.stdin.read()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
