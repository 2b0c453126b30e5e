"""How a client reaches a workload."""

from __future__ import annotations

from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import Secret


def test_the_key_is_in_the_header_and_in_no_representation() -> None:
    access = ClientAccess("notes", "http://127.0.0.1:8765/w/notes", Secret("local-key"))

    assert access.headers() == {"Authorization": "Bearer local-key"}
    assert "local-key" not in repr(access)


def test_without_a_key_there_is_no_header() -> None:
    assert ClientAccess("notes", "http://127.0.0.1:8765/w/notes", None).headers() == {}
