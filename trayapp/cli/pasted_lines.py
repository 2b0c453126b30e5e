"""Lines that a person types or pastes into the terminal while a command waits for something else."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import sys
import threading

# Bracketed-paste markers, which terminals put around pasted text, and any other escape sequence.
ESCAPE_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b.")
QUOTES = "\"'`<>“”‘’«»"


LOOK = 0.2  # s; on Windows Ctrl-C is noticed only between two waits


class PastedLines:
    """Lines of standard input, read by a daemon thread that doesn't delay the program's end."""

    def __init__(self) -> None:
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ended = threading.Event()
        threading.Thread(target=self._read, name="read pasted address", daemon=True).start()

    def next(self) -> str:
        """The next whole line, cleaned by `tidy`; "" if there is none yet."""
        with contextlib.suppress(queue.Empty):
            return tidy(self._lines.get_nowait())
        return ""

    def wait(self) -> str | None:
        """The next whole line as it was typed; None at the end of the input."""
        while True:
            ended = self._ended.is_set()
            try:
                return self._lines.get(timeout=LOOK)
            except queue.Empty:
                if ended:
                    return None

    def drop(self) -> None:
        """Forget what has been typed so far, also what is not a whole line yet."""
        drop_typed()
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()

    def _read(self) -> None:
        """Put the lines into the queue, and say when there are no more."""
        try:
            self._read_all()
        finally:
            self._ended.set()

    def _read_all(self) -> None:
        """Reads the descriptor: a thread blocked in Python's buffered reader would break the interpreter's shutdown."""
        partial_line = b""
        try:
            descriptor = sys.stdin.fileno()
            while chunk := os.read(descriptor, 65536):
                *lines, partial_line = (partial_line + chunk).split(b"\n")
                for line in lines:
                    self._lines.put(line.decode(errors="replace"))
        except (OSError, ValueError, AttributeError):
            return  # no standard input; the redirect may still arrive without it
        if partial_line:
            self._lines.put(partial_line.decode(errors="replace"))


def drop_typed() -> None:
    """Forget what the terminal holds that nobody has read yet. No terminal, or Windows: nothing is forgotten."""
    if sys.platform != "win32":
        import termios

        with contextlib.suppress(termios.error, OSError, ValueError, AttributeError):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def tidy(line: str) -> str:
    """The URL in a pasted line, without escape sequences, control characters, quotes, or a shell's backslashes."""
    plain = "".join(c for c in ESCAPE_SEQUENCES.sub("", line) if c.isprintable() and c != "\\")
    return plain.strip().strip(QUOTES).strip()
