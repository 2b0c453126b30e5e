"""Operations that move another program's workload here and back, and their schemas."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.api.external_operations import ONE_EXTERNAL
from trayapp.api.operation import ONE, Operation, Query
from trayapp.api.shapes import FLAG, NAME, TEXT, array, nullable, object_of, ref
from trayapp.core.public import Json

TAKE_OVER = f"{ONE_EXTERNAL}/take-over"
_CALLED = "The name to give it here."

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "plan_take_over",
        "GET",
        TAKE_OVER,
        "What taking it over would change. Changes nothing.",
        {200: ref("TakeOverPlan")},
        query=(Query("name", TEXT, _CALLED),),
        refusals=(409,),
    ),
    Operation(
        "take_over",
        "POST",
        TAKE_OVER,
        "Take it over: it is added here, its program stops it, client entries are pointed here, and a sign-in begins. With "
        "`browser` the sign-in page is opened on this machine; without `sign_in` none begins. Its program's own login is "
        "never read.",
        {202: ref("TakenOver")},
        body={"browser": FLAG, "name": {**TEXT, "description": _CALLED}, "sign_in": FLAG},
        refusals=(409,),
    ),
    Operation(
        "give_back",
        "POST",
        f"{ONE}/give-back",
        "Undo a take-over: client entries are restored, the workload is removed here if it was added, and its program runs it "
        "again.",
        {202: ref("GivenBack")},
        body={},
        refusals=(409,),
    ),
)
_RESULT = {"name": NAME, "message": TEXT, "updated": array(TEXT), "failed": array(TEXT)}
SCHEMAS: Mapping[str, Json] = {
    "TakeOverPlan": object_of(
        "What would change: the `name` it would get, the workload here that already has its address, and the client entries "
        "that would point here. With `needs_secret`, its client's secret must be stored here before a sign-in. `problem` says "
        "why it can't be done.",
        {
            "name": TEXT,
            "url": TEXT,
            "owner": TEXT,
            "configured_as": nullable(NAME),
            "clients": array(ref("PointedEntry")),
            "notes": array(TEXT),
            "needs_secret": FLAG,
            "problem": nullable(TEXT),
        },
    ),
    "PointedEntry": object_of(
        "An entry in a client's file, by the client's title.", {"title": TEXT, "file": TEXT, "entry": TEXT}
    ),
    "TakenOver": object_of(
        "What was done; clients that were updated, by their titles, and a sentence for whatever wasn't done.",
        {**_RESULT, "authorization_url": nullable(TEXT)},
    ),
    "GivenBack": object_of("The same for undoing it.", _RESULT),
}
