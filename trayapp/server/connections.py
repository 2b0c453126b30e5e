"""The open connections of the loopback server: who may have one, how many, and for how long without a request.

Whose a connection is decides before a byte is read. Another user's gets a 403, an unknown owner's counts against a small
share of its own, and at the limit one without a whole request, or an idle one, makes room for a new one. So neither another
user nor a container can lock the owner out (SECURITY.md 25, SECURITY.md 32).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from trayapp.core.sentences import UNEXPECTED
from trayapp.server.connection_limit import BUSY, FOREIGN, HTTP_1_1, shares
from trayapp.server.peers import Owner, Peers
from trayapp.server.replies import Refusal, error_reply

HEADERS_LIMIT = 10.0  # s for the first request's line and headers; a client on this machine needs none
FIRST_SECOND = 1.0  # s in which a new client is about to send its request, and gives way last
LINGER = 0.5  # s in which a refused client may finish what it is sending, else it may never read why
LINGERING_MAX = 8  # refused connections that are open at the same time; further ones are cut off
LOG_SPACING = 60.0  # s between two lines that say that all connections are taken
LOGGED_USERS_MAX = 100

# What llhttp says of `HTTP/3.0`, of `HTTP/3`, and of the preface of an HTTP/2 connection.
_OTHER_VERSION = ("Invalid HTTP version", "Expected dot", "Pause on PRI/Upgrade")

log = logging.getLogger(__name__)


class Connection(web.RequestHandler):
    """aiohttp's protocol of one connection, which also says whose it is. `ended` is called when it is closed."""

    __slots__ = ("_ended", "opened_at", "owner")

    def __init__(
        self, server: web.Server, owner: Owner, ended: Callable[[Connection], None], options: dict[str, Any]
    ) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self.owner = owner
        self.opened_at = self._loop.time()
        self._ended = ended

    @property
    def has_asked(self) -> bool:
        """Whether the line and headers of a request have arrived."""
        return self._request_count > 0

    @property
    def idle_until(self) -> float | None:
        """When it would be closed because no further request came; None while one is served."""
        return self._next_keepalive_close_time if self._waiter is not None and not self._waiter.done() else None

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Only what was paused. aiohttp calls this twice a request, and would run the parser over nothing each time."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what is no HTTP/1.1, in our shape. aiohttp's own repeats the request, which may hold a key."""
        super().handle_error(request, status, exc, message)  # logs
        request._version = HttpVersion11
        if isinstance(exc, HttpProcessingError) and any(words in exc.message for words in _OTHER_VERSION):
            answer = error_reply(Refusal(505, "http_version", HTTP_1_1))
        elif status == 400:
            answer = error_reply(Refusal(400, "bad_request", "This isn't a valid HTTP/1.1 request."))
        else:
            answer = error_reply(Refusal(status, "internal", UNEXPECTED))
        answer.force_close()
        return answer

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop."""
        self._ended(self)
        super().connection_lost(exc)


class Connections:
    """Admits connections and counts them by owner. Belongs to the server's loop; `options` are aiohttp's."""

    def __init__(
        self, server: web.Server, peers: Peers, limit: int, options: dict[str, Any], headers_limit: float
    ) -> None:
        self._server = server
        self._peers = peers
        self._limit = limit
        self._shares = shares(limit)
        self._options = options
        self._headers_limit = headers_limit
        self._open: dict[Connection, None] = {}
        self._by_owner: Counter[Owner] = Counter()
        self._deadlines: dict[Connection, float] = {}  # for the first request, oldest first; some have come meanwhile
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._lingering: set[_Door] = set()
        self._full_logged: dict[Owner, float] = {}  # when the log last said that this share was full
        self._refused_users: set[int | None] = set()  # logged once

    def protocol(self) -> asyncio.Protocol:
        """A protocol for a connection that has just been accepted."""
        return _Door(self)

    def close(self) -> None:
        """Admit nobody and watch no deadline any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._peers.close()

    def opened(self, door: _Door, transport: asyncio.Transport) -> None:
        """Admit the connection, or answer and close it."""
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not own or self._closed:  # it is gone already, or we are
            transport.abort()
            return
        owner, user = self._peers.owner(peer[:2], own[:2])
        if owner is Owner.FOREIGN:
            self._log_foreign(user)
            self._refuse(door, transport, FOREIGN)
        elif self._has_room(owner) or self._make_room(owner):
            self._admit(transport, owner)
        else:
            self._log_full(owner)
            self._refuse(door, transport, BUSY)

    def _has_room(self, owner: Owner) -> bool:
        return len(self._open) < self._limit and self._by_owner[owner] < self._shares[owner]

    def _make_room(self, owner: Owner) -> bool:
        """Close the oldest connection that has sent no whole request, or else the one that has been idle for longest.

        Only this user's may displace another owner's. One that was opened just now gives way last.
        """
        inferior = [each for each in self._open if owner in (Owner.OWN, each.owner)]
        silent = next((each for each in inferior if not each.has_asked), None)  # the oldest comes first
        idle = min(
            (each for each in inferior if each.idle_until is not None and each.has_asked),
            default=None,
            key=lambda each: each.idle_until or 0.0,
        )
        is_new = silent is not None and asyncio.get_running_loop().time() - silent.opened_at < FIRST_SECOND
        dropped = (idle or silent) if is_new else (silent or idle)
        if dropped is None:
            return False
        self._drop(dropped)
        return self._has_room(owner)

    def _admit(self, transport: asyncio.Transport, owner: Owner) -> None:
        connection = Connection(self._server, owner, self._ended, self._options)
        self._open[connection] = None
        self._by_owner[owner] += 1
        transport.set_protocol(connection)
        connection.connection_made(transport)
        loop = asyncio.get_running_loop()
        self._deadlines[connection] = loop.time() + self._headers_limit
        if self._timer is None:
            self._timer = loop.call_later(self._headers_limit, self._drop_silent)

    def _refuse(self, door: _Door, transport: asyncio.Transport, response: bytes) -> None:
        transport.write(response)
        if len(self._lingering) < LINGERING_MAX:
            self._lingering.add(door)
            transport.write_eof()
            asyncio.get_running_loop().call_later(LINGER, transport.close)
        else:
            transport.close()

    def door_closed(self, door: _Door) -> None:
        """A refused connection has ended."""
        self._lingering.discard(door)

    def _ended(self, connection: Connection) -> None:
        self._deadlines.pop(connection, None)
        if connection in self._open:
            del self._open[connection]
            self._by_owner[connection.owner] -= 1

    def _drop(self, connection: Connection) -> None:
        self._ended(connection)  # its place is free now, and not when the loop gets round to it
        connection.force_close()

    def _drop_silent(self) -> None:
        """The oldest deadline has come."""
        loop = asyncio.get_running_loop()
        self._timer = None
        for connection, deadline in list(self._deadlines.items()):
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._drop_silent)
                return
            del self._deadlines[connection]
            if not connection.has_asked:
                self._drop(connection)

    def _log_full(self, owner: Owner) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._full_logged.get(owner, float("-inf")) < LOG_SPACING:
            return
        self._full_logged[owner] = now
        whose = " of unknown owners (containers)" if owner is Owner.UNKNOWN else ""
        count = len(self._open) if owner is Owner.OWN else self._by_owner[owner]
        log.warning("%d connections%s to the local server are open; refusing new ones", count, whose)

    def _log_foreign(self, user: int | None) -> None:
        if user not in self._refused_users and len(self._refused_users) < LOGGED_USERS_MAX:
            self._refused_users.add(user)
            log.warning("refused a connection from user %s; the setting allowed_users lists who may connect", user)


class _Door(asyncio.Protocol):
    """The protocol of a connection until its other end is known. A refused one never gets a parser."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.opened(self, cast(asyncio.Transport, transport))

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.door_closed(self)
