"""`doctor` fetches each hosted client metadata document, and says what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from trayapp.app.client_document_checks import client_documents
from trayapp.config.loader import Config, Paths, load
from trayapp.core.checks import OK, PROBLEM, WARNING
from trayapp.core.outcomes import Fault
from trayapp.oauth import client_document
from trayapp.oauth.wire import Wire

URL = "https://ada.example/client.json"
HEAD = f'[settings]\nclient_metadata_url = "{URL}"\n'
WORKLOADS = (
    '[workloads.a]\nurl = "https://a.test/mcp"\n[workloads.b]\nurl = "https://b.test/mcp"\nredirect_port = 9001\n'
)


def config(text: str) -> Config:
    nowhere = Path("/nowhere")
    return load(Paths(nowhere / "c", nowhere / "s", nowhere, nowhere, nowhere, nowhere / "log"), {}, text=text)


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        ("", OK, "is complete"),
        ("isn't JSON", PROBLEM, "isn't JSON."),
        (Fault(False, "dns", "x"), WARNING, "Can't find ada.example"),
    ],
)
async def test_each_document_is_fetched(
    monkeypatch: pytest.MonkeyPatch, found: Fault | str, state: str, words: str
) -> None:
    """Once for each redirect address that it has to list."""

    looked: list[tuple[str, int]] = []

    async def look(url: str, port: int, wire: Wire, limit: float = 1.0, *, keyed: bool | None) -> Fault | str:
        looked.append((url, port))
        return found

    monkeypatch.setattr(client_document, "look", look)
    checks = await client_documents(config(HEAD + WORKLOADS))
    assert [(URL, 0), (URL, 9001)] == looked
    assert [state, state] == [check.state for check in checks]
    assert words in checks[0].text
    assert bool(checks[0].help) is (state != OK)
    looked.clear()
    await client_documents(config(HEAD))
    assert [(URL, 0)] == looked


async def test_nothing_is_checked_where_there_is_none() -> None:
    """Nor without a configuration that can be read."""

    assert [] == await client_documents(config(WORKLOADS))
    assert [] == await client_documents(None)
