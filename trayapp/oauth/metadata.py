"""Authorization server metadata (RFC 8414, OpenID Connect Discovery): fetched, checked, and read as endpoints.

The document must come over https (or from this machine), must not be redirected to another origin, and must name
exactly the issuer that was asked for. Otherwise anybody who can answer for one address could direct codes and tokens to
another (SECURITY.md 8).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit, urlunsplit

from trayapp.core.classify import problem_of
from trayapp.core.model import Problem, Spec
from trayapp.core.outcomes import Answer, Fault, Reply
from trayapp.core.resources import origin, same_address
from trayapp.oauth.address_class import PLACE_TEXTS, AddressClass, class_of_host
from trayapp.oauth.wire import Request, Wire, url_problem

METADATA_LIMIT = 10.0  # s for one document; it is cut at 1 MiB
REDIRECTS = 3  # redirects followed within one origin; a trailing slash takes one
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")  # RFC 6749 section 3.3
SCOPES_MAX = 100  # scopes in a server's list; the longest known has 60


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of a server that a sign-in needs. Every address has been checked."""

    authorization: str
    token: str
    revocation: str = ""
    issuer: str = ""
    iss_promised: bool = False  # RFC 9207: every authorization response names its issuer
    registration: str = ""  # RFC 7591
    device: str = ""  # RFC 8628
    jwks: str = ""  # RFC 7517: the keys of its ID tokens
    scopes: tuple[str, ...] = ()  # supported scopes; empty: not stated
    auth_methods: tuple[str, ...] = ()  # of the token endpoint; empty: not stated
    grants: tuple[str, ...] = ()  # grant types; empty: not stated
    proof_algorithms: tuple[str, ...] = ()  # of DPoP proofs; empty: not stated
    client_documents: bool = False  # a client's id may be the address of a document about it
    pushed: str = ""  # RFC 9126: pushed authorization request endpoint
    pushed_only: bool = False  # authorization requests have to be pushed first
    # Its addresses may be no nearer than this, which is the class of the workload that named it (SSRF).
    nearest_allowed: AddressClass = AddressClass.LOCAL


async def find_endpoints(spec: Spec, wire: Wire, *, limit: float = METADATA_LIMIT) -> Endpoints | Problem:
    """The configured endpoints; missing ones come from the issuer's metadata. `limit` (s) holds for each document."""
    endpoints = Endpoints(
        spec.authorization_endpoint,
        spec.token_endpoint,
        spec.revocation_endpoint,
        spec.issuer,
        device=spec.device_authorization_endpoint,
    )
    if endpoints.token and (endpoints.device if spec.flow == "device" else endpoints.authorization):
        return validated(endpoints, spec.flow)
    if spec.metadata_url:
        return await _by_hand(spec, wire, limit)
    if not spec.issuer:
        return metadata_problem(f"{spec.name} needs an issuer, or an authorization_endpoint and a token_endpoint.")
    if reason := url_problem(spec.issuer):
        return metadata_problem(f"The issuer of {spec.name} {reason}.")
    if urlsplit(spec.issuer).query:  # RFC 8414 section 2
        return metadata_problem(f"The issuer of {spec.name} can't have a query.")
    document = await fetch_metadata(spec.issuer, wire, limit=limit)
    if isinstance(document, Problem):
        return document
    # A person typed the issuer, so it may be in their private network; a public server still can't name this machine.
    nearest = class_of_host(urlsplit(spec.issuer).hostname or "")
    return read_metadata(spec, document, spec.issuer, nearest_allowed=min(nearest, AddressClass.PRIVATE))


async def _by_hand(spec: Spec, wire: Wire, limit: float) -> Endpoints | Problem:
    """The endpoints in the document at `metadata_url`, which a person set because it isn't where the standard says or
    names another issuer. Only a configured issuer is compared with it."""
    host = urlsplit(spec.metadata_url).hostname or ""
    if reason := url_problem(spec.metadata_url):
        return metadata_problem(f"The metadata_url of {spec.name} {reason}.")
    reply = await fetch_same_origin(Request("GET", spec.metadata_url), wire, limit)
    if isinstance(reply, Fault):
        return metadata_problem(problem_of(reply).summary)
    document = json_object(reply)
    if document is None:
        hint = f"HTTP {reply.status}{_portal_hint(spec.metadata_url, reply)}"
        return metadata_problem(f"{host} has no metadata at this URL ({hint}). Check metadata_url.")
    stated = document.get("issuer")
    issuer = spec.issuer or (stated if isinstance(stated, str) and not url_problem(stated) else "")
    own = document if spec.issuer else {**document, "issuer": issuer}
    return read_metadata(spec, own, issuer, nearest_allowed=min(class_of_host(host), AddressClass.PRIVATE))


