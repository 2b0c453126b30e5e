"""The accounts of the catalog: each is a whole entry but for the client ID, which nobody else's is given for."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from trayapp.catalog.lookup import ACCOUNTS, BY_NAME, search
from trayapp.catalog.server import Server
from trayapp.cli.entry_grammar import ACCOUNTS as OFFERED
from trayapp.config.loader import Paths, load
from trayapp.config.toml_values import value_text
from trayapp.core.quirks import provider_of


def text(server: Server, **more: object) -> str:
    keys = {**server.entry(), **more}
    return f"[workloads.{server.name}]\n" + "".join(f"{key} = {value_text(value)}\n" for key, value in keys.items())


@pytest.mark.parametrize("server", ACCOUNTS, ids=lambda server: server.name)
def test_an_account_is_whole_with_a_client_of_ones_own(tmp_path: Path, server: Server) -> None:
    """It says where to get one, and brings none."""

    assert "client_id" not in server.keys
    assert server.needs_client
    spec = load(Paths.under(tmp_path), {}, text=text(server, client_id="mine")).workloads[server.name]
    assert ("account", "", "mine") == (spec.kind, spec.url, spec.client_id)
    assert spec.scopes
    assert all(urlsplit(url).scheme == "https" for url in (spec.issuer or spec.token_endpoint, server.source))


@pytest.mark.parametrize("server", ACCOUNTS, ids=lambda server: server.name)
def test_its_provider_is_known(server: Server) -> None:
    """What differs from the standard there is in the table of providers."""

    endpoint = server.keys.get("token_endpoint") or server.keys["issuer"]
    assert provider_of(endpoint) in ("google", "entra", "fastmail")


def test_accounts_are_found_among_servers() -> None:
    assert BY_NAME["google-mail"] in search("google mail")
    found = BY_NAME["fastmail"].as_json()
    assert ("account", "") == (found["kind"], found["url"])
    assert {"kind": "account", **BY_NAME["fastmail"].keys} == found["keys"]
    assert ("server", {"url": BY_NAME["notion"].url}) == (BY_NAME["notion"].kind, BY_NAME["notion"].entry())


def test_the_command_offers_each() -> None:
    assert (*(server.name for server in ACCOUNTS), "openid") == OFFERED
