"""How many connections the loopback server takes, and the answers to those it refuses before anything is read.

Each connection may need a second one, to an upstream, and a process may open few files (usually 1,024 on Linux, 256 on
macOS). Without a limit, a client that leaks connections would take them all, and the first to fail would not be that
client but the keyring and the database of all logins.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from trayapp.server.peers import Owner
from trayapp.server.replies import OWN_HEADERS

CONNECTIONS_MAX = 512  # a person's clients have a few dozen
RESERVED_FILES = 128  # for everything else: logins, logs, D-Bus, and refreshing all workloads at the same time


def available_connections() -> int:
    """How many connections the process has files for. Where files are few, half of them are kept for everything else."""
    if sys.platform == "win32":  # no such limit
        return CONNECTIONS_MAX
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(1, min(CONNECTIONS_MAX, (files - min(RESERVED_FILES, files // 2)) // 2))


def shares(limit: int) -> Mapping[Owner, int]:
    """How many of `limit` connections each kind of owner may have. Others can never take all of this user's."""
    return {Owner.OWN: limit, Owner.ALLOWED: max(1, limit // 4), Owner.UNKNOWN: max(1, limit // 16)}


def _response(status: str, error: str, message: str, headers: Mapping[str, str]) -> bytes:
    body = json.dumps({"error": error, "message": message})
    fields = {
        **OWN_HEADERS,
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items()), "", body]
    return "\r\n".join(lines).encode()


HTTP_1_1 = "This server supports HTTP/1.1 only."
BUSY = _response(
    "503 Service Unavailable",
    "busy",
    "Too many connections. Close some and try again.",
    {"Retry-After": "1"},
)
FOREIGN = _response(
    "403 Forbidden",
    "forbidden",
    "This server belongs to another user of this machine, who can admit you in the setting allowed_users.",
    {},
)
