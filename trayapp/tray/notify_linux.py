"""The notification channel of Linux: org.freedesktop.Notifications, with replacement, our desktop entry and reconnection.

The first notification opens the connection, which costs nothing while idle. From then on the channel reports when another
try is worth while: the name gets an owner, a call is answered late, or, after a failure that no signal ends (the name is
there before its object; no bus), some time has passed. The capabilities are asked once for each
daemon: without "actions" no buttons are sent, as some daemons would print them as text. Buttons travel as numbers, never
as words, so no other program can name an action of its own.

Specification: https://specifications.freedesktop.org/notification-spec/latest/
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbus_fast import Message, MessageFlag, MessageType, Variant

from trayapp.core.markup import escape
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.system.dbus import SessionBus, error_text
from trayapp.tray import pixmap
from trayapp.tray.channel import ChannelError, Listener

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
CLOSED = "the session bus closed the connection"
CALL_LIMIT = 5.0  # s: a hanging daemon must not block the engine's notices for ever
FIRST_RETRY = 0.5  # s; doubled up to the longest
LONGEST_RETRY = 60.0  # s; only while there is something to show and no signal to wait for
SERVER_TIMEOUT = -1  # the daemon decides how long it is shown
NORMAL_URGENCY = 1  # urgency
DISMISSED = 2  # reason of NotificationClosed: by the person
# Both show the default action as one more button: Xfce's without a label (https://docs.xfce.org/apps/xfce4-notifyd/spec),
# LXQt's so that the labels of the others are cut off.
NO_DEFAULT_ACTION = ("Xfce Notify Daemon", "lxqt-notificationd")


@dataclass(frozen=True, slots=True)
class NotificationServer:
    """The daemon that shows notifications now, and what it can do."""

    owner: str
    actions: bool
    markup: bool
    default_action: bool


@dataclass(slots=True)
class ShownNotification:
    """A notification that this daemon has shown and that the person has not dismissed."""

    number: int  # 0: it has expired
    actions: dict[str, Action]


class LinuxChannel:
    """One connection to the session bus, on the loop that runs `show`."""

    def __init__(self, app_name: str, listener: Listener) -> None:
        self._app_name = app_name
        self._listener = listener
        self._bus: SessionBus | None = None
        self._watch: asyncio.Task[None] | None = None
        self._owned = False  # whether the daemon's name has an owner
        self._daemon: NotificationServer | None = None
        self._shown: dict[str, ShownNotification] = {}
        self._late: asyncio.Task[Message] | None = None  # the call that a hanging daemon has not answered yet
        self._sending = ""  # the key of the notification that is being sent, unless it was withdrawn meanwhile
        self._retry: asyncio.TimerHandle | None = None
        self._retry_delay = FIRST_RETRY
        self._closing = False

    async def show(self, notice: Notice) -> None:
        """Show or replace. Raises `ChannelError` if there is no bus or no daemon, or if the daemon refuses."""
        daemon = await self._current_daemon()
        actions: dict[str, Action] = {}
        button_list: list[str] = []
        if daemon.actions:
            actions = {str(i): action for i, (_, action) in enumerate(notice.buttons)}
            button_list = [part for i, (text, _) in enumerate(notice.buttons) for part in (str(i), text)]
            if daemon.default_action:
                actions["default"] = Action(Verb.SHOW)
                button_list = ["default", "Show", *button_list]
        body = escape(notice.body, quote=False) if daemon.markup else notice.body
        hints = {"urgency": Variant("y", NORMAL_URGENCY), "desktop-entry": Variant("s", self._app_name.lower())}
        old = self._shown.get(notice.key)
        arguments = [
            self._app_name,
            old.number if old else 0,
            pixmap.APP_PNG.as_uri(),
            notice.title,
            body,
            button_list,
            hints,
            SERVER_TIMEOUT,
        ]

        def arrived(reply: Message) -> None:
            if self._sending == notice.key:
                self._shown[notice.key] = ShownNotification(reply.body[0], actions)
            else:
                self._send_close(reply.body[0])

        self._sending = notice.key
        await self._call(NAME, PATH, NAME, "Notify", "susssasa{sv}i", *arguments, returns="u", then=arrived)
        self._retry_delay = FIRST_RETRY

    async def withdraw(self, key: str) -> None:
        """Close it; if the daemon no longer knows it, nothing happens."""
        if key == self._sending:
            self._sending = ""
        shown = self._shown.pop(key, None)
        if shown is not None and shown.number and (sent := self._send_close(shown.number)) is not None:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(CALL_LIMIT):
                    await sent

    async def close(self) -> None:
        self._closing = True
        if self._retry is not None:
            self._retry.cancel()
        self._drop_late()
        if self._bus is not None and self._watch is not None:
            self._bus.disconnect()
            await self._watch

    def _send_close(self, number: int) -> asyncio.Future[Any] | None:
        """Close a notification, without waiting for a daemon that may hang; the future is done once that is sent."""
        if self._bus is None or not self._bus.connected:
            return None
        flags = MessageFlag.NO_REPLY_EXPECTED | MessageFlag.NO_AUTOSTART
        return self._bus.send(Message(NAME, PATH, NAME, "CloseNotification", signature="u", body=[number], flags=flags))

    # --- trying again -------------------------------------------------------------------------------------------------

    def _lose(self) -> None:
        """The daemon is gone, and with it what it showed."""
        live = {key for key, shown in self._shown.items() if shown.number}
        expired = self._shown.keys() - live
        self._daemon = None
        self._owned = False
        self._shown = {}
        self._drop_late()
        if live or expired:
            self._listener.on_lost(live, expired)

    def _retry_later(self) -> None:
        """After a failure whose end no signal will tell."""
        if self._retry is None and not self._closing:
            self._retry = asyncio.get_running_loop().call_later(self._retry_delay, self._ready)
            self._retry_delay = min(2 * self._retry_delay, LONGEST_RETRY)

    def _ready(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._listener.on_ready()

    def _drop_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _answered_late(self, call: asyncio.Task[Message], returns: str, then: Callable[[Message], None]) -> None:
        """A daemon that hung answers: the notification may be on the screen by now."""
        if call is not self._late:
            return
        self._late = None
        if call.cancelled() or call.exception() is not None:  # the connection is lost, which `_until_lost` reports
            return
        reply = call.result()
        if _problem(reply, returns):
            self._refused()
        else:
            then(reply)
            self._ready()

    def _refused(self) -> None:
        """An error came instead of an answer. Without an owner of the name, the next one is waited for."""
        self._daemon = None
        if self._owned:
            self._retry_later()

    # --- connection ---------------------------------------------------------------------------------------------------

    async def _current_daemon(self) -> NotificationServer:
        if self._bus is None or not self._bus.connected:
            await self._connect()
        if self._late is not None:
            raise ChannelError("the notification daemon doesn't answer")
        if self._daemon is None:
            # This call starts the daemon where the bus can activate it.
            capabilities = await self._call(NAME, PATH, NAME, "GetCapabilities", "", returns="as")
            information = await self._call(NAME, PATH, NAME, "GetServerInformation", "", returns="s")
            capability_names = set(capabilities.body[0])
            self._daemon = NotificationServer(
                owner=information.sender or "",
                actions="actions" in capability_names,
                markup="body-markup" in capability_names,
                default_action=information.body[0] not in NO_DEFAULT_ACTION,
            )
        return self._daemon

    async def _connect(self) -> None:
        self._bus = None
        self._lose()
        bus: SessionBus | None = None
        try:
            bus = SessionBus()
            async with asyncio.timeout(CALL_LIMIT):
                await bus.connect()
        except Exception as problem:  # noqa: BLE001 - the library raises many types, and all mean the same here
            if bus is not None:
                bus.disconnect()
            self._retry_later()
            raise ChannelError(f"the session bus can't be reached ({error_text(problem)})") from None
        self._bus = bus
        self._watch = asyncio.create_task(self._until_lost(bus), name="watch the bus of the notifications")
        bus.add_message_handler(self._on_message)
        for rule in (
            f"type='signal',sender='{NAME}',interface='{NAME}'",
            f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'",
        ):
            await self._call(BUS, BUS_PATH, BUS, "AddMatch", "s", rule)
        self._owned = (await self._call(BUS, BUS_PATH, BUS, "NameHasOwner", "s", NAME)).body[0]

    async def _until_lost(self, bus: SessionBus) -> None:
        """Forget a connection when it is lost, silently: the next notification opens a new one, or fails with a reason."""
        await bus.lost()
        if self._bus is bus:
            self._bus = None
            self._lose()
            self._retry_later()

    async def _call(
        self,
        name: str,
        path: str,
        interface: str,
        member: str,
        signature: str,
        *body: object,
        returns: str = "",
        then: Callable[[Message], None] = lambda reply: None,
    ) -> Message:
        """A call's reply, whose signature begins with `returns`. `then` gets it, also if it comes after this has raised.

        Raises `ChannelError`.
        """
        if self._bus is None:
            raise ChannelError(CLOSED)
        message = Message(name, path, interface, member, signature=signature, body=list(body))
        call = asyncio.ensure_future(self._bus.call(message))
        try:
            async with asyncio.timeout(CALL_LIMIT):
                reply = await asyncio.shield(call)
        except (TimeoutError, asyncio.CancelledError) as error:
            # Sent again, it would be shown twice as soon as the daemon goes on.
            self._late = call
            call.add_done_callback(lambda call: self._answered_late(call, returns, then))
            if isinstance(error, asyncio.CancelledError):
                raise
            raise ChannelError(f"the notification daemon didn't answer within {CALL_LIMIT:.0f} seconds") from None
        except (OSError, EOFError):
            raise ChannelError(CLOSED) from None
        if problem := _problem(reply, returns):
            self._refused()
            raise ChannelError(problem)
        then(reply)
        return reply

    # --- signals of the daemon ----------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "NameOwnerChanged" and message.sender == BUS and message.body[0] == NAME:
            self._owner_changed(*message.body)
        elif self._daemon is not None and message.sender == self._daemon.owner:
            if (message.member, message.signature) == ("ActionInvoked", "us"):
                self._invoked(*message.body)
            elif (message.member, message.signature) == ("NotificationClosed", "uu"):
                self._closed(*message.body)

    def _owner_changed(self, _name: str, before: str, after: str) -> None:
        if before:
            self._lose()
        if after:
            self._owned = True
            self._retry_delay = FIRST_RETRY
            self._ready()

    def _invoked(self, number: int, name: str) -> None:
        for shown in self._shown.values():
            if shown.number == number and name in shown.actions:
                self._listener.on_action(shown.actions[name])
                return

    def _closed(self, number: int, reason: int) -> None:
        for key, shown in list(self._shown.items()):
            if shown.number == number:
                shown.number = 0
                if reason == DISMISSED:
                    del self._shown[key]


def _problem(reply: Message, returns: str) -> str:
    """Why a reply is no answer; empty if it is one whose signature begins with `returns`."""
    if reply.message_type is not MessageType.ERROR:
        return "" if reply.signature.startswith(returns) else "the notification daemon gave an invalid answer"
    if (reply.error_name or "").endswith(("ServiceUnknown", "NameHasNoOwner")):
        return "no notification daemon runs in this session"
    return f"the notification daemon said {reply.error_name}"
