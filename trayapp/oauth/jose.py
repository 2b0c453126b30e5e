"""ID token signature check by joserfc, as a separate program that imports nothing of ours.

It runs as `python jose.py`, reads one JSON object from standard input and writes one word. joserfc and cryptography
cost 11 MB and a tenth of a second, which the tray would carry for the whole day for a check that is made once per
sign-in. Keys and tokens come through the pipe, so they appear on no command line.
"""

from __future__ import annotations

import base64
import json
import sys
import warnings
from collections.abc import Mapping
from typing import Any

KEYS_MAX = 30  # keys of a server; Google has two, Microsoft seven
RSA_BYTES = 256  # 2048 bits (RFC 7518 section 3.3)
TOKEN_MAX = 128 * 1024  # characters
KEY_TYPES = {  # `alg` → `kty`: the signature algorithms of RFC 7518, RFC 8037 and RFC 9864 that joserfc knows
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512", "ES256K"), "EC"),
    **dict.fromkeys(("EdDSA", "Ed25519", "Ed448"), "OKP"),
}
HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")  # their key is the client secret (OpenID Connect Core 10.1)


def check_signature(job_text: str) -> str:
    """`ok`, or why the signature proves nothing: `none`, `algorithm`, `no_key`, `signature` or `unreadable`.

    `job_text` is `{"token": text, "keys": [JWK, …], "secret": text or null}`.
    """
    try:
        job = json.loads(job_text)
        token, keys, secret = str(job["token"]), job["keys"], job["secret"]
        header = json.loads(base64.urlsafe_b64decode(_pad(token.split(".")[0])))
        algorithm = header.get("alg")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, IndexError):
        return "unreadable"
    if len(token) > TOKEN_MAX or token.count(".") != 2:  # five parts would be an encrypted token
        return "unreadable"
    if algorithm == "none" or not isinstance(algorithm, str):
        return "none"
    if algorithm in HMAC_ALGORITHMS:
        return _verify(token, algorithm, [{"kty": "oct", "k": _b64(secret)}]) if secret else "algorithm"
    if algorithm not in KEY_TYPES:
        return "algorithm"
    candidates = _candidate_keys(keys, algorithm, header.get("kid"))
    return _verify(token, algorithm, candidates) if candidates else "no_key"


def _candidate_keys(keys: Any, algorithm: str, kid: object) -> list[Mapping[str, Any]]:
    """The keys that may have signed the token: the one it names, or all of the right kind if it names none (RFC 7517
    section 4)."""
    found = [key for key in keys[:KEYS_MAX] if _is_candidate(key, algorithm)] if isinstance(keys, list) else []
    return [key for key in found if key.get("kid") == kid] if kid is not None else found


def _is_candidate(key: object, algorithm: str) -> bool:
    if not isinstance(key, Mapping) or key.get("kty") != KEY_TYPES[algorithm]:
        return False
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) not in (algorithm, _alias(algorithm)):
        return False
    return key.get("kty") != "RSA" or _byte_length(key.get("n")) >= RSA_BYTES


def _alias(algorithm: str) -> str:
    """The algorithm's other name. RFC 9864 split EdDSA, and a server may use one name in its key and the other in its
    token."""
    return {"EdDSA": "Ed25519", "Ed25519": "EdDSA"}.get(algorithm, algorithm)


def _byte_length(number: object) -> int:
    try:
        return len(base64.urlsafe_b64decode(_pad(str(number))).lstrip(b"\0"))
    except ValueError:
        return 0


def _verify(token: str, algorithm: str, keys: list[Mapping[str, Any]]) -> str:
    from joserfc import jws
    from joserfc.jwk import import_key

    warnings.simplefilter("ignore")  # joserfc warns about EdDSA's name and about sizes that were checked above
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_payload_length = registry.max_header_length = registry.max_signature_length = TOKEN_MAX
    for key in keys:
        try:
            public = {name: value for name, value in key.items() if name not in ("key_ops", "use", "alg")}
            jws.deserialize_compact(token, import_key(public), registry=registry)
        except Exception:  # noqa: BLE001, S112 - whatever a key or a token does to the library, it proves nothing
            continue
        return "ok"
    return "signature"


def _pad(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _b64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


if __name__ == "__main__":
    from joserfc import jwk, jws  # noqa: F401 - loaded while the order is still on its way

    sys.stdout.write(check_signature(sys.stdin.read()))
