"""Detecting lost sessions: whether an HTTP response means that the upstream no longer knows the session.

404 to a request with a session id means that, in every revision that has sessions. 400 means it only with the words of
servers that are known to say it so: most 400s are about the request itself.
"""

from __future__ import annotations

import json

from trayapp.mcp.messages import METHOD_NOT_FOUND

BODY_MAX = 4096  # bytes; the known bodies are far shorter

# Error messages in JSON-RPC bodies with HTTP 400, as sent by the TypeScript SDK's examples and transport after a restart,
# by servers made after them, and by Python servers before 1.10.
MESSAGES = (
    "Bad Request: No valid session ID provided",
    "Bad Request: Server not initialized",
    "Bad Request: No valid session ID or not an initialize request",
    "Bad Request: No valid session. Send an initialize request first.",
    "Session not found",
    "Session terminated",
)


def lost(status: int, body: bytes) -> bool:
    """For the response to a request that carried the upstream's session id."""
    if status == 404:
        return error_code(body) != METHOD_NOT_FOUND  # that is about the method, whatever the HTTP status
    return status == 400 and _message(body) in MESSAGES


def wants_one(status: int, body: bytes) -> bool:
    """For the response to a request without a session id: the server had no sessions before, and has them now."""
    return status == 400 and _message(body) in (*MESSAGES, "Bad Request: Missing session ID")


def error_code(body: bytes) -> object:
    """The code of a JSON-RPC error; None if the body is none."""
    error = _error(body)
    return None if error is None else error.get("code")


def _message(body: bytes) -> object:
    error = _error(body)
    return None if error is None else error.get("message")


def _error(body: bytes) -> dict[str, object] | None:
    try:
        data = json.loads(body[:BODY_MAX])
    except (ValueError, RecursionError):
        return None
    error = data.get("error") if isinstance(data, dict) else None
    return error if isinstance(error, dict) else None
