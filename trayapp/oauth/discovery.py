"""Discovery of a workload's authorization servers: challenge, then protected resource metadata (RFC 9728).

It takes one request without a token, then the documents. Whatever is found was named by somebody else: it must speak of
this very address, must be https (or this machine), and must not be nearer to us than the workload itself (SECURITY.md
8). Nothing about a login is decided here, and nothing found here moves one: a stored login keeps its own endpoints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit, urlunsplit

from trayapp.core.classify import problem_of
from trayapp.core.model import Problem
from trayapp.core.outcomes import Answer, Fault
from trayapp.core.resources import covers, origin, same_origin
from trayapp.oauth.address_class import PLACE_TEXTS, AddressClass, class_of_host
from trayapp.oauth.challenge import bearer_challenges
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
WELL_KNOWN = "/.well-known/oauth-protected-resource"
PATH_MAX = 30  # characters of a path in a sentence
NAMED_MAX = 3  # addresses that challenges name; more than one is rare
SHOWN_MAX = 80  # characters of an address in a sentence
PROTOCOL_VERSION = "2025-11-25"  # of the Model Context Protocol; the first message has to name one

SUMMARY_MAX = 200  # characters; the promise of `Problem`

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
CHECK_ADDRESS = "Check the URL."
OPEN_IT = "Open it in a browser and try again, or check the URL."


@dataclass(frozen=True, slots=True)
class DiscoveredServer:
    """What a workload's address says about how to sign in to it."""

    issuers: tuple[str, ...]  # in the server's order
    resource: str = ""  # RFC 8707 parameter; empty if the server doesn't implement RFC 9728
    scopes: tuple[str, ...] = ()
    nearest_allowed: AddressClass = AddressClass.LOCAL  # its servers may be no nearer than this
    dpop: bool = False  # its tokens have to be bound to a key (RFC 9728, RFC 9449)


