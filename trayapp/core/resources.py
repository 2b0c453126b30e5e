"""Comparison of URLs and protected resources (RFC 9728, RFC 8707): which resource covers which URL."""

from __future__ import annotations

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port (RFC 6454 section 4); None if the URL has no origin."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs have the same origin."""
    return origin(one) is not None and origin(one) == origin(other)


def covers(resource: str, url: str) -> bool:
    """Whether a token for `resource` is meant for `url`: same origin, and the path is equal or lies below.

    RFC 9728 section 3.3 demands the identical URL, but servers also name their origin or a common prefix of their paths.
    """
    if not same_origin(resource, url):
        return False
    outer, inner = urlsplit(resource), urlsplit(url)
    if outer.query and outer.query != inner.query:
        return False
    whole, within = outer.path.rstrip("/"), inner.path.rstrip("/")
    return within == whole or within.startswith(whole + "/")


def same_address(one: str, other: str) -> bool:
    """Whether two URLs without a query differ at most in one slash at the end, character by character."""
    return one.removesuffix("/") == other.removesuffix("/")
