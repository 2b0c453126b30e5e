"""How many connections the loopback server has at once: one more is answered 503 and closed before anything is read.

Each may have a second one behind it, to an upstream, and the files that a process may open are few (as a rule 1,024 on
Linux, 256 on macOS). Without a limit a client that leaks connections would take them all, and what fails first then is
not the client but the keyring and the database of everybody's logins.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from typing import cast

from aiohttp import web

from trayapp.server.replies import OWN_HEADERS

MOST = 512  # connections; a person's clients have a few dozen
SPARE = 128  # files for all the rest: logins, logs, the bus, and refreshing all workloads at once

_BODY = json.dumps({"error": "busy", "message": "There are too many connections at once; close some and try again."})
_FULL = "\r\n".join(
    (
        "HTTP/1.1 503 Service Unavailable",
        *(f"{name}: {value}" for name, value in OWN_HEADERS.items()),
        "Content-Type: application/json; charset=utf-8",
        f"Content-Length: {len(_BODY)}",
        "Retry-After: 1",
        "Connection: close",
        "",
        _BODY,
    )
).encode()

log = logging.getLogger(__name__)


def most() -> int:
    """Connections that there are files for."""
    if sys.platform == "win32":  # no such limit
        return MOST
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if files == resource.RLIM_INFINITY else max(1, min(MOST, (files - SPARE) // 2))


def door(server: web.Server, limit: int) -> Callable[[], asyncio.Protocol]:
    """What `loop.create_server` wants: the protocol for each new connection."""
    told = False

    def enter() -> asyncio.Protocol:
        nonlocal told
        if len(server.connections) < limit:
            told = False
            return server()
        if not told:
            log.warning("%d connections to the local server are open; further ones are refused for now", limit)
        told = True
        return _Full()

    return enter


class _Full(asyncio.Protocol):
    """Says so and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        there = cast(asyncio.Transport, transport)
        there.write(_FULL)
        there.close()
