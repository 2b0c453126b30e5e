"""Icon, menu and notifications on a real panel, used by mouse and keyboard and checked by pixels."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from tests.desktop.conftest import require_desk
from tests.desktop.desk import DARK, WATCHER, Desk
from tests.desktop.screen import Box, wait_for
from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, Notice, TrayView, Verb
from trayapp.tray import sni
from trayapp.tray.channel import Listener
from trayapp.tray.icon import TrayIcon, native_backend
from trayapp.tray.notify import NotificationCentre

pytestmark = pytest.mark.desktop

GREEN = IconView(Glyph.TICK, Colour.GREEN, (Colour.GREEN,) * 3)
AMBER = IconView(Glyph.RETRY, Colour.AMBER, (Colour.AMBER, Colour.GREEN))
RED = IconView(Glyph.WARNING, Colour.RED, (Colour.RED, Colour.GREEN), attention=True)
RETRY = Action(Verb.RETRY, "git_hub")
PAUSE = Action(Verb.PAUSE, "git_hub")
QUIT = Action(Verb.QUIT)
SHOW = Action(Verb.SHOW)
# Lines of text in `menu()`, from above: summary, git_hub, Reconnect all, Open dashboard, Mute, Quit
GITHUB, ALL, DASHBOARD, LAST = 1, 2, 3, 5


def menu(state: str = "ok", *, retry_all: bool = True) -> tuple[MenuItem, ...]:
    every = (MenuItem("retry_all", "Reconnect all", Action(Verb.RETRY_ALL)),) if retry_all else ()
    inner = (MenuItem("git_hub/retry", "Retry now", RETRY), MenuItem("git_hub/pause", "Pause", PAUSE))
    return (
        MenuItem("summary", "1 reconnecting · 2 connected", enabled=False),
        MenuItem("line", separator=True),
        MenuItem("git_hub", f"● git_hub  {state}", items=inner),
        *every,
        MenuItem("show", "Open dashboard", SHOW),
        MenuItem("mute", "Mute notifications", Action(Verb.MUTE), checked=True),
        MenuItem("quit", "Quit", QUIT),
    )


def tray_view(icon: IconView = GREEN, items: tuple[MenuItem, ...] | None = None) -> TrayView:
    return TrayView(icon, "1 reconnecting · 2 connected", menu() if items is None else items)


class Tray:
    """A tray icon running in a thread, and the actions of its clicks."""

    def __init__(self, desk: Desk, make_backend: Callable[..., Any] = native_backend) -> None:
        self.desk = desk
        self.ready = threading.Event()
        self.actions: queue.Queue[Action] = queue.Queue()
        self.hosts: list[bool] = []
        self.icon = TrayIcon(self.actions.put, self.ready.set, on_host=self.hosts.append, make_backend=make_backend)
        self.thread = threading.Thread(target=self.icon.run)

    def show(self, view: TrayView) -> None:
        self.icon.publish(view)
        wait_for(lambda: self.desk.icon_share(view.icon.colour.value) > 0.05, f"a {view.icon.colour.name} icon")

    def clicked(self) -> Action:
        return self.actions.get(timeout=5)

    def bus_name(self) -> str:
        (item,) = self.desk.tray_items()
        return item.split("/")[0]

    def ids(self) -> dict[str, int]:
        """The labels of the menu with their numbers, read over the bus."""
        text = self.desk.call(
            self.bus_name(),
            "/MenuBar",
            "com.canonical.dbusmenu.GetLayout",
            "int32:0",
            "int32:-1",
            "array:string:label",
        )
        pairs = re.findall(r'int32 (\d+)\s+array \[\s+dict entry\(\s+string "label"\s+variant\s+string "(.*)"', text)
        return {label: int(number) for number, label in pairs}

    def event(self, number: int) -> None:
        """Send the D-Bus event of a click, as a host does."""
        arguments = (f"int32:{number}", "string:clicked", "variant:int32:0", "uint32:0")
        self.desk.call(self.bus_name(), "/MenuBar", "com.canonical.dbusmenu.Event", *arguments)


@pytest.fixture
def tray(on_desk: Desk) -> Iterator[Tray]:
    tray = Tray(on_desk)
    tray.thread.start()
    try:
        assert tray.ready.wait(5)
        yield tray
    finally:
        on_desk.close_menu()
        tray.icon.stop()
        tray.thread.join(5)
        assert not tray.thread.is_alive()
        wait_for(lambda: not on_desk.tray_items(), "the icon to go")


def test_the_first_icon_is_a_blue_ring(tray: Tray) -> None:
    """It is shown before any state is known."""

    wait_for(lambda: tray.desk.icon_share(Colour.BLUE.value) > 0.15, "the first icon")
    assert [True] == tray.hosts
    assert tray.icon.host_present


@pytest.mark.parametrize("view", [GREEN, AMBER, RED], ids=["green", "amber", "red"])
def test_the_panel_shows_the_colours_of_the_view(tray: Tray, view: IconView) -> None:
    """The colour of the worst status in the middle, the others in the ring, and no other."""

    tray.show(tray_view(view))
    for colour in (Colour.GREEN, Colour.AMBER, Colour.RED):
        assert (colour in view.segments) is (tray.desk.icon_share(colour.value) > 0.02), colour


def test_on_a_dark_panel_the_amber_icon_stands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The icon has its own ground, so the panel's colour does not matter."""

    require_desk()
    with Desk(dark=True, notifications=False, keyring_password=None) as desk:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", desk.env["DBUS_SESSION_BUS_ADDRESS"])
        tray = Tray(desk)
        tray.thread.start()
        tray.show(tray_view(AMBER))
        assert DARK == desk.pixel(400, 16)
        assert desk.icon_share(Colour.AMBER.value) > 0.08
        tray.icon.stop()
        tray.thread.join(5)


