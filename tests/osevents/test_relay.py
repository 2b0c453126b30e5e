"""What macOS and Windows share: the relay, the hold, and that their files are harmless on every other system."""

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


async def test_events_are_told_on_the_loop() -> None:
    """A foreign thread posts; the loop's thread hears."""

    heard = Heard()
    relay = ThreadRelay(heard)
    assert await asyncio.to_thread(relay.post, NetworkChangeHint())

    assert [NetworkChangeHint()] == await heard.until(1)
    assert {threading.current_thread()} == heard.threads


async def test_what_is_under_way_at_the_end_is_dropped() -> None:
    """An event that was posted before the end and would arrive after it is told to nobody."""

    heard = Heard()
    relay = ThreadRelay(heard)
    assert relay.post(NetworkChangeHint())
    relay.stop()
    await asyncio.sleep(0.01)

    assert not relay.post(NetworkChangeHint())
    assert [] == heard.events


def test_a_closed_loop_is_no_error() -> None:
    """A thread of the system outlives the loop; it hears that nobody listens."""

    async def make() -> ThreadRelay:
        return ThreadRelay(Heard())

    assert not asyncio.run(make()).post(NetworkChangeHint())


async def test_the_word_is_given_once() -> None:
    """Twenty threads and the time limit at the same moment: one word."""

    words: list[str] = []
    hold = SleepHold(lambda: words.append("sleep"), 0.02)
    threads = [threading.Thread(target=hold.release) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    await asyncio.sleep(0.04)

    assert ["sleep"] == words


async def test_without_a_word_the_time_limit_gives_it() -> None:
    """Nobody has to remember to."""

    words: list[str] = []
    SleepHold(lambda: words.append("sleep"), 0.02)
    await until(lambda: bool(words))

    assert ["sleep"] == words


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_on_another_system_polling_takes_over(system: str, caplog: pytest.LogCaptureFixture) -> None:
    """The registered sources import everywhere; what cannot work here is left out, each with a line in the log."""

    if sys.platform == system:
        pytest.skip("this is that system")
    with caplog.at_level(logging.WARNING):
        assert [] == native_sources(system)

    assert caplog.text.count("polling takes its place") == 2
