"""The thread relay and the sleep hold of macOS and Windows, and that their modules import on every other system."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading

import pytest

from tests.osevents.listening import Heard, until
from trayapp.osevents.events import NetworkChangeHint
from trayapp.osevents.relay import SleepHold, ThreadRelay
from trayapp.osevents.sources import native_sources


async def test_events_are_emitted_on_the_loop() -> None:
    """A foreign thread posts; `emit` runs on the loop's thread."""

    heard = Heard()
    relay = ThreadRelay(heard)
    assert await asyncio.to_thread(relay.post, NetworkChangeHint())

    assert [NetworkChangeHint()] == await heard.until(1)
    assert {threading.current_thread()} == heard.threads


async def test_events_in_transit_at_the_stop_are_dropped() -> None:
    """An event that was posted before the stop and would arrive after it is not emitted."""

    heard = Heard()
    relay = ThreadRelay(heard)
    assert relay.post(NetworkChangeHint())
    relay.stop()
    await asyncio.sleep(0.01)

    assert not relay.post(NetworkChangeHint())
    assert [] == heard.events


def test_a_closed_loop_is_no_error() -> None:
    """A system thread may outlive the loop; its post returns False."""

    async def make() -> ThreadRelay:
        return ThreadRelay(Heard())

    assert not asyncio.run(make()).post(NetworkChangeHint())


async def test_a_sleep_is_allowed_once() -> None:
    """Twenty threads and the time limit release at the same moment: one call."""

    calls: list[str] = []
    hold = SleepHold(lambda: calls.append("sleep"), 0.02)
    threads = [threading.Thread(target=hold.release) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await asyncio.sleep(0.04)

    assert ["sleep"] == calls


async def test_a_sleep_is_allowed_at_the_time_limit() -> None:
    """Even if `release` is never called."""

    calls: list[str] = []
    SleepHold(lambda: calls.append("sleep"), 0.02)
    await until(lambda: bool(calls))

    assert ["sleep"] == calls


@pytest.mark.parametrize(("system", "sources"), [("darwin", 2), ("win32", 3)])
def test_on_another_system_polling_takes_over(system: str, sources: int, caplog: pytest.LogCaptureFixture) -> None:
    """The registered sources import everywhere; those that cannot work here are left out, each with a log line."""

    if sys.platform == system:
        pytest.skip("this is that system")
    with caplog.at_level(logging.WARNING):
        assert [] == native_sources(system)

    assert caplog.text.count("polling takes its place") == sources
