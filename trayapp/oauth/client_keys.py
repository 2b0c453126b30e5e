"""Clients that prove themselves by a private key (`private_key_jwt`, RFC 7523) instead of a secret.

What a login stores about such a client says who the assertion is for and where the key is: in a file, or in the place of
the client's secret in the keyring. Each request gets an assertion of its own, made just before it is sent. A key that
can't be used is no verdict: nothing is sent, and the login stays.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from trayapp.core.model import Secret
from trayapp.core.outcomes import Fault

METHOD = "private_key_jwt"
READY = "client_assertion"  # the method of a grant whose `client_secret` is the finished assertion
SHOWN_MAX = 40  # characters of a name in a sentence; what is longer might pass for a token, and would be dropped


class Client(Protocol):
    """What `tokens.py` sends requests for."""

    @property
    def client_id(self) -> str: ...

    @property
    def client_secret(self) -> Secret | None: ...

    @property
    def registration(self) -> Secret | None: ...


ClientT = TypeVar("ClientT", bound=Client)


def is_key(secret: Secret | None) -> bool:
    """Whether this client secret is a private key (a JWK) and no password."""
    text = secret.reveal() if secret is not None else ""
    if not text.startswith("{"):
        return False
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and {"kty", "d"} <= fields.keys()


def facts_of(registration: Secret | None) -> Mapping[str, Any]:
    """What is stored about the client; empty if it makes no sense."""
    try:
        facts = json.loads(registration.reveal()) if registration is not None else {}
    except (ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


async def proven(client: ClientT, wall: Callable[[], float] = time.time) -> ClientT | Fault:
    """The same with an assertion for one request, if this client has a key; as it is otherwise."""
    if client.registration is None or METHOD not in client.registration.reveal():
        return client
    facts = facts_of(client.registration)
    if facts.get("token_endpoint_auth_method") != METHOD:
        return client
    file, audience = str(facts.get("key_file") or ""), str(facts.get("audience") or "")
    made = await asyncio.to_thread(_assertion, file, client.client_secret, client.client_id, audience, wall())
    if isinstance(made, Fault):
        return made
    changed: Any = replace(  # type: ignore[type-var]
        client, client_secret=Secret(made), registration=Secret(json.dumps({"token_endpoint_auth_method": READY}))
    )
    return changed  # type: ignore[no-any-return]


def _assertion(file: str, secret: Secret | None, client_id: str, audience: str, wall: float) -> str | Fault:
    from trayapp.oauth.signing import KeyUnusableError, client_assertion, read_key_file

    where = f"the client's key file {Path(file).name[:SHOWN_MAX]}" if file else "the client's key in the keyring"
    try:
        text = read_key_file(file) if file else secret.reveal() if secret is not None else ""
        return client_assertion(text, client_id, audience, wall)
    except KeyUnusableError as error:
        return Fault(False, "request", f"{where} {error}"[:160])
