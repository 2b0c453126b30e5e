"""Kinds of notifications that are switched off, and quiet hours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.test_notices import T, amber, red
from trayapp.core.model import Problem
from trayapp.core.notice_kinds import KINDS, RECONNECTING, SIGN_IN, is_quiet
from trayapp.core.notices import ShownNotices, notices
from trayapp.core.snapshot import Snapshot, WorkloadView


def shot(*views: WorkloadView) -> Snapshot:
    return Snapshot(1, {view.name: view for view in views})


@pytest.mark.parametrize(
    ("hours", "quiet", "loud"),
    [
        ("", (), (0, 720, 1439)),
        ("22:00-07:00", (1320, 1439, 0, 419), (420, 720, 1319)),
        ("09:30-17:00", (570, 1019), (569, 1020, 0)),
        ("08:00-08:00", (), (0, 480, 1439)),
    ],
)
def test_quiet_hours(hours: str, quiet: tuple[int, ...], loud: tuple[int, ...]) -> None:
    """From the first minute to the last one before the end, also past midnight; the same time twice is no time."""

    assert all(is_quiet(hours, minute) for minute in quiet)
    assert not any(is_quiet(hours, minute) for minute in loud)


def test_a_kind_that_is_off_is_not_shown() -> None:
    """The others are."""

    seen = shot(amber("a"), red("b"))
    shown = {
        off: {notice.key for notice in notices(ShownNotices(), seen, frozenset("a"), T, allowed={*KINDS} - {off})[1]}
        for off in (SIGN_IN, RECONNECTING)
    }

    assert {SIGN_IN: {"amber:a"}, RECONNECTING: {"red:b"}} == shown


def test_what_is_still_true_is_shown_after_the_quiet_hours() -> None:
    """Nothing is shown while they last, and nothing is forgotten."""

    seen = shot(red("a"))
    memory, at_night, _ = notices(ShownNotices(), seen, frozenset(), T, allowed=frozenset())
    memory, in_the_morning, _ = notices(memory, seen, frozenset(), T + 3600)

    assert () == at_night
    assert ["red:a"] == [notice.key for notice in in_the_morning]
    assert ((), ()) == notices(memory, seen, frozenset(), T + 3601)[1:]


def test_answers_to_a_click_are_shown_at_any_time() -> None:
    """A sign-in that failed, for example."""

    view = red("a")
    failed = replace(view, auth=replace(view.auth, sign_in_error=Problem("timed_out", "Nobody came.")))

    assert ["sign_in:a"] == [
        n.key for n in notices(ShownNotices(), shot(failed), frozenset(), T, allowed=frozenset())[1]
    ]
