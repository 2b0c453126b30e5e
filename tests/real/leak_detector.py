"""Finds leaked secrets without keeping any: knows the tokens that passed through the relay by their digests.

A token is a long run of characters that no prose contains. The detector remembers SHA-256 digests of such runs, and
later hashes every run in a log or database file: equal digests are a leak. Tests never hold a secret themselves.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from pathlib import Path
from urllib.parse import parse_qsl

SECRET_FIELDS = ("access_token", "refresh_token", "id_token", "code", "code_verifier", "client_secret", "device_code")
_RUN = re.compile(rb"[A-Za-z0-9_-]{20,}")  # the parts of a JWT are separate runs
_JOSE_HEADER = b"eyJhbGciOi"  # how a JWT's first part begins; it is the same in all and no secret


class LeakDetector:
    """The digests of all secrets seen so far. Thread-safe."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._digests)

    def form(self, body: bytes) -> None:
        """Remember the secrets of a form-encoded request."""
        self._remember(dict(parse_qsl(body.decode("latin-1"))))

    def json(self, body: bytes) -> None:
        """Remember the secrets of a JSON response; anything else has none."""
        try:
            found = json.loads(body)
        except ValueError:
            return
        if isinstance(found, dict):
            self._remember(found)

    def leaks(self, data: bytes) -> int:
        """How many secrets the data contains."""
        with self._lock:
            return sum(_digest(run) in self._digests for run in _RUN.findall(data))

    def leaking_files(self, *roots: Path) -> list[Path]:
        """The files below these directories that contain a secret in clear."""
        files = (file for root in roots for file in ([root] if root.is_file() else sorted(root.rglob("*"))))
        return [file for file in files if file.is_file() and self.leaks(file.read_bytes())]

    def _remember(self, fields: dict[str, object]) -> None:
        values = (value for name, value in fields.items() if name in SECRET_FIELDS and isinstance(value, str))
        runs = (run for value in values for run in _RUN.findall(value.encode()) if not run.startswith(_JOSE_HEADER))
        with self._lock:
            self._digests.update(_digest(run) for run in runs)


def _digest(run: bytes) -> bytes:
    return hashlib.sha256(run).digest()
