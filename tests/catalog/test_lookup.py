"""Search in the catalog, and names that are nearly right."""

from __future__ import annotations

import pytest

from trayapp.catalog.lookup import ACCOUNTS, SERVERS, near, search


def test_an_empty_search_finds_all() -> None:
    """By name, and accounts behind the servers."""

    assert [*SERVERS, *sorted(ACCOUNTS, key=lambda each: each.name)] == search("") == search("  ")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("notion", "notion"),
        ("NOTION", "notion"),
        ("cloudflare", "cloudflare"),
        ("hugging face", "huggingface"),
        ("jira", "atlassian"),
        ("mcp.stripe.com", "stripe"),
        ("postgres supabase", "supabase"),
        ("line", "linear"),
    ],
)
def test_a_search_finds_what_is_meant(text: str, first: str) -> None:
    """In name, title, vendor, address and description, whatever the case; a name that begins so comes first."""

    assert first == search(text)[0].name


def test_all_words_have_to_be_there() -> None:
    """In any order; each word may stand in another field."""

    assert ["cloudflare-radar"] == [server.name for server in search("traffic cloudflare")]
    assert [] == search("notion traffic")


@pytest.mark.parametrize(
    ("name", "known"),
    [("notoin", "notion"), ("notion-work", "notion"), ("git-hub", "github"), ("cloudflare-dash", "cloudflare")],
)
def test_a_name_that_is_nearly_right(name: str, known: str) -> None:
    """A slip of the keys, and a known name with something behind it."""

    assert known == near(name)[0]
    assert len(near(name)) <= 3


def test_nothing_is_near_a_name_of_ones_own() -> None:
    """No far-fetched suggestion."""

    assert [] == near("zzzzzz")
