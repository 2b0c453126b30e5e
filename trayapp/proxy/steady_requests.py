"""Reading requests for the steady endpoint: who is an MCP client, which revision it speaks, what needs a closer look."""

from __future__ import annotations

import re

from aiohttp import web

from trayapp.mcp import messages
from trayapp.mcp.messages import Message, NotJsonRpcError
from trayapp.mcp.revisions import BY_VERSION, UNNAMED, VERSION_META, Revision, negotiated, of_header
from trayapp.mcp.sessions import Session
from trayapp.proxy.bodies import Body
from trayapp.proxy.steady_headers import JSON, METHOD, SESSION, SSE, VERSION


def looks_like_mcp(request: web.Request, *, always: bool = False) -> bool:
    """By method and headers: a plain caller's `*/*` is not enough."""
    head = request.headers
    accept = head.get("Accept", "")
    match request.method:
        case "POST":
            marked = SESSION in head or VERSION in head or METHOD in head
            return always or marked or (JSON in accept and SSE in accept)
        case "GET":
            return SSE in accept
        case "DELETE":
            return SESSION in head
    return False


# A message that begins with its method, or with its version and id: every client's serializer does one or the other.
_CALL = re.compile(rb'\{(?:\s*"(?:jsonrpc|id)"\s*:\s*(?:"[^"\\]*"|\d+)\s*,){0,2}\s*"method"\s*:\s*"tools/call"').match


def is_plain_call(body: bytes | None) -> bool:
    """Whether a body is nothing but a `tools/call`, as far as a glance tells; if in doubt it is read.

    A second `method`, or one written in escapes, would be taken for the message's own by some readers.
    """
    return (
        body is not None
        and _CALL(body) is not None
        and body.count(b'"method"') == 1
        and b"\\u00" not in body
        and b"inputResponses" not in body
    )


# The name of the tool, where no argument can be taken for it: before it there are only the message's own keys, none of
# them an object, and `_meta`. A quote inside a string is escaped, and so no string passes for a key.
_TOOL = re.compile(
    rb'\{[^{}]*"params"\s*:\s*\{'
    rb'(?:\s*"_meta"\s*:\s*\{[^{}]*\}\s*,)?\s*"name"\s*:\s*"([^"\\]{1,200})"'
).match
READ_MAX = 16 * 1024  # bytes of a body that is parsed for the sake of the tool's name


def called_tool(body: bytes | None) -> str:
    """The tool that a plain call names; "?" if that would cost too much."""
    if body is None:
        return "?"
    if (found := _TOOL(body)) is not None:
        return found[1].decode("utf-8", "replace")
    name = first_message(Body(whole=body)).params.get("name") if len(body) <= READ_MAX else None
    return name if isinstance(name, str) and name else "?"


def first_message(body: Body) -> Message:
    """The message of a body that looked like a call; what is none has no method."""
    try:
        parsed = messages.parse(body.whole or b"")
    except NotJsonRpcError:
        return Message()
    return parsed if isinstance(parsed, Message) else Message()


def revision_of(request: web.Request, message: Message, session: Session | None) -> Revision:
    """The revision of a request; without a version in it one that is not in the table."""
    version = message.meta.get(VERSION_META)
    if isinstance(version, str):
        return BY_VERSION.get(version) or Revision("", modern=True)
    if message.method == "initialize":
        return negotiated(message.params.get("protocolVersion"))
    if session is not None:
        return session.revision
    return of_header(request.headers.get(VERSION)) or UNNAMED
