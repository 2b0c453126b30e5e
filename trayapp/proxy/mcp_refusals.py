"""Refusals as JSON-RPC errors: MCP SDKs show the message of one, and at most the status of any other error body.

The HTTP status stays the refusal's own. Some SDKs ignore an error without the id of their request, so the id is read
from the body if that is short and already sent, whoever the caller is and whatever the reason for the refusal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from trayapp.mcp import messages
from trayapp.mcp.messages import Message, NotJsonRpcError
from trayapp.proxy.steady_call import MESSAGE
from trayapp.proxy.steady_requests import looks_like_mcp
from trayapp.server.replies import Refusal, json_reply

BODY_MAX = 64 * 1024  # bytes that are read for the sake of the id
READ_LIMIT = 1.0  # s for them; the client is on this machine and has sent them with the headers

MCP = web.RequestKey("the `mcp` setting of the workload, once the client was admitted", str)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def in_jsonrpc(handler: Handler) -> Handler:
    """The handler, with its refusals of MCP requests as JSON-RPC errors. Others are left to the server."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            setting = request.get(MCP, "auto")
            if setting == "off" or not (MESSAGE in request or looks_like_mcp(request, always=setting == "on")):
                raise
            return await _reply(request, refusal)

    return handle


async def _reply(request: web.Request, refusal: Refusal) -> web.Response:
    message = request.get(MESSAGE) or await _message_of(request)
    code = messages.INVALID_REQUEST if refusal.status < 500 else messages.INTERNAL_ERROR
    body = messages.error(message, code, refusal.message, {"error": refusal.code})
    return json_reply(body, refusal.status, refusal.headers)


async def _message_of(request: web.Request) -> Message | None:
    """The request's message; None if its body is long, late, in doubt, or already spent."""
    length = request.content_length
    if request.method != hdrs.METH_POST or length is None or length > BODY_MAX or hdrs.EXPECT in request.headers:
        return None
    try:
        async with asyncio.timeout(READ_LIMIT):
            found = messages.parse(await request.read())
    except (NotJsonRpcError, TimeoutError, OSError, web.RequestPayloadError):
        return None
    return None if isinstance(found, tuple) else found
