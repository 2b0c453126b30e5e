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
from dbus_fast.constants import NameFlag

from tests.tray.bus import Bus, Watcher, call, private_bus, sandboxed
from tests.tray.waiting import until
from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, Verb
from trayapp.tray import pixmap, sni
from trayapp.tray.mailbox import ViewUpdate

pytestmark = pytest.mark.linux("StatusNotifierItem over D-Bus")

RED = IconView(Glyph.WARNING, Colour.RED, (Colour.RED,), attention=True)
PROPERTIES = "org.freedesktop.DBus.Properties"
ITEM = "org.kde.StatusNotifierItem"


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
            found = await ask("/StatusNotifierItem", PROPERTIES, "GetAll", "s", ITEM)
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
                found = await ask("/StatusNotifierItem", PROPERTIES, "GetAll", "s", ITEM)
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
            await ask("/StatusNotifierItem", ITEM, "Activate", "ii", 0, 0)
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


async def test_a_watcher_that_has_its_name_before_its_object(bus: Bus) -> None:
    """As panels that are still starting: the first registration fails, a later one arrives."""

    connection = await bus.connect()
    watcher = Watcher()
    await connection.request_name(watcher.NAME)
    async with Running(host_grace=0.01) as running:
        await until(lambda: running.hosts == [False], "the news that there is no host")
        watcher.export(connection)
        await until(lambda: running.hosts == [False, True], "the news of a host")
    assert 1 == len(watcher.items)
    connection.disconnect()


