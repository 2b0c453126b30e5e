"""ID tokens, valid and invalid, and the keys that signed them."""

from __future__ import annotations

import base64
import json
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from trayapp.oauth import jose

WALL = 1_800_000_000.0
CLIENT, ISSUER = "desktop", "https://as.test"
KEYS: dict[str, Any] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "r"}),
    "PS256": RSAKey.generate_key(2048, {"kid": "p"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "e"}),
    "ES384": ECKey.generate_key("P-384", {"kid": "e3"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "o"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "o2"}),
}
PUBLIC = [key.as_dict(private=False) for key in KEYS.values()]


def claims(**changes: object) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": CLIENT, "sub": "alice", "iat": WALL, "exp": WALL + 300}
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def signed(algorithm: str = "ES256", key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    key = key or KEYS[algorithm]
    head = {"alg": algorithm, "kid": key.kid} | (header or {})
    lax = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return jwt.encode({k: v for k, v in head.items() if v}, claims(**changes), key, registry=lax)


def unsigned(head: dict[str, object], **changes: object) -> str:
    parts = (json.dumps(head), json.dumps(claims(**changes)))
    return ".".join(base64.urlsafe_b64encode(p.encode()).decode().rstrip("=") for p in parts) + "."


def judged(token: str, keys: object = None, secret: str | None = None) -> str:
    return jose.check_signature(
        json.dumps({"token": token, "keys": PUBLIC if keys is None else keys, "secret": secret})
    )
