"""Notifications on Windows: toasts over strict stand-ins of WinRT, and balloons where there are none."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.tray.waiting import REAUTHORIZE, RETRY, notice, until
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.system.activation import APP_ID, SHOW_URI
from trayapp.tray.balloons import BalloonChannel, cut
from trayapp.tray.channel import ChannelError, Listener
from trayapp.tray.notify_windows import (
    GROUP,
    OnFailed,
    ToastChannel,
    Toasts,
    WindowsChannel,
    load_toasts,
    tag,
    toast_xml,
)

SHOW = Action(Verb.SHOW)
ENABLED, OFF = "enabled", "off"


class Document:
    """XmlDocument: refuses what isn't XML."""

    def load_xml(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)


class Toast:
    """ToastNotification; `press` and `fail` are Windows, on a thread of its own."""

    def __init__(self, content: Document) -> None:
        self.content = content
        self.tag = self.group = ""
        self._activated: list[Callable[..., None]] = []
        self._failed: list[Callable[..., None]] = []
        self.add_activated, self.add_failed = self._activated.append, self._failed.append

    @property
    def buttons(self) -> list[tuple[str, str]]:
        actions = self.content.root.findall("actions/action")
        assert all("background" == each.get("activationType") for each in actions)
        return [(each.get("content", ""), each.get("arguments", "")) for each in actions]

    def press(self, arguments: str) -> None:
        boxed = SimpleNamespace(as_=lambda kind: SimpleNamespace(arguments=arguments) if kind == "activated" else None)
        self._call(self._activated, boxed)

    def fail(self, code: int) -> None:
        self._call(self._failed, SimpleNamespace(error_code=SimpleNamespace(value=code)))

    def _call(self, handlers: list[Callable[..., None]], given: object) -> None:
        thread = threading.Thread(target=lambda: [each(self, given) for each in handlers])
        thread.start()
        thread.join()


class WinRT:
    """ToastNotificationManager, the notifier and the history in one. `shown` is what the notification centre has."""

    def __init__(self) -> None:
        self.shown: dict[tuple[str, str], Toast] = {}
        self.setting: str | None = ENABLED
        self.broken = False
        self.gone = False
        self.history = SimpleNamespace(remove_grouped_tag_with_id=self._remove)

    def get_default(self) -> WinRT:
        if self.gone:
            raise OSError("Class not\n registered")
        return self

    def create_toast_notifier_with_id(self, app_id: str) -> Any:
        assert app_id == APP_ID
        return self

    def show(self, toast: Toast) -> None:
        if self.broken:
            raise OSError("the platform is away")
        assert 1 <= len(toast.tag) <= 16
        self.shown[toast.tag, toast.group] = toast

    def _remove(self, name: str, group: str, app_id: str) -> None:
        assert app_id == APP_ID
        if self.shown.pop((name, group), None) is None:
            raise OSError("Element not found")

    @property
    def only(self) -> Toast:
        (toast,) = self.shown.values()
        return toast

    def load(self) -> Toasts:
        return Toasts(self, Toast, "activated", ENABLED, Document)


class Icon:
    """The tray icon's balloon, as `ShowBalloon`."""

    def __init__(self) -> None:
        self.there = True
        self.balloons: list[tuple[str, str]] = []

    def show(self, title: str, text: str) -> bool:
        self.balloons.append((title, text))
        return self.there


@pytest.fixture
def winrt(monkeypatch: pytest.MonkeyPatch) -> WinRT:
    monkeypatch.setattr("trayapp.system.activation.register_app", lambda name, icon: None)
    return WinRT()


def channel(winrt: WinRT, actions: list[Action], icon: Icon | None = None, *, address: bool = True) -> WindowsChannel:
    def make(name: str, listener: Listener, failed: OnFailed) -> ToastChannel:
        return ToastChannel(name, listener, failed, winrt.load, lambda: address)

    return WindowsChannel("Amberlight", Listener(actions.append), icon.show if icon else None, make)


