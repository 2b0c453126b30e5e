"""The random id of this installation: part of every keyring service name, so losing it would orphan every login.

That is why it is not in state.db, which anybody may delete, and why it is kept twice: whichever copy is left mends the
other.
"""

from __future__ import annotations

import logging
import re
import secrets
from pathlib import Path

from trayapp.edge.private import private_file, write_private

log = logging.getLogger(__name__)

FILE = "install-id"
_SHAPE = re.compile(r"[0-9a-f]{16}")


def install_id(directory: Path, *copies: Path) -> str:
    """The id kept in `directory` (the first that has one wins, the others are mended), or a new one.

    Call it under the instance lock. Raises `NotPrivateError` or `OSError` with a path in it.
    """
    places = [place / FILE for place in (directory, *copies)]
    found = [_read(place) for place in places]
    known = next((text for text in found if text), "")
    if not known:
        known = secrets.token_hex(8)
        log.info("A new installation: logins in the keyring are kept under amberlight/%s.", known)
    for place, text in zip(places, found, strict=True):
        if text != known:
            write_private(place, known + "\n")
    return known


def _read(path: Path) -> str:
    """What `path` holds, or nothing: a damaged copy is replaced like a missing one, and its text is logged."""
    private_file(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""
    if _SHAPE.fullmatch(text):
        return text
    log.warning("%s does not hold an installation id (it holds %r); it is written anew.", path, text[:40])
    return ""
