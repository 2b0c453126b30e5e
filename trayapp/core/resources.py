"""Which protected resource an address belongs to (RFC 9728, RFC 8707): comparisons of addresses, nothing else."""

from __future__ import annotations

from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port (RFC 6454 section 4); None for what has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses are of one origin."""
    return origin(one) is not None and origin(one) == origin(other)


def covers(resource: str, url: str) -> bool:
    """Whether a token for `resource` is meant for `url`: the same origin, and the path is the same or lies below it.

    RFC 9728 section 3.3 wants the very same address; servers also name their origin, or what all their paths begin with.
    """
    if not same_origin(resource, url):
        return False
    outer, inner = urlsplit(resource), urlsplit(url)
    if outer.query and outer.query != inner.query:
        return False
    whole, within = outer.path.rstrip("/"), inner.path.rstrip("/")
    return within == whole or within.startswith(whole + "/")


def same_address(one: str, other: str) -> bool:
    """Whether two addresses differ at most in the slash of an empty path (RFC 3986 section 6.2.3)."""
    return one == other or (one.rstrip("/") == other.rstrip("/") and urlsplit(one).path in ("", "/"))
