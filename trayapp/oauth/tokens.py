"""Token endpoint client: authlib builds the request, `wire.py` sends it, and the raw answer goes to the classifier.

authlib never sees an answer. It would take a 403 `{"message": …}` for a token, overwrite a refresh token with an empty
one, and lose status and `Retry-After` on the way. A refresh token only ever goes to `login.token_endpoint`, or where that
endpoint moved within its own folder (`redirects.py`).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, quote_plus, urlencode

from authlib.oauth2.client import OAuth2Client

from trayapp.core.model import Login, Secret
from trayapp.core.outcomes import Answer, Fault, Reply
from trayapp.core.quirks import accepts_resource, own_scope, refresh_resource, refresh_scope, secret_in_body
from trayapp.oauth.address_class import AddressClass
from trayapp.oauth.client_keys import READY, facts_of, proven
from trayapp.oauth.dpop import HEADER, NONCE, BadKeyError, Prover, wants_nonce
from trayapp.oauth.faults import UNSENDABLE
from trayapp.oauth.redirects import send_with_redirect
from trayapp.oauth.wire import CONNECT_LIMIT, Request, Wire

REVOKE_LIMIT = 10.0  # s; a removal shouldn't keep a person waiting
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
FORM = "application/x-www-form-urlencoded;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """An authorization code and everything that proves that it is ours."""

    token_endpoint: str
    client_id: str
    code: Secret
    verifier: Secret  # RFC 7636
    redirect_uri: str
    resource: str = ""  # RFC 8707
    client_secret: Secret | None = None
    registration: Secret | None = None
    proof_key: Secret | None = None  # its tokens will be bound to it (RFC 9449)
    nearest_allowed: AddressClass = AddressClass.LOCAL  # if a server named the endpoint


@dataclass(frozen=True, slots=True)
class DeviceGrant:
    """The client, endpoints and scope of a device authorization (RFC 8628)."""

    endpoint: str  # device authorization endpoint
    token_endpoint: str
    client_id: str
    scope: str = ""
    resource: str = ""  # RFC 8707
    audience: str = ""  # Auth0's parameter instead of `resource`
    client_secret: Secret | None = None
    registration: Secret | None = None
    proof_key: Secret | None = None  # its tokens will be bound to it (RFC 9449)
    nearest_allowed: AddressClass = AddressClass.LOCAL  # if a server named the endpoints


def kept_secrets(grant: CodeGrant | DeviceGrant) -> dict[str, Secret | None]:
    """What a login keeps of the grant that it began with."""
    return {"client_secret": grant.client_secret, "registration": grant.registration, "proof_key": grant.proof_key}


@dataclass(frozen=True, slots=True)
class PushGrant:
    """An authorization request to push (RFC 9126 section 2.1). `parameters` is a query, without the client's id."""

    endpoint: str
    token_endpoint: str
    client_id: str
    parameters: str = field(repr=False)
    client_secret: Secret | None = None
    registration: Secret | None = None
    nearest_allowed: AddressClass = AddressClass.LOCAL  # if a server named the endpoints


Grant: TypeAlias = Login | CodeGrant | DeviceGrant | PushGrant


class RequestBuilder(OAuth2Client):  # type: ignore[misc]  # authlib has no types
    """authlib's client core without a transport: what it would post is returned as a `Request`.

    It overrides methods that are private by name; authlib is pinned, and a test compares its requests byte for byte.
    """

    def _http_post(self, url: str, body: str = "", auth: Any = None, headers: Any = None, **_: Any) -> Request:
        url, headers, body = auth.prepare("POST", url, headers, body)
        return Request("POST", url, headers, body)

    def authenticated(self, url: str, body: str, headers: Mapping[str, str]) -> Request:
        """A request to another endpoint for clients, authenticated like token requests (RFC 8628 section 3.1, RFC 9126
        section 2)."""
        return self._http_post(url, body, self.client_auth(self.token_endpoint_auth_method), headers)

    def _refresh_token(self, url: str, refresh_token: str = "", **kwargs: Any) -> Request:
        return self._http_post(url, **kwargs)

    def _fetch_token(self, url: str, method: str = "POST", **kwargs: Any) -> Request:
        return self._http_post(url, **kwargs)


