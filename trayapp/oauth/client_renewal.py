"""Renewal of a client whose secret ends soon (RFC 7592): read the registration, then write it back.

Either answer may bring another secret, expiry, management address or token, and the earlier ones may end with it. So
what an answer brings is stored before it is used for anything (SECURITY.md 14).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from trayapp.core.model import Secret
from trayapp.core.outcomes import Answer
from trayapp.core.resources import same_origin
from trayapp.oauth.registration import CLIENT_NAME, JSON_HEADERS, VISIBLE, RegisteredClient
from trayapp.oauth.wire import Request, Wire, url_problem

log = logging.getLogger(__name__)

RENEW_AHEAD = 7 * 86400.0  # s before a secret's end: time for a person who has to sign in, too
RENEW_LIMIT = 15.0  # s for each request
# Members that are the server's alone (RFC 7592 section 2.2).
NOT_SENT = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")

Save = Callable[[RegisteredClient], Awaitable[None]]


def ends_soon(client: RegisteredClient, wall: float) -> bool:
    """Whether its secret ends within a week, or has ended."""
    return client.secret is not None and 0 < client.secret_ends < wall + RENEW_AHEAD


async def renew(client: RegisteredClient, wall: float, wire: Wire, save: Save) -> RegisteredClient:
    """The client with what the server says about it now; as it was where the server offers no management.

    `save` stores it after each answer that changed anything.
    """
    answer = await _ask("GET", client, wire)
    document = _document(answer)
    if document is not None:
        client = await _taken(client, document, save)
        if not ends_soon(client, wall):
            return client
    elif answer is None or answer.status in (401, 403):  # nothing to manage, or not by us any more (section 2.1)
        return client
    written = _document(await _ask("PUT", client, wire, _to_write(client, document)))
    return client if written is None else await _taken(client, written, save)


async def _ask(
    method: str, client: RegisteredClient, wire: Wire, body: Mapping[str, Any] | None = None
) -> Answer | None:
    if not client.manage_uri or client.manage_token is None:
        return None
    headers = {**JSON_HEADERS, "Authorization": f"Bearer {client.manage_token.reveal()}"}
    text = "" if body is None else json.dumps(body)
    reply = await wire.send(Request(method, client.manage_uri, headers, text), limit=RENEW_LIMIT)
    if isinstance(reply, Answer):
        return reply
    log.info("the registration at %s could not be renewed now", urlsplit(client.manage_uri).hostname)
    return None


def _document(answer: Answer | None) -> Mapping[str, Any] | None:
    if answer is None or answer.status != 200:
        return None
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _to_write(client: RegisteredClient, document: Mapping[str, Any] | None) -> dict[str, Any]:
    """The whole registration: what is left out, a server may delete."""
    if document is None:
        document = {
            "client_name": CLIENT_NAME,
            "redirect_uris": [client.redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": client.method,
            **({"scope": " ".join(client.scopes)} if client.scopes else {}),
        }
    body = {name: value for name, value in document.items() if name not in NOT_SENT}
    secret = {} if client.secret is None else {"client_secret": client.secret.reveal()}
    return {**body, "client_id": client.id, **secret}


async def _taken(client: RegisteredClient, document: Mapping[str, Any], save: Save) -> RegisteredClient:
    """The client with what the document brings, stored. A document of another client brings nothing."""
    if document.get("client_id") != client.id:
        return client
    taken, secret, expires = client, document.get("client_secret"), document.get("client_secret_expires_at")
    if client.secret is not None and isinstance(secret, str) and VISIBLE.fullmatch(secret):
        taken = replace(taken, secret=Secret(secret))
    if isinstance(expires, int | float) and 0 <= expires < 1e12:
        taken = replace(taken, secret_ends=float(expires))
    token = document.get("registration_access_token")
    if isinstance(token, str) and VISIBLE.fullmatch(token):
        taken = replace(taken, manage_token=Secret(token))
    uri = document.get("registration_client_uri")  # it gets the token, so it stays where it was
    if isinstance(uri, str) and not url_problem(uri) and same_origin(uri, client.manage_uri):
        taken = replace(taken, manage_uri=uri)
    if taken != client:
        await save(taken)
    return taken
