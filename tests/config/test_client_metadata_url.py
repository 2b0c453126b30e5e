"""The setting `client_metadata_url`: for one workload or for all, and only an address that may be a client ID."""

from __future__ import annotations

from pathlib import Path

import pytest

from trayapp.config.loader import Config, ConfigError, Paths, load

HEAD = '[workloads.mail]\nurl = "https://mcp.test/mcp"\n'
GLOBAL = '[settings]\nclient_metadata_url = "https://ada.example/client.json"\n'


def config(text: str) -> Config:
    nowhere = Path("/nowhere")
    paths = Paths(nowhere / "config.toml", nowhere / "site.toml", nowhere, nowhere, nowhere, nowhere / "log")
    return load(paths, {}, text=text)


def test_the_workloads_own_counts_before_the_one_for_all() -> None:
    """As with the settings about timing."""

    own = 'client_metadata_url = "https://ada.example/mail.json"\n'
    assert "" == config(HEAD).workloads["mail"].client_metadata_url
    assert "https://ada.example/client.json" == config(GLOBAL + HEAD).workloads["mail"].client_metadata_url
    assert "https://ada.example/mail.json" == config(GLOBAL + HEAD + own).workloads["mail"].client_metadata_url


def test_it_is_not_part_of_the_identity() -> None:
    """Like a registration: a login that exists keeps the client it was made with."""

    assert config(HEAD).workloads["mail"].identity() == config(GLOBAL + HEAD).workloads["mail"].identity()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("http://127.0.0.1/client.json", "must start with https://"),
        ("https://ada.example", "must have a path"),
        ("https://ada.example/", "must have a path"),
        ("https://ada.example/c?x=1", "can't have a query"),
        ("https://ada.example/a/../c", "can't have a query, nor . or .."),
        ("https://ada.example/%2E/c", "can't have a query, nor . or .."),
        ("https://ada.example/c#x", "fragment"),
        ("https://me@ada.example/c", "user name"),
    ],
)
def test_an_address_that_cannot_be_a_client_id(value: str, words: str) -> None:
    """The draft's section 3."""

    with pytest.raises(ConfigError) as caught:
        config(f'{HEAD}client_metadata_url = "{value}"\n')
    assert words in str(caught.value)
