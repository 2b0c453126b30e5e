"""Importable entries: valid by our settings, with names that fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.clients.connections import comparable_url
from trayapp.config.settings import NAME
from trayapp.core.model import Spec
from trayapp.importers.entries import (
    ImportableEntry,
    SkippedEntry,
    assign_names,
    make_entry,
    unused,
    workload_name,
)


def made(original_name: str, url: str) -> ImportableEntry:
    found = make_entry(original_name, {"url": url})
    assert isinstance(found, ImportableEntry)
    return found


@given(st.text(max_size=200))
def test_every_name_becomes_one_of_ours(text: str) -> None:
    """Whatever it was, also when it is taken."""

    name = workload_name(text)
    assert NAME.fullmatch(name)
    other = unused(name, {name, f"{name}-2"}, {})
    assert NAME.fullmatch(other)
    assert other not in (name, f"{name}-2")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Notion MCP", "notion-mcp"),
        ("@scope/thing", "scope-thing"),
        ("a_b-c", "a_b-c"),
        ("日本", "workload"),
        ("x" * 99, "x" * 63),
    ],
)
def test_workload_names(text: str, name: str) -> None:
    """As near as our rules allow."""

    assert name == workload_name(text)


def test_clashes_get_a_number_and_one_address_stays_one() -> None:
    """What is here is recognised by its address; the same address twice in a list is one entry."""

    here = {"github": Spec("github", "https://GitHub.example/mcp/")}
    first, second, third, again = assign_names(
        [
            made("GitHub", "https://github.example/mcp"),
            made("github", "https://other.example/mcp"),
            made("GITHUB", "https://third.example/mcp"),
            made("x", "https://third.example/mcp"),
        ],
        here,
    )
    assert ("github", True) == (first.name, first.already_configured)
    assert ("github-2", False) == (second.name, second.already_configured)
    assert ("github-3", False) == (third.name, third.already_configured)
    assert ("github-3", True) == (again.name, again.already_configured)


def test_what_is_not_right_is_left_out_and_named() -> None:
    """The rest is taken; a value is never repeated."""

    found = make_entry("a", {"url": "https://a.example", "scopes": ["CANARY x"], "client_id": "c", "resource": ""})
    assert isinstance(found, ImportableEntry)
    assert {"url": "https://a.example", "client_id": "c"} == found.keys
    assert ("scopes" in found.notes[0], "CANARY" in found.notes[0]) == (True, False)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({}, "no URL"),
        ({"url": 7}, "its URL must be a URL in quotes"),
        ({"url": "http://intranet/mcp"}, "https://"),
        ({"url": "https://u:CANARY@a.example/"}, "user name"),
        ({"url": "https://a.example/mcp?api_key=CANARY"}, "fixed key in its URL"),
        ({"url": "https://a.example/mcp?pwd=CANARY"}, "fixed key in its URL"),
        ({"url": "https://a.example/mcp?x=1&client_secret=CANARY"}, "fixed key in its URL"),
        ({"url": "https://a.example/mcp?jwt=CANARY"}, "fixed key in its URL"),
    ],
)
def test_without_an_address_that_is_right_there_is_no_offer(keys: dict[str, object], why: str) -> None:
    """And the sentence gives no secret away."""

    found = make_entry("a", keys)
    assert isinstance(found, SkippedEntry)
    assert why in found.reason
    assert "CANARY" not in found.reason


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({"token_endpoint": "https://as.example/t", "client_id": "c"}, {"client_id"}),
        ({"token_endpoint": "https://as.example/t", "authorization_endpoint": "https://as.example/a"}, set()),
        (
            {
                "token_endpoint": "https://as.example/t",
                "authorization_endpoint": "https://as.example/a",
                "client_id": "c",
            },
            {"token_endpoint", "authorization_endpoint", "client_id"},
        ),
    ],
)
def test_endpoints_come_in_pairs_and_with_a_client(keys: dict[str, object], kept: set[str]) -> None:
    """Otherwise they are found out anew."""

    found = make_entry("a", {"url": "https://a.example", **keys})
    assert isinstance(found, ImportableEntry)
    assert {"url"} | kept == found.keys.keys()


def test_addresses_that_nobody_can_read_are_compared_as_they_are() -> None:
    """No error comes of them."""

    assert "http://[oops" == comparable_url("http://[oops")
    assert "https://a.example/x?b=1" == comparable_url("HTTPS://A.example/x/?b=1")


def test_two_accounts_at_one_server_are_told_apart() -> None:
    """By their names; where the name is neither's, nobody can tell which one is meant."""

    url = "https://mcp.example.com/mcp"
    configured = {name: Spec(name, url) for name in ("work", "home")}
    work, other = assign_names(
        [ImportableEntry("Work", {"url": url}), ImportableEntry("example", {"url": url})], configured
    )

    assert ("work", True, False) == (work.name, work.already_configured, work.ambiguous)
    assert ("", True, True) == (other.name, other.already_configured, other.ambiguous)
    assert "home and work have this URL" in other.notes[0]
    three = configured | {"lab": Spec("lab", url)}
    [other] = assign_names([ImportableEntry("example", {"url": url})], three)
    assert "home, lab and work have this URL" in other.notes[0]
