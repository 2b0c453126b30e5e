"""Edits that point servers at the proxy: nothing else in the file changes, whatever it contains."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.clients.jsonc import parse
from trayapp.importers import proxy_edit
from trayapp.importers.mcp_json import read
from trayapp.importers.proxy_edit import ProxyEditError, ProxyEntry, client_name, point_at_proxy

PROXY = "http://127.0.0.1:8765/w/x"
KEYED = {"type": "http", "url": PROXY, "headers": {"Authorization": "Bearer KEY"}}
OPEN = {"url": PROXY}


def through(text: str, entry: dict[str, Any] = KEYED, *, direct: bool = True) -> str:
    return point_at_proxy(text, [ProxyEntry(server, entry) for _, server in read(text).importable], direct=direct)


def test_vs_codes_file_keeps_its_comments_and_its_form() -> None:
    """Only the address changes, and the key comes behind it."""

    before = """{
  // mine
  "servers": {
    "a": {
      "type": "http", // streamable
      "url": "https://a.example/mcp", /* here */
    },
    "b": { "url": "https://b.example/mcp", "type": "sse" },
    "c": { "command": "npx", "args": ["fs",] }, // local
  },
  "inputs": [],
}
"""
    after = """{
  // mine
  "servers": {
    "a": {
      "type": "http", // streamable
      "url": "http://127.0.0.1:8765/w/x",
      "headers": {"Authorization": "Bearer KEY"}, /* here */
    },
    "b": { "url": "http://127.0.0.1:8765/w/x", "headers": {"Authorization": "Bearer KEY"}, "type": "sse" },
    "c": { "command": "npx", "args": ["fs",] }, // local
  },
  "inputs": [],
}
"""
    assert after == through(before)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"url": "U"}, {"url": PROXY, "type": "http", "headers": {"Authorization": "Bearer KEY"}}),
        ({"serverUrl": "U"}, {"serverUrl": PROXY, "headers": {"Authorization": "Bearer KEY"}}),
        (
            {"url": "U", "headers": {"X-Team": "a"}, "disabled": True},
            {
                "url": PROXY,
                "type": "http",
                "headers": {"Authorization": "Bearer KEY", "X-Team": "a"},
                "disabled": True,
            },
        ),
        ({"url": "U", "headers": {}}, {"url": PROXY, "type": "http", "headers": {"Authorization": "Bearer KEY"}}),
        (
            {"auth": {"CLIENT_ID": "c"}, "url": "U", "oauth": {"clientId": "c"}},
            {"url": PROXY, "type": "http", "headers": {"Authorization": "Bearer KEY"}},
        ),
        (
            {"command": "npx", "args": ["mcp-remote", "U"], "env": {"A": "b"}, "timeout": 5},
            {"type": "http", "url": PROXY, "headers": {"Authorization": "Bearer KEY"}, "timeout": 5},
        ),
        (
            {"type": "stdio", "args": ["mcp-remote", "U", "--transport", "sse-only"], "command": "npx"},
            {"type": "sse", "url": PROXY, "headers": {"Authorization": "Bearer KEY"}},
        ),
    ],
)
def test_entries_become_what_client_config_prints(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    """What does not concern the way stays; a login of the program's own goes."""

    for indent in (None, 2):
        text = json.dumps({"mcpServers": {"x": entry}}, indent=indent).replace('"U"', '"https://a.example/mcp"')
        assert expected == json.loads(through(text))["mcpServers"]["x"]


def test_without_a_key_there_is_no_header() -> None:
    """`require_key = false`; Cursor needs no type."""

    text = '{"mcpServers": {"x": {"url": "https://a.example/mcp"}}}'
    assert {"url": PROXY} == json.loads(through(text, OPEN))["mcpServers"]["x"]
    text = '{"mcpServers": {"x": {"command": "npx", "args": ["mcp-remote", "https://a.example/mcp"]}}}'
    assert {"url": PROXY} == json.loads(through(text, OPEN))["mcpServers"]["x"]
    assert ["mcp-remote", PROXY] == json.loads(through(text, OPEN, direct=False))["mcpServers"]["x"]["args"]


@pytest.mark.parametrize("env", [None, {}, {"A": "b"}])
def test_claude_desktop_keeps_mcp_remote(env: dict[str, str] | None) -> None:
    """It reads no addresses; the key is in the environment, as command lines can be seen by all."""

    entry = {"command": "npx", "args": ["-y", "mcp-remote", "https://a.example/sse"]} | (
        {} if env is None else {"env": env}
    )
    after = through(json.dumps({"mcpServers": {"x": entry}}, indent=2), direct=False)
    made = json.loads(after)["mcpServers"]["x"]
    assert ["-y", "mcp-remote", PROXY, "--header", "Authorization:${AMBERLIGHT_AUTHORIZATION}"] == made["args"]
    assert {**(env or {}), "AMBERLIGHT_AUTHORIZATION": "Bearer KEY"} == made["env"]
    assert '\n        "--header",\n' in after


def test_mcp_remote_with_headers_of_its_own_is_kept() -> None:
    """They would be lost otherwise."""

    args = ["mcp-remote", "https://a.example/mcp", "--header", "X-Team:a"]
    made = json.loads(through(json.dumps({"mcpServers": {"x": {"command": "npx", "args": args}}})))
    assert ["--header", "X-Team:a"] == made["mcpServers"]["x"]["args"][-2:]


def test_windows_line_ends_stay() -> None:
    """No line ends otherwise than before."""

    text = '{\r\n  "servers": {\r\n    "x": {\r\n      "url": "https://a.example/mcp"\r\n    }\r\n  }\r\n}\r\n'
    after = through(text)
    assert after.count("\n") == after.count("\r\n") == text.count("\n") + 2


