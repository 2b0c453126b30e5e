"""Open the dashboard: a one-time link in the person's own browser.

The link's secret is on the browser's command line for a moment, where other users of the machine can read it (`ps`). That
does no harm where the loopback server learns which user a connection belongs to (Linux: `server/peers.py` refuses other
users) or where nobody sees other people's command lines (Windows). Elsewhere the browser gets a private file that redirects
to the link. Linux does not use the file as well because sandboxed browsers (snap, Flatpak) may not read our files. The next
link overwrites the file; its content is worthless after a minute or after its first use.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from trayapp.core.model import Moment, Secret
from trayapp.system.browser import NoBrowserError, browse
from trayapp.system.private_files import NotPrivateError, write_private

log = logging.getLogger(__name__)

FILE = "open-dashboard.html"  # in the runtime directory
CLICK_SPACING = 1.0  # s; a double click opens one page, not two
LINK = "For a link, run `amberlight dashboard --print`."
NO_BROWSER = f"Couldn't open a browser. {LINK}"
NOT_SEEN = f"Did the dashboard not open in your browser? {LINK}"
COLD_START = 20.0  # s; a browser may take this long on a busy machine
NO_SERVER = "Amberlight has no port to serve the dashboard on. Run `amberlight doctor`."

_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Amberlight</title>
<meta http-equiv="refresh" content="0; url={url}">
<p><a href="{url}">Open the dashboard</a></p>
"""


class Dashboard:
    """Opens the dashboard on a click, on the engine's loop.

    `address` gives the loopback server's URL, None while nothing listens; `secret` makes the secret of a one-time link,
    and `unused` says whether no page has used it yet; `tell` shows a sentence, and `show_all` notifies of what the page would have shown.
    """

    def __init__(
        self,
        *,
        now: Callable[[], Moment],
        task: Callable[[str, Coroutine[Any, Any, None]], object],
        address: Callable[[], str | None],
        secret: Callable[[], Secret],
        unused: Callable[[str], bool],
        directory: Path,
        tell: Callable[[str], None],
        show_all: Callable[[], None],
        open_url: Callable[[str], bool] | None,
    ) -> None:
        self._now = now
        self._task = task
        self._address = address
        self._secret = secret
        self._unused = unused
        self._directory = directory
        self._tell = tell
        self._show_all = show_all
        self._open_url = open_url or browse
        self._clicked_at = float("-inf")

    def clicked(self, dialog: str = "") -> None:
        """Open the dashboard; with "setup" its set-up, with "add" its form for a new workload, with "connect=NAME"
        the clients to connect to one; with "take-over=OWNER/NAME" the question whether to take over another program's."""
        at = self._now().at
        if at - self._clicked_at > CLICK_SPACING:
            self._clicked_at = at
            self._task("open the dashboard", self._open(dialog))

    async def _open(self, dialog: str) -> None:
        if (address := self._address()) is None:
            self._show_all()
            self._tell(NO_SERVER)
            return
        secret = self._secret().reveal()
        url = link(address, secret, dialog)
        try:
            if await asyncio.to_thread(open_link, url, self._directory, self._open_url):
                return
        except NoBrowserError as error:
            log.warning("the dashboard was not opened: %s", error)
            self._tell(NO_BROWSER)
            return
        await asyncio.sleep(COLD_START)
        if self._unused(secret):
            log.warning("the browser has not requested the dashboard yet, and its program has not ended")
            self._tell(NOT_SEEN)


def link(server: str, token: str, dialog: str = "") -> str:
    """The link's URL. The token is in the fragment, which no browser sends."""
    return f"{server}/{'?' if dialog else ''}{dialog}#once={token}"


def open_link(url: str, directory: Path, open_url: Callable[[str], bool] | None = None) -> bool:
    """Open the URL in the person's browser, as `browse` does, which `open_url` replaces. Raises `NoBrowserError`."""
    if visible_to_other_users():
        file = directory / FILE
        try:
            write_private(file, _PAGE.format(url=url))
        except (NotPrivateError, OSError) as error:
            raise NoBrowserError(str(error)) from None
        url = file.as_uri()
    return (open_url or browse)(url)


def visible_to_other_users() -> bool:
    """Whether another user of this machine could read the link and be admitted with it."""
    from trayapp.server import peers

    return sys.platform != "win32" and not peers.is_supported()
