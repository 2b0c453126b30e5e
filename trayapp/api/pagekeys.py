"""How a page gets in: a one-time link once, then a key of the page's own. Only digests of them are kept.

A link is good for one page and for a minute, and its token stands behind `#`, so no request line, log or referrer ever
holds it. The page trades it for a page key, which does all that the API allows but give out access tokens. The digests
of the page keys are in a private file in the runtime directory: an open page outlives a restart of the app, not the end
of the desktop's session. Whoever guesses learns nothing and spends nothing.
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
from trayapp.system.private_files import NotPrivateError, private_file, write_private

TOKEN_BYTES = 32  # of randomness, for links and for keys; 16 would do
LINK_LIFE = 60.0  # s; a browser that starts cold on a busy machine takes 20
LINKS = 8  # at once; the oldest is dropped
KEY_LIFE = 3 * 86400.0  # s without use: a page that was left open on Friday evening still works on Monday morning
KEYS = 16  # pages at once; the one that was used least recently is dropped
RENEW = 3600.0  # s; a key that is used all day is written once an hour
LARGEST = 64 << 10  # bytes of the file; 16 keys are 2 KB
_DIGEST = re.compile(r"[0-9a-f]{64}")

log = logging.getLogger(__name__)


class PageKeys:
    """Links and page keys; belongs to the engine's loop. Without a path nothing is kept beyond this run.

    `now` is any steady clock and `wall` the wall clock, both in seconds. Nothing is read before somebody shows a key.
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
        self._links: dict[str, float] = {}  # digest → when it ends
        self._keys: dict[str, float] | None = None  # digest → wall, when it ends; None: not read yet

    def link(self) -> Secret:
        """The token of a new one-time link."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._links = {digest: end for digest, end in self._links.items() if end > self._now()}
        while len(self._links) >= LINKS:
            self._links.pop(next(iter(self._links)))
        self._links[_digest(token)] = self._now() + LINK_LIFE
        return Secret(token)

    def is_link(self, token: str) -> bool:
        """Whether it is the token of a link, good or too old."""
        return _find(self._links, token) is not None

    def trade(self, token: str) -> Secret | None:
        """The key for a link that is good; it is good no more. None for every other text."""
        digest = _find(self._links, token)
        if digest is None or self._links.pop(digest) <= self._now():
            return None
        key = secrets.token_urlsafe(TOKEN_BYTES)
        keys = self._read()
        while len(keys) >= KEYS:
            keys.pop(min(keys, key=keys.__getitem__))
        keys[_digest(key)] = self._wall() + KEY_LIFE
        self._write()
        return Secret(key)

    def admits(self, key: str) -> bool:
        """Whether it is the key of a page; its use prolongs its life."""
        keys, wall = self._read(), self._wall()
        digest = _find(keys, key)
        if digest is None:
            return False
        end = min(keys[digest], wall + KEY_LIFE)  # whoever sets the clock back makes no key live longer
        if end <= wall:
            del keys[digest]
            self._write()
            return False
        if wall + KEY_LIFE - end > RENEW or end != keys[digest]:
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
        with path.open("rb") as file:
            found = _parse(file.read(LARGEST + 1))
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
    """The digest that is this text's. All are compared, each in constant time."""
    wanted = _digest(text)
    found = None
    for each in digests:
        if hmac.compare_digest(each, wanted):
            found = each
    return found


def _parse(text: bytes) -> dict[str, float] | None:
    """What the file says; None if it is not one of ours."""
    try:
        data: object = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        return None
    match data:
        case {"version": 1, "pages": dict(pages)} if len(pages) <= KEYS and all(map(_is_entry, pages.items())):
            return {str(digest): float(end) for digest, end in pages.items()}
    return None


def _is_entry(entry: tuple[object, object]) -> bool:
    digest, end = entry
    is_digest = isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None
    return is_digest and isinstance(end, int | float) and not isinstance(end, bool) and end == end  # not NaN
