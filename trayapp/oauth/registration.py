"""Dynamic client registration (RFC 7591): once per workload, reused for every sign-in, renewed without a question.

The client is a native app: public (`none`) wherever the server allows it, confidential with the issued secret where it
doesn't. Its redirect address, port and path, is fixed at registration, because many servers compare all of it. A
registration that the server no longer knows, whose secret has expired, or that covers fewer scopes than are needed now
is simply made anew (SECURITY.md 14).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from trayapp.core.classify import problem_of
from trayapp.core.model import Problem, Secret
from trayapp.core.outcomes import Answer, Fault
from trayapp.oauth.address_class import class_of_host
from trayapp.oauth.client_keys import METHOD
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.redirects import send_with_redirect
from trayapp.oauth.wire import Request, Wire, url_problem

REGISTER_LIMIT = 15.0  # s; servers that keep clients in a database take one or two
DELETE_LIMIT = 5.0  # s; a removal waits for it
CLIENT_NAME = "Amberlight"
SECRET_MARGIN = 7 * 86400.0  # s; a sign-in registers again if the secret ends within a week, which is warned of
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SECRET_METHODS = ("client_secret_basic", "client_secret_post")  # supported methods, the safer one first
VISIBLE = re.compile(r"[\x20-\x7e]{1,2048}")  # RFC 6749 appendix A.1 and A.2
LOCAL_HOSTS = ("127.0.0.1", "localhost")
REFUSAL_MAX = 64 * 1024  # characters of a refusal that are read
ABOUT_REDIRECTS = re.compile(r"redirect|callback|loopback|localhost|127\.0\.0\.1", re.IGNORECASE)
ABOUT_SECRETS = re.compile(r"auth[a-z]*[_ -]method|public[_ -]client|client[_ -]secret", re.IGNORECASE)
# RFC 7591 section 3.2.2, RFC 6750 section 3.1: what no other form of the request would change.
FINAL_CODES = ("invalid_software_statement", "unapproved_software_statement", "invalid_token", "access_denied")


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """The client that a sign-in uses. `redirect_uri` is set if the client was registered with a complete address."""

    id: str
    secret: Secret | None = None
    method: str = ""  # token_endpoint_auth_method; empty: the server's default
    issuer: str = ""  # the server that it belongs to
    registered: bool = False  # registered by Amberlight, so it can be made anew
    redirect_uri: str = ""
    scopes: tuple[str, ...] = ()  # that it may request; empty: whatever the server allows
    secret_ends: float = 0.0  # wall clock; 0: never
    manage_uri: str = ""  # RFC 7592
    manage_token: Secret | None = field(default=None, repr=False)
    key_file: str = ""  # of the private key that proves it, unless that is its secret (RFC 7523)
    document: bool = False  # its id is the address of a document about it
    pushed_only: bool = False  # its authorization requests have to be pushed (RFC 9126 section 6)

    def registration(self) -> Secret | None:
        """What a login stores about its client, as JSON: how it authenticates, and that it was registered (M16)."""
        if not self.method:
            return None
        facts: dict[str, Any] = {"token_endpoint_auth_method": self.method, "registered": self.registered}
        if self.method == METHOD:
            facts |= {"audience": self.issuer, "key_file": self.key_file}
        return Secret(json.dumps(facts))

    def on_localhost(self) -> bool:
        """Whether its redirect says `localhost`, which a browser may look up as either loopback address."""
        return urlsplit(self.redirect_uri).hostname == "localhost"

    def port(self) -> int:
        """The port of its redirect; 0 for any."""
        return (urlsplit(self.redirect_uri).port or 0) if self.redirect_uri else 0

    def fits(self, endpoints: Endpoints, scopes: tuple[str, ...], wall: float) -> bool:
        """Whether it can be used for this sign-in, as far as can be seen without asking the server."""
        if self.issuer != endpoints.issuer or (self.secret_ends and wall > self.secret_ends - SECRET_MARGIN):
            return False
        return not self.scopes or set(scopes) <= set(self.scopes)


def new_redirect(host: str, port: int) -> str:
    """The redirect address of a new registration, with a path that nobody can guess and no other server shares (RFC
    9700 section 4.4)."""
    return f"http://{host}:{port}/callback/{secrets.token_urlsafe(16)}"


async def register(
    endpoints: Endpoints,
    scopes: tuple[str, ...],
    port: int,
    wire: Wire,
    *,
    localhost: bool = True,
    limit: float = REGISTER_LIMIT,
) -> RegisteredClient | Problem:
    """Register a client whose redirect is at `port` of this machine, with at most four requests.

    A server that refuses gets the same without what can be left out. One whose refusal concerns redirects then gets
    `localhost`, if `localhost` says that nobody else listens there. Servers word their refusals freely, so the status
    decides what is tried, and the words only whether it is about redirects.
    """
    problem: Problem = no_registration_problem(endpoints)
    if not endpoints.registration:
        return problem
    about_redirects = False
    for host in LOCAL_HOSTS:
        if host == "localhost" and not (localhost and about_redirects):
            break
        requested = client_metadata(endpoints, scopes, new_redirect(host, port))
        for _ in range(2):
            reply = await send_with_redirect(
                wire,
                Request("POST", endpoints.registration, JSON_HEADERS, json.dumps(requested), endpoints.nearest_allowed),
                limit=limit,
            )
            if isinstance(reply, Fault):
                return problem_of(reply)
            if reply.status in (200, 201):
                return _read_client(reply, requested, endpoints)
            text = reply.body[:REFUSAL_MAX].decode("utf-8", "replace")
            about_redirects = about_redirects or ABOUT_REDIRECTS.search(text) is not None
            problem = _refusal_problem(endpoints, reply.status, _error_code(reply), about_redirects)
            if not _may_accept_less(reply, about_redirects):
                return problem
            requested = _essential(requested, text)
    return problem


def _may_accept_less(reply: Answer, about_redirects: bool) -> bool:
    """Whether another form of the request may be accepted: it was understood, and refused for what it asks."""
    if _error_code(reply) in FINAL_CODES:
        return False
    return reply.status in (400, 409, 422) or (reply.status == 403 and about_redirects)


def _essential(requested: Mapping[str, Any], refusal: str) -> dict[str, Any]:
    """The request without what servers refuse and a sign-in can do without. They then choose scopes, and how the client
    authenticates if that was refused."""
    left_out = {"application_type", "response_types", "scope"}
    if ABOUT_SECRETS.search(refusal):
        left_out.add("token_endpoint_auth_method")
    essential = {name: value for name, value in requested.items() if name not in left_out}
    return essential | {"grant_types": [grant for grant in requested["grant_types"] if grant != DEVICE_GRANT]}


JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json", "Accept": "application/json"}


def client_metadata(endpoints: Endpoints, scopes: tuple[str, ...], redirect_uri: str) -> dict[str, Any]:
    """The client metadata of RFC 7591 section 2, for a native app (RFC 8252)."""
    grants = ["authorization_code", "refresh_token"]
    if endpoints.device and (not endpoints.grants or DEVICE_GRANT in endpoints.grants):
        grants.append(DEVICE_GRANT)
    requested: dict[str, Any] = {
        "client_name": CLIENT_NAME,
        "redirect_uris": [redirect_uri],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": auth_method(endpoints),
        "application_type": "native",  # OpenID Connect Registration: without it http://127.0.0.1 is refused
    }
    if scopes:
        requested["scope"] = " ".join(scopes)
    return requested


def auth_method(endpoints: Endpoints) -> str:
    """`none`, unless the server says that it accepts only secrets."""
    offered = endpoints.auth_methods
    if not offered or "none" in offered:
        return "none"
    return next((method for method in SECRET_METHODS if method in offered), "none")


def _read_client(reply: Answer, requested: Mapping[str, Any], endpoints: Endpoints) -> RegisteredClient | Problem:
    """The registered client (RFC 7591 section 3.2.1): what the server registered counts, not what was asked for."""
    host = urlsplit(endpoints.registration).hostname
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not _is_visible(answer.get("client_id")):
        return _problem(f"{host} didn't register a client.")
    secret = answer.get("client_secret")
    if secret is not None and not _is_visible(secret):
        return _problem(f"{host} registered a client with an unusable secret.")
    method = answer.get("token_endpoint_auth_method") or (
        requested.get("token_endpoint_auth_method", "none") if not secret else ""
    )
    if method not in ("none", *SECRET_METHODS):
        method = next((one for one in SECRET_METHODS if one in endpoints.auth_methods), "client_secret_basic")
    if method != "none" and not secret:
        return _problem(f"{host} registered a client that needs a secret, but didn't send one.")
    uris = answer.get("redirect_uris")
    if isinstance(uris, list) and uris and requested["redirect_uris"][0] not in uris:
        return _problem(f"{host} registered a different redirect URL than requested.")
    manage, token = answer.get("registration_client_uri"), answer.get("registration_access_token")
    manageable = _is_manageable(manage, endpoints) and _is_visible(token)
    expires = answer.get("client_secret_expires_at")
    return RegisteredClient(
        id=answer["client_id"],
        secret=Secret(secret) if secret and method != "none" else None,
        method=method,
        issuer=endpoints.issuer,
        registered=True,
        redirect_uri=requested["redirect_uris"][0],
        scopes=tuple(str(requested.get("scope", "")).split()),
        secret_ends=float(expires) if secret and isinstance(expires, int | float) and 0 < expires < 1e12 else 0.0,
        pushed_only=answer.get("require_pushed_authorization_requests") is True,
        manage_uri=str(manage) if manageable else "",
        manage_token=Secret(str(token)) if manageable else None,
    )


def _is_manageable(uri: object, endpoints: Endpoints) -> bool:
    """Whether this management address may be requested when the workload is removed. It must not be nearer than the
    server that names it, because that server chooses path and token too (SSRF)."""
    if not isinstance(uri, str) or url_problem(uri):
        return False
    return class_of_host(urlsplit(uri).hostname or "") >= endpoints.nearest_allowed


def _is_visible(value: object) -> bool:
    return isinstance(value, str) and VISIBLE.fullmatch(value) is not None


def _error_code(reply: Answer) -> str:
    """The error code of RFC 7591 section 3.2.2; empty if there is none that may be shown."""
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return ""
    code = body.get("error") if isinstance(body, dict) else None
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", code) else ""


CREATE_CLIENT = "Create a client ID there and set client_id."


def _refusal_problem(endpoints: Endpoints, status: int, code: str, about_redirects: bool) -> Problem:
    host = urlsplit(endpoints.registration).hostname
    said = f"HTTP {status}, {code}" if code else f"HTTP {status}"
    if about_redirects:
        return _problem(
            f"{host} doesn't register apps that redirect to this computer ({said}). {CREATE_CLIENT}",
            status,
            code,
        )
    if status in (401, 403):  # protected registration needs an initial access token (RFC 7591 section 3)
        return _problem(
            f"{host} doesn't register apps automatically ({said}). {CREATE_CLIENT}",
            status,
            code,
        )
    return _problem(
        f"{host} didn't register this app ({said}). Try again later. {CREATE_CLIENT}",
        status,
        code,
    )


def no_registration_problem(endpoints: Endpoints) -> Problem:
    """No client id is configured, and the server offers no registration."""
    host = urlsplit(endpoints.issuer or endpoints.authorization).hostname
    return _problem(f"{host} doesn't register apps automatically. {CREATE_CLIENT}")


def _problem(summary: str, status: int | None = None, code: str = "") -> Problem:
    return Problem("registration", summary[:200], status, code)


# --- an existing registration -----------------------------------------------------------------------------------------


async def unregister(client: RegisteredClient, wire: Wire) -> bool:
    """Delete the registration at the server (RFC 7592 section 2.3), best effort: whether the server confirmed it."""
    if not client.manage_uri or client.manage_token is None:
        return False
    headers = {"Authorization": f"Bearer {client.manage_token.reveal()}"}
    reply = await wire.send(Request("DELETE", client.manage_uri, headers), limit=DELETE_LIMIT)
    return isinstance(reply, Answer) and reply.status == 204


# --- as text, for the keyring ----------------------------------------------------------------------------------------


def to_fields(client: RegisteredClient) -> dict[str, Any]:
    """The client as JSON fields for `from_fields`, including its secrets."""
    fields: dict[str, Any] = {
        "client_id": client.id,
        "method": client.method,
        "issuer": client.issuer,
        "redirect_uri": client.redirect_uri,
        "scope": " ".join(client.scopes),
        "secret_ends": client.secret_ends,
        "pushed": client.pushed_only,
        "manage_uri": client.manage_uri,
    }
    if client.secret is not None:
        fields["secret"] = client.secret.reveal()
    if client.manage_token is not None:
        fields["manage_token"] = client.manage_token.reveal()
    return {name: value for name, value in fields.items() if value}


def from_fields(fields: object) -> RegisteredClient | None:
    """The client that `to_fields` wrote; None for anything else."""
    if not isinstance(fields, dict):
        return None
    texts = {name: fields.get(name, "") for name in ("client_id", "method", "issuer", "redirect_uri", "scope")}
    texts |= {name: fields.get(name, "") for name in ("manage_uri", "secret", "manage_token")}
    expires = fields.get("secret_ends", 0.0)
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(expires, int | float):
        return None
    if not texts["client_id"] or not texts["redirect_uri"].startswith("http://"):
        return None
    return RegisteredClient(
        id=texts["client_id"],
        secret=Secret(texts["secret"]) if texts["secret"] else None,
        method=texts["method"],
        issuer=texts["issuer"],
        registered=True,
        redirect_uri=texts["redirect_uri"],
        scopes=tuple(texts["scope"].split()),
        secret_ends=float(expires),
        pushed_only=fields.get("pushed") is True,
        manage_uri=texts["manage_uri"],
        manage_token=Secret(texts["manage_token"]) if texts["manage_token"] else None,
    )
