"""Signs of ours on a stream whose encoding lacks them: as people typed them before Unicode, not as question marks.

On Windows a pipe or file has the code page of the system, and elsewhere a locale may be C.
"""

from __future__ import annotations

import codecs
from typing import TextIO

HANDLER = "amberlight.plain"
PLAIN = {
    "→": "->",
    "←": "<-",
    "↻": "~",
    "✔": "+",
    "✖": "x",
    "⚠": "!",
    "…": "...",
    "·": "-",
    "–": "-",
    "—": "-",
    "×": "x",
    "≥": ">=",
    "≤": "<=",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\u00a0": " ",
    "\u202f": " ",
}


def use_plain_signs(stream: TextIO) -> None:
    """Never fail for a character that the stream's encoding lacks."""
    codecs.register_error(HANDLER, _plain)
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors=HANDLER)


def is_utf8(stream: TextIO) -> bool:
    """Whether every character can be written as it is; a stream without bytes beneath has no encoding."""
    encoding = getattr(stream, "encoding", None)
    return encoding is None or encoding.lower().replace("-", "").replace("_", "") == "utf8"


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign, "?") for sign in lacking), error.end
