"""Import of ToolHive's run configurations: what is taken, and what never is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trayapp.importers.entries import ImportableEntry, SkippedEntry
from trayapp.importers.toolhive import folder, read

URL = "https://mcp.example.com/mcp"
HOME = Path("/home/u")
# As `thv run` leaves it; the names of secrets are references, and even they stay there.
WHOLE = {
    "schema_version": "v0.1.0",
    "name": "Example",
    "remote_url": URL,
    "transport": "streamable-http",
    "remote_auth_config": {
        "client_id": "mine",
        "client_secret": "CANARY-secret",
        "scopes": ["read"],
        "callback_port": 8666,
        "use_pkce": True,
        "resource": URL,
        "issuer": "https://as.example.com",
        "authorize_url": "https://as.example.com/authorize",
        "token_url": "https://as.example.com/token",
        "cached_refresh_token_ref": "CANARY-refresh",
        "cached_client_id": "CANARY-registered",
        "cached_client_secret_ref": "CANARY-cached",
    },
}


def taken(config: Any) -> ImportableEntry:
    found = read("file", json.dumps(config))
    assert isinstance(found, ImportableEntry)
    return found


def test_the_configuration_is_taken_and_no_secret() -> None:
    """Nor its own registration with the server."""

    found = taken(WHOLE)
    assert {
        "url": URL,
        "issuer": "https://as.example.com",
        "authorization_endpoint": "https://as.example.com/authorize",
        "token_endpoint": "https://as.example.com/token",
        "client_id": "mine",
        "scopes": ["read"],
        "resource": URL,
        "redirect_port": 8666,
    } == found.keys
    assert "CANARY" not in repr((found, found.keys, found.notes))
    assert ("amberlight secret set NAME" in found.notes[0], "127.0.0.1:8666" in found.notes[1]) == (True, True)


def test_a_registered_client_is_registered_anew() -> None:
    """Its port was for ToolHive's registration."""

    found = taken({"remote_url": URL, "remote_auth_config": {"cached_client_id": "x", "callback_port": 8666}})
    assert ({"url": URL}, "file", ()) == (found.keys, found.original_name, found.notes)


def test_older_files_have_other_spellings() -> None:
    """The older spellings are read too."""

    old = {
        "ClientID": "c",
        "Scopes": ["a"],
        "Issuer": "https://as.example.com",
        "CallbackPort": 1,
        "OAuthParams": {"a": "b"},
    }
    found = taken({"remote_url": URL, "name": "old", "remote_auth_config": old})
    assert ("c", ["a"], "https://as.example.com", 1) == tuple(
        found.keys[key] for key in ("client_id", "scopes", "issuer", "redirect_port")
    )
    assert "OAuth parameters" in found.notes[-1]


@pytest.mark.parametrize("odd", [7, "x", [], None])
def test_unknown_and_odd_fields_are_passed_over(odd: object) -> None:
    """Only the address has to be right."""

    assert {"url": URL} == taken({"remote_url": URL, "name": odd or 7, "remote_auth_config": odd, "new": odd}).keys


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"name": "x', "damaged"),
        ("[]", "damaged"),
        ("[" * 100_000, "damaged"),
        ('{"remote_url": 7}', "must be a URL"),
        ('{"remote_url": "https://a.example", "remote_auth_config": {"bearer_token": "CANARY"}}', "fixed token"),
        ('{"remote_url": "https://a.example", "remote_auth_config": {"BearerTokenFile": "CANARY"}}', "fixed token"),
    ],
)
def test_what_cannot_be_taken_says_why(text: str, why: str) -> None:
    """By the file's name, or by the workload's."""

    found = read("x", text)
    assert isinstance(found, SkippedEntry)
    assert why in found.reason
    assert found.name in ("x", "x.json")
    assert "CANARY" not in repr(found)


def test_a_container_is_not_imported() -> None:
    """It has no remote address."""

    assert read("x", '{"name": "x", "image": "y"}') is None


@pytest.mark.parametrize(
    ("platform", "environ", "place"),
    [
        ("linux", {}, HOME / ".local/state/toolhive/runconfigs"),
        pytest.param(
            "linux",
            {"XDG_STATE_HOME": "/s"},
            Path("/s/toolhive/runconfigs"),
            marks=pytest.mark.linux("/s is no whole path elsewhere"),
        ),
        ("linux", {"XDG_STATE_HOME": "relative"}, HOME / ".local/state/toolhive/runconfigs"),
        ("darwin", {}, HOME / "Library/Application Support/toolhive/runconfigs"),
        ("win32", {"LOCALAPPDATA": str(Path.cwd())}, Path.cwd() / "toolhive/runconfigs"),
        ("win32", {}, HOME / "AppData/Local/toolhive/runconfigs"),
    ],
)
def test_the_state_directory_on_each_system(platform: str, environ: dict[str, str], place: Path) -> None:
    """On every system, in its state directory."""

    assert place == folder(platform, environ, HOME)