def well_known(issuer: str) -> Iterator[str]:
    """The addresses to ask, in order: RFC 8414 section 3.1, its OpenID form, then OpenID Connect's own."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")

    def build(path: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    yield build(f"/.well-known/oauth-authorization-server{path}")
    if path:
        yield build(f"/.well-known/openid-configuration{path}")
    yield build(f"{path}/.well-known/openid-configuration")


async def fetch_metadata(
    issuer: str, wire: Wire, *, limit: float = METADATA_LIMIT, nearest_allowed: AddressClass = AddressClass.LOCAL
) -> Mapping[str, object] | Problem:
    """The first of the well-known documents that exists, not checked yet."""
    last_seen = ""
    for url in well_known(issuer):
        reply = await fetch_same_origin(Request("GET", url, nearest_allowed=nearest_allowed), wire, limit)
        if isinstance(reply, Fault):
            return metadata_problem(problem_of(reply).summary)
        document = json_object(reply)
        if document is not None:
            return document
        last_seen = f"HTTP {reply.status}{_portal_hint(url, reply)}"
    return metadata_problem(
        f"The issuer {urlsplit(issuer).hostname} has no metadata ({last_seen}). "
        "Check its URL, or set the endpoints individually."
    )


def _portal_hint(url: str, reply: Answer) -> str:
    """The end of a sentence that hints at a captive portal; empty if nothing speaks for one."""
    target = redirect_target(url, reply)
    if target and origin(target) != origin(url):
        return f", redirected to {(urlsplit(target).hostname or '')[:60]}, perhaps for a Wi-Fi sign-in"
    return ", a web page, perhaps a Wi-Fi sign-in" if is_web_page(reply) else ""


def is_web_page(reply: Answer) -> bool:
    """Whether the answer is a page for people, as captive portals and web sites send it."""
    return reply.status in (200, 511) and reply.headers.get("content-type", "").lower().startswith("text/html")


async def fetch_same_origin(
    request: Request, wire: Wire, limit: float, on_reached: Callable[[AddressClass], None] = lambda reached: None
) -> Reply:
    """Send a request and follow redirects within its own origin. Another host, port or scheme is never requested."""
    reply = await wire.send(request, limit=limit, on_reached=on_reached)
    for _ in range(REDIRECTS):
        if (
            isinstance(reply, Fault)
            or not (target := redirect_target(request.url, reply))
            or not _may_resend(request, reply)
        ):
            break
        if origin(target) != origin(request.url):
            break
        request = replace(request, url=target)
        reply = await wire.send(request, limit=limit, on_reached=on_reached)
    return reply


def redirect_target(url: str, reply: Answer) -> str:
    """The address that an answer redirects to; empty if it doesn't, or if that address must not be requested."""
    if reply.status not in (301, 302, 303, 307, 308):
        return ""
    try:
        target = urljoin(url, reply.headers.get("location", ""))
    except ValueError:
        return ""
    return target if target != url and not url_problem(target) else ""


