"""Request headers of the steady MCP endpoint: the client's, with the upstream's session id in the place of ours."""

from __future__ import annotations

from aiohttp import web

from trayapp.core.model import AccessToken
from trayapp.mcp.sessions import Session
from trayapp.proxy.forwarding import request_headers
from trayapp.proxy.headers import Headers
from trayapp.proxy.mapping import UpstreamUrl

SESSION = "Mcp-Session-Id"
VERSION = "MCP-Protocol-Version"
METHOD = "Mcp-Method"
JSON = "application/json"
SSE = "text/event-stream"


class SessionHeaders:
    """The client's headers, with the upstream's session id in the place of ours. `plain`: the answer is read here."""

    def __init__(self, request: web.Request, upstream: UpstreamUrl, session: Session | None, *, plain: bool) -> None:
        self._request = request
        self._upstream = upstream
        self._session = session
        self._plain = plain

    def __call__(self, token: AccessToken) -> Headers:
        head = request_headers(self._request, self._upstream, token)
        if self._session is not None and self._session.upstream is not None:
            head[SESSION] = self._session.upstream
        else:
            head.popall(SESSION, None)
        if self._plain:
            head["Accept-Encoding"] = "identity"
        return head


class OwnHeaders(SessionHeaders):
    """For messages of our own: the client's headers but for what speaks of its message."""

    def __init__(self, request: web.Request, upstream: UpstreamUrl, session: Session | None) -> None:
        super().__init__(request, upstream, session, plain=True)

    def __call__(self, token: AccessToken) -> Headers:
        head = super().__call__(token)
        for name in (
            METHOD,
            "Mcp-Name",
            "Last-Event-ID",
            VERSION,
            "Content-Length",
            "Content-Encoding",
            "Transfer-Encoding",
        ):
            head.popall(name, None)
        head["Accept"] = f"{JSON}, {SSE}"
        head["Content-Type"] = JSON
        if self._session is not None and self._session.revision.version >= "2025-06-18":
            head[VERSION] = self._session.revision.version
        return head


class StreamHeaders(SessionHeaders):
    """For the upstream's stream: where the last one ended, if the same session goes on."""

    def __init__(
        self, request: web.Request, upstream: UpstreamUrl, session: Session | None, last_event_id: str | None
    ) -> None:
        super().__init__(request, upstream, session, plain=True)
        self._last_event_id = last_event_id

    def __call__(self, token: AccessToken) -> Headers:
        head = super().__call__(token)
        head.popall("Last-Event-ID", None)
        if self._last_event_id is not None:
            head["Last-Event-ID"] = self._last_event_id
        return head
