"""The TLS context of OAuth requests, and the loading of httpcore2, which makes it."""

from __future__ import annotations

import ssl

import httpx2

from trayapp.system.stand_ins import StandIn, later, standing_in

BLOCKING = (  # of httpcore2
    "ConnectionInterface",
    "ConnectionPool",
    "HTTP2Connection",
    "HTTP11Connection",
    "HTTPConnection",
    "HTTPProxy",
    "SOCKSProxy",
)


def system_context() -> ssl.SSLContext:
    """A context with the certificates that the system, or SSL_CERT_FILE, trusts. It may take 100 ms.

    The first one loads httpcore2, here without its blocking half: 0.3 MB.
    """
    blocking = {name: later("httpcore2._sync", name) for name in BLOCKING}
    with standing_in(
        StandIn("httpcore2._sync", **blocking),
        StandIn("httpcore2._sync.connection_pool", **blocking),
        StandIn("importlib.metadata", version=lambda name: ""),  # 0.6 MB, for a number that nobody asks for
    ):
        import httpcore2  # noqa: F401 - loaded here, for what follows and for all requests
    return httpx2.create_ssl_context()
