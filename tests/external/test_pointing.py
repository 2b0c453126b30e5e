"""Which entries of clients go to another program's proxy, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trayapp.clients import edits
from trayapp.clients.entries import Access, Transport, entry, seen
from trayapp.clients.survey import Found
from trayapp.clients.table import BY_NAME, TABLE, Client
from trayapp.core.model import Secret
from trayapp.external.pointing import is_proxy, moved, moved_back, pointing, points_at

KEY = "local-key-0123456789abcdefghijk"
PROXY = "http://127.0.0.1:21000/mcp"
OURS = Access("github", "http://127.0.0.1:8765/w/github", Secret(KEY), ("/opt/amberlight", "stdio", "github"))


@pytest.mark.parametrize(
    "url",
    [
        PROXY,
        "http://127.0.0.1:21000/mcp/",
        "http://localhost:21000/mcp",
        "http://[::1]:21000/mcp",
        "http://127.0.0.1:21000/sse",
        "http://127.0.0.1:21000/sse#github",
        "http://127.0.0.1:21000/mcp?x=1",
    ],
)
def test_its_addresses(url: str) -> None:
    """Whatever name of this machine, path of MCP, slash, query or fragment."""

    assert is_proxy(url, PROXY)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:21002/mcp",
        "http://192.0.2.1:21000/mcp",
        "https://127.0.0.1:21000/mcp",
        "http://127.0.0.1:21000/other",
        "http://127.0.0.1:21000",
        "http://127.0.0.1:port/mcp",
        "http://127.0.0.1:99999/mcp",
        "http://[::1/mcp",
        "${PROXY}/mcp",
        "",
    ],
)
def test_others(url: str) -> None:
    assert not is_proxy(url, PROXY)


def test_a_proxy_with_a_path_of_its_own() -> None:
    """ToolHive's names the path of the server."""

    assert is_proxy("http://localhost:21000/v1/github/", "http://127.0.0.1:21000/v1/github")
    assert is_proxy("http://localhost:21000", "http://127.0.0.1:21000")
    assert not is_proxy("http://localhost:21000/v1/gitlab", "http://127.0.0.1:21000/v1/github")


def test_a_proxy_at_an_address_of_the_network() -> None:
    assert is_proxy("http://192.0.2.1:21000/mcp", "http://192.0.2.1:21000/mcp")
    assert is_proxy("http://127.0.0.1:21000/mcp", "http://0.0.0.0:21000/mcp")


@pytest.mark.parametrize("client_url", ["", "nothing", "npipe://thv"])
def test_a_proxy_whose_address_is_not_known(client_url: str) -> None:
    """Nothing points to it."""

    assert not points_at({"url": ""}, client_url)
    assert not points_at({"url": PROXY}, client_url)


@pytest.mark.parametrize(
    ("value", "points"),
    [
        ({"url": PROXY}, True),
        ({"httpUrl": PROXY}, True),
        ({"serverUrl": PROXY, "headers": {"Authorization": "Bearer theirs"}}, True),
        ({"uri": PROXY, "type": "streamable_http"}, True),
        ({"transport": {"type": "streamableHttp", "url": PROXY}}, True),
        ({"command": "npx", "args": ["-y", "mcp-remote@latest", PROXY, "--allow-http"]}, True),
        ({"command": ["npx", "mcp-remote", PROXY]}, True),
        ({"command": "my-server", "args": ["--upstream", PROXY]}, False),  # another program that happens to use it
        ({"url": "https://github.example/mcp"}, False),
        ({"url": OURS.url}, False),
        ({"command": "/opt/amberlight", "args": ["stdio", "github"]}, False),
        ({"command": "node"}, False),
        ({}, False),
        ("text", False),
        (None, False),
    ],
)
def test_which_entries_point_there(value: Any, points: bool) -> None:
    assert points is points_at(value, PROXY)


@pytest.mark.parametrize("own", ["http://127.0.0.1:8765/mcp", "http://localhost:8765/w/x"])
def test_our_own_port_is_nobodys_proxy(own: str) -> None:
    """The files of the other program may be old, or wrong: the entry for all workloads here stays."""

    together = {"url": "http://127.0.0.1:8765/mcp"}
    found = [Found(BY_NAME["cursor"], Path("a"), True, {"amberlight": together, "all": together})]
    assert [] == pointing(found, "http://127.0.0.1:8765/github", own)
    assert [] != pointing(found, "http://127.0.0.1:8765/github")
    assert [] != pointing(found, "http://127.0.0.1:8765/github", own.replace("8765", "8766"))


