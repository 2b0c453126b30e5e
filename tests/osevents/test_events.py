"""The debounce of network messages and the choice of native sources."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from trayapp.osevents.debounce import Debounce
from trayapp.osevents.events import OsEvent, Source
from trayapp.osevents.sources import native_sources


def test_a_burst_makes_one_event() -> None:
    """Ten messages in a tenth of a second are one event, soon after the last."""

    debounce = Debounce()
    for number in range(10):
        debounce.hit(100.0 + number / 100)

    assert debounce.due() == pytest.approx(100.14)
    assert not debounce.take(100.1)
    assert debounce.take(100.15)
    assert not debounce.take(200.0)


def test_nothing_is_due_without_a_message() -> None:
    """A quiet source never fires."""

    assert Debounce().due() is None
    assert not Debounce().take(1e9)


def test_messages_that_never_stop_are_reported_after_2_s() -> None:
    """A network that never rests cannot postpone the event for ever."""

    debounce = Debounce()
    for number in range(60):
        debounce.hit(100.0 + number / 25)

    assert debounce.due() == 102.0
    assert debounce.take(102.4)
    debounce.hit(103.0)
    assert debounce.due() == 103.05


class Pretend:
    """A source that works and is never run."""

    name = "pretend"
    power = False
    network = False
    live = False

    async def run(self, emit: Callable[[OsEvent], None]) -> None:
        raise AssertionError("no test runs it")


def _there() -> Source:
    return Pretend()


def _missing() -> Source:
    raise OSError("no system bus")


def test_sources_that_work_are_used(caplog: pytest.LogCaptureFixture) -> None:
    """A source that cannot be opened is left out, and the log says why polling takes its place."""

    found = native_sources("linux", {"linux": (_missing, _there), "win": (_there,)})

    assert [source.name for source in found] == ["pretend"]
    assert "no system bus" in caplog.text


def test_without_a_native_source_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """The log says once why polling is used."""

    with caplog.at_level(logging.INFO):
        assert native_sources("plan9", {"linux": (_there,)}) == []

    assert "no native source for plan9" in caplog.text
