"""Server-sent events, read as they come (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trayapp.stdio.memory import LARGE, expect_large

EVENT_MAX = 256 << 20  # bytes

_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is empty for one that only sets an id."""

    kind: str
    data: bytes


class TooLongError(ValueError):
    """An event is longer than any answer."""


class Events:
    """The events of one stream. `last_id` is where to resume it, `retry` the pause before that, in seconds."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry: float | None = None
        self._line = bytearray()
        self._after_return = False
        self._kind = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[Event]:
        """The events that are complete with this piece. Raises `TooLongError`."""
        if self._after_return and piece.startswith(b"\n"):
            piece = piece[1:]
        elif not piece:
            return []
        self._after_return = piece.endswith(b"\r")
        found = []
        first, *others = _END.split(piece)
        self._line += first
        for other in others:
            if (event := self._end_line()) is not None:
                found.append(event)
            self._line += other
        if self._size + len(self._line) > LARGE:
            expect_large()
            if self._size + len(self._line) > EVENT_MAX:
                raise TooLongError
        return found

    def _end_line(self) -> Event | None:
        line = bytes(self._line)
        self._line.clear()
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
                self._size += len(value)
            case b"event":
                self._kind = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self.last_id = value.decode("utf-8", "replace")
            case b"retry" if value.isdigit() and len(value) < 10:
                self.retry = int(value) / 1000
        return None

    def _dispatch(self) -> Event | None:
        kind, data = self._kind or "message", self._data
        self._kind, self._data, self._size = "", [], 0
        return Event(kind, b"\n".join(data)) if data else None
