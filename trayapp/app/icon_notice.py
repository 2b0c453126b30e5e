"""Says once per installation where the icon is, or what to do on a desktop without a tray (`core/first_start.py`)."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from trayapp.app.notifier import Notifier
from trayapp.app.warning_lines import WarningLines
from trayapp.core import first_start
from trayapp.core.first_start import Desktop, Told
from trayapp.system.plain_files import read_plain
from trayapp.system.private_files import NotPrivateError, write_private

log = logging.getLogger(__name__)

FILE = "told"  # in the state directory: one word a line
FILE_MAX = 1000  # bytes; ours has twelve
WARNING = "host"  # the topic of the warning that nothing shows the icon


class IconNotice:
    """Shows the notice and keeps the mark, on the engine's loop. `muted`: notifications are."""

    def __init__(
        self, directory: Path, notifier: Notifier, warnings: WarningLines, muted: Callable[[], bool], desktop: Desktop
    ) -> None:
        self._directory = directory
        self._notifier = notifier
        self._warnings = warnings
        self._muted = muted
        self._desktop = desktop

    def tray_host(self, present: bool) -> None:
        """The icon is shown, or nothing shows it (plain GNOME doesn't), which is a warning until something does."""
        sentence = "" if present else first_start.no_tray(self._desktop)
        self._warnings.set(WARNING, sentence)
        if sentence:
            log.warning("%s", sentence)
        self._notifier.withdraw(first_start.KEY)
        said = first_start.notice(present, told(self._directory), self._desktop, muted=self._muted())
        if said is not None:
            word, notice = said
            self._notifier.show_until_seen(notice, lambda: keep(self._directory, word))


def this_desktop() -> Desktop:
    """The desktop that this runs on."""
    return Desktop(sys.platform, os.environ.get("XDG_CURRENT_DESKTOP", ""))


def told(directory: Path) -> frozenset[str]:
    """What has been said; nothing if the file can't be read."""
    try:
        return frozenset(read_plain(directory / FILE, FILE_MAX).decode("utf-8", "replace").split())
    except OSError:
        return frozenset()


def keep(directory: Path, word: Told) -> None:
    """Keep that this was said; if that fails, it is said again at the next start."""
    try:
        write_private(directory / FILE, "".join(f"{each}\n" for each in sorted({*told(directory), word})))
    except (NotPrivateError, OSError) as error:
        log.warning("what the first start said will be repeated at the next one: %s", error)
