"""The random installation id, which is part of every keyring service name: losing it would orphan every login.

Hence it isn't in state.db, which may be deleted, and it is stored more than once: any copy restores the others.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from trayapp.system.plain_files import read_plain, within
from trayapp.system.private_files import NotPrivateError, private_file, write_private

log = logging.getLogger(__name__)

FILE = "install-id"
FILE_MAX = 1000  # bytes; ours has 17
_ID = re.compile(r"[0-9a-f]{16}")


def install_id(directory: Path, *copies: Path) -> str:
    """The id stored in `directory`, else in one of `copies`, else a new one; written wherever it is missing.

    Must be called under the instance lock. Raises `NotPrivateError` or `OSError` for `directory`; a copy that can't be
    read or written is only logged.
    """
    places = [directory / FILE, *(copy / FILE for copy in copies)]
    found = [_read(places[0]), *(_of_copy(_read, place) for place in places[1:])]
    known = next((text for text in found if text), "")
    if not known:
        known = secrets.token_hex(8)
        log.info("New installation: logins are kept in the keyring as amberlight/%s.", known)
    if found[0] != known:
        write_private(places[0], known + "\n")
    for place, text in zip(places[1:], found[1:], strict=True):
        if text not in (known, None):
            _of_copy(_write_copy, place, known)
    return known


def _write_copy(place: Path, text: str) -> str:
    write_private(place, text + "\n", shared=True)
    return text


def _of_copy(work: Callable[..., str], place: Path, *more: str) -> str | None:
    """The result of `work` on a copy, which may lie on a share that is gone; None if it fails, which is logged."""
    try:
        return within(place, lambda: work(place, *more))
    except (NotPrivateError, OSError) as error:
        log.warning("Could not keep a copy of the installation id: %s", error)
        return None


def _read(path: Path) -> str:
    """The id in `path`, or empty: a damaged file is replaced like a missing one, and its text is logged."""
    private_file(path)
    try:
        text = read_plain(path, FILE_MAX, follow=False).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""
    if _ID.fullmatch(text):
        return text
    log.warning("%s does not hold an installation id (it holds %r); writing a new one.", path, text[:40])
    return ""
