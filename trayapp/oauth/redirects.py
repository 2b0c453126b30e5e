"""The one redirect that a token or registration request follows: 307 or 308, within one origin and one tenant.

Servers move an endpoint by a slash or a version and leave a redirect behind. Everything else is answered to the caller as
it came: another origin or tenant would get a token that isn't its own, a 301, 302 or 303 turns a POST into a GET, and a
second hop is no longer a move. The login stays bound to the endpoint it came from (RULES.md section 4, "Identity").
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import SplitResult, urljoin, urlsplit

from trayapp.core.outcomes import Answer, Reply
from trayapp.oauth.wire import CONNECT_LIMIT, URL_CHARACTERS, Request, Wire, url_problem

log = logging.getLogger(__name__)

KEEPING_METHOD = (307, 308)  # RFC 9110 sections 15.4.8 and 15.4.9: method and body stay
DISGUISED = re.compile(r"%2e|%2f|%5c|//|/\.{1,2}(?:/|$)", re.IGNORECASE)  # a path that may mean another one
DECODED = re.compile(r"[%;]")  # what some servers decode once more, or cut off, before they look at the dots
DEFAULT_PORTS = {"https": 443, "http": 80}


async def send_with_redirect(
    wire: Wire,
    request: Request,
    *,
    limit: float,
    connect: float = CONNECT_LIMIT,
    may_follow: Callable[[str], bool] = lambda target: True,
    retarget: Callable[[Request], Request] = lambda request: request,
) -> Reply:
    """Send a request, and once more where a redirect leads that may be followed, if `may_follow` agrees to its target.
    `retarget` signs a request for its new address. `limit` (s) holds for both together.

    A request that was answered with a redirect was not acted on, so the second one decides what has become of the token.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    reply = await wire.send(request, limit=limit, connect=connect)
    target, left = redirect_target(request.url, reply), limit - (clock() - began)
    if not target or left <= 0 or not may_follow(target):
        return reply
    log.info("%s redirects a request within its own address", urlsplit(request.url).hostname)
    second = await wire.send(retarget(replace(request, url=target)), limit=left, connect=connect)
    return replace(second, redirected_to=target) if isinstance(second, Answer) else second


def redirect_target(url: str, reply: Reply) -> str:
    """Where this reply to a request to `url` leads, if the request may follow; empty otherwise.

    It may if no one on the way can have sent the redirect, and if scheme, host, port, query and the folder of the path
    stay: the folder holds the tenant, if there is one.
    """
    if not isinstance(reply, Answer) or reply.status not in KEEPING_METHOD or not reply.verified:
        return ""
    location = reply.headers.get("location", "")
    if not URL_CHARACTERS.fullmatch(location):
        return ""
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        same = _origin(old) == _origin(new) and old.query == new.query
    except ValueError:  # an address such as https://[oops
        return ""
    if not same or url_problem(target) or DISGUISED.search(new.path) or new.path == old.path:
        return ""
    folder = _folder(old.path)
    return target if new.path.startswith(folder) and not DECODED.search(new.path, len(folder)) else ""


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port


def _folder(path: str) -> str:
    """Everything before the endpoint's own name, which may end in a slash."""
    return path.rstrip("/").rpartition("/")[0] + "/"
