"""Client side of the legacy HTTP+SSE transport (MCP 2024-11-05): one stream for all answers, a POST for each message.

In place of the SDK's own, which ends the whole session, with everybody's calls in flight, when one POST is refused or one
event is longer than 1 MiB. Here a refused POST is the answer to its own request and to nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import anyio
import httpx2
import mcp_types as types
from mcp.shared._context_streams import ContextReceiveStream, ContextSendStream, create_context_streams
from mcp.shared.message import SessionMessage

NOT_ACCEPTED = "The message wasn't accepted"
NO_ANSWER = "SSE stream: the message couldn't be posted"


@contextlib.asynccontextmanager
async def legacy_sse_client(http: httpx2.AsyncClient, url: str, event_max: int) -> AsyncIterator[tuple[Any, Any]]:
    """The streams for a `ClientSession`. Raises `httpx2.HTTPError` or `ValueError` if no such transport is there."""
    read_writer, reader = create_context_streams[SessionMessage | Exception](0)
    writer, write_reader = create_context_streams[SessionMessage](0)
    async with http.stream("GET", url, headers={"Accept": "text/event-stream", "Cache-Control": "no-store"}) as answer:
        answer.raise_for_status()
        events = aiter(httpx2.EventSource(answer, max_event_size=event_max))
        endpoint = await _endpoint(events, url)
        async with read_writer, reader, writer, write_reader, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read(events, read_writer), name="read a legacy event stream")
            posting = tasks.create_task(_post_all(http, endpoint, write_reader, read_writer), name="post messages")
            try:
                yield reader, writer
            finally:
                reading.cancel()
                posting.cancel()


async def _endpoint(events: AsyncIterator[Any], url: str) -> str:
    """Where messages are posted; the first event says it."""
    async for event in events:
        if event.event != "endpoint":
            continue
        endpoint: str = urljoin(url, event.data)
        if urlsplit(endpoint)[:2] != urlsplit(url)[:2]:
            raise ValueError("the endpoint for messages is elsewhere")
        return endpoint
    raise ValueError("the stream named no endpoint")


async def _read(events: AsyncIterator[Any], read_writer: ContextSendStream[SessionMessage | Exception]) -> None:
    """Pass on what arrives. The end of the stream ends the session."""
    async with read_writer:
        with contextlib.suppress(httpx2.HTTPError, httpx2.SSEError, anyio.BrokenResourceError):
            async for event in events:
                if event.event == "message" and event.data:
                    with contextlib.suppress(ValueError):  # pydantic's ValidationError is one: not a message
                        message = types.jsonrpc_message_adapter.validate_json(event.data, by_name=False)
                        await read_writer.send(SessionMessage(message))


async def _post_all(
    http: httpx2.AsyncClient,
    endpoint: str,
    write_reader: ContextReceiveStream[SessionMessage],
    read_writer: ContextSendStream[SessionMessage | Exception],
) -> None:
    """Post what the session writes, in the context of whoever wrote it. A slow POST holds up no other request."""
    async with asyncio.TaskGroup() as posts:
        async for each in write_reader:
            context = write_reader.last_context or contextvars.copy_context()
            task = posts.create_task(_post(http, endpoint, each, read_writer), name="post", context=context)
            if not isinstance(each.message, types.JSONRPCRequest):
                await task


async def _post(
    http: httpx2.AsyncClient,
    endpoint: str,
    each: SessionMessage,
    read_writer: ContextSendStream[SessionMessage | Exception],
) -> None:
    message = each.message
    try:
        body = message.model_dump(by_alias=True, mode="json", exclude_unset=True)
        answer = await http.post(endpoint, json=body)
        error = None if answer.is_success else (types.INTERNAL_ERROR, NOT_ACCEPTED)
    except httpx2.HTTPError:
        error = (types.CONNECTION_CLOSED, NO_ANSWER)
    if error is not None and isinstance(message, types.JSONRPCRequest):
        code, text = error
        said = types.JSONRPCError(jsonrpc="2.0", id=message.id, error=types.ErrorData(code=code, message=text))
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await read_writer.send(SessionMessage(said))
