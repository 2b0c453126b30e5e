"""Client assertions (RFC 7523): checked with the client's public key, each good for one request."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from typing import Any

from trayapp.oauthtest.grants import OAuthError

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FAR = 3600  # s; an assertion that lives longer is refused


def verify(form: Mapping[str, str], key: Mapping[str, Any], client_id: str, audiences: Collection[str]) -> str:
    """The assertion's `jti`. Raises `OAuthError`."""
    from joserfc import jws
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    try:
        if form.get("client_assertion_type") != TYPE:
            raise ValueError("the client_assertion_type is wrong")
        algorithms = ["ES256", "RS256", "PS256", "EdDSA"]
        signed = jws.deserialize_compact(form["client_assertion"], import_key(dict(key)), algorithms=algorithms)
        claims = json.loads(signed.payload)
        if not claims["iss"] == claims["sub"] == client_id:
            raise ValueError("iss and sub are not the client")
        if claims["aud"] not in audiences:
            raise ValueError("aud is another server")
        if not time.time() < claims["exp"] < time.time() + FAR:
            raise ValueError("exp has passed or is too far away")
        return str(claims["jti"])
    except (JoseError, ValueError, KeyError, TypeError) as problem:
        raise OAuthError("invalid_client", f"The assertion: {problem}", 401) from None