def test_all_in_the_files() -> None:
    """Files that can't be read have none."""

    cursor, codex = BY_NAME["cursor"], BY_NAME["codex"]
    found = [
        Found(cursor, Path("a"), True, {"x": {"url": "https://x.example"}, "g": {"url": PROXY}, "h": {"url": PROXY}}),
        Found(codex, Path("b"), False, {"gh": {"url": PROXY}}),
        Found(codex, Path("c"), True, {"gh": {"url": PROXY}}, problem="c can't be read"),
    ]
    assert [("cursor", "g"), ("cursor", "h"), ("codex", "gh")] == [
        (each.client.name, each.name) for each in pointing(found, PROXY)
    ]


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_an_entry_is_as_connect_writes_it(client: Client) -> None:
    """In every client's format, from an address or through `mcp-remote`."""

    transport = Transport.STDIO if client.url is None else Transport.HTTP
    theirs: dict[str, Any] = {"command": "npx", "args": ["mcp-remote", PROXY]}
    wanted = entry(client, OURS, transport)
    assert wanted == moved(client, OURS, theirs)
    if client.url is not None:
        direct = entry(client, Access("github", PROXY, None, ()), transport)
        assert wanted == moved(client, OURS, direct)
        assert "github" == seen("github", moved(client, OURS, direct)).proxied


def test_what_people_added_stays() -> None:
    """What they always allow, a time limit, and that they have switched it off."""

    cline = BY_NAME["cline"]
    theirs = {"type": "streamableHttp", "url": PROXY, "alwaysAllow": ["search"], "timeout": 9, "disabled": True}
    made = moved(cline, OURS, theirs)
    assert theirs | {"url": OURS.url, "headers": {"Authorization": f"Bearer {KEY}"}} == made
    assert PROXY == theirs["url"]


def test_a_key_for_the_proxy_gives_way_to_ours() -> None:
    """Other headers stay."""

    theirs = {"url": PROXY, "headers": {"authorization": "Bearer CANARY", "X-Team": "a"}}
    made = moved(BY_NAME["cursor"], OURS, theirs)
    assert {"Authorization": f"Bearer {KEY}", "X-Team": "a"} == made["headers"]
    assert "CANARY" in str(theirs)


@pytest.mark.parametrize(
    ("name", "theirs", "kept"),
    [
        ("codex", {"bearer_token_env_var": "PROXY_KEY", "tool_timeout_sec": 9}, {"tool_timeout_sec": 9}),
        (
            "codex",
            {"env_http_headers": {"authorization": "KEY", "X-Org": "ORG"}},
            {"env_http_headers": {"X-Org": "ORG"}},
        ),
        ("codex", {"env_http_headers": {"Authorization": "KEY"}}, {}),
        ("claude-code", {"type": "http", "headersHelper": "/bin/key"}, {}),
    ],
)
def test_so_does_one_that_is_named_in_another_way(name: str, theirs: dict[str, Any], kept: dict[str, Any]) -> None:
    """Clients would send that one to us, or refuse the entry without the variable."""

    client = BY_NAME[name]
    made = moved(client, OURS, {"url": PROXY, **theirs})
    assert entry(client, OURS, Transport.HTTP) | kept == made
    assert {"url": PROXY, **theirs} == moved_back(client, made, {"url": PROXY, **theirs})


def test_a_server_of_sse() -> None:
    """A client that doesn't speak it starts our command."""

    sse = Access(OURS.name, OURS.url, OURS.key, OURS.command, sse=True)
    assert "sse" == moved(BY_NAME["vscode"], sse, {"type": "sse", "url": PROXY})["type"]
    assert "/opt/amberlight" == moved(BY_NAME["codex"], sse, {"url": PROXY})["command"]


def test_no_key_goes_into_a_project() -> None:
    made = moved(BY_NAME["cursor"], OURS, {"url": PROXY}, stdio=True)
    assert KEY not in str(made)
    assert ["stdio", "github"] == made["args"]


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_back_and_what_was_added_meanwhile(client: Client) -> None:
    """The entry is theirs again; what a person added to ours stays, and nothing of ours does."""

    before = {"url": PROXY, "timeout": 9}
    there = moved(client, OURS, before) | {"mine": True, "timeout": 20}
    back = moved_back(client, there, before)
    assert {"url": PROXY, "timeout": 9, "mine": True} == back
    assert before == moved_back(client, moved(client, OURS, before), before)
    assert edits.fresh(client, "github", back)