async def test_the_buttons_of_a_toast_do_what_they_say(winrt: WinRT) -> None:
    """The callback comes on a thread of WinRT; the action reaches the loop."""

    actions: list[Action] = []
    await channel(winrt, actions).show(notice())
    assert [("Reauthorize", "0"), ("Retry now", "1")] == winrt.only.buttons
    winrt.only.press("1")
    winrt.only.press("0")
    await until(lambda: len(actions) == 2, "the buttons")
    assert [RETRY, REAUTHORIZE] == actions


@pytest.mark.parametrize("said", ["2", "-1", "³", "", SHOW_URI, "reauthorize:a"])
async def test_arguments_that_no_button_has_do_nothing(winrt: WinRT, said: str) -> None:
    """Our address among them: the program that it starts shows the dashboard."""

    actions: list[Action] = []
    await channel(winrt, actions).show(notice())
    winrt.only.press(said)
    await asyncio.sleep(0)
    assert [] == actions


async def test_a_click_opens_the_address_if_windows_knows_it(winrt: WinRT) -> None:
    """Also after the app has ended. Where Setup.exe didn't run, the click counts while the app does."""

    actions: list[Action] = []
    await channel(winrt, actions).show(notice())
    assert {"launch": SHOW_URI, "activationType": "protocol"} == winrt.only.content.root.attrib
    await channel(winrt, actions, address=False).show(notice())
    assert {"launch": "show"} == winrt.only.content.root.attrib
    winrt.only.press("show")
    await until(lambda: actions, "the click")
    assert [SHOW] == actions


async def test_a_newer_toast_replaces_the_one_of_its_key_and_goes_with_it(winrt: WinRT) -> None:
    """Windows replaces by tag and group; one that the person has dismissed can't be removed, and needn't be."""

    shown = channel(winrt, [])
    await shown.show(notice("first"))
    await shown.show(notice("second"))
    await shown.show(notice("other", key="b"))
    assert {(tag("a"), GROUP), (tag("b"), GROUP)} == winrt.shown.keys()
    await shown.withdraw("a")
    assert {(tag("b"), GROUP)} == winrt.shown.keys()
    winrt.shown.clear()
    await shown.withdraw("b")
    await shown.withdraw("b")
    await shown.close()


def test_a_toast_is_xml_whatever_it_says() -> None:
    """Markup stays text, and characters that XML doesn't know are left out: a server's error may hold any."""

    said = Notice("k", 'R&D <"x">', "a\0b\x1b[0m\ud800c\uffff😀", tuple((f"<{n}>", RETRY) for n in range(7)))
    root = ElementTree.fromstring(toast_xml(said, address=True))
    assert ['R&D <"x">', "ab[0mc😀"] == [each.text for each in root.iter("text")]
    assert ["<0>", "<1>", "<2>", "<3>", "<4>"] == [each.get("content") for each in root.iter("action")]


@pytest.mark.parametrize("icon", [Icon(), None])
async def test_what_the_person_switched_off_is_not_shown_otherwise(winrt: WinRT, icon: Icon | None) -> None:
    """No balloon either. Once they are allowed, the next one is a toast."""

    shown = channel(winrt, [], icon)
    winrt.setting = OFF
    with pytest.raises(ChannelError, match="switched off"):
        await shown.show(notice())
    assert {} == winrt.shown
    winrt.setting = ENABLED
    await shown.show(notice())
    assert 1 == len(winrt.shown)
    assert icon is None or [] == icon.balloons


