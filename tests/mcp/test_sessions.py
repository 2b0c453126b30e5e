"""Sessions of clients: unguessable, bounded, kept over a restart."""

from __future__ import annotations

import json

import pytest

from trayapp.mcp import sessions
from trayapp.mcp.sessions import SESSIONS_MAX, TOTAL_MAX, Session, Sessions

TOLD = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}


def begin(found: Sessions, name: str = "one", **params: object) -> Session:
    return found.begin(name, "", "ann", dict(params), dict(TOLD))


def test_an_id_belongs_to_its_workload_and_path() -> None:
    """128 random bits; another workload's or path's session is not found by it."""
    found = Sessions()
    session = begin(found)

    assert session is found.find(session.id, "one", "")
    assert found.find(session.id, "two", "") is None
    assert found.find(session.id, "one", "/x") is None
    assert 32 == len(session.id)
    assert begin(found).id != session.id


def test_the_longest_idle_goes_first() -> None:
    """Use counts, not age."""
    found = Sessions()
    first, second = begin(found), begin(found)
    found.find(first.id, "one", "")
    for _ in range(SESSIONS_MAX - 1):
        begin(found)

    assert found.find(first.id, "one", "") is first
    assert found.find(second.id, "one", "") is None


def test_a_restart_keeps_what_a_client_needs() -> None:
    """Its id, its parameters, the upstream's id and what has to be said again."""
    found = Sessions()
    session = begin(found, capabilities={"roots": {}})
    session.live, session.upstream, session.called = True, "up-1", True
    session.replay("logging/setLevel", {"level": "debug"})

    again = sessions.load(found.dump()).find(session.id, "one", "")

    assert again is not None
    assert ("up-1", True, True) == (again.upstream, again.live, again.called)
    assert ({"roots": {}}, "2025-06-18") == (again.capabilities, again.revision.version)
    assert {"logging/setLevel ": {"level": "debug"}} == again.replayed


def test_endless_parameters_displace_only_what_is_oldest() -> None:
    """Memory and file stay small, and the newest session is always kept."""
    found = Sessions()
    many = [begin(found, big="x" * (TOTAL_MAX // 8)) for _ in range(9)]
    again = sessions.load(found.dump())

    assert many[0].id not in {each.id for each in again.of("one")}
    assert {each.id for each in many[2:]} == {each.id for each in again.of("one")}
    assert begin(found, big="x" * 2 * TOTAL_MAX).id in {each.id for each in found.of("one")}
    assert 1 == len(found.of("one"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 1, "sessions": 3}',
        '{"format": 1, "sessions": [1, {}, {"id": 1}]}',
        json.dumps({"format": 2, "sessions": []}),
    ],
)
def test_a_damaged_file_is_no_sessions(text: str) -> None:
    """And no error."""
    assert [] == sessions.load(text).of("one")


def test_a_subscription_that_was_ended_is_not_made_again() -> None:
    """The last log level, and the subscriptions that are left."""
    session = begin(Sessions())
    session.replay("logging/setLevel", {"level": "debug"})
    session.replay("logging/setLevel", {"level": "error"})
    session.replay("resources/subscribe", {"uri": "a"})
    session.replay("resources/subscribe", {"uri": "b"})
    session.replay("resources/unsubscribe", {"uri": "a"})

    assert [{"level": "error"}, {"uri": "b"}] == list(session.replayed.values())


def test_a_workload_that_is_gone_leaves_none() -> None:
    """Its sessions end, the others stay."""
    found = Sessions()
    one, two = begin(found), begin(found, "two")

    found.forget("one")

    assert found.find(one.id, "one", "") is None
    assert found.find(two.id, "two", "") is two
