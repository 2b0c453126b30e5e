"""The setting `client_key_file`: a full path; the key itself never stands in config.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.test_client_metadata_url import HEAD, config
from trayapp.config.loader import ConfigError


def test_a_full_path(tmp_path: Path) -> None:
    """As it stands in the file; nothing is read here."""

    file = (tmp_path / "client.pem").as_posix()
    assert file == config(f'{HEAD}client_key_file = "{file}"\n').workloads["mail"].client_key_file
    assert "" == config(HEAD).workloads["mail"].client_key_file


@pytest.mark.parametrize("value", ["client.pem", "~/client.pem", "-----BEGIN PRIVATE KEY-----", ""])
def test_what_is_no_full_path(value: str) -> None:
    """Where it begins would depend on who asks."""

    with pytest.raises(ConfigError) as caught:
        config(f'{HEAD}client_key_file = "{value}"\n')
    assert "full path" in str(caught.value)


def test_an_account_has_no_bound_tokens() -> None:
    """Its token is for other programs, which have no key; a server's is for the proxy."""

    account = '[workloads.mail]\nkind = "account"\nissuer = "https://login.test"\nclient_id = "c"\n'
    assert not config(account).workloads["mail"].dpop
    assert config(f"{HEAD}dpop = true\n").workloads["mail"].dpop
    with pytest.raises(ConfigError) as caught:
        config(f"{account}dpop = true\n")
    assert "dpop must be removed" in str(caught.value)
