"""Which headers pass the proxy, in each direction. Unknown ones always do, so `Mcp-*` headers of later revisions work.

To the upstream: no credentials, cookies or hop-by-hop headers, and nothing that speaks of a web page: who may ask is
decided here, and an upstream would only take our address for a foreign origin. To the client: nothing that tells a
browser something about an origin, because the origin is ours, and no challenge, because the login is ours too
(SECURITY.md 29, SECURITY.md 34).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

from multidict import CIMultiDict

from trayapp.core.activity import CLIENT_HEADER

Headers: TypeAlias = CIMultiDict[str]

HOP_BY_HOP = frozenset(  # RFC 9110 section 7.6.1, and what older programs send
    {"connection", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "proxy-connection"}
)
_NOT_TO_UPSTREAM = HOP_BY_HOP | {
    "host",
    "authorization",
    "dpop",
    "cookie",
    "cookie2",
    "expect",  # answered here; nothing would wait for the upstream's 100
    "http2-settings",
    "origin",
    "referer",
    CLIENT_HEADER.lower(),
}
_NOT_TO_CLIENT = HOP_BY_HOP | {
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "authentication-info",
    "dpop-nonce",
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
_NOT_TO_UPSTREAM_PREFIXES = (
    "proxy-",
    "sec-",
    "access-control-",
)  # Sec-Fetch-*, Sec-WebSocket-*; a preflight's own headers
_NOT_TO_CLIENT_PREFIXES = ("proxy-", "access-control-")

# A page or script of an upstream is served from our own origin, where the dashboard lives: sandboxed, a document gets
# an opaque origin of its own, and no browser guesses its type.
SANDBOX: Mapping[str, str] = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


class OddHeaderError(ValueError):
    """A header whose bytes are not UTF-8; it can't be forwarded as it came."""


def to_upstream(headers: Iterable[tuple[str, str]], connection: Iterable[str], host: str, bearer: str) -> Headers:
    """The request's headers for the upstream, with the token. Raises `OddHeaderError`.

    `connection` holds the values of the `Connection` headers, which name further hop-by-hop headers.
    """
    listed = hop_by_hop_names(connection) if connection else ()
    kept: Headers = CIMultiDict(Host=host)
    for name, value in headers:
        if _kept_from_upstream(name) or (listed and name.lower() in listed):
            continue
        if not value.isascii() and not _utf8(value):
            raise OddHeaderError
        kept.add(name, value)
    kept["Authorization"] = f"Bearer {bearer}"
    return kept


def to_client(headers: Iterable[tuple[str, str]], connection: Iterable[str]) -> Headers:
    """The response's headers for the client. One that isn't UTF-8 is dropped: its meaning can't be known."""
    listed = hop_by_hop_names(connection) if connection else ()
    kept: Headers = CIMultiDict()
    for name, value in headers:
        if _kept_from_client(name) or (listed and name.lower() in listed) or not (value.isascii() or _utf8(value)):
            continue
        kept.add(name, value)
    for name, value in SANDBOX.items():
        kept.add(name, value)
    return kept


@lru_cache(maxsize=256)
def _kept_from_upstream(name: str) -> bool:
    """Whether upstreams don't get to see it. Cached: clients send the same few names all the time."""
    lowered = name.lower()
    return lowered in _NOT_TO_UPSTREAM or lowered.startswith(_NOT_TO_UPSTREAM_PREFIXES)


@lru_cache(maxsize=256)
def _kept_from_client(name: str) -> bool:
    """Whether clients don't get to see it."""
    lowered = name.lower()
    return lowered in _NOT_TO_CLIENT or lowered.startswith(_NOT_TO_CLIENT_PREFIXES)


def hop_by_hop_names(connection: Iterable[str]) -> frozenset[str]:
    """The names in `Connection` headers, except those that frame or describe the message."""
    found = {word.strip().lower() for value in connection for word in value.split(",")}
    return frozenset(found - {"", "close", "content-length", "content-type", "content-encoding", "location"})


def _utf8(value: str) -> bool:
    """aiohttp decodes bytes that aren't UTF-8 to surrogates, which can't be encoded again."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
