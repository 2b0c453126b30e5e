"""Pushed authorization request endpoint (RFC 9126). A reference works once, for `pushed_lifetime` seconds."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from aiohttp import web

from trayapp.oauthtest.authorize import AuthorizationEndpoint
from trayapp.oauthtest.checks import Rule
from trayapp.oauthtest.faults import NO_STORE
from trayapp.oauthtest.grants import OAuthError
from trayapp.oauthtest.state import ServerState, error_response

ENDPOINT = "/par"
PREFIX = "urn:ietf:params:oauth:request_uri:"


class PushedEndpoint:
    """POST /par, and the requests that were pushed."""

    def __init__(self, server: ServerState, authorization: AuthorizationEndpoint) -> None:
        self._server = server
        self._authorization = authorization
        self._pushed: dict[str, tuple[Mapping[str, str], float]] = {}  # reference → request, and when it ends
        authorization.resolve = self.take

    async def push(self, request: web.Request) -> web.Response:
        """Sections 2.1 to 2.3: authenticate the client, and validate the request as the page itself would."""
        server, settings = self._server, self._server.settings
        form: dict[str, str] = {}
        number: int | None = None
        try:
            await server.receive(request, ENDPOINT)
            form = await server.form(request, ENDPOINT)
            with server.lock:
                number = server.log.add("pushed", settings.clock(), request.method, form)
                server.authenticate(form, request.headers.get("Authorization"), ENDPOINT)
                if settings.pushed_error:
                    raise OAuthError(settings.pushed_error, "As the test wants it")
                if "request_uri" in form:
                    server.checks.note(Rule.REQUEST_URI_PUSHED, "a pushed request with request_uri")
                    raise OAuthError("invalid_request", "request_uri can't be pushed")
                self._authorization.read(form)
                reference = PREFIX + secrets.token_urlsafe(24)
                self._pushed[reference] = (form, settings.clock() + settings.pushed_lifetime)
        except OAuthError as problem:
            if number is None:
                number = server.log.add("pushed", settings.clock(), request.method, form)
            server.log.outcome(number, problem.code)
            return error_response(problem)
        server.log.outcome(number, "ok")
        answer = {"request_uri": reference, "expires_in": int(settings.pushed_lifetime)}
        return web.json_response(answer, status=201, headers=NO_STORE)

    def take(self, query: Mapping[str, str]) -> Mapping[str, str]:
        """The request that a query at the authorization endpoint refers to (section 4). Raises `OAuthError`."""
        server, settings = self._server, self._server.settings
        reference = query.get("request_uri")
        if reference is None:
            if settings.pushed == "required":
                server.checks.note(Rule.NOT_PUSHED, "a request to /authorize that was not pushed")
                raise OAuthError("invalid_request", "The request must be pushed (RFC 9126).")
            return query
        if query.keys() - {"client_id", "request_uri"}:
            server.checks.note(Rule.NOT_PUSHED, "a request to /authorize with more than its reference")
        pushed, ends = self._pushed.pop(reference, ({}, 0.0))
        if not pushed or settings.clock() > ends or pushed.get("client_id") != query.get("client_id"):
            raise OAuthError("invalid_request_uri", "The reference was used, has expired, or is another client's.")
        return pushed
