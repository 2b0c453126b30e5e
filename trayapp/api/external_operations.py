"""Operations for workloads that other programs keep signed in, and their schemas."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.api.operation import BASE, Operation, Query, click
from trayapp.api.record_operations import DAYS_QUERY, SINCE_QUERIES
from trayapp.api.shapes import FLAG, TEXT, array, object_of, ref
from trayapp.core.public import Json

EXTERNAL = f"{BASE}/external"
ONE_EXTERNAL = EXTERNAL + "/{owner}/{name}"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "external",
        "GET",
        EXTERNAL,
        "Workloads that other programs (ToolHive) keep signed in, named OWNER/NAME.",
        {200: ref("ExternalList")},
        query=(Query("all", FLAG, "Stopped ones too."),),
    ),
    Operation("external_status", "GET", ONE_EXTERNAL, "The status of one of them.", {200: ref("WorkloadStatus")}),
    Operation(
        "external_history",
        "GET",
        f"{ONE_EXTERNAL}/history",
        "Its states and when they changed, while Amberlight ran.",
        {200: ref("History")},
        query=(*SINCE_QUERIES, DAYS_QUERY),
    ),
    click(
        "external_restart",
        f"{ONE_EXTERNAL}/restart",
        "Have its program restart it. A second request while that is in progress changes nothing.",
        refusals=(409,),
    ),
)
SCHEMAS: Mapping[str, Json] = {
    "ExternalList": object_of(
        "Other programs' workloads by name; `problems` says why some are missing or out of date, a sentence each.",
        {"workloads": array(ref("Workload")), "problems": array(TEXT)},
    ),
}
