"""Authorization endpoint and consent page (RFC 6749 section 4.1, RFC 7636, RFC 8252, RFC 8707, RFC 9207)."""

from __future__ import annotations

import html
import secrets
from collections.abc import Callable, Collection, Mapping
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from trayapp.oauthtest.checks import CHALLENGE, Rule
from trayapp.oauthtest.faults import HTML, NO_STORE
from trayapp.oauthtest.grants import AuthorizationRequest, OAuthError
from trayapp.oauthtest.state import ServerState, error_response

LOOPBACK = ("127.0.0.1", "::1")


class AuthorizationEndpoint:
    """Shows the consent page or decides automatically. A client that can't be trusted with an answer gets a page with
    the reason."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._pending_requests: dict[str, AuthorizationRequest] = {}
        self.resolve: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda query: query  # RFC 9126

    async def authorize(self, request: web.Request) -> web.StreamResponse:
        """GET /authorize."""
        server = self._server
        try:
            query = await server.receive(request, "/authorize")
        except OAuthError as problem:
            number = server.log.add("authorize", server.settings.clock(), request.method)
            server.log.outcome(number, problem.code)
            return _page("This sign-in cannot work", problem.text, status=400)
        number = server.log.add("authorize", server.settings.clock(), request.method, query=query)
        with server.lock:
            try:
                query = dict(self.resolve(query))
                redirect_uri = self._redirect_uri(query)
            except OAuthError as problem:
                server.log.outcome(number, problem.code)
                return _page("This sign-in cannot work", problem.text, status=400)
            try:
                authorization = self._read_request(query, redirect_uri)
            except OAuthError as problem:
                server.log.outcome(number, problem.code)
                return self._redirect(
                    redirect_uri, query.get("state"), error=problem.code, error_description=problem.text
                )
            server.log.outcome(number, "page" if server.settings.consent == "page" else "ok")
            return self._consent(authorization)

    async def consent(self, request: web.Request) -> web.StreamResponse:
        """POST /consent: a person pressed a button of the page."""
        server = self._server
        try:
            form = await server.form(request, "/consent")
        except OAuthError as problem:
            return error_response(problem)
        number = server.log.add("consent", server.settings.clock(), request.method)
        with server.lock:
            authorization = self._pending_requests.pop(form.get("ticket", ""), None)
            if authorization is None:
                server.log.outcome(number, "expired")
                return _page("This page has expired", "Start the sign-in again.", status=400)
            approved = form.get("choice") == "allow"
            server.log.outcome(number, "ok" if approved else "access_denied")
            return self._redirect_with_code(authorization) if approved else self._redirect_denied(authorization)

    def read(self, query: Mapping[str, str]) -> AuthorizationRequest:
        """The request that these parameters make. Raises `OAuthError`."""
        return self._read_request(query, self._redirect_uri(query))

    def _redirect_uri(self, query: Mapping[str, str]) -> str:
        """Check the client and its redirect_uri: an error in either must not be redirected anywhere."""
        server = self._server
        if server.require(query, "client_id", "/authorize") != server.settings.client_id:
            raise OAuthError("invalid_client", "The client is not known.")
        uri = server.require(query, "redirect_uri", "/authorize")
        problem = _redirect_problem(uri, (*LOOPBACK, "localhost") if server.settings.localhost else LOOPBACK)
        if problem:
            server.checks.note(Rule.BAD_REDIRECT, f"redirect_uri {problem}")
            raise OAuthError("invalid_request", f"The redirect_uri {problem}.")
        return uri

    def _read_request(self, query: Mapping[str, str], redirect_uri: str) -> AuthorizationRequest:
        server, checks = self._server, self._server.checks
        if server.require(query, "response_type", "/authorize") != "code":
            checks.note(Rule.UNSUPPORTED, "a response_type that is not code")
            raise OAuthError("unsupported_response_type", "Only code is supported")
        state = query.get("state")
        if not state:
            checks.note(Rule.STATE_MISSING, "a request to /authorize without state")
            raise OAuthError("invalid_request", "state is missing")
        challenge = self._challenge(query)
        checks.sign_in(state, challenge)
        resource = self._resource(query)
        scope = self._scope(query)
        return AuthorizationRequest(
            challenge, state, redirect_uri, scope, resource, query.get("nonce", ""), query.get("dpop_jkt", "")
        )

    def _challenge(self, query: Mapping[str, str]) -> str:
        checks = self._server.checks
        challenge = query.get("code_challenge")
        if not challenge:
            checks.note(Rule.PKCE_MISSING, "a request to /authorize without code_challenge")
            raise OAuthError("invalid_request", "code_challenge is missing")
        if query.get("code_challenge_method") != "S256":
            checks.note(Rule.PKCE_WRONG, "the code_challenge_method is not S256")
            raise OAuthError("invalid_request", "code_challenge_method must be S256")
        if not CHALLENGE.fullmatch(challenge):
            checks.note(Rule.PKCE_WRONG, f"a code_challenge of {len(challenge)} characters is none of S256")
            raise OAuthError("invalid_request", "code_challenge must be 43 characters of base64url")
        return challenge

    def _resource(self, query: Mapping[str, str]) -> str:
        wanted, resource_given = self._server.settings.resource, query.get("resource", "")
        if wanted is not None and resource_given != wanted:
            self._server.checks.note(Rule.WRONG_RESOURCE, "a request to /authorize without the expected resource")
            raise OAuthError("invalid_target", "resource is missing or not known")
        return resource_given

    def _scope(self, query: Mapping[str, str]) -> str:
        offered = self._server.settings.scopes
        scopes = query.get("scope", " ".join(offered)).split()
        if offered and not set(scopes) <= set(offered):
            raise OAuthError("invalid_scope", "A scope is not known")
        return " ".join(scopes)

    def _consent(self, authorization: AuthorizationRequest) -> web.Response:
        match self._server.settings.consent:
            case "auto":
                return self._redirect_with_code(authorization)
            case "deny":
                return self._redirect_denied(authorization)
            case "page":
                ticket = secrets.token_urlsafe(16)
                self._pending_requests[ticket] = authorization
                return _consent_page(self._server.settings.client_id, authorization.scope, ticket)

    def _redirect_with_code(self, authorization: AuthorizationRequest) -> web.Response:
        return self._redirect(
            authorization.redirect_uri, authorization.state, code=self._server.grants.issue_code(authorization)
        )

    def _redirect_denied(self, authorization: AuthorizationRequest) -> web.Response:
        return self._redirect(
            authorization.redirect_uri, authorization.state, error="access_denied", error_description="The user said no"
        )

    def _redirect(self, redirect_uri: str, state: str | None, **parameters: str) -> web.Response:
        settings = self._server.settings
        if state is not None:
            parameters["state"] = state
        if settings.send_iss:
            parameters["iss"] = settings.wrong_iss or self._server.base()
        separator = "&" if urlsplit(redirect_uri).query else "?"
        location = redirect_uri + separator + urlencode(parameters)
        return web.Response(status=303, headers={**NO_STORE, "Location": location, "Referrer-Policy": "no-referrer"})


def _redirect_problem(uri: str, hosts: Collection[str]) -> str:
    """What is wrong with a native app's redirect URI (RFC 8252 sections 7.3 and 8.3), or an empty text."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme != "http" or host not in hosts:
        return "is not http on 127.0.0.1 or [::1]"
    if port is None:
        return "names no port"
    if "#" in uri or "@" in parts.netloc:
        return "has a fragment or a user name"
    return ""


def _page(title: str, text: str, *, status: int = 200) -> web.Response:
    title, text = html.escape(title), html.escape(text)
    body = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"
    return web.Response(status=status, body=body.encode(), headers={**NO_STORE, "Content-Type": HTML})


def _consent_page(client_id: str, scope: str, ticket: str) -> web.Response:
    body = (
        "<!DOCTYPE html><html><head><title>Allow access?</title></head><body><h1>Allow access?</h1>"
        f"<p><b>{html.escape(client_id)}</b> asks for: {html.escape(scope or 'access')}</p>"
        f'<form method="post" action="/consent"><input type="hidden" name="ticket" value="{ticket}">'
        '<button id="allow" name="choice" value="allow">Allow</button> '
        '<button id="deny" name="choice" value="deny">Deny</button></form></body></html>'
    )
    return web.Response(body=body.encode(), headers={**NO_STORE, "Content-Type": HTML})
