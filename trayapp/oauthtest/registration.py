"""Client registration endpoint (RFC 7591). Everyone gets the server's one client id, as registrations are not kept apart."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from trayapp.oauthtest.faults import NO_STORE
from trayapp.oauthtest.grants import OAuthError
from trayapp.oauthtest.state import ServerState, error_response

ENDPOINT = "/register"


class RegistrationEndpoint:
    """POST /register."""

    def __init__(self, server: ServerState) -> None:
        self._server = server

    async def register(self, request: web.Request) -> web.Response:
        """Section 3.1: metadata with at least one redirect URI; section 3.2.1: the same with a client id."""
        server, settings = self._server, self._server.settings
        number = server.log.add("register", settings.clock(), request.method)
        try:
            await server.receive(request, ENDPOINT)
            metadata = await _metadata(request)
        except OAuthError as problem:
            server.log.outcome(number, problem.code)
            return error_response(problem)
        server.log.outcome(number, "ok")
        answer = {**metadata, "client_id": settings.client_id}
        if settings.client_secret is not None:
            answer |= {"client_secret": settings.client_secret, "client_secret_expires_at": 0}
        return web.json_response(answer, status=201, headers=NO_STORE)


async def _metadata(request: web.Request) -> dict[str, Any]:
    """Raises `OAuthError`."""
    try:
        metadata = await request.json()
    except ValueError:
        metadata = None
    if not isinstance(metadata, dict):
        raise OAuthError("invalid_client_metadata", "The body is no JSON object")
    uris = metadata.get("redirect_uris")
    if not isinstance(uris, list) or not uris or not all(isinstance(uri, str) for uri in uris):
        raise OAuthError("invalid_redirect_uri", "redirect_uris is missing")
    return metadata
