"""Notifications on macOS and Windows: through desktop-notifier."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tray.waiting import notice, until
from trayapp.core.presentation import Action, Verb
from trayapp.tray import notify, pixmap
from trayapp.tray.channel import ChannelError, Listener
from trayapp.tray.notify import DesktopNotifierChannel, NotificationCentre

REAUTHORIZE, RETRY = Action(Verb.REAUTHORIZE, "a"), Action(Verb.RETRY, "a")


class FakeDesktopNotifier:
    """The part of desktop-notifier that we use; like the real one, it logs its failures with a traceback."""

    Capability = SimpleNamespace(BUTTONS="buttons", TITLE="title")

    def __init__(self) -> None:
        self.capabilities = {"buttons", "title"}
        self.allowed = True
        self.warning = ""
        self.sent: list[dict[str, Any]] = []
        self.cleared: list[str] = []
        self.fail = False

    def DesktopNotifier(self, **given: Any) -> FakeDesktopNotifier:
        self.given = given
        return self

    def Icon(self, path: Any) -> Any:
        return path

    def Button(self, title: str, on_pressed: Callable[[], None], identifier: str) -> Any:
        return SimpleNamespace(title=title, on_pressed=on_pressed, identifier=identifier)

    async def request_authorisation(self) -> bool:
        return self.allowed

    async def get_capabilities(self) -> set[str]:
        return self.capabilities

    async def send(self, **given: Any) -> str:
        if self.fail:
            try:
                raise OSError("the toast platform is away")
            except OSError:
                logging.getLogger("desktop_notifier.backends.base").warning("Notification failed", exc_info=True)
        if self.warning:
            logging.getLogger("desktop_notifier.backends.macos").warning("Error: %s", self.warning)
        self.sent.append(given)
        return f"id {len(self.sent)}"

    async def clear(self, identifier: str) -> None:
        self.cleared.append(identifier)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeDesktopNotifier:
    library = FakeDesktopNotifier()
    monkeypatch.setitem(__import__("sys").modules, "desktop_notifier", library)
    return library


def other_notifier(actions: list[Action]) -> NotificationCentre:
    return NotificationCentre(Listener(actions.append), make_channel=DesktopNotifierChannel)


async def test_elsewhere_a_button_pressed_in_another_thread_reaches_the_loop(library: FakeDesktopNotifier) -> None:
    """macOS calls back on its main thread."""

    actions: list[Action] = []
    notifier = other_notifier(actions)
    assert await notifier.show(notice())
    await asyncio.to_thread(library.sent[0]["buttons"][1].on_pressed)
    await until(lambda: actions, "the button")
    assert [RETRY] == actions
    assert pixmap.APP_PNG == library.given["app_icon"]
    await notifier.close()


async def test_elsewhere_the_old_notification_of_a_key_is_cleared_first(library: FakeDesktopNotifier) -> None:
    """desktop-notifier cannot replace."""

    notifier = other_notifier([])
    await notifier.show(notice())
    await notifier.show(notice())
    await notifier.withdraw("a")
    await notifier.withdraw("a")
    assert ["id 1", "id 2"] == library.cleared
    await notifier.close()


async def test_elsewhere_no_buttons_are_sent_that_cannot_be_shown(library: FakeDesktopNotifier) -> None:
    """The same actions are in the menu."""

    library.capabilities = {"title"}
    notifier = other_notifier([])
    await notifier.show(notice())
    assert [] == library.sent[0]["buttons"]
    await notifier.close()


async def test_elsewhere_a_click_on_the_text_opens_the_dashboard(library: FakeDesktopNotifier) -> None:
    """As on Linux."""

    actions: list[Action] = []
    notifier = other_notifier(actions)
    await notifier.show(notice())
    await asyncio.to_thread(library.sent[0]["on_clicked"])
    await until(lambda: actions, "the click")
    assert [Action(Verb.SHOW)] == actions
    await notifier.close()


async def test_elsewhere_buttons_of_the_same_titles_have_the_same_identifiers(library: FakeDesktopNotifier) -> None:
    """On macOS a later notification with these titles is shown with the identifiers of the first, and found by them."""

    notifier = other_notifier([])
    for key in ("a", "b"):
        await notifier.show(notice(key=key))
    first, second = ([button.identifier for button in sent["buttons"]] for sent in library.sent)
    assert ["0", "1"] == first == second
    await notifier.close()


async def test_elsewhere_what_the_person_has_not_allowed_is_not_shown(
    library: FakeDesktopNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    """The library would report success. Once they are allowed, the next one is shown."""

    library.allowed = False
    notifier = other_notifier([])
    assert not await notifier.show(notice())
    assert [] == library.sent
    assert ["notifications cannot be shown: they are switched off in the system's settings"] == caplog.messages
    library.allowed = True
    assert await notifier.show(notice())
    await notifier.close()


async def test_elsewhere_a_system_without_notifications_shows_none(
    library: FakeDesktopNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    """As on macOS outside an app bundle, where the library drops them without a word."""

    library.capabilities = set()
    notifier = other_notifier([])
    assert not await notifier.show(notice())
    assert ["notifications cannot be shown: the system has none for this program"] == caplog.messages
    await notifier.close()


async def test_elsewhere_a_failure_that_is_only_a_warning_counts(
    library: FakeDesktopNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    """macOS' backend logs the system's error and reports success."""

    library.warning = "code=1"
    notifier = other_notifier([])
    assert not await notifier.show(notice())
    assert ["notifications cannot be shown: Error: code=1"] == caplog.messages
    await notifier.close()


async def test_elsewhere_a_failure_is_one_line_and_no_traceback(
    library: FakeDesktopNotifier, caplog: pytest.LogCaptureFixture
) -> None:
    """desktop-notifier logs the exception that it should raise, and reports success."""

    library.fail = True
    notifier = other_notifier([])
    assert not await notifier.show(notice())
    assert ["notifications cannot be shown: the toast platform is away"] == caplog.messages
    await notifier.close()


def test_a_channel_error_is_what_the_log_shows() -> None:
    """Its text is a sentence for users."""

    assert "no daemon" == str(ChannelError("no daemon"))
    assert notify.native_channel.__doc__
