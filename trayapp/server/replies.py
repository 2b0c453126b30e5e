"""How our own routes answer and how they read a body: JSON both ways, errors in one shape.

Every error is `{"error": code, "message": sentence}`; a handler raises `Refusal` and the server writes it. Nothing of a
request is ever repeated in an answer but the names of its fields: a body may hold a redirect URL with a code in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web

from trayapp.core.public import Json

BODY_MAX = 1024 * 1024  # bytes; the same limit as ToolHive's API
BODY_TIME = 10.0  # s; a loopback client that needs longer for a body is not sending one

OWN_HEADERS: Mapping[str, str] = {  # SECURITY 32: on all that we say ourselves, never on what the proxy passes through
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


PAGE = web.RequestKey("page", bool)  # the request showed the key of a page, not that of server.json


class Refusal(Exception):  # noqa: N818 - it is an answer, not a mistake of ours
    """A request that is answered with an error; `message` is one plain sentence."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None, *, field: str = ""
    ) -> None:
        super().__init__(message)
        self.field = field  # of the body, that is wrong
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


def json_reply(data: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer of ours."""
    return web.json_response(data, status=status, headers={**OWN_HEADERS, **(headers or {})})


def empty_reply(status: int) -> web.Response:
    """An answer of ours without a body."""
    return web.Response(status=status, headers=OWN_HEADERS)


def error_reply(refusal: Refusal) -> web.Response:
    """The one shape of all errors."""
    body: Json = {"error": refusal.code, "message": refusal.message}
    if refusal.field:
        body["field"] = refusal.field
    return json_reply(body, refusal.status, refusal.headers)


def _bad(message: str) -> Refusal:
    return Refusal(400, "bad_request", message)


async def _read(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIME):
            return await request.read()
    except TimeoutError:
        raise Refusal(408, "timeout", f"The body did not arrive within {BODY_TIME:.0f} seconds.") from None


def _parse(body: bytes) -> dict[object, object]:
    try:
        data: object = json.loads(body)
    except (ValueError, RecursionError):  # the error's own text quotes the body
        raise _bad("The body is not JSON.") from None
    if not isinstance(data, dict):
        raise _bad("The body has to be a JSON object.")
    return data


_NAMES = {bool: "true or false", str: "a string", list: "a list"}


async def read_object(request: web.Request, fields: Mapping[str, type]) -> Json:
    """The body as an object with these fields only; no body is an empty object.

    Each field is of its type: `bool`, `str` or `list`, or `object` for any.

    Raises `Refusal` 400 naming the field, 413 over 1 MiB, 415 for anything but `application/json` (which no form and no
    simple cross-origin request can send).
    """
    body = await _read(request)
    if not body:
        return {}
    if request.content_type != "application/json":
        raise Refusal(415, "unsupported_media_type", "The body has to be sent as application/json.")
    data = _parse(body)
    for key in data:
        if key not in fields:
            raise _bad(f"The body has a field that is not known; it may have: {', '.join(sorted(fields))}.")
    for key, kind in fields.items():
        if key in data and kind is not object and type(data[key]) is not kind:
            raise _bad(f"The field {key} has to be {_NAMES[kind]}.")
    return {str(key): value for key, value in data.items()}
