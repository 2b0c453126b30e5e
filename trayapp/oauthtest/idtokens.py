"""ID token signer (OpenID Connect Core section 2) with keys of its own, and those keys for clients.

joserfc is loaded and the key made when the first token is signed, so a server that issues none costs nothing.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from typing import Any

KEY_TYPES = {"ES256": ("EC", "P-256"), "RS256": ("RSA", 2048), "EdDSA": ("OKP", "Ed25519")}
KEY_ID = "test-1"


class Signer:
    """One key per algorithm. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}

    def sign(self, claims: Mapping[str, object], algorithm: str, secret: str = "") -> str:
        """A compact JSON Web Token. `none` is left unsigned; `HS256` is signed with the client's secret."""
        if algorithm == "none":
            return f"{_encode({'alg': 'none', 'typ': 'JWT'})}.{_encode(claims)}."
        from joserfc import jwt
        from joserfc.jwk import OctKey

        key = OctKey.import_key(secret) if algorithm.startswith("HS") else self._key(algorithm)
        header = {"alg": algorithm, "kid": KEY_ID}
        return jwt.encode(header, dict(claims), key, algorithms=[algorithm])

    def keys(self) -> dict[str, object]:
        """The public keys used so far (RFC 7517 section 5)."""
        with self._lock:
            return {"keys": [key.as_dict(private=False) for key in self._keys.values()]}

    def forget(self) -> None:
        """Use new keys from now on: what was signed before can no longer be verified."""
        with self._lock:
            self._keys.clear()

    def _key(self, algorithm: str) -> Any:
        from joserfc.jwk import generate_key

        kind, size = KEY_TYPES[algorithm]
        with self._lock:
            if algorithm not in self._keys:
                parameters = {"kid": KEY_ID, "use": "sig", "alg": algorithm}
                self._keys[algorithm] = generate_key(kind, size, parameters)  # type: ignore[call-overload]
            return self._keys[algorithm]


def _encode(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
