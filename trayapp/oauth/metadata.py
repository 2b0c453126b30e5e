"""Where an authorization server does what, by its own word (RFC 8414, OpenID Connect Discovery).

The document must come over https (or from this machine), without a redirect, and must name exactly the issuer that was
asked for: otherwise anybody who can answer for one address could direct codes and tokens to another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit, urlunsplit

from trayapp.core.classify import problem_of
from trayapp.core.messages import Answer, Fault, Reply
from trayapp.core.model import Problem, Spec
from trayapp.core.resources import origin, same_address
from trayapp.oauth.address_class import WORDS, AddressClass, host_reach
from trayapp.oauth.wire import Request, Wire, url_problem

METADATA_LIMIT = 10.0  # s for one document; it is cut at 1 MiB
REDIRECTS = 3  # followed within one origin; a trailing slash takes one
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749 section 3.3
SCOPES_MAX = 100  # of a server's list; the longest that is known has 60


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a sign-in needs of a server. Every address was checked."""

    authorization: str
    token: str
    revocation: str = ""
    issuer: str = ""
    iss_promised: bool = False  # RFC 9207: every answer of the authorization endpoint names its issuer
    registration: str = ""  # RFC 7591
    device: str = ""  # RFC 8628
    jwks: str = ""  # RFC 7517: the keys of its ID tokens
    scopes: tuple[str, ...] = ()  # what it says that it knows; empty: it does not say
    auth_methods: tuple[str, ...] = ()  # of the token endpoint; empty: it does not say
    grants: tuple[str, ...] = ()  # grant types; empty: it does not say
    least: AddressClass = (
        AddressClass.LOCAL
    )  # how near its addresses may be (SSRF): not nearer than the workload that named it


async def find_endpoints(spec: Spec, wire: Wire, *, limit: float = METADATA_LIMIT) -> Endpoints | Problem:
    """As configured; what is missing comes from the issuer's metadata. `limit` (s) holds for each document."""
    found = Endpoints(
        spec.authorization_endpoint,
        spec.token_endpoint,
        spec.revocation_endpoint,
        spec.issuer,
        device=spec.device_authorization_endpoint,
    )
    if found.token and (found.device if spec.flow == "device" else found.authorization):
        return checked(found, spec.flow)
    if not spec.issuer:
        return problem(f"{spec.name} needs an issuer, or an authorization_endpoint and a token_endpoint.")
    if why := url_problem(spec.issuer):
        return problem(f"The issuer of {spec.name} {why}.")
    if urlsplit(spec.issuer).query:  # RFC 8414 section 2
        return problem(f"The issuer of {spec.name} must not have a query.")
    document = await fetch_metadata(spec.issuer, wire, limit=limit)
    if isinstance(document, Problem):
        return document
    # The person typed the issuer: a private network of theirs is no secret, but a far server stays out of this machine.
    near = host_reach(urlsplit(spec.issuer).hostname or "")
    return read_metadata(spec, document, spec.issuer, least=min(near, AddressClass.PRIVATE))


