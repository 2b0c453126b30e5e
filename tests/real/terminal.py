"""`Terminal`: a command in a pseudo-terminal of its own, as over SSH.

What is typed goes through the line discipline, and Ctrl-C is the terminal's own signal.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

# Whoever started the tests in the background has Ctrl-C ignored, and so would have what they start.
CONTROL = (
    "import fcntl, os, signal, sys, termios; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
SIZE = ("COLUMNS", "LINES")  # of another terminal
ESCAPES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Terminal:
    """One command, until it ends. `screen` is all it has printed, including the terminal's echo of what was typed."""

    def __init__(self, command: list[str], environment: Mapping[str, str], directory: Path) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", CONTROL, *command],
            env={name: value for name, value in environment.items() if name not in SIZE} | {"TERM": "xterm"},
            cwd=directory,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.raw = b""
        self._followed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    @property
    def screen(self) -> str:
        return self.raw.decode(errors="replace").replace("\r\n", "\n")

    def expect(self, pattern: str, limit: float = 30.0) -> re.Match[str]:
        """Read until the pattern is on the screen."""
        end = time.monotonic() + limit
        while (found := re.search(pattern, self.screen)) is None:
            assert self._read(end - time.monotonic()), f"{pattern!r} did not come: {self.screen}"
        return found

    def follow(self, pattern: str, limit: float = 30.0) -> re.Match[str]:
        """Read until the pattern is in what came after the one that was followed last."""
        end = time.monotonic() + limit
        while (found := re.compile(pattern).search(self.screen, self._followed)) is None:
            assert self._read(end - time.monotonic()), f"{pattern!r} did not come: {self.screen}"
        self._followed = found.end()
        return found

    def narrow(self, columns: int) -> None:
        """Give it this many columns."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def hang_up(self) -> None:
        """Close it, as a window or a connection is closed."""
        os.close(self._ours)
        self._ours = os.open(os.devnull, os.O_RDWR)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def line(self, text: str) -> None:
        """Type a line and press Enter."""
        self.type(f"{text}\r")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.type("\x03")

    def wait(self, limit: float = 30.0) -> int:
        """Its exit code."""
        end = time.monotonic() + limit
        while self._read(end - time.monotonic()):
            pass
        assert time.monotonic() < end, f"it did not end: {self.screen}"
        return self._process.wait(5)

    def gone(self, limit: float) -> int:
        """Its exit code, after `hang_up`."""
        return self._process.wait(limit)

    def hostile(self) -> list[bytes]:
        """Control characters in its output that plain text doesn't have."""
        return ESCAPES.findall(self.raw)

    def _read(self, limit: float) -> bool:
        """Read what comes next; False when nothing more will."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, limit))
        if not ready:
            return False
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # the other side is closed: Linux says EIO
            return False
        self.raw += chunk
        return bool(chunk)
