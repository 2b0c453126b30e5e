"""DPoP proofs (RFC 9449) as a careful server checks them: signature, method, address, age, nonce, and each only once."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from trayapp.oauthtest.checks import Checks, Rule

OLD = 60.0  # s
REQUIRED = {"jti", "htm", "htu", "iat"}


class BadProof(Exception):  # noqa: N818 - it is the client's
    """Why a proof is refused. `code` is `invalid_dpop_proof` or `use_dpop_nonce`."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Proofs:
    """The proofs of one server. Not thread-safe: its owner locks. With `nonces`, each must hold the server's newest."""

    def __init__(self, checks: Checks, *, nonces: bool) -> None:
        self._checks = checks
        self._seen: set[str] = set()
        self.nonce = secrets.token_urlsafe(16) if nonces else ""

    def renew(self) -> None:
        """Ask for another nonce from now on."""
        self.nonce = secrets.token_urlsafe(16)

    def check(self, header: str | None, method: str, url: str, access_token: str = "") -> str:
        """The thumbprint of the key that made the proof. Raises `BadProof`."""
        try:
            key, claims = _opened(header)
        except ValueError as problem:
            self._note(str(problem))
            raise BadProof("invalid_dpop_proof", str(problem)) from None
        for wrong, text in (
            (not claims.keys() >= REQUIRED, "a claim is missing"),
            (claims.get("htm") != method, "htm is another method"),
            (claims.get("htu") != url.partition("?")[0], "htu is another address"),
            (abs(time.time() - float(claims.get("iat", 0))) > OLD, "iat is not now"),
            (claims.get("ath", "") != (_digest(access_token) if access_token else ""), "ath is not of this token"),
            (str(claims.get("jti")) in self._seen, "jti was used before"),
        ):
            if wrong:
                self._note(text)
                raise BadProof("invalid_dpop_proof", text)
        self._seen.add(str(claims["jti"]))
        if self.nonce and claims.get("nonce") != self.nonce:
            raise BadProof("use_dpop_nonce", "The proof needs the server's nonce")
        return key

    def _note(self, text: str) -> None:
        self._checks.note(Rule.BAD_PROOF, f"a DPoP proof: {text}")


def _digest(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def _opened(header: str | None) -> tuple[str, Mapping[str, Any]]:
    """Thumbprint and claims of a proof whose signature is right. Raises `ValueError`."""
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey

    if not header:
        raise ValueError("there is none")
    try:
        claimed = jws.extract_compact(header.encode()).headers()
        if claimed.get("typ") != "dpop+jwt" or claimed.get("alg") != "ES256":
            raise ValueError("typ or alg is wrong")
        if "d" in claimed["jwk"]:
            raise ValueError("its jwk is private")
        key = ECKey.import_key(claimed["jwk"])
        claims = json.loads(jws.deserialize_compact(header, key, algorithms=["ES256"]).payload)
    except (JoseError, KeyError, TypeError) as problem:
        raise ValueError(f"it can't be verified ({type(problem).__name__})") from None
    return key.thumbprint(), claims
