"""The local keys: what a client on this machine shows to the proxy, one random key for each workload.

They are no login and open nothing outside of this machine, but who has one may use the login behind it; so `keys.json`
is private like everything of ours. A key is made when somebody first wants it and then stays, as it is pasted into the
settings of other programs. A file that cannot be read is moved aside: new keys are made, and the log says so.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from pathlib import Path

from trayapp.core.model import Secret
from trayapp.system.private_files import NotPrivateError, private_file, write_private

KEY_BYTES = 32  # of randomness; SECURITY 28 asks for 16
LARGEST = 4 << 20  # bytes; 10,000 keys are 1 MB
_KEY = re.compile(r"[A-Za-z0-9_-]{22,200}")  # fits into a header and into a path as it is

log = logging.getLogger(__name__)


class Keys:
    """The keys in one file; belongs to the engine's loop. Where it cannot be written, keys are good for this run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: dict[str, Secret] | None = None  # None: not read yet

    def key(self, name: str) -> Secret:
        """The key of this workload, made at first use."""
        keys = self._read()
        if name not in keys:
            keys[name] = Secret(secrets.token_urlsafe(KEY_BYTES))
            self._write(keys)
        return keys[name]

    def find(self, name: str) -> Secret | None:
        """Its key if it has one: whoever shows a key that was never given away need not make one."""
        return self._read().get(name)

    def forget(self, name: str) -> None:
        """The workload was removed: whoever still shows its key is refused, also if the name comes back."""
        keys = self._read()
        if keys.pop(name, None) is not None:
            self._write(keys)

    def _read(self) -> dict[str, Secret]:
        if self._keys is None:
            self._keys = self._load()
        return self._keys

    def _load(self) -> dict[str, Secret]:
        try:
            private_file(self._path)
            with self._path.open("rb") as file:
                found = _parse(file.read(LARGEST + 1))
        except FileNotFoundError:
            return {}
        except (NotPrivateError, OSError) as error:
            log.error("local keys: %s; new keys are made for this run", _words(error, self._path))
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
            log.error("local keys: %s", _words(error, self._path))
            return
        log.error(
            "%s was damaged and is now %s; clients need the new keys: amberlight client-config NAME", self._path, aside
        )

    def _write(self, keys: dict[str, Secret]) -> None:
        text = json.dumps({"version": 1, "keys": {name: key.reveal() for name, key in sorted(keys.items())}}, indent=2)
        try:
            write_private(self._path, text + "\n")
        except (NotPrivateError, OSError) as error:
            log.error("local keys: %s; they are good for this run only", _words(error, self._path))


def _parse(text: bytes) -> dict[str, Secret] | None:
    """What the file says; None if it is not one of ours."""
    try:
        data: object = json.loads(text) if len(text) <= LARGEST else None
    except (ValueError, RecursionError):
        return None
    match data:
        case {"version": 1, "keys": dict(keys)} if all(isinstance(k, str) and _KEY.fullmatch(k) for k in keys.values()):
            return {str(name): Secret(key) for name, key in keys.items()}
    return None


def _words(error: Exception, path: Path) -> str:
    return f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
