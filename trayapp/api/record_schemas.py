"""JSON Schemas of what is looked at after the fact: activity, diagnostics, the log, a report. Data only."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.api.shapes import COUNT, FLAG, NAME, SECONDS, TEXT, TIME, array, nullable, object_of, ref
from trayapp.core.activity import VIA
from trayapp.core.log_lines import LEVELS
from trayapp.core.public import Json

DAYS: Json = {"type": "integer", "enum": [1, 7, 30]}
LEVEL: Json = {"type": "string", "enum": list(LEVELS)}

SCHEMAS: Mapping[str, Json] = {
    "Activity": object_of(
        "Requests of clients, newest first. `more`: ask on with the last `id` as `before`. `recording`: the setting "
        "`activity`. `dropped`: requests of this run that weren't recorded because too many came at the same time.",
        {"rows": array(ref("ActivityRow")), "more": FLAG, "recording": FLAG, "dropped": COUNT},
    ),
    "ActivityRow": object_of(
        "One request that ended; never an argument, a query, a header or content. What looks like a secret is shown as …",
        {
            "id": COUNT,
            "at": {**TIME, "description": "When it began."},
            "workload": NAME,
            "client": {**TEXT, "description": "As it calls itself; empty: it doesn't."},
            "client_version": TEXT,
            "via": {
                "type": "string",
                "enum": list(VIA),
                "description": "mcp: through `/mcp`; stdio: through `amberlight stdio`.",
            },
            "mcp": {**FLAG, "description": "false: plain HTTP."},
            "method": {**TEXT, "description": "Of MCP, such as tools/call; else of HTTP."},
            "target": {**TEXT, "description": "The tool or prompt; for plain HTTP the path. May be empty."},
            "status": {
                **nullable({"type": "integer"}),
                "description": "Of HTTP; null: the client left before it was answered.",
            },
            "served": {**FLAG, "description": "The workload's server answered; false: Amberlight did, in its place."},
            "duration": {**SECONDS, "description": "In s, of a stream until its end."},
        },
    ),
    "ActivityClients": object_of("Who used what, latest first.", {"rows": array(ref("ActivityClient"))}),
    "ActivityClient": object_of(
        "A client of a workload: how many of its requests are recorded, and when the latest began.",
        {"client": TEXT, "via": {"type": "string", "enum": list(VIA)}, "workload": NAME, "count": COUNT, "at": TIME},
    ),
    "Diagnostics": object_of(
        "The checks of `amberlight doctor`. `fixable`: one of them can be fixed by `fix`.",
        {"checks": array(ref("Check")), "fixable": FLAG},
    ),
    "Log": object_of(
        "Entries of Amberlight's own log, newest first. `more`: there are older ones that fit.",
        {"file": TEXT, "entries": array(ref("LogEntry")), "more": FLAG},
    ),
    "LogEntry": object_of(
        "One entry; a traceback is part of `text`.",
        {"at": TIME, "level": LEVEL, "logger": TEXT, "text": TEXT},
    ),
    "BugReport": object_of(
        "A report for a bug tracker, without secrets; `file` is a name for it.", {"file": TEXT, "text": TEXT}
    ),
    "Bucket": object_of(
        "A part of the time, `bucket_seconds` long; what is missing of it in `parts` was before the workload was added, or is yet to come.",
        {"at": TIME, "parts": array(ref("BucketPart"))},
    ),
    "BucketPart": object_of(
        "How many seconds of the bucket it was so; the longest part comes first.",
        {"status": TEXT, "colour": TEXT, "glyph": TEXT, "detail": TEXT, "seconds": SECONDS},
    ),
    "Attempt": object_of(
        "One attempt to refresh or sign in, or something else that happened to the login, in plain words.",
        {"at": TIME, "kind": TEXT, "outcome": TEXT, "trigger": TEXT, "good": FLAG, "text": TEXT},
    ),
}

HISTORY: Mapping[str, Json] = {  # of `History`, if it is asked for by `days`
    "until": {**TIME, "description": "Where the last bucket ends; may be ahead."},
    "bucket_seconds": SECONDS,
    "buckets": {**array(ref("Bucket")), "description": "Oldest first; only if `days` was given."},
    "attempts": {**array(ref("Attempt")), "description": "Newest first, at most 50; only if `days` was given."},
}
