"""Plan of a sign-in before anybody's browser opens: which server, which client, which scopes, which resource.

Configured values win. The rest is discovered (`discovery.py`) or registered (`registration.py`) and remembered, so that
a sign-in still works while the workload itself can't be reached. Neither a start nor a refresh ever uses this module.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from trayapp.core.model import ACCOUNT, Problem, Secret, Spec
from trayapp.core.permission import union
from trayapp.oauth.client_document import document_client, redirect_uri
from trayapp.oauth.client_keys import METHOD, is_key
from trayapp.oauth.client_store import ClientRecord, ClientRecords
from trayapp.oauth.discovery import DiscoveredServer, discover
from trayapp.oauth.dpop import ALGORITHM, new_key, thumbprint
from trayapp.oauth.flow import begin
from trayapp.oauth.grants import push_grant
from trayapp.oauth.known_client import names_unknown_client
from trayapp.oauth.loopback import LoopbackSockets, bind, bind_both
from trayapp.oauth.metadata import METADATA_LIMIT, Endpoints, fetch_metadata, find_endpoints, read_metadata
from trayapp.oauth.pushed import pushes
from trayapp.oauth.registration import (
    SECRET_METHODS,
    RegisteredClient,
    no_registration_problem,
    register,
)
from trayapp.oauth.tokens import CodeGrant, HttpTokens
from trayapp.oauth.wire import Request, Wire

log = logging.getLogger(__name__)

DISCOVERY_LIMIT = 30.0  # s in all: a slow server that names slow servers must not keep a person waiting for minutes
KNOWN_CLIENT_LIMIT = 8.0  # s to ask both endpoints whether a registration is still known
PAGE_HEADERS: Mapping[str, str] = {"Accept": "text/html, application/json;q=0.9, */*;q=0.8"}
# Kinds of problems that come from the server itself, not from the way to it.
SERVER_PROBLEMS = ("metadata", "portal", "no_sign_in")
LOGIN_SCOPES = ("openid", "offline_access")  # requested where the server knows them; the first if none are configured
CONSENT: Mapping[str, str] = {"prompt": "consent"}  # required with offline_access (OpenID Connect Core section 11)

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class AuthorizationPlan:
    """A sign-in that is ready to begin. `spec` holds the client, scopes and resource that will be used."""

    spec: Spec
    endpoints: Endpoints
    client: RegisteredClient
    extras: Mapping[str, str] = field(default_factory=dict)  # extra parameters of the authorization request
    proof_key: Secret | None = None  # a new key that its tokens will be bound to (RFC 9449)
    reused: bool = False  # its client was registered for an earlier sign-in


class Planner:
    """Discovers and registers what a sign-in needs. `report` receives one plain sentence per step for the person to
    read."""

    def __init__(
        self, wire: Wire, tokens: HttpTokens, clients: ClientRecords, *, limit: float = METADATA_LIMIT
    ) -> None:
        self._wire = wire
        self._tokens = tokens
        self.clients = clients
        self._limit = limit

    # --- the server --------------------------------------------------------------------------------------------------

    async def prepare_server(self, spec: Spec, report: Report) -> AuthorizationPlan | Problem:
        """The plan with server, scopes and resource; its client is the configured one, or still empty."""
        try:
            async with asyncio.timeout(DISCOVERY_LIMIT):
                return await with_key(await self._find_server(spec, report))
        except TimeoutError:
            host = urlsplit(spec.issuer or spec.url).hostname
            return Problem("timed_out", f"{host} took too long to name its sign-in server. Try again."[:200])

    async def _find_server(self, spec: Spec, report: Report) -> AuthorizationPlan | Problem:
        if spec.issuer or spec.authorization_endpoint or spec.token_endpoint or spec.kind == ACCOUNT:
            endpoints = await find_endpoints(spec, self._wire, limit=self._limit)
            return (
                endpoints if isinstance(endpoints, Problem) else _planned(spec, DiscoveredServer(()), endpoints, report)
            )
        discovered = await discover(spec.url, self._wire, limit=self._limit)
        record = await self.clients.load(spec.name)
        if isinstance(discovered, Problem) and spec.metadata_url and discovered.kind in SERVER_PROBLEMS:
            discovered = DiscoveredServer(())  # a person has said where its authorization server is
        if isinstance(discovered, Problem):
            if record.discovered is None or record.url != spec.url or discovered.kind in SERVER_PROBLEMS:
                return discovered
            log.warning("%s: %s Using the server found earlier.", spec.name, discovered.summary)
            discovered = record.discovered
        by_hand = find_endpoints(spec, self._wire, limit=self._limit) if spec.metadata_url else None
        endpoints = await (by_hand or self._endpoints(spec, discovered))
        if isinstance(endpoints, Problem):
            return endpoints
        report(f"Found the sign-in server: {urlsplit(endpoints.issuer or endpoints.token).netloc}.")
        if discovered.issuers and (record.url, record.discovered) != (spec.url, discovered):
            record = await self.clients.load(spec.name)  # a person may have entered a secret in the meantime
            await self.clients.save(spec.name, replace(record, url=spec.url, discovered=discovered))
        return _planned(spec, discovered, endpoints, report)

    async def _endpoints(self, spec: Spec, discovered: DiscoveredServer) -> Endpoints | Problem:
        """The endpoints of the first server that can be used, otherwise the problem of the last one."""
        problem = Problem("metadata", f"{urlsplit(spec.url).hostname} doesn't name a sign-in server.")
        for issuer in discovered.issuers:
            document = await fetch_metadata(
                issuer, self._wire, limit=self._limit, nearest_allowed=discovered.nearest_allowed
            )
            if isinstance(document, Problem):
                problem = document
                continue
            endpoints = read_metadata(
                spec, document, issuer, nearest_allowed=discovered.nearest_allowed, exact_issuer=False
            )
            if not isinstance(endpoints, Problem):
                return endpoints
            problem = endpoints
        return problem

    # --- the client --------------------------------------------------------------------------------------------------

    async def client(
        self, plan: AuthorizationPlan, wall: float, report: Report, *, listen: bool
    ) -> tuple[AuthorizationPlan, LoopbackSockets | None] | Problem:
        """The plan with its client and, with `listen`, the bound sockets of its redirect, which the caller closes.
        Raises OSError if a fixed port is taken."""
        spec, endpoints = plan.spec, plan.endpoints
        record = await self.clients.load(spec.name, retry_unreadable=True)
        if spec.client_id:
            client = _configured_client(spec, endpoints, record)
            if isinstance(client, Problem):
                return client
            if client.secret is not None and record.secret_for != _secret_owner(endpoints):
                await self.clients.save(spec.name, replace(record, secret_for=_secret_owner(endpoints)))
            return replace(plan, client=client), LoopbackSockets(bind(spec.redirect_port)) if listen else None
        document = await document_client(spec, endpoints, self._wire)
        if isinstance(document, RegisteredClient):
            return self._with_document(plan, document, report, listen)
        if isinstance(document, Problem):
            report(document.summary)
            if not endpoints.registration:
                return document
        if not record.doubted and (reused := await self._reuse(plan, record, wall, report, listen)) is not None:
            return reused
        if record.doubted:
            report("The last sign-in got no answer. Registering again.")
        registered = await self._register(plan, report, listen)
        if isinstance(registered, Problem) and record.doubted:  # it was doubted only, and there is no other
            return await self._reuse(plan, record, wall, report, listen) or registered
        return registered

    def _with_document(
        self, plan: AuthorizationPlan, client: RegisteredClient, report: Report, listen: bool
    ) -> tuple[AuthorizationPlan, LoopbackSockets | None]:
        """The plan with a client that is a document. Raises OSError if a fixed port is taken."""
        report(f"Using the client metadata document at {urlsplit(client.id).netloc}.")
        if not listen:
            return self._with_client(plan, client), None
        sockets = LoopbackSockets(bind(plan.spec.redirect_port))
        return self._with_client(plan, replace(client, redirect_uri=redirect_uri(sockets.port))), sockets

    async def _register(
        self, plan: AuthorizationPlan, report: Report, listen: bool
    ) -> tuple[AuthorizationPlan, LoopbackSockets | None] | Problem:
        """A new registration for a port that is free now. Raises OSError if a fixed port is taken."""
        spec, endpoints = plan.spec, plan.endpoints
        if not endpoints.registration:
            return no_registration_problem(endpoints)
        sockets = _bind_for_registration(spec.redirect_port)
        try:
            registered = await register(endpoints, spec.scopes, sockets.port, self._wire, localhost=sockets.localhost)
            if not isinstance(registered, Problem):
                report(f"Registered Amberlight at {urlsplit(endpoints.registration).netloc}.")
                await self.clients.replace_client(spec.name, registered)
        except BaseException:
            sockets.close()
            raise
        if isinstance(registered, Problem):
            sockets.close()
            return registered
        if not registered.on_localhost():
            sockets = sockets.only_ipv4()
        if not listen:
            sockets.close()
        return self._with_client(plan, registered), sockets if listen else None

    async def _reuse(
        self, plan: AuthorizationPlan, record: ClientRecord, wall: float, report: Report, listen: bool
    ) -> tuple[AuthorizationPlan, LoopbackSockets | None] | None:
        """The previous registration, if it fits, its port is free and the server still knows it."""
        client, spec = record.client, plan.spec
        if client is None or not client.fits(plan.endpoints, spec.scopes, wall):
            return None
        if spec.redirect_port not in (0, client.port()):
            return None
        try:
            sockets = _bind_for(client) if listen else None
        except OSError:  # Another program has the port; servers that compare the whole address need a new registration.
            log.info("%s: port %d of its registration is taken, registering again", spec.name, client.port())
            return None
        known = False
        try:
            known = await self._is_registered(plan, client, listen)
        finally:
            if sockets is not None and not known:
                sockets.close()
        if known:
            return replace(self._with_client(plan, client), reused=True), sockets
        report(f"{urlsplit(plan.endpoints.token).netloc} no longer knows Amberlight's registration.")
        return None

    async def _is_registered(self, plan: AuthorizationPlan, client: RegisteredClient, listen: bool) -> bool:
        """Whether the server still knows the client. An unknown client would leave the person on the server's error
        page, of which nothing comes back here (M16). Only an answer that names the client says no."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KNOWN_CLIENT_LIMIT):
                return not (
                    await self._token_endpoint_knows_not(plan.endpoints, client)
                    or (listen and await self._authorization_endpoint_knows_not(plan, client))
                )
        return True

    async def _token_endpoint_knows_not(self, endpoints: Endpoints, client: RegisteredClient) -> bool:
        """A server checks the client before the code (RFC 6749 section 5.2), so a known one is told `invalid_grant`."""
        grant = CodeGrant(
            token_endpoint=endpoints.token,
            client_id=client.id,
            code=Secret(secrets.token_urlsafe(24)),
            verifier=Secret(secrets.token_urlsafe(48)),
            redirect_uri=client.redirect_uri,
            client_secret=client.secret,
            registration=client.registration(),
            nearest_allowed=endpoints.nearest_allowed,
        )
        return names_unknown_client(await self._tokens.exchange(grant, limit=KNOWN_CLIENT_LIMIT))

    async def _authorization_endpoint_knows_not(self, plan: AuthorizationPlan, client: RegisteredClient) -> bool:
        """Ask for the page as a browser would, with a state and a PKCE pair of which nothing is kept. Where the server
        wants such requests pushed (RFC 9126), push it: any other one would be refused."""
        flow = begin(self._with_client(plan, client).spec, plan.endpoints, client.redirect_uri, plan.extras)
        if pushes(plan.endpoints, client):
            grant = push_grant(client, flow)
            return names_unknown_client(await self._tokens.push(grant, limit=KNOWN_CLIENT_LIMIT))
        page = Request("GET", flow.url, PAGE_HEADERS, nearest_allowed=plan.endpoints.nearest_allowed)
        return names_unknown_client(await self._wire.send(page, limit=KNOWN_CLIENT_LIMIT))

    @staticmethod
    def _with_client(plan: AuthorizationPlan, client: RegisteredClient) -> AuthorizationPlan:
        return replace(plan, client=client, spec=replace(plan.spec, client_id=client.id))


