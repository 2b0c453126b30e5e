"""Serves the dashboard's files, and the route by which its pages authenticate. The files need no key.

Nothing in them is secret. They are looked up by exact name in a fixed list, so no spelling of a path leads anywhere
else, and read on request rather than cached: a page that nobody opens costs nothing. The Content-Security-Policy
allows the page our own files and API and nothing else: no inline script, no frame around it, no form, no text that
becomes HTML by accident.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web

from trayapp.api.pagekeys import PageKeys
from trayapp.server.peers import Owner, owner_of
from trayapp.server.replies import Refusal, json_reply, read_object

WEB = Path(__file__).resolve().parent.parent / "web"
INDEX = "index.html"
TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-cache",  # cached but revalidated each time, so that an update is seen immediately
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9]+)+")


class Pages:
    """The files of one directory, as it was when this was created."""

    def __init__(self, directory: Path = WEB) -> None:
        self._files = {path.name: path for path in _servable(directory)}

    def routes(self) -> list[web.RouteDef]:
        """For `LoopbackServer(pages=…)`."""
        made: list[web.RouteDef] = []
        for path, handler in (("/", self.index), ("/web/{file}", self.file)):
            made += [web.get(path, handler, allow_head=False), web.head(path, handler)]
        return made

    async def index(self, request: web.Request) -> web.Response:
        """The page itself."""
        return self._reply(request, INDEX)

    async def file(self, request: web.Request) -> web.Response:
        """A file that the page loads."""
        return self._reply(request, request.match_info["file"])

    def _reply(self, request: web.Request, name: str) -> web.Response:
        path = self._files.get(name)
        try:
            content = path.read_bytes() if path is not None else None  # a few KB, in the system's file cache
        except OSError:
            content = None
        if path is None or content is None:
            raise Refusal(404, "not_found", "There is nothing at this address.")
        tag = hashlib.sha256(content).hexdigest()[:32]
        headers = {**HEADERS, "ETag": f'"{tag}"'}
        if any(known.value in (tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        return web.Response(body=content, headers={**headers, "Content-Type": TYPES[path.suffix]})


def _servable(directory: Path) -> list[Path]:
    """Regular files with plain names and known types; no symbolic links."""
    if not directory.is_dir():
        return []
    found = (path for path in directory.iterdir() if _NAME.fullmatch(path.name) and path.suffix in TYPES)
    return [path for path in found if path.is_file() and not path.is_symlink()]


class PageSessions:
    """`POST /api/v1beta/session`: a page trades its one-time link for its key."""

    def __init__(self, keys: PageKeys) -> None:
        self._keys = keys

    async def session(self, request: web.Request) -> web.Response:
        """The only response that holds a page key. Requires an Origin header, which only a page sends."""
        if len(request.headers.getall("Origin", ())) != 1:  # a foreign one has been refused already
            raise Refusal(403, "forbidden", "Only Amberlight's own page may ask for this.")
        once = (await read_object(request, {"once": str})).get("once")
        if not isinstance(once, str) or not once:
            raise Refusal(400, "bad_request", "The field once has to hold what stands behind #once= in the link.")
        if owner_of(request) is not Owner.OWN:
            raise Refusal(403, "forbidden", "This link was made for another user of this machine.")
        key = self._keys.trade(once)
        if key is None:
            sentence = "This link was used already, or is older than a minute: open the dashboard again."
            raise Refusal(403, "link_used", sentence)
        return json_reply({"key": key.reveal()})
