"""Edits of config.toml as text: what is asked for, and nothing else."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.config import toml_edit
from trayapp.config.toml_edit import CannotEditError

FILE = """# my own file
[settings]   # quiet
muted = true  # for now

# the first one
[workloads.old]  # keep this one
url = "https://old.example"   # here
scopes = [
  "a",  # one
  "b",
]

[workloads."new"]
url = 'https://new.example'
"""


def test_a_value_is_changed_in_its_place() -> None:
    """The comment behind it stays, and so does every other line."""

    made = toml_edit.changed(FILE, ("settings",), {"muted": False})

    assert FILE.replace("muted = true", "muted = false") == made


def test_a_new_key_stands_below_the_last_one_of_its_table() -> None:
    """Before the blank line and the comment that belong to the next table."""

    made = toml_edit.changed(FILE, ("settings",), {"port": 9000, "quiet_hours": "22:00-07:00"})

    assert FILE.replace("# for now\n", '# for now\nport = 9000\nquiet_hours = "22:00-07:00"\n') == made


def test_a_key_is_taken_out_with_its_line() -> None:
    """A value of several lines too; a key that isn't there is no change."""

    made = toml_edit.changed(FILE, ("workloads", "old"), {"scopes": None, "issuer": None})

    assert FILE.replace('scopes = [\n  "a",  # one\n  "b",\n]\n', "") == made
    assert FILE == toml_edit.changed(FILE, ("workloads", "old"), {"issuer": None})


def test_a_value_that_is_the_same_already_keeps_its_form() -> None:
    """Quotes, line breaks and comments within it."""

    assert FILE == toml_edit.changed(FILE, ("workloads", "old"), {"scopes": ["a", "b"]})


def test_a_missing_table_is_added_at_the_end() -> None:
    """With a blank line before it; without a value there is nothing to add."""

    assert "[settings]\nport = 1\n" == toml_edit.changed("", ("settings",), {"port": 1})
    assert "# x\n\n[settings]\nport = 1\n" == toml_edit.changed("# x", ("settings",), {"port": 1})
    assert "# x" == toml_edit.changed("# x", ("settings",), {"port": None})


def test_line_ends_of_windows_stay() -> None:
    """In new lines too."""

    text = FILE.replace("\n", "\r\n")
    made = toml_edit.changed(text, ("settings",), {"muted": False, "port": 1})

    assert made.count("\n") == made.count("\r\n")
    assert {"muted": False, "port": 1} == tomllib.loads(made)["settings"]


@pytest.mark.parametrize(
    "text",
    [
        "[workloads.a]\nurl = 'x'\n",
        "[workloads]\na.url = 'x'\n",
        "[workloads]\na = { url = 'x' }\n",
        "workloads.a.url = 'x'\n",
        "workloads = { a = { url = 'x' } }\n",
        "[ workloads . 'a' ]\nurl = 'x'\n[workloads.b]\nurl = 'y'\n",
    ],
)
def test_every_way_to_write_a_table(text: str) -> None:
    """A key is set, changed and taken out, whichever way the table is written."""

    table = ("workloads", "a")
    added = toml_edit.changed(text, table, {"mcp": "on"})
    changed = toml_edit.changed(added, table, {"mcp": "off", "url": "z"})
    before, after = tomllib.loads(text), tomllib.loads(toml_edit.changed(changed, table, {"mcp": None}))

    assert "on" == tomllib.loads(added)["workloads"]["a"]["mcp"]
    assert {"mcp": "off", "url": "z"} == tomllib.loads(changed)["workloads"]["a"]
    assert {**before["workloads"], "a": {"url": "z"}} == after["workloads"]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("[workloads.a]  # x\nurl = 'x'\n", "[workloads.b]  # x\nurl = 'x'\n"),
        ("[workloads]\na.url = 'x'\na.mcp = 'on'\n", "[workloads]\nb.url = 'x'\nb.mcp = 'on'\n"),
        ("[workloads]\na = { url = 'x' }\n", "[workloads]\nb = { url = 'x' }\n"),
        ("workloads.a.url = 'x'\n", "workloads.b.url = 'x'\n"),
        ("[ workloads . 'a' ]\nurl = 'a'\n", "[ workloads . b ]\nurl = 'a'\n"),
        ("[workloads.aa]\na = 'workloads.a'\n[workloads.a]\n", "[workloads.aa]\na = 'workloads.a'\n[workloads.b]\n"),
    ],
)
def test_a_table_is_renamed(text: str, made: str) -> None:
    """Only its name changes; a name that merely looks like it stays."""

    assert made == toml_edit.renamed(text, ("workloads", "a"), "b")


def test_what_cannot_be_edited_is_refused() -> None:
    """A name inside an inline table isn't found by our scanner; nothing is guessed."""

    with pytest.raises(CannotEditError):
        toml_edit.renamed("workloads = { a = { url = 'x' } }\n", ("workloads", "a"), "b")
    with pytest.raises(CannotEditError):
        toml_edit.renamed("[workloads.a]\n", ("workloads", "x"), "b")
    with pytest.raises(CannotEditError):
        toml_edit.without("[workloads.a]\n", ("workloads", "x"))


def test_a_block_is_a_table_with_its_keys() -> None:
    """None where its keys stand in several places, or in no table of their own."""

    span = toml_edit.block(FILE, ("workloads", "old"))

    assert span is not None
    assert FILE[slice(*span)].startswith("[workloads.old]  # keep this one\n")
    assert FILE[slice(*span)].endswith('  "b",\n]\n')
    assert toml_edit.block("[workloads]\na.url = 'x'\n", ("workloads", "a")) is None
    assert toml_edit.block("[workloads.a]\n[workloads.a.b]\n", ("workloads", "a")) is None
    assert toml_edit.block(FILE, ("workloads", "nobody")) is None


NAMES = st.sampled_from(["a", "b-c", "d_1"])
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.lists(st.text("abc #=[]\"'\\", max_size=6), max_size=3),
)
TABLES = st.dictionaries(st.sampled_from(["url", "mcp", "scopes", "x y"]), VALUES, max_size=3)


@given(
    before=st.dictionaries(NAMES, TABLES, max_size=3),
    name=NAMES,
    changes=st.dictionaries(st.sampled_from(["url", "mcp", "scopes", "new"]), st.none() | VALUES, max_size=3),
)
def test_an_edit_says_what_was_asked_for(before: dict[str, dict[str, Any]], name: str, changes: dict[str, Any]) -> None:
    """Whatever the values are: the table has the changes, and all others are as they were."""

    text = ""
    for each, keys in before.items():
        text = toml_edit.changed(text, ("workloads", each), keys) or text
    before = tomllib.loads(text).get("workloads", {})
    after = tomllib.loads(toml_edit.changed(text, ("workloads", name), changes)).get("workloads", {})
    wanted = {**before.get(name, {}), **changes}

    assert {key: value for key, value in wanted.items() if value is not None} == after.get(name, {})
    assert {k: v for k, v in before.items() if k != name} == {k: v for k, v in after.items() if k != name}
