"""Small corrections of what people type."""

from __future__ import annotations

import pytest

from trayapp.config.checks import url
from trayapp.config.corrections import corrected, corrected_address, corrected_name
from trayapp.config.kinds import KINDS, as_toml
from trayapp.config.settings import NAME, SETTINGS


@pytest.mark.parametrize(
    ("typed", "name"),
    [("Notion", "notion"), ("  My  Server ", "my-server"), ("a_b-1", "a_b-1"), ("Ä", "ä"), ("", "")],
)
def test_names(typed: str, name: str) -> None:
    """Small letters, and hyphens for spaces; the rest is for the check."""

    assert name == corrected_name(typed)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("mcp.notion.com/mcp", "https://mcp.notion.com/mcp"),
        (" https://mcp.notion.com/mcp \n", "https://mcp.notion.com/mcp"),
        ("HTTPS://mcp.notion.com", "https://mcp.notion.com"),
        ("mcp.example.com:8443/a?b=c", "https://mcp.example.com:8443/a?b=c"),
        ("localhost:3000/mcp", "http://localhost:3000/mcp"),
        ("127.0.0.1/mcp", "http://127.0.0.1/mcp"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("http://mcp.notion.com", "http://mcp.notion.com"),  # refused by the check: nobody is sent elsewhere silently
        ("ftp://x.example", "ftp://x.example"),
        ("user:secret@x.example", "user:secret@x.example"),
        ("notion", "notion"),
        ("not an address", "not an address"),
        ("", ""),
    ],
)
def test_addresses(typed: str, address: str) -> None:
    """https where the scheme is missing, http only for this machine."""

    assert address == corrected_address(typed)


def test_keys() -> None:
    """Addresses are completed, other texts only trimmed, and no other value is touched."""

    typed = {
        "url": "x.example",
        "client_id": " c ",
        "scopes": [" a", "b "],
        "issuer": None,
        "port": 1,
        "ceiling": "1h ",
    }

    assert {
        "url": "https://x.example",
        "client_id": "c",
        "scopes": ["a", "b"],
        "issuer": None,
        "port": 1,
        "ceiling": "1h",
    } == corrected(typed)


def test_each_setting_has_a_kind() -> None:
    """And each default is a valid value, as it would stand in the file."""

    for setting in SETTINGS:
        kind = KINDS[setting.check]
        assert kind.help.endswith(".")
        if setting.default is not None:
            assert setting.default == setting.check(as_toml(setting.default, setting))
    assert NAME.fullmatch(corrected_name("Notion"))
    assert url(corrected_address("mcp.notion.com/mcp"))
