"""The icon on the bus: what hosts read, hosts and buses that restart, and sessions that have neither."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from dbus_fast import Variant
from dbus_fast.aio.message_bus import MessageBus

from tests.tray.bus import Bus, Watcher, call
from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, Verb
from trayapp.tray import pixmap, sni
from trayapp.tray.mailbox import ViewUpdate

RED = IconView(Glyph.WARNING, Colour.RED, (Colour.RED,), attention=True)
PROPERTIES = "org.freedesktop.DBus.Properties"


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait at most 5 s for a condition that another thread or process makes true."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"timed out waiting for {what}")


class Running:
    """An `sni.Icon` in a thread of its own, with a setup that waits as the painter does."""

    def __init__(self, **more: Any) -> None:
        self.actions: queue.Queue[Action] = queue.Queue()
        self.hosts: list[bool] = []
        self.ready = threading.Event()
        self.icon = sni.Icon("Amberlight", self.actions.put, self.hosts.append, **more)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: self.icon.run(self._setup))

    def _setup(self, icon: sni.Icon) -> None:
        self.ready.set()
        self._stop.wait(20)
        icon.stop()

    async def __aenter__(self) -> Running:
        self._thread.start()
        await until(self.ready.is_set, "the icon")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.to_thread(self._thread.join, 5)
        assert not self._thread.is_alive()


async def with_watcher(bus: Bus, work: Callable[[Watcher, Callable[..., Awaitable[Any]]], Awaitable[None]]) -> None:
    """Run `work` beside a watcher; it gets a function that calls methods of the registered icon."""
    connection = await bus.connect()
    watcher = Watcher()
    await watcher.appear(connection)

    async def ask(path: str, interface: str, member: str, signature: str, *body: Any) -> Any:
        return await call(connection, watcher.items[-1], path, interface, member, signature, *body)

    try:
        await work(watcher, ask)
    finally:
        connection.disconnect()


async def test_every_property_that_hosts_read_exists(bus: Bus) -> None:
    """lxqt-panel logs an error for each missing one, other hosts show nothing."""

    async def work(watcher: Watcher, ask: Callable[..., Awaitable[Any]]) -> None:
        async with Running():
            found = await ask("/StatusNotifierItem", PROPERTIES, "GetAll", "s", "org.kde.StatusNotifierItem")
        assert {
            *("Category", "Id", "Title", "Status", "WindowId", "IconThemePath", "Menu", "ItemIsMenu", "ToolTip"),
            *("IconName", "IconPixmap", "IconAccessibleDesc", "OverlayIconName", "OverlayIconPixmap"),
            *("AttentionIconName", "AttentionIconPixmap", "AttentionAccessibleDesc", "AttentionMovieName"),
        } == set(found)
        assert list(pixmap.pixmaps(pixmap.FIRST_VIEW)) == found["IconPixmap"].value
        assert ("amberlight", "Active", "/MenuBar") == tuple(found[name].value for name in ("Id", "Status", "Menu"))

    await with_watcher(bus, work)


async def test_an_urgent_icon_has_attention_pixmaps_and_an_escaped_tooltip(bus: Bus) -> None:
    """Hosts interpret the tooltip as markup, so its special characters are escaped."""

    async def work(watcher: Watcher, ask: Callable[..., Awaitable[Any]]) -> None:
        async with Running() as running:
            running.icon.apply(ViewUpdate(RED, "<b>1 needs sign-in</b>"))
            found: dict[str, Any] = {}
            for _ in range(200):
                found = await ask("/StatusNotifierItem", PROPERTIES, "GetAll", "s", "org.kde.StatusNotifierItem")
                if found["Status"].value == "NeedsAttention":
                    break
                await asyncio.sleep(0.01)
        assert "NeedsAttention" == found["Status"].value
        assert found["IconPixmap"].value == found["AttentionIconPixmap"].value
        assert list(pixmap.SIZES) == [width for width, _, _ in found["IconPixmap"].value]
        assert ("", [], "Amberlight", "&lt;b&gt;1 needs sign-in&lt;/b&gt;") == found["ToolTip"].value

    await with_watcher(bus, work)


async def test_clicks_of_all_kinds_arrive(bus: Bus) -> None:
    """Activate, Event and EventGroup; an unknown number is returned as an error."""

    menu = (MenuItem("quit", "Quit", Action(Verb.QUIT)),)

    async def work(watcher: Watcher, ask: Callable[..., Awaitable[Any]]) -> None:
        nothing = Variant("i", 0)
        async with Running() as running:
            running.icon.apply(ViewUpdate(menu=menu))
            await ask("/StatusNotifierItem", "org.kde.StatusNotifierItem", "Activate", "ii", 0, 0)
            await until(lambda: not running.actions.empty(), "the left click")
            events = [[1, "clicked", nothing, 0], [99, "clicked", nothing, 0]]
            assert [99] == await ask("/MenuBar", "com.canonical.dbusmenu", "EventGroup", "a(isvu)", events)
            await ask("/MenuBar", "com.canonical.dbusmenu", "Event", "isvu", 1, "hovered", nothing, 0)
            assert [[], [99]] == await ask("/MenuBar", "com.canonical.dbusmenu", "AboutToShowGroup", "ai", [1, 99])
            group = await ask("/MenuBar", "com.canonical.dbusmenu", "GetGroupProperties", "aias", [1, 99], ["label"])
            assert [(1, {"label": Variant("s", "Quit")})] == group
        assert [Action(Verb.SHOW), Action(Verb.QUIT)] == [running.actions.get(timeout=5) for _ in range(2)]
        assert running.actions.empty()

    await with_watcher(bus, work)


async def test_the_icon_registers_again_with_a_new_watcher(bus: Bus) -> None:
    """A panel that restarts shows it again; a short absence is not reported."""

    connection = await bus.connect()
    first, second = Watcher(), Watcher()
    await first.appear(connection)
    async with Running(host_grace=5.0) as running:
        await until(lambda: first.items, "the first registration")
        await first.vanish(connection)
        await second.appear(connection)
        await until(lambda: second.items, "the second registration")
        assert first.items == second.items
        await until(lambda: running.hosts, "the news of a host")
    assert [True] == running.hosts
    connection.disconnect()


async def test_a_watcher_without_a_host_counts_as_no_host(bus: Bus) -> None:
    """A watcher lists icons but nothing shows them; then a host registers."""

    connection = await bus.connect()
    watcher = Watcher(host=False)
    await watcher.appear(connection)
    async with Running(host_grace=0.01) as running:
        await until(lambda: running.hosts == [False], "the news that there is no host")
        watcher.host_came()
        await until(lambda: running.hosts == [False, True], "the news of a host")
    connection.disconnect()


async def test_without_a_watcher_the_icon_is_ready_and_reports_no_host_after_the_grace(bus: Bus) -> None:
    """As on GNOME without an extension."""

    async with Running(host_grace=0.01) as running:
        await until(lambda: running.hosts, "the news that there is no host")
    assert [False] == running.hosts


async def test_a_lost_bus_is_reported_once_and_reconnected(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The icon reappears automatically with what was last shown."""

    monkeypatch.setattr(sni, "RETRY_FIRST", 0.02)
    async with Running(host_grace=0.01) as running:
        running.icon.apply(ViewUpdate(tooltip="before the loss"))
        bus.stop()
        await until(lambda: "the tray icon is gone" in caplog.text, "the report")
        await asyncio.sleep(0.2)
        bus.start()
        connection = await bus.connect()
        watcher = Watcher()
        await watcher.appear(connection)
        await until(lambda: watcher.items, "the icon on the new bus")
        path = ("/StatusNotifierItem", PROPERTIES, "Get", "ss", "org.kde.StatusNotifierItem", "IconAccessibleDesc")
        assert "before the loss" == (await call(connection, watcher.items[0], *path)).value
        connection.disconnect()
    assert 1 == len([r for r in caplog.records if r.levelname == "WARNING" and "tray icon" in r.getMessage()])


