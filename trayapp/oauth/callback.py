"""Loopback redirect listener of one sign-in (RFC 8252 section 7.3): GET only, one path, and no request is ever echoed.

It lives exactly as long as the attempt (RFC 8252 section 8.3). Junk, favicons, port scanners and slow senders get a
refusal or silence and never end the attempt. The callback itself answers with a 303 to a clean address, so that no code
stays in the address bar or the history. The page there waits until the exchange has finished and then shows the result
(SECURITY.md 5, SECURITY.md 6).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from base64 import b64encode
from collections.abc import Callable
from enum import Enum, auto
from hashlib import sha256

from trayapp.core.app_notices import START_KEYRING, THIS_RUN_ONLY
from trayapp.core.sentences import CLOSE_TAB
from trayapp.oauth.loopback import LoopbackSockets
from trayapp.server.acceptor import Acceptor, ThreadAcceptor, accept
from trayapp.server.peers import Owner, Peers

HEAD_MAX = 16 * 1024  # bytes of request line and headers; a redirect with a long code has about 4 KiB
HEADER_LIMIT = 10.0  # s to send them
BACKLOG = 100
CONNECTIONS_MAX = 64  # the oldest is dropped first, other users' before this one's: nobody can lock the browser out
REPEAT = 2.0  # s after its last page: a browser may have fetched it ahead of the person
PAGE_LIMIT = 60.0  # s that the page waits for the exchange, which has a limit of its own

REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")
OTHER_VERSION = re.compile(rb"[!-~]+ [!-~]+ HTTP/(?!1\.[01])[0-9](\.[0-9])?")
HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")

# Requests that a browser or a preview makes ahead of the person, by the headers that announce them.
AHEAD = re.compile(
    rb"\r\n(?:sec-purpose|purpose|x-purpose|x-moz):[^\r\n]*(?:prefetch|prerender|preview)", re.IGNORECASE
)

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:17px/1.5 system-ui,sans-serif;max-width:32rem;margin:18vh auto 0;padding:0 1.5rem;"
    "background:#fff;color:#1d2125}"
    "h1{font-size:1.5rem;margin:0 0 .5rem}b{color:#b26a00}"
    "@media(prefers-color-scheme:dark){body{background:#17191c;color:#e6e8ea}b{color:#f5a623}}"
)
POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(title: str, text: str) -> bytes:
    """A complete static page. `title` and `text` are our own words and a workload's name, never text from a request."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} · Amberlight</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
        f"<h1>{title}</h1><p>{text}</p><p><b>Amberlight</b></p></html>"
    ).encode()


STALE = page(
    "This link isn't valid",
    f"It was already used, or its sign-in has ended. {CLOSE_TAB} To sign in, choose <i>Reauthorize</i> in Amberlight.",
)
UNMARKED = page(
    "Still waiting for you to sign in",
    "Amberlight ignored an error that doesn't belong to this sign-in. Go back and finish signing in. If you declined, choose "
    "<i>Cancel sign-in</i> in Amberlight's menu, or press Ctrl-C where you started it.",
)


def result_page(name: str, succeeded: bool, *, lasting: bool = True) -> bytes:
    """The last page of a sign-in to the workload `name`; `lasting`: its login outlives this run of the program."""
    if succeeded:
        text = CLOSE_TAB if lasting else f"{THIS_RUN_ONLY} {START_KEYRING} {CLOSE_TAB}"
        return page(f"Signed in to {name}{'' if lasting else ' for this run only'}", text)
    return page(
        f"Couldn't sign in to {name}",
        f"Amberlight shows what went wrong. To try again, choose <i>Reauthorize</i> there. {CLOSE_TAB}",
    )


class Arrival(Enum):
    """What a request to the redirect address brings."""

    AWAITED = auto()  # the answer
    AGAIN = auto()  # the very same answer once more
    UNMARKED = auto()  # an error without a state: it doesn't count, and the sign-in waits on
    STALE = auto()  # anything else


