"""Maps request paths to upstream URLs and back. Pure text: nothing is sent from here.

`/w/NAME` is the workload's configured URL and `/w/NAME/sub/path` what lies below it. Scheme, host, port and path
prefix come from the configuration alone. A path that two programs might read differently (`..`, encoded dots, slashes,
backslashes or control characters, at any depth of encoding) is refused, whoever asks (SECURITY.md 30). The only paths
outside the prefix are those the upstream itself announced at its own origin, in the `endpoint` event of the legacy SSE
transport or in a redirect: they are remembered, and `/w/NAME/-/that/path` stands for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

ANNOUNCED = "/-"  # prefix of the local path that stands for an announced one
ANNOUNCED_MAX = 256  # paths remembered per workload; a server with a path per session announces a few a day

_TARGET = re.compile(r"((?:/k/([^/?]*))?/w/([a-z0-9][a-z0-9_-]{0,62}))(/[^?]*)?(?:\?(.*))?", re.S)
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")  # RFC 3986 section 3.3
_QUERY = re.compile(r"[\x21-\x22\x24-\x7e]*")  # laxer than RFC 3986, as programs are: only `#` and blanks stay out
# A dot segment, with or without parameters; an encoded dot, slash, backslash or control character; and bytes that no
# UTF-8 text holds (an overlong slash begins with one). Each also where the percent sign is encoded itself.
_AMBIGUOUS = re.compile(r"/\.{1,2}(?=[/;]|\Z)|%(?:25)*(?:2[ef]|5c|[01][0-9a-f]|7f|c[01]|f[5-9a-f])", re.I)
_PORTS = {"http": 80, "https": 443}


class RequestTarget(NamedTuple):
    """A parsed request target. `local_base` is how the client's paths to this workload begin; it may hold the key."""

    name: str
    rest: str
    query: str
    local_base: str
    key: str | None  # None: it is not in the path

    def __repr__(self) -> str:
        return f"RequestTarget({self.name!r})"


def parse(target: str) -> RequestTarget | None:
    """Parse a request target (path and query as received); None if it can't be for a workload."""
    found = _TARGET.fullmatch(target)
    if found is None:
        return None
    local_base, key, name, rest, query = found.groups()
    return RequestTarget(name, rest or "", query or "", local_base, key)


def unambiguous(rest: str, query: str) -> bool:
    """Whether every program reads this path and query alike."""
    return _PATH.fullmatch(rest) is not None and _AMBIGUOUS.search(rest) is None and _QUERY.fullmatch(query) is not None


@dataclass(frozen=True, slots=True)
class UpstreamUrl:
    """A workload's configured URL, in parts. `path` has no trailing slash."""

    origin: str  # scheme://host:port
    path: str
    query: str
    full_path: str  # the path as configured, at least "/"
    scheme: str
    host: str
    port: int
    authority: str  # the value of the Host header (RFC 9110 section 7.2)

    def url(self, rest: str, query: str) -> str:
        """The upstream URL of what lies at `rest` below the workload. Both queries are kept."""
        both = f"{self.query}&{query}" if self.query and query else self.query or query
        return self.origin + (self.path + rest if rest else self.full_path) + (f"?{both}" if both else "")

    def same_origin(self, url: str) -> bool:
        """Whether an absolute URL is of this origin (RFC 6454 section 5) and names no user."""
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
            there = (parts.scheme, parts.hostname, port)
        except ValueError:
            return False
        return there == (self.scheme, self.host, self.port) and "@" not in parts.netloc


@lru_cache(maxsize=1024)
def split_upstream(url: str) -> UpstreamUrl:
    """The parts of a configured URL, which `settings.url` has validated."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    port = parts.port or _PORTS[parts.scheme]
    full_path = parts.path or "/"
    host = parts.hostname or ""
    authority = f"[{host}]" if ":" in host else host
    if port != _PORTS[parts.scheme]:
        authority += f":{port}"
    return UpstreamUrl(origin, full_path.removesuffix("/"), parts.query, full_path, parts.scheme, host, port, authority)


class SseEndpoints:
    """The paths outside the prefix that upstreams announced, by workload; the oldest are dropped first."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, str], dict[str, None]] = {}  # by name and origin; an ordered set, oldest first

    def upstream_url(self, target: RequestTarget, upstream: UpstreamUrl) -> str:
        """The upstream URL that a request is for."""
        if target.rest.startswith(ANNOUNCED):
            known = self._paths.get((target.name, upstream.origin), {})
            path = target.rest.removeprefix(ANNOUNCED)
            if path in known:
                known[path] = known.pop(path)
                return upstream.origin + path + (f"?{target.query}" if target.query else "")
        return upstream.url(target.rest, target.query)

    def local_path(self, target: RequestTarget, upstream: UpstreamUrl, base_url: str, reference: str) -> str | None:
        """The local path for a reference the upstream gave at `base_url`; None if it is foreign or ambiguous."""
        try:
            url = urljoin(base_url, reference)
            parts = urlsplit(url)
        except ValueError:
            return None
        path = parts.path or "/"
        if not (upstream.same_origin(url) and unambiguous(path, parts.query) and _QUERY.fullmatch(parts.fragment)):
            return None
        inside = path == upstream.full_path or path.startswith(upstream.path + "/")
        if inside and not self._shadowed(target.name, upstream, path):
            rest = "" if path == upstream.full_path else path[len(upstream.path) :]
            query = _without(upstream.query, parts.query)
        else:
            self._remember(target.name, upstream, path)
            rest, query = ANNOUNCED + path, parts.query
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        return target.local_base + rest + (f"?{query}" if query else "") + fragment

    def _shadowed(self, name: str, upstream: UpstreamUrl, path: str) -> bool:
        """Whether the local path for it would be taken for an announced one."""
        rest = path[len(upstream.path) :]
        known = self._paths.get((name, upstream.origin), {})
        return rest.startswith(ANNOUNCED) and rest.removeprefix(ANNOUNCED) in known

    def _remember(self, name: str, upstream: UpstreamUrl, path: str) -> None:
        known = self._paths.setdefault((name, upstream.origin), {})
        known.pop(path, None)
        known[path] = None
        while len(known) > ANNOUNCED_MAX:
            del known[next(iter(known))]


def _without(configured: str, query: str) -> str:
    """Drop the configured query, because `UpstreamUrl.url` prepends it again."""
    if configured and (query == configured or query.startswith(f"{configured}&")):
        return query[len(configured) + 1 :]
    return query
