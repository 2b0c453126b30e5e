"""JSON-RPC messages of MCP: parsed leniently enough to answer them, written strictly.

An id is echoed with its type and value, or the message counts as one that cannot be answered: `1` is not `"1"`, and
integers of any size stay what they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Id: TypeAlias = str | int
Json: TypeAlias = dict[str, Any]

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
DEPTH_MAX = 200  # levels of objects and arrays in a message; Python can write about 900
SESSION_NOT_FOUND = -32001  # what the official servers say of an unknown session, with HTTP 404
UNSUPPORTED_VERSION = -32022  # 2026-07-28

LISTS: Mapping[str, str] = {  # method: the key of its result
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
HELLOS = frozenset({"initialize", "server/discover"})
CALLS = frozenset({"tools/call", "prompts/get", "resources/read"})  # what a person or model waits for
LIST_CHANGED: Mapping[str, str] = {  # capability: its notification
    "tools": "notifications/tools/list_changed",
    "prompts": "notifications/prompts/list_changed",
    "resources": "notifications/resources/list_changed",
}


class NotJsonRpcError(ValueError):
    """The body is no JSON-RPC message."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. A request has `method` and `id`, a notification only `method`, a response neither `method` nor use."""

    method: str = ""
    id: Id | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    answerable: bool = True  # False: it has an id that no answer may carry (null, a fraction, an object)

    @property
    def request(self) -> bool:
        return bool(self.method) and (self.id is not None or not self.answerable)

    @property
    def meta(self) -> Mapping[str, Any]:
        """`params._meta`, empty where there is none."""
        found = self.params.get("_meta")
        return found if isinstance(found, Mapping) else {}


def parse(body: bytes) -> Message | tuple[Message, ...]:
    """One message, or those of a batch. Raises `NotJsonRpcError`."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise NotJsonRpcError from None
    if _too_deep(body, data):
        raise NotJsonRpcError
    if isinstance(data, list):
        if not data:
            raise NotJsonRpcError
        return tuple(_message(each) for each in data)
    return _message(data)


def _too_deep(body: bytes, data: object) -> bool:
    """Whether it is nested so deeply that, as a part of something larger, it could not be written again."""
    if body.count(b"{") + body.count(b"[") <= DEPTH_MAX:
        return False
    level, depth = [data], 0
    while level and depth <= DEPTH_MAX:
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level, depth = [each for some in inner for each in some], depth + 1
    return bool(level)


def _message(data: object) -> Message:
    if not isinstance(data, Mapping) or data.get("jsonrpc") != "2.0":
        raise NotJsonRpcError
    method, params = data.get("method"), data.get("params")
    if "method" not in data and ("result" in data or "error" in data):
        return Message()
    if not isinstance(method, str) or not method:
        raise NotJsonRpcError
    given = data.get("id")
    good = isinstance(given, str | int) and not isinstance(given, bool)
    return Message(
        method,
        given if good else None,
        params if isinstance(params, Mapping) else {},
        answerable=good or "id" not in data,
    )


def result(message: Message, value: Json) -> Json:
    """The response that carries a result."""
    return {"jsonrpc": "2.0", "id": message.id, "result": value}


def error(message: Message | None, code: int, text: str, data: Json | None = None) -> Json:
    """The response that carries an error. Without a request to answer, or without a usable id, its id is null."""
    told: Json = {"code": code, "message": text} | ({"data": data} if data else {})
    return {"jsonrpc": "2.0", "id": None if message is None else message.id, "error": told}


def notification(method: str, params: Json | None = None) -> Json:
    """A notification."""
    return {"jsonrpc": "2.0", "method": method} | ({"params": params} if params else {})


def encode(message: Json | Sequence[Json]) -> bytes:
    """As it goes over the wire."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def event(message: Json) -> bytes:
    """A server-sent event without an id: an id of ours would come back as `Last-Event-ID` and mean nothing upstream."""
    return b"event: message\ndata: " + json.dumps(message, separators=(",", ":")).encode() + b"\n\n"


def events(stream: bytes) -> Iterable[bytes]:
    """The data of each `message` event of a whole stream (WHATWG HTML, section 9.2.6)."""
    for block in stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        fields = [line.partition(b":")[::2] for line in block.split(b"\n")]
        kind = [value.removeprefix(b" ") for name, value in fields if name == b"event"]
        data = [value.removeprefix(b" ") for name, value in fields if name == b"data"]
        if data and kind[-1:] in ([], [b"message"], [b""]):
            yield b"\n".join(data)


def answer_in(content_type: str, body: bytes, wanted: Id) -> Json | None:
    """The result that an HTTP response holds for the request `wanted`; None for an error, or none at all."""
    found = response_in(content_type, body, wanted)
    told = None if found is None else found.get("result")
    return told if isinstance(told, dict) else None


def response_in(content_type: str, body: bytes, wanted: Id) -> Json | None:
    """The response to the request `wanted` in as much as there is of an HTTP response: whole, or None."""
    for text in events(body) if content_type == "text/event-stream" else [body]:
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(data, dict) or _too_deep(text, data):
            continue
        if data.get("id") == wanted and type(data.get("id")) is type(wanted):
            return data
    return None