@dataclass(slots=True)
class _Discovery:
    """One discovery in progress."""

    url: str
    wire: Wire
    limit: float
    reached: AddressClass = AddressClass.PUBLIC
    requires_sign_in: bool = False  # it answered with 401
    # It accepted an `initialize` request, so a web page that it shows to browsers is no sign of a captive portal.
    accepted_initialize: bool = False
    challenges: tuple[Mapping[str, str], ...] = ()  # of its 401

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    async def probe(self) -> Problem | None:
        """Request the address without a token: first as an MCP client does, then as a browser would. Returns a problem
        only if nothing can be learnt."""
        for request in (
            Request("POST", self.url, MCP_HEADERS, INITIALIZE, head_only=True),
            Request("GET", self.url, {"Accept": MCP_HEADERS["Accept"]}, head_only=True),
        ):
            answer = await fetch_same_origin(request, self.wire, self.limit, on_reached=self._on_reached)
            if isinstance(answer, Fault):
                return problem_of(answer, self.host or "the server")
            if answer.status == 401:
                self.requires_sign_in = True
                self.challenges = bearer_challenges(answer.headers.get("www-authenticate", ""))
                return None
            if not self.accepted_initialize and (problem := self._interception(answer)):
                return problem
            self.accepted_initialize = answer.status == 200
        return None

    def _on_reached(self, reached: AddressClass) -> None:
        self.reached = reached

    def _interception(self, answer: Answer) -> Problem | None:
        """The problem if somebody else answered: a captive portal, a gateway's login page, a web site. None otherwise."""
        target = redirect_target(self.url, answer)
        if target and not same_origin(target, self.url):
            return Problem(
                "portal",
                f"{self.host} redirects to {urlsplit(target).hostname}, perhaps for a Wi-Fi or VPN sign-in. {OPEN_IT}"[
                    :200
                ],
            )
        if is_web_page(answer):
            return Problem(
                "portal",
                f"{self.host} returned a web page, perhaps from a Wi-Fi sign-in page or a website. {OPEN_IT}"[:200],
            )
        return None

    async def fetch_metadata(self) -> Mapping[str, object] | Problem | None:
        """The protected resource metadata that speaks of this address, from the first place that has it: those that the
        challenges name, then the well-known ones (RFC 9728 section 3.1). None if no place has any."""
        tried: list[str] = []  # why a place was of no use, as parts of a sentence
        misleading = False  # a place said something that must not be followed, so "there is none" would be wrong
        other: object = None  # the resource that another document speaks of
        first_fault: Fault | None = None
        silent: set[object] = set()  # origins that gave no answer: the next place there wouldn't either
        for words, named in self._places():
            address = self._resolved(named)
            if reason := self._unusable(address):
                tried.append(f"{words} {reason}")
                misleading = True
                continue
            if origin(address) in silent:
                continue
            answer = await fetch_same_origin(
                Request("GET", address, nearest_allowed=self.reached), self.wire, self.limit
            )
            if isinstance(answer, Fault):
                first_fault = first_fault or answer
                silent.add(origin(address))
                tried.append(f"{words} didn't answer")
                continue
            document = json_object(answer)
            if document is None:
                tried.append(f"{words} has none (HTTP {answer.status})")
                continue
            resource = document.get("resource")
            if isinstance(resource, str) and covers(resource, self.url) and not url_problem(resource):
                return document
            tried.append(f"{words} is for a different resource")
            if address != well_known(self.url)[-1] or len(well_known(self.url)) == 1:  # at the root it may be anybody's
                misleading, other = True, other or resource
        if misleading:
            return _tried_problem(self.host, tried, self._other_resource_hint(other))
        return None if first_fault is None else problem_of(first_fault, self.host or "the server")

    def _places(self) -> tuple[tuple[str, str], ...]:
        """Where the metadata may be, in order, each place with its name in a sentence."""
        named = dict.fromkeys(filter(None, (each.get("resource_metadata", "") for each in self.challenges)))
        words = (("the URL it names", "another URL it names")[min(number, 1)] for number in range(NAMED_MAX))
        places = {address: text for text, address in zip(words, named, strict=False)}
        for address in well_known(self.url):
            path = urlsplit(address).path.removeprefix(WELL_KNOWN) or "/"
            places.setdefault(
                address, f"the well-known URL for {path if len(path) <= PATH_MAX else path[:PATH_MAX] + '…'}"
            )
        return tuple((text, address) for address, text in places.items())

    def _resolved(self, named: str) -> str:
        """An address as the server means it: relative to the workload, and https where a server behind a TLS proxy,
        which sees plain http, names its own host."""
        try:
            address = urljoin(self.url, named)
            here, there = urlsplit(self.url), urlsplit(address)
            if (here.scheme, there.scheme) == ("https", "http") and here.hostname == there.hostname:
                return urlunsplit((here.scheme, here.netloc, there.path, there.query, there.fragment))
        except ValueError:
            return named
        return address

    def _other_resource_hint(self, resource: object) -> str:
        """The sentence after metadata of another resource: which one, and what to do. Servers often have several
        resources below different paths."""
        if not isinstance(resource, str) or url_problem(resource) or len(resource) > SHOWN_MAX:
            return CHECK_ADDRESS
        if same_origin(resource, self.url):
            return f"If you mean {resource}, use that URL."
        return f"It's for {resource}. {CHECK_ADDRESS}"

    def _unusable(self, url: str) -> str:
        """Why an address that the server named isn't requested, as the end of a sentence; empty if it may be."""
        if problem := url_problem(url):
            return problem
        reached = class_of_host(urlsplit(url).hostname or "")
        return f"is {PLACE_TEXTS[reached]}" if reached < self.reached else ""

    def read_document(self, document: Mapping[str, object]) -> DiscoveredServer | Problem:
        """The authorization servers that the metadata names (RFC 9728 section 2)."""
        named = document.get("authorization_servers")
        servers = (
            tuple(server for server in named if isinstance(server, str))[:SERVERS_MAX]
            if isinstance(named, list)
            else ()
        )
        for server in servers:
            if problem := self._unusable(server) or ("can't have a query" if urlsplit(server).query else ""):
                return metadata_problem(f"{self.host} names a sign-in server whose URL {problem}.")
        scopes = self._challenged_scopes() or scope_tokens(document.get("scopes_supported"))
        dpop = document.get("dpop_bound_access_tokens_required") is True
        return DiscoveredServer(servers or self._own_origin(), str(document["resource"]), scopes, self.reached, dpop)

    def _challenged_scopes(self) -> tuple[str, ...]:
        """The scopes of the first challenge that names any."""
        return next(filter(None, (scope_tokens(each.get("scope", "")) for each in self.challenges)), ())

    def _own_origin(self) -> tuple[str, ...]:
        parts = urlsplit(self.url)
        return (f"{parts.scheme}://{parts.netloc}",)

    def legacy_server(self) -> DiscoveredServer:
        """The server's own origin, where servers of the MCP revision 2025-03-26, before RFC 9728, sign people in."""
        return DiscoveredServer(self._own_origin(), "", self._challenged_scopes(), self.reached)


async def discover(url: str, wire: Wire, *, limit: float = METADATA_LIMIT) -> DiscoveredServer | Problem:
    """Ask the workload's own address. `limit` (s) holds for each request; bodies are cut at 1 MiB."""
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
            f"{discovery.host} doesn't ask for a sign-in at this URL. If it needs one, set its issuer."[:200],
        )
    return discovery.legacy_server()


def _tried_problem(host: str, tried: list[str], hint: str) -> Problem:
    """The problem that lists what was tried, as far as a sentence has room for it."""
    begin = f"{host[:SHOWN_MAX]} has no usable metadata"
    for shown in range(len(tried), 0, -1):
        places = "; ".join((*tried[:shown], *(("…",) if shown < len(tried) else ())))
        if len(summary := f"{begin}: {places}. {hint}".replace("…. ", "… ")) <= SUMMARY_MAX:
            return metadata_problem(summary)
    return metadata_problem(f"{begin}. {hint}")


def well_known(url: str) -> tuple[str, ...]:
    """The well-known metadata addresses of a resource: for its path, then for its whole origin (RFC 9728 section 3.1)."""
    parts = urlsplit(url)
    addresses = (f"{WELL_KNOWN}{parts.path.rstrip('/')}", WELL_KNOWN)
    return tuple(dict.fromkeys(urlunsplit((parts.scheme, parts.netloc, path, "", "")) for path in addresses))
