"""The end of a log file, and what is written to it from now on, through rotation and truncation."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import BinaryIO

LOOK_EVERY = 0.3  # s
_BLOCK = 1 << 16  # bytes read at once


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines."""
    with path.open("r", encoding="utf-8", errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]


def follow(path: Path, sleep: Callable[[float], object] = time.sleep) -> Generator[str, None, None]:
    """Lines as they are written, for ever. A file that was replaced or cut is read from its beginning."""
    file: BinaryIO = path.open("rb")
    try:
        file.seek(0, os.SEEK_END)
        rest = b""
        while True:
            *lines, rest = (rest + file.read(_BLOCK)).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
            if not lines:
                sleep(LOOK_EVERY)
                file, rest = _current(path, file, rest)
    finally:
        file.close()


def _current(path: Path, file: BinaryIO, rest: bytes) -> tuple[BinaryIO, bytes]:
    """The file that now has this name: the same one, or the one that took its place once the old one is read out."""
    try:
        there = path.stat()
    except OSError:
        return file, rest  # between two files
    held = os.fstat(file.fileno())
    if (there.st_ino, there.st_dev) != (held.st_ino, held.st_dev):
        if file.tell() < held.st_size:
            return file, rest
        file.close()
        return path.open("rb"), b""
    if there.st_size < file.tell():
        file.seek(0)
        return file, b""
    return file, rest
