"""The loopback HTTP server: decides whether a request is admitted, before any route sees it.

Other programs of this user are trusted with whatever they hold the key for; web pages are trusted with nothing. A page
could reach the server in three ways, and each is closed: by DNS rebinding (Host must be a loopback literal with our
port), by a cross-origin request (a foreign or `null` Origin is refused and no CORS header is ever sent), and by a
simple request without Origin (Fetch Metadata). Then comes the key. A missing or wrong key is a constant 403, never a
401: a 401 makes MCP clients start an OAuth flow against us (SECURITY.md 25 to SECURITY.md 28).

A route needs the key unless it was registered as open. The path plays no part in that, so no odd spelling of a path
gets around the key.
"""

from __future__ import annotations

import errno
import hmac
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from trayapp.core.model import Secret
from trayapp.core.outages import Cause
from trayapp.core.public import rfc3339
from trayapp.core.sentences import UNEXPECTED
from trayapp.server import serverfile
from trayapp.server.acceptor import Acceptor, ThreadAcceptor, accept
from trayapp.server.connection_limit import HTTP_1_1, available_connections
from trayapp.server.connections import HEADERS_LIMIT, Connections
from trayapp.server.peers import Owner, Peers, owner_of
from trayapp.server.replies import BODY_MAX, OWN_HEADERS, PAGE, Refusal, error_reply

HOST = "127.0.0.1"
KEY_BYTES = 32  # of randomness (SECURITY.md 28)
BACKLOG = 128
LINE_MAX = 8190  # bytes of the request line and of one header; the parser answers 400 to more
HEADERS_MAX = 64
KEEPALIVE = 75.0  # s
LINGER = 1.0  # s for the rest of a body that won't be read
# aiohttp waits this long twice (for handlers, then for their cancellation), and close() as a whole has 2 s.
SHUTDOWN_LIMIT = 0.5

log = logging.getLogger(__name__)


class PortTaken(Exception):  # noqa: N818 - says what happened
    """The loopback server can't listen on this port; the text is for the log."""

    def __init__(self, port: int, error: OSError) -> None:
        self.cause = _CAUSES.get(error.errno or 0, Cause.FAILED)
        # Windows would say: Only one usage of each socket address (protocol/network address/port) is normally permitted
        self.reason = "Address already in use" if self.cause is Cause.IN_USE else error.strerror or type(error).__name__
        super().__init__(f"can't listen on port {port} of {HOST}: {self.reason}")
        self.port = port


# Windows refuses a port of an excluded range with WSAEACCES, which Python gives as EACCES.
_CAUSES: Mapping[int, Cause] = {
    errno.EADDRINUSE: Cause.IN_USE,
    errno.EACCES: Cause.RESERVED,
    errno.EPERM: Cause.RESERVED,
    errno.EADDRNOTAVAIL: Cause.NO_LOOPBACK,
}


