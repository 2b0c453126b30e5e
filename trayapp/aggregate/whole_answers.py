"""Answers that come before anything else are sent as JSON, not as an event stream of one event.

The SDK's session-based transport begins an event stream for every request, and its clients read no event above 1 MiB; a
JSON body has no such limit. What is not answered before the stream's first comment (15 s), or is preceded by a
notification, stays an event stream. For clients of revision 2026-07-28 the SDK does the same.
"""

from __future__ import annotations

import re

from starlette.types import Message, Send

_FRAME = (b"event: message\r\ndata: ", b"\r\n\r\n")
_ANSWER = re.compile(rb'\{"jsonrpc":"2\.0","id":(?:-?\d+|"(?:[^"\\]|\\.)*"),"(?:result|error)":')
_OF_STREAMS = (b"content-type", b"cache-control", b"connection", b"x-accel-buffering", b"content-length")


class WholeAnswer:
    """The `send` of one request: the head is held back until the first event."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None
        self._done = False

    async def __call__(self, message: Message) -> None:
        if self._done:
            return
        if message["type"] == "http.response.start" and _is_stream(message):
            self._head = message
            return
        head, self._head = self._head, None
        answer = None if head is None else _answer(message.get("body", b""))
        if head is not None and answer is None:
            await self._send(head)
        if head is None or answer is None:
            await self._send(message)
            return
        self._done = True
        kept = [(name, value) for name, value in head["headers"] if name.lower() not in _OF_STREAMS]
        length = (b"content-length", str(len(answer)).encode())
        await self._send({**head, "headers": [*kept, (b"content-type", b"application/json"), length]})
        await self._send({"type": "http.response.body", "body": answer})


def _is_stream(head: Message) -> bool:
    types = [value for name, value in head["headers"] if name.lower() == b"content-type"]
    return head["status"] == 200 and any(each.startswith(b"text/event-stream") for each in types)


def _answer(chunk: bytes) -> bytes | None:
    """The JSON of a chunk that is one event with a response in it; None for anything else."""
    begin, end = _FRAME
    if not (chunk.startswith(begin) and chunk.endswith(end)):
        return None
    data = bytes(chunk[len(begin) : -len(end)])
    return data if _ANSWER.match(data) and b"\n" not in data and b"\r" not in data else None
