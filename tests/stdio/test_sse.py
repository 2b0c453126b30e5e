"""Event streams, however they are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trayapp.stdio import sse
from trayapp.stdio.sse import Event, Events, TooLongError

STREAM = (
    b": comment\n\nevent: endpoint\r\ndata: /x\r\n\r\nid: 7\ndata\n\ndata:one\ndata: two\n\n"
    b"retry: 2500\rid:8\rdata: three\r\revent: other\n\nid: nul\0l\nretry: soon\ndata: four\n\ndata: cut"
)
FOUND = [
    Event("endpoint", b"/x"),
    Event("message", b""),
    Event("message", b"one\ntwo"),
    Event("message", b"three"),
    Event("message", b"four"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    events = Events()
    edges = [0, *sorted(cuts), len(STREAM)]
    found = [each for start, end in itertools.pairwise(edges) for each in events.feed(STREAM[start:end])]
    assert FOUND == found
    assert ("8", 2.5) == (events.last_id, events.retry)


def test_an_endless_event_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LARGE", 500)
    monkeypatch.setattr(sse, "EVENT_MAX", 1000)
    events = Events()
    for _ in range(100):
        events.feed(b"data: xxxxxxxx\n")
    with pytest.raises(TooLongError):
        events.feed(b"data: " + b"x" * 300)