class LoopbackServer:
    """One server on 127.0.0.1, from `start` to `close`. All methods belong to the loop that started it.

    `routes` need the API key of `server.json`; `open_routes` check for themselves (`/health`, the proxy). What is open
    is the very route that was given, not its path or its handler: `web.get` adds a HEAD route of its own, which needs
    the key. `pages` are open too, and the only routes that a link on another site may lead to. `direct` are open
    handlers by the first segment of their paths (`/w/`): aiohttp's router, which costs a proxied request a tenth, is
    left out for them. `page_key` says whether a key belongs to an open dashboard page. Who connects as another user is
    refused unless `allowed_users` has the user id; `routes` and `pages` are for this user alone.
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
        direct: Mapping[str, Handler] = MappingProxyType({}),
        page_key: Callable[[str], bool] = lambda key: False,
        allowed_origins: Callable[[web.Request], Collection[str]] = lambda request: (),
        allowed_users: Callable[[], Collection[int]] = lambda: (),
        headers_limit: float = HEADERS_LIMIT,
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
        self._direct = direct
        self._page_key = page_key
        self._allowed_origins = allowed_origins
        self._allowed_users = allowed_users
        self._headers_limit = headers_limit
        self._open: frozenset[web.AbstractRoute] = frozenset()
        self._pages: frozenset[web.AbstractRoute] = frozenset()
        self._wall = wall
        self._runner: web.AppRunner | None = None
        self._listening: Acceptor | ThreadAcceptor | None = None
        self._connections: Connections | None = None
        self._file: serverfile.PublishedFile | None = None
        self._own_hosts: tuple[str, ...] = ()

    async def start(self) -> str:
        """Listen; returns the URL. Raises `PortTaken`. `publish` then tells the commands."""
        listener = _bind(self.port)
        self.port = listener.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._own_hosts = own_hosts(self.port)
        try:
            await self._serve(listener)
        except BaseException:
            await self.close()
            listener.close()
            raise
        return self.url

    async def close(self) -> None:
        """Stop within 2 s, even with streams open, and remove `server.json` if it is ours. May be called twice."""
        file, self._file = self._file, None
        if file is not None:
            file.withdraw()
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
        if self._connections is not None:
            self._connections.close()
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
            handler_cancellation=True,  # without it, the upstream of a client that disconnected stays open
            shutdown_timeout=SHUTDOWN_LIMIT,
        )
        await self._runner.setup()
        server = cast(web.Server, self._runner.server)  # set by setup()
        server.request_handler = self._dispatch(server.request_handler)  # type: ignore[assignment]
        self._connections = Connections(
            server, Peers(self._allowed_users), available_connections(), _connection_options(), self._headers_limit
        )
        self._listening = await accept(listener, self._connections.protocol)

    @property
    def accepts(self) -> bool:
        """Whether it takes connections: from `start` to `close`, unless accepting has failed."""
        return self._listening is not None and self._listening.is_serving()

    def publish(self, *places: Path) -> Path:
        """Write `server.json` into the first of `places` that takes it, unless it is in place; returns its directory.

        Without `places`, into the runtime directory. Raises `ServerFileError`, with what was wrong in the first place.
        """
        if self._file is not None and self._file.in_place():
            return self._file.directory
        info = serverfile.ServerInfo(self.url, os.getpid(), self.api_key, rfc3339(self._wall()) or "", self._version)
        problems: list[serverfile.ServerFileError] = []
        for directory in places or (self._directory,):
            try:
                self._file = serverfile.publish(directory, info)
            except serverfile.ServerFileError as error:
                problems.append(error)
            else:
                return directory
        raise problems[0]

    def _dispatch(self, routed: Handler) -> Handler:
        """Requests for `direct` go to their handler, the others to the router."""
        first_segments = {prefix: (len(prefix), handler) for prefix, handler in self._direct.items()}

        def dispatch(request: web.Request) -> Awaitable[web.StreamResponse]:
            path = request.raw_path
            for prefix, (length, handler) in first_segments.items():
                if path[:length] == prefix and hdrs.EXPECT not in request.headers:  # the router answers `Expect`
                    return self._guard(request, handler, direct=True)
            return routed(request)

        return dispatch if first_segments else routed

    def _middleware(self) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guard(request, handler)

        return guard

    async def _guard(self, request: web.Request, handler: Handler, *, direct: bool = False) -> web.StreamResponse:
        """Serve a request that is admitted, and answer for one that isn't or that fails."""
        try:
            self._admit(request, direct=direct)
            response = await handler(request)
        except Refusal as refusal:
            response = error_reply(refusal)
        except web.HTTPException as error:
            response = _http_error(error)
        except Exception as error:
            if isinstance(error, ConnectionError) and _has_left(request):
                log.debug("the client of a %s request went away", request.method)
            else:  # the path is left out of the log, because it may hold a local key
                log.exception("a %s request failed unexpectedly", request.method)
            response = error_reply(Refusal(500, "internal", UNEXPECTED))
        if not response.prepared:
            for name, value in OWN_HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    def _admit(self, request: web.Request, *, direct: bool) -> None:
        """Raise `Refusal` unless the request may be served: checks Host, form of the target, Origin, key, in order."""
        # The property would be cached, and the answer's status line is made from it.
        if request._version is not HttpVersion11 and request._version != HttpVersion10:
            request._version = HttpVersion11
            raise Refusal(505, "http_version", HTTP_1_1)
        host = single_value(request.headers.getall("Host", ()))
        if host not in self._own_hosts:
            raise Refusal(403, "forbidden", "The Host header doesn't name this server.")
        if request.method == "CONNECT" or not request.raw_path.startswith("/"):
            raise Refusal(400, "bad_request", "This server isn't a forward proxy. Request a path.")
        if direct:
            refuse_web_pages(request, host, self._allowed_origins)
            return
        route = request.match_info.route
        if (route in self._pages or route not in self._open) and owner_of(request) is not Owner.OWN:
            raise Refusal(403, "forbidden", "Only the user who runs Amberlight may use this.")
        if not (route in self._pages and is_navigation(request)):
            refuse_web_pages(request, host, self._allowed_origins)
        if route not in self._open and not self._has_key(request):
            raise Refusal(403, "forbidden", "This needs the key of server.json, as Authorization: Bearer KEY.")

    def _has_key(self, request: web.Request) -> bool:
        header = single_value(request.headers.getall("Authorization", ())) or ""
        scheme, _, key = header.partition(" ")
        if scheme.lower() != "bearer":
            return False
        key_shown = key.strip()
        if hmac.compare_digest(key_shown.encode("utf-8", "surrogateescape"), self.api_key.reveal().encode()):
            return True
        request[PAGE] = bool(key_shown) and self._page_key(key_shown)
        return request[PAGE]


