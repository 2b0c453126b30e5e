"""Standard input and output: one JSON-RPC message a line, and nothing else is ever written."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from trayapp.stdio.memory import LARGE, expect_large

PIECE = 64 * 1024  # bytes read at once


def encode(message: object) -> bytes:
    """As it is written and sent."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def lines(descriptor: int) -> Iterator[bytes]:
    """The lines of standard input, until it ends."""
    line = bytearray()
    while True:
        try:
            piece = os.read(descriptor, PIECE)
        except OSError:
            return
        if not piece:
            break
        first, *others = piece.split(b"\n")
        line += first
        if len(line) > LARGE:
            expect_large()
        for other in others:
            if whole := bytes(line).strip():
                yield whole
            line[:] = other
    if whole := bytes(line).strip():
        yield whole


class Output:
    """Standard output, for all threads. `on_gone` is called when the reader is gone."""

    def __init__(self, descriptor: int, on_gone: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_gone = on_gone
        self._lock = threading.Lock()
        self._gone = False

    def write(self, text: bytes) -> None:
        """One message as JSON. Line breaks in it are white space: within a string they would be escaped."""
        if b"\n" in text or b"\r" in text:
            text = text.replace(b"\n", b" ").replace(b"\r", b" ")
        with self._lock:
            if self._gone:
                return
            try:
                rest = memoryview(text + b"\n")
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                self._gone = True
        if self._gone:
            self._on_gone()

    def say(self, message: dict[str, Any]) -> None:
        """A message of ours."""
        self.write(encode(message))


def complain(sentence: str) -> None:
    """One line on standard error, which clients show or keep, unless it was closed."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"amberlight stdio: {sentence}\n")
        sys.stderr.flush()