async def test_without_a_session_bus_run_waits_for_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One plain sentence in the log; the program works without an icon."""

    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    async with Running(host_grace=0.01) as running:
        running.icon.apply(ViewUpdate(RED, "nobody sees it"))
        await until(lambda: running.hosts == [False], "the news that there is no host")
    (record,) = [r for r in caplog.records if r.levelname == "WARNING"]
    assert record.getMessage().startswith("no tray icon: this session has no D-Bus session bus")
    assert record.exc_info is None


async def test_an_unreachable_bus_is_retried_at_growing_intervals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    """Never a busy loop: the delays double."""

    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/nobody")
    monkeypatch.setattr(sni, "RETRY_FIRST", 0.02)
    tries = 0
    connect = MessageBus.connect

    async def counted(self: Any) -> Any:
        nonlocal tries
        tries += 1
        return await connect(self)

    monkeypatch.setattr(MessageBus, "connect", counted)
    async with Running():
        await asyncio.sleep(0.25)
    assert 2 <= tries <= 4  # at 0, 20, 60, 140 ms
    assert 1 == len([r for r in caplog.records if r.levelname == "WARNING"])


def test_importing_the_backend_leaves_the_environment_alone() -> None:
    """A browser that we start must not inherit our choice of a backend."""

    assert "PYSTRAY_BACKEND" not in os.environ