class HttpTokens:
    """Sends refresh, code, device, pushed and revocation requests, each exactly once."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._prover = Prover()
        self._followed: dict[str, str] = {}  # token endpoint → where its latest redirect was followed to

    async def refresh(self, login: Login, *, limit: float, connect: float, in_doubt: bool = False) -> Reply:
        """Refresh (RFC 6749 section 6): token, client, the resource if the login has one, and the scope where needed.

        `in_doubt`: the token may be spent (M9), so it goes to its own endpoint, and where this run has followed its redirect
        to before: the answer was lost there.
        """
        request = await _proven_request(refresh_request, login)
        if isinstance(request, Fault):
            return request
        clock = asyncio.get_running_loop().time
        began = clock()

        def may_follow(target: str) -> bool:
            if in_doubt and self._followed.get(login.token_endpoint) != target:
                return False
            self._followed[login.token_endpoint] = target
            return True

        send = partial(self._bound, login.proof_key, may_follow=may_follow)
        reply = await send(replace(request, repeatable=True), limit=limit, connect=connect)
        own, left = _asked_for_itself(login, reply), limit - (clock() - began)
        if not own or left <= 0:
            return reply
        again = await _proven_request(lambda one: refresh_request(one, own), login)
        return (
            reply
            if isinstance(again, Fault)
            else await send(replace(again, repeatable=True), limit=left, connect=connect)
        )

    async def exchange(self, code: CodeGrant, *, limit: float = 30.0, connect: float = CONNECT_LIMIT) -> Reply:
        """Redeem an authorization code (RFC 6749 section 4.1.3 with RFC 7636 section 4.5)."""
        request = await _proven_request(exchange_request, code)
        if isinstance(request, Fault):
            return request
        request = replace(request, nearest_allowed=code.nearest_allowed)
        return await self._bound(code.proof_key, request, limit=limit, connect=connect)

    async def device_code(self, grant: DeviceGrant, *, limit: float, connect: float = CONNECT_LIMIT) -> Reply:
        """Request a device code (RFC 8628 section 3.1)."""
        request = await _proven_request(device_request, grant)
        if isinstance(request, Fault):
            return request
        return await self._wire.send(
            replace(request, nearest_allowed=grant.nearest_allowed), limit=limit, connect=connect
        )

    async def poll(self, grant: DeviceGrant, code: Secret, *, limit: float, connect: float = CONNECT_LIMIT) -> Reply:
        """Poll for the tokens of a device code (RFC 8628 section 3.4)."""
        request = await _proven_request(lambda grant: poll_request(grant, code), grant)
        if isinstance(request, Fault):
            return request
        request = replace(request, nearest_allowed=grant.nearest_allowed)
        return await self._bound(grant.proof_key, request, limit=limit, connect=connect)

    async def push(self, grant: PushGrant, *, limit: float, connect: float = CONNECT_LIMIT) -> Reply:
        """Push an authorization request (RFC 9126 section 2.1)."""
        request = await _proven_request(push_request, grant)
        if isinstance(request, Fault):
            return request
        return await send_with_redirect(
            self._wire, replace(request, nearest_allowed=grant.nearest_allowed), limit=limit, connect=connect
        )

    async def _bound(
        self,
        key: Secret | None,
        request: Request,
        *,
        limit: float,
        connect: float,
        may_follow: Callable[[str], bool] = lambda target: True,
    ) -> Reply:
        """Send a token request, with a proof of possession if its tokens are bound to `key`. If the server asks for its
        nonce, the request is sent once more: it has done nothing with it (RFC 9449 section 8)."""
        send = partial(send_with_redirect, self._wire, connect=connect, may_follow=may_follow)
        if key is None:
            return await send(request, limit=limit)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            await self._prover.ready()
            signed = partial(self._signed, key)
            reply = await send(signed(request), limit=limit, retarget=signed)
            nonce = self._prover.noted(
                key, request.url, reply.headers.get(NONCE) if isinstance(reply, Answer) else None
            )
            left = limit - (clock() - began)
            if not (nonce and wants_nonce(reply)) or left <= 0:
                return reply
            reply = await send(signed(request), limit=left, retarget=signed)
            self._prover.noted(key, request.url, reply.headers.get(NONCE) if isinstance(reply, Answer) else None)
        except BadKeyError:
            return Fault(False, "request", "the key of this login can't be used")
        return reply

    def _signed(self, key: Secret, request: Request) -> Request:
        return replace(
            request, headers={**request.headers, HEADER: self._prover.proof(key, request.method, request.url)}
        )

    async def revoke(self, login: Login, *, limit: float = REVOKE_LIMIT) -> bool:
        """Revoke the login (RFC 7009), by its refresh token if it has one: whether the server confirmed it."""
        if not login.revocation_endpoint:
            return False
        request = await _proven_request(revoke_request, login)
        if isinstance(request, Fault):
            return False
        answer = await self._wire.send(request, limit=limit)
        return isinstance(answer, Answer) and answer.status == 200


def _asked_for_itself(login: Login, reply: Reply) -> str:
    """The scope to ask with once more, if Entra wants an app that asks for itself to say so by its GUID (AADSTS90009)."""
    if not isinstance(reply, Answer) or reply.status != 400:
        return ""
    scope = refresh_scope(login.token_endpoint, login.scope, login.client_id)
    return own_scope(login.token_endpoint, scope, login.client_id, reply.body) if scope else ""


def refresh_request(login: Login, scope: str = "") -> Request:
    """The request of RFC 6749 section 6. Only servers that need it are told the scope, and never more than was granted."""
    endpoint, client = login.token_endpoint, login.client_id
    scope = scope or refresh_scope(endpoint, login.scope, client)
    resource = refresh_resource(endpoint, login.resource, client)
    request: Request = _builder(login).refresh_token(
        endpoint,
        refresh_token=login.refresh_token.reveal(),
        headers=_headers(),
        **_resource(replace(login, resource=resource)),
        **({"scope": scope} if scope else {}),
    )
    return request


def exchange_request(code: CodeGrant) -> Request:
    """The request of RFC 6749 section 4.1.3."""
    request: Request = _builder(code).fetch_token(
        code.token_endpoint,
        grant_type="authorization_code",
        code=code.code.reveal(),
        redirect_uri=code.redirect_uri,
        code_verifier=code.verifier.reveal(),
        headers=_headers(),
        **_resource(code),
    )
    return request


def device_request(grant: DeviceGrant) -> Request:
    """The request of RFC 8628 section 3.1."""
    fields = {"scope": grant.scope, "audience": grant.audience} | _resource(grant)
    body = urlencode({name: value for name, value in fields.items() if value})
    return _builder(grant).authenticated(grant.endpoint, body, _headers())


def push_request(grant: PushGrant) -> Request:
    """The request of RFC 9126 section 2.1. The client's id is in the form however the client authenticates: it is part of
    every authorization request."""
    request = _builder(grant).authenticated(grant.endpoint, grant.parameters, _headers())
    if "client_id" in dict(parse_qsl(request.body)):
        return request
    return replace(request, body=f"{request.body}&{urlencode({'client_id': grant.client_id})}")


def poll_request(grant: DeviceGrant, code: Secret) -> Request:
    """The request of RFC 8628 section 3.4."""
    request: Request = _builder(grant).fetch_token(
        grant.token_endpoint,
        grant_type="urn:ietf:params:oauth:grant-type:device_code",
        device_code=code.reveal(),
        headers=_headers(),
        **_resource(grant),
    )
    return request


def revoke_request(login: Login) -> Request:
    """The request of RFC 7009 section 2.1, for the refresh token or, without one, the access token."""
    token, kind = login.refresh_token, "refresh_token"
    if not login.renewable and login.access_token is not None:
        token, kind = login.access_token, "access_token"
    request: Request = _builder(login).revoke_token(
        login.revocation_endpoint,
        token=token.reveal(),
        token_type_hint=kind,
        headers=_headers(),
    )
    return request


async def _proven_request(make: Any, grant: Grant) -> Request | Fault:
    """The request, for a client with a private key with an assertion of its own (RFC 7523)."""
    ready = await proven(grant)
    return ready if isinstance(ready, Fault) else _build(make, ready)


def _build(make: Any, what: Grant) -> Request | Fault:
    """The request, or a fault if it holds a value that no form can carry (a lone surrogate from a damaged store)."""
    try:
        request: Request = make(what)
    except ValueError:
        return Fault(False, "request", UNSENDABLE)
    return request


def _headers() -> dict[str, str]:
    """Fresh headers for each request: authlib signs its own module-wide default in place, so one client's secret would
    reach the next."""
    return {"Accept": "application/json", "Content-Type": FORM}


def _resource(grant: Login | CodeGrant | DeviceGrant) -> dict[str, str]:
    return {"resource": grant.resource} if grant.resource and accepts_resource(grant.token_endpoint) else {}


def _builder(grant: Grant) -> RequestBuilder:
    method = _auth_method(grant.client_secret, grant.registration, grant.token_endpoint)
    builder = RequestBuilder(
        session=None,
        client_id=grant.client_id,
        client_secret=grant.client_secret.reveal() if grant.client_secret else None,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
    )
    builder.register_client_auth_method(("client_secret_basic", _basic))
    builder.register_client_auth_method((READY, _assertion))
    return builder


def _auth_method(secret: Secret | None, registration: Secret | None, token_endpoint: str) -> str:
    """How the client authenticates: as registered (RFC 7591 section 2), otherwise by Basic, which every server must
    support; a few providers only take a secret in the body."""
    if not secret:
        return "none"
    method = facts_of(registration).get("token_endpoint_auth_method")
    default = "client_secret_post" if secret_in_body(token_endpoint) else "client_secret_basic"
    return method if method in ("client_secret_basic", "client_secret_post", "none", READY) else default


def _assertion(
    client: Any, method: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """RFC 7523 section 2.2. The client's id is sent, too: servers without it have to look into the assertion."""
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": client.client_secret}
    fields = proof if "client_id" in dict(parse_qsl(body)) else {"client_id": client.client_id, **proof}
    return uri, headers, "&".join(filter(None, (body, urlencode(fields))))


def _basic(client: Any, method: str, uri: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """HTTP Basic with both parts form-encoded (RFC 6749 section 2.3.1). authlib leaves that out, which breaks on `%`
    and `:`."""
    credentials = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = "Basic " + base64.b64encode(credentials.encode("ascii")).decode("ascii")
    return uri, headers, body
