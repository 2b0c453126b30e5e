"""From the address of a workload to who signs people in for it: challenge, resource metadata, authorization servers.

One request without a token, then the documents of RFC 9728. Everything that is found was named by somebody else: it must
speak of this very address, must be https (or this machine), and must not be nearer to us than the workload itself.
Nothing is decided about a login here, and nothing found here moves one: a stored login keeps its own endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from trayapp.core.classify import problem_of
from trayapp.core.messages import Answer, Fault
from trayapp.core.model import Problem
from trayapp.core.resources import covers, same_origin
from trayapp.oauth.address_class import PLACE_TEXTS, AddressClass, class_of_host
from trayapp.oauth.challenge import bearer_challenge
from trayapp.oauth.metadata import (
    METADATA_LIMIT,
    fetch_same_origin,
    is_web_page,
    json_object,
    metadata_problem,
    redirect_target,
    scope_tokens,
)
from trayapp.oauth.wire import Request, Wire, url_problem

SERVERS_MAX = 5  # authorization servers of one resource; more than one is rare
SHOWN_MAX = 80  # characters of an address in a sentence
PROTOCOL_VERSION = "2025-11-25"  # of the Model Context Protocol, as the first message has to name one

INITIALIZE = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": {},
            "clientInfo": {"name": "Amberlight", "version": "1"},
        },
    }
)
MCP_HEADERS: Mapping[str, str] = {
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
}


@dataclass(frozen=True, slots=True)
class DiscoveredServer:
    """What an address says of its own sign-in."""

    issuers: tuple[str, ...]  # in the server's order
    resource: str = ""  # RFC 8707: what tokens are asked for; empty where the server speaks no RFC 9728
    scopes: tuple[str, ...] = ()
    nearest_allowed: AddressClass = AddressClass.LOCAL  # how near its servers may be


@dataclass(slots=True)
class _Discovery:
    """One discovery under way."""

    url: str
    wire: Wire
    limit: float
    reached: AddressClass = AddressClass.PUBLIC
    requires_sign_in: bool = False  # it answered 401
    accepted_initialize: bool = (
        False  # it took a client's first message, so a page that it has for browsers says nothing
    )
    challenge: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    async def probe(self) -> Problem | None:
        """Without a token: first as an MCP client begins, then as a browser would. None unless nothing can be learnt."""
        for request in (
            Request("POST", self.url, MCP_HEADERS, INITIALIZE, head_only=True),
            Request("GET", self.url, {"Accept": MCP_HEADERS["Accept"]}, head_only=True),
        ):
            answer = await fetch_same_origin(request, self.wire, self.limit, on_reached=self._on_reached)
            if isinstance(answer, Fault):
                return problem_of(answer)
            if answer.status == 401:
                self.requires_sign_in = True
                self.challenge = bearer_challenge(answer.headers.get("www-authenticate", "")) or {}
                return None
            if not self.accepted_initialize and (problem := self._interception(answer)):
                return problem
            self.accepted_initialize = answer.status == 200
        return None

    def _on_reached(self, reached: AddressClass) -> None:
        self.reached = reached

    def _interception(self, answer: Answer) -> Problem | None:
        """Somebody else answered: a captive portal, a gateway's login page, a web site."""
        target = redirect_target(self.url, answer)
        if target and not same_origin(target, self.url):
            return Problem(
                "portal",
                f"{self.host} sends everybody on to {urlsplit(target).hostname}: a captive portal or a VPN's login? "
                "Open it in a browser and try again, or check the address."[:200],
            )
        if is_web_page(answer):
            return Problem(
                "portal",
                f"{self.host} answers with a web page: a captive portal, or not the address of an API. "
                "Open it in a browser and try again, or check the address."[:200],
            )
        return None

    async def fetch_metadata(self) -> Mapping[str, object] | Problem | None:
        """The document of RFC 9728 that speaks of this address; None where there is none."""
        named = self.challenge.get("resource_metadata", "")
        if named and (problem := self._unusable(named)):
            return metadata_problem(f"The metadata that {self.host} names {problem}.")
        for address in dict.fromkeys(filter(None, (named, *well_known(self.url)))):
            answer = await fetch_same_origin(
                Request("GET", address, nearest_allowed=self.reached), self.wire, self.limit
            )
            if isinstance(answer, Fault):
                return problem_of(answer)
            document = json_object(answer)
            if document is None:
                continue
            resource = document.get("resource")
            if isinstance(resource, str) and covers(resource, self.url) and not url_problem(resource):
                return document
            if address == named or address == well_known(self.url)[0]:
                return metadata_problem(
                    f"The metadata of {self.host} speaks of another resource{self._other_resource_hint(resource)}"
                )
        return None

    def _other_resource_hint(self, resource: object) -> str:
        """The end of that sentence: which one, and what to do. Servers often have several, below different paths."""
        if not isinstance(resource, str) or url_problem(resource) or len(resource) > SHOWN_MAX:
            return ": nothing was sent. Check the address."
        if same_origin(resource, self.url):
            return f" ({resource}): if you mean that one, use its address."
        return f" ({resource}): nothing was sent. Check the address."

    def _unusable(self, url: str) -> str:
        """Why an address that the server named is not asked, as the end of a sentence."""
        if problem := url_problem(url):
            return problem
        reached = class_of_host(urlsplit(url).hostname or "")
        return f"is {PLACE_TEXTS[reached]}" if reached < self.reached else ""

    def read_document(self, document: Mapping[str, object]) -> DiscoveredServer | Problem:
        """Who signs people in (RFC 9728 section 2)."""
        named = document.get("authorization_servers")
        servers = (
            tuple(server for server in named if isinstance(server, str))[:SERVERS_MAX]
            if isinstance(named, list)
            else ()
        )
        for server in servers:
            if problem := self._unusable(server) or ("must not have a query" if urlsplit(server).query else ""):
                return metadata_problem(f"The authorization server that {self.host} names {problem}.")
        scopes = scope_tokens(self.challenge.get("scope", "")) or scope_tokens(document.get("scopes_supported"))
        return DiscoveredServer(servers or self._own_origin(), str(document["resource"]), scopes, self.reached)

    def _own_origin(self) -> tuple[str, ...]:
        parts = urlsplit(self.url)
        return (f"{parts.scheme}://{parts.netloc}",)

    def legacy_server(self) -> DiscoveredServer:
        """Before RFC 9728 (MCP of 2025-03-26): the server signs people in itself, at its origin."""
        return DiscoveredServer(self._own_origin(), "", scope_tokens(self.challenge.get("scope", "")), self.reached)


async def discover(url: str, wire: Wire, *, limit: float = METADATA_LIMIT) -> DiscoveredServer | Problem:
    """Ask the address itself. `limit` (s) holds for each request; bodies are cut at 1 MiB."""
    discovery = _Discovery(url, wire, limit)
    if (problem := await discovery.probe()) is not None:
        return problem
    document = await discovery.fetch_metadata()
    if isinstance(document, Problem):
        return document
    if document is not None:
        return discovery.read_document(document)
    if not discovery.requires_sign_in:
        return Problem(
            "no_sign_in",
            f"{discovery.host} asks for no sign-in at this address. If it needs one all the same, set its issuer."[
                :200
            ],
        )
    return discovery.legacy_server()


def well_known(url: str) -> tuple[str, ...]:
    """Where the metadata of a resource stands: for its path, then for its whole origin (RFC 9728 section 3.1)."""
    parts = urlsplit(url)
    root = "/.well-known/oauth-protected-resource"
    addresses = (f"{root}{parts.path.rstrip('/')}", root)
    return tuple(dict.fromkeys(urlunsplit((parts.scheme, parts.netloc, path, "", "")) for path in addresses))