async def test_a_watcher_that_is_slow_is_waited_for(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The icon is ready meanwhile; one registration is enough, and nobody is told that there is no host."""

    monkeypatch.setattr(sni, "CALL_LIMIT", 0.05)
    connection = await bus.connect()
    watcher = Watcher(delay=0.3)
    await watcher.appear(connection)
    async with Running(host_grace=0.01) as running:
        assert [] == watcher.items
        await until(lambda: running.hosts, "the news of a host")
    assert [True] == running.hosts
    assert 1 == len(watcher.items)
    connection.disconnect()


async def test_a_watcher_that_answers_too_late_is_asked_again(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers after the limit, when the person has been told that nothing shows the icon: that is taken back."""

    monkeypatch.setattr(sni, "WATCHER_LIMIT", 0.1)
    connection = await bus.connect()
    watcher = Watcher(delay=0.3)
    await watcher.appear(connection)
    async with Running(host_grace=0.01) as running:
        await until(lambda: watcher.items, "the late answer")
        assert [False] == running.hosts
        watcher.delay = 0.0
        await until(lambda: running.hosts == [False, True], "the news of a host")
    connection.disconnect()


async def test_a_watcher_that_hangs_does_not_delay_its_successor(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program takes the name over while the registration with the old one is unanswered."""

    monkeypatch.setattr(sni, "CALL_LIMIT", 0.1)
    old, new = await bus.connect(), await bus.connect()
    first, second = Watcher(delay=3600), Watcher()
    first.export(old)
    await old.request_name(first.NAME, NameFlag.ALLOW_REPLACEMENT)
    async with Running(host_grace=5.0) as running:
        second.export(new)
        await new.request_name(second.NAME, NameFlag.REPLACE_EXISTING)
        await until(lambda: running.hosts, "the news of a host")
    assert 1 == len(second.items)
    assert [True] == running.hosts
    for connection in (old, new):
        connection.disconnect()


@pytest.mark.parametrize("by_unique_name", [False, True])
@pytest.mark.parametrize("path", ["", "/StatusNotifierItem"])
async def test_a_watcher_that_forgets_the_icon_gets_it_again(bus: Bus, by_unique_name: bool, path: str) -> None:
    """It keeps its name and says which item is gone, by one of the icon's names; another item is not ours."""

    connection = await bus.connect()
    watcher = Watcher()
    await watcher.appear(connection)
    async with Running() as running:
        await until(lambda: running.hosts, "the news of a host")
        name = watcher.items[0]
        if by_unique_name:
            name = await call(
                connection, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetNameOwner", "s", name
            )
        watcher.forget(name + path)
        await until(lambda: watcher.items, "the icon to register again")
        watcher.items.clear()
        watcher.forget("org.kde.StatusNotifierItem-1-1" + path)
        await asyncio.sleep(0.1)
        assert [] == watcher.items
    assert [True] == running.hosts
    connection.disconnect()


async def test_a_host_that_starts_gets_the_icon_again(bus: Bus) -> None:
    """The watcher has kept its name and lost its items without a word, for example while the screen was locked."""

    connection = await bus.connect()
    watcher = Watcher()
    await watcher.appear(connection)
    async with Running() as running:
        await until(lambda: running.hosts, "the news of a host")
        watcher.items.clear()
        watcher.host_came()
        await until(lambda: watcher.items, "the icon to register again")
    connection.disconnect()


async def test_a_watcher_that_drops_every_icon_is_not_flooded(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between two registrations double."""

    monkeypatch.setattr(sni, "AGAIN_FIRST", 0.02)
    connection = await bus.connect()
    watcher, times = Watcher(), 0
    await watcher.appear(connection)
    async with Running():
        end = asyncio.get_running_loop().time() + 0.5
        while asyncio.get_running_loop().time() < end:
            if watcher.items:
                times += 1
                watcher.forget(watcher.items[0])
            await asyncio.sleep(0.005)
    assert 3 <= times <= 6  # at 0, 20, 60, 140, 300 ms
    connection.disconnect()


async def test_an_icon_that_goes_does_not_register_again(bus: Bus) -> None:
    """Releasing its name makes the watcher report that it is gone."""

    connection = await bus.connect()
    watcher = Watcher()
    await watcher.appear(connection)
    connection.add_message_handler(
        lambda message: (
            watcher.forget(message.body[0])
            if message.member == "NameOwnerChanged" and message.body[0] in watcher.items and not message.body[2]
            else None
        )
    )
    rule = "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'"
    await call(connection, "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "AddMatch", "s", rule)
    async with Running() as running:
        await until(lambda: running.hosts, "the news of a host")
    await until(lambda: not watcher.items, "the end of the icon")
    await asyncio.sleep(0.1)
    assert [] == watcher.items
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
        path = ("/StatusNotifierItem", PROPERTIES, "Get", "ss", ITEM, "IconAccessibleDesc")
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
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))  # whose bus would be used instead
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


async def test_a_taken_name_is_free_on_the_next_bus(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The icon uses its unique name where another process has its own one, on that bus only."""

    monkeypatch.setattr(sni, "RETRY_FIRST", 0.02)
    running = Running()
    other = await bus.connect()
    await other.request_name(running.icon._own_name)
    watchers: list[Watcher] = []
    async with running:
        for _ in range(2):
            connection = await bus.connect()
            watchers.append(Watcher())
            await watchers[-1].appear(connection)
            await until(lambda: watchers[-1].items, "the icon")
            bus.stop()
            bus.start()
    assert watchers[0].items[0].startswith(":")
    assert [running.icon._own_name] == watchers[1].items


def test_importing_the_backend_leaves_the_environment_alone() -> None:
    """A browser that we start must not inherit our choice of a backend."""

    assert "PYSTRAY_BACKEND" not in os.environ


async def test_a_sandbox_that_refuses_the_name_shows_the_icon(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flatpak lets a program speak to the watcher, but mostly not own a name of KDE's: the unique name is registered."""

    with sandboxed(bus, f"--talk={Watcher.NAME}") as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        await registers_by_its_unique_name(bus)


async def test_a_bus_that_refuses_the_name_shows_the_icon(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its policy, with another error than a sandbox's."""

    with private_bus(f'<deny own_prefix="org.kde"/><allow own="{Watcher.NAME}"/>') as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        await registers_by_its_unique_name(bus)


async def registers_by_its_unique_name(bus: Bus) -> None:
    """An icon registers with this bus's watcher by its unique name, and the host reads it there."""

    async def work(watcher: Watcher, ask: Callable[..., Awaitable[Any]]) -> None:
        async with Running() as running:
            await until(lambda: running.hosts, "the news of a host")
            assert watcher.items[0].startswith(":")
            assert "Amberlight" == (await ask(sni.ITEM_PATH, PROPERTIES, "Get", "ss", ITEM, "Title")).value

    await with_watcher(bus, work)


async def test_a_host_without_menus_opens_the_dashboard(bus: Bus) -> None:
    """The right button on sway's own bar."""

    async def work(watcher: Watcher, ask: Callable[..., Awaitable[Any]]) -> None:
        async with Running() as running:
            await until(lambda: running.hosts, "the news of a host")
            await ask(sni.ITEM_PATH, ITEM, "ContextMenu", "ii", 0, 0)
            assert Action(Verb.SHOW) == running.actions.get(timeout=5)

    await with_watcher(bus, work)
