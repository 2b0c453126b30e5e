"""Responses and request bodies of our own routes: JSON both ways, errors in one shape.

Every error is `{"error": code, "message": sentence}`; a handler raises `Refusal` and the server writes it. No response
repeats anything of a request except the names of its fields: a body may hold a redirect URL with a code in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web

from trayapp.core.public import Json

BODY_MAX = 1024 * 1024  # bytes; the same limit as ToolHive's API
BODY_LIMIT = 10.0  # s; a loopback client that needs longer for a body isn't sending one

OWN_HEADERS: Mapping[str, str] = {  # on our own responses, never on those the proxy forwards (SECURITY.md 32)
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


PAGE = web.RequestKey("page", bool)  # the request showed a page's key, not that of server.json


class Refusal(Exception):  # noqa: N818 - a response, not a fault of ours
    """Raised to answer a request with an error; `message` is one plain sentence."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        field: str = "",
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.field = field  # the field of the body that is wrong, if it is one
        self.details = dict(details or {})  # more fields of the error
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def json_reply(data: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON response of our own."""
    return web.json_response(data, status=status, headers={**OWN_HEADERS, **(headers or {})})


def empty_reply(status: int) -> web.Response:
    """A response of our own without a body."""
    return web.Response(status=status, headers=OWN_HEADERS)


def error_reply(refusal: Refusal) -> web.Response:
    """The one shape of all errors."""
    body: Json = {"error": refusal.code, "message": refusal.message}
    if refusal.field:
        body["field"] = refusal.field
    return json_reply(body | refusal.details, refusal.status, refusal.headers)


def _bad(message: str) -> Refusal:
    return Refusal(400, "bad_request", message)


def too_slow(limit: float) -> Refusal:
    """The body took longer than `limit` seconds."""
    return Refusal(408, "timeout", f"The body didn't arrive within {limit:.0f} seconds.")


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_LIMIT):
            return await request.read()
    except TimeoutError:
        raise too_slow(BODY_LIMIT) from None


def _parse(body: bytes) -> dict[object, object]:
    try:
        data: object = json.loads(body)
    except (ValueError, RecursionError):  # not chained: the error's text quotes the body
        raise _bad("The body isn't JSON.") from None
    if not isinstance(data, dict):
        raise _bad("The body must be a JSON object.")
    return data


_TYPE_NAMES = {bool: "true or false", str: "a string", list: "a list"}


async def read_object(request: web.Request, fields: Mapping[str, type]) -> Json:
    """Read the body as a JSON object that has no other fields than these; no body is an empty object.

    `fields` gives each field's type: `bool`, `str` or `list`, or `object` for any.

    Raises `Refusal` 400 naming the field, 408 for a slow body, 413 over 1 MiB, and 415 for anything but
    `application/json`, which no form and no simple cross-origin request can send.
    """
    body = await _read(request)
    if not body:
        return {}
    if request.content_type != "application/json":
        raise Refusal(415, "unsupported_media_type", "The body must be sent as application/json.")
    data = _parse(body)
    for key in data:
        if key not in fields:
            known = f"Known fields: {', '.join(sorted(fields))}." if fields else "It takes none."
            raise _bad(f"The body has an unknown field. {known}")
    for key, kind in fields.items():
        if key in data and kind is not object and type(data[key]) is not kind:
            raise _bad(f"The field {key} must be {_TYPE_NAMES[kind]}.")
    return {str(key): value for key, value in data.items()}
