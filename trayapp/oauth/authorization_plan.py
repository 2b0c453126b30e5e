"""All that has to be known before a person is sent anywhere: which server, which client, which scopes, which resource.

What is configured counts; the rest is found out (`discovery.py`) or made (`registration.py`), and is kept, so that a
sign-in still works when the workload itself cannot be asked. Neither a start nor a refresh ever comes here.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from trayapp.core.model import Problem, Secret, Spec
from trayapp.oauth.callback import bind
from trayapp.oauth.client_store import ClientRecord, ClientRecords
from trayapp.oauth.discovery import DiscoveredServer, discover
from trayapp.oauth.metadata import METADATA_LIMIT, Endpoints, fetch_metadata, find_endpoints, read_metadata
from trayapp.oauth.registration import SECRET_METHODS, RegisteredClient, gone, no_registration, register
from trayapp.oauth.tokens import CodeGrant, HttpTokens
from trayapp.oauth.wire import Wire

log = logging.getLogger(__name__)

GROUND_LIMIT = 30.0  # s in all; a slow server that names slow servers must not hold a person up for minutes
ASK_LIMIT = 8.0  # s for the question whether a registration is still known
OWN_WORDS = ("metadata", "portal", "no_sign_in")  # problems that are the server's own, not the way to it
EXTRA_SCOPES = ("openid", "offline_access")  # who signed in, and a refresh token; asked for where the server knows them
CONSENT: Mapping[str, str] = {"prompt": "consent"}  # OpenID Connect Core section 11: wanted with offline_access

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class AuthorizationPlan:
    """A sign-in that can begin. `spec` holds the client, scopes and resource that are used."""

    spec: Spec
    endpoints: Endpoints
    client: RegisteredClient
    extras: Mapping[str, str] = field(default_factory=dict)  # of the authorization request


class Planner:
    """Finds and makes what a sign-in needs. `say` gets plain lines about what was found."""

    def __init__(
        self, wire: Wire, tokens: HttpTokens, clients: ClientRecords, *, limit: float = METADATA_LIMIT
    ) -> None:
        self._wire = wire
        self._tokens = tokens
        self.clients = clients
        self._limit = limit

    # --- the server --------------------------------------------------------------------------------------------------

    async def ground(self, spec: Spec, say: Say) -> AuthorizationPlan | Problem:
        """Server, scopes and resource; the client is only the configured one yet, or none."""
        try:
            async with asyncio.timeout(GROUND_LIMIT):
                return await self._ground(spec, say)
        except TimeoutError:
            host = urlsplit(spec.issuer or spec.url).hostname
            return Problem("timed_out", f"{host} took too long to say who signs people in. Please try again."[:200])

    async def _ground(self, spec: Spec, say: Say) -> AuthorizationPlan | Problem:
        if spec.issuer or spec.authorization_endpoint or spec.token_endpoint:
            endpoints = await find_endpoints(spec, self._wire, limit=self._limit)
            return (
                endpoints
                if isinstance(endpoints, Problem)
                else AuthorizationPlan(spec, endpoints, RegisteredClient(spec.client_id))
            )
        found = await discover(spec.url, self._wire, limit=self._limit)
        kept = await self.clients.load(spec.name)
        if isinstance(found, Problem):
            if kept.found is None or kept.url != spec.url or found.kind in OWN_WORDS:
                return found
            log.warning("%s: %s The server found earlier is used.", spec.name, found.summary)
            found = kept.found
        endpoints = await self._endpoints(spec, found)
        if isinstance(endpoints, Problem):
            return endpoints
        say(f"Found the authorization server {urlsplit(endpoints.issuer).netloc}.")
        if (kept.url, kept.found) != (spec.url, found):
            kept = await self.clients.load(spec.name)  # a secret may have been given in the meantime
            await self.clients.save(spec.name, replace(kept, url=spec.url, found=found))
        return self._planned(spec, found, endpoints)

    async def _endpoints(self, spec: Spec, found: DiscoveredServer) -> Endpoints | Problem:
        """Of the first server that can be used; otherwise why the last one cannot."""
        why = Problem("metadata", f"{urlsplit(spec.url).hostname} names no authorization server.")
        for issuer in found.issuers:
            document = await fetch_metadata(issuer, self._wire, limit=self._limit, least=found.least)
            if isinstance(document, Problem):
                why = document
                continue
            endpoints = read_metadata(spec, document, issuer, least=found.least, exact=False)
            if not isinstance(endpoints, Problem):
                return endpoints
            why = endpoints
        return why

    def _planned(self, spec: Spec, found: DiscoveredServer, endpoints: Endpoints) -> AuthorizationPlan:
        scopes, extras = spec.scopes, dict[str, str]()
        if not scopes:
            more = tuple(s for s in EXTRA_SCOPES if s in endpoints.scopes and s not in found.scopes)
            scopes = (*found.scopes, *more)
            extras = dict(CONSENT) if {"openid", "offline_access"} <= set(scopes) else {}
        used = replace(spec, scopes=scopes, resource=spec.resource or found.resource)
        return AuthorizationPlan(used, endpoints, RegisteredClient(spec.client_id), extras)

    # --- the client --------------------------------------------------------------------------------------------------

    async def client(
        self, plan: AuthorizationPlan, wall: float, say: Say, *, listen: bool
    ) -> tuple[AuthorizationPlan, socket.socket | None] | Problem:
        """The client to use and, with `listen`, the bound socket of its redirect, which the caller closes. Raises
        OSError for a fixed port that is taken."""
        spec, endpoints = plan.spec, plan.endpoints
        kept = await self.clients.load(spec.name, again=True)
        if spec.client_id:
            client = _by_hand(spec, endpoints, kept)
            if isinstance(client, Problem):
                return client
            if client.secret is not None and kept.secret_for != _owner(endpoints):
                await self.clients.save(spec.name, replace(kept, secret_for=_owner(endpoints)))
            return replace(plan, client=client), bind(spec.redirect_port) if listen else None
        if (found := await self._again(plan, kept, wall, say, listen)) is not None:
            return found
        if not endpoints.registration:
            return no_registration(endpoints)
        sock = bind(spec.redirect_port)
        try:
            made = await register(endpoints, spec.scopes, sock.getsockname()[1], self._wire)
            if not isinstance(made, Problem):
                say(f"Registered Amberlight at {urlsplit(endpoints.registration).netloc}.")
                await self.clients.save(spec.name, replace(await self.clients.load(spec.name), client=made))
        except BaseException:
            sock.close()
            raise
        if isinstance(made, Problem) or not listen:
            sock.close()
        if isinstance(made, Problem):
            return made
        return self._with(plan, made), sock if listen else None

    async def _again(
        self, plan: AuthorizationPlan, kept: ClientRecord, wall: float, say: Say, listen: bool
    ) -> tuple[AuthorizationPlan, socket.socket | None] | None:
        """The registration of the sign-in before, if it fits, its port is free and the server still knows it."""
        client, spec = kept.client, plan.spec
        if client is None or not client.fits(plan.endpoints, spec.scopes, wall):
            return None
        if spec.redirect_port not in (0, client.port()):
            return None
        try:
            sock = bind(client.port()) if listen else None
        except OSError:  # taken by another program: servers that compare the whole address want a new registration
            log.info("%s: port %d of its registration is taken; it is registered anew", spec.name, client.port())
            return None
        known = False
        try:
            known = await self._knows(plan.endpoints, client)
        finally:
            if sock is not None and not known:
                sock.close()
        if known:
            return self._with(plan, client), sock
        say(f"{urlsplit(plan.endpoints.token).netloc} no longer knows the registration of Amberlight.")
        return None

    async def _knows(self, endpoints: Endpoints, client: RegisteredClient) -> bool:
        """Otherwise the person would end up on the server's error page, of which nothing comes back here."""
        asked = CodeGrant(
            token_endpoint=endpoints.token,
            client_id=client.id,
            code=Secret(secrets.token_urlsafe(24)),
            verifier=Secret(secrets.token_urlsafe(48)),
            redirect_uri=client.redirect_uri,
            client_secret=client.secret,
            registration=client.registration(),
            least=endpoints.least,
        )
        return not gone(await self._tokens.exchange(asked, limit=ASK_LIMIT))

    @staticmethod
    def _with(plan: AuthorizationPlan, client: RegisteredClient) -> AuthorizationPlan:
        return replace(plan, client=client, spec=replace(plan.spec, client_id=client.id))


def _by_hand(spec: Spec, endpoints: Endpoints, kept: ClientRecord) -> RegisteredClient | Problem:
    """The configured client, with its secret if one was given: only for the server that it was first used with."""
    if kept.secret is None:
        return RegisteredClient(spec.client_id, issuer=endpoints.issuer)
    owner = _owner(endpoints)
    if kept.secret_for not in ("", owner):
        return Problem(
            "other_server",
            f"The client secret of {spec.name} belongs to {urlsplit(kept.secret_for).hostname}, and now "
            f"{urlsplit(owner).hostname} is named. If that is right: amberlight secret set {spec.name}"[:200],
        )
    offered = [method for method in SECRET_METHODS if method in endpoints.auth_methods]
    return RegisteredClient(spec.client_id, kept.secret, offered[0] if offered else "", endpoints.issuer)


def _owner(endpoints: Endpoints) -> str:
    return endpoints.issuer or endpoints.token
