"""Which headers pass the proxy. What nobody here knows passes in both directions: `Mcp-*` of later revisions will work.

Towards the upstream: no credential, cookie or trace of the local hop, and nothing that tells of a web page (who may ask
was decided here; an upstream would only take our address for a foreign one). Towards the client: nothing that speaks to
a browser about an origin, as the origin is ours, and no challenge, as the login is ours too (SECURITY 29, 34).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

from multidict import CIMultiDict

Headers: TypeAlias = CIMultiDict[str]

HOP_BY_HOP = frozenset(  # RFC 9110 section 7.6.1, and what older programs send
    {"connection", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "proxy-connection"}
)
_UP = HOP_BY_HOP | {
    "host",
    "authorization",
    "cookie",
    "cookie2",
    "expect",  # we answer it ourselves, and nobody would wait for the upstream's 100
    "http2-settings",
    "origin",
    "referer",
}
_DOWN = HOP_BY_HOP | {
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "authentication-info",
    "alt-svc",
    "strict-transport-security",
    "clear-site-data",
    "service-worker-allowed",
    "sourcemap",
    "nel",
    "report-to",
    "reporting-endpoints",
    "refresh",
}
_UP_PREFIXES = ("proxy-", "sec-", "access-control-")  # Sec-Fetch-*, Sec-WebSocket-*; a preflight's own headers
_DOWN_PREFIXES = ("proxy-", "access-control-")

# A page or script of an upstream is served from our own origin, where the dashboard lives: as a document it gets an
# origin of its own, and nobody guesses at its type.
GUARDS: Mapping[str, str] = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


class OddHeaderError(ValueError):
    """A header whose bytes are not UTF-8: it cannot be passed on as it came."""


def upward(headers: Iterable[tuple[str, str]], connection: Iterable[str], host: str, bearer: str) -> Headers:
    """The request's headers for the upstream, with the token. Raises `OddHeaderError`.

    `connection` holds the values of the `Connection` headers, which name further ones of this hop only.
    """
    hop = named(connection) if connection else ()
    kept: Headers = CIMultiDict(Host=host)
    for name, value in headers:
        if _ends_here(name) or name.lower() in hop:
            continue
        if not value.isascii() and not _utf8(value):
            raise OddHeaderError
        kept.add(name, value)
    kept["Authorization"] = f"Bearer {bearer}"
    return kept


def downward(headers: Iterable[tuple[str, str]], connection: Iterable[str]) -> Headers:
    """The answer's headers for the client. One that is not UTF-8 is left out: nobody could say what it was."""
    hop = named(connection) if connection else ()
    kept: Headers = CIMultiDict()
    for name, value in headers:
        if _stays_out(name) or name.lower() in hop or not (value.isascii() or _utf8(value)):
            continue
        kept.add(name, value)
    for name, value in GUARDS.items():
        kept.add(name, value)
    return kept


@lru_cache(maxsize=256)
def _ends_here(name: str) -> bool:
    """Whether no upstream gets to see it. Clients send the same few names all the time."""
    small = name.lower()
    return small in _UP or small.startswith(_UP_PREFIXES)


@lru_cache(maxsize=256)
def _stays_out(name: str) -> bool:
    """Whether no client gets to see it."""
    small = name.lower()
    return small in _DOWN or small.startswith(_DOWN_PREFIXES)


def named(connection: Iterable[str]) -> frozenset[str]:
    """The names in `Connection` headers, but for those that frame the message."""
    found = {word.strip().lower() for value in connection for word in value.split(",")}
    return frozenset(found - {"", "close", "content-length", "content-type", "content-encoding", "location"})


def _utf8(value: str) -> bool:
    """aiohttp decodes what is not UTF-8 with surrogates."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
