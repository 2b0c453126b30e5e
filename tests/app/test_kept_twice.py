"""`doctor` on a server that another program runs while it's signed in here as well."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from trayapp.app.diagnostics import Diagnostics
from trayapp.core.checks import Check
from trayapp.core.external import ExternalWorkload, external_view
from trayapp.core.model import Spec
from trayapp.core.snapshot import Snapshot

URL = "https://mcp.example/mcp?project=a"


async def checks(word: str = "running", taken: Mapping[str, str] | None = None, **ours: str) -> list[Check]:
    """What is said of ToolHive's workload `docs`, with these URLs here."""
    view = external_view("toolhive", "ToolHive", ExternalWorkload("docs", URL, "", word), ())
    workloads = {name: SimpleNamespace(spec=Spec(name, url)) for name, url in ours.items()}
    snapshot = Snapshot(1, external={view.name: view})
    engine: Any = SimpleNamespace(workloads=workloads, snapshot=lambda: snapshot)

    async def records() -> Mapping[str, str]:
        return taken or {}

    nothing = cast("Any", None)
    made = Diagnostics(
        engine, nothing, nothing, nothing, nothing, nothing, urls=lambda: {view.name: URL}, taken_over=records
    )
    return await made._twice()


@pytest.mark.parametrize("taken", [{}, {"mine": "toolhive/docs"}, {"other": "toolhive/docs"}])
async def test_the_same_server(taken: Mapping[str, str]) -> None:
    """Its address is compared as it is, though a value in it isn't shown."""

    [check] = await checks(mine=URL, taken=taken)
    assert ("toolhive", "warning") == (check.name, check.state)
    assert "ToolHive runs docs, and mine keeps the same server signed in." == check.text
    assert check.help.endswith("To keep only mine: amberlight take-over toolhive/docs")


@pytest.mark.parametrize(
    ("word", "url", "taken"),
    [
        ("running", "https://mcp.example/mcp?project=b", {}),
        ("running", "https://mcp.example/mcp?project=***", {}),
        ("stopped", URL, {}),
        ("running", URL, {"mine": "toolhive/work"}),  # another account's
    ],
)
async def test_nothing_is_kept_twice(word: str, url: str, taken: Mapping[str, str]) -> None:
    assert [] == await checks(word, taken, mine=url)
