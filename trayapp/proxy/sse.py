"""The legacy SSE transport of MCP (2024-11-05): its first event names where the client posts, and that must be our path.

Only `endpoint` as the first event of a stream is touched; everything after it, and every other stream, passes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable

FIRST_MAX = 64 * 1024  # bytes; a longer first event is no `endpoint`

_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")  # of an event: an empty line
_LINES = re.compile(r"\r\n|\n|\r")
_BOM = "\ufeff"


class EndpointRewriter:
    """Takes a stream's chunks and gives them back; `local` is asked once, with what the upstream announced.

    `local` raises to end the stream: a client must not be sent to a foreign address with its key.
    """

    def __init__(self, local: Callable[[str], str]) -> None:
        self._local = local
        self._held: bytes | None = b""  # None: the first event is through

    def feed(self, chunk: bytes) -> bytes:
        """What may be sent on now; an event that has only begun is held back."""
        if self._held is None:
            return chunk
        held, sent, through = self._held + chunk, b"", False
        while not through and (end := _END.search(held)) is not None:
            block, held = held[: end.end()], held[end.end() :]
            block, through = self._block(block)
            sent += block
        if through or len(held) > FIRST_MAX:
            self._held = None
            return sent + held
        self._held = held
        return sent

    def rest(self) -> bytes:
        """What was held back when the stream ended."""
        held, self._held = self._held or b"", None
        return held

    def _block(self, block: bytes) -> tuple[bytes, bool]:
        """One whole event or a comment (WHATWG HTML, section 9.2.6), and whether it was the first real event."""
        try:
            lines = _LINES.split(block.decode("utf-8").removeprefix(_BOM))
        except UnicodeDecodeError:
            return block, True
        fields = [(key, value.removeprefix(" ")) for key, _, value in (line.partition(":") for line in lines) if key]
        if not any(key == "data" for key, _ in fields):
            return block, False  # a comment, `retry` or an empty event: the first real one is still to come
        if [value for key, value in fields if key == "event"][-1:] != ["endpoint"]:
            return block, True
        path = self._local("\n".join(value for key, value in fields if key == "data"))
        others = [line for line in lines if line and line.partition(":")[0] not in ("event", "data")]
        return "\n".join([*others, "event: endpoint", f"data: {path}", "", ""]).encode(), True