def test_a_name_in_two_lists_is_two_servers() -> None:
    """One of Claude Code's projects may call a local program as another calls a server."""

    text = json.dumps(
        {
            "mcpServers": {"x": {"command": "fs"}},
            "projects": {"/p": {"mcpServers": {"x": {"url": "https://a.example/mcp"}}}},
        }
    )
    made = json.loads(through(text))
    assert ({"command": "fs"}, PROXY) == (
        made["mcpServers"]["x"],
        made["projects"]["/p"]["mcpServers"]["x"]["url"],
    )


def test_one_entry_is_not_changed_twice() -> None:
    """Overlapping edits are refused, and so is a text that would not be JSON."""

    text = '{"mcpServers": {"x": {"auth": {}, "url": "https://a.example/mcp"}}}'
    (_, server), *_ = read(text).importable
    with pytest.raises(ProxyEditError, match="overlap"):
        point_at_proxy(text, [ProxyEntry(server, OPEN)] * 2, direct=True)
    with pytest.raises(ProxyEditError, match=r"no JSON|could not|other parts"):
        point_at_proxy("{" * 3 + text, [ProxyEntry(server, OPEN)], direct=True)


@pytest.mark.parametrize(
    ("stray", "words"),
    [
        (lambda text: [(text.index("[ 1 ]"), text.index("[ 1 ]") + 5, "[ 2 ]")], "other parts"),
        (lambda text: [(0, 1, "")], "no JSON"),
        (lambda text: [], "the entry x couldn't be changed"),
    ],
)
def test_a_wrong_edit_is_found_before_it_is_written(
    stray: Callable[[str], list[tuple[int, int, str]]], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was made is read again and compared, whatever made it."""

    text = '{"inputs": [ 1 ], "servers": {"x": {"url": "https://a.example/mcp"}}}'
    right = proxy_edit._edits
    made = stray(text)
    monkeypatch.setattr(proxy_edit, "_edits", lambda *given: [*(right(*given) if made else []), *made])
    with pytest.raises(ProxyEditError, match=words):
        through(text)


@pytest.mark.parametrize(
    ("file", "style", "name"),
    [
        ("/p/.vscode/mcp.json", "servers", "vscode"),
        ("/h/.cursor/mcp.json", "mcpServers", "cursor"),
        ("/p/.mcp.json", "mcpServers", "claude-code"),
        ("/h/claude_desktop_config.json", "mcpServers", "claude-code"),
    ],
)
def test_the_program_that_client_config_prints_for(file: str, style: str, name: str) -> None:
    """By the list's name, and Cursor by its folder."""

    assert name == client_name(Path(file), style)


# --- any file --------------------------------------------------------------------------------------------------------

BLANK = st.sampled_from(["", " ", "\n", "\r\n    ", "\t", " // c\n", "/* , } */", '\n  // "url": 1\n  '])
KEYS = st.sampled_from(["a", "x y", "ü", "disabled", "timeout", "env", "type", "headers", "auth", "oauth", "cwd"])
PLAIN = st.sampled_from(['"http"', "1", "null", "[]", "{}", '{"A": "b",}', "[1, 2,]", '"\\u00e9 // no"'])


@st.composite
def objects(draw: st.DrawFn, members: Sequence[tuple[str, str]]) -> str:
    """An object with these members, laid out somehow."""
    parts = [f"{draw(BLANK)}{json.dumps(key)}{draw(BLANK)}:{draw(BLANK)}{value}{draw(BLANK)}" for key, value in members]
    trailing: bool = draw(st.booleans())
    return "{" + ",".join(parts) + ("," if parts and trailing else "") + draw(BLANK) + "}"


@st.composite
def entries(draw: st.DrawFn) -> str:
    others = draw(st.dictionaries(KEYS, PLAIN, max_size=4))
    if draw(st.booleans()):
        return draw(objects(draw(st.permutations([*others.items(), ("url", '"https://a.example/mcp"')]))))
    args = f'[{draw(BLANK)}"-y",{draw(BLANK)}"mcp-remote", {draw(BLANK)}"https://a.example/sse"{draw(BLANK)},]'
    members = [*others.items(), ("command", '"npx"'), ("args", args)]
    return draw(objects(draw(st.permutations(members))))


@st.composite
def whole_files(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(["x", "y", "z z"]), unique=True, min_size=1))
    servers = draw(objects([(name, draw(entries())) for name in names]))
    members = [("servers", servers), ("inputs", "[ 1, ]")]
    blanks: list[str] = [draw(BLANK), draw(BLANK)]
    return draw(objects(draw(st.permutations(members)))).join(blanks)


@given(whole_files(), st.booleans(), st.sampled_from([KEYED, OPEN]))
def test_no_file_is_ever_damaged(text: str, direct: bool, entry: dict[str, Any]) -> None:
    """Every server goes through the proxy then, the rest of the text is the same byte for byte, and a second time there
    is nothing to do."""

    before = read(text)
    after = through(text, entry, direct=direct)
    assert len(before.importable) == after.count(PROXY)
    assert [] == [make_entry.url for make_entry, _ in read(after).importable]
    assert len(parse(text).data["servers"]) == len(parse(after).data["servers"])
    assert outside(text) == outside(after)


def outside(text: str) -> list[str]:
    """What stands before, between and behind the entries."""
    servers = parse(text).get("servers")
    assert servers is not None
    edges = [0, *(edge for member in servers.members for edge in (member.value.start, member.value.end)), len(text)]
    return [text[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)]
