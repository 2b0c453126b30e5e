"""Proofs of possession (RFC 9449): tokens that are bound to a key of the login, and a fresh proof for each request.

The key is made at the sign-in and lives in the login's slot of the keyring. Servers may demand that a proof contains a
nonce of theirs; the newest one is remembered for each origin (section 8.2). This module loads nothing: joserfc comes with
the first proof, in a thread, so without bound logins it costs nothing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from trayapp.core.model import Secret
from trayapp.core.outcomes import Answer, Reply
from trayapp.core.resources import origin

HEADER, NONCE = "DPoP", "dpop-nonce"  # a response's header names are lower case
USE_NONCE = "use_dpop_nonce"  # section 8; 9 for resources
ALGORITHM = "ES256"
NONCE_FORM = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,512}")  # section 8.1: NQCHAR
DEFAULT_PORTS = {"https": 443, "http": 80}
KEYS_MAX = 64  # parsed keys and nonces that are kept: a person has a dozen logins


class BadKeyError(Exception):
    """The stored key isn't one: the slot was written by something else."""


def new_key() -> Secret:
    """A key for one login. Blocks: it loads joserfc."""
    from joserfc.jwk import ECKey

    return Secret(json.dumps(ECKey.generate_key("P-256").as_dict(private=True), separators=(",", ":")))


def thumbprint(key: Secret) -> str:
    """What a server compares (RFC 7638)."""
    from joserfc.jwk import ECKey

    found: str = ECKey.import_key(json.loads(key.reveal())).thumbprint()
    return found


def target_of(url: str) -> str:
    """`htu`: the address without query and fragment (section 4.2), its host as in the Host header: not every server
    normalises before it compares (section 4.3)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    authority = f"[{host}]" if ":" in host else host
    if parts.port not in (None, DEFAULT_PORTS.get(parts.scheme)):
        authority += f":{parts.port}"
    return urlunsplit((parts.scheme, authority, parts.path or "/", "", ""))


class Prover:
    """Makes proofs, and remembers the servers' nonces. For one loop."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._keys: OrderedDict[str, tuple[Any, Mapping[str, Any]]] = OrderedDict()  # by text: the key, its public form
        self._nonces: OrderedDict[tuple[object, str], str] = OrderedDict()  # by origin and key
        self._ready = False

    async def ready(self) -> None:
        """Load what `proof` needs, without blocking the loop. Once is enough."""
        if not self._ready:
            await asyncio.to_thread(_load)
            self._ready = True

    def proof(self, key: Secret, method: str, url: str, access_token: str = "") -> str:
        """A proof for one request, with the newest nonce of its server (sections 4.2 and 7)."""
        from joserfc import jws

        signing, public = self._key(key.reveal())
        header = {"typ": "dpop+jwt", "alg": ALGORITHM, "jwk": public}
        claims: dict[str, Any] = {"jti": secrets.token_urlsafe(18), "htm": method, "htu": target_of(url)}
        claims["iat"] = int(self._wall())
        if access_token:
            digest = hashlib.sha256(access_token.encode("ascii")).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
        if nonce := self._nonces.get((origin(url), key.reveal())):
            claims["nonce"] = nonce
        return jws.serialize_compact(header, json.dumps(claims, separators=(",", ":")), signing, algorithms=[ALGORITHM])

    def noted(self, key: Secret, url: str, nonce: str | None) -> bool:
        """Keep the nonce that a response brought; whether it brought one."""
        if nonce is None or not NONCE_FORM.fullmatch(nonce):
            return False
        place = (origin(url), key.reveal())
        self._nonces[place] = nonce
        self._nonces.move_to_end(place)
        if len(self._nonces) > KEYS_MAX:
            self._nonces.popitem(last=False)
        return True

    def _key(self, text: str) -> tuple[Any, Mapping[str, Any]]:
        known = self._keys.get(text)
        if known is None:
            from trayapp.oauth.signing import KeyUnusableError, algorithm_of, private_key

            try:
                key = private_key(text)
            except KeyUnusableError as error:
                raise BadKeyError from error
            if algorithm_of(key) != ALGORITHM:
                raise BadKeyError
            known = self._keys[text] = key, key.as_dict(private=False)
            if len(self._keys) > KEYS_MAX:
                self._keys.popitem(last=False)
        return known


def _load() -> None:
    import joserfc.jws  # noqa: F401 - loaded for `proof`


def wants_nonce(reply: Reply) -> bool:
    """Whether a token endpoint asks for the request once more, with its nonce (section 8). It is no verdict: nothing was
    done with the token."""
    if not isinstance(reply, Answer) or reply.status not in (400, 401) or NONCE not in reply.headers:
        return False
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and body.get("error") == USE_NONCE
