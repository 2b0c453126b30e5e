"""Minimal browser: opens a page and follows its redirects, for sign-ins without a person."""

from __future__ import annotations

import ssl
import urllib.request

AGENT = "Mozilla/5.0 (compatible; oauthtest)"
LIMIT = 10.0  # s for one request


def browse(url: str, *, tls: ssl.SSLContext | None = None) -> int:
    """Open a URL, follow its redirects to the client's loopback listener, and return the last status.

    With `consent="auto"` this is a whole sign-in. It blocks, so a coroutine calls it by `asyncio.to_thread`. Proxies
    are not used. Raises `urllib.error.HTTPError` for 4xx and 5xx, `OSError` where nobody listens.
    """
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if tls is not None:
        handlers.append(urllib.request.HTTPSHandler(context=tls))
    request = urllib.request.Request(url, headers={"User-Agent": AGENT})
    with urllib.request.build_opener(*handlers).open(request, timeout=LIMIT) as answer:
        answer.read()
        return int(answer.status)
