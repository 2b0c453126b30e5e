"""Client ID Metadata Documents: the client's id is the address of a document about it, which a person hosts.

draft-ietf-oauth-client-id-metadata-document, preferred by MCP's revision of 2025-11-25. The document is the same for
every server, so its redirect address has a fixed path and, unless a port is configured, any port (RFC 8252 section 7.3).
It is fetched before a sign-in, because a server that can't use it shows an error page of which nothing comes back here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from trayapp.core.classify import problem_of
from trayapp.core.model import Problem, Spec
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.client_keys import METHOD
from trayapp.oauth.metadata import Endpoints, json_object
from trayapp.oauth.registration import CLIENT_NAME, DEVICE_GRANT, RegisteredClient
from trayapp.oauth.wire import Request, Wire

PATH = "/callback"
FETCH_LIMIT = 5.0  # s; a static file
SIZE_MAX = 5 * 1024  # bytes; servers may refuse longer ones (section 6.6)
NOT_ALLOWED = ("client_secret", "client_secret_expires_at")  # section 4.1: there is nothing secret in a public document
AUTH_METHODS = ("none", METHOD)


def redirect_uri(port: int) -> str:
    """What the document lists: with port 0 servers take any port of this machine."""
    return f"http://127.0.0.1:{port}{PATH}" if port else f"http://127.0.0.1{PATH}"


def document(url: str, ports: Iterable[int] = (0,), keys: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The document to host at `url`, for workloads with these `redirect_port`s; `keys` are the public ones of a client that
    proves itself by a key."""
    proof: dict[str, Any] = {"token_endpoint_auth_method": METHOD, "jwks": {"keys": list(keys)}}
    return {
        "client_id": url,
        "client_name": CLIENT_NAME,
        "redirect_uris": [redirect_uri(port) for port in sorted(set(ports))],
        "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT],
        "response_types": ["code"],
        "application_type": "native",
        **(proof if keys else {"token_endpoint_auth_method": "none"}),
    }


def as_text(content: Mapping[str, Any]) -> str:
    """As it is hosted."""
    return json.dumps(content, indent=2, ensure_ascii=True)


def fault_in(content: Mapping[str, object], url: str, port: int, keyed: bool | None = None) -> str:
    """Why servers won't take this document for a sign-in, as the end of a sentence; empty if they will."""
    if content.get("client_id") != url:  # simple string comparison (section 3)
        return "has a client_id other than its own address"
    if any(name in content for name in NOT_ALLOWED):
        return "contains a client secret"
    if content.get("token_endpoint_auth_method", "client_secret_basic") not in AUTH_METHODS:
        return "must have token_endpoint_auth_method none or private_key_jwt"
    if keyed is not None and keyed is not (content.get("token_endpoint_auth_method") == METHOD):
        return (
            f"says {METHOD}, but client_key_file isn't set"
            if not keyed
            else f"must have {METHOD}: client_key_file is set"
        )
    uris = content.get("redirect_uris")
    if not isinstance(uris, list) or redirect_uri(port) not in uris:
        return f"doesn't list the redirect address {redirect_uri(port)}"
    grants = content.get("grant_types", ["authorization_code"])
    if not isinstance(grants, list) or not {"authorization_code", "refresh_token"} <= set(map(str, grants)):
        return "doesn't list the grant types authorization_code and refresh_token"
    return "" if isinstance(content.get("client_name"), str) else "has no client_name"


async def look(
    url: str, port: int, wire: Wire, limit: float = FETCH_LIMIT, *, keyed: bool | None = None
) -> Fault | str:
    """Fetch the document as a server would, without following redirects. What is wrong with it, as the end of a
    sentence; empty if it can be used; a fault if it couldn't be fetched from here."""
    reply = await wire.send(Request("GET", url), limit=limit)
    if isinstance(reply, Fault):
        return reply
    if reply.status != 200:
        return f"can't be fetched (HTTP {reply.status})"
    content = json_object(reply)
    if content is None or not _is_json(reply):
        return "isn't JSON"
    if len(reply.body) > SIZE_MAX:
        return f"is longer than {SIZE_MAX} bytes"
    return fault_in(content, url, port, keyed)


def _is_json(reply: Answer) -> bool:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


async def document_client(spec: Spec, endpoints: Endpoints, wire: Wire) -> RegisteredClient | Problem | None:
    """The client of the configured document, if the server takes such; None if it doesn't, and a problem if the document
    can't be used. One that can't be reached from here may be reached by the server, so it is used."""
    url = spec.client_metadata_url
    if not url or not endpoints.client_documents:
        return None
    fault = await look(url, spec.redirect_port, wire, keyed=bool(spec.client_key_file))
    if isinstance(fault, Fault) or not fault:
        key_file = spec.client_key_file
        issuer, method = endpoints.issuer or endpoints.token, METHOD if key_file else "none"
        return RegisteredClient(url, method=method, issuer=issuer, key_file=key_file, document=True)
    host = urlsplit(url).hostname or ""
    return Problem(
        "client_document", f"The client metadata document at {host[:80]} {fault}. Run `amberlight doctor`."[:200]
    )


def document_refused(endpoints: Endpoints, code: str) -> str:
    """The server takes such clients, but not this one."""
    host = urlsplit(endpoints.issuer or endpoints.token).hostname or ""
    return f"{host[:80]} didn't accept the client metadata document ({code}). Run `amberlight doctor`."


def unreachable(fault: Fault, host: str) -> str:
    """Why the document couldn't be fetched from here, as a sentence."""
    return problem_of(fault, host).summary
