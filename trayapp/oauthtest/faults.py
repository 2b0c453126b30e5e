"""Failing answers of each mode: complete ones as one table, and the four ways to break a connection.

The bodies are what firewalls, gateways, portals and authorization servers are seen to send. The shapes are real, the
texts are ours.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from types import MappingProxyType
from typing import NoReturn

from aiohttp import web

from trayapp.oauthtest.script import Mode

HTML = "text/html; charset=utf-8"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
NO_STORE = MappingProxyType({"Cache-Control": "no-store", "Pragma": "no-cache"})  # RFC 6749 section 5.1
PORTAL_PATH = "/captive-portal"
CUT_CONTENT_LENGTH = 512  # bytes that a cut response promises

RetryAfter = int | float | str | datetime | None


@dataclass(frozen=True, slots=True)
class CannedAnswer:
    """A complete answer. `waits` says that it carries `Retry-After`."""

    status: int
    kind: str
    body: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    waits: bool = False


def _page(title: str, text: str) -> str:
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"


def _error(code: str, description: str) -> str:
    return json.dumps({"error": code, "error_description": description})


CANNED: Mapping[Mode, CannedAnswer] = MappingProxyType(
    {
        Mode.FIREWALL: CannedAnswer(
            403, HTML, _page("Access denied", "This request was blocked by the security rules.")
        ),
        Mode.SERVER_ERROR: CannedAnswer(500, HTML, _page("500 Internal Server Error", "The server met a problem.")),
        Mode.UNAVAILABLE: CannedAnswer(
            503, HTML, _page("503 Service Unavailable", "Down for maintenance."), waits=True
        ),
        Mode.RATE_LIMITED: CannedAnswer(429, JSON, _error("slow_down", "Too many requests"), waits=True),
        Mode.BAD_GATEWAY: CannedAnswer(502, HTML, _page("502 Bad Gateway", "The upstream answered nonsense.")),
        Mode.GATEWAY_TIMEOUT: CannedAnswer(504, HTML, _page("504 Gateway Timeout", "The upstream did not answer.")),
        Mode.INVALID_GRANT: CannedAnswer(400, JSON, _error("invalid_grant", "The refresh token is no longer valid")),
        Mode.INVALID_CLIENT: CannedAnswer(401, JSON, _error("invalid_client", "The client is not known")),
        Mode.UNKNOWN_CODE: CannedAnswer(400, JSON, _error("tenant_throttled", "Your tenant has used up its budget")),
        Mode.FORM_ERROR: CannedAnswer(400, FORM, "error=invalid_grant&error_description=The+grant+is+no+longer+valid"),
        Mode.GITHUB_ERROR: CannedAnswer(
            200, JSON, _error("bad_refresh_token", "The refresh token passed is incorrect or expired.")
        ),
        Mode.JSON_403: CannedAnswer(403, JSON, json.dumps({"message": "Forbidden"})),
        Mode.NO_ACCESS_TOKEN: CannedAnswer(200, JSON, json.dumps({"token_type": "Bearer", "expires_in": 3600})),
        Mode.CAPTIVE_HTML: CannedAnswer(200, HTML, _page("Welcome to the guest network", "Please accept the terms.")),
        Mode.CAPTIVE_REDIRECT: CannedAnswer(302, HTML, _page("Found", "Please sign in."), {"Location": PORTAL_PATH}),
    }
)


def canned(mode: Mode, retry_after: RetryAfter, base: str, fake_token: str) -> web.Response:
    """The complete answer of a mode. `base` is the server's own URL, `fake_token` a token that was never valid."""
    if mode is Mode.TRUNCATED_JSON:
        return _response(CannedAnswer(200, JSON, _truncated_token_json(fake_token)), None, base)
    return _response(CANNED[mode], retry_after, base)


def _response(answer: CannedAnswer, retry_after: RetryAfter, base: str) -> web.Response:
    headers = {**NO_STORE, **answer.headers, "Content-Type": answer.kind}
    if "Location" in headers:
        headers["Location"] = base + headers["Location"]
    if answer.waits and retry_after is not None:
        headers["Retry-After"] = retry_after_text(retry_after)
    return web.Response(status=answer.status, body=answer.body.encode(), headers=headers)


def retry_after_text(value: int | float | str | datetime) -> str:
    """`Retry-After` in seconds, as an HTTP date (for an aware datetime), or as the text that was given (RFC 9110
    section 10.2.3)."""
    if isinstance(value, datetime):
        return format_datetime(value.astimezone(UTC), usegmt=True)
    return str(int(value)) if isinstance(value, float) else str(value)


def _truncated_token_json(fake_token: str) -> str:
    return '{"token_type": "Bearer", "access_token": "' + fake_token


async def cut_answer(request: web.Request, fake_token: str) -> None:
    """Send status, headers and the beginning of a token response; the rest of the promised length never comes."""
    response = web.StreamResponse(headers={**NO_STORE, "Content-Type": JSON, "Content-Length": str(CUT_CONTENT_LENGTH)})
    await response.prepare(request)
    await response.write(_truncated_token_json(fake_token).encode())


async def hang_up(request: web.Request, *, reset: bool = False) -> NoReturn:
    """Close the connection under the request, by FIN or by RST. It is cancelled when the connection is gone."""
    transport = request.transport
    if transport is not None:
        raw: socket.socket | None = transport.get_extra_info("socket")
        if reset and raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if reset:
            transport.abort()
        else:
            transport.close()
    await asyncio.get_running_loop().create_future()
    raise AssertionError("unreachable: nobody ends that future")
