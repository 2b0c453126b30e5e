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
    Operation("external_status", "GET", ONE_EXTERNAL, "How one of them is.", {200: ref("WorkloadStatus")}),
    Operation(
        "external_history",
        "GET",
        f"{ONE_EXTERNAL}/history",
        "What it looked like and when, while Amberlight ran.",
        {200: ref("History")},
        query=(*SINCE_QUERIES, DAYS_QUERY),
    ),
    click(
        "external_restart",
        f"{ONE_EXTERNAL}/restart",
        "Have its program restart it. A second request while that is under way changes nothing.",
        refusals=(409,),
    ),
)
SCHEMAS: Mapping[str, Json] = {
    "ExternalList": object_of(
        "The workloads of other programs by name; `problems` says why some are missing or old, a sentence each.",
        {"workloads": array(ref("Workload")), "problems": array(TEXT)},
    ),
}
