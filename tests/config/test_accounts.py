"""`kind = "account"`: a workload without an address, what it needs and what it can't have."""

from __future__ import annotations

from pathlib import Path

import pytest

from trayapp.config import described
from trayapp.config.described import Files
from trayapp.config.loader import ConfigError, Paths, load

GOOD = 'kind = "account"\nissuer = "https://login.example.com"\n'


def read(paths: Paths, entry: str) -> object:
    return load(paths, {}, text=f"[workloads.mail]\n{entry}").workloads["mail"]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path)


def refusal(paths: Paths, entry: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(paths, entry)
    return "\n".join(f"{mistake.key}: {mistake.sentence}" for mistake in caught.value.mistakes)


def test_an_account_needs_no_url(paths: Paths) -> None:
    """Its sign-in server is enough; its git servers are names of hosts, with a port where it isn't 443."""

    hosts = '["git.example.com", "git.example.com:8443", "[::1]:8443"]'
    spec = load(paths, {}, text=f"[workloads.mail]\n{GOOD}hosts = {hosts}\n").workloads["mail"]
    assert ("account", "") == (spec.kind, spec.url)
    assert ("git.example.com", "git.example.com:8443", "[::1]:8443") == spec.hosts


def test_https_own_port_is_left_out(paths: Paths) -> None:
    """git names the host without it."""

    spec = load(paths, {}, text=f'[workloads.mail]\n{GOOD}hosts = ["git.example.com:443", "[::1]:443"]\n').workloads[
        "mail"
    ]
    assert ("git.example.com", "[::1]") == spec.hosts


@pytest.mark.parametrize(
    "server",
    [
        'metadata_url = "https://login.example.com/metadata"',
        'authorization_endpoint = "https://a.example/a"\ntoken_endpoint = "https://a.example/t"\nclient_id = "c"',
        'token_endpoint = "https://a.example/t"\ndevice_authorization_endpoint = "https://a.example/d"\nclient_id = "c"',
    ],
)
def test_its_server_may_be_given_in_each_way(paths: Paths, server: str) -> None:
    assert read(paths, f'kind = "account"\n{server}\n')


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ('kind = "account"', "workloads.mail: issuer is missing. An account needs its sign-in server"),
        (GOOD + 'url = "https://mcp.example.com"', "workloads.mail: url must be removed: an account has no address"),
        (
            'url = "https://mcp.example.com"\nhosts = ["git.example.com"]',
            'workloads.mail: hosts needs kind = "account"',
        ),
        (
            GOOD + "dpop = true",
            "workloads.mail: dpop must be removed: mail programs and git can't use a token that is bound",
        ),
        ('kind = "mailbox"', 'workloads.mail.kind: must be "server" or "account"'),
        (
            'kind = "account"\nclient_id = "c"\ntoken_endpoint = "https://a.example/t"',
            "authorization_endpoint is missing",
        ),
    ],
)
def test_a_mistake_is_named(paths: Paths, entry: str, sentence: str) -> None:
    assert sentence in refusal(paths, entry)


@pytest.mark.parametrize(
    "host",
    ["https://git.example.com", "Git.example.com", "git.example.com/path", "*.example.com", "", "a b", "a:0", "a:123456",
     "user@git.example.com", "git.example.com:", "-a", "a-", "git.example.com\\n", "[::1", "é.example"],
)  # fmt: skip
def test_a_host_is_no_pattern_and_no_address(paths: Paths, host: str) -> None:
    assert "workloads.mail.hosts: must be a list of lowercase hosts" in refusal(paths, f'{GOOD}hosts = ["{host}"]')


def test_settings_show_what_matters_to_the_kind() -> None:
    """An account's have no address, local key, origins or bound tokens; a server's have no git servers."""

    account = {"workloads": {"mail": {"kind": "account"}, "notes": {"url": "https://mcp.example.com"}}}
    files = Files({}, account)
    of_account = {row.name for row in described.workload_rows(files, {}, "mail")}
    of_server = {row.name for row in described.workload_rows(files, {}, "notes")}
    assert {"url", "dpop", "require_key", "allowed_origins", "mcp"} == of_server - of_account
    assert {"hosts"} == of_account - of_server
    site = {row.name for row in described.workload_rows(Files(account, {}), {}, "mail")}
    assert of_account == site
