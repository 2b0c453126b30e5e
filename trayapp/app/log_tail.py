"""The last lines of a log file, and the lines added to it from now on, through rotation and truncation."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import BinaryIO

from trayapp.system.plain_files import open_plain, within

POLL = 0.3  # s
_BLOCK = 1 << 16  # bytes


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines. Raises `OSError`."""
    with os.fdopen(within(path, lambda: open_plain(path)), encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def follow(path: Path, sleep: Callable[[float], object] = time.sleep) -> Generator[str, None, None]:
    """Yield lines as they are written, forever. A file that was replaced or truncated is read from its start."""
    file: BinaryIO = os.fdopen(open_plain(path), "rb")
    try:
        file.seek(0, os.SEEK_END)
        partial_line = b""
        while True:
            *lines, partial_line = (partial_line + file.read(_BLOCK)).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r").decode(errors="replace")  # as Windows ends lines
            if not lines:
                sleep(POLL)
                file, partial_line = _current(path, file, partial_line)
    finally:
        file.close()


def _current(path: Path, file: BinaryIO, partial_line: bytes) -> tuple[BinaryIO, bytes]:
    """The file that has this name now: the same one, or its successor once the old one is read to its end."""
    at = file.tell()  # Wine's C library reads beyond an end that it has met only after being asked
    try:
        named = path.stat()
    except OSError:
        return file, partial_line  # in the middle of a rotation
    opened = os.fstat(file.fileno())
    if (named.st_ino, named.st_dev) != (opened.st_ino, opened.st_dev):
        if at < opened.st_size:
            return file, partial_line
        file.close()
        return os.fdopen(open_plain(path), "rb"), b""
    if named.st_size < at:
        file.seek(0)
        return file, b""
    return file, partial_line
