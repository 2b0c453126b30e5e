"""Whether a server can be reached now: a connection, and for https a certificate that is trusted here.

A program that restarts a workload while its sign-in server is out of reach may take that for a login that has ended.
A portal of a guest network doesn't have the certificate.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass

from trayapp.system import proxies

TRY_LIMIT = 3.0  # s for one connection
PAUSE = 0.5  # s between two tries


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is. `scheme` is http or https."""

    scheme: str
    host: str
    port: int


def unreachable(servers: Collection[Server], limit: float) -> str:
    """The host of the first one that can't be reached within `limit` s; empty if all can.

    One behind a proxy counts as reachable: whether it is, only a request would tell.
    """
    until = time.monotonic() + limit
    left = [each for each in servers if not proxies.configured(each.scheme, each.host, each.port)]
    while left:
        answers = _try_all(left, max(0.0, min(TRY_LIMIT, until - time.monotonic())))
        left = [each for each in left if each not in answers]
        if not left or time.monotonic() + PAUSE >= until:
            break
        time.sleep(PAUSE)
    return left[0].host if left else ""


def _try_all(servers: Collection[Server], limit: float) -> set[Server]:
    """Those that answer. A name look-up has no limit of its own, so each runs in a thread that may be left behind."""
    answers: set[Server] = set()
    threads = [
        threading.Thread(target=_try, args=(each, limit, answers), name=f"reach {each.host}", daemon=True)
        for each in servers
    ]
    for thread in threads:
        thread.start()
    until = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return answers.copy()


def _try(server: Server, limit: float, answers: set[Server]) -> None:
    try:
        with socket.create_connection((server.host, server.port), limit) as connection:
            if server.scheme == "https":
                with _context().wrap_socket(connection, server_hostname=server.host):
                    pass
        answers.add(server)
    except (OSError, ValueError):  # a name that is none is a ValueError
        return


def _context() -> ssl.SSLContext:
    from trayapp.oauth.system_context import system_context  # loaded when it is needed

    return system_context()
