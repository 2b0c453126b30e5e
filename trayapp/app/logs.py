"""The log file and its levels. Tokens never reach it: they are `Secret` values, whose text is `***`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from trayapp.system.private_files import NotPrivateError, open_private

MAX_BYTES = 1 << 20  # per file
OLD_FILES = 3  # kept beside the current one
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LIBRARIES = ("asyncio", "aiohttp", "httpx2", "httpcore2", "keyring", "dbus_fast", "desktop_notifier", "PIL", "filelock")


def log_to_file(path: Path, level: str = "info") -> None:
    """Log to `path`, mode 0600, in a few files of 1 MB. Raises `NotPrivateError` or `OSError` if it can't be written."""
    handler = _RotatingFile(path, encoding="utf-8")
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    set_level(level)


class _RotatingFile(logging.FileHandler):
    """Rotates like the handler of `logging.handlers`, which would import pickle and more before the icon appears."""

    def emit(self, record: logging.LogRecord) -> None:
        # A directory that is gone, or a link put in our place, must not make the code that logs fail.
        with contextlib.suppress(OSError, NotPrivateError):
            super().emit(record)
            if self.stream is not None and self.stream.tell() >= MAX_BYTES:
                self._rotate()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """A full disk: a traceback for each line would fill another one."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)

    def _rotate(self) -> None:
        """NAME becomes NAME.1, NAME.1 becomes NAME.2, and the oldest is overwritten."""
        if self.stream is not None:
            self.stream.close()
        self.stream = None  # the next record opens the new file
        for number in range(OLD_FILES, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number - 1).replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return Path(f"{self.baseFilename}.{number}" if number else self.baseFilename)

    def _open(self) -> TextIOWrapper[Any]:
        return TextIOWrapper(
            os.fdopen(open_private(self._numbered(0), os.O_WRONLY | os.O_APPEND), "ab"),
            encoding="utf-8",
            errors="backslashreplace",  # for a lone surrogate, as in a file's name
        )


def set_level(level: str) -> None:
    """Log from this level on; libraries from `warning` on at the most."""
    root = logging.getLogger()
    root.setLevel(LEVELS[level])
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
