"""One MCP message on its way through the steady MCP endpoint, and the responses of our own."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from trayapp.mcp import answers, messages
from trayapp.mcp.blocked import Blocked
from trayapp.mcp.messages import Json, Message
from trayapp.mcp.noted import NoteKey, Notes, key_of
from trayapp.mcp.revisions import CAPABILITIES_META, Revision
from trayapp.mcp.sessions import Session
from trayapp.proxy.bodies import Body
from trayapp.proxy.mapping import UpstreamUrl
from trayapp.proxy.steady_headers import JSON, SESSION
from trayapp.server.replies import OWN_HEADERS

MESSAGE = web.RequestKey("the JSON-RPC message of the request, once it has been read", Message)
SESSION_GONE = "This session has ended. Start a new one."


@dataclass(slots=True)
class Call:
    """`path` is what lies below the workload, with the query; `account` None: whose login it is cannot be read."""

    request: web.Request
    name: str
    path: str
    upstream: UpstreamUrl
    url: str
    message: Message
    body: Body
    revision: Revision
    session: Session | None
    account: str | None
    notes: Notes
    readable: bool = True  # False: the body is too long to be looked at, or malformed
    answer_due: bool = True  # False: only notifications and responses

    def known_notes(self) -> Notes | None:
        """The notes, if they are of this login."""
        return self.notes if self.notes.belongs_to(self.account) else None

    def capabilities(self) -> object:
        """The client's, as it declared them."""
        if self.session is not None:
            return self.session.capabilities
        if self.message.method == "initialize":
            return self.message.params.get("capabilities")
        return self.message.meta.get(CAPABILITIES_META)

    def key(self) -> NoteKey:
        """What its answer depends on."""
        return key_of(self.path, self.request.headers.items(), self.revision.version, self.capabilities())


def own_head(session: Session | None, content_type: str = "") -> dict[str, str]:
    """Headers of a response of ours."""
    head = dict(OWN_HEADERS) | ({"Content-Type": content_type} if content_type else {})
    return head if session is None else {**head, SESSION: session.id}


def reply(answer: Json | list[Json], status: int, session: Session | None) -> web.Response:
    """A JSON-RPC response of ours, or those of a batch."""
    return web.Response(status=status, body=messages.encode(answer), headers=own_head(session, JSON))


def answered(call: Call, answer: Json) -> web.Response:
    """A response to this message, with the HTTP status that its revision wants."""
    return reply(answer, answers.http_status(answer, call.revision), call.session)


def unreadable(call: Call, why: Blocked) -> web.Response:
    """For what can't be passed on and was not read: an error, because an answer may be awaited."""
    if call.body.whole is not None:
        return reply(messages.error(None, messages.PARSE_ERROR, "Parse error"), 400, call.session)
    refused = reply(messages.error(None, messages.INTERNAL_ERROR, why.text, why.facts()), 503, call.session)
    if why.retry_after is not None:
        refused.headers["Retry-After"] = str(why.retry_after)
    return refused


def accepted(session: Session | None) -> web.Response:
    """For notifications and responses."""
    return web.Response(status=202, headers=own_head(session))


def session_gone() -> web.Response:
    """404, with an id of null: only so every client sees that it is the session that is gone."""
    return reply(messages.error(None, messages.SESSION_NOT_FOUND, SESSION_GONE), 404, None)
