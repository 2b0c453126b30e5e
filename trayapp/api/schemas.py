"""The shapes of all that the API answers, as JSON Schema (2020-12, what OpenAPI 3.1 speaks). Data only.

Every object is closed and every key of it is always there, as `core/public.py` makes them; a test holds real answers
against these shapes, so they cannot drift apart unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum

from trayapp.core.advice import ACTIONS
from trayapp.core.client_settings import Program
from trayapp.core.model import Policy, Spec, Trigger
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.public import Json
from trayapp.core.snapshot import Detail, Health, Status

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
COUNT: Json = {"type": "integer", "minimum": 0}
SECONDS: Json = {"type": "number", "minimum": 0}
NAME: Json = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"}
TIME: Json = {"type": "string", "format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}


def ref(name: str) -> Json:
    """A shape of `SCHEMAS` by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(shape: Json) -> Json:
    """This, or null: it is not known."""
    return {"anyOf": [shape, {"type": "null"}]}


def array(shape: Json) -> Json:
    return {"type": "array", "items": shape}


def closed(words: str, properties: Mapping[str, Json], *, optional: tuple[str, ...] = ()) -> Json:
    """An object with exactly these keys, the optional ones or not."""
    return {
        "type": "object",
        "description": words,
        "properties": dict(properties),
        "required": [key for key in properties if key not in optional],
        "additionalProperties": False,
    }


def word(kind: type[StrEnum]) -> Json:
    """One of the words of an enumeration."""
    return {"type": "string", "enum": [each.value for each in kind]}


def _policy() -> Json:
    shapes = {float: SECONDS, int: COUNT, tuple: array(SECONDS)}
    return closed(
        "The numbers of the retry rules; durations in seconds.",
        {field.name: shapes[type(getattr(Policy(), field.name))] for field in fields(Policy)},
    )


def _spec() -> dict[str, Json]:
    shapes = {str: TEXT, bool: FLAG, int: COUNT, tuple: array(TEXT)}
    spec = Spec("name", "url")
    shown = {field.name: shapes[type(getattr(spec, field.name))] for field in fields(Spec) if field.name != "policy"}
    return {**shown, "name": NAME}


KEYS: Mapping[str, Json] = {  # of a workload in the configuration, as it is written there
    **{key: shape for key, shape in _spec().items() if key != "name"},
    **{field.name: {"description": "As in config.toml."} for field in fields(Policy)},
}
_WORDS_OF_STATUS: Mapping[str, Json] = {
    "status": word(Status),
    "status_context": {"type": "string", "description": "One plain sentence; empty when all is well."},
    "health": word(Health),
    "auth": ref("Auth"),
}

_SEGMENT: Mapping[str, Json] = {
    "at": TIME,
    "status": word(Status),
    "colour": {"type": "string", "enum": [each.name.lower() for each in Colour]},
    "glyph": word(Glyph),
    "detail": {"type": "string", "enum": [*(each.value for each in Detail), "asleep", "not_running"]},
    "text": {"type": "string", "description": "One plain sentence."},
}