def _has_left(request: web.Request) -> bool:
    """Whether the client has disconnected, so that writing to it fails."""
    return request.transport is None or request.transport.is_closing()


def own_hosts(port: int) -> tuple[str, ...]:
    """The only accepted values of Host. For port 80 clients leave the port out (RFC 9110 section 7.2)."""
    names = (HOST, "localhost", "[::1]")
    return tuple(f"{name}:{port}" for name in names) + (names if port == 80 else ())


def refuse_web_pages(
    request: web.Request, host: str, allowed: Callable[[web.Request], Collection[str]] = lambda request: ()
) -> None:
    """Raise `Refusal` for a request from another origin's page. `host` is the Host header, already checked.

    `same-site` is refused like `cross-site`: all ports of localhost are one site, and other ports aren't ours.
    `allowed` returns the foreign origins this request may come from.
    """
    origins = request.headers.getall("Origin", ())
    if origins and single_value(origins) in allowed(request):
        return
    if origins and single_value(origins) != f"http://{host}":
        raise Refusal(403, "forbidden", "Requests from web pages of other origins are refused.")
    if any(site not in ("same-origin", "none") for site in request.headers.getall("Sec-Fetch-Site", ())):
        raise Refusal(403, "forbidden", "Requests from web pages of other sites are refused.")


def is_navigation(request: web.Request) -> bool:
    """Whether a browser navigates its window to this address: from a file, a bookmark, or a link on any site.

    That is safe: no other page can see the result, and no credentials come with the request.
    """
    wanted = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    matches = all(single_value(request.headers.getall(name, ())) == value for name, value in wanted.items())
    return matches and request.method == "GET" and "Origin" not in request.headers


def single_value(values: Iterable[str]) -> str | None:
    """The value of a header that was sent exactly once, else None."""
    found = values if isinstance(values, list) else list(values)
    return found[0] if len(found) == 1 else None


def _connection_options() -> dict[str, Any]:
    """aiohttp's settings for each connection."""
    return {
        "access_log": None,
        "logger": _parser_log(),
        "keepalive_timeout": KEEPALIVE,
        "lingering_time": LINGER,
        "max_line_size": LINE_MAX,
        "max_field_size": LINE_MAX,
        "max_headers": HEADERS_MAX,
        "auto_decompress": False,  # the proxy forwards bodies as they are, and no small body expands in memory
    }


def _bind(port: int) -> socket.socket:
    listener = None
    try:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform == "win32":  # SO_REUSEADDR would let two programs share the port there
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # a restart needn't wait until connections in TIME_WAIT are gone
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((HOST, port))
        listener.listen(BACKLOG)  # not before this is the port ours: two bound sockets may share it until one listens
    except OSError as error:
        if listener is not None:
            listener.close()
        raise PortTaken(port, error) from None
    return listener


_HTTP_ERRORS = {
    404: ("not_found", "Nothing found at this address."),
    405: ("method_not_allowed", "This address doesn't support that method."),
    413: ("too_large", f"The body is larger than {BODY_MAX} bytes."),
}


def _http_error(error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals, in our shape of errors."""
    code, message = _HTTP_ERRORS.get(error.status, ("http_error", f"The request was refused: {error.reason}."))
    allow = error.headers.get("Allow")
    return error_reply(Refusal(error.status, code, message, {"Allow": allow} if allow else None))


class _RedactingFilter(logging.Filter):
    """The parser's errors quote the bytes they failed on, which may hold a key: only the kind of error is logged."""

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
        quiet.addFilter(_RedactingFilter())
    return quiet
