"""The client's messages, read as far as the bridge has to know them, and the HTTP headers that go with each."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Id: TypeAlias = str | int
Json: TypeAlias = dict[str, Any]

VERSION_META = "io.modelcontextprotocol/protocolVersion"
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}  # what `Mcp-Name` repeats
VERSION_SENT_SINCE = "2025-06-18"
REPEATABLE = frozenset(  # asking twice changes nothing
    {
        "initialize",
        "server/discover",
        "ping",
        "tools/list",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "completion/complete",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "subscriptions/listen",
    }
)


class NotJsonRpcError(ValueError):
    """The line is no message."""


@dataclass(slots=True)
class Incoming:
    """One line: a request has `method` and `ids`, a notification only `method`, a response neither, a batch may have
    more ids."""

    raw: bytes
    method: str = ""
    ids: tuple[Id, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The revision that the message itself names, as all do since 2026-07-28; else empty."""
        meta = self.params.get("_meta")
        named = meta.get(VERSION_META) if isinstance(meta, Mapping) else None
        return named if isinstance(named, str) else ""

    @property
    def repeatable(self) -> bool:
        return self.method in REPEATABLE

    def headers(self, declared: Mapping[str, Mapping[tuple[str, ...], str]]) -> dict[str, str]:
        """Of a message that names its revision. `declared`: by tool, the arguments that are repeated in headers."""
        found = {"MCP-Protocol-Version": self.version, "Mcp-Method": self.method}
        name = self.params.get(NAMED.get(self.method, ""))
        if isinstance(name, str):
            found["Mcp-Name"] = header_value(name)
        if self.method == "tools/call" and isinstance(name, str):
            for path, header in declared.get(name, {}).items():
                if (value := _argument(self.params.get("arguments"), path)) is not None:
                    found[f"Mcp-Param-{header}"] = header_value(value)
        return {name: value for name, value in found.items() if value.isascii()}


def parse(raw: bytes) -> Incoming:
    """Raises `NotJsonRpcError`."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        raise NotJsonRpcError from None
    if isinstance(data, list) and data and all(isinstance(each, dict) for each in data):
        ids = tuple(each["id"] for each in data if "method" in each and is_id(each.get("id")))
        return Incoming(raw, "", ids)
    if not isinstance(data, dict) or data.get("jsonrpc") != "2.0":
        raise NotJsonRpcError
    method, params = data.get("method"), data.get("params")
    if not isinstance(method, str):
        if "result" not in data and "error" not in data:
            raise NotJsonRpcError
        return Incoming(raw)
    if "id" in data and not is_id(data["id"]):
        raise NotJsonRpcError
    ids = (data["id"],) if "id" in data else ()
    return Incoming(raw, method, ids, params if isinstance(params, dict) else {})


def is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def header_value(text: str) -> str:
    """As it is, or wrapped as 2026-07-28 wants what a header can't hold."""
    plain = text.isascii() and text.isprintable() and text == text.strip()
    if plain and not (text.startswith("=?base64?") and text.endswith("?=")):
        return text
    return f"=?base64?{base64.b64encode(text.encode('utf-8', 'surrogatepass')).decode()}?="


def declared_headers(tools: object) -> dict[str, dict[tuple[str, ...], str]]:
    """By tool, which of its arguments `Mcp-Param-…` headers repeat: those whose schema says `x-mcp-header`."""
    found: dict[str, dict[tuple[str, ...], str]] = {}
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            headers = dict(_annotated(tool.get("inputSchema"), (), 8))
            if headers:
                found[tool["name"]] = headers
    return found


def _annotated(schema: object, path: tuple[str, ...], depth: int) -> list[tuple[tuple[str, ...], str]]:
    if not isinstance(schema, dict) or not depth:
        return []
    token = schema.get("x-mcp-header")
    own = [(path, token)] if path and isinstance(token, str) and _is_token(token) else []
    inner = schema.get("properties")
    for name, each in inner.items() if isinstance(inner, dict) else ():
        own += _annotated(each, (*path, name), depth - 1)
    return own


def _is_token(text: str) -> bool:
    return bool(text) and text.isascii() and all(each.isalnum() or each in "!#$%&'*+-.^_`|~" for each in text)


def _argument(arguments: object, path: tuple[str, ...]) -> str | None:
    for name in path:
        if not isinstance(arguments, dict):
            return None
        arguments = arguments.get(name)
    if isinstance(arguments, bool):
        return "true" if arguments else "false"
    return str(arguments) if isinstance(arguments, str | int | float) else None
