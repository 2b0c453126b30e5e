"""Where the log goes. Tokens never reach it: they are `Secret` values, which show themselves as `***`."""

from __future__ import annotations

import contextlib
import logging
import time
from io import TextIOWrapper
from pathlib import Path
from typing import Any

LARGEST = 1 << 20  # bytes a file
KEPT = 3
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
QUIET = ("asyncio", "aiohttp", "httpx2", "httpcore2", "keyring", "dbus_fast", "desktop_notifier", "PIL", "filelock")


def to_file(path: Path, level: str = "info") -> None:
    """Log to `path`, mode 0600, a few files of a megabyte. Raises OSError if it cannot be written."""
    handler = _RotatingFile(path, encoding="utf-8")
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    from_now_on(level)


class _RotatingFile(logging.FileHandler):
    """A file that becomes NAME.1 when it is full, as with `logging.handlers`, whose other handlers load pickle and more
    before the icon is there."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):  # a directory that is gone is no reason to fail for whoever says something
            super().emit(record)
            if self.stream is not None and self.stream.tell() >= LARGEST:
                self._turn()

    def _turn(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream = None  # the next record opens the new file
        for number in range(KEPT, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._numbered(number - 1).replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return Path(f"{self.baseFilename}.{number}" if number else self.baseFilename)

    def _open(self) -> TextIOWrapper[Any]:
        self._numbered(0).touch(mode=0o600)
        self._numbered(0).chmod(0o600)
        return super()._open()


def from_now_on(level: str) -> None:
    """How much is said. Libraries are heard from `warning` on."""
    root = logging.getLogger()
    root.setLevel(LEVELS[level])
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
