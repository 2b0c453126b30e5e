"""Who a request to an MCP server is made for, what became of it on the wire, and what the SDK's errors mean."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass

import mcp_types as types
from mcp.shared.exceptions import MCPError

caller: ContextVar[str] = ContextVar("caller", default="")  # the client of `/mcp` that this task answers


@dataclass(slots=True)
class RequestTrace:
    """What became of one request on the wire. Found through a context variable, which the SDK preserves."""

    client: str = ""  # who it is made for, as `core/activity.py:client_header` writes it
    sent: bool = False
    status: int = 0  # HTTP status, if it is an error
    raw: bytes = b""
    body: object = None  # JSON, or text
    retry_after: str | None = None

    @property
    def answered_by_mcp(self) -> bool:
        """Whether the error is one of JSON-RPC, which the SDK raises as it is."""
        return isinstance(self.body, dict) and isinstance(self.body.get("error"), dict) and "jsonrpc" in self.body


def ended(error: MCPError) -> bool:
    """Whether the session's connection ended, for everybody. Many servers use the code for errors of their own."""
    return error.code == types.CONNECTION_CLOSED and error.message.startswith("Connection closed")


def broken(error: MCPError) -> bool:
    """The same, or only this request's answer broke off."""
    return error.code == types.CONNECTION_CLOSED and error.message.startswith(("Connection closed", "SSE stream"))


def parsed(body: bytes) -> object:
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
    return found


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group, nested groups included."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


def type_names(error: BaseException) -> str:
    """The exceptions' types. Their texts may quote URLs."""
    return ", ".join(sorted({type(leaf).__name__ for leaf in leaves(error)}))