@pytest.mark.parametrize("how", ["gone", "broken"])
async def test_without_toasts_there_are_balloons_and_one_line_says_so(
    winrt: WinRT, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """WinRT is missing or refuses: a newer balloon replaces the older, and only the one on the screen is removed."""

    caplog.set_level(logging.INFO)
    setattr(winrt, how, True)
    icon = Icon()
    shown = channel(winrt, [], icon)
    await shown.show(notice())
    await shown.show(notice("other", key="b"))
    await shown.withdraw("a")
    await shown.withdraw("b")
    await shown.withdraw("b")
    assert [("a needs a sign-in", "Sign in again."), ("a needs a sign-in", "other"), ("", "")] == icon.balloons
    why = {"gone": "Class not registered", "broken": "the platform is away"}[how]
    assert [f"notifications are balloons of the icon: Windows shows no toasts ({why})"] == caplog.messages


async def test_a_toast_that_fails_later_is_a_balloon(winrt: WinRT, caplog: pytest.LogCaptureFixture) -> None:
    """Windows takes it, and reports an error on a thread of its own."""

    caplog.set_level(logging.INFO)
    icon = Icon()
    shown = channel(winrt, [], icon)
    await shown.show(notice())
    winrt.only.fail(-2143420155)
    await until(lambda: icon.balloons, "the balloon")
    assert [("a needs a sign-in", "Sign in again.")] == icon.balloons
    assert ["notifications are balloons of the icon: Windows shows no toasts (error 0x803e0105)"] == caplog.messages


async def test_a_late_failure_without_an_icon_is_one_line(winrt: WinRT, caplog: pytest.LogCaptureFixture) -> None:
    """With --no-tray there is nothing to show it, or the icon has just gone."""

    caplog.set_level(logging.WARNING)
    await channel(winrt, []).show(notice())
    winrt.only.fail(5)
    await until(lambda: caplog.messages, "the line")
    icon = Icon()
    icon.there = False
    await channel(winrt, [], icon).show(notice())
    winrt.only.fail(5)
    await until(lambda: len(caplog.messages) == 2, "the other line")
    assert [
        "a notification could not be shown (error 0x00000005)",
        "a notification could not be shown: there's no icon to show them",
    ] == caplog.messages


async def test_without_an_icon_a_failure_is_a_failure(winrt: WinRT) -> None:
    """The notification centre logs it."""

    winrt.gone = True
    with pytest.raises(OSError, match="not\n registered"):
        await channel(winrt, []).show(notice())


async def test_a_state_that_windows_does_not_tell_counts_as_allowed(winrt: WinRT) -> None:
    """Before its first toast it doesn't know the program."""

    class Unknown(WinRT):
        @property
        def setting(self) -> str:
            raise OSError("Element not found")

        @setting.setter
        def setting(self, value: str) -> None:
            """Not told."""

    unknown = Unknown()
    await channel(unknown, []).show(notice())
    assert 1 == len(unknown.shown)


@pytest.mark.skipif(sys.platform != "win32", reason="WinRT is Windows'")
async def test_winrt_shows_a_toast_or_says_why_not() -> None:
    """The real classes have what is used of them. Wine has the packages' classes, but not what is behind them."""

    toasts = load_toasts()
    assert {"add_activated", "add_failed", "tag", "group"} <= set(dir(toasts.toast))
    assert {"load_xml"} <= set(dir(toasts.document))
    icon = Icon()
    shown = WindowsChannel("Amberlight", Listener(lambda action: None), icon.show)
    await shown.show(notice())
    await shown.withdraw("a")
    assert icon.balloons in ([], [("a needs a sign-in", "Sign in again."), ("", "")])


# --- balloons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit", "said"),
    [
        ("short", 63, "short"),
        ("x" * 63, 63, "x" * 63),
        ("x" * 64, 63, "x" * 62 + "…"),
        ("😀" * 40, 63, "😀" * 31 + "…"),
    ],
)
def test_a_balloon_is_cut_to_what_fits(text: str, limit: int, said: str) -> None:
    """In UTF-16 units, and no half of a surrogate pair is left."""

    assert said == cut(text, limit)


async def test_every_balloon_has_a_text() -> None:
    """An empty one would remove it; a zero would end it."""

    icon = Icon()
    balloons = BalloonChannel(icon.show)
    await balloons.show(replace(notice(""), title="Only a\0 title" + "x" * 300))
    await balloons.show(notice("y" * 300))
    await balloons.close()
    first, second = icon.balloons
    assert ("", "Only a title") == (first[0], first[1][:12])
    assert 255 == len(first[1]) == len(second[1])


async def test_without_an_icon_a_balloon_is_refused() -> None:
    """In the first moment, or after the tray has ended."""

    icon = Icon()
    icon.there = False
    with pytest.raises(ChannelError, match="no icon"):
        await BalloonChannel(icon.show).show(notice())
