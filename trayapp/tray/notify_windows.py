"""Notifications on Windows: toasts with buttons through WinRT or, where that is missing, balloons of the tray icon.

Not through desktop-notifier, which on Windows forgets the buttons of a toast as soon as it moves to the notification
centre, can't replace a toast, and can't name an address for a click.

A click on a toast opens our address (`system/activation.py`), so it works from the notification centre and after the app
has ended. Its buttons act in this process, for as long as the app runs; a quit takes them away. There is no COM activator,
because Windows would then hand every click to it, and a stub of one would make the buttons dead (Microsoft's "Activating
toast notifications from desktop apps").
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import html
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from trayapp.core.presentation import Action, Notice, Verb
from trayapp.system import activation
from trayapp.tray import pixmap
from trayapp.tray.balloons import BalloonChannel, ShowBalloon
from trayapp.tray.channel import SWITCHED_OFF, ChannelError, Listener

log = logging.getLogger(__name__)

GROUP = "amberlight"
MAX_BUTTONS = 5  # of a toast; Windows refuses more
SHOW = "show"  # what a click on the text reports if our address isn't registered
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

OnFailed: TypeAlias = Callable[[Notice, str], None]


@dataclass(frozen=True, slots=True)
class Toasts:
    """What is used of WinRT, whose packages exist on Windows only."""

    manager: Any  # ToastNotificationManager
    toast: Any  # ToastNotification
    activated: Any  # ToastActivatedEventArgs
    enabled: Any  # NotificationSetting.ENABLED
    document: Any  # XmlDocument


def load_toasts() -> Toasts:
    """WinRT's classes. Raises `ImportError`, or `OSError` where Windows lacks them."""
    from winrt.windows.data.xml.dom import XmlDocument
    from winrt.windows.ui.notifications import (
        NotificationSetting,
        ToastActivatedEventArgs,
        ToastNotification,
        ToastNotificationManager,
    )

    return Toasts(
        ToastNotificationManager, ToastNotification, ToastActivatedEventArgs, NotificationSetting.ENABLED, XmlDocument
    )


def toast_xml(notice: Notice, *, address: bool) -> str:
    """The toast. `address`: a click on it opens our address, and not only tells this process."""

    def quoted(text: str) -> str:
        return html.escape(_NOT_XML.sub("", text))

    launch = f'launch="{activation.SHOW_URI}" activationType="protocol"' if address else f'launch="{SHOW}"'
    buttons = "".join(
        f'<action content="{quoted(text)}" arguments="{number}" activationType="background"/>'
        for number, (text, _) in enumerate(notice.buttons[:MAX_BUTTONS])
    )
    return (
        f'<toast {launch}><visual><binding template="ToastGeneric">'
        f"<text>{quoted(notice.title)}</text><text>{quoted(notice.body)}</text></binding></visual>"
        f'<actions>{buttons}</actions><audio silent="true"/></toast>'
    )


def tag(key: str) -> str:
    """The name of a notification, by which a newer one replaces it: Windows takes 64 characters, in old versions 16."""
    return hashlib.blake2s(key.encode(), digest_size=8).hexdigest()


def _error(given: Any) -> str:
    return f"error 0x{given.error_code.value & 0xFFFFFFFF:08x}"


