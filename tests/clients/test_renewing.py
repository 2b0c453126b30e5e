"""Connecting what is connected: what the person or the client has added to our entry stays, tools that are allowed above all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trayapp.clients import edits
from trayapp.clients.connecting import put_all
from trayapp.clients.entries import Access, Transport, entry, transport_for
from trayapp.clients.table import BY_NAME, TABLE, Client
from trayapp.core.model import Secret

KEY = "local-key-0123456789abcdefghijk"
OLD = Access("notion", "http://127.0.0.1:8765/w/notion", Secret("old-key"), ("/opt/old/amberlight", "stdio", "notion"))
NEW = Access("notion", "http://127.0.0.1:9876/w/notion", Secret(KEY), ("/opt/amberlight", "stdio", "notion"))
# What Codex writes for "Always allow", Roo Code and Cline for theirs, and a time limit.
ADDED = {"tools": {"echo": {"approval_mode": "approve"}}, "alwaysAllow": ["echo"], "timeout": 60}


def text_of(client: Client, access: Access, transport: Transport, **added: Any) -> str:
    return edits.fresh(client, access.name, {**entry(client, access, transport), **added})


@pytest.mark.parametrize("stdio", [False, True], ids=["address", "stdio"])
@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_what_was_added_stays(client: Client, stdio: bool) -> None:
    """In the file of every client; the address, the key and the program are the new ones."""

    transport = transport_for(client, OLD, stdio=stdio)
    made = put_all(client, {"notion": NEW}, stdio=stdio)(text_of(client, OLD, transport, **ADDED))

    assert {**entry(client, NEW, transport), **ADDED} == edits.servers(client, made)["notion"]


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_what_is_up_to_date_stays_as_it_is_written(client: Client) -> None:
    """Not a byte changes, and so no client is asked to start again."""

    text = text_of(client, NEW, transport_for(client, NEW), **ADDED)

    assert text == put_all(client, {"notion": NEW})(text)


def test_codex_keeps_what_it_always_allows() -> None:
    """As it writes that: in a table of its own."""

    before = (
        '[mcp_servers.notion]\nurl = "http://127.0.0.1:9876/w/notion"\n'
        f'http_headers = {{ Authorization = "Bearer {KEY}" }}\n\n'
        '[mcp_servers.notion.tools.echo]\napproval_mode = "approve"\n'
    )

    assert before == put_all(BY_NAME["codex"], {"notion": NEW})(before)


@pytest.mark.parametrize(
    ("client", "before", "after"),
    [
        (  # another header, and the key under a name in lower case: two of it would be sent
            "cursor",
            {"url": OLD.url, "headers": {"authorization": "Bearer old-key", "X-Mine": "1"}},
            {"url": NEW.url, "headers": {"X-Mine": "1", "Authorization": f"Bearer {KEY}"}},
        ),
        (  # the tools that the person has chosen of those that we offer at first
            "copilot-cli",
            {"type": "http", "url": OLD.url, "tools": ["echo"]},
            {"type": "http", "url": NEW.url, "tools": ["echo"], "headers": {"Authorization": f"Bearer {KEY}"}},
        ),
        (  # switched off in the client: connecting switches it on
            "roo-code",
            {"type": "streamable-http", "url": OLD.url, "disabled": True, "alwaysAllow": ["echo"]},
            {
                "type": "streamable-http",
                "url": NEW.url,
                "alwaysAllow": ["echo"],
                "headers": {"Authorization": f"Bearer {KEY}"},
            },
        ),
        (
            "opencode",
            {"type": "remote", "url": OLD.url, "enabled": False, "timeout": 9},
            {
                "type": "remote",
                "url": NEW.url,
                "timeout": 9,
                "headers": {"Authorization": f"Bearer {KEY}"},
                "enabled": True,
            },
        ),
        (  # beside the headers, in the same table
            "continue",
            {"name": "notion", "url": OLD.url, "requestOptions": {"timeout": 9}},
            {
                "name": "notion",
                "url": NEW.url,
                "requestOptions": {"timeout": 9, "headers": {"Authorization": f"Bearer {KEY}"}},
                "type": "streamable-http",
            },
        ),
        (  # a program of another's: its fields would stand beside the address
            "cursor",
            {"command": "npx", "args": ["mcp-remote", OLD.url], "timeout": 9},
            {"url": NEW.url, "headers": {"Authorization": f"Bearer {KEY}"}},
        ),
        (  # our own program: what suits a program may not suit an address
            "codex",
            {"command": "amberlight", "args": ["stdio", "notion"], "env": {"A": "b"}},
            {"url": NEW.url, "http_headers": {"Authorization": f"Bearer {KEY}"}},
        ),
        (  # the address of another field of this client's, for SSE
            "gemini-cli",
            {"url": OLD.url, "trust": True},
            {"httpUrl": NEW.url, "headers": {"Authorization": f"Bearer {KEY}"}},
        ),
        (  # past us: a login of the client's own
            "cursor",
            {"url": "https://notion.example/mcp", "headers": {"X-Token": "mine"}, "timeout": 9},
            {"url": NEW.url, "headers": {"Authorization": f"Bearer {KEY}"}},
        ),
        ("cursor", "not an entry", {"url": NEW.url, "headers": {"Authorization": f"Bearer {KEY}"}}),
    ],
)
def test_what_is_kept_of_an_entry(client: str, before: Any, after: dict[str, Any]) -> None:
    """Whatever suits the new one, and nothing of an entry that isn't ours."""

    known = BY_NAME[client]
    text = put_all(known, {"notion": NEW})(edits.put(known, "", "notion", before if isinstance(before, dict) else {}))
    if not isinstance(before, dict):
        text = put_all(known, {"notion": NEW})('{"mcpServers": {"notion": "not an entry"}}')

    assert after == edits.servers(known, text)["notion"]


def test_a_workload_without_a_key() -> None:
    """Its header goes."""

    client = BY_NAME["cursor"]
    text = put_all(client, {"notion": replace(NEW, key=None)})(text_of(client, OLD, Transport.HTTP, timeout=9))

    assert {"url": NEW.url, "timeout": 9} == edits.servers(client, text)["notion"]
