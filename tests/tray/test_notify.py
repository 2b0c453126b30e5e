"""Notifications: shown, replaced, withdrawn, clicked, and failing with one log line."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from typing import Annotated, Any

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.annotations import DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import dbus_method

from tests.tray.bus import Bus, Notifications
from tests.tray.waiting import notice, until
from trayapp.core.presentation import Action, Verb
from trayapp.system import session_bus
from trayapp.tray import notify_linux, pixmap
from trayapp.tray.channel import Listener
from trayapp.tray.notify import NotificationCentre

pytestmark = pytest.mark.linux("notifications over D-Bus")

REAUTHORIZE, RETRY = Action(Verb.REAUTHORIZE, "a"), Action(Verb.RETRY, "a")


class NotificationSession:
    """A fake daemon on the private bus, and a `NotificationCentre` that uses it."""

    def __init__(self, bus: Bus, *capabilities: str, server: str = "pretend") -> None:
        self._bus = bus
        self.service = Notifications(*capabilities, server=server)
        self.actions: list[Action] = []
        self.ready = 0
        self.lost: list[tuple[set[str], set[str]]] = []
        self.notifier = NotificationCentre(Listener(self.actions.append, self._count, self._note))

    def _count(self) -> None:
        self.ready += 1

    def _note(self, live: Set[str], expired: Set[str]) -> None:
        self.lost.append((set(live), set(expired)))

    async def __aenter__(self) -> NotificationSession:
        self.connection = await self._bus.connect()
        await self.service.appear(self.connection)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.notifier.close()
        self.connection.disconnect()

    async def replace_service(self, service: Notifications) -> None:
        """Restart the daemon, perhaps as another program."""
        await self.service.vanish(self.connection)
        self.service = service
        await service.appear(self.connection)


async def test_a_notice_is_sent_with_buttons_icon_and_desktop_entry(bus: Bus) -> None:
    """Buttons are numbers; a click on the text opens the dashboard."""

    async with NotificationSession(bus, "actions", "body") as daemon:
        assert await daemon.notifier.show(notice("a < b"))
    ((app, replaces, icon, title, body, actions, hints, timeout),) = daemon.service.calls
    assert ("Amberlight", 0, "a needs a sign-in", "a < b", -1) == (app, replaces, title, body, timeout)
    assert icon == pixmap.APP_PNG.as_uri()
    assert ["default", "Show", "0", "Reauthorize", "1", "Retry now"] == actions
    assert {"urgency": 1, "desktop-entry": "amberlight"} == {name: value.value for name, value in hints.items()}


async def test_the_same_key_replaces_and_another_does_not(bus: Bus) -> None:
    """By the number that the daemon returned."""

    async with NotificationSession(bus) as daemon:
        for key in ("a", "a", "b"):
            await daemon.notifier.show(notice(key=key))
    assert [0, 1, 0] == [call[1] for call in daemon.service.calls]


async def test_a_daemon_without_actions_gets_no_buttons(bus: Bus) -> None:
    """It would print them as text."""

    async with NotificationSession(bus, "body") as daemon:
        await daemon.notifier.show(notice())
    assert [] == daemon.service.calls[0][5]


async def test_a_daemon_that_reads_markup_gets_escaped_text(bus: Bus) -> None:
    """A server's words are shown literally."""

    async with NotificationSession(bus, "body-markup") as daemon:
        await daemon.notifier.show(notice("<b>a & b</b>"))
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" == daemon.service.calls[0][4]


@pytest.mark.parametrize("server", ["Xfce Notify Daemon", "lxqt-notificationd"])
async def test_daemons_that_draw_it_as_a_button_get_no_default_action(bus: Bus, server: str) -> None:
    """Xfce's would have no label, LXQt's leaves no room for those of the others."""

    async with NotificationSession(bus, "actions", server=server) as daemon:
        await daemon.notifier.show(notice())
    assert ["0", "Reauthorize", "1", "Retry now"] == daemon.service.calls[0][5]


async def test_a_button_posts_its_action_and_only_its_own_daemon_may_invoke_it(bus: Bus) -> None:
    """A signal from another program, about another notification or another button is ignored."""

    async with NotificationSession(bus, "actions") as daemon:
        await daemon.notifier.show(notice())
        stranger = await bus.connect()
        fake = Notifications()
        stranger.export("/org/freedesktop/Notifications", fake)
        fake.action_invoked(1, "0")
        daemon.service.action_invoked(99, "0")
        daemon.service.action_invoked(1, "7")
        daemon.service.action_invoked(1, "1")
        await until(lambda: daemon.actions, "the button")
        await asyncio.sleep(0.02)
        stranger.disconnect()
    assert [RETRY] == daemon.actions


