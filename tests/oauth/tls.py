"""TLS without certificates, for tests whose servers speak plain HTTP."""

from __future__ import annotations

import ssl

from trayapp.oauth.wire import Wire


def bare() -> ssl.SSLContext:
    """A TLS context that trusts nobody, because loading the system's certificates takes 30 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def bare_wire() -> Wire:
    """A wire that uses it."""
    return Wire("0", bare)
