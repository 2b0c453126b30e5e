"""Connection limit of the loopback server: one connection too many gets a 503 and is closed before anything is read.

Each connection may need a second one, to an upstream, and a process may open few files (usually 1,024 on Linux, 256 on
macOS). Without a limit, a client that leaks connections would take them all, and the first to fail would not be that
client but the keyring and the database of all logins.
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

CONNECTIONS_MAX = 512  # a person's clients have a few dozen
RESERVED_FILES = 128  # for everything else: logins, logs, D-Bus, and refreshing all workloads at the same time

_BODY = json.dumps({"error": "busy", "message": "There are too many connections at once; close some and try again."})
_BUSY_RESPONSE = "\r\n".join(
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


def available_connections() -> int:
    """How many connections the process has files for."""
    if sys.platform == "win32":  # no such limit
        return CONNECTIONS_MAX
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        CONNECTIONS_MAX
        if files == resource.RLIM_INFINITY
        else max(1, min(CONNECTIONS_MAX, (files - RESERVED_FILES) // 2))
    )


def limited(server: web.Server, limit: int) -> Callable[[], asyncio.Protocol]:
    """A protocol factory for `loop.create_server` that refuses connections beyond `limit`. Logs once per episode."""
    logged = False

    def protocol() -> asyncio.Protocol:
        nonlocal logged
        if len(server.connections) < limit:
            logged = False
            return server()
        if not logged:
            log.warning("%d connections to the local server are open; further ones are refused for now", limit)
        logged = True
        return _Busy()

    return protocol


class _Busy(asyncio.Protocol):
    """Answers 503 without reading anything and closes the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        stream = cast(asyncio.Transport, transport)
        stream.write(_BUSY_RESPONSE)
        stream.close()
