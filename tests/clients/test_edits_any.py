"""The editors with any text: what goes in comes out again byte for byte, or an `EditError` says that it can't be done."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.clients.test_edits import ACCESS
from tests.clients.texts import texts
from trayapp.clients import edits, entries
from trayapp.clients.jsonc import parse
from trayapp.clients.table import BY_NAME, Client, Syntax

KINDS = ("cursor", "amp", "cline-cli", "codex", "mistral-vibe", "goose", "continue")
FEW = settings(max_examples=40, deadline=None)  # the reader of YAML is slow
CHARACTERS = st.sampled_from("{}[]\",:\\/*\n\r\t #-'=.&!|>?%@`~_x1\x00\x85\u2028\ufeff\U0001f511")


def entry_of(client: Client) -> dict[str, object]:
    return entries.entry(client, ACCESS, entries.transport_for(client, ACCESS))


@pytest.mark.parametrize("name", KINDS)
@FEW
@given(data=st.data())
def test_in_and_out_of_any_text(name: str, data: st.DataObject) -> None:
    """Whatever its layout; that nothing else changes in meaning is proved by the editor itself."""

    client = BY_NAME[name]
    text = data.draw(texts(client))
    try:
        after = edits.put(client, text, "notion", entry_of(client))
        again = [edits.drop(client, after, "notion", prune=prune) for prune in (True, False)]
    except edits.EditError:
        return
    assert after == edits.put(client, after, "notion", entry_of(client))
    assert text in again or not restorable(client, text)


@pytest.mark.parametrize("name", KINDS)
@FEW
@given(data=st.data())
def test_any_entry_can_be_taken_out(name: str, data: st.DataObject) -> None:
    """The comments of the others stay."""

    client = BY_NAME[name]
    text = data.draw(texts(client))
    try:
        names = list(edits.servers(client, text))
        for each in names:
            text = edits.drop(client, text, each, prune=data.draw(st.booleans()))
    except edits.EditError:
        return
    assert {} == edits.servers(client, text)


@pytest.mark.parametrize("name", KINDS)
@FEW
@given(data=st.data())
def test_a_damaged_text(name: str, data: st.DataObject) -> None:
    """Nothing but an `EditError` comes out of the editors."""

    client = BY_NAME[name]
    text = data.draw(texts(client))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(CHARACTERS | st.just("")) + text[place + data.draw(st.integers(0, 2)) :]
    try:
        after = edits.put(client, text, "notion", entry_of(client))
        edits.drop(client, after, "notion", prune=True)
    except edits.EditError as error:
        assert str(error)


def restorable(client: Client, text: str) -> bool:
    """Whether the text alone says how it was: not what stood in the place of the servers if that was `null`, nor how
    an empty object was laid out over lines.
    """
    if client.syntax is not Syntax.JSON:
        return re.search(r"(?:extensions|mcpServers)'?: (?:null|~)", text) is None
    if not text.strip("\ufeff \r\n"):
        return False
    holder = parse(text)
    for key in client.servers:
        found = holder.get(key)
        if found is None:
            break
        if found.data is None:
            return False
        holder = found
    return bool(holder.members) or "\n" not in text[holder.start : holder.end]
