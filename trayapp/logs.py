"""Where the log goes. Tokens never reach it: they are `Secret` values, which show themselves as `***`."""

from __future__ import annotations

import logging
import os
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

LARGEST = 1 << 20  # bytes a file
KEPT = 3
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
QUIET = ("asyncio", "aiohttp", "httpx2", "httpcore2", "keyring", "dbus_fast", "desktop_notifier", "PIL", "filelock")


def to_file(path: Path, level: str = "info") -> None:
    """Log to `path`, mode 0600, a few files of a megabyte."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.close(handle)
    path.chmod(0o600)
    handler = RotatingFileHandler(path, maxBytes=LARGEST, backupCount=KEPT, encoding="utf-8")
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    from_now_on(level)


def from_now_on(level: str) -> None:
    """How much is said. Libraries are heard from `warning` on."""
    root = logging.getLogger()
    root.setLevel(LEVELS[level])
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