def _bind_for(client: RegisteredClient) -> LoopbackSockets:
    """The sockets of a registration's address. Raises OSError if one is taken."""
    return bind_both(client.port()) if client.on_localhost() else LoopbackSockets(bind(client.port()))


def _bind_for_registration(port: int) -> LoopbackSockets:
    """Sockets for either form of the address, because the server decides which one it takes. Where another program has
    a fixed port in IPv6, only the form with 127.0.0.1 is left. Raises OSError if the port is taken."""
    try:
        return bind_both(port)
    except OSError:
        return LoopbackSockets(bind(port), localhost=False)


def _planned(spec: Spec, discovered: DiscoveredServer, endpoints: Endpoints, report: Report) -> AuthorizationPlan:
    """The plan with scopes and resource. Configured scopes win, but without `offline_access` many servers give no refresh
    token; where they know it, it is asked for from the first sign-in on."""
    configured = spec.scopes or not discovered.issuers
    scopes = spec.scopes if configured else discovered.scopes
    if scopes or not configured:  # where nothing is asked for, the server chooses, and no single scope must change that
        more = LOGIN_SCOPES[1:] if configured else LOGIN_SCOPES
        scopes = union(scopes, tuple(scope for scope in more if scope in endpoints.scopes))
    extras: dict[str, str] = {}
    if (needs := spec.needs) is not None:
        scopes = union(scopes, needs.scopes)
        extras = {"acr_values": " ".join(needs.acr_values)} if needs.acr_values else {}  # RFC 9470 section 5
        extras |= {"max_age": str(needs.max_age)} if needs.max_age is not None else {}
        report(f"Asking {urlsplit(endpoints.authorization or endpoints.token).netloc} for: {', '.join(scopes)}.")
    advertised = not configured or "offline_access" in endpoints.scopes
    if advertised and {"openid", "offline_access"} <= set(scopes):
        extras |= CONSENT
    planned = replace(spec, scopes=scopes, resource="" if spec.omit_resource else spec.resource or discovered.resource)
    planned = replace(planned, dpop=spec.dpop or discovered.dpop)
    return AuthorizationPlan(planned, endpoints, RegisteredClient(spec.client_id), extras)


