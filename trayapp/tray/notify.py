"""Notifications: one per key, replaced by a newer one, withdrawn once the matter is settled. Nothing here ever raises.

On Linux this is a direct `Notify` call (`notify_linux.py`) and not desktop-notifier, which always opens a new
notification instead of replacing the old one, cannot name our desktop entry, keeps a dead connection when the daemon
restarts, and prints a traceback where no daemon runs. Nor is it on Windows (`notify_windows.py`). On macOS desktop-notifier
does far more for us and is used; its logged tracebacks become one plain line of our log.

A failure is logged once, and again only after a notification has succeeded: a machine without a daemon gets one line.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trayapp.core.presentation import Action, Notice, Verb
from trayapp.tray import pixmap
from trayapp.tray.channel import SWITCHED_OFF, Channel, ChannelError, Listener

if TYPE_CHECKING:
    from trayapp.tray.balloons import ShowBalloon

log = logging.getLogger(__name__)


def native_channel(app_name: str, listener: Listener, show_balloon: ShowBalloon | None = None) -> Channel:
    """The channel of this operating system, imported here because each needs its own libraries.

    `show_balloon` is the tray icon's, on Windows.
    """
    if sys.platform.startswith("linux"):
        from trayapp.tray.notify_linux import LinuxChannel

        return LinuxChannel(app_name, listener)
    if sys.platform == "win32":
        from trayapp.tray.notify_windows import WindowsChannel

        return WindowsChannel(app_name, listener, show_balloon)
    return DesktopNotifierChannel(app_name, listener)


class NotificationCentre:
    """Shows and withdraws notifications, on the engine's loop. `listener` is called on that loop and must only post."""

    def __init__(
        self,
        listener: Listener,
        *,
        app_name: str = "Amberlight",
        make_channel: Callable[[str, Listener], Channel] = native_channel,
    ) -> None:
        self._listener = listener
        self._app_name = app_name
        self._make_channel = make_channel
        self._channel: Channel | None = None
        self._in_order = asyncio.Lock()  # show and withdraw take effect in the order of their calls
        self._failed = False

    async def show(self, notice: Notice) -> bool:
        """Show a notification, replacing the one with the same key. Returns whether that worked."""
        return await self._attempt(lambda channel: channel.show(notice))

    async def withdraw(self, key: str) -> None:
        """Remove it from the screen; does nothing if it has gone already."""
        if self._channel is not None:
            await self._attempt(lambda channel: channel.withdraw(key))

    async def close(self) -> None:
        """Close the connection. Notifications stay on the screen."""
        async with self._in_order:
            if self._channel is not None:
                await self._channel.close()

    async def _attempt(self, work: Callable[[Channel], Any]) -> bool:
        async with self._in_order:
            try:
                if self._channel is None:
                    listener = replace(self._listener, on_action=self._on_pressed)
                    self._channel = self._make_channel(self._app_name, listener)
                await work(self._channel)
            except Exception as problem:  # noqa: BLE001 - a notification that fails must not disturb anything else
                if not self._failed:
                    log.warning("notifications cannot be shown: %s", str(problem) or type(problem).__name__)
                self._failed = True
                return False
            self._failed = False
            return True

    def _on_pressed(self, action: Action) -> None:
        try:
            self._listener.on_action(action)
        except Exception:
            log.exception("the click on a notification failed")


LIBRARY_LOGS = ("desktop_notifier.backends.base", "desktop_notifier.backends.macos")  # where it logs failures
NOT_FOR_US = "the system has none for this program"  # macOS has them for app bundles only


class _FailureCapture(logging.Filter):
    """Catches the failures that desktop-notifier logs instead of raising, and drops their tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self.problem: BaseException | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            self.problem = record.exc_info[1]
        elif record.name == LIBRARY_LOGS[1] and record.levelno >= logging.WARNING:  # the system's error, as text only
            self.problem = ChannelError(record.getMessage())
        else:
            return True
        return False


class DesktopNotifierChannel:
    """The channel of macOS, through desktop-notifier. Its callbacks may come on another thread."""

    def __init__(self, app_name: str, listener: Listener) -> None:
        import desktop_notifier  # 20 ms: only when the first notification is due

        self._library: Any = desktop_notifier
        self._loop = asyncio.get_running_loop()
        self._on_action = listener.on_action
        self._shown: dict[str, str] = {}
        self._failures = _FailureCapture()
        for name in LIBRARY_LOGS:
            logging.getLogger(name).addFilter(self._failures)
        self._notifier: Any = desktop_notifier.DesktopNotifier(
            app_name=app_name,
            app_icon=desktop_notifier.Icon(path=pixmap.APP_PNG),  # by default it is Python's logo
        )

    async def show(self, notice: Notice) -> None:
        await self.withdraw(notice.key)
        self._failures.problem = None
        capabilities = await self._notifier.get_capabilities()
        if self._library.Capability.TITLE not in capabilities:
            raise ChannelError(NOT_FOR_US)
        if not await self._notifier.request_authorisation():  # macOS asks the person once, then only answers
            raise ChannelError(SWITCHED_OFF)
        buttons = notice.buttons if self._library.Capability.BUTTONS in capabilities else ()
        shown = await self._notifier.send(
            title=notice.title,
            message=notice.body,
            buttons=[
                # Numbered, not named at random: on macOS, all notifications whose buttons have the same titles share the
                # identifiers of the first.
                self._library.Button(title=text, on_pressed=self._poster(action), identifier=str(number))
                for number, (text, action) in enumerate(buttons)
            ],
            on_clicked=self._poster(Action(Verb.SHOW)),
        )
        if self._failures.problem is not None:
            raise ChannelError(str(self._failures.problem) or type(self._failures.problem).__name__)
        self._shown[notice.key] = shown

    async def withdraw(self, key: str) -> None:
        shown = self._shown.pop(key, None)
        if shown is not None:
            await self._notifier.clear(shown)

    async def close(self) -> None:
        for name in LIBRARY_LOGS:
            logging.getLogger(name).removeFilter(self._failures)

    def _poster(self, action: Action) -> Callable[[], None]:
        return lambda: self._post(action)

    def _post(self, action: Action) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._on_action, action)
