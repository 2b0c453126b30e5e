"""MCP server lists of Claude, Cursor, VS Code and others: what is importable, and what is skipped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trayapp.importers.mcp_json import McpServerList, read

URL = "https://mcp.example.com/mcp"


def found(entry: Any, name: str = "x") -> McpServerList:
    return read(json.dumps({"mcpServers": {name: entry}}))


def urls(what: McpServerList) -> list[str]:
    return [make_entry.url for make_entry, _ in what.importable]


@pytest.mark.parametrize(
    "entry",
    [
        {"url": URL},  # Cursor
        {"type": "http", "url": URL},  # Claude Code, VS Code
        {"type": "sse", "url": URL, "headers": {"X-Team": "a"}},
        {"serverUrl": URL},  # Windsurf
        {"command": "npx", "args": ["-y", "mcp-remote", URL]},  # Claude Desktop
        {"command": "npx", "args": ["-y", "mcp-remote@latest", URL, "9696", "--transport", "sse-only"]},
        {"command": "cmd", "args": ["/c", "npx", "mcp-remote", URL]},
        {"command": "mcp-remote", "args": [URL]},
        {"command": "C:\\npm\\mcp-remote.cmd", "args": [URL]},
        {"command": "node", "args": ["/opt/mcp-remote", URL, "--header", "X-Team:a"]},
        {"url": URL, "oauth": {"clientId": "${ID}"}},
    ],
)
def test_what_is_remote_is_offered(entry: dict[str, Any]) -> None:
    """In every program's own spelling."""

    what = found(entry, "Our Server")
    assert [URL] == urls(what)
    assert ["Our Server"] == [make_entry.original_name for make_entry, _ in what.importable]
    assert {"url": URL} == what.importable[0][0].keys


@pytest.mark.parametrize("own", [{"auth": {"CLIENT_ID": "c"}}, {"oauth": {"clientId": "c", "callbackPort": 1}}])
def test_a_client_that_a_person_registered_comes_along(own: dict[str, Any]) -> None:
    """Its secret does not."""

    assert {"url": URL, "client_id": "c"} == found({"url": URL, **own}).importable[0][0].keys


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"url": URL, "headers": {"authorization": "Bearer CANARY"}}, "fixed key"),
        ({"url": URL, "headers": {"X-API-Key": "CANARY"}}, "fixed key"),
        ({"command": "npx", "args": ["mcp-remote", URL, "--header", "Authorization: Bearer CANARY"]}, "fixed key"),
        ({"url": f"{URL}?token=CANARY"}, "fixed key in its URL"),
        ({"url": "http://intranet/mcp"}, "must start with https://"),
        ({"url": "https://${HOST}/mcp"}, "contains variables"),
        ({"type": "http"}, "no URL"),
        ({"url": 7}, "no URL"),
        ({"command": "npx", "args": ["mcp-remote"]}, "without a URL"),
        (
            {"url": "http://127.0.0.1:8765/w/github", "headers": {"Authorization": "Bearer CANARY"}},
            "already goes through Amberlight",
        ),
        ({"url": "http://127.0.0.1:8765/k/CANARY/w/github"}, "already goes through Amberlight"),
        (
            {"command": "npx", "args": ["mcp-remote", "http://127.0.0.1:1/w/a", "--header", "Authorization:${A}"]},
            "already goes through Amberlight",
        ),
    ],
)
def test_what_is_passed_over_says_why(entry: dict[str, Any], why: str) -> None:
    """And gives no key away."""

    what = found(entry)
    assert [] == urls(what)
    assert why in what.skipped[0].reason
    assert "CANARY" not in repr(what)


@pytest.mark.parametrize("entry", [7, [], None, "x"])
def test_what_is_no_entry_is_named_as_such(entry: object) -> None:
    """It is no program on this machine."""

    what = found(entry)
    assert ([], ("its entry is empty, or not an object",), 0) == (
        urls(what),
        tuple(each.reason for each in what.skipped),
        what.local_count,
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"context_servers": {"x": {"url": "URL"}}}',
        '{"amp.mcpServers": {"x": {"url": "URL"}}}',
        '{"extensions": {"x": {"type": "streamable_http", "uri": "URL"}}}',
        '{"mcpServers": {"x": {"httpUrl": "URL"}}}',
        '{"mcp": {"x": {"type": "remote", "url": "URL"}}}',
        '{"mcp": {"servers": {"x": {"url": "URL"}}}}',
    ],
)
def test_every_clients_words_are_known(text: str) -> None:
    """The list and the address have other names in each client."""

    assert [URL] == urls(read(text.replace("URL", URL)))


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "npx", "args": ["-y", "server-fs"]},
        {"command": "x"},
        {"command": 7, "args": 7},
        {"args": ["mcp-remote", URL]},  # it has no command that could be replaced
    ],
)
def test_local_programs_are_only_counted(entry: object) -> None:
    """They need no login."""

    what = found(entry)
    assert ([], (), 1) == (urls(what), what.skipped, what.local_count)


def test_an_entry_with_the_same_key_twice_is_left_alone() -> None:
    """Which of the two counts is nobody's to guess."""

    what = read('{"servers": {"x": {"url": "https://a.example", "url": "https://b.example"}}}')
    assert "same key twice" in what.skipped[0].reason


def test_of_two_servers_with_one_name_the_last_counts() -> None:
    """As for the program itself."""

    what = read('{"servers": {"x": {"url": "https://a.example"}, "x": {"url": "https://b.example"}}}')
    assert ["https://b.example"] == urls(what)


def test_lists_in_all_their_places() -> None:
    """Claude Code has one for each project, VS Code's settings one below `mcp`."""

    what = read(
        json.dumps(
            {
                "mcpServers": {"a": {"url": "https://a.example"}},
                "mcp": {"servers": {"b": {"url": "https://b.example"}}},
                "projects": {"/p": {"mcpServers": {"c": {"url": "https://c.example"}}}, "/q": {}},
            }
        )
    )
    assert ["https://a.example", "https://b.example", "https://c.example"] == urls(what)
    assert (3, ["mcpServers", "servers", "mcpServers"]) == (
        what.list_count,
        [server.list_key for _, server in what.importable],
    )


@pytest.mark.parametrize("text", ["{}", "[]", "7", '{"other": {}}'])
def test_another_kind_of_file_has_no_list(text: str) -> None:
    """That is not the same as an empty one."""

    assert 0 == read(text).list_count
    assert 1 == read('{"servers": {}}').list_count
