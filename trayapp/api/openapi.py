"""The API's operations in one table. The routes are registered from it and `openapi.json` is generated from it.

So no route can be missing from the document, and the document can't name a route that doesn't exist; a test compares
real responses with the schemas. The proxy and the pages for people are not part of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from trayapp.api import (
    editing_operations,
    external_operations,
    record_operations,
    setting_up_operations,
    take_over_operations,
)
from trayapp.api.operation import ALL, BASE, ONE, Operation, Query, click
from trayapp.api.schemas import SCHEMAS
from trayapp.api.shapes import COUNT, EXTERNAL_NAME, FLAG, NAME, OWNER_ID, TEXT, array, ref
from trayapp.clients.table import TABLE
from trayapp.core.public import Json
from trayapp.server.replies import BODY_MAX

_REFUSALS = {
    400: "A parameter, a name or the body is not as it has to be; the message names it.",
    403: "The key is missing or wrong, or a web page asked.",
    404: "There is no workload or client of this name.",
    408: "The body took too long.",
    409: "It cannot be done as things are now; the message says why.",
    412: "Somebody else has changed it since; the message says so.",
    413: f"The body has more than {BODY_MAX} bytes.",
    415: "The body is not application/json.",
    429: "Asked again too soon; see `Retry-After`.",
}


def _several(id_: str, summary: str, answer: Json | None = None) -> Operation:
    path = f"{ALL}/{id_.removesuffix('_several')}"
    return Operation(
        id_, "POST", path, summary, {202: answer}, body={"names": array(NAME)}, required=("names",), refusals=(404,)
    )


_KEY = "`api_key` of server.json; or the key of a dashboard page, which opens all but `token`"

OPERATIONS: tuple[Operation, ...] = (
    Operation("health", "GET", "/health", "Whether the app runs.", {204: None}, open=True),
    Operation("metrics", "GET", "/metrics", "Counters for Prometheus.", {200: TEXT}, media="text/plain"),
    Operation("document", "GET", "/api/openapi.json", "This document.", {200: {"type": "object"}}),
    Operation(
        "session",
        "POST",
        f"{BASE}/session",
        "The dashboard's page trades its one-time link for a key of its own. Only our own page may ask.",
        {200: ref("Session")},
        body={"once": TEXT},
        required=("once",),
        refusals=(403,),
        open=True,
    ),
    Operation("version", "GET", f"{BASE}/version", "The running version.", {200: ref("Version")}),
    Operation(
        "events",
        "GET",
        f"{BASE}/events",
        "What changes, as it changes (server-sent events): `workload` with a row of the list, `removed` with the name, "
        "`history` with a segment that began and the name in `workload`, `app` with how the app itself is, `activity` after "
        "requests of clients were recorded, at most every 5 seconds, "
        "`reset` with the full list. With a `Last-Event-ID` header what was missed is told first; without one, or with "
        "one that is too old, a `reset` is.",
        {200: TEXT},
        refusals=(503,),
        media="text/event-stream",
    ),
    Operation(
        "listing",
        "GET",
        ALL,
        "The workloads.",
        {200: ref("WorkloadList")},
        query=(Query("all", FLAG, "Paused ones too."),),
        refusals=(400,),
    ),
    Operation(
        "catalog",
        "GET",
        f"{BASE}/catalog",
        "Well-known servers by name, each with its address. Everything about signing in comes from the server itself.",
        {200: ref("Catalog")},
        query=(
            Query("q", {"type": "string", "maxLength": 100}, "Words that an entry must contain; empty: all entries."),
        ),
    ),
    click("retry_all", f"{ALL}/retry", "Try to refresh all of them now."),
    _several("stop_several", "Pause these workloads."),
    _several("restart_several", "Resume these workloads."),
    _several("delete_several", "The same as removing each of these workloads.", ref("Removed")),
    Operation("configuration", "GET", ONE, "How it is configured.", {200: ref("Configuration")}),
    Operation("status", "GET", f"{ONE}/status", "How it is.", {200: ref("WorkloadStatus")}),
    Operation(
        "token",
        "GET",
        f"{ONE}/token",
        "A usable access token. No web page gets one, not even with the key.",
        {200: ref("Token"), 503: ref("Unavailable")},
        query=(
            Query(
                "min_validity", {"type": "number", "minimum": 0, "maximum": 86400}, "Life it should have left, in s."
            ),
            Query(
                "wait", {"type": "number", "minimum": 0, "maximum": 30}, "Longest wait for a refresh under way, in s."
            ),
        ),
        refusals=(409,),
    ),
    Operation(
        "token_used",
        "POST",
        f"{ONE}/token-used",
        "Report whether a server accepted a token from `token`. The current one is refreshed if it was not; an older one is "
        "ignored. The login is never removed.",
        {202: None},
        body={"access_token": TEXT, "accepted": FLAG},
        required=("access_token", "accepted"),
    ),
    Operation(
        "client",
        "GET",
        f"{ONE}/client",
        "What to paste into another program; holds the local key. No web page gets it but our own.",
        {200: ref("ClientAccess")},
        refusals=(503,),
    ),
    Operation(
        "clients",
        "POST",
        f"{ALL}/clients",
        "How clients reach these workloads; contains their local keys. Refused to web pages other than Amberlight's own.",
        {200: ref("ClientAccessList")},
        body={"names": array(NAME)},
        required=("names",),
        refusals=(404, 503),
    ),
    Operation(
        "aggregate",
        "GET",
        f"{BASE}/aggregate/client",
        "The same for `/mcp`, one MCP endpoint for all workloads.",
        {200: ref("ClientAccess")},
        refusals=(503,),
    ),
    Operation(
        "installed_clients",
        "GET",
        f"{BASE}/clients",
        "MCP clients, and the state of each workload in their files. Refused to web pages other than Amberlight's own.",
        {200: ref("Clients")},
        refusals=(409, 503),
    ),
    Operation(
        "connect_client",
        "POST",
        f"{BASE}/clients/{{client}}/connect",
        "Write these workloads into the client's file; with `all`, a single entry for all of them. Entries that are not "
        "Amberlight's are replaced only with `replace`. Refused to web pages other than Amberlight's own.",
        {200: ref("ClientChange")},
        body={"names": array(NAME), "all": FLAG, "replace": FLAG},
        refusals=(404, 409, 503),
    ),
    Operation(
        "disconnect_client",
        "POST",
        f"{BASE}/clients/{{client}}/disconnect",
        "Remove Amberlight's entries for these workloads from the client's file; with `all`, the single entry for all.",
        {200: ref("ClientChange")},
        body={"names": array(NAME), "all": FLAG},
        refusals=(404, 409, 503),
    ),
    click("retry", f"{ONE}/retry", "Try to refresh it now."),
    click("stop", f"{ONE}/stop", "Pause it: no attempts, no tokens."),
    click("restart", f"{ONE}/restart", "Resume it."),
    Operation(
        "reauthorize",
        "POST",
        f"{ONE}/reauthorize",
        "Begin a sign-in, or join the one under way; at most once in 10 s.",
        {202: ref("AuthorizationPage")},
        body={"browser": FLAG, "accept": FLAG, "flow": {"type": "string", "enum": ["", "browser", "device"]}},
        refusals=(409, 429),
    ),
    Operation(
        "cancel",
        "POST",
        f"{ONE}/cancel",
        "End the sign-in that waits; everything stays as it was. With `register` the next one registers a new client.",
        {202: None},
        body={"register": FLAG},
    ),
    Operation(
        "callback",
        "POST",
        f"{ONE}/callback",
        "A redirect address that a person copied.",
        {202: None},
        body={"url": TEXT},
        required=("url",),
    ),
    Operation(
        "secret",
        "POST",
        f"{ONE}/secret",
        "Keep a client secret for the configured client_id, in the keyring; an empty one takes it away.",
        {204: None},
        body={"client_secret": TEXT},
        required=("client_secret",),
        refusals=(409,),
    ),
    Operation("reload", "POST", f"{BASE}/reload", "Read the configuration again.", {200: ref("Reloaded")}, body={}),
    Operation(
        "histories",
        "GET",
        f"{BASE}/history",
        "What all workloads looked like and when.",
        {200: ref("Histories")},
        query=record_operations.SINCE_QUERIES,
    ),
    Operation(
        "history",
        "GET",
        f"{ONE}/history",
        "What it looked like and when.",
        {200: ref("History")},
        query=(*record_operations.SINCE_QUERIES, record_operations.DAYS_QUERY),
    ),
    Operation("app", "GET", f"{BASE}/status", "How the app itself is.", {200: ref("App")}),
    Operation(
        "change_port",
        "POST",
        f"{BASE}/port",
        "Listen on this port from now on, by default on one that is free: config.toml and clients' files are changed.",
        {200: ref("PortChange")},
        body={"port": COUNT},
        refusals=(409,),
    ),
    Operation(
        "dashboard",
        "POST",
        f"{BASE}/dashboard",
        "A link to the dashboard: good once, for a minute. It is a secret until it is used.",
        {200: ref("DashboardLink")},
        body={},
    ),
    Operation("doctor", "GET", f"{BASE}/doctor", "What only the running app knows.", {200: ref("Report")}),
    click("quit", f"{BASE}/quit", "End the app."),
    *editing_operations.OPERATIONS,
    *external_operations.OPERATIONS,
    *record_operations.OPERATIONS,
    *setting_up_operations.OPERATIONS,
    *take_over_operations.OPERATIONS,
)


def register(handlers: Mapping[str, Handler], *, open_: bool) -> list[web.RouteDef]:
    """Routes from the table: those that need no key, or all others. A missing handler is a `KeyError`."""
    return [
        web.route(operation.method, operation.path, handlers[operation.id])
        for operation in OPERATIONS
        if operation.open is open_
    ]


def document(version: str) -> Json:
    """The content of `openapi.json`."""
    paths: dict[str, dict[str, Json]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation_object(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Amberlight",
            "version": version,
            "summary": "The workloads API of the running app, in ToolHive's shape.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The address in server.json."}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": _KEY}},
            "schemas": dict(SCHEMAS),
        },
    }


def refusals(operation: Operation) -> tuple[int, ...]:
    """The error statuses that an operation may answer with."""
    found = set(operation.refusals)
    if not operation.open:
        found.add(403)
    if "{name}" in operation.path:
        found |= {400, 404}
    if operation.query:
        found.add(400)
    if operation.body is not None:
        found |= {400, 408, 413, 415}
    return tuple(sorted(found))


def _operation_object(operation: Operation) -> Json:
    made: Json = {"operationId": operation.id, "summary": operation.summary, "responses": _responses(operation)}
    if parameters := [*_path_parameters(operation), *_header_parameters(operation), *map(_query, operation.query)]:
        made["parameters"] = parameters
    if operation.body is not None:
        made["requestBody"] = _body(operation)
    if operation.open:
        made["security"] = []
    return made


def _path_parameters(operation: Operation) -> list[Json]:
    shapes = {
        "owner": OWNER_ID,
        "name": EXTERNAL_NAME if "{owner}" in operation.path else NAME,
        "client": {"type": "string", "enum": [client.name for client in TABLE]},
    }
    return [
        {"name": name, "in": "path", "required": True, "schema": shape}
        for name, shape in shapes.items()
        if f"{{{name}}}" in operation.path
    ]


def _header_parameters(operation: Operation) -> list[Json]:
    found = []
    if operation.media == "text/event-stream":
        found.append(("Last-Event-ID", "The id of the last event that was seen."))
    if operation.revised:
        found.append(("If-Match", "The `revision` that the change is about, in quotation marks."))
    return [{"name": name, "in": "header", "schema": TEXT, "description": text} for name, text in found]


def _query(query: Query) -> Json:
    return {"name": query.name, "in": "query", "schema": query.shape, "description": query.description}


def _body(operation: Operation) -> Json:
    shape: Json = {"type": "object", "properties": dict(operation.body or {}), "additionalProperties": False}
    if operation.required:
        shape["required"] = list(operation.required)
    return {"required": bool(operation.required), "content": {"application/json": {"schema": shape}}}


def _responses(operation: Operation) -> Json:
    made: Json = {}
    for status, shape in operation.answers.items():
        made[str(status)] = _response(HTTPStatus(status).phrase, shape, operation.media)
    for status in refusals(operation):
        description = _REFUSALS.get(status, HTTPStatus(status).phrase)
        made[str(status)] = _response(description, ref("Error"), "application/json")
    return made


def _response(description: str, shape: Json | None, media: str) -> Json:
    made: Json = {"description": description}
    if shape is not None:
        made["content"] = {media: {"schema": shape}}
    return made
