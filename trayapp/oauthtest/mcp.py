"""MCP echo server behind a Bearer token: one tool, `echo`, over streamable HTTP with plain JSON responses.

It implements enough of the protocol for a client to connect and call (initialize, ping, tools/list, tools/call), and
for a proxy to be judged by it. It opens no event stream, so GET is 405, as the transport allows.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from trayapp.oauthtest.background import Background
from trayapp.oauthtest.forms import digest
from trayapp.oauthtest.proofs import BadProof
from trayapp.oauthtest.server import OAuthServer

PATH = "/mcp"
METADATA_PATH = "/.well-known/oauth-protected-resource" + PATH  # RFC 9728 section 3.1
VERSIONS = (
    "2025-11-25",
    "2025-06-18",
    "2025-03-26",
)  # newest first, which is offered to clients that ask for an unknown one
SESSION = "Mcp-Session-Id"

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602  # JSON-RPC 2.0

ECHO_TOOL = {
    "name": "echo",
    "description": "Says what it is told",
    "inputSchema": {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]},
}


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One request that arrived. `token` is the digest of its Bearer token, "" without one."""

    http_method: str
    outcome: str  # ok, no_token, invalid_token, rejected
    token: str = ""
    rpc_method: str = ""


class _RpcError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class EchoWorkload:
    """An MCP echo server that requires an access token of the given `OAuthServer`, alive inside its `with` statement.

    Every method may be called from any thread. `url` is where a client connects.
    """

    def __init__(self, server: OAuthServer, *, name: str = "echo") -> None:
        self.name = name
        self._server = server
        self._background = Background(self._application, name=f"oauthtest workload {name}")
        self._lock = threading.Lock()
        self.proofs = server.resource_proofs()  # of bound tokens; its nonces are not the authorization server's
        self._calls: list[RecordedCall] = []
        self._sessions: set[str] = set()
        self._reject = 0
        self._reject_all = False
        self._rejected: set[str] = set()  # digests of tokens

    def __repr__(self) -> str:
        return f"<EchoWorkload {self.name!r} on port {self._background.port or 'none'}>"

    def __enter__(self) -> Self:
        self._background.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._background.stop()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT/mcp`."""
        return self._background.url + PATH

    def reject(self, times: int = 1) -> None:
        """Answer the next requests with 401 although their token is valid."""
        with self._lock:
            self._reject = times

    def reject_all(self) -> None:
        """Answer every request with 401, until `accept`."""
        with self._lock:
            self._reject_all = True

    def reject_seen(self) -> None:
        """Answer every request with 401 that brings a token which was seen already, until `accept`."""
        with self._lock:
            self._rejected = {call.token for call in self._calls}

    def accept(self) -> None:
        """Accept valid tokens again."""
        with self._lock:
            self._reject, self._reject_all, self._rejected = 0, False, set()

    def down(self) -> None:
        """Refuse connections, and drop the open ones, until `up`."""
        self._background.down()

    def up(self) -> None:
        """Listen again on the same port."""
        self._background.up()

    @property
    def calls(self) -> list[RecordedCall]:
        """A copy of the log, oldest first."""
        with self._lock:
            return list(self._calls)

    def count(self, outcome: str | None = None) -> int:
        """How many requests had this outcome (None: any)."""
        return sum(outcome in (None, call.outcome) for call in self.calls)

    # --- the application -------------------------------------------------------------------------------------------

    def _application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", PATH, self._handle)
        app.router.add_get(METADATA_PATH, self._metadata)
        return app

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        """RFC 9728 section 3.2."""
        document = {"resource": self.url, "authorization_servers": [self._server.issuer], "resource_name": self.name}
        if self._server.dpop:
            return web.json_response({**document, "dpop_bound_access_tokens_required": True})
        return web.json_response({**document, "bearer_methods_supported": ["header"]})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == ("dpop" if self._server.dpop else "bearer") else ""
        outcome = self._check_token(token)
        if self._server.dpop and outcome == "ok":
            outcome = self._check_proof(request, token)
        message = await _message(request) if request.method == "POST" else None
        called = message.get("method") if isinstance(message, dict) else None
        with self._lock:
            seen = digest(token) if token else ""
            self._calls.append(RecordedCall(request.method, outcome, seen, called if isinstance(called, str) else ""))
        if outcome != "ok":
            return self._challenge(outcome)
        session = request.headers.get(SESSION)
        with self._lock:
            if session is not None and session not in self._sessions:
                return web.json_response(_error(None, INVALID_REQUEST, "The session is not known"), status=404)
            if request.method == "DELETE":
                self._sessions.discard(session or "")
                return web.Response()
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST, DELETE"})
        return self._reply_to(message)

    def _check_token(self, token: str) -> str:
        if not token:
            return "no_token"
        if not self._server.valid_access(token):
            return "invalid_token"
        with self._lock:
            if self._reject > 0:
                self._reject -= 1
                return "rejected"
            return "rejected" if self._reject_all or digest(token) in self._rejected else "ok"

    def _check_proof(self, request: web.Request, token: str) -> str:
        """RFC 9449 section 7.1: a proof of the key that the token is bound to."""
        with self._lock:
            try:
                key = self.proofs.check(request.headers.get("DPoP"), request.method, self.url, token)
            except BadProof as problem:
                return problem.code
        return "ok" if key == self._server.access_key(token) else "invalid_dpop_proof"

    def _challenge(self, outcome: str) -> web.Response:
        """The 401 of RFC 6750 section 3, which has no error code if there was no token."""
        parts = [f'resource_metadata="{self._background.url}{METADATA_PATH}"']
        if outcome != "no_token":
            parts += ['error="invalid_token"', 'error_description="The access token is expired, revoked or unknown"']
        if outcome in ("use_dpop_nonce", "invalid_dpop_proof"):
            parts[1] = f'error="{outcome}"'
        scheme = "DPoP" if self._server.dpop else "Bearer"
        headers = {"WWW-Authenticate": f"{scheme} " + ", ".join(parts)}
        if self._server.dpop and self.proofs.nonce:
            headers["DPoP-Nonce"] = self.proofs.nonce
        return web.json_response({"error": "unauthorized"}, status=401, headers=headers)

    def _reply_to(self, message: object) -> web.Response:
        if message is None:
            return web.json_response(_error(None, PARSE_ERROR, "The body is not JSON"), status=400)
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            return web.json_response(_error(None, INVALID_REQUEST, "Not one JSON-RPC request"), status=400)
        if "id" not in message:
            return web.Response(status=202)  # a notification
        params = message.get("params", {})
        try:
            result = _result(message["method"], params if isinstance(params, dict) else {})
        except _RpcError as problem:
            return web.json_response(_error(message["id"], problem.code, str(problem)))
        headers = {}
        if message["method"] == "initialize":
            headers[SESSION] = secrets.token_hex(16)
            with self._lock:
                self._sessions.add(headers[SESSION])
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers=headers)


async def _message(request: web.Request) -> Any:
    """The JSON of a request's body; None if it isn't JSON."""
    try:
        return json.loads(await request.read())
    except ValueError:
        return None


def _result(method: str, params: Mapping[str, Any]) -> dict[str, object]:
    match method:
        case "initialize":
            wanted = params.get("protocolVersion")
            version = wanted if wanted in VERSIONS else VERSIONS[0]
            server = {"name": "oauthtest-echo", "version": "1"}
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [ECHO_TOOL]}
        case "tools/call":
            return _call(params)
        case _:
            raise _RpcError(METHOD_NOT_FOUND, "Method not found")


def _call(params: Mapping[str, Any]) -> dict[str, object]:
    if params.get("name") != "echo":
        raise _RpcError(INVALID_PARAMS, "The only tool is echo")
    arguments = params.get("arguments")
    text = arguments.get("message") if isinstance(arguments, dict) else None
    if not isinstance(text, str):
        raise _RpcError(INVALID_PARAMS, "echo wants a message, which is text")
    return {"content": [{"type": "text", "text": text}], "isError": False}


def _error(number: object, code: int, text: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}
