"""The one way to the dashboard: a one-time link, in the person's own browser.

The link's secret is on the browser's command line for a moment, where other users of the machine can read it (`ps`).
That does no harm where the loopback server is told whose a connection is (Linux: `server/peers.py` refuses theirs) or where
nobody sees other people's command lines (Windows). Elsewhere the browser is given a private file that leads on. Not on
Linux too, as browsers in a sandbox of their own (snap, Flatpak) may not read files of ours. The file is written over by the
next link; what is in it is worth nothing after a minute or after its first use.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import webbrowser
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from trayapp.core.model import Moment, Secret
from trayapp.system.private_files import NotPrivateError, write_private

log = logging.getLogger(__name__)

FILE = "open-dashboard.html"  # in the runtime directory
CLICKS = 1.0  # s; a second click within this time is the second half of a double click
BY_HAND = "No browser could be started here. For a link: amberlight dashboard --print"
NO_SERVER = "Amberlight does not listen on this machine, so there is no page to open. See: amberlight doctor"

_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Amberlight</title>
<meta http-equiv="refresh" content="0; url={url}">
<p><a href="{url}">Open the dashboard</a></p>
"""


class Dashboard:
    """What a click opens. Belongs to the engine's loop.

    `address` is the loopback server's URL, None while nothing listens; `secret` makes the secret of a one-time link; `tell`
    shows a sentence, and `show_all` what the page would have shown.
    """

    def __init__(
        self,
        *,
        now: Callable[[], Moment],
        task: Callable[[str, Coroutine[Any, Any, None]], object],
        address: Callable[[], str | None],
        secret: Callable[[], Secret],
        directory: Path,
        tell: Callable[[str], None],
        show_all: Callable[[], None],
        open_url: Callable[[str], bool] | None,
    ) -> None:
        self._now = now
        self._task = task
        self._address = address
        self._secret = secret
        self._directory = directory
        self._tell = tell
        self._show_all = show_all
        self._open_url = open_url or browse
        self._clicked_at = float("-inf")

    def clicked(self, *, add: bool = False) -> None:
        """A person wants to see it; `add`: the form for a new workload."""
        at = self._now().at
        if at - self._clicked_at > CLICKS:
            self._clicked_at = at
            self._task("open the dashboard", self._open(add))

    async def _open(self, add: bool) -> None:
        if (address := self._address()) is None:
            self._show_all()
            self._tell(NO_SERVER)
            return
        url = link(address, self._secret().reveal(), add=add)
        if not await asyncio.to_thread(open_link, url, self._directory, self._open_url):
            log.warning(BY_HAND)
            self._tell(BY_HAND)


def link(server: str, token: str, *, add: bool = False) -> str:
    """The address; the token stands behind the `#`, which no browser sends."""
    return f"{server}/{'?add' if add else ''}#once={token}"


def open_link(url: str, directory: Path, open_url: Callable[[str], bool] | None = None) -> bool:
    """Show it in the person's browser; False if there is none. Blocks for as long as that takes to start."""
    if shown_to_others():
        file = directory / FILE
        try:
            write_private(file, _PAGE.format(url=url))
        except (NotPrivateError, OSError) as error:
            log.warning("the dashboard cannot be opened: %s", error)
            return False
        url = file.as_uri()
    try:
        return (open_url or browse)(url)
    except (webbrowser.Error, OSError) as error:
        log.warning("no browser: %s", error)
        return False


def shown_to_others() -> bool:
    """Whether another user could read the link and be let in with it."""
    from trayapp.server import peers

    return sys.platform != "win32" and not peers.is_supported()


def browse(url: str) -> bool:
    """The person's own browser. On a Linux without a display none is tried: it would be one inside the terminal."""
    if sys.platform.startswith("linux") and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return False
    return webbrowser.open(url)
