"""The unlock watcher on a service and a bus that fail."""

from __future__ import annotations

import asyncio
import sys

import pytest
from dbus_fast import Message, MessageType

from tests.vault.scripted_secret_service import DEFAULT, PREFIX, ROOT, Scripted
from tests.vault.secret_service import SecretService, wait_for
from trayapp.vault import unlock_watcher
from trayapp.vault.unlock_watcher import watch

pytestmark = [pytest.mark.desktop, pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's")]


async def changed(script: Scripted) -> None:
    """The service says that the default collection changed, and the watcher has asked about it."""
    await asyncio.sleep(0.2)  # until the match rules are with the bus
    signal = Message(
        path=ROOT,
        interface=f"{PREFIX}Service",
        member="CollectionChanged",
        signature="o",
        body=[DEFAULT],
        message_type=MessageType.SIGNAL,
    )
    assert script._loop is not None
    assert script._bus is not None
    asked = script.calls.count("ReadAlias")
    script._loop.call_soon_threadsafe(script._bus.send, signal)
    await asyncio.to_thread(wait_for, lambda: script.calls.count("ReadAlias") > asked, "the question")


async def test_a_bus_that_ends_while_it_asks_ends_the_watching(bus: SecretService, script: Scripted) -> None:
    """Quietly: there is nothing more to hear."""

    unlocked: list[None] = []
    watching = asyncio.create_task(watch(lambda: unlocked.append(None)))
    script.deaf_to = "ReadAlias"
    await changed(script)
    assert not watching.done()
    bus._bus.terminate()
    await asyncio.wait_for(watching, 5)
    assert [] == unlocked


async def test_a_call_without_reply_does_not_end_the_watcher(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next signal is heard again."""

    monkeypatch.setattr(unlock_watcher, "CALL_LIMIT", 0.1)
    heard = asyncio.Event()
    watching = asyncio.create_task(watch(heard.set))
    script.deaf_to = "ReadAlias"
    await changed(script)
    script.deaf_to = ""
    await changed(script)
    await asyncio.wait_for(heard.wait(), 5)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
