"""The notification channel of Linux: org.freedesktop.Notifications, with replacement, our desktop entry and reconnection.

The first notification opens the connection, which costs nothing while idle. The capabilities are asked once for each
daemon: without "actions" no buttons are sent, as some daemons would print them as text. Buttons travel as numbers, never
as words, so no other program can name an action of its own.

Specification: https://specifications.freedesktop.org/notification-spec/latest/
"""

from __future__ import annotations

import asyncio
import html
from dataclasses import dataclass

from dbus_fast import Message, MessageType, Variant

from trayapp.core.presentation import Action, Notice, Verb
from trayapp.system.dbus import SessionBus, error_text
from trayapp.tray import pixmap
from trayapp.tray.channel import ChannelError, OnAction

NAME = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
BUS = "org.freedesktop.DBus"
BUS_PATH = "/org/freedesktop/DBus"
CALL_LIMIT = 5.0  # s: a hanging daemon must not block the engine's notices for ever
SERVER_TIMEOUT = -1  # the daemon decides how long it is shown
NORMAL_URGENCY = 1  # urgency
# xfce4-notifyd shows the default action as one more button, without a label: https://docs.xfce.org/apps/xfce4-notifyd/spec
NO_DEFAULT_ACTION = "Xfce Notify Daemon"


@dataclass(frozen=True, slots=True)
class NotificationServer:
    """The daemon that shows notifications now, and what it can do."""

    owner: str
    actions: bool
    markup: bool
    default_action: bool


@dataclass(slots=True)
class ShownNotification:
    """A notification that is on the screen, or whose closing has not been reported yet."""

    number: int
    actions: dict[str, Action]


class LinuxChannel:
    """One connection to the session bus, on the loop that runs `show`."""

    def __init__(self, app_name: str, on_action: OnAction) -> None:
        self._app_name = app_name
        self._on_action = on_action
        self._bus: SessionBus | None = None
        self._watch: asyncio.Task[None] | None = None
        self._daemon: NotificationServer | None = None
        self._shown: dict[str, ShownNotification] = {}

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
        body = html.escape(notice.body, quote=False) if daemon.markup else notice.body
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
        reply = await self._call(NAME, PATH, NAME, "Notify", "susssasa{sv}i", *arguments)
        self._shown[notice.key] = ShownNotification(reply.body[0], actions)

    async def withdraw(self, key: str) -> None:
        """Close it; if the daemon no longer knows it, its error is ignored."""
        shown = self._shown.pop(key, None)
        if shown is not None and self._bus is not None and self._bus.connected:
            await self._call(NAME, PATH, NAME, "CloseNotification", "u", shown.number, errors=False)

    async def close(self) -> None:
        if self._bus is not None and self._watch is not None:
            self._bus.disconnect()
            await self._watch

    def _forget(self) -> None:
        """The daemon is gone, and with it what it showed."""
        self._daemon = None
        self._shown.clear()

    # --- connection ---------------------------------------------------------------------------------------------------

    async def _current_daemon(self) -> NotificationServer:
        if self._bus is None or not self._bus.connected:
            await self._connect()
        if self._daemon is None:
            # This call starts the daemon where the bus can activate it.
            capabilities = await self._call(NAME, PATH, NAME, "GetCapabilities", "")
            information = await self._call(NAME, PATH, NAME, "GetServerInformation", "")
            capability_names = set(capabilities.body[0])
            self._daemon = NotificationServer(
                owner=information.sender or "",
                actions="actions" in capability_names,
                markup="body-markup" in capability_names,
                default_action=information.body[0] != NO_DEFAULT_ACTION,
            )
        return self._daemon

    async def _connect(self) -> None:
        self._forget()
        self._bus = None
        bus: SessionBus | None = None
        try:
            bus = SessionBus()
            async with asyncio.timeout(CALL_LIMIT):
                await bus.connect()
        except Exception as problem:  # noqa: BLE001 - the library raises many types, and all mean the same here
            if bus is not None:
                bus.disconnect()
            raise ChannelError(f"the session bus cannot be reached ({error_text(problem)})") from None
        self._bus = bus
        self._watch = asyncio.create_task(self._until_lost(bus), name="watch the bus of the notifications")
        bus.add_message_handler(self._on_message)
        for rule in (
            f"type='signal',sender='{NAME}',interface='{NAME}'",
            f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'",
        ):
            await self._call(BUS, BUS_PATH, BUS, "AddMatch", "s", rule)

    async def _until_lost(self, bus: SessionBus) -> None:
        """Forget a connection when it is lost, silently: the next notification opens a new one, or fails with a reason."""
        await bus.lost()
        if self._bus is bus:
            self._bus = None
            self._forget()

    async def _call(
        self, name: str, path: str, interface: str, member: str, signature: str, *body: object, errors: bool = True
    ) -> Message:
        if self._bus is None:
            raise ChannelError("the session bus closed the connection")
        call = Message(name, path, interface, member, signature=signature, body=list(body))
        try:
            async with asyncio.timeout(CALL_LIMIT):
                reply = await self._bus.call(call)
        except TimeoutError:
            raise ChannelError(f"the notification daemon did not answer within {CALL_LIMIT:.0f} s") from None
        except (OSError, EOFError):
            raise ChannelError("the session bus closed the connection") from None
        if errors and reply.message_type is MessageType.ERROR:
            self._forget()
            raise ChannelError(_error_text(reply))
        return reply

    # --- signals of the daemon ----------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "NameOwnerChanged" and message.sender == BUS and message.body[0] == NAME:
            self._forget()
        elif self._daemon is not None and message.sender == self._daemon.owner:
            if message.member == "ActionInvoked":
                self._invoked(*message.body)
            elif message.member == "NotificationClosed":
                self._closed(message.body[0])

    def _invoked(self, number: int, name: str) -> None:
        for shown in self._shown.values():
            if shown.number == number and name in shown.actions:
                self._on_action(shown.actions[name])
                return

    def _closed(self, number: int) -> None:
        self._shown = {key: shown for key, shown in self._shown.items() if shown.number != number}


def _error_text(reply: Message) -> str:
    if (reply.error_name or "").endswith(("ServiceUnknown", "NameHasNoOwner")):
        return "no notification daemon runs in this session"
    return f"the notification daemon said {reply.error_name}"
