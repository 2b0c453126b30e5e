"""Client settings: the JSON to paste into other programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from trayapp.core.client_settings import ClientAccess, Program, settings_text
from trayapp.core.model import Secret

URL = "http://127.0.0.1:8765/w/notes"
ACCESS = ClientAccess("notes", URL, Secret("key-1"))
HEADERS = {"Authorization": "Bearer key-1"}


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (Program.CLAUDE, {"mcpServers": {"notes": {"type": "http", "url": URL, "headers": HEADERS}}}),
        (Program.CURSOR, {"mcpServers": {"notes": {"url": URL, "headers": HEADERS}}}),
        (Program.VSCODE, {"servers": {"notes": {"type": "http", "url": URL, "headers": HEADERS}}}),
        (Program.JSON, {"name": "notes", "type": "http", "url": URL, "headers": HEADERS}),
    ],
)
def test_each_program_has_its_own_words(program: Program, expected: object) -> None:
    """Name, address and key as the program's own documentation writes them."""

    assert expected == json.loads(settings_text(ACCESS, program))


def test_without_a_key_there_is_no_header() -> None:
    """A workload that needs no key adds no empty header; only the generic `json` always has the field."""

    access = replace(ACCESS, key=None)

    assert {"notes": {"url": URL}} == json.loads(settings_text(access, Program.CURSOR))["mcpServers"]
    assert json.loads(settings_text(access, Program.JSON))["headers"] == {}


def test_the_key_is_only_in_the_pasted_text() -> None:
    """Only the text made for pasting has it."""

    assert "key-1" not in repr(ACCESS)