def well_known(issuer: str) -> Iterator[str]:
    """The addresses to ask, in order: RFC 8414 section 3.1, its OpenID form, then OpenID Connect's own."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")

    def at(path: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    yield at(f"/.well-known/oauth-authorization-server{path}")
    if path:
        yield at(f"/.well-known/openid-configuration{path}")
    yield at(f"{path}/.well-known/openid-configuration")


async def fetch_metadata(
    issuer: str, wire: Wire, *, limit: float = METADATA_LIMIT, least: AddressClass = AddressClass.LOCAL
) -> Mapping[str, object] | Problem:
    """The first of the documents that is there, unread."""
    seen = ""
    for url in well_known(issuer):
        reply = await fetch(Request("GET", url, least=least), wire, limit)
        if isinstance(reply, Fault):
            return problem(problem_of(reply).summary)
        document = json_object(reply)
        if document is not None:
            return document
        seen = f"HTTP {reply.status}{_portal(url, reply)}"
    return problem(
        f"The issuer {urlsplit(issuer).hostname} has no metadata ({seen}): "
        "check its address, or set the endpoints one by one."
    )


def _portal(url: str, reply: Answer) -> str:
    """What speaks for somebody else having answered; empty if nothing does."""
    there = redirect(url, reply)
    if there and origin(there) != origin(url):
        return f", sent on to {(urlsplit(there).hostname or '')[:60]}: a captive portal?"
    return ", a web page: a captive portal?" if is_page(reply) else ""


def is_page(reply: Answer) -> bool:
    """Whether it is a page for people, as captive portals and web sites answer with."""
    return reply.status in (200, 511) and reply.headers.get("content-type", "").lower().startswith("text/html")


async def fetch(
    request: Request, wire: Wire, limit: float, met: Callable[[AddressClass], None] = lambda reach: None
) -> Reply:
    """Send it, and follow redirects within its own origin: another host, port or scheme is never gone to."""
    reply = await wire.send(request, limit=limit, met=met)
    for _ in range(REDIRECTS):
        if isinstance(reply, Fault) or not (there := redirect(request.url, reply)) or not _follows(request, reply):
            break
        if origin(there) != origin(request.url):
            break
        request = replace(request, url=there)
        reply = await wire.send(request, limit=limit, met=met)
    return reply


def redirect(url: str, reply: Answer) -> str:
    """Where an answer sends one; empty if it does not, or to nothing that may be asked."""
    if reply.status not in (301, 302, 303, 307, 308):
        return ""
    try:
        there = urljoin(url, reply.headers.get("location", ""))
    except ValueError:
        return ""
    return there if there != url and not url_problem(there) else ""


def _follows(request: Request, reply: Answer) -> bool:
    """A POST is only sent again where the server says so (RFC 9110 section 15.4)."""
    return request.method == "GET" or reply.status in (307, 308)


def json_object(reply: Answer) -> Mapping[str, object] | None:
    """The JSON object of a 200; None for everything else."""
    if reply.status != 200:
        return None
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_metadata(
    spec: Spec,
    document: Mapping[str, object],
    issuer: str,
    *,
    least: AddressClass = AddressClass.LOCAL,
    exact: bool = True,
) -> Endpoints | Problem:
    """The endpoints of a document that has to be `issuer`'s own. Not `exact`: the slash of an empty path is no
    difference (RFC 3986 section 6.2.3), as the libraries that write resource metadata add one."""
    host = urlsplit(issuer).hostname
    says = document.get("issuer")
    if says != issuer and (exact or not isinstance(says, str) or not same_address(says, issuer)):
        hint = f': "{says}"' if isinstance(says, str) and len(says) <= 80 and not url_problem(says) else ""
        return problem(f"The server at {host} says that it is another issuer than the one {_asked(spec)}{hint}.")
    methods = document.get("code_challenge_methods_supported")
    plain = methods is not None and not (isinstance(methods, list) and "S256" in methods)
    if plain and spec.flow != "device":  # a device code knows no PKCE
        return problem(f"The server at {host} does not offer PKCE with S256; without it a sign-in is not safe.")
    there = {name: value for name in ADDRESSES if isinstance(value := document.get(name), str)}
    return checked(
        Endpoints(
            authorization=spec.authorization_endpoint or there.get("authorization_endpoint", ""),
            token=spec.token_endpoint or there.get("token_endpoint", ""),
            revocation=spec.revocation_endpoint or there.get("revocation_endpoint", ""),
            issuer=str(says),
            iss_promised=document.get("authorization_response_iss_parameter_supported") is True,
            registration=there.get("registration_endpoint", ""),
            device=spec.device_authorization_endpoint or there.get("device_authorization_endpoint", ""),
            jwks=there.get("jwks_uri", ""),
            scopes=scope_tokens(document.get("scopes_supported")),
            auth_methods=_texts(document.get("token_endpoint_auth_methods_supported")),
            grants=_texts(document.get("grant_types_supported")),
            least=least,
        ),
        spec.flow,
    )


def _asked(spec: Spec) -> str:
    return "configured" if spec.issuer else "that was named"


def scope_tokens(value: object) -> tuple[str, ...]:
    """The scopes of a list or of a text with blanks, each once; what is no scope is left out."""
    words = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else ()
    found = (word for word in words if isinstance(word, str) and SCOPE.fullmatch(word))
    return tuple(dict.fromkeys(found))[:SCOPES_MAX]


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str))[:SCOPES_MAX] if isinstance(value, list) else ()


# Name in the metadata → field of `Endpoints`, and whether a sign-in needs it.
ADDRESSES: Mapping[str, tuple[str, bool]] = {
    "authorization_endpoint": ("authorization", True),
    "token_endpoint": ("token", True),
    "revocation_endpoint": ("revocation", False),
    "registration_endpoint": ("registration", False),
    "device_authorization_endpoint": ("device", False),
    "jwks_uri": ("jwks", False),
}


def checked(endpoints: Endpoints, flow: str) -> Endpoints | Problem:
    """Every address may be used, and none is nearer than `least`: a far server has no business there (SSRF)."""
    for name, (attribute, needed) in ADDRESSES.items():
        url: str = getattr(endpoints, attribute)
        if not url and (not needed or (attribute == "authorization" and flow == "device")):
            continue
        if why := url_problem(url) if url else "is missing":
            return problem(f"The {name} {why}.")
        if (reach := host_reach(urlsplit(url).hostname or "")) < endpoints.least:
            return problem(f"The {name} that the server names is {WORDS[reach]}.")
    return endpoints


def problem(summary: str) -> Problem:
    """Something is wrong with what a server says of itself."""
    return Problem("metadata", summary[:200])
