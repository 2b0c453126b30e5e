"""In-memory `Wire` for discovery tests: a dictionary of addresses and answers that records every request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from trayapp.core.outcomes import Answer, Fault, Reply
from trayapp.oauth.address_class import AddressClass, class_of_host
from trayapp.oauth.wire import CONNECT_LIMIT, Request, Wire, url_problem

MCP = "https://mcp.example.com/mcp"
AS = "https://login.example.com"
PATH_DOCUMENT = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
ROOT_DOCUMENT = "https://mcp.example.com/.well-known/oauth-protected-resource"
AS_DOCUMENT = f"{AS}/.well-known/oauth-authorization-server"

Served = Reply | Callable[[Request], Reply]


def page(status: int, body: object = b"", **headers: str) -> Answer:
    """An answer; a body that isn't bytes is sent as JSON. In header names `_` stands for `-`."""
    named = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    if isinstance(body, bytes):
        return Answer(status, {"content-type": "text/plain"} | named, body)
    return Answer(status, {"content-type": "application/json"} | named, json.dumps(body).encode())


def challenge(text: str = "") -> Answer:
    """A 401 with this `WWW-Authenticate`."""
    return page(401, **({"WWW_Authenticate": text} if text else {}))


class Web(Wire):
    """Answers from `served` by address; 404 for everything else. Hosts are as near as `near` says, by default public."""

    def __init__(self, served: Mapping[str, Served]) -> None:
        super().__init__("0")
        self.served = dict(served)
        self.near: dict[str, AddressClass] = {}
        self.asked: list[str] = []
        self.requests: list[Request] = []

    async def send(
        self,
        request: Request,
        *,
        limit: float,
        connect: float = CONNECT_LIMIT,
        cap: int = 1 << 20,
        on_reached: Callable[[AddressClass], None] = lambda reached: None,
    ) -> Reply:
        assert not url_problem(request.url), request.url
        host = urlsplit(request.url).hostname or ""
        reached = min(class_of_host(host), self.near.get(host, AddressClass.PUBLIC))
        if reached < request.nearest_allowed:
            return Fault(False, "request", f"Nothing was sent: {host} is near.")
        self.asked.append(f"{request.method} {request.url}")
        self.requests.append(request)
        on_reached(reached)
        there = self.served.get(request.url, page(404))
        return there(request) if callable(there) else there


def resource(**changes: Any) -> dict[str, Any]:
    """Resource metadata (RFC 9728) for `MCP`; None removes a field."""
    document = {"resource": MCP, "authorization_servers": [AS]} | changes
    return {name: value for name, value in document.items() if value is not None}


def server(**changes: Any) -> dict[str, Any]:
    """Server metadata (RFC 8414) for `AS`; None removes a field."""
    document = {
        "issuer": AS,
        "authorization_endpoint": f"{AS}/authorize",
        "token_endpoint": f"{AS}/token",
        "registration_endpoint": f"{AS}/register",
        "code_challenge_methods_supported": ["S256"],
    } | changes
    return {name: value for name, value in document.items() if value is not None}


def internet(**changes: Served) -> Web:
    """A workload, its metadata and its authorization server, all correct. Keys: mcp, path, root, login."""
    places = {"mcp": MCP, "path": PATH_DOCUMENT, "root": ROOT_DOCUMENT, "login": AS_DOCUMENT}
    served: dict[str, Served] = {
        "mcp": challenge(f'Bearer resource_metadata="{PATH_DOCUMENT}"'),
        "path": page(200, resource()),
        "login": page(200, server()),
    } | changes
    return Web({places[name]: answer for name, answer in served.items()})
