"""Text to paste into clients' settings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from trayapp.clients.pasted import PLAIN, pasted, plain, texts
from trayapp.clients.table import BY_NAME, TABLE
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import Secret

URL = "http://127.0.0.1:8765/w/notes"
ACCESS = ClientAccess("notes", URL, Secret("key-1"), command=("/bin/amberlight", "stdio", "notes"))
HEADERS = {"Authorization": "Bearer key-1"}


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        ("claude-code", {"mcpServers": {"notes": {"type": "http", "url": URL, "headers": HEADERS}}}),
        ("cursor", {"mcpServers": {"notes": {"url": URL, "headers": HEADERS}}}),
        ("vscode", {"servers": {"notes": {"type": "http", "url": URL, "headers": HEADERS}}}),
        ("claude-desktop", {"mcpServers": {"notes": {"command": "/bin/amberlight", "args": ["stdio", "notes"]}}}),
    ],
)
def test_each_client_has_its_own_words(client: str, expected: object) -> None:
    """Name, address and key as the client's own documentation writes them."""

    assert expected == json.loads(pasted(BY_NAME[client], ACCESS))


def test_an_sse_server_is_named_as_one() -> None:
    """Where the client has a word for it; where it has none, by the command."""

    access = replace(ACCESS, sse=True)

    assert "sse" == json.loads(pasted(BY_NAME["claude-code"], access))["mcpServers"]["notes"]["type"]
    assert {"url": URL, "headers": HEADERS} == json.loads(pasted(BY_NAME["gemini-cli"], access))["mcpServers"]["notes"]
    assert 'args = ["stdio", "notes"]' in pasted(BY_NAME["codex"], access)
    assert "sse" == json.loads(plain(access))["type"]


def test_without_a_key_there_is_no_header() -> None:
    """A workload that needs no key adds no empty header; only the generic `json` always has the field."""

    access = replace(ACCESS, key=None)

    assert {"notes": {"url": URL}} == json.loads(pasted(BY_NAME["cursor"], access))["mcpServers"]
    assert {"name": "notes", "type": "http", "url": URL, "headers": {}} == json.loads(plain(access))


def test_there_is_a_text_for_everybody() -> None:
    """And the key is in nothing that is not to be pasted."""

    assert {client.name for client in TABLE} | {PLAIN} == set(texts(ACCESS))
    assert "key-1" not in repr(ACCESS)