class ToastChannel:
    """Toasts. WinRT calls back on threads of its own; the callbacks only post.

    `failed` is called on the loop with a notice that Windows took and couldn't show.
    """

    def __init__(
        self,
        app_name: str,
        listener: Listener,
        failed: OnFailed,
        load: Callable[[], Toasts] = load_toasts,
        opens_here: Callable[[], bool] = activation.opens_here,
    ) -> None:
        self._toasts = load()
        self._loop = asyncio.get_running_loop()
        self._on_action = listener.on_action
        self._failed = failed
        self._opens_here = opens_here
        self._kept: dict[str, Any] = {}  # a toast that nobody holds reports no click
        with contextlib.suppress(OSError):  # then a toast has no name and no icon, but is still one
            activation.register_app(app_name, pixmap.APP_PNG)
        self._manager = self._toasts.manager.get_default()
        self._notifier = self._manager.create_toast_notifier_with_id(activation.APP_ID)

    async def show(self, notice: Notice) -> None:
        if not self._allowed():
            raise ChannelError(SWITCHED_OFF)
        document = self._toasts.document()
        document.load_xml(toast_xml(notice, address=self._opens_here()))
        toast = self._toasts.toast(document)
        toast.tag, toast.group = tag(notice.key), GROUP
        toast.add_activated(lambda _, given: self._activated(notice, given))
        toast.add_failed(lambda _, given: self._post(self._failed, notice, _error(given)))
        self._notifier.show(toast)
        self._kept[notice.key] = toast

    async def withdraw(self, key: str) -> None:
        if self._kept.pop(key, None) is not None:
            with contextlib.suppress(OSError):  # the person has dismissed it
                self._manager.history.remove_grouped_tag_with_id(tag(key), GROUP, activation.APP_ID)

    async def close(self) -> None:
        """Nothing to close: the notifier has withdrawn what it could."""

    def _allowed(self) -> bool:
        try:
            return bool(self._notifier.setting == self._toasts.enabled)
        except OSError:  # Windows doesn't know us yet; the first toast makes it
            return True

    def _activated(self, notice: Notice, given: Any) -> None:
        """On a thread of WinRT. Our address does its work in another process."""
        said = given.as_(self._toasts.activated).arguments if given is not None else ""
        if said == SHOW:
            self._post(self._on_action, Action(Verb.SHOW))
        elif said.isdecimal() and int(said) < len(notice.buttons):
            self._post(self._on_action, notice.buttons[int(said)][1])

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call, *arguments)


class WindowsChannel:
    """Toasts until one fails, then balloons. Without an icon there are no balloons, and the failure is raised."""

    def __init__(
        self,
        app_name: str,
        listener: Listener,
        show_balloon: ShowBalloon | None,
        make_toasts: Callable[[str, Listener, OnFailed], ToastChannel] = ToastChannel,
    ) -> None:
        self._make_toasts: Callable[[], ToastChannel] = lambda: make_toasts(app_name, listener, self._toast_failed)
        self._toasts: ToastChannel | None = None
        self._balloons: BalloonChannel | None = None
        self._show_balloon = show_balloon
        self._late: set[asyncio.Task[None]] = set()

    async def show(self, notice: Notice) -> None:
        if self._balloons is not None:
            return await self._balloons.show(notice)
        try:
            if self._toasts is None:
                self._toasts = self._make_toasts()
            return await self._toasts.show(notice)
        except ChannelError:  # the person wants none
            raise
        except Exception as problem:
            if self._show_balloon is None:
                raise
            return await self._fall_back(self._show_balloon, str(problem) or type(problem).__name__).show(notice)

    async def withdraw(self, key: str) -> None:
        for channel in (self._toasts, self._balloons):
            if channel is not None:
                await channel.withdraw(key)

    async def close(self) -> None:
        for channel in (self._toasts, self._balloons):
            if channel is not None:
                await channel.close()

    def _fall_back(self, show_balloon: ShowBalloon, problem: str) -> BalloonChannel:
        if self._balloons is None:
            log.info("notifications are balloons of the icon: Windows shows no toasts (%s)", " ".join(problem.split()))
            self._balloons = BalloonChannel(show_balloon)
        return self._balloons

    def _toast_failed(self, notice: Notice, problem: str) -> None:
        """Windows took a toast and couldn't show it: the balloon follows."""
        if self._show_balloon is None:
            log.warning("a notification could not be shown (%s)", problem)
            return
        task = asyncio.create_task(self._show_late(self._fall_back(self._show_balloon, problem), notice))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _show_late(self, balloons: BalloonChannel, notice: Notice) -> None:
        try:
            await balloons.show(notice)
        except ChannelError as problem:
            log.warning("a notification could not be shown: %s", problem)
