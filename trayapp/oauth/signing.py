"""Signatures with a private key of ours, by joserfc: client assertions (RFC 7523).

joserfc and cryptography cost 11 MB, so they are loaded when the first signature is made, in a thread; without a
key they cost nothing. Everything here blocks and may raise `KeyUnusableError`, whose text is the end of a sentence.
"""

from __future__ import annotations

import json
import secrets
import stat
import threading
from pathlib import Path
from typing import Any

from trayapp.system.plain_files import NOT_RESPONDING, READ_LIMIT, NotRespondingError, read_plain, within
from trayapp.system.private_files import PRIVACY

KEY_MAX = 16 * 1024  # bytes of a key file; RSA with 4096 bits has 3,300
ASSERTION_LIFE = 300  # s; a clock that is a little wrong must not make it invalid
CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_hanging: dict[
    str, threading.Event
] = {}  # reads that took too long, until they end: one thread hangs for a file, not more
PUBLIC = ("kty", "crv", "x", "y", "n", "e", "kid")


class KeyUnusableError(Exception):
    """There is no usable private key."""


def read_key_file(path: str) -> str:
    """The text of a private key's file, if it's this user's alone."""
    file, ended = Path(path), threading.Event()
    if (hanging := _hanging.get(path)) is not None and not hanging.is_set():
        raise KeyUnusableError(f"can't be read: {NOT_RESPONDING}")

    def read() -> bytes:
        try:
            return _read_private(file)
        finally:
            ended.set()

    _hanging.pop(path, None)
    try:
        content = within(file, read, READ_LIMIT)
    except NotRespondingError:
        _hanging[path] = ended
        raise KeyUnusableError(f"can't be read: {NOT_RESPONDING}") from None
    except OSError as error:
        raise KeyUnusableError(f"can't be read: {(error.strerror or 'unknown error').lower()}") from None
    if len(content) > KEY_MAX:
        raise KeyUnusableError("is too long for a private key")
    return content.decode("utf-8", "replace")


def _read_private(file: Path) -> bytes:
    content = read_plain(file, KEY_MAX)
    if PRIVACY is not None:
        if PRIVACY.others_may_read(file) or PRIVACY.changed_by_others(file):
            raise KeyUnusableError("is open to other users. Change that in its properties, under Security")
    elif stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise KeyUnusableError("is open to other users. Run `chmod 600` on it")
    return content


def private_key(text: str) -> Any:
    """joserfc's key for a JWK or PEM."""
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey, import_key

    text = text.strip()
    try:
        if text.startswith("{"):
            key: Any = import_key(json.loads(text))
        else:
            key = _from_pem(text, (ECKey, RSAKey))
        if key.key_type == "oct" or not key.is_private:
            raise KeyUnusableError("isn't a private key")
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise KeyUnusableError("isn't a private key in PEM or JWK format without a password") from error
    algorithm = algorithm_of(key)
    try:  # what the key itself says it is for (RFC 7517 sections 4.2 to 4.4)
        key.check_use("sig")
        key.check_alg(algorithm)
        key.check_key_op("sign")
    except JoseError as error:
        raise KeyUnusableError("says that it isn't for signatures") from error
    return key


def _from_pem(text: str, kinds: tuple[Any, ...]) -> Any:
    """PEM doesn't say of which kind it is until it is read."""
    from joserfc.errors import JoseError

    for kind in kinds:
        try:
            return kind.import_key(text)
        except (JoseError, ValueError, TypeError, AttributeError, AssertionError):
            continue
    raise ValueError("no PEM of a private key")


def algorithm_of(key: Any) -> str:
    """The signature algorithm: the one that the key names, or the usual one of its kind."""
    facts = key.as_dict(private=False)
    named, usual = facts.get("alg"), "RS256" if key.key_type == "RSA" else CURVES.get(str(facts.get("crv")), "")
    if key.key_type == "RSA" and named in ("RS384", "RS512", "PS256", "PS384", "PS512"):
        return str(named)
    if not usual:
        raise KeyUnusableError("is of a kind that isn't supported; use P-256 or RSA")
    return usual


def sign(key: Any, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """A compact JSON Web Signature."""
    from joserfc import jws

    algorithm = algorithm_of(key)
    protected = {"alg": algorithm, **header}
    return jws.serialize_compact(protected, json.dumps(claims, separators=(",", ":")), key, algorithms=[algorithm])


def client_assertion(key_text: str, client_id: str, audience: str, wall: float) -> str:
    """The assertion of RFC 7523 section 3, for one request."""
    key = private_key(key_text)
    kid = key.as_dict(private=False).get("kid")
    claims = {"iss": client_id, "sub": client_id, "aud": audience, "jti": secrets.token_urlsafe(24)}
    times = {"iat": int(wall), "exp": int(wall) + ASSERTION_LIFE}
    return sign(key, {"typ": "JWT"} | ({"kid": kid} if kid else {}), claims | times)


def public_key(key_text: str) -> dict[str, Any]:
    """What servers may know of the key (RFC 7517)."""
    key = private_key(key_text)
    facts = {name: value for name, value in key.as_dict(private=False).items() if name in PUBLIC}
    return facts | {"use": "sig", "alg": algorithm_of(key)}


def as_jwk(text: str) -> str:
    """A key in PEM as a JWK on one line; raises `KeyUnusableError` for anything else than a private key."""
    return json.dumps(private_key(text).as_dict(private=True), separators=(",", ":"))
