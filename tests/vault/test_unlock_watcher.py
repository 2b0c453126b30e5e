"""The unlock watcher on a service and a bus that fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from dbus_fast import Message, MessageType

from tests.vault.scripted_secret_service import DEFAULT, PREFIX, ROOT, Scripted
from tests.vault.secret_service import SecretService, wait_for
from trayapp.vault import unlock_watcher
from trayapp.vault.unlock_watcher import watch

pytestmark = [pytest.mark.desktop, pytest.mark.linux("the Secret Service is Linux's")]


@contextlib.asynccontextmanager
async def watching(on_up: Callable[[], None]) -> AsyncIterator[None]:
    """A watcher at work; it ends only by being cancelled."""
    task = asyncio.create_task(watch(on_up))
    await asyncio.sleep(0.1)  # until it has connected
    yield
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def until(holds: Callable[[], object]) -> None:
    await asyncio.to_thread(wait_for, holds, "the news", 5.0)


async def changed(script: Scripted, member: str = "CollectionChanged", collection: str = DEFAULT) -> None:
    """The service says that a collection changed, came or went, and the watcher has asked about it."""
    await asyncio.sleep(0.2)  # until the match rules are with the bus
    signal = Message(
        path=ROOT,
        interface=f"{PREFIX}Service",
        member=member,
        signature="o",
        body=[collection],
        message_type=MessageType.SIGNAL,
    )
    assert script._loop is not None
    assert script._bus is not None
    asked = script.calls.count("ReadAlias")
    script._loop.call_soon_threadsafe(script._bus.send, signal)
    await asyncio.to_thread(wait_for, lambda: script.calls.count("ReadAlias") > asked, "the question")


async def test_a_bus_that_ends_while_it_asks(
    bus: SecretService, script: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is reported for it, and another connection is tried."""

    monkeypatch.setattr(unlock_watcher, "RETRY_FIRST", 0.02)
    heard: list[None] = []
    async with watching(lambda: heard.append(None)):
        script.deaf_to = "ReadAlias"
        await changed(script)
        bus.end_bus()
        await asyncio.sleep(0.1)
        assert [] == heard
        bus.start_bus()
        await until(lambda: heard)


async def test_a_bus_that_returns(bus: SecretService, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch begins anew, twice; what happened meanwhile was not heard, so the return itself is reported."""

    monkeypatch.setattr(unlock_watcher, "RETRY_FIRST", 0.02)
    heard: list[None] = []
    async with watching(lambda: heard.append(None)):
        for _ in range(2):
            bus.end_bus()
            bus.start_bus()
            await until(lambda: heard)
            heard.clear()
            script = Scripted()
            script.start()
            await until(lambda: heard)
            heard.clear()
            await changed(script)
            await until(lambda: heard)
            script.stop()
            heard.clear()


async def test_a_bus_that_begins_after_us(
    bus: SecretService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is looked for at growing intervals, and its absence is logged once."""

    monkeypatch.setattr(unlock_watcher, "RETRY_FIRST", 0.02)
    caplog.set_level("INFO")
    bus.end_bus()
    heard: list[None] = []
    async with watching(lambda: heard.append(None)):
        await asyncio.sleep(0.2)
        bus.start_bus()
        await until(lambda: heard)
    assert 1 == caplog.text.count("No session bus")


@pytest.mark.parametrize("member", ["CollectionCreated", "CollectionDeleted"])
async def test_another_collection_comes_or_goes(script: Scripted, member: str) -> None:
    """A login may have been in it: the keyring changed, as far as it is open."""

    heard: list[None] = []
    async with watching(lambda: heard.append(None)):
        script.locked = True
        await changed(script, member, f"{ROOT}/collection/other")
        await asyncio.sleep(0.1)
        assert [] == heard
        script.locked = False
        await changed(script, member, f"{ROOT}/collection/other")
        await until(lambda: heard)


async def test_a_call_without_reply_does_not_end_the_watcher(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next signal is heard again."""

    monkeypatch.setattr(unlock_watcher, "CALL_LIMIT", 0.1)
    heard: list[None] = []
    async with watching(lambda: heard.append(None)):
        script.deaf_to = "ReadAlias"
        await changed(script)
        script.deaf_to = ""
        await changed(script)
        await until(lambda: heard)
