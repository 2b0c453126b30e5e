"""The catalog's form: every entry can be added as it stands, and names a page of its vendor's."""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import urlsplit

import pytest

from trayapp.catalog.lookup import ACCOUNTS as ACCOUNT_PROVIDERS
from trayapp.catalog.lookup import BY_NAME, SERVERS
from trayapp.catalog.server import Server
from trayapp.config.settings import IN_WORKLOAD, NAME

# Domains that are not called as the account at GitHub of whoever owns them.
ACCOUNTS = {
    "datadoghq.com": "datadog-labs",
    "githubcopilot.com": "github",
    "globalping.dev": "jsdelivr",
    "pscale.dev": "planetscale",
    "squareup.com": "square",
    "todoist.net": "Doist",
}


def domain(url: str) -> str:
    """The part of the host that is registered: `developers.asana.com` → asana.com."""
    return ".".join((urlsplit(url).hostname or "").split(".")[-2:])


def test_names_are_unique() -> None:
    """Each entry is found under its name, and no two lead to one address."""

    assert len(SERVERS) == len({server.url.rstrip("/") for server in SERVERS})
    assert len(SERVERS) + len(ACCOUNT_PROVIDERS) == len(BY_NAME)
    assert [server.name for server in SERVERS] == sorted(server.name for server in SERVERS)


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_an_entry_can_be_added(server: Server) -> None:
    """Its name is one for a workload, and its address is https, without a query, a fragment or credentials."""

    assert NAME.fullmatch(server.name)
    IN_WORKLOAD["url"].check(server.url)
    parts = urlsplit(server.url)
    assert ("https", "", "", None) == (parts.scheme, parts.query, parts.fragment, parts.port)
    assert "@" not in parts.netloc
    assert parts.netloc == parts.netloc.lower()
    assert server.sse == server.url.endswith("/sse")


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_the_vendor_states_the_address(server: Server) -> None:
    """The source is another https page: on the vendor's own domain, or in the vendor's own account at GitHub."""

    parts = urlsplit(server.source)
    assert "https" == parts.scheme
    assert parts.query == parts.fragment == ""
    assert server.source != server.url
    if parts.hostname == "github.com":
        _, account, repository, *_ = parts.path.split("/")
        owner = domain(server.url)
        assert repository
        assert ACCOUNTS.get(owner) == account or owner.split(".")[0] in account.casefold()
    else:
        assert domain(server.source) == domain(server.url)


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_an_entry_is_described(server: Server) -> None:
    """Every text is there, on one line, and short enough for a table; the date is a date that has been."""

    for text in (server.title, server.about, server.vendor):
        assert text == text.strip() != ""
    for text in (server.title, server.about, server.vendor, server.notes, server.client_from):
        assert text.isprintable()
    assert len(server.title) <= 30
    assert len(server.about) <= 50
    assert not server.about.endswith(".")
    assert re.fullmatch(r"(at|in|as) .*[^.]|", server.client_from)  # it continues "Create one …"
    if server.checked:
        assert date(2025, 1, 1) < date.fromisoformat(server.checked)
    assert server.needs_client == bool(server.client_from)
    assert server.transport == ("sse" if server.sse else "http")


def test_there_are_enough() -> None:
    """What people look for first is here."""

    assert len(SERVERS) >= 40
    assert BY_NAME.keys() >= {"notion", "linear", "sentry", "github", "atlassian", "stripe", "supabase", "slack"}