class RedirectListener:
    """Serves the bound sockets of one address. `arrived` receives the query of each request to `path` and says what it
    is."""

    def __init__(
        self,
        sockets: LoopbackSockets,
        path: str,
        arrived: Callable[[str], Arrival],
        *,
        name: str = "",
        header_limit: float = HEADER_LIMIT,
        host: str = "127.0.0.1",
        lasting: Callable[[], bool] = lambda: True,
    ) -> None:
        """`name` is the workload. `host` is the host of the redirect address; it is `localhost` where the server requires
        it."""
        self._name = name
        self._lasting = lasting
        self._sockets = [sock for sock in (sockets.ipv4, sockets.ipv6) if sock is not None]
        self._path = path
        self._arrived = arrived
        self._header_limit = header_limit
        self.port = sockets.port
        self._hosts = {f"{host}:{self.port}"} | ({host} if self.port == 80 else set())
        self._servers: list[Acceptor | ThreadAcceptor] = []
        self._tasks: dict[asyncio.Task[None], bool] = {}  # in order of arrival; whether it is this user's
        self._peers = Peers()
        self._closed = False
        self._outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._page_served = asyncio.Event()
        self.redirected = False  # a browser has been sent to the clean address

    async def start(self) -> None:
        """Listen. Raises OSError if another program has taken the port in the meantime."""
        try:
            for sock in self._sockets:
                sock.listen(BACKLOG)
                self._servers.append(await accept(sock, self._protocol))
        except BaseException:  # cancelled, too: nobody else knows these sockets yet
            for server in self._servers:
                server.close()
            for sock in self._sockets:
                sock.close()
            self._peers.close()
            raise

    async def close(self) -> None:
        """End the attempt: afterwards nothing listens and no connection is open. May be called twice."""
        self._closed = True
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()
        self._peers.close()  # before anything is awaited: this may be cancelled
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._outcome.cancel()
        self._page_served.set()  # the page can't be requested any more

    def finish(self, succeeded: bool) -> None:
        """Report the result of the exchange, which the page is waiting to show."""
        if not self._outcome.done():
            self._outcome.set_result(succeeded)

    async def linger(self, seconds: float) -> None:
        """Wait until a browser that was sent to the clean address has fetched its page, at most `seconds`: a closed tab
        never does. The browser may have prefetched it, so it is served a little longer."""
        if self.redirected:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._page_served.wait(), seconds)
                if not self._closed:
                    await asyncio.sleep(min(REPEAT, seconds))

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=HEAD_MAX), self._accepted)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A new connection. It is known from here on, so that `close` misses none whose task has not begun."""
        if self._closed:
            writer.transport.abort()
            return
        peer, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        task = asyncio.create_task(self._connected(reader, writer), name="serve a redirect")
        self._tasks[task] = bool(peer and own) and self._peers.owner(peer[:2], own[:2])[0] is Owner.OWN

        def ended(task: asyncio.Task[None]) -> None:
            del self._tasks[task]
            writer.close()  # a task that is cancelled before it begins does nothing

        task.add_done_callback(ended)
        if len(self._tasks) > CONNECTIONS_MAX:
            min(self._tasks, key=self._tasks.__getitem__).cancel()  # the first of the smallest

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled means that the attempt has ended or that a newer connection needed the room: a normal end here.
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
            try:
                await self._serve(reader, writer)
            finally:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self._header_limit)
        except asyncio.IncompleteReadError:
            return
        except asyncio.LimitOverrunError:
            writer.write(_response("431 Request Header Fields Too Large", STALE))
            await writer.drain()
            return
        response = await self._respond(head)
        writer.write(response)
        await writer.drain()
        if response.startswith(b"HTTP/1.1 200 ") and not AHEAD.search(head):
            self._page_served.set()

    async def _respond(self, head: bytes) -> bytes:
        target, refusal = self._admit(head)
        if refusal:
            return _response(refusal, STALE, "Allow: GET\r\n" if refusal.startswith("405") else "")
        path, _, query = target.partition("?")
        if path == self._path:
            arrival = self._arrived(query)
            if arrival in (Arrival.UNMARKED, Arrival.STALE):
                return _response("400 Bad Request", UNMARKED if arrival is Arrival.UNMARKED else STALE)
            self.redirected = True
            return _response("303 See Other", b"", f"Location: {self._path}/done\r\n")
        if target == f"{self._path}/done" and self.redirected:
            succeeded = await asyncio.wait_for(asyncio.shield(self._outcome), PAGE_LIMIT)
            return _response("200 OK", result_page(self._name, succeeded, lasting=self._lasting()))
        return _response("404 Not Found", STALE)

    def _admit(self, head: bytes) -> tuple[str, str]:
        """The target of a well-formed GET meant for this listener, or the status line that refuses it."""
        first, *rest = head[:-4].split(b"\r\n")
        request_line = REQUEST_LINE.fullmatch(first)
        headers = [match.groups() for line in rest if (match := HEADER.fullmatch(line))]
        if request_line is None or len(headers) != len(rest):
            return "", "505 HTTP Version Not Supported" if OTHER_VERSION.fullmatch(first) else "400 Bad Request"
        hosts = [value.rstrip() for name, value in headers if name.lower() == b"host"]
        if len(hosts) != 1 or hosts[0].decode("latin-1") not in self._hosts:
            return "", "403 Forbidden"  # a foreign page whose name resolves to this machine (DNS rebinding)
        if request_line[1] != b"GET":
            return "", "405 Method Not Allowed"
        return request_line[2].decode("ascii"), ""


def _response(status: str, body: bytes, extra: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\n{extra}Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
