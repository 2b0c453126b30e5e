"""Where an authorization server does what, by its own word (RFC 8414, OpenID Connect Discovery).

The document must come over https (or from this machine), without a redirect, and must name exactly the issuer that was
asked for: otherwise anybody who can answer for one address could direct codes and tokens to another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from trayapp.core.classify import problem_of
from trayapp.core.messages import Answer, Fault
from trayapp.core.model import Problem, Spec
from trayapp.edge.wire import Request, Wire, is_loopback, url_problem

METADATA_LIMIT = 10.0  # s for one document; it is cut at 1 MiB


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a sign-in needs of a server. Every address was checked."""

    authorization: str
    token: str
    revocation: str = ""
    issuer: str = ""
    iss_promised: bool = False  # RFC 9207: every answer of the authorization endpoint names its issuer


async def find_endpoints(spec: Spec, wire: Wire, *, limit: float = METADATA_LIMIT) -> Endpoints | Problem:
    """As configured; what is missing comes from the issuer's metadata. `limit` (s) holds for each document."""
    found = Endpoints(spec.authorization_endpoint, spec.token_endpoint, spec.revocation_endpoint, spec.issuer)
    if found.authorization and found.token:
        return _checked(found, lax=True)
    if not spec.issuer:
        return _problem(f"{spec.name} needs an issuer, or an authorization_endpoint and a token_endpoint.")
    if why := url_problem(spec.issuer):
        return _problem(f"The issuer of {spec.name} {why}.")
    if urlsplit(spec.issuer).query:  # RFC 8414 section 2
        return _problem(f"The issuer of {spec.name} must not have a query.")
    document = await _fetch(spec.issuer, wire, limit)
    return document if isinstance(document, Problem) else _read(spec, document)


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


async def _fetch(issuer: str, wire: Wire, limit: float) -> Mapping[str, object] | Problem:
    status = 0
    for url in well_known(issuer):
        reply = await wire.send(Request("GET", url), limit=limit)
        if isinstance(reply, Fault):
            return _problem(problem_of(reply).summary)
        document = _object(reply)
        if document is not None:
            return document
        status = reply.status
    return _problem(
        f"The issuer {urlsplit(issuer).hostname} has no metadata (HTTP {status}): "
        "check its address, or set the endpoints one by one."
    )


def _object(reply: Answer) -> Mapping[str, object] | None:
    if reply.status != 200:
        return None
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _read(spec: Spec, document: Mapping[str, object]) -> Endpoints | Problem:
    host = urlsplit(spec.issuer).hostname
    issuer = document.get("issuer")
    if issuer != spec.issuer:
        hint = f': "{issuer}"' if isinstance(issuer, str) and len(issuer) <= 80 and not url_problem(issuer) else ""
        return _problem(f"The server at {host} says that it is another issuer than the one configured{hint}.")
    methods = document.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        return _problem(f"The server at {host} does not offer PKCE with S256; without it a sign-in is not safe.")
    names = ("authorization_endpoint", "token_endpoint", "revocation_endpoint")
    there = {name: value for name in names if isinstance(value := document.get(name), str)}
    endpoints = Endpoints(
        authorization=spec.authorization_endpoint or there.get("authorization_endpoint", ""),
        token=spec.token_endpoint or there.get("token_endpoint", ""),
        revocation=spec.revocation_endpoint or there.get("revocation_endpoint", ""),
        issuer=spec.issuer,
        iss_promised=document.get("authorization_response_iss_parameter_supported") is True,
    )
    return _checked(endpoints, lax=is_loopback(host or ""))


def _checked(endpoints: Endpoints, *, lax: bool) -> Endpoints | Problem:
    """Every address may be used. Unless `lax`, none is on this machine: a far server has no business there (SSRF)."""
    for name, url, needed in (
        ("authorization_endpoint", endpoints.authorization, True),
        ("token_endpoint", endpoints.token, True),
        ("revocation_endpoint", endpoints.revocation, False),
    ):
        if not url and not needed:
            continue
        if why := url_problem(url) if url else "is missing":
            return _problem(f"The {name} {why}.")
        if not lax and is_loopback(urlsplit(url).hostname or ""):
            return _problem(f"The {name} that the server names is on this machine.")
    return endpoints


def _problem(summary: str) -> Problem:
    return Problem("metadata", summary[:200])
