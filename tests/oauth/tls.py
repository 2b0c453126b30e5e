"""TLS for tests: without certificates, where servers speak plain HTTP, or trusting an authority of their own."""

from __future__ import annotations

import ssl

import trustme

from trayapp.oauth.wire import Wire


def bare() -> ssl.SSLContext:
    """A TLS context that trusts nobody, because loading the system's certificates takes 30 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def bare_wire() -> Wire:
    """A wire that uses it."""
    return Wire("0", bare)


def trusting(authority: trustme.CA) -> Wire:
    """A wire that trusts this authority alone."""

    def context() -> ssl.SSLContext:
        made = bare()
        authority.configure_trust(made)
        return made

    return Wire("0", context)
