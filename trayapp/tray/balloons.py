"""Balloons of the tray icon: notifications on a Windows without WinRT, such as Server Core.

There is one at a time, without buttons; a newer one takes its place, and a click on it shows the dashboard. The icon
belongs to the tray's thread, so everybody else only posts.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any, TypeAlias

from trayapp.core.presentation import Action, Notice, Verb
from trayapp.tray.channel import ChannelError

TITLE_LIMIT, TEXT_LIMIT = 63, 255  # UTF-16 units without the final zero: NOTIFYICONDATAW's szInfoTitle and szInfo
WM_BALLOON = 0x400 + 41  # WM_USER + 41; native_windows.py has + 40

# <shellapi.h>
NIM_MODIFY = 1
NIF_INFO = 0x10
NIIF_RESPECT_QUIET_TIME = 0x80  # not in the first hour after Windows was set up
NIN_BALLOONUSERCLICK = 0x405

ShowBalloon: TypeAlias = Callable[[str, str], bool]
"""Show a title and a text; two empty ones remove the balloon. False if there is no icon."""


def cut(text: str, limit: int) -> str:
    """The text with at most `limit` UTF-16 units, never cut in the middle of a surrogate pair."""
    text = text.replace("\0", "")
    raw = text.encode("utf-16-le", "replace")
    if len(raw) <= 2 * limit:
        return text
    return raw[: 2 * (limit - 1)].decode("utf-16-le", "ignore") + "…"


class BalloonChannel:
    """The channel over the icon's balloon."""

    def __init__(self, show_balloon: ShowBalloon) -> None:
        self._show_balloon = show_balloon
        self._key: str | None = None

    async def show(self, notice: Notice) -> None:
        # An empty text would remove the balloon instead of showing one.
        title, text = (notice.title, notice.body) if notice.body else ("", notice.title)
        if not self._show_balloon(cut(title, TITLE_LIMIT), cut(text, TEXT_LIMIT)):
            raise ChannelError("there's no icon to show them")
        self._key = notice.key

    async def withdraw(self, key: str) -> None:
        if key == self._key:
            self._key = None
            self._show_balloon("", "")

    async def close(self) -> None:
        """Nothing to close: the balloon goes with the icon."""


def with_balloons(base: type[Any], post: Callable[[int, int], object]) -> type[Any]:
    """pystray's icon class of Windows, with balloons that any thread may ask for."""

    class IconWithBalloons(base):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self._balloons: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
            self._message_handlers[WM_BALLOON] = self._on_balloon

        def show_balloon(self, title: str, text: str) -> bool:
            """See `ShowBalloon`."""
            if not self._hwnd:
                return False
            self._balloons.put((title, text))
            post(self._hwnd, WM_BALLOON)
            return True

        def _on_balloon(self, wparam: int, lparam: int) -> None:
            while not self._balloons.empty():
                title, text = self._balloons.get()
                self._message(NIM_MODIFY, NIF_INFO, szInfoTitle=title, szInfo=text, dwInfoFlags=NIIF_RESPECT_QUIET_TIME)

        def _on_notify(self, wparam: int, lparam: int) -> None:
            if lparam == NIN_BALLOONUSERCLICK:
                self._on_action(Action(Verb.SHOW))
            else:
                super()._on_notify(wparam, lparam)

    return IconWithBalloons
