"""Open a sign-in page in the browser, in a thread of its own, and report the result."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable

from trayapp.core.model import BrowserFault
from trayapp.system.browser import NoBrowserError

log = logging.getLogger(__name__)


def open_page(
    name: str, url: str, open_url: Callable[[str], bool], report: Callable[[BrowserFault | None], None]
) -> None:
    """Open it in a daemon thread: one that hangs holds up neither the loop nor the end of the program. `report` is called
    on the loop."""
    loop = asyncio.get_running_loop()

    def work() -> None:
        fault: BrowserFault | None = None
        try:
            if not open_url(url):
                fault = BrowserFault.UNCERTAIN
        except NoBrowserError as error:
            fault = BrowserFault.NOT_OPENED
            log.warning("%s: no browser could be opened: %s", name, error)
        except Exception as exc:  # noqa: BLE001 - a broken browser setting must not end the sign-in
            fault = BrowserFault.NOT_OPENED
            log.warning("%s: no browser could be opened (%s)", name, type(exc).__name__)
        with contextlib.suppress(RuntimeError):  # the program has ended meanwhile
            loop.call_soon_threadsafe(report, fault)

    threading.Thread(target=work, name=f"browser {name}", daemon=True).start()
