"""Which upstream address a path of ours stands for, and back again: texts only, nothing is sent from here.

`/w/NAME` is the workload's configured URL and `/w/NAME/sub/path` what lies below it; scheme, host, port and path prefix
are the configuration's alone. A path that two programs might read differently (`..`, encoded dots, slashes, backslashes
or control characters, in any depth of encoding) is refused, whoever asks. The one way out of the prefix is a path that
the upstream itself has announced, in the `endpoint` event of the legacy SSE transport or in a redirect to its own
origin: it is remembered, and `/w/NAME/-/that/path` stands for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

ANNOUNCED = "/-"  # begins what stands for an announced path
ANNOUNCED_MAX = 256  # paths remembered for one workload; a server with a path per session announces a few a day

_TARGET = re.compile(r"((?:/k/([^/?]*))?/w/([a-z0-9][a-z0-9_-]{0,62}))(/[^?]*)?(?:\?(.*))?", re.S)
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")  # RFC 3986 section 3.3
_QUERY = re.compile(r"[\x21-\x22\x24-\x7e]*")  # stricter programs than RFC 3986 are rare: only `#` and blanks stay out
# A dot segment, also with parameters; an encoded dot, slash, backslash or control character, and bytes that no UTF-8
# text has (an overlong slash begins with one), all of them also when the percent sign is itself encoded.
_TRICK = re.compile(r"/\.{1,2}(?=[/;]|\Z)|%(?:25)*(?:2[ef]|5c|[01][0-9a-f]|7f|c[01]|f[5-9a-f])", re.I)
_PORTS = {"http": 80, "https": 443}


class RequestTarget(NamedTuple):
    """What a request's target says. `ours` is how the client's paths to this workload begin; it may hold the key."""

    name: str
    rest: str
    query: str
    ours: str
    key: str | None  # None: it is not in the path

    def __repr__(self) -> str:
        return f"Asked({self.name!r})"


def parse(target: str) -> RequestTarget | None:
    """A request target (path and query as they came); None for what no workload can stand behind."""
    found = _TARGET.fullmatch(target)
    if found is None:
        return None
    ours, key, name, rest, query = found.groups()
    return RequestTarget(name, rest or "", query or "", ours, key)


def plain(rest: str, query: str) -> bool:
    """Whether everybody reads this path and query alike."""
    return _PATH.fullmatch(rest) is not None and _TRICK.search(rest) is None and _QUERY.fullmatch(query) is not None


@dataclass(frozen=True, slots=True)
class UpstreamUrl:
    """A workload's configured URL in its parts. `path` has no slash at its end."""

    origin: str  # scheme://host:port
    path: str
    query: str
    whole: str  # the path as it is configured, at least "/"
    scheme: str
    host: str
    port: int
    authority: str  # what the Host header says (RFC 9110 section 7.2)

    def url(self, rest: str, query: str) -> str:
        """The upstream address of what lies at `rest` below the workload; both queries are kept."""
        both = f"{self.query}&{query}" if self.query and query else self.query or query
        return self.origin + (self.path + rest if rest else self.whole) + (f"?{both}" if both else "")

    def same_origin(self, url: str) -> bool:
        """Whether an absolute address lies at this origin (RFC 6454 section 5), and names no user."""
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
            there = (parts.scheme, parts.hostname, port)
        except ValueError:
            return False
        return there == (self.scheme, self.host, self.port) and "@" not in parts.netloc


@lru_cache(maxsize=1024)
def place(url: str) -> UpstreamUrl:
    """The parts of a configured URL, which `settings.url` has checked."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    port = parts.port or _PORTS[parts.scheme]
    whole = parts.path or "/"
    host = parts.hostname or ""
    authority = f"[{host}]" if ":" in host else host
    if port != _PORTS[parts.scheme]:
        authority += f":{port}"
    return UpstreamUrl(origin, whole.removesuffix("/"), parts.query, whole, parts.scheme, host, port, authority)


class SseEndpoints:
    """The paths outside of the prefix that upstreams announced, by workload; the oldest go first."""

    def __init__(self) -> None:
        self._paths: dict[tuple[str, str], dict[str, None]] = {}  # by name and configured origin; insertion is age

    def upstream(self, asked: RequestTarget, where: UpstreamUrl) -> str:
        """The upstream address that a request is for."""
        if asked.rest.startswith(ANNOUNCED):
            known = self._paths.get((asked.name, where.origin), {})
            path = asked.rest.removeprefix(ANNOUNCED)
            if path in known:
                known[path] = known.pop(path)
                return where.origin + path + (f"?{asked.query}" if asked.query else "")
        return where.url(asked.rest, asked.query)

    def local(self, asked: RequestTarget, where: UpstreamUrl, at: str, reference: str) -> str | None:
        """Our path for an address that the upstream named at `at`; None if it is not its own, or is a trick."""
        try:
            url = urljoin(at, reference)
            parts = urlsplit(url)
        except ValueError:
            return None
        path = parts.path or "/"
        if not (where.same_origin(url) and plain(path, parts.query) and _QUERY.fullmatch(parts.fragment)):
            return None
        inside = path == where.whole or path.startswith(where.path + "/")
        if inside and not self._hidden(asked.name, where, path):
            rest = "" if path == where.whole else path[len(where.path) :]
            query = _without(where.query, parts.query)
        else:
            self._remember(asked.name, where, path)
            rest, query = ANNOUNCED + path, parts.query
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        return asked.ours + rest + (f"?{query}" if query else "") + fragment

    def _hidden(self, name: str, where: UpstreamUrl, path: str) -> bool:
        """Whether our path for it would stand for an announced one."""
        rest = path[len(where.path) :]
        known = self._paths.get((name, where.origin), {})
        return rest.startswith(ANNOUNCED) and rest.removeprefix(ANNOUNCED) in known

    def _remember(self, name: str, where: UpstreamUrl, path: str) -> None:
        known = self._paths.setdefault((name, where.origin), {})
        known.pop(path, None)
        known[path] = None
        while len(known) > ANNOUNCED_MAX:
            del known[next(iter(known))]


def _without(configured: str, query: str) -> str:
    """`UpstreamUrl.url` puts the configured query in front again."""
    if configured and (query == configured or query.startswith(f"{configured}&")):
        return query[len(configured) + 1 :]
    return query
