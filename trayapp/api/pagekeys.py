"""How a dashboard page authenticates: it trades a one-time link for a key of its own. Only digests are kept.

A link is valid once and for a minute, and its token follows `#`, so no request line, log or referrer ever holds it.
The page trades it for a page key, which opens all of the API except access tokens (SECURITY.md 33). The digests of the
page keys are in a private file in the runtime directory, so an open page survives a restart of the app, but not the
end of the desktop session. A wrong guess reveals nothing and uses nothing up.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from trayapp.core.model import Secret
from trayapp.system.plain_files import read_plain
from trayapp.system.private_files import NotPrivateError, private_file, write_private

TOKEN_BYTES = 32  # of randomness, for links and for keys; 16 would do
LINK_LIFE = 60.0  # s; a browser that starts cold on a busy machine takes 20
LINKS_MAX = 8  # the oldest is dropped
KEY_LIFE = 3 * 86400.0  # s without use: a page left open on Friday evening still works on Monday morning
PAGES_MAX = 16  # the least recently used is dropped
RENEW_AFTER = 3600.0  # s; a key in constant use is written to the file once an hour
FILE_MAX = 64 << 10  # bytes; 16 keys are 2 KB
_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


class PageKeys:
    """Links and page keys. Belongs to the engine's loop. Without a path, keys are valid for this run only.

    `now` is any monotonic clock and `wall` the wall clock, both in seconds. The file is read when a key is first
    shown.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._now = now
        self._wall = wall
        self._links: dict[str, float] = {}  # digest → expiry by `now`
        self._keys: dict[str, float] | None = None  # digest → expiry by `wall`; None: file not read yet

    def link(self) -> Secret:
        """The token of a new one-time link."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._links = {digest: end for digest, end in self._links.items() if end > self._now()}
        while len(self._links) >= LINKS_MAX:
            self._links.pop(next(iter(self._links)))
        self._links[_digest(token)] = self._now() + LINK_LIFE
        return Secret(token)

    def is_link(self, token: str) -> bool:
        """Whether this is a link's token, expired or not."""
        return _find(self._links, token) is not None

    def trade(self, token: str) -> Secret | None:
        """The key for a valid link, which is used up by this; None for any other text."""
        digest = _find(self._links, token)
        if digest is None or self._links.pop(digest) <= self._now():
            return None
        key = secrets.token_urlsafe(TOKEN_BYTES)
        keys = self._read()
        while len(keys) >= PAGES_MAX:
            keys.pop(min(keys, key=keys.__getitem__))
        keys[_digest(key)] = self._wall() + KEY_LIFE
        self._write()
        return Secret(key)

    def admits(self, key: str) -> bool:
        """Whether this is a page's key. Use extends its life."""
        keys, wall = self._read(), self._wall()
        digest = _find(keys, key)
        if digest is None:
            return False
        end = min(keys[digest], wall + KEY_LIFE)  # setting the clock back extends no key's life
        if end <= wall:
            del keys[digest]
            self._write()
            return False
        if wall + KEY_LIFE - end > RENEW_AFTER or end != keys[digest]:
            keys[digest] = wall + KEY_LIFE
            self._write()
        return True

    def _read(self) -> dict[str, float]:
        if self._keys is None:
            self._keys = _load(self._path) if self._path is not None else {}
        return self._keys

    def _write(self) -> None:
        if self._path is None:
            return
        wall = self._wall()
        self._keys = {digest: end for digest, end in (self._keys or {}).items() if end > wall}
        try:
            write_private(self._path, json.dumps({"version": 1, "pages": self._keys}) + "\n")
        except (NotPrivateError, OSError) as error:
            log.warning("open pages: %s; they are good for this run only", error)


def _load(path: Path) -> dict[str, float]:
    try:
        private_file(path)
        found = _parse(read_plain(path, FILE_MAX, follow=False))
    except FileNotFoundError:
        return {}
    except (NotPrivateError, OSError) as error:
        log.warning("open pages: %s; they have to be opened again", error)
        return {}
    if found is None:
        log.warning("open pages: %s was damaged; they have to be opened again", path)
    return found or {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _find(digests: dict[str, float], text: str) -> str | None:
    """The digest of this text, if it is among these. Compares with all of them, each in constant time."""
    wanted = _digest(text)
    found = None
    for each in digests:
        if hmac.compare_digest(each, wanted):
            found = each
    return found


def _parse(text: bytes) -> dict[str, float] | None:
    """The digests in the file with their expiry; None if the file isn't one of ours."""
    try:
        data: object = json.loads(text) if len(text) <= FILE_MAX else None
    except (ValueError, RecursionError):
        return None
    match data:
        case {"version": 1, "pages": dict(pages)} if len(pages) <= PAGES_MAX and all(map(_is_entry, pages.items())):
            return {str(digest): float(end) for digest, end in pages.items()}
    return None


def _is_entry(entry: tuple[object, object]) -> bool:
    digest, end = entry
    is_digest = isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None
    return is_digest and isinstance(end, int | float) and not isinstance(end, bool) and end == end  # excludes NaN
