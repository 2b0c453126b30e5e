"""JSON Schemas (2020-12, as OpenAPI 3.1 uses) of all that the API returns. Data only.

Every object is closed, and each of its keys is always present, as `core/public.py` produces them; a test validates
real responses, so code and schemas can't drift apart unnoticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from trayapp.api import (
    editing_schemas,
    external_operations,
    record_schemas,
    setting_up_operations,
    take_over_operations,
)
from trayapp.api.shapes import (
    COUNT,
    FLAG,
    LISTED_NAME,
    NAME,
    SECONDS,
    TEXT,
    TIME,
    array,
    enum_of,
    nullable,
    object_of,
    ref,
)
from trayapp.clients.connections import State
from trayapp.core.advice import ACTIONS, EXTERNAL_ACTIONS
from trayapp.core.model import BrowserFault, Policy, Spec, Trigger
from trayapp.core.outages import Cause
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.public import Json
from trayapp.core.snapshot import Detail, Health, Status


def _policy() -> Json:
    shapes = {float: SECONDS, int: COUNT, tuple: array(SECONDS)}
    return object_of(
        "The numbers of the retry rules; durations in seconds.",
        {field.name: shapes[type(getattr(Policy(), field.name))] for field in fields(Policy)},
    )


def _spec() -> dict[str, Json]:
    shapes = {str: TEXT, bool: FLAG, int: COUNT, tuple: array(TEXT)}
    spec = Spec("name", "url")
    shown = {
        field.name: shapes[type(getattr(spec, field.name))]
        for field in fields(Spec)
        if field.name not in ("policy", "needs")
    }
    return {**shown, "name": NAME, "kind": {"enum": ["server", "account"]}}


KEYS: Mapping[str, Json] = {  # a workload's keys in the configuration file
    **{key: shape for key, shape in _spec().items() if key != "name"},
    **{field.name: {"description": "As in config.toml."} for field in fields(Policy)},
}
_STATUS_FIELDS: Mapping[str, Json] = {
    "status": {
        "type": "string",
        "description": f"One of {', '.join(Status)}; another program's may be a word of its own.",
    },
    "status_context": {"type": "string", "description": "What happened, then what to do; empty when all is well."},
    "health": enum_of(Health),
    "auth": ref("Auth"),
    "external": nullable(ref("External")),
}

_SEGMENT: Mapping[str, Json] = {
    "at": TIME,
    "status": TEXT,
    "colour": {"type": "string", "enum": [each.name.lower() for each in Colour]},
    "glyph": enum_of(Glyph),
    "detail": {"type": "string", "enum": [*(each.value for each in Detail), "asleep", "not_running"]},
    "text": {"type": "string", "description": "One plain sentence."},
}

OWNER: Json = {"type": "string", "description": "The program that keeps it signed in: Amberlight, or another's title."}
WORKLOAD_KINDS: Json = {"enum": ["server", "account"], "description": "account: it has no url, only a login."}
TRANSPORTS: Json = {"enum": ["http", "sse"], "description": "http: streamable HTTP; sse: HTTP with SSE."}
_ACCESS_FIELDS: Mapping[str, Json] = {
    "name": NAME,
    "url": TEXT,
    "headers": {"type": "object", "additionalProperties": TEXT},
    "lasting": {"type": "boolean", "description": "false: the address changes with the next start."},
    "transport": TRANSPORTS,
    "command": {**array(TEXT), "description": "Program and arguments that serve it over stdio; no key needed."},
}

SCHEMAS: Mapping[str, Json] = {
    "Workload": object_of(
        "One row of the list: ToolHive's keys, how it is drawn in the tray, and `health` and `auth`.",
        {
            "name": LISTED_NAME,
            "owner": OWNER,
            "kind": WORKLOAD_KINDS,
            "package": TEXT,
            "url": TEXT,
            "port": {"type": "integer", "minimum": 0, "maximum": 65535, "description": "0: not known."},
            "transport_type": TEXT,
            "created_at": TIME,
            "remote": FLAG,
            "started_at": TIME,
            "colour": {"type": "string", "enum": [each.name.lower() for each in Colour]},
            "glyph": enum_of(Glyph),
            "label": {**TEXT, "description": "The state in a word or two, from one fixed set."},
            "action": {
                "type": "string",
                "enum": ["", *ACTIONS, *EXTERNAL_ACTIONS],
                "description": "The one click that helps most.",
            },
            "help": {"type": "string", "description": "What to do, one sentence; empty when all is well."},
            **_STATUS_FIELDS,
        },
    ),
    "WorkloadList": object_of("The workloads by name.", {"workloads": array(ref("Workload"))}),
    "WorkloadStatus": object_of(
        "The status of one workload; `sources` are those that tell of network and sleep now.",
        {
            "name": LISTED_NAME,
            "owner": OWNER,
            "kind": WORKLOAD_KINDS,
            "url": TEXT,
            **_STATUS_FIELDS,
            "sources": array(TEXT),
        },
    ),
    "External": object_of(
        "Facts about a workload that another program keeps signed in.",
        {
            "name": {**TEXT, "description": "Its name in that program."},
            "client_url": {**nullable(TEXT), "description": "Where that program serves it to clients."},
            "actions": array({"type": "string", "enum": list(EXTERNAL_ACTIONS)}),
            "doing": {**nullable(TEXT), "description": "What Amberlight is having done to it, one sentence."},
        },
    ),
    "Auth": object_of(
        "Why the status is what it is.",
        {
            "detail": enum_of(Detail),
            "since": TIME,
            "attempts": {**COUNT, "description": "Failed attempts of this outage."},
            "last_outcome": nullable(TEXT),
            "last_error": nullable(ref("Problem")),
            "last_trigger": nullable(enum_of(Trigger)),
            "next_attempt_at": nullable(TIME),
            "ceiling_at": nullable(TIME),
            "account": {
                **nullable(TEXT),
                "description": "Who is signed in: e-mail address, user name or name, if the server gives an ID token.",
            },
            "usable": {**FLAG, "description": "There is a usable token."},
            "token_expires_at": nullable(TIME),
            "retrying_since": nullable(TIME),
            "last_refreshed_at": nullable(TIME),
            "lost_rotations": COUNT,
            "renewable": {
                **FLAG,
                "description": "false: the server gave no refresh token; only a sign-in replaces it.",
            },
            "bound": {**FLAG, "description": "Its tokens work only with a key that Amberlight keeps (DPoP, RFC 9449)."},
            "login_ends_at": {**nullable(TIME), "description": "Of a login that can't be renewed; null: no known end."},
            "missing_scopes": {**array(TEXT), "description": "What the workload's server asked for beyond the login."},
            "reauthorize_scopes": {**array(TEXT), "description": "What a sign-in would ask for because of that."},
            "signing_in": FLAG,
            "device": nullable(ref("DeviceCode")),
            "browser_fault": {
                **nullable(enum_of(BrowserFault)),
                "description": "Why the sign-in page may not have opened; null if it has.",
            },
            "sign_in_error": nullable(ref("Problem")),
            "sign_in_warning": nullable(ref("Problem")),
            "redirected_to": nullable(TEXT),
            "refused_at": {**nullable(TIME), "description": "When the server refused this login."},
            "rechecked_at": {
                **nullable(TIME),
                "description": "When it was last tried since; the server still refuses it.",
            },
        },
    ),
    "DeviceCode": object_of(
        "What a person types where to finish a sign-in by device code (RFC 8628).",
        {
            "user_code": TEXT,
            "verification_uri": TEXT,
            "verification_uri_complete": nullable(TEXT),
            "expires_at": TIME,
        },
    ),
    "Problem": object_of(
        "Why something failed; never a token, never a raw body.",
        {"kind": TEXT, "http_status": nullable({"type": "integer"}), "code": nullable(TEXT), "summary": TEXT},
    ),
    "Configuration": object_of(
        "How a workload is configured; no secret is ever in it. `transport` and `oauth_config` are ToolHive's words.",
        {
            **_spec(),
            "transport": TEXT,
            "oauth_config": ref("OAuthConfig"),
            "policy": ref("Policy"),
            "taken_over_from": {
                **nullable(TEXT),
                "description": "The program that had it before a take-over; `give-back` undoes that.",
            },
        },
    ),
    "OAuthConfig": object_of(
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
    "Token": object_of(
        "A usable access token. The only answer that holds one.",
        {"access_token": TEXT, "token_type": {"const": "Bearer"}, "expires_at": nullable(TIME)},
    ),
    "ClientAccess": object_of(
        "How a program on this machine reaches a workload through the proxy; `headers` holds the local key.",
        {
            **_ACCESS_FIELDS,
            "settings": {
                "type": "object",
                "description": "Text to paste, by client; `json` is for all others.",
                "additionalProperties": TEXT,
            },
        },
    ),
    "ClientAccessList": object_of(
        "How clients on this machine reach workloads, without the texts to paste.",
        {"clients": array(object_of("One workload; `headers` contains its local key.", _ACCESS_FIELDS))},
    ),
    "Catalog": object_of("Servers in the catalog, best match first.", {"servers": array(ref("KnownServer"))}),
    "KnownServer": object_of(
        "A well-known server. `source` is the page of its vendor that states the address.",
        {
            "name": NAME,
            "title": TEXT,
            "vendor": TEXT,
            "about": TEXT,
            "kind": WORKLOAD_KINDS,
            "url": TEXT,
            "keys": {"type": "object", "description": "Keys of its entry, as `POST /workloads` takes them."},
            "transport": TRANSPORTS,
            "needs_client_id": {
                **FLAG,
                "description": "It does not register clients: add it with a `client_id` of your own.",
            },
            "client_from": {
                **TEXT,
                "description": "Where to create one; completes “Create one …”. Empty if none is needed.",
            },
            "client_secret": {
                "enum": ["required", "optional", "none"],
                "description": "Whether a client of your own has one.",
            },
            "notes": {**TEXT, "description": "What to know before adding it, in plain sentences; may be empty."},
            "source": TEXT,
        },
    ),
    "Clients": object_of("The clients of the table, installed or not.", {"clients": array(ref("Client"))}),
    "Client": object_of(
        "One MCP client. `problem`: why its file can't be read. `restart`: what to do after a change, if anything.",
        {
            "name": TEXT,
            "title": TEXT,
            "file": TEXT,
            "installed": FLAG,
            "problem": nullable(TEXT),
            "restart": TEXT,
            "workloads": array(
                object_of(
                    "The state of one workload in its file; `entry` is the name there, or the one it would get.",
                    {"name": NAME, "state": enum_of(State), "entry": TEXT},
                )
            ),
            "all": {**nullable(enum_of(State)), "description": "The state of the single entry for all workloads."},
        },
    ),
    "ClientChange": object_of(
        "What was done. `message` says what, and what to restart; `kept` lists what was left unchanged, a sentence each.",
        {"message": TEXT, "changed": FLAG, "kept": array(TEXT), "client": ref("Client")},
    ),
    "Unavailable": object_of(
        "Why there is no token; `Retry-After` says when to ask again.",
        {
            "error": TEXT,
            "status": enum_of(Status),
            "detail": enum_of(Detail),
            "since": TIME,
            "next_attempt_at": nullable(TIME),
            "help": TEXT,
        },
    ),
    "AuthorizationPage": object_of(
        "The page where a person signs in, null where a pending sign-in was agreed to; what was found on the way there; "
        "and whether the client was registered by Amberlight.",
        {"authorization_url": nullable(TEXT), "steps": array(TEXT), "registered": FLAG},
    ),
    "Reloaded": object_of(
        "What the configuration files said.", {"ok": FLAG, "errors": array(TEXT), "warnings": array(TEXT)}
    ),
    "Report": object_of(
        "What `doctor` asks the running app. `token_endpoints`: where each login is refreshed, by workload.",
        {
            "checks": array(ref("Check")),
            "tray": {"type": "boolean", "description": "It was started with an icon."},
            "token_endpoints": {"type": "object", "additionalProperties": TEXT},
        },
    ),
    "Check": object_of(
        "One line of it. `state`: ok, warning or problem. `fixable`: `amberlight doctor --fix` can fix it.",
        {"name": TEXT, "state": TEXT, "text": TEXT, "help": TEXT, "fixable": FLAG},
    ),
    "App": object_of(
        "How the app itself is; `warnings` and `broken` are sentences.",
        {
            "version": TEXT,
            "started_at": TIME,
            "gate": {"type": "string", "description": "Why nothing is attempted now: a `detail` word, or empty."},
            "muted": {"type": "boolean", "description": "Notifications are off."},
            "broken": {
                "type": "string",
                "description": "Why there is no configuration, or a workload of it is missing; or empty.",
            },
            "outdated": {"type": "string", "description": "Why an earlier configuration is still in force, or empty."},
            "outage": nullable(ref("Outage")),
            "this_run_only": {
                "type": "boolean",
                "description": "There is no keyring: logins are kept until the app ends.",
            },
            "warnings": array(TEXT),
            "removals": array(ref("Removal")),
        },
    ),
    "Outage": object_of(
        "Why clients can't reach Amberlight at its configured `port` (0: at any), and what helps: `help` names the menu, "
        "`command_help` a command. `holder` has the port, null if that isn't known; `listening` is the port meanwhile. "
        "`movable`: another port helps (POST /port).",
        {
            "port": COUNT,
            "cause": enum_of(Cause),
            "holder": nullable(TEXT),
            "listening": nullable(COUNT),
            "movable": FLAG,
            "text": TEXT,
            "help": TEXT,
            "command_help": TEXT,
        },
    ),
    "PortChange": object_of(
        "The port from now on, what was done in `message`, the clients whose files were `updated` and those that have to be "
        "reconnected by hand (`failed`); and a link to the dashboard there, which is good once, for a minute.",
        {"port": COUNT, "message": TEXT, "updated": array(TEXT), "failed": array(TEXT), "url": TEXT},
    ),
    "Removal": object_of(
        "A login that was removed or signed out, and isn't gone yet. `until`: how long its server is asked to revoke it.",
        {"name": NAME, "server": nullable(TEXT), "deleted": FLAG, "revoked": FLAG, "until": nullable(TIME)},
    ),
    "Segment": object_of(
        "From `at` on it was so. In a gap, `status` is unknown and `detail` asleep or not_running.",
        _SEGMENT,
    ),
    "History": object_of(
        "Segments of one workload, oldest first; the first began before `since`. `more`: ask on from the last one.",
        {"workload": LISTED_NAME, "since": TIME, "rows": array(ref("Segment")), "more": FLAG, **record_schemas.HISTORY},
        optional=tuple(record_schemas.HISTORY),
    ),
    "Histories": object_of(
        "The same of all workloads, by name.",
        {"since": TIME, "workloads": {"type": "object", "additionalProperties": ref("Rows")}},
    ),
    "Rows": object_of("Segments of one workload.", {"rows": array(ref("Segment")), "more": FLAG}),
    "Session": object_of("The key of a page.", {"key": TEXT}),
    "DashboardLink": object_of("Where the dashboard opens.", {"url": TEXT}),
    "Version": object_of("The running version.", {"version": TEXT}),
    **editing_schemas.SCHEMAS,
    **external_operations.SCHEMAS,
    **record_schemas.SCHEMAS,
    **setting_up_operations.SCHEMAS,
    **take_over_operations.SCHEMAS,
}
