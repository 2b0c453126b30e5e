"""Fuzzes the proxy with mutated requests: `python -m tests.proxy.fuzz_proxy SECONDS [SEED]`.

Each is a valid request with a few changes: pieces of the target, headers, the framing of the body, single bytes. The
upstream reads with another parser (h11, strict), and after every request what arrived is checked: it lies below the
workload's path, was sent by somebody who showed the key, has one Authorization header with the right token, no cookie
and no key. The upstream must never see a request that wasn't sent here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import h11

from tests.proxy.proxying import NAME, TOKEN, Site, proxied

PIECES = [
    *(
        "/",
        "//",
        "/a",
        "/b?c=d",
        "?",
        "?x=%2e%2e/",
        "#",
        ";",
        ":",
        "@",
        "\\",
        "|",
        " ",
        "\t",
        "&",
        "=",
        "%",
        "%2",
        "%zz",
    ),
    *(
        "..",
        "/..",
        "/../",
        "/./",
        "%2e",
        "%2E%2e",
        "%2f",
        "%5c",
        "%252e",
        "%25",
        "%00",
        "%0d%0a",
        "\r\n",
        "\n",
        "\r",
        "\0",
    ),
    *(
        "\x7f",
        "\xe9",
        "\xff",
        "http://evil.example",
        "//evil.example",
        "@evil.example",
        ":80",
        "/w/",
        "/w/one",
        "/w/two",
    ),
    *("/k/", "/k/x/w/one", "/-/", "/-/admin", "/.;/", "/..;x/", "%c0%af", "{}", "<", '"', "^", "`", "+", "~", "*"),
]
LINES = [
    *("Content-Length: 5", "Content-Length: 0", "Content-Length: 99", "Content-Length: x", "Content-Length: 5,5"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Transfer-Encoding:chunked ", "TE: trailers"),
    *("Connection: close", "Connection: Authorization, Host", "Connection: content-length", "Connection: upgrade"),
    *("Upgrade: websocket", "Upgrade: h2c", "HTTP2-Settings: AAMA", "Expect: 100-continue", "Expect: x"),
    *(
        "Cookie: canary=1",
        "Proxy-Authorization: Basic canary",
        "Proxy-Connection: keep-alive",
        "Authorization: Bearer canary",
    ),
    *(
        "Host: evil.example",
        "Origin: null",
        "Origin: https://evil.example",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: none",
    ),
    *(
        "Mcp-Session-Id: 1",
        "X-Forwarded-For: 1.2.3.4",
        "X: \xe9",
        "X: \xff",
        "X : 1",
        ": 1",
        " X: 1",
        "X",
        "X: a\r\n b",
        "X: \0",
    ),
    *(
        "Accept-Encoding: gzip",
        "Content-Encoding: gzip",
        "Range: bytes=0-1",
        "X-Long: " + "x" * 9000,
        "Trailer: Authorization",
    ),
]
METHODS = ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "G\tT", "X" * 50]
BODIES = [
    "",
    "hello",
    "5\r\nhello\r\n0\r\n\r\n",
    "0\r\n\r\n",
    "5\r\nhel",
    "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    "ffffffffffffffff1\r\n",
]
VERSIONS = ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.1 ", "http/1.1", "", "HTTP/0.9"]
ALLOWED = re.compile(r"/mcp(?:[/?].*)?")
PATIENCE = 0.03  # s; the answer takes 1 ms
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


class Violation(AssertionError):
    """Something reached the upstream that must not, or the server misbehaved; the text holds the request."""


class Fuzz:
    """A proxy with a strict upstream. `one` sends one connection's requests and checks what came of them."""

    def __init__(self, directory: Path, *, seed: int) -> None:
        self.random = random.Random(seed)
        self.reached = self.refused = 0
        self._directory = directory
        self._stack = contextlib.AsyncExitStack()
        self._seen: list[tuple[str, list[tuple[str, str]]]] = []
        self._wrong: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._upstream = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._upstream.sockets[0].getsockname()[1]
        self.site: Site = await self._stack.enter_async_context(
            proxied(f"http://127.0.0.1:{port}/mcp", self._directory)
        )
        self._key = self.site.key
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self._upstream.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def one(self) -> None:
        """One connection with one request, or two."""
        self._seen.clear()
        sent = b"".join(self._request() for _ in range(self.random.choice((1, 1, 1, 2))))
        answer = await self._talk(sent)
        await self._settled()
        found = [int(code) for code in STATUS.findall(answer)]
        self.reached += len(self._seen)
        self.refused += not self._seen
        if 500 in found:
            raise Violation(f"500 for {sent!r}")
        if self._wrong:
            raise Violation(f"{self._wrong} for {sent!r}")
        for target, headers in self._seen:
            self._check(target, headers, sent)

    def _check(self, target: str, headers: list[tuple[str, str]], sent: bytes) -> None:
        names = [name for name, _ in headers]
        path = target.partition("?")[0]
        faults = [
            what
            for what, wrong in (
                ("outside of the prefix", not ALLOWED.fullmatch(target)),
                ("dots", re.search(r"/\.{1,2}(?:[/;]|$)|%2e|%2f|%5c|\\|%25(?:25)*2", path, re.I)),
                ("no key was shown", self._key.encode() not in sent),
                ("token", [value for name, value in headers if name == "authorization"] != [f"Bearer {TOKEN}-1"]),
                ("key passed on", self._key in target or any(self._key in value for _, value in headers)),
                ("cookie or proxy header", [n for n in names if n.startswith(("cookie", "proxy-", "sec-"))]),
                ("hop by hop", {"upgrade", "te", "expect", "origin", "keep-alive", "http2-settings"} & set(names)),
                ("two framings", "content-length" in names and "transfer-encoding" in names),
                ("hosts", names.count("host") != 1 or ("host", "evil.example") in headers),
                ("smuggled", "smuggled" in target),
            )
            if wrong
        ]
        if faults:
            raise Violation(f"{faults}: upstream got {target!r} {headers!r} for {sent!r}")

    # --- what is sent ------------------------------------------------------------------------------------------------

    def _request(self) -> bytes:
        rng = self.random
        in_path = rng.random() < 0.3
        target = f"/k/{self._key}/w/{NAME}" if in_path else f"/w/{NAME}"
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            target = self._insert(target, rng.choice(PIECES), at_end=rng.random() < 0.8)
        lines = [f"Host: 127.0.0.1:{self.site.server.port}"]
        if not in_path and rng.random() < 0.9:
            lines.append(f"Authorization: Bearer {self._key}")
        body = ""
        if rng.random() < 0.4:
            body = rng.choice(BODIES)
            framing = rng.choice((f"Content-Length: {len(body)}", "Transfer-Encoding: chunked", None))
            lines += [framing] if framing else []
        lines += rng.choices(LINES, k=rng.choice((0, 0, 1, 2)))
        rng.shuffle(lines)
        method = rng.choice(METHODS) if rng.random() < 0.3 else rng.choice(("GET", "POST"))
        version = rng.choice(VERSIONS) if rng.random() < 0.2 else "HTTP/1.1"
        raw = ("\r\n".join([f"{method} {target} {version}", *lines, "", ""]) + body).encode("latin-1")
        if rng.random() < 0.15:
            raw = self._damage(raw)
        return raw

    def _insert(self, text: str, piece: str, *, at_end: bool) -> str:
        at = len(text) if at_end else self.random.randrange(len(text) + 1)
        return text[:at] + piece + text[at:]

    def _damage(self, raw: bytes) -> bytes:
        data = bytearray(raw)
        for _ in range(self.random.choice((1, 1, 2, 4))):
            at = self.random.randrange(len(data))
            match self.random.randrange(3):
                case 0:
                    data[at] = self.random.randrange(256)
                case 1:
                    del data[at]
                case _:
                    data[at:at] = bytes([self.random.choice(b"\r\n\0 :%/.;")])
        return bytes(data)

    async def _talk(self, sent: bytes) -> bytes:
        """What is answered. Half a request gets no answer, so nobody waits for long; a closed half would be a hang-up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.site.server.port)
        answer = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            writer.write(sent)
            async with asyncio.timeout(PATIENCE):
                while data := await reader.read(65536):
                    answer += data
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return answer

    async def _settled(self) -> None:
        """Wait until this request has had all its effects, so that none is taken for the next one's."""
        runner = self.site.server._runner
        assert runner is not None
        assert runner.server is not None
        for _ in range(1000):
            if not runner.server.connections:
                break
            await asyncio.sleep(0.001)
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)

    # --- the upstream ------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = h11.Connection(h11.SERVER)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            try:
                await self._requests(connection, reader, writer)
            except h11.RemoteProtocolError as error:
                if "peer closed connection" not in str(
                    error
                ):  # a client that went away in its body ends the upstream's
                    self._wrong.append(f"the upstream cannot read it: {error}")
            finally:
                writer.close()
        self._tasks.discard(task)

    async def _requests(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                headers = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
                self._seen.append((event.target.decode("latin-1"), headers))
            elif isinstance(event, h11.EndOfMessage):
                answer = h11.Response(status_code=200, headers=[("Content-Length", "0")])
                writer.write((connection.send(answer) or b"") + (connection.send(h11.EndOfMessage()) or b""))
                await writer.drain()
                if connection.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                    return
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed):
                return


async def main(seconds: float, seed: int) -> None:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as directory:
        async with Fuzz(Path(directory), seed=seed) as fuzz:
            began, count = time.monotonic(), 0
            while time.monotonic() - began < seconds:
                await fuzz.one()
                count += 1
            print(
                f"seed {seed}: {count} requests, {fuzz.reached} reached the upstream, {fuzz.refused} did not; no fault"
            )


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)))
