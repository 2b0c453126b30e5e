"""Operations that show what happened: activity, diagnostics, the log, a report."""

from __future__ import annotations

from trayapp.api.operation import BASE, Operation, Query
from trayapp.api.record_schemas import DAYS, LEVEL
from trayapp.api.shapes import COUNT, LISTED_NAME, NAME, TEXT, ref
from trayapp.core.activity import CLIENT_MAX
from trayapp.core.public import Json

ACTIVITY = f"{BASE}/activity"
DIAGNOSTICS = f"{BASE}/diagnostics"

_SINCE = Query("since", {"type": "string", "format": "date-time"}, "What began before this time is left out.")
_WORKLOAD = Query("workload", NAME, "Only of this workload; it may be gone.")
_LIMIT: Json = {"type": "integer", "minimum": 1, "maximum": 1000}

SINCE_QUERIES = (
    Query("since", {"type": "string", "format": "date-time"}, "From when on; a day ago if it is left out."),
    Query("limit", {"type": "integer", "minimum": 1, "maximum": 5000}, "Most segments of one workload."),
)
DAYS_QUERY = Query(
    "days", DAYS, "The last 1, 7 or 30 days, with `buckets` to draw and `attempts`; `since` is ignored then."
)

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "activity",
        "GET",
        ACTIVITY,
        "Which client used which workload and when. An event `activity` tells that there is more.",
        {200: ref("Activity")},
        query=(
            _WORKLOAD,
            Query("client", {**TEXT, "maxLength": CLIENT_MAX}, "Only of clients of this name."),
            _SINCE,
            Query("before", COUNT, "Only rows before the one with this `id`."),
            Query("limit", _LIMIT, "Most rows; 100 by default."),
        ),
    ),
    Operation(
        "activity_clients",
        "GET",
        f"{ACTIVITY}/clients",
        "Which clients used which workloads, as far as it is recorded.",
        {200: ref("ActivityClients")},
        query=(_WORKLOAD,),
    ),
    Operation("clear_activity", "DELETE", ACTIVITY, "Delete what was recorded.", {204: None}, body={}),
    Operation(
        "diagnostics",
        "GET",
        DIAGNOSTICS,
        "The checks of `amberlight doctor`; takes seconds.",
        {200: ref("Diagnostics")},
    ),
    Operation(
        "fix",
        "POST",
        f"{DIAGNOSTICS}/fix",
        "Fix what `amberlight doctor --fix` fixes, entries in clients' files, and check again.",
        {200: ref("Diagnostics")},
        body={},
        refusals=(409,),
    ),
    Operation(
        "log",
        "GET",
        f"{BASE}/log",
        "The end of Amberlight's own log.",
        {200: ref("Log")},
        query=(
            Query("level", LEVEL, "Only entries of this level or above."),
            Query("workload", LISTED_NAME, "Only entries that name this workload."),
            _SINCE,
            Query("limit", _LIMIT, "Most entries; 200 by default."),
        ),
    ),
    Operation(
        "report",
        "GET",
        f"{BASE}/report",
        "A report without secrets for a bug tracker, the same as that of `amberlight report`; takes seconds.",
        {200: ref("BugReport")},
    ),
)