async def test_a_withdrawn_notice_is_closed_once(bus: Bus) -> None:
    """One that is unknown or already gone is not closed."""

    async with NotificationSession(bus) as daemon:
        await daemon.notifier.withdraw("a")
        await daemon.notifier.show(notice())
        await daemon.notifier.show(notice(key="b"))
        daemon.service.notification_closed(2, 2)
        await daemon.notifier.show(notice(key="c"))  # by now the signal has arrived
        for key in ("a", "a", "b"):
            await daemon.notifier.withdraw(key)
        await until(lambda: daemon.service.closed, "the closing")
    assert [1] == daemon.service.closed


async def test_a_restarted_daemon_is_asked_for_its_capabilities(bus: Bus) -> None:
    """Numbers of the old daemon are not used, and the new one's capabilities count."""

    async with NotificationSession(bus, "actions") as daemon:
        await daemon.notifier.show(notice())
        await daemon.replace_service(Notifications())
        assert await daemon.notifier.show(notice())
        assert (0, []) == (daemon.service.calls[0][1], daemon.service.calls[0][5])


async def test_without_a_daemon_one_line_is_logged(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """However many notices fail; and again only after one was shown."""

    notifier = NotificationCentre(Listener(lambda _: None))
    assert not await notifier.show(notice())
    assert not await notifier.show(notice())
    assert ["notifications cannot be shown: no notification daemon runs in this session"] == caplog.messages
    connection = await bus.connect()
    daemon = Notifications()
    await daemon.appear(connection)
    assert await notifier.show(notice())
    connection.disconnect()
    await asyncio.sleep(0.02)
    assert not await notifier.show(notice())
    assert 2 == len(caplog.messages)
    assert all(record.exc_info is None for record in caplog.records)
    await notifier.close()


async def test_a_lost_bus_is_reconnected(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """The next notice opens a new connection."""

    daemon = NotificationSession(bus)
    async with daemon:
        assert await daemon.notifier.show(notice())
        bus.stop()
        assert not await daemon.notifier.show(notice())
        await daemon.notifier.withdraw("a")
        bus.start()
        connection = await bus.connect()
        service = Notifications()
        await service.appear(connection)
        assert await daemon.notifier.show(notice())
        connection.disconnect()
    assert [0] == [call[1] for call in service.calls]
    assert 1 == len([message for message in caplog.messages if message.startswith("notifications cannot be shown")])


async def test_without_a_bus_nothing_is_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a server without a desktop session."""

    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr(session_bus, "address", lambda: None)
    notifier = NotificationCentre(Listener(lambda _: None))
    assert not await notifier.show(notice())
    await notifier.withdraw("a")
    await notifier.close()
    assert 1 == len(caplog.messages)


async def test_a_handler_that_fails_is_logged(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """And the next click is handled."""

    pressed: list[Action] = []

    def handle(action: Action) -> None:
        pressed.append(action)
        raise RuntimeError("the engine is gone")

    async with NotificationSession(bus, "actions") as daemon:
        daemon.notifier = NotificationCentre(Listener(handle))
        await daemon.notifier.show(notice())
        daemon.service.action_invoked(1, "0")
        daemon.service.action_invoked(1, "default")
        await until(lambda: len(pressed) == 2, "two clicks")
    assert [REAUTHORIZE, Action(Verb.SHOW)] == pressed
    assert "the click on a notification failed" in caplog.text


# --- a daemon that comes, goes or hangs: when another try is worth while ----------------------------------------------


async def test_a_daemon_that_appears_is_reported(bus: Bus) -> None:
    """By the bus, without asking again and again."""

    async with NotificationSession(bus) as daemon:
        await daemon.service.vanish(daemon.connection)
        assert not await daemon.notifier.show(notice())
        await asyncio.sleep(2 * notify_linux.FIRST_RETRY)
        assert 0 == daemon.ready
        await daemon.service.appear(daemon.connection)
        await until(lambda: daemon.ready, "the report")
        assert await daemon.notifier.show(notice())


async def test_a_name_before_its_object_is_tried_again(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """No signal says that the object is there, so time does, in growing steps."""

    monkeypatch.setattr(notify_linux, "FIRST_RETRY", 0.01)
    async with NotificationSession(bus) as daemon:
        daemon.connection.unexport("/org/freedesktop/Notifications", daemon.service)
        for tries in range(1, 4):
            assert not await daemon.notifier.show(notice())
            await until(lambda tries=tries: daemon.ready == tries, "the next try")  # type: ignore[misc]
        daemon.connection.export("/org/freedesktop/Notifications", daemon.service)
        assert await daemon.notifier.show(notice())


@pytest.mark.parametrize(
    ("member", "signature", "body"),
    [
        ("GetCapabilities", "", []),
        ("GetCapabilities", "aas", [[["actions"]]]),
        ("GetServerInformation", "", []),
        ("GetServerInformation", "as", [["pretend"]]),
        ("Notify", "", []),
        ("Notify", "s", ["seven"]),
        ("Notify", "i", [-1]),
    ],
)
async def test_an_answer_that_makes_no_sense_is_a_failure_like_any_other(
    bus: Bus,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    member: str,
    signature: str,
    body: list[Any],
) -> None:
    """It is named in the log, the next try is announced, and that one is sent."""

    monkeypatch.setattr(notify_linux, "FIRST_RETRY", 0.05)
    async with NotificationSession(bus) as daemon:

        def odd(message: Message) -> Message | None:
            if message.message_type is MessageType.METHOD_CALL and message.member == member:
                return Message.new_method_return(message, signature, body)
            return None

        daemon.connection.add_message_handler(odd)
        assert not await daemon.notifier.show(notice())
        await until(lambda: daemon.ready, "the next try")
        daemon.connection.remove_message_handler(odd)
        assert await daemon.notifier.show(notice())
    assert [0] == [call[1] for call in daemon.service.calls]
    expected = "notifications cannot be shown: the notification daemon gave an invalid answer"
    assert [expected] == [record.getMessage() for record in caplog.records]


async def test_signals_that_make_no_sense_are_ignored(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    """What comes after them is heard."""

    async with NotificationSession(bus, "actions") as daemon:
        await daemon.notifier.show(notice())
        odd: list[tuple[str, str, list[Any]]] = [
            ("ActionInvoked", "", []),
            ("ActionInvoked", "s", ["0"]),
            ("ActionInvoked", "uss", [1, "0", ""]),
            ("NotificationClosed", "", []),
            ("NotificationClosed", "us", [1, "dismissed"]),
        ]
        for member, signature, body in odd:
            await daemon.connection.send(
                Message.new_signal("/org/freedesktop/Notifications", Notifications.NAME, member, signature, body)
            )
        daemon.service.action_invoked(1, "0")
        await until(lambda: daemon.actions, "the click")
    assert [REAUTHORIZE] == daemon.actions
    assert [] == caplog.records


async def test_what_has_gone_with_its_daemon_is_reported(bus: Bus) -> None:
    """On the screen, or expired; what the person dismissed or was withdrawn is over."""

    async with NotificationSession(bus) as daemon:
        for key in ("a", "b", "c", "d"):
            await daemon.notifier.show(notice(key=key))
        daemon.service.notification_closed(2, 1)
        daemon.service.notification_closed(3, 2)
        await daemon.notifier.withdraw("d")
        await daemon.service.vanish(daemon.connection)
        await until(lambda: daemon.lost, "the report")
    assert [({"a"}, {"b"})] == daemon.lost


class HangingNotifications(Notifications):
    """It has no answer to `Notify` until it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    @dbus_method(name="Notify")
    async def notify(
        self,
        app: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        title: DBusStr,
        body: DBusStr,
        actions: Annotated[list[str], DBusSignature("as")],
        hints: Annotated[dict[str, Any], DBusSignature("a{sv}")],
        timeout: DBusInt32,
    ) -> DBusUInt32:
        await self.go_on.wait()
        self.calls.append([app, replaces, icon, title, body, actions, hints, timeout])
        return replaces or len(self.calls)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify_linux, "CALL_LIMIT", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_a_daemon_that_hung_gets_no_call_twice(bus: Bus) -> None:
    """What it answers late is on the screen: the next call replaces it."""

    async with NotificationSession(bus) as daemon:
        hanging = HangingNotifications()
        await daemon.replace_service(hanging)
        for _ in range(3):
            assert not await daemon.notifier.show(notice())
        hanging.go_on.set()
        await until(lambda: daemon.ready, "the late answer")
        assert await daemon.notifier.show(notice())
        assert [0, 1] == [call[1] for call in hanging.calls]


@pytest.mark.usefixtures("impatient")
async def test_what_was_withdrawn_while_the_daemon_hung_is_closed(bus: Bus) -> None:
    """As soon as its number is known; and nothing waits for the daemon until then."""

    async with NotificationSession(bus) as daemon:
        hanging = HangingNotifications()
        await daemon.replace_service(hanging)
        assert not await daemon.notifier.show(notice())
        async with asyncio.timeout(0.1):
            await daemon.notifier.withdraw("a")
        hanging.go_on.set()
        await until(lambda: hanging.closed, "the closing")
        assert [1] == hanging.closed


@pytest.mark.usefixtures("impatient")
async def test_a_daemon_that_hung_and_died_is_forgotten(bus: Bus) -> None:
    """The next one is asked immediately."""

    async with NotificationSession(bus) as daemon:
        await daemon.replace_service(HangingNotifications())
        assert not await daemon.notifier.show(notice())
        await daemon.replace_service(Notifications())
        assert await daemon.notifier.show(notice())


async def test_a_bus_that_comes_back_is_reported(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what has gone with it; by trying, as there is nobody to report it."""

    monkeypatch.setattr(notify_linux, "FIRST_RETRY", 0.01)
    async with NotificationSession(bus) as daemon:
        assert await daemon.notifier.show(notice())
        bus.stop()
        await until(lambda: daemon.ready, "the first try")
        assert [({"a"}, set())] == daemon.lost
        assert not await daemon.notifier.show(notice())
        bus.start()
        await until(lambda: daemon.ready == 2, "the second try")
