"""Operations of the dashboard's set-up, and their schemas."""

from __future__ import annotations

from collections.abc import Mapping

from trayapp.api.operation import BASE, ONE, Operation
from trayapp.api.shapes import COUNT, NAME, TEXT, array, nullable, object_of, ref
from trayapp.core.public import Json

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "offers",
        "GET",
        f"{BASE}/offers",
        "Remote servers in the files of installed clients and ToolHive that aren't workloads yet.",
        {200: ref("Offers")},
        refusals=(409,),
    ),
    Operation(
        "check",
        "POST",
        f"{ONE}/check",
        "Ask for its tools as a client does, through the proxy; takes at most 20 s.",
        {200: ref("ToolsCheck")},
        body={},
        refusals=(503,),
    ),
)
SCHEMAS: Mapping[str, Json] = {
    "Offers": object_of("Servers that could be added.", {"offers": array(ref("Offer"))}),
    "Offer": object_of(
        "One of them: the `name` it would get, the clients that have it, and the keys of its table, for `add`.",
        {
            "name": NAME,
            "host": TEXT,
            "places": array(TEXT),
            "keys": {"type": "object", "description": "As `add` takes them; there is no secret among them."},
            "notes": array(TEXT),
        },
    ),
    "ToolsCheck": object_of(
        "What came of it. `tools` is null if there was no answer to count; `help` then says what to do.",
        {"tools": nullable(COUNT), "message": TEXT, "help": TEXT},
    ),
}
