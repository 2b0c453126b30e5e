"""`Spy`: knows every secret that went by without keeping one, and finds them where they do not belong.

A token is a long run of letters that no prose contains. The spy remembers SHA-256 digests of such runs and later
digests every run of a log or a database file: equal digests are a leak, and nothing secret is ever in the test's hands.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path
from urllib.parse import parse_qsl

SECRET_FIELDS = ("access_token", "refresh_token", "id_token", "code", "code_verifier", "client_secret", "device_code")
_RUN = re.compile(rb"[A-Za-z0-9_-]{20,}")  # the parts of a JWT are found one by one
_JOSE_HEADER = b"eyJhbGciOi"  # the first part of a JWT is the same for all and no secret


class Spy:
    """Safe to use from every thread."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._digests)

    def form(self, body: bytes) -> None:
        """Remember the secrets of a form-encoded request."""
        self._keep(dict(parse_qsl(body.decode("latin-1"))))

    def json(self, body: bytes) -> None:
        """Remember the secrets of a JSON answer; anything else has none."""
        try:
            found = json.loads(body)
        except ValueError:
            return
        if isinstance(found, dict):
            self._keep(found)

    def leaks(self, data: bytes) -> int:
        """How many of the runs in it are secrets."""
        with self._lock:
            return sum(_digest(run) in self._digests for run in _RUN.findall(data))

    def leaking_files(self, *roots: Path) -> list[Path]:
        """The files below these directories that hold a secret in clear."""
        files = (file for root in roots for file in ([root] if root.is_file() else sorted(root.rglob("*"))))
        return [file for file in files if file.is_file() and self.leaks(file.read_bytes())]

    def _keep(self, fields: dict[str, object]) -> None:
        values = (value for name, value in fields.items() if name in SECRET_FIELDS and isinstance(value, str))
        runs = (run for value in values for run in _RUN.findall(value.encode()) if not run.startswith(_JOSE_HEADER))
        with self._lock:
            self._digests.update(_digest(run) for run in runs)


def _digest(run: bytes) -> bytes:
    return hashlib.sha256(run).digest()
