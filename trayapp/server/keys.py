"""Local keys: one random key per workload, which a client on this machine shows to the proxy.

They are no login and open nothing beyond this machine, but whoever has one may use the login behind it, so `keys.json`
is as private as our other files. A key is made as soon as its workload is configured, and then stays, because it gets pasted
into the settings of other programs. A damaged file is moved aside: new keys are made, and the log says so.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from trayapp.core.model import Secret
from trayapp.system.plain_files import read_plain
from trayapp.system.private_files import NotPrivateError, private_file, write_private

KEY_BYTES = 32  # of randomness (SECURITY.md 28)
FILE_MAX = 4 << 20  # bytes; 10,000 keys are 1 MB
_KEY = re.compile(r"[A-Za-z0-9_-]{22,200}")  # needs no escaping in a header or a path

log = logging.getLogger(__name__)


class Keys:
    """The keys of one file. Belongs to the engine's loop. Without a writable file, keys are valid for this run only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, Secret] | None = None  # None: not read yet

    def key(self, name: str) -> Secret:
        """This workload's key, made at first use."""
        self.make([name])
        return self._read()[name]

    def make(self, names: Iterable[str]) -> None:
        """Make the keys that are missing among these, in one write."""
        keys = self._read()
        if missing := [name for name in names if name not in keys]:
            keys.update((name, _new_key()) for name in missing)
            self._write(keys)

    def find(self, name: str) -> Secret | None:
        """Its key, or None if none was made: a request that guesses must not create one."""
        return self._read().get(name)

    def rename(self, name: str, new: str) -> None:
        """The renamed workload keeps its key, so that clients have only an address to change. May be repeated."""
        keys = self._read()
        if (key := keys.pop(name, None)) is not None:
            keys[new] = key
            self._write(keys)

    def forget(self, *names: str) -> None:
        """Delete the keys of removed workloads: they stay invalid even if one of that name is added again."""
        keys = self._read()
        if gone := keys.keys() & names:
            for name in gone:
                del keys[name]
            self._write(keys)

    def _read(self) -> dict[str, Secret]:
        if self._keys is None:
            self._keys = self._load()
        return self._keys

    def _load(self) -> dict[str, Secret]:
        try:
            private_file(self._path)
            found = _parse(read_plain(self._path, FILE_MAX, follow=False))
        except FileNotFoundError:
            return {}
        except (NotPrivateError, OSError) as error:
            log.error("local keys: %s; using new keys for this run", _message(error, self._path))
            return {}
        if found is None:
            self._move_aside()
            return {}
        return found

    def _move_aside(self) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            self._path.replace(aside)
        except OSError as error:
            log.error("local keys: %s", _message(error, self._path))
            return
        log.error(
            "%s was damaged and is now %s; clients need the new keys: amberlight client-config NAME", self._path, aside
        )

    def _write(self, keys: dict[str, Secret]) -> None:
        text = json.dumps({"version": 1, "keys": {name: key.reveal() for name, key in sorted(keys.items())}}, indent=2)
        try:
            write_private(self._path, text + "\n")
        except (NotPrivateError, OSError) as error:
            log.error("local keys: %s; they are valid for this run only", _message(error, self._path))


def _new_key() -> Secret:
    return Secret(secrets.token_urlsafe(KEY_BYTES))


def _parse(text: bytes) -> dict[str, Secret] | None:
    """The keys in the file; None if it isn't one of ours."""
    try:
        data: object = json.loads(text) if len(text) <= FILE_MAX else None
    except (ValueError, RecursionError):
        return None
    match data:
        case {"version": 1, "keys": dict(keys)} if all(isinstance(k, str) and _KEY.fullmatch(k) for k in keys.values()):
            return {str(name): Secret(key) for name, key in keys.items()}
    return None


def _message(error: Exception, path: Path) -> str:
    return f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
