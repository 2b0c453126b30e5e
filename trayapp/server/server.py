"""The loopback HTTP server: who may ask at all is decided here, once, before any route sees the request.

Other programs of this user are trusted with what they hold the key for; web pages are not trusted with anything. A page
reaches us in three ways, and each is closed: by DNS rebinding (the Host has to be a loopback literal with our port), by a
cross-origin request (a foreign or `null` Origin is refused and no CORS header is ever sent), and by a simple request
without Origin (Fetch Metadata). Then comes the key. A missing or wrong key is a constant 403, never a 401: a 401 makes MCP
clients start an OAuth flow against us.

A route is guarded by the key unless it was given as open; what the path looks like plays no part, so no odd spelling of a
path gets around it.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from trayapp.core.model import Secret
from trayapp.core.public import rfc3339
from trayapp.server import serverfile
from trayapp.server.connection_limit import door, most
from trayapp.server.replies import BODY_MAX, OWN_HEADERS, PAGE, Refusal, error_reply

HOST = "127.0.0.1"
KEY_BYTES = 32  # of randomness; SECURITY 28 asks for 16
BACKLOG = 128
MAX_LINE = 8190  # bytes of request line, and of one header; more is answered 400 by the parser
MAX_HEADERS = 64
KEEPALIVE = 75.0  # s; also the longest that a client may take over its first request line and headers
LINGER = 1.0  # s for the rest of a body that nobody will read
# aiohttp waits this long twice (for handlers, then for their cancellation), and all of close() has 2 s.
SHUTDOWN = 0.5

log = logging.getLogger(__name__)


class PortTaken(Exception):  # noqa: N818 - says what happened
    """The port of the loopback server cannot be had; the text is a sentence for people."""

    def __init__(self, port: int, why: str) -> None:
        super().__init__(f"Port {port} on {HOST} {why}.")
        self.port = port


class LoopbackServer:
    """One server on 127.0.0.1, from `start` to `close`. All methods belong to the loop that started it.

    `routes` need the API key of `server.json`; `open_routes` look after themselves (`/health`, the proxy). Open is
    the very route that was given, not its path or its handler; `web.get` adds a HEAD of its own, which needs the key.
    `pages` are open too, and the one thing that a link on another site may lead to. `page_key` says whether a key is
    that of a page of ours.
    """

    def __init__(
        self,
        *,
        port: int,
        runtime_dir: Path,
        version: str,
        routes: Sequence[web.RouteDef],
        open_routes: Sequence[web.RouteDef] = (),
        pages: Sequence[web.RouteDef] = (),
        page_key: Callable[[str], bool] = lambda key: False,
        allowed_origins: Callable[[web.Request], Collection[str]] = lambda request: (),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.api_key = Secret(secrets.token_urlsafe(KEY_BYTES))
        self.port = port
        self.url = ""
        self._directory = runtime_dir
        self._version = version
        self._routes = routes
        self._open_routes = open_routes
        self._page_routes = pages
        self._page_key = page_key
        self._allowed_origins = allowed_origins
        self._open: frozenset[web.AbstractRoute] = frozenset()
        self._pages: frozenset[web.AbstractRoute] = frozenset()
        self._wall = wall
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        self._info: serverfile.ServerInfo | None = None
        self._own_hosts: tuple[str, ...] = ()

    async def start(self) -> str:
        """Listen, then say where in `server.json`; returns the URL. Raises `PortTaken` or `ServerFileError`."""
        listener = _bind(self.port)
        self.port = listener.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._own_hosts = own_hosts(self.port)
        try:
            await self._serve(listener)
            self._publish()
        except BaseException:
            await self.close()
            listener.close()
            raise
        return self.url

    async def close(self) -> None:
        """Stop within 2 s, open streams or not, and remove `server.json` if it is still ours. May be called twice."""
        info, self._info = self._info, None
        if info is not None:
            serverfile.withdraw(self._directory, info)
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _serve(self, listener: socket.socket) -> None:
        app = web.Application(middlewares=[self._middleware()], client_max_size=BODY_MAX)
        app.add_routes(self._routes)
        self._pages = frozenset(app.add_routes(self._page_routes))
        self._open = self._pages.union(app.add_routes(self._open_routes))
        self._runner = web.AppRunner(
            app,
            handle_signals=False,
            handler_cancellation=True,  # without it a client that went away leaves its upstream open (PLATFORM.md 6.2)
            access_log=None,
            logger=_parser_log(),
            shutdown_timeout=SHUTDOWN,
            keepalive_timeout=KEEPALIVE,
            lingering_time=LINGER,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
            auto_decompress=False,  # what the proxy passes on stays coded, and nothing small grows large in here
        )
        await self._runner.setup()
        server = cast(web.Server, self._runner.server)  # there is one from setup() on
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(door(server, most()), sock=listener, backlog=BACKLOG)

    def _publish(self) -> None:
        info = serverfile.ServerInfo(self.url, os.getpid(), self.api_key, rfc3339(self._wall()) or "", self._version)
        serverfile.publish(self._directory, info)
        self._info = info

    def _middleware(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self._admit(request)
                response = await handler(request)
            except Refusal as refusal:
                response = error_reply(refusal)
            except web.HTTPException as error:
                response = _http_error(error)
            except Exception:
                # The path is left out of the log: later routes carry a key in it.
                log.exception("a %s request failed unexpectedly", request.method)
                response = error_reply(Refusal(500, "internal", "Something went wrong inside Amberlight; see the log."))
            if not response.prepared:
                for name, value in OWN_HEADERS.items():
                    response.headers.setdefault(name, value)
            return response

        return guard

    def _admit(self, request: web.Request) -> None:
        """Raise `Refusal` for whom we do not talk to; the order is Host, form of the target, Origin, key."""
        host = only(request.headers.getall("Host", ()))
        if host not in self._own_hosts:
            raise Refusal(403, "forbidden", "The Host header does not name this server.")
        if request.method == "CONNECT" or not request.raw_path.startswith("/"):
            raise Refusal(400, "bad_request", "This server is no forward proxy: ask it for a path.")
        if not (request.match_info.route in self._pages and is_navigation(request)):
            refuse_web_pages(request, host, self._allowed_origins)
        if request.match_info.route not in self._open and not self._has_key(request):
            raise Refusal(403, "forbidden", "This needs the key of server.json, as Authorization: Bearer KEY.")

    def _has_key(self, request: web.Request) -> bool:
        header = only(request.headers.getall("Authorization", ())) or ""
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer":
            return False
        given = key.strip()
        if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.api_key.reveal().encode()):
            return True
        request[PAGE] = bool(given) and self._page_key(given)
        return request[PAGE]


def own_hosts(port: int) -> tuple[str, ...]:
    """The only values that a Host header may have. For port 80 clients leave the port away (RFC 9110 section 7.2)."""
    names = (HOST, "localhost", "[::1]")
    return tuple(f"{name}:{port}" for name in names) + (names if port == 80 else ())


def refuse_web_pages(
    request: web.Request, host: str, allowed: Callable[[web.Request], Collection[str]] = lambda request: ()
) -> None:
    """Raise `Refusal` for what a page of another origin sent. `host` is the checked Host header.

    `same-site` is refused with `cross-site`: every port of localhost is one site, and another port is not ours.
    `allowed` names the foreign origins that this very request may come from.
    """
    origins = request.headers.getall("Origin", ())
    if origins and only(origins) in allowed(request):
        return
    if origins and only(origins) != f"http://{host}":
        raise Refusal(403, "forbidden", "Requests from web pages of another origin are refused.")
    if any(site not in ("same-origin", "none") for site in request.headers.getall("Sec-Fetch-Site", ())):
        raise Refusal(403, "forbidden", "Requests from web pages of another site are refused.")


def is_navigation(request: web.Request) -> bool:
    """Whether a browser goes to this address as a whole: from a file, a bookmark, or a link on any site.

    What it sees then is its own affair and nobody else's: no other page can look into it, and nothing was sent along.
    """
    wanted = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    told = all(only(request.headers.getall(name, ())) == value for name, value in wanted.items())
    return told and request.method == "GET" and "Origin" not in request.headers


def only(values: Iterable[str]) -> str | None:
    """The value of a header that was sent exactly once."""
    found = list(values)
    return found[0] if len(found) == 1 else None


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":  # there SO_REUSEADDR would let two programs share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # a restart need not wait for the old connections to be forgotten
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((HOST, port))
        listener.listen(BACKLOG)  # only now is the port ours: two bound sockets may share it until one listens
    except OSError as error:
        listener.close()
        busy = error.errno == errno.EADDRINUSE
        why = "is in use by another program" if busy else f"cannot be used: {error.strerror}"
        raise PortTaken(port, why) from None
    return listener


_WORDS = {
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
    413: ("too_large", f"The body is larger than {BODY_MAX} bytes."),
}


def _http_error(error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals in our shape."""
    code, message = _WORDS.get(error.status, ("http_error", f"The request was refused: {error.reason}."))
    allow = error.headers.get("Allow")
    return error_reply(Refusal(error.status, code, message, {"Allow": allow} if allow else None))


class _NoBytes(logging.Filter):
    """The parser's errors quote the bytes that they choked on, and those may hold a key: only their kind is kept."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args = "refused a malformed request (%s)", (type(error).__name__,)
            record.exc_info, record.exc_text = None, None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def _parser_log() -> logging.Logger:
    quiet = logging.getLogger(f"{__name__}.http")
    if not quiet.filters:
        quiet.addFilter(_NoBytes())
    return quiet
