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
        ("cursor", '{"mcpServers": []}', "isn't a table of servers"),
        ("cursor", "[]", "isn't a table of settings"),
        ("cursor", '{"mcpServers": {', "line 1"),
        ("codex", "mcp_servers = 3", "isn't a table of servers"),
        ("codex", "[mcp_servers", "isn't valid TOML"),
        ("goose", "c: |\n  no line end", "edit it by hand"),
        ("goose", "{a: 1}", "edit it by hand"),
        ("goose", "a: 1\na: 2\n", "line 2: found duplicate key"),
        ("goose", "a: !!python/object:os.system x\n", "line 1"),
        ("goose", "a: 2026-13-45\n", "it can't be read"),
        ("goose", "b: [" * 3000, "isn't valid YAML"),
        ("goose", f"a: {'x' * (1 << 20)}", "larger than 1 MiB"),
        ("goose", "a: &a [1]\n" + "b: *a\n" * 21, "more than 20 aliases"),
        ("cursor", '{"a":' * 3000, "nested too deeply"),
        ("codex", "a = " + "[" * 30000, "nested too deeply"),
        ("goose", "extensions: [", "isn't valid YAML"),
        ("goose", "extensions: 3", "isn't a table of servers"),
        ("continue", "mcpServers: {}\n", "isn't a list of servers"),
    ],
)
def test_what_can_not_be_edited_says_why(name: str, text: str, reason: str) -> None:
    """The message repeats nothing of the file."""

    client = BY_NAME[name]
    entry = entries.entry(client, ACCESS, entries.transport_for(client, ACCESS))
    with pytest.raises(edits.EditError, match=reason):
        edits.put(client, text, "notion", entry)


@pytest.mark.parametrize(
    ("name", "text", "after"),
    [
        ("codex", "mcp_servers = {} # mine\n", 'mcp_servers = {notion = { url = "U" }} # mine\n'),
        ("codex", "mcp_servers = { a = { b = 1 } }", 'mcp_servers = { a = { b = 1 }, notion = { url = "U" } }'),
        ("codex", "mcp_servers.a.b = 1\n", 'mcp_servers.a.b = 1\n\n[mcp_servers.notion]\nurl = "U"\n'),
        ("codex", "a = 1", 'a = 1\n\n[mcp_servers.notion]\nurl = "U"'),
        (
            "mistral-vibe",
            "mcp_servers = [\n    { name = 'a' },\n]\n",
            'mcp_servers = [\n    { name = \'a\' }, { name = "notion", url = "U" },\n]\n',
        ),
        ("goose", "extensions: {}\nb: 1\n", 'extensions: {"notion": {"url": "U"}}\nb: 1\n'),
        (
            "goose",
            "extensions: {it's: 'a,]', c: {}} # d",
            'extensions: {it\'s: \'a,]\', c: {}, "notion": {"url": "U"}} # d',
        ),
        ("goose", "extensions: # mine\nb: 1\n", 'extensions: # mine\n  notion:\n    url: "U"\nb: 1\n'),
        ("goose", "b: 1", 'b: 1\nextensions:\n  notion:\n    url: "U"'),
        ("continue", "mcpServers: [ ]", 'mcpServers: [{"name": "notion", "url": "U"} ]'),
        ("cursor", '{"mcpServers": {"a": {}, }}', '{"mcpServers": {"a": {}, "notion": {"url": "U"}, }}'),
        ("cursor", '{"a": "https://b"}', '{"a": "https://b", "mcpServers": {"notion": {"url": "U"}}}'),
        ("cursor", '{"mcpServers": { /* c */ }}', '{"mcpServers": {"notion": {"url": "U"} /* c */ }}'),
    ],
)
def test_the_layout_of_the_file(name: str, text: str, after: str) -> None:
    """An entry is laid out as what stands there, and comes out again byte for byte."""

    client = BY_NAME[name]
    entry = {"name": "notion", "url": "U"} if client.listed else {"url": "U"}
    assert after == edits.put(client, text, "notion", entry)
    assert text in [edits.drop(client, after, "notion", prune=prune) for prune in (True, False)]


@pytest.mark.parametrize(
    ("name", "text", "after"),
    [
        (
            "cursor",
            '{"mcpServers": {\n  "x": {}, // its own\n  // the next\n  "b": 1}}',
            '{"mcpServers": {\n  // its own\n  // the next\n  "b": 1}}',
        ),
        ("cursor", '{"mcpServers": {"b": 1, /* b */ "x": {}}}', '{"mcpServers": {"b": 1 /* b */}}'),
        ("cursor", '{"mcpServers": {"b": 1, // b\n"x": {}}}', '{"mcpServers": {"b": 1 // b\n}}'),
        ("cursor", '{"mcpServers": {"b": {}}, "mcpServers": {"x": {}}}', '{"mcpServers": {"b": {}}, "mcpServers": {}}'),
        ("goose", "extensions: # mine\n  x:\n    cmd: y\n\n# next\nb: 1\n", "extensions: # mine\n\n# next\nb: 1\n"),
        ("goose", "extensions:\n  x:\n    t: |\n      z\n\n  b: 1\n", "extensions:\n\n  b: 1\n"),
        ("continue", "mcpServers:\n-\n  name: x\n- name: b\n", "mcpServers:\n- name: b\n"),
        ("codex", "[mcp_servers.x]\na = 1\n[mcp_servers.x.env]\nb = 1\n# next\n[c]\n", "# next\n[c]\n"),
    ],
)
def test_what_stays_when_an_entry_is_taken_out(name: str, text: str, after: str) -> None:
    """Comments of others, and what a key that occurs twice hides."""

    assert after == edits.drop(BY_NAME[name], text, "x", prune=True)
