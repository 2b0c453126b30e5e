"""What a dry run shows: our own lines without the key, and nothing of other people's entries."""

from __future__ import annotations

import pytest

from tests.clients.test_edits import ACCESS, before
from trayapp.clients import edits, entries
from trayapp.clients.difference import difference
from trayapp.clients.table import BY_NAME, TABLE, Client

SECRET = "sk-canary"


def connected(client: Client, text: str, name: str = "notion", *, stdio: bool = False) -> str:
    made = entries.entry(client, ACCESS, entries.transport_for(client, ACCESS, stdio=stdio))
    return edits.put(client, text, name, {**made, "name": name} if client.listed else made)


@pytest.mark.parametrize("client", TABLE, ids=lambda client: client.name)
def test_our_lines_and_no_others(client: Client) -> None:
    """In and out again; the neighbour's secret stands in the lines beside them."""

    text = before(client).replace('"x"', f'"{SECRET}"').replace(": x #", f": {SECRET} #")
    assert SECRET in text
    after = connected(client, text)
    for lines, sign in ((difference(client, text, after), "+"), (difference(client, after, text), "-")):
        shown = "\n".join(lines)
        assert sign in shown
        assert "notion" in shown
        assert SECRET not in shown
        assert "the-local-key" not in shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cursor", '{"mcpServers": {"a": {"env": {"K": "sk-canary"}}}, "token": "sk-canary"}'),
        ("cursor", '{"token":"sk-canary"}'),
        ("cursor", '{\n  "token": "sk-canary"\n}'),
        ("goose", "token: sk-canary"),
        ("goose", "extensions: {a: {cmd: sk-canary}}\n"),
        ("codex", "mcp_servers = { a = { env = { K = 'sk-canary' } } }\n"),
        ("codex", "token = 'sk-canary'"),
    ],
)
def test_a_line_that_holds_more_than_ours(name: str, text: str) -> None:
    """A file in one line, a neighbour that gets a comma, a last line that had no end."""

    client = BY_NAME[name]
    after = connected(client, text)
    shown = "\n".join(difference(client, text, after) + difference(client, after, text))
    assert "127.0.0.1" in shown
    assert "sk-canary" not in shown
    assert "the-local-key" not in shown


def test_an_entry_that_is_replaced_keeps_its_secrets() -> None:
    """Also one of ours to which the person added a header or a variable, and an old key."""

    client = BY_NAME["cursor"]
    foreign = (
        '{\n  "mcpServers": {\n    "notion": {\n      "url": "https://x/sk-canary",\n      "sk": 1\n    }\n  }\n}\n'
    )
    ours = connected(client, "{}").replace("the-local-key", "sk-canary")
    added = ours.replace('"headers": {', '"env": {"A": "sk-canary"},\n "headers": {\n        "X-Key": "sk-canary",')
    for text in (foreign, ours, added):
        assert "sk-canary" not in "\n".join(difference(client, text, connected(client, text, stdio=True)))
        assert "sk-canary" not in "\n".join(difference(client, text, connected(client, text)))


def test_nothing_changes() -> None:
    """Then there is nothing to show."""

    client = BY_NAME["cursor"]
    text = connected(client, "{}")
    assert [] == difference(client, text, connected(client, text))
