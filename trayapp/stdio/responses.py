"""Responses of the app's endpoint: JSON, an event stream, or an HTTP error, as JSON-RPC messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from trayapp.stdio.http import Exchange, LostError
from trayapp.stdio.incoming import Id, Json
from trayapp.stdio.sse import Events, TooLongError

SSE = "text/event-stream"
METHOD_NOT_FOUND, INTERNAL_ERROR, UNSUPPORTED_VERSION = -32601, -32603, -32022
NOT_STREAMABLE = frozenset({400, 404, 405, 406, 415, 501})  # what servers of the older transport answer to a POST
TEXT_MAX = 300  # characters of an error that is no JSON-RPC


class RefusedError(Exception):
    """The request was answered with an error. `said` is the whole JSON-RPC response."""

    def __init__(self, said: Json) -> None:
        super().__init__("refused")
        self.said = said


class NotStreamableError(RefusedError):
    """Perhaps the server speaks the older transport."""


def messages_in(exchange: Exchange, events: Events) -> Iterator[tuple[Any, bytes]]:
    """The messages of an event stream: as objects, and as they came. Raises `LostError` if it is cut."""
    try:
        for piece in exchange.pieces():
            for event in events.feed(piece):
                if event.kind == "message" and event.data and (data := loaded(event.data)) is not None:
                    yield data, event.data
            yield None, b""  # something came, if only a comment
    except TooLongError:
        raise LostError from None


def response_of(exchange: Exchange, wanted: Id) -> Json:
    """The response to a request of ours. Raises `LostError`, `RefusedError` or `NotStreamableError`."""
    if exchange.status == 200 and exchange.content_type == SSE:
        for data, _ in messages_in(exchange, Events()):
            if isinstance(data, dict) and "method" not in data and data.get("id") == wanted:
                return data
        raise LostError
    text = exchange.whole()
    data = loaded(text)
    if exchange.status == 200 and isinstance(data, dict) and data.get("id") == wanted:
        return data
    said = error_of(exchange.status, data, text, wanted)
    if is_not_streamable(exchange.status, said):
        raise NotStreamableError(said)
    raise RefusedError(said)


def is_not_streamable(status: int, said: Json) -> bool:
    """Whether it is worth a try with the older transport."""
    error = said.get("error")
    return status in NOT_STREAMABLE and isinstance(error, dict) and error.get("code") != UNSUPPORTED_VERSION


def error_of(status: int, data: Any, text: bytes, id_: Id | None, label: str = "The server") -> Json:
    """The JSON-RPC error for a response that isn't what it should be: the server's own if it is one."""
    if isinstance(data, dict) and isinstance(data.get("error"), dict) and "code" in data["error"]:
        return {"jsonrpc": "2.0", "id": id_, "error": data["error"]}
    said = data.get("message") or data.get("help") if isinstance(data, dict) else None
    words = said if isinstance(said, str) else text[: 4 * TEXT_MAX].decode("utf-8", "replace")
    reason = " ".join("".join(each if each.isprintable() else " " for each in words).split())[:TEXT_MAX]
    code = METHOD_NOT_FOUND if status == 404 else INTERNAL_ERROR
    message = f"{label} answered {status}{f': {reason}' if reason else '.'}"
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}}


def loaded(text: bytes) -> Any:
    """JSON; None for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
