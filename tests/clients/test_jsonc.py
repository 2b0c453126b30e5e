"""JSON with comments: every value has its place, and plain JSON reads as in Python."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.clients.jsonc import DEPTH_MAX, JsonError, JsonNode, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


def every(node: JsonNode) -> list[JsonNode]:
    inner = [*node.items, *(member.value for member in node.members)]
    return [node, *(deeper for each in inner for deeper in every(each))]


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_plain_json_is_read_as_python_reads_it(value: object, indent: int | str | None, plain: bool) -> None:
    """And every value's place holds that value."""

    text = json.dumps(value, indent=indent, ensure_ascii=plain)
    root = parse(text)
    assert value == root.data
    for node in every(root):
        assert json.loads(text[node.start : node.end]) == node.data


def read_by_python(text: str) -> bool:
    def none(_: str) -> None:
        raise ValueError

    try:
        json.loads(text, parse_constant=none)
    except ValueError:
        return False
    return True


@given(st.text(alphabet='{}[]",:\\/*\n ab1-.eE+tu\x00\ufeff', max_size=30))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    """Nothing else comes out; what Python reads is read, but for its own extensions."""

    try:
        found = parse(text)
    except JsonError as error:
        assert not read_by_python(text)
        assert str(error).startswith("line ")
    else:
        assert 0 <= found.start <= found.end <= len(text)


def test_comments_and_trailing_commas() -> None:
    """As VS Code writes them."""

    text = '\ufeff// top\r\n{ /* a */ "a" /* b */ : [1, 2, /* c */], // "x": 1\n "b": {"c": "//no", }, }\n// end'
    assert {"a": [1, 2], "b": {"c": "//no"}} == parse(text).data


def test_of_two_with_one_key_the_last_counts() -> None:
    """As for every reader of JSON."""

    found = parse('{"a": 1, "a": 2}').get("a")
    assert found is not None
    assert 2 == found.data
    assert parse("[]").get("a") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: a value is missing"),
        ("{\n'a': 1}", "line 2: a key in quotation marks"),
        ('{"a" 1}', "a colon is missing"),
        ('{"a": 1 "b": 2}', "a comma is missing, or the }"),
        ("[1 2]", "a comma is missing, or the ]"),
        ("[,]", "a value is missing"),
        ('["a\n"]', "this text has no end"),
        (r'["\x"]', "this isn't JSON"),
        ("[" + "1" * 5000 + "]", "this isn't JSON"),
        ("[1]\n/* x", "line 2: this comment has no end"),
        ("[1] 2", "nothing more may follow"),
        ("NaN", "a value is missing"),
        ("[" * (DEPTH_MAX + 2) + "]" * (DEPTH_MAX + 2), "nested too deeply"),
    ],
)
def test_errors_name_the_line(text: str, words: str) -> None:
    """Without a word of the text, which may hold secrets."""

    with pytest.raises(JsonError, match="line") as caught:
        parse(text)
    assert words in str(caught.value)
