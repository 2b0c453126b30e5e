"""What the API says of an outage has the shape that it promises, whatever the cause."""

from __future__ import annotations

import pytest

from tests.api.json_schema import violations
from trayapp.api import openapi
from trayapp.core.outages import Cause, Outage
from trayapp.core.public import app_json
from trayapp.core.snapshot import Snapshot


@pytest.mark.parametrize("cause", Cause)
@pytest.mark.parametrize("port", [8765, 0])
def test_each_cause_has_the_described_shape(cause: Cause, port: int) -> None:
    """With and without a holder, and a port in its place."""

    document = openapi.document("1")
    for outage in (Outage(port, cause), Outage(port, cause, "python3 (process 1)", "Why", 40000), None):
        told = app_json(Snapshot(1, outage=outage), "1", 1_800_000_000.0)
        assert [] == violations(document, document["components"]["schemas"]["App"], told)  # type: ignore[index]
