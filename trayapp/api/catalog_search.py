"""The catalog of well-known servers, for the dashboard's *Add* and for programs."""

from __future__ import annotations

from aiohttp import web

from trayapp.server.replies import Refusal, json_reply

QUERY_MAX = 100  # characters


async def catalog(request: web.Request) -> web.Response:
    """The servers that have all words of `q`, best first."""
    from trayapp.catalog.lookup import search  # most runs of the app never ask

    text = request.query.get("q", "")
    if len(text) > QUERY_MAX:
        raise Refusal(400, "bad_request", f"The parameter q can have at most {QUERY_MAX} characters.")
    return json_reply({"servers": [server.as_json() for server in search(text)]})
