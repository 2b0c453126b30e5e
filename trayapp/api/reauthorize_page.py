"""The sign-in page that an MCP client may open for a red workload: names workload and server, and has one button.

The address holds a secret that is good for one press of the button and for five minutes, and opens nothing else: no
dashboard, no key, no token. The sign-in begins only after the press, by the same user of this machine (SECURITY.md 10). One
address per workload in ten minutes, so that no client can nag.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from trayapp.core.markup import escape
from trayapp.core.model import Problem
from trayapp.core.sentences import CLOSE_TAB
from trayapp.server.peers import Owner, owner_of

LINK_LIFE = 300.0  # s
LINK_SPACING = 600.0  # s between two links for one workload
LINK_BYTES = 24
PATH = "/reauthorize/"

STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:17px/1.5 system-ui,sans-serif;max-width:32rem;margin:16vh auto 0;padding:0 1.5rem;"
    "background:#fff;color:#1d2125}"
    "h1{font-size:1.5rem;margin:0 0 .5rem}b.name{color:#b26a00}"
    "button,a.button{display:inline-block;font:inherit;padding:.55rem 1.2rem;border:0;border-radius:.5rem;background:#b26a00;"
    "color:#fff;cursor:pointer;text-decoration:none}button:focus-visible,a.button:focus-visible{outline:3px solid #3b82d0}"
    "small{color:#5b636b}"
    "@media(prefers-color-scheme:dark){body{background:#17191c;color:#e6e8ea}b.name{color:#f5a623}"
    "button,a.button{background:#f5a623;color:#17191c}small{color:#a3abb3}}"
)
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _Link(NamedTuple):
    """For one workload, until `expires` (s)."""

    name: str
    expires: float


class ReauthorizePage:
    """Makes the links and serves the page. Belongs to the server's loop.

    `now` in seconds, counting sleep; `address` is the server's URL, None while nothing listens; `server_of` names the host
    behind a workload, None if no sign-in is needed there; `begin` starts the sign-in and returns its page's address.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        address: Callable[[], str | None],
        server_of: Callable[[str], str | None],
        begin: Callable[[str], Awaitable[str | Problem]],
    ) -> None:
        self._now = now
        self._address = address
        self._server_of = server_of
        self._begin = begin
        self._links: dict[str, _Link] = {}  # by digest of the secret
        self._made: dict[str, float] = {}  # by workload: when its last link was made

    def link(self, name: str) -> str | None:
        """A new address for a person to open; None if there is nothing to sign in to, or the last one is too recent."""
        now, address = self._now(), self._address()
        if address is None or self._server_of(name) is None or now - self._made.get(name, float("-inf")) < LINK_SPACING:
            return None
        self._links = {digest: link for digest, link in self._links.items() if link.expires > now and link.name != name}
        self._made[name] = now
        secret = secrets.token_urlsafe(LINK_BYTES)
        self._links[_digest(secret)] = _Link(name, now + LINK_LIFE)
        return f"{address}{PATH}{secret}"

    def pages(self) -> list[web.RouteDef]:
        """Routes that a browser may navigate to."""
        return [web.get(PATH + "{secret}", self.show, allow_head=False)]

    def routes(self) -> list[web.RouteDef]:
        """Routes that check for themselves."""
        return [web.post(PATH + "{secret}", self.press)]

    async def show(self, request: web.Request) -> web.Response:
        """The page with its button."""
        link = self._find(request)
        server = None if link is None else self._server_of(link.name)
        if link is None:
            return _expired()
        if server is None:
            return _page(f"No sign-in needed for {link.name}", f"<p>{CLOSE_TAB}</p>")
        name, host = escape(link.name), escape(server)
        text = (
            f'<p>An MCP client on this computer wants to use <b class="name">{name}</b> ({host}). Sign in to continue.</p>'
            '<form method="post"><button>Sign in</button></form>'
            "<p><small>This opens the server's sign-in page. If you didn't expect this, close the tab.</small></p>"
        )
        return _page(f"Sign in to {link.name}?", text)

    async def press(self, request: web.Request) -> web.Response:
        """The button: the link is used up, and the sign-in begins."""
        if owner_of(request) is not Owner.OWN:
            return _page("Wrong user", "<p>This link works only for the user who runs Amberlight.</p>", 403)
        link = self._find(request)
        if link is None:
            return _expired()
        del self._links[_digest(request.match_info["secret"])]
        if self._server_of(link.name) is None:
            return _page(f"No sign-in needed for {link.name}", f"<p>{CLOSE_TAB}</p>")
        begun = await self._begin(link.name)
        if isinstance(begun, Problem):
            return _page("Couldn't start the sign-in", f"<p>{escape(begun.summary)}</p>", 502)
        # No redirect: browsers apply `form-action` to it, and the server's page is of another origin.
        url = escape(begun, quote=True)
        text = f'<p><a class="button" href="{url}">Continue to sign in</a></p>'
        return _page(f"Signing in to {link.name}", text, refresh=url)

    def _find(self, request: web.Request) -> _Link | None:
        link = self._links.get(_digest(request.match_info["secret"]))
        return link if link is not None and link.expires > self._now() else None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _expired() -> web.Response:
    text = "<p>Call the tool again, or choose Reauthorize in the Amberlight menu.</p>"
    return _page("This link has expired", text, 404)


def _page(title: str, text: str, status: int = 200, *, refresh: str = "") -> web.Response:
    """`text` and `refresh` are HTML; the title is text."""
    title = escape(title)
    onward = f'<meta http-equiv="refresh" content="0; url={refresh}">' if refresh else ""
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} · Amberlight</title>{onward}'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><h1>{title}</h1>{text}<p><b class="name">Amberlight</b></p></html>'
    )
    return web.Response(status=status, body=body.encode(), headers=HEADERS)