def test_a_left_click_opens_the_dashboard(tray: Tray) -> None:
    """The default action, never a sign-in."""

    tray.show(tray_view())
    tray.desk.click_icon()
    assert SHOW == tray.clicked()


def test_a_line_clicked_with_the_mouse_posts_its_action(tray: Tray) -> None:
    """From the panel's menu to the handler."""

    tray.show(tray_view())
    tray.desk.click_row(tray.desk.open_menu(), LAST)
    assert QUIT == tray.clicked()


def test_a_line_chosen_by_keyboard_posts_its_action(tray: Tray) -> None:
    """The keyboard skips the disabled summary and the separator."""

    tray.show(tray_view())
    tray.desk.choose(2)
    assert Action(Verb.RETRY_ALL) == tray.clicked()


def test_a_submenu_opens_and_its_line_posts_its_action(tray: Tray) -> None:
    """Each workload has its own submenu."""

    tray.show(tray_view())
    first = tray.desk.open_menu()
    tray.desk.hover_row(first, GITHUB)
    submenu = wait_for(lambda: tray.desk.menus()[1:], "the submenu")[0]
    tray.desk.settle(submenu)
    tray.desk.click_row(submenu, 1)
    assert PAUSE == tray.clicked()


def test_a_new_text_leaves_the_open_menu_open(tray: Tray) -> None:
    """The text changes while the menu is open, and a click still does what it says."""

    tray.show(tray_view())
    box = tray.desk.open_menu()
    before = tray.desk.shot().crop((box[0], box[1], box[0] + box[2], box[1] + box[3])).tobytes()
    tray.show(tray_view(AMBER, menu("14:32")))
    tray.desk.settle(box)
    assert [box] == tray.desk.menus()
    assert before != tray.desk.shot().crop((box[0], box[1], box[0] + box[2], box[1] + box[3])).tobytes()
    tray.desk.click_row(box, ALL)
    assert Action(Verb.RETRY_ALL) == tray.clicked()


def test_a_line_that_goes_leaves_the_open_menu_open(tray: Tray) -> None:
    """Even a new layout does not close the open menu."""

    tray.show(tray_view())
    box = tray.desk.open_menu()
    tray.show(tray_view(AMBER, menu(retry_all=False)))
    wait_for(lambda: tray.desk.menus() and len(tray.desk.rows(tray.desk.menus()[0])) == 5, "the line to go")
    tray.desk.click_row(tray.desk.menus()[0], DASHBOARD - 1)
    assert SHOW == tray.clicked()
    assert box[0] == 1


