"""Small authorization server for sign-in tests; it checks PKCE, redirect and client itself."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

ACCESS, REFRESH, CODE = "at-canary-77aa01", "rt-canary-88bb02", "code-canary-99cc03"


def id_token(**claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


@dataclass
class AuthServer:
    """Options for what it answers, and a record of what it was asked."""

    base: str = ""
    path: str = ""  # of the issuer
    metadata: dict[str, Any] = field(default_factory=dict)  # replaces fields; None removes one
    documents: tuple[str, ...] = ("/.well-known/oauth-authorization-server",)
    answer: dict[str, str] = field(default_factory=dict)  # replaces parameters of the redirect; "" removes one
    error: str = ""
    grant: dict[str, Any] = field(default_factory=dict)  # replaces fields of the token answer; None removes one
    token_status: int = 200
    hold: asyncio.Event | None = None  # the token endpoint waits for it
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # it has a token request
    registers: bool = False  # clients register themselves, and only those it knows are served
    forgotten: tuple[int, Any] = (401, {"error": "invalid_client"})  # what the token endpoint says of unknown clients
    registration: dict[str, Any] = field(default_factory=dict)  # replaces fields of its answer; None removes one
    legacy: bool = False  # the resource says nothing but 401 (MCP of 2025-03-26)
    protected: dict[str, Any] = field(default_factory=dict)  # replaces fields of the resource's metadata
    clients: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id, as they were registered
    proofs: list[str] = field(default_factory=list)  # the Authorization headers of the token endpoint
    requests: list[str] = field(default_factory=list)
    page: Callable[[web.Request], web.Response | None] = lambda _: None  # another answer at /authorize
    probed: list[dict[str, str]] = field(default_factory=list)  # requests of the app itself at /authorize
    authorized: list[dict[str, str]] = field(default_factory=list)  # those of browsers
    exchanged: list[dict[str, str]] = field(default_factory=list)
    pushes: bool = False  # requests have to be pushed (RFC 9126), and clients it doesn't know can't
    pushed: list[dict[str, str]] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return self.base + self.path

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        if request.path in self.documents:
            return web.json_response(self._metadata())
        if request.path == "/authorize":
            return self._authorize(request)
        if request.path == "/mcp":
            return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="x"'})
        if request.path == "/.well-known/oauth-protected-resource/mcp" and not self.legacy:
            document = {"resource": f"{self.base}/mcp", "authorization_servers": [self.issuer]} | self.protected
            return web.json_response(document)
        if request.path == "/register" and self.registers:
            return self._register(await request.json())
        if request.path == "/par" and self.pushes:
            return self._push({k: str(v) for k, v in (await request.post()).items()})
        if request.path == "/token" and (refusal := await self._refused(request)) is not None:
            return refusal
        if request.path == "/token":
            return await self._token({k: str(v) for k, v in (await request.post()).items()})
        return web.Response(status=404)

    def _push(self, form: dict[str, str]) -> web.Response:
        self.pushed.append(form)
        if form["client_id"] not in self.clients:
            return web.json_response({"error": "invalid_client"}, status=401)
        return web.json_response({"request_uri": f"urn:{len(self.pushed) - 1}", "expires_in": 90}, status=201)

    def _register(self, asked: dict[str, Any]) -> web.Response:
        client = {"client_id": f"c-{len(self.clients) + 1}", **asked, **self.registration}
        client = {key: value for key, value in client.items() if value is not None}
        self.clients[client["client_id"]] = client
        return web.json_response(client, status=201)

    async def _refused(self, request: web.Request) -> web.Response | None:
        """The refusal of an unknown client or code; the client is checked first (RFC 6749 section 5.2)."""
        form = await request.post()
        proof = request.headers.get("Authorization", "")
        self.proofs.append(proof)
        basic = base64.b64decode(proof.removeprefix("Basic ")).decode().partition(":")[0] if proof else ""
        if self.registers and form.get("client_id", basic) not in self.clients:
            return web.json_response(self.forgotten[1], status=self.forgotten[0])
        return None if form["code"] == CODE else web.json_response({"error": "invalid_grant"}, status=400)

    def _metadata(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.base}/authorize",
            "token_endpoint": f"{self.base}/token",
            "revocation_endpoint": f"{self.base}/revoke",
            "code_challenge_methods_supported": ["S256"],
            "registration_endpoint": f"{self.base}/register" if self.registers else None,
            "require_pushed_authorization_requests": self.pushes or None,
            "pushed_authorization_request_endpoint": f"{self.base}/par" if self.pushes else None,
        } | self.metadata
        return {key: value for key, value in document.items() if value is not None}

    def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        if self.pushes:
            assert {"client_id", "request_uri"} == asked.keys()
            asked = self.pushed[int(asked["request_uri"].removeprefix("urn:"))]
        own = request.headers.get("User-Agent", "").startswith("Amberlight/")
        (self.probed if own else self.authorized).append(asked)
        if (other := self.page(request)) is not None:
            return other
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        given = {"error": self.error} if self.error else {"code": CODE}
        given = given | {"state": asked["state"]} | self.answer
        query = urlencode({key: value for key, value in given.items() if value})
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{query}"})

    async def _token(self, form: dict[str, str]) -> web.Response:
        self.exchanged.append(form)
        self.asked.set()
        asked = self.authorized[-1]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        assert challenge.decode() == asked["code_challenge"]
        assert form["redirect_uri"] == asked["redirect_uri"]
        assert form.get("client_id", asked["client_id"]) == asked["client_id"]
        if self.hold is not None:
            await self.hold.wait()
        grant = {"access_token": ACCESS, "refresh_token": REFRESH, "token_type": "Bearer", "expires_in": 60}
        body = {key: value for key, value in (grant | self.grant).items() if value is not None}
        return web.json_response(body, status=self.token_status)


@contextlib.asynccontextmanager
async def auth_server(**knobs: Any) -> AsyncIterator[AuthServer]:
    """Listen on a free port of 127.0.0.1."""
    server = AuthServer(**knobs)
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        if server.hold is not None:
            server.hold.set()
        await runner.cleanup()