SCHEMAS: Mapping[str, Json] = {
    "Workload": closed(
        "One row of the list: ToolHive's keys, how it is drawn in the tray, and `health` and `auth`.",
        {
            "name": NAME,
            "package": TEXT,
            "url": TEXT,
            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
            "transport_type": TEXT,
            "created_at": TIME,
            "remote": FLAG,
            "started_at": TIME,
            "colour": {"type": "string", "enum": [each.name.lower() for each in Colour]},
            "glyph": word(Glyph),
            "action": {"type": "string", "enum": ["", *ACTIONS], "description": "The one click that helps most."},
            "help": {"type": "string", "description": "What to do, one sentence; empty when all is well."},
            **_WORDS_OF_STATUS,
        },
    ),
    "WorkloadList": closed("The workloads by name.", {"workloads": array(ref("Workload"))}),
    "WorkloadStatus": closed(
        "The status of one workload; `sources` are those that tell of network and sleep now.",
        {"name": NAME, "url": TEXT, **_WORDS_OF_STATUS, "sources": array(TEXT)},
    ),
    "Auth": closed(
        "Why the status is what it is.",
        {
            "detail": word(Detail),
            "since": TIME,
            "attempts": {**COUNT, "description": "Failed attempts of this outage."},
            "last_outcome": maybe(TEXT),
            "last_error": maybe(ref("Problem")),
            "last_trigger": maybe(word(Trigger)),
            "next_attempt_at": maybe(TIME),
            "ceiling_at": maybe(TIME),
            "token_expires_at": maybe(TIME),
            "retrying_since": maybe(TIME),
            "last_refreshed_at": maybe(TIME),
            "lost_rotations": COUNT,
            "signing_in": FLAG,
            "device": maybe(ref("DeviceCode")),
            "sign_in_error": maybe(ref("Problem")),
            "sign_in_warning": maybe(ref("Problem")),
        },
    ),
    "DeviceCode": closed(
        "What a person types where to finish a sign-in by device code (RFC 8628).",
        {
            "user_code": TEXT,
            "verification_uri": TEXT,
            "verification_uri_complete": maybe(TEXT),
            "expires_at": TIME,
        },
    ),
    "Problem": closed(
        "Why something failed; never a token, never a raw body.",
        {"kind": TEXT, "http_status": maybe({"type": "integer"}), "code": maybe(TEXT), "summary": TEXT},
    ),
    "Configuration": closed(
        "How a workload is configured; no secret is ever in it. `transport` and `oauth_config` are ToolHive's words.",
        {
            **_spec(),
            "transport": TEXT,
            "oauth_config": ref("OAuthConfig"),
            "policy": ref("Policy"),
        },
    ),
    "OAuthConfig": closed(
        "The login in ToolHive's words.",
        {
            "issuer": TEXT,
            "authorize_url": TEXT,
            "token_url": TEXT,
            "client_id": TEXT,
            "scopes": array(TEXT),
            "use_pkce": {"const": True},
            "callback_port": COUNT,
            "resource": TEXT,
        },
    ),
    "Policy": _policy(),
    "Token": closed(
        "A usable access token. The only answer that holds one.",
        {"access_token": TEXT, "token_type": {"const": "Bearer"}, "expires_at": maybe(TIME)},
    ),
    "ClientAccess": closed(
        "How a program on this machine reaches a workload through the proxy; `headers` holds the local key.",
        {
            "name": NAME,
            "url": TEXT,
            "headers": {"type": "object", "additionalProperties": TEXT},
            "lasting": {"type": "boolean", "description": "false: the address is another one after the next start."},
            "settings": {
                "type": "object",
                "description": "Text to be pasted, by program.",
                "properties": {program.value: TEXT for program in Program},
                "required": [program.value for program in Program],
                "additionalProperties": False,
            },
        },
    ),
    "Unavailable": closed(
        "Why there is no token; `Retry-After` says when to ask again.",
        {
            "error": TEXT,
            "status": word(Status),
            "detail": word(Detail),
            "since": TIME,
            "next_attempt_at": maybe(TIME),
            "help": TEXT,
        },
    ),
    "AuthorizationPage": closed(
        "The page where a person signs in, null where a pending sign-in was agreed to; and what was found on the way there.",
        {"authorization_url": maybe(TEXT), "steps": array(TEXT)},
    ),
    "Reloaded": closed(
        "What the configuration files said.", {"ok": FLAG, "errors": array(TEXT), "warnings": array(TEXT)}
    ),
    "Report": closed(
        "What `doctor` asks the running app. `token_endpoints`: where each login is refreshed, by workload.",
        {
            "checks": array(ref("Check")),
            "tray": {"type": "boolean", "description": "It was started with an icon."},
            "token_endpoints": {"type": "object", "additionalProperties": TEXT},
        },
    ),
    "Check": closed("One line of it.", {"name": TEXT, "state": TEXT, "text": TEXT, "help": TEXT}),
    "App": closed(
        "How the app itself is; `warnings` and `broken` are sentences.",
        {
            "version": TEXT,
            "started_at": TIME,
            "gate": {"type": "string", "description": "Why nothing is attempted now: a `detail` word, or empty."},
            "muted": {"type": "boolean", "description": "Notifications are off."},
            "broken": {"type": "string", "description": "Why the configuration cannot be read, or empty."},
            "warnings": array(TEXT),
        },
    ),
    "Segment": closed(
        "From `at` on it was so. In a gap, `status` is unknown and `detail` asleep or not_running.",
        _SEGMENT,
    ),
    "History": closed(
        "Segments of one workload, oldest first; the first began before `since`. `more`: ask on from the last one.",
        {"workload": NAME, "since": TIME, "rows": array(ref("Segment")), "more": FLAG},
    ),
    "Histories": closed(
        "The same of all workloads, by name.",
        {"since": TIME, "workloads": {"type": "object", "additionalProperties": ref("Rows")}},
    ),
    "Rows": closed("Segments of one workload.", {"rows": array(ref("Segment")), "more": FLAG}),
    "Session": closed("The key of a page.", {"key": TEXT}),
    "DashboardLink": closed("Where the dashboard opens.", {"url": TEXT}),
    "Version": closed("The running version.", {"version": TEXT}),
    "Error": closed(
        "Every refusal; `field` names what is wrong in the body, where it is one field.",
        {"error": TEXT, "message": TEXT, "field": TEXT},
        optional=("field",),
    ),
}