def test_a_late_click_on_a_line_that_is_gone_does_nothing(tray: Tray) -> None:
    """Its number is never given to another line."""

    tray.show(tray_view())
    gone = wait_for(tray.ids, "the menu")["Reconnect all"]
    tray.show(tray_view(AMBER, menu(retry_all=False)))
    wait_for(lambda: "Reconnect all" not in tray.ids(), "the line to go")
    tray.event(gone)
    tray.event(tray.ids()["Quit"])
    assert QUIT == tray.clicked()
    assert tray.actions.empty()


def test_an_underscore_in_a_name_is_shown(tray: Tray) -> None:
    """dbusmenu would take a single one for the mark of an access key."""

    tray.show(tray_view())
    assert "● git__hub  ok" in wait_for(tray.ids, "the menu")


def test_attention_is_requested_and_withdrawn(tray: Tray) -> None:
    """NeedsAttention makes a panel show a hidden icon; it ends when the workload recovers."""

    def status() -> str:
        asked = ("string:org.kde.StatusNotifierItem", "string:Status")
        text = tray.desk.call(tray.bus_name(), "/StatusNotifierItem", "org.freedesktop.DBus.Properties.Get", *asked)
        return text.split('"')[1]

    tray.show(tray_view(GREEN))
    assert "Active" == status()
    tray.show(tray_view(RED))
    assert "NeedsAttention" == status()
    assert tray.desk.icon_share(Colour.RED.value) > 0.06
    tray.icon.publish(tray_view(GREEN))
    wait_for(lambda: status() == "Active", "the calm status")


def test_the_icon_comes_back_with_its_panel(tray: Tray) -> None:
    """After a crash the panel shows the icon again, with the newest state, and its menu works."""

    tray.show(tray_view(GREEN))
    tray.desk.stop_panel()
    tray.icon.publish(tray_view(AMBER))
    tray.desk.start_panel()
    wait_for(lambda: tray.desk.icon_share(Colour.AMBER.value) > 0.08, "the icon on the new panel")
    tray.desk.click_row(tray.desk.open_menu(), LAST)
    assert QUIT == tray.clicked()
    assert [True] == tray.hosts, "a short absence of the panel is not reported"


