"""Lines that a person types or pastes into a terminal while a command waits for something else."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import sys
import threading

# What a terminal wraps around a paste (bracketed paste), and any other escape sequence.
SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b.")
QUOTES = "\"'`<>“”‘’«»"


class PastedLines:
    """Lines of the standard input, read by a thread that the program's end need not wait for."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="read pasted address", daemon=True).start()

    def next(self) -> str:
        """A whole line without what terminals, shells and mails put around an address; nothing if there is none yet."""
        with contextlib.suppress(queue.Empty):
            return tidy(self._lines.get_nowait())
        return ""

    def _read(self) -> None:
        """By file descriptor: a thread inside Python's own buffered reader would make the interpreter's end fail."""
        rest = b""
        try:
            descriptor = sys.stdin.fileno()
            while chunk := os.read(descriptor, 65536):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._lines.put(line.decode(errors="replace"))
        except (OSError, ValueError, AttributeError):
            return  # no standard input: the browser may still come back by itself
        if rest:
            self._lines.put(rest.decode(errors="replace"))


def tidy(line: str) -> str:
    """An address out of a pasted line: no escape sequences, control characters, quotes, or a shell's backslashes."""
    plain = "".join(c for c in SEQUENCES.sub("", line) if c.isprintable() and c != "\\")
    return plain.strip().strip(QUOTES).strip()
