"""Rewrites the `endpoint` event of the legacy SSE transport (MCP 2024-11-05), so that clients post to the proxy.

Only an `endpoint` that is the first event of a stream is changed; whatever follows, and every other stream, passes
untouched.
"""

from __future__ import annotations

import re
from collections.abc import Callable

FIRST_EVENT_MAX = 64 * 1024  # bytes; a longer first event is no `endpoint`

_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")  # an empty line
_LINE_END = re.compile(r"\r\n|\n|\r")
_BOM = "\ufeff"


class EndpointRewriter:
    """Takes a stream's chunks and returns them; `local` is called at most once, with what the upstream announced.

    `local` raises to end the stream: a client must not be sent to a foreign address with its key.
    """

    def __init__(self, to_local: Callable[[str], str]) -> None:
        self._to_local = to_local
        self._held: bytes | None = b""  # None: the first event has passed

    @property
    def passed(self) -> bool:
        """Whether the first event has gone by, whatever it was."""
        return self._held is None

    def feed(self, chunk: bytes) -> bytes:
        """What may be sent on now; an incomplete first event is held back."""
        if self._held is None:
            return chunk
        held, ready, passed = self._held + chunk, b"", False
        while not passed and (end := _EVENT_END.search(held)) is not None:
            block, held = held[: end.end()], held[end.end() :]
            block, passed = self._rewritten(block)
            ready += block
        if passed or len(held) > FIRST_EVENT_MAX:
            self._held = None
            return ready + held
        self._held = held
        return ready

    def rest(self) -> bytes:
        """What was still held back when the stream ended."""
        held, self._held = self._held or b"", None
        return held

    def _rewritten(self, block: bytes) -> tuple[bytes, bool]:
        """One whole event or comment (WHATWG HTML, section 9.2.6), and whether it was the first real event."""
        try:
            lines = _LINE_END.split(block.decode("utf-8").removeprefix(_BOM))
        except UnicodeDecodeError:
            return block, True
        fields = [(key, value.removeprefix(" ")) for key, _, value in (line.partition(":") for line in lines) if key]
        if not any(key == "data" for key, _ in fields):
            return block, False  # a comment, `retry` or an event without data, which clients don't dispatch
        if [value for key, value in fields if key == "event"][-1:] != ["endpoint"]:
            return block, True
        path = self._to_local("\n".join(value for key, value in fields if key == "data"))
        others = [line for line in lines if line and line.partition(":")[0] not in ("event", "data")]
        return "\n".join([*others, "event: endpoint", f"data: {path}", "", ""]).encode(), True
