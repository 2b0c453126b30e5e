"""Edits of clients' files: one entry goes in and comes out again, for every client of the table, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from trayapp.clients import edits, entries
from trayapp.clients.entries import Access, Transport
from trayapp.clients.table import BY_NAME, TABLE, Client, Syntax
from trayapp.core.model import Secret

GOLDEN = Path(__file__).with_name("golden")
ACCESS = Access(
    "notion", "http://127.0.0.1:8765/w/notion", Secret("the-local-key"), ("/opt/amberlight", "stdio", "notion")
)
BEFORE = {
    Syntax.JSON: '{\n  // mine\n  "theme": "dark",\n  "LIST": {\n    "own": { "command": "x" }, // keep\n  },\n}\n',
    Syntax.TOML: '# mine\ntheme = "dark"\n\n[LIST.own]\ncommand = "x" # keep\n\n# tail\n[other]\nx = 1\n',
    Syntax.YAML: "# mine\ntheme: dark\nLIST:\n  own:\n    cmd: x # keep\n\n# tail\nother: 1\n",
}
LISTED = {
    Syntax.TOML: '# mine\n[[LIST]]\nname = "own"\ncommand = "x"\n\n[other]\nx = 1\n',
    Syntax.YAML: "# mine\nLIST:\n  - name: own\n    command: x # keep\n\n# tail\nother: 1\n",
}


def before(client: Client) -> str:
    """A file as a person could have it: comments, a server of their own, other settings."""
    return (LISTED if client.listed else BEFORE)[client.syntax].replace("LIST", client.servers[-1])


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_the_golden_files(client: Client) -> None:
    """What each client's file looks like afterwards, by address and by program."""

    made = []
    for stdio in (False, True):
        transport = entries.transport_for(client, ACCESS, stdio=stdio)
        made.append(edits.put(client, before(client), "notion", entries.entry(client, ACCESS, transport)))

    golden = GOLDEN / f"{client.name}.{client.syntax}"
    assert golden.read_text(encoding="utf-8") == "\n".join(made)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "mark"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_in_and_out_again(client: Client, line_end: str, mark: str) -> None:
    """Byte for byte, with any line ends; and a second time changes nothing."""

    text = mark + before(client).replace("\n", line_end)
    entry = entries.entry(client, ACCESS, entries.transport_for(client, ACCESS))

    after = edits.put(client, text, "notion", entry)

    assert after == edits.put(client, after, "notion", entry)
    assert entry == edits.servers(client, after)["notion"]
    assert "\n" not in after.replace("\r\n", "") if line_end == "\r\n" else "\r" not in after
    assert text == edits.drop(client, after, "notion", prune=True)


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_what_was_written_is_recognised(client: Client) -> None:
    """An entry of ours is known by its address or its program, and its key can be compared."""

    for stdio in (False, True):
        transport = entries.transport_for(client, ACCESS, stdio=stdio)
        found = entries.seen("any", entries.entry(client, ACCESS, transport))
        assert ("notion", transport is Transport.STDIO) == (found.proxied, found.stdio)
        if transport is not Transport.STDIO:
            assert (8765, "the-local-key") == (found.port, found.key)


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_a_program_needs_no_key(client: Client) -> None:
    """Where the key would stand in a file that is shared, the program is registered instead."""

    assert "the-local-key" not in repr(entries.entry(client, ACCESS, Transport.STDIO))


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("cursor", '{"mcpServers": []}', "not a table of servers"),
        ("cursor", "[]", "does not hold settings"),
        ("cursor", '{"mcpServers": {', "line 1"),
        ("codex", "mcp_servers = { a = { url = 'x' } }", "edit it by hand"),
        ("codex", "mcp_servers = 3", "not a table of servers"),
        ("codex", "[mcp_servers", "not valid TOML"),
        ("goose", "extensions: {a: {cmd: x}}", "edit it by hand"),
        ("goose", "extensions: [", "not valid YAML"),
        ("goose", "extensions: 3", "not a table of servers"),
        ("continue", "mcpServers: {}\n", "not a list of servers"),
    ],
)
def test_what_can_not_be_edited_says_why(name: str, text: str, reason: str) -> None:
    """The message repeats nothing of the file."""

    client = BY_NAME[name]
    entry = entries.entry(client, ACCESS, entries.transport_for(client, ACCESS))
    with pytest.raises(edits.EditError, match=reason):
        edits.put(client, text, "notion", entry)