def test_a_panel_that_hangs_at_login(on_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers long after every limit: the icon is shown, and the news that nothing shows it is taken back."""

    monkeypatch.setattr(sni, "WATCHER_LIMIT", 0.2)
    monkeypatch.setattr(sni, "CALL_LIMIT", 0.2)

    def backend(title: str, on_action: Callable[[Action], None], on_host: Callable[[bool], None]) -> sni.Icon:
        return sni.Icon(title, on_action, on_host, host_grace=0.5)

    query = "org.freedesktop.DBus.GetConnectionUnixProcessID"
    panel = int(on_desk.call("org.freedesktop.DBus", "/", query, f"string:{WATCHER}").split()[-1])
    os.kill(panel, signal.SIGSTOP)
    tray = Tray(on_desk, backend)
    try:
        tray.thread.start()
        wait_for(lambda: tray.hosts == [False], "the news that nothing shows the icon")
    finally:
        os.kill(panel, signal.SIGCONT)
    try:
        tray.show(tray_view())
        wait_for(lambda: tray.hosts == [False, True], "the news of a host")
        assert 1 == len(on_desk.tray_items())
    finally:
        tray.icon.stop()
        tray.thread.join(5)
    wait_for(lambda: not on_desk.tray_items(), "the icon to go")


# --- notifications ----------------------------------------------------------------------------------------------------

REAUTHORIZE = Action(Verb.REAUTHORIZE, "git_hub")


def notice(title: str = "git_hub: Sign-in needed", key: str = "git_hub") -> Notice:
    buttons = (("Reauthorize", REAUTHORIZE), ("Retry now", RETRY))
    return Notice(key, title, "The server refused the login <invalid_grant> & will not take it again.", buttons)


class Posts:
    """A `NotificationCentre` on the test's loop, and the actions that came back."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.actions: asyncio.Queue[Action] = asyncio.Queue()
        self.notifier = NotificationCentre(Listener(self.actions.put_nowait))

    async def clicked(self) -> Action:
        return await asyncio.wait_for(self.actions.get(), 5)

    async def empty(self) -> None:
        await asyncio.to_thread(wait_for, lambda: not self.desk.notifications(), "the notification to go")


@pytest_asyncio.fixture
async def posts(on_desk: Desk) -> AsyncIterator[Posts]:
    posts = Posts(on_desk)
    yield posts
    for key in ("git_hub", "other"):
        await posts.notifier.withdraw(key)
    await posts.notifier.close()
    await posts.empty()


@pytest.mark.parametrize(("index", "action"), [(0, REAUTHORIZE), (1, RETRY)])
async def test_a_pressed_button_posts_its_action(posts: Posts, index: int, action: Action) -> None:
    """One click in the notification is enough; the notification is then gone."""

    assert await posts.notifier.show(notice())
    assert 2 == len(await asyncio.to_thread(lambda: posts.desk.buttons(posts.desk.notification())))
    await asyncio.to_thread(posts.desk.press_button, index)
    assert action == await posts.clicked()
    await posts.empty()


async def test_markup_is_shown_as_text(posts: Posts) -> None:
    """A server's words, in the text or the title, change nothing of how the daemon draws them: as large as other words."""

    async def area(title: str, body: str) -> Box:
        await posts.notifier.show(Notice("git_hub", title, body))
        box = await asyncio.to_thread(posts.desk.notification)
        await posts.notifier.withdraw("git_hub")
        await posts.empty()
        return box

    plain = await area("git_hub: code AB", "It says: wwwwwwwwwwwwwwwwwwwwwwwww")
    for evil in (
        '<span size="80pt">M</span>',
        "<b>&amp;</b><br/><br/><br/><br/>",
        "<b",
        "&#10;&#10;&#10;&#10;&nosuch;",
    ):
        assert plain[3] == (await area("git_hub: code AB", f"It says: {evil}"))[3], evil
        assert plain[3] == (await area(f"git_hub: {evil}", "It says: wwwwwwwwwwwwwwwwwwwwwwwww"))[3], evil


async def test_a_notice_replaces_the_one_with_the_same_key(posts: Posts) -> None:
    """One with another key appears beside it."""

    await posts.notifier.show(notice())
    await asyncio.to_thread(posts.desk.notification)
    await posts.notifier.show(notice("still: Sign-in needed"))
    await asyncio.sleep(0.2)
    assert 1 == len(posts.desk.notifications())
    await posts.notifier.show(notice("other: Sign-in needed", "other"))
    await asyncio.to_thread(wait_for, lambda: len(posts.desk.notifications()) == 2, "two notifications")


async def test_a_withdrawn_notice_leaves_the_screen(posts: Posts) -> None:
    """A matter that is settled need not be read."""

    await posts.notifier.show(notice())
    await asyncio.to_thread(posts.desk.notification)
    await posts.notifier.withdraw("git_hub")
    await posts.empty()


async def test_a_new_daemon_shows_the_next_notice(posts: Posts) -> None:
    """The old daemon's numbers are void: the notice is a new one, and its button works."""

    await posts.notifier.show(notice())
    await asyncio.to_thread(posts.desk.notification)
    await asyncio.to_thread(posts.desk.stop_notifications)
    await asyncio.to_thread(posts.desk.start_notifications)
    assert await posts.notifier.show(notice())
    await asyncio.to_thread(posts.desk.press_button, 1)
    assert RETRY == await posts.clicked()


def test_the_keyring_of_the_desk_locks_and_unlocks(desk: Desk) -> None:
    """No prompt appears for either."""

    desk.lock_keyring()
    assert desk.keyring_locked()
    desk.unlock_keyring()
    assert not desk.keyring_locked()
    assert [] == desk.prompts()