async def with_key(plan: AuthorizationPlan | Problem) -> AuthorizationPlan | Problem:
    """The plan with a new key, if tokens have to be bound to one. The code is bound to it as well (RFC 9449 section 10)."""
    if isinstance(plan, Problem) or not plan.spec.dpop:
        return plan
    if plan.endpoints.proof_algorithms and ALGORITHM not in plan.endpoints.proof_algorithms:
        host = urlsplit(plan.endpoints.issuer or plan.endpoints.token).hostname
        return Problem(
            "metadata",
            f"{host} doesn't accept DPoP proofs signed with {ALGORITHM}, the only ones that Amberlight makes."[:200],
        )
    key = await asyncio.to_thread(new_key)
    return replace(plan, proof_key=key, extras={**plan.extras, "dpop_jkt": await asyncio.to_thread(thumbprint, key)})


def _configured_client(spec: Spec, endpoints: Endpoints, record: ClientRecord) -> RegisteredClient | Problem:
    """The configured client with the secret that a person entered for it, if any. A secret is used only with the server
    that it was first used with (SECURITY.md 12)."""
    if spec.client_key_file:
        return RegisteredClient(
            spec.client_id, method=METHOD, issuer=_secret_owner(endpoints), key_file=spec.client_key_file
        )
    if record.secret is None:
        return RegisteredClient(spec.client_id, issuer=endpoints.issuer)
    owner = _secret_owner(endpoints)
    if record.secret_for not in ("", owner):
        return Problem(
            "other_server",
            f"The client secret of {spec.name} belongs to {urlsplit(record.secret_for).hostname}, but the sign-in "
            f"server is now {urlsplit(owner).hostname}. If that's right, run `amberlight secret set {spec.name}`."[
                :200
            ],
        )
    if is_key(record.secret):
        return RegisteredClient(spec.client_id, record.secret, METHOD, owner)
    offered = [method for method in SECRET_METHODS if method in endpoints.auth_methods]
    return RegisteredClient(spec.client_id, record.secret, offered[0] if offered else "", endpoints.issuer)


def _secret_owner(endpoints: Endpoints) -> str:
    return endpoints.issuer or endpoints.token
