"""Line numbers of TOML keys, whatever values are around them."""

from __future__ import annotations

import tomllib
from typing import Any

import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from trayapp.config.toml_lines import key_lines, line_of

TRICKY = '''# [not.a.table]
top = """
[also.not]
x = 1 \\"""
""""
other = 'a # b'  # c = 1

[settings]   # comment
  port = 1
list = [ # x = 1
  "]", # y = 2
  { a = "}" },
]
inline = { deep = { deeper = 1 } }
"quoted key" = 1
'literal."key"' = 2
a . b = 3

[workloads.x]
url = 'https://x'
empty = ""
six = """"""
last = \'\'\'it\'s
  [no]\'\'\'
[[many]]
k = 1
[[many]]
k = 2'''


def test_steps_over_everything() -> None:
    """Strings of four kinds, comments, arrays and inline tables do not disturb the count."""

    tomllib.loads(TRICKY)
    lines = key_lines(TRICKY)

    expected = {
        ("top",): 2,
        ("other",): 6,
        ("settings",): 8,
        ("settings", "port"): 9,
        ("settings", "list"): 10,
        ("settings", "inline"): 14,
        ("settings", "quoted key"): 15,
        ("settings", 'literal."key"'): 16,
        ("settings", "a"): 17,
        ("settings", "a", "b"): 17,
        ("workloads", "x"): 19,
        ("workloads", "x", "url"): 20,
        ("workloads", "x", "empty"): 21,
        ("workloads", "x", "six"): 22,
        ("workloads", "x", "last"): 23,
        ("many",): 25,
        ("many", "k"): 26,
    }
    assert expected == lines


def test_inline_keys_have_the_line_of_their_table() -> None:
    """A key inside an inline table is found on the line of that table; an unknown one nowhere."""

    lines = key_lines(TRICKY)

    assert line_of(lines, ("settings", "inline", "deep", "deeper")) == 14
    assert line_of(lines, ("nowhere", "at all")) is None


_KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6)
_LEAVES = st.one_of(
    st.integers(-5, 5), st.booleans(), st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(st.lists(_LEAVES, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=5))
def test_every_key_of_any_document_has_its_line(document: dict[str, Any]) -> None:
    """In any document, the line that is named for a key is the one on which the key is written."""

    text = tomlkit.dumps(document)
    parsed = tomllib.loads(text)
    lines = key_lines(text)

    for path, value in _walk(parsed, ()):
        if not isinstance(value, dict) or path in lines:
            written = text.split("\n")[lines[path] - 1]
            assert path[-1] in written or '"' in written  # escapes are written otherwise, but always in quotes


def _walk(table: dict[str, Any], path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for key, value in table.items():
        found.append(((*path, key), value))
        if isinstance(value, dict):
            found += _walk(value, (*path, key))
    return found


@given(st.text(max_size=60))
def test_ends_on_any_text(text: str) -> None:
    """Whatever the text is, the scan ends and names lines that exist."""

    try:
        lines = key_lines(text)
    except tomllib.TOMLDecodeError:  # a quoted key that is none; `tomllib` would have refused the whole text
        return

    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
