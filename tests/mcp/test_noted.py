"""Noted answers: whole lists only, bounded, and for whoever would have got them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.mcp import noted
from trayapp.mcp.messages import Json
from trayapp.mcp.noted import KEYS_MAX, PAGES_MAX, WORKLOAD_MAX, NoteKey, Notes, key_of

KEY = NoteKey("", "", "2025-11-25", "")
LIST = "tools/list"


def page(*names: str, following: str | None = None) -> Json:
    return {"tools": [{"name": name} for name in names]} | ({} if following is None else {"nextCursor": following})


def names(notes: Notes, key: NoteKey = KEY) -> list[str] | None:
    found = notes.list_of(key, LIST)
    return None if found is None else [each["name"] for each in found]


def note(notes: Notes, answer: Json, cursor: str | None = None, key: NoteKey = KEY, account: str = "ann") -> bool:
    return notes.note(account, key, LIST, {} if cursor is None else {"cursor": cursor}, answer)


def test_a_list_counts_when_its_last_page_is_there() -> None:
    """Until then the old one counts."""
    notes = Notes()
    note(notes, page("old"))

    note(notes, page("a", following="1"))
    assert ["old"] == names(notes)
    note(notes, page("b", following="2"), "1")
    assert ["old"] == names(notes)
    note(notes, page("c"), "2")

    assert ["a", "b", "c"] == names(notes)


def test_pages_that_loop_end_nowhere() -> None:
    """A cursor that comes back is no list, and costs nothing."""
    notes = Notes()
    note(notes, page("a", following="1"))
    for _ in range(3):
        note(notes, page("b", following="1"), "1")

    assert names(notes) is None


def test_an_empty_cursor_is_a_cursor() -> None:
    """Only a missing one ends a list."""
    notes = Notes()
    note(notes, page("a", following=""))
    assert names(notes) is None

    note(notes, page("b"), "")

    assert ["a", "b"] == names(notes)


def test_a_list_that_changes_while_it_is_paged_is_never_half_of_each() -> None:
    """Two readers: a page that belongs to the other's reading is not put together with ours."""
    notes = Notes()
    note(notes, page("a1", following="1"))
    note(notes, page("b1", following="9"))  # another reader begins, and the list is another one by now
    note(notes, page("a2"), "1")
    assert names(notes) is None

    note(notes, page("b1", following="9"))
    note(notes, page("b2"), "9")

    assert ["b1", "b2"] == names(notes)


def test_pages_without_end_are_given_up() -> None:
    """After `PAGES_MAX`."""
    notes = Notes()
    for number in range(PAGES_MAX + 1):
        note(notes, page("a", following=str(number + 1)), str(number) if number else None)
    note(notes, page("z"), str(PAGES_MAX + 1))

    assert names(notes) is None


def test_too_much_is_not_noted() -> None:
    """4 MiB a workload; what was there stays."""
    notes = Notes()
    other = KEY._replace(path="/other")
    note(notes, page("kept"))

    assert not note(notes, page("x" * WORKLOAD_MAX), key=other)

    assert (["kept"], None) == (names(notes), names(notes, other))
    assert notes.size() < 1000


def test_too_many_variants_forget_the_oldest() -> None:
    """A client that makes up a header for each request fills no memory."""
    notes = Notes()
    for number in range(KEYS_MAX + 1):
        note(notes, page(str(number)), key=KEY._replace(headers=str(number)))

    assert names(notes, KEY._replace(headers="0")) is None
    assert [str(KEYS_MAX)] == names(notes, KEY._replace(headers=str(KEYS_MAX)))


def test_another_account_begins_anew() -> None:
    """Nothing of the first one is left."""
    notes = Notes()
    note(notes, page("anns"))
    assert (True, True, False) == (notes.belongs_to("ann"), notes.belongs_to(None), notes.belongs_to("bob"))

    note(notes, page("bobs"), key=KEY._replace(path="/x"), account="bob")

    assert names(notes) is None
    assert not notes.belongs_to("ann")


def test_what_every_request_carries_makes_no_difference() -> None:
    """Trace ids, the client's name and the session; what may choose tools does."""
    plain = key_of("", [("Accept", "a"), ("X-Toolsets", "repos")], "v", {})

    assert plain == key_of("", [("traceparent", "1"), ("User-Agent", "c/2"), ("x-toolsets", "repos")], "v", {})
    assert plain != key_of("", [("X-Toolsets", "issues")], "v", {})
    assert plain != key_of("", [("X-Toolsets", "repos"), ("Accept-Language", "de")], "v", {})


def test_notes_outlive_a_restart() -> None:
    """Complete lists and greetings; a list that was being read does not."""
    notes = Notes()
    note(notes, page("a"))
    notes.note("ann", KEY, "initialize", {}, {"protocolVersion": "2025-11-25"})
    note(notes, page("b", following="1"), key=KEY._replace(path="/x"))

    again = noted.load(notes.dump())

    assert (["a"], "ann") == (names(again), again.account)
    assert {"protocolVersion": "2025-11-25"} == again.hello(KEY, "initialize")
    assert names(again, KEY._replace(path="/x")) is None
    assert notes.size() >= again.size() > 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 9}',
        '{"format": 1}',
        '{"format": 1, "account": null, "variants": [1]}',
        "[" * 9999,
        '{"format": 1, "account": 1, "variants": [{"key": ["a"], "hellos": {}, "lists": {}}]}',
    ],
)
def test_a_damaged_file_is_no_notes(text: str) -> None:
    """And no error."""
    assert noted.load(text).account is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["tools", "nextCursor", "x"]), JSON), st.none() | JSON)
def test_any_answer_is_noted_or_left(answer: dict[str, Any], cursor: Any) -> None:
    """Whatever a server says, nothing raises, and a list is a list."""
    notes = Notes()
    notes.note("ann", KEY, LIST, {"cursor": cursor}, answer)

    found = notes.list_of(KEY, LIST)

    assert found is None or isinstance(found, list)


def test_a_legacy_server_is_remembered() -> None:
    """With no account at all; notes from before this was kept say nothing of it."""
    notes = noted.Notes()
    notes.legacy = True
    assert noted.load(notes.dump()).legacy
    assert not noted.load('{"format": 1, "account": null, "variants": []}').legacy
    assert not noted.load('{"format": 1, "account": null, "legacy": "yes", "variants": []}').legacy


def test_clients_behind_one_address_share_what_is_known() -> None:
    """Which client of `/mcp` asks, and its request's id, change no list; an unknown header may."""

    plain, team = (key_of("", headers, "2026-07-28", {}) for headers in ([], [("X-Team", "a")]))

    assert plain == key_of("", [("X-Amberlight-Client", "codex/1"), ("x-request-id", "7")], "2026-07-28", {})
    assert plain != team