def _may_resend(request: Request, reply: Answer) -> bool:
    """Whether a redirect may be followed with the same method: a POST only where the server says so (RFC 9110 section
    15.4)."""
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
    nearest_allowed: AddressClass = AddressClass.LOCAL,
    exact_issuer: bool = True,
) -> Endpoints | Problem:
    """The endpoints in a document that must be `issuer`'s own. Without `exact_issuer` one slash at the end makes no
    difference, because the libraries that write resource metadata add or drop one. The document's own spelling counts."""
    host = urlsplit(issuer or spec.metadata_url).hostname
    stated_issuer = document.get("issuer")
    if stated_issuer != issuer and (
        exact_issuer or not isinstance(stated_issuer, str) or not same_address(stated_issuer, issuer)
    ):
        hint = (
            f': "{stated_issuer}"'
            if isinstance(stated_issuer, str) and len(stated_issuer) <= 80 and not url_problem(stated_issuer)
            else ""
        )
        words = f"{host} names a different issuer than {_issuer_origin(spec)}{hint}."
        help_ = " If its operator confirms that, set metadata_url."
        return metadata_problem(words + help_ if len(words + help_) <= 200 else words)
    methods = document.get("code_challenge_methods_supported")
    without_s256 = methods is not None and not (isinstance(methods, list) and "S256" in methods)
    if without_s256 and spec.flow != "device":  # the device flow has no PKCE
        return metadata_problem(f"{host} doesn't offer PKCE with S256. Without it, signing in isn't safe.")
    addresses = {name: value for name in ENDPOINT_FIELDS if isinstance(value := document.get(name), str)}
    return validated(
        Endpoints(
            authorization=spec.authorization_endpoint or addresses.get("authorization_endpoint", ""),
            token=spec.token_endpoint or addresses.get("token_endpoint", ""),
            revocation=spec.revocation_endpoint or addresses.get("revocation_endpoint", ""),
            issuer=str(stated_issuer),
            iss_promised=document.get("authorization_response_iss_parameter_supported") is True,
            registration=addresses.get("registration_endpoint", ""),
            device=spec.device_authorization_endpoint or addresses.get("device_authorization_endpoint", ""),
            jwks=addresses.get("jwks_uri", ""),
            scopes=scope_tokens(document.get("scopes_supported")),
            auth_methods=_strings(document.get("token_endpoint_auth_methods_supported")),
            grants=_strings(document.get("grant_types_supported")),
            proof_algorithms=_strings(document.get("dpop_signing_alg_values_supported")),
            client_documents=document.get("client_id_metadata_document_supported") is True,
            pushed=addresses.get(PUSHED, ""),
            pushed_only=document.get("require_pushed_authorization_requests") is True,
            nearest_allowed=nearest_allowed,
        ),
        spec.flow,
    )


def _issuer_origin(spec: Spec) -> str:
    return "configured" if spec.issuer else "expected"


def scope_tokens(value: object) -> tuple[str, ...]:
    """The scopes in a list or a space-separated text, each once; anything that isn't a scope is left out."""
    tokens = value.split(" ") if isinstance(value, str) else value if isinstance(value, list) else ()
    scopes = (word for word in tokens if isinstance(word, str) and SCOPE.fullmatch(word))
    return tuple(dict.fromkeys(scopes))[:SCOPES_MAX]


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str))[:SCOPES_MAX] if isinstance(value, list) else ()


PUSHED = "pushed_authorization_request_endpoint"
# Name in the metadata → field of `Endpoints`, and whether a sign-in needs it.
ENDPOINT_FIELDS: Mapping[str, tuple[str, bool]] = {
    "authorization_endpoint": ("authorization", True),
    "token_endpoint": ("token", True),
    "revocation_endpoint": ("revocation", False),
    "registration_endpoint": ("registration", False),
    "device_authorization_endpoint": ("device", False),
    "jwks_uri": ("jwks", False),
    PUSHED: ("pushed", False),
}


def validated(endpoints: Endpoints, flow: str) -> Endpoints | Problem:
    """The endpoints, if every address may be used and none is nearer than `nearest_allowed` (SSRF); otherwise the
    problem."""
    for name, (attribute, required) in ENDPOINT_FIELDS.items():
        url: str = getattr(endpoints, attribute)
        if not url and (not required or (attribute == "authorization" and flow == "device")):
            continue
        if reason := url_problem(url) if url else "is missing":
            return metadata_problem(f"The {name} {reason}.")
        if (reached := class_of_host(urlsplit(url).hostname or "")) < endpoints.nearest_allowed:
            return metadata_problem(f"The {name} that the server names is {PLACE_TEXTS[reached]}.")
    return endpoints


def metadata_problem(summary: str) -> Problem:
    """A problem with what a server says about itself."""
    return Problem("metadata", summary[:200])
