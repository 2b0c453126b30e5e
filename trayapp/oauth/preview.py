"""What a sign-in would find, before anything is configured: the server, and whether it wants a client set up by hand.

Nothing is registered and nothing is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from trayapp.core.model import Problem, Spec
from trayapp.oauth.authorization_plan import Planner
from trayapp.oauth.client_store import ClientRecords
from trayapp.oauth.registration import SECRET_METHODS
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire


@dataclass(frozen=True, slots=True)
class ServerLook:
    """`host` signs people in. `registers` clients itself, or takes ours by its document; otherwise `secret` says whether one set up by hand needs a
    client secret: required, optional or none."""

    host: str
    registers: bool
    secret: str


async def look(spec: Spec, wire: Wire, tokens: HttpTokens) -> ServerLook | Problem:
    """Ask the workload for its authorization server, and that for its metadata."""
    plan = await Planner(wire, tokens, ClientRecords()).prepare_server(spec, lambda line: None)
    if isinstance(plan, Problem):
        return plan
    endpoints = plan.endpoints
    host = urlsplit(endpoints.issuer or endpoints.authorization or endpoints.token).hostname or ""
    by_itself = bool(endpoints.registration) or (endpoints.client_documents and bool(spec.client_metadata_url))
    return ServerLook(host, by_itself, _secret(endpoints.auth_methods))


def _secret(methods: tuple[str, ...]) -> str:
    """By the methods of the token endpoint (RFC 8414 section 2); many servers leave them out."""
    if "none" in methods:
        return "none" if not set(methods) & set(SECRET_METHODS) else "optional"
    return "required" if set(methods) & set(SECRET_METHODS) else "optional"
