"""Token endpoint: checks the client, takes a mode from the script, and plays it.

A request is counted when it has been read, before it is answered. Only a *decision* (modes SUCCESS, SLOW and
DROPPED_ANSWER) touches a grant; every other mode leaves the refresh token as good as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping

from aiohttp import web

from trayapp.oauthtest.checks import VERIFIER, Rule, verifier_matches
from trayapp.oauthtest.device import GRANT_TYPE
from trayapp.oauthtest.faults import NO_STORE, canned, cut_answer, hang_up
from trayapp.oauthtest.forms import digest
from trayapp.oauthtest.grants import Grant, OAuthError, real_lifetime
from trayapp.oauthtest.proofs import BadProof
from trayapp.oauthtest.script import Mode
from trayapp.oauthtest.state import ServerState, error_response

ENDPOINT = "/token"


class TokenRoute:
    """POST /token."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._hanging: set[asyncio.Future[Mode]] = set()
        self._in_flight: dict[
            int, tuple[web.Request, str]
        ] = {}  # request number → request, and its family if it is a refresh, else ""
        self.max_in_flight = 0

    def release(self, mode: Mode) -> None:
        """Let every hanging request continue as in this mode, and every slow one answer now. Call it on the server's
        loop."""
        for hanging in self._hanging:
            if not hanging.done():
                hanging.set_result(mode)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Handle one token request."""
        server = self._server
        form: dict[str, str] = {}
        bad_request: OAuthError | None = None
        try:
            await server.receive(request, ENDPOINT)
            form = await server.form(request, ENDPOINT)
        except OAuthError as problem:
            bad_request = problem
        with server.lock:
            family = self._note_violations(form)
            number = server.log.add("token", server.settings.clock(), request.method, form)
            mode = server.script.next()
        with self._count_in_flight(number, request, family):
            return await self._play_mode(mode, request, form, number, bad_request)

    async def _play_mode(
        self, mode: Mode, request: web.Request, form: Mapping[str, str], number: int, bad_request: OAuthError | None
    ) -> web.StreamResponse:
        server, settings = self._server, self._server.settings
        if mode is Mode.SUCCESS:
            return self._answer_request(request, form, number, bad_request)
        if mode is Mode.SLOW:
            answer = self._answer_request(request, form, number, bad_request)
            await self._wait_for_release(settings.delay)
            return answer
        if mode is Mode.DROPPED_ANSWER:
            self._answer_request(request, form, number, bad_request)
        server.log.outcome(number, mode.value)
        match mode:
            case Mode.HANG_BEFORE_HEADERS:
                released_mode = await self._wait_for_release(None)
                return await self._play_mode(released_mode, request, form, number, bad_request)
            case Mode.HANG_IN_BODY:
                hanging = self._hang()
                await cut_answer(request, server.grants.token("at"))
                await hanging
                return await hang_up(request)
            case Mode.TRUNCATED_BODY:
                await cut_answer(request, server.grants.token("at"))
                return await hang_up(request)
            case Mode.EOF | Mode.DROPPED_ANSWER:
                return await hang_up(request)
            case Mode.RESET:
                return await hang_up(request, reset=True)
            case _:
                return canned(mode, settings.retry_after, server.base(), server.grants.token("at"))

    # --- waiting -------------------------------------------------------------------------------------------------

    def _hang(self) -> asyncio.Future[Mode]:
        future: asyncio.Future[Mode] = asyncio.get_running_loop().create_future()
        self._hanging.add(future)
        future.add_done_callback(self._hanging.discard)
        return future

    async def _wait_for_release(self, seconds: float | None) -> Mode:
        """Wait until `release`, or at most `seconds`. A client that hangs up cancels it."""
        try:
            async with asyncio.timeout(seconds):
                return await self._hang()
        except TimeoutError:
            return Mode.SUCCESS

    @contextlib.contextmanager
    def _count_in_flight(self, number: int, request: web.Request, family: str) -> Iterator[None]:
        """Count the request among those in flight; one whose client has hung up no longer counts."""
        with self._server.lock:
            alive = [other_family for other, other_family in self._in_flight.values() if _connected(other)]
            if family and family in alive:
                self._server.checks.note(
                    Rule.TWO_AT_ONCE, f"two refresh requests of {family} in flight at the same time"
                )
            self._in_flight[number] = (request, family)
            self.max_in_flight = max(self.max_in_flight, len(alive) + 1)
        try:
            yield
        finally:
            with self._server.lock:
                del self._in_flight[number]

    # --- judging and deciding ------------------------------------------------------------------------------------

    def _note_violations(self, form: Mapping[str, str]) -> str:
        """Note what is wrong with the client, whatever the answer will be. Returns the family whose refresh token it
        presents, or ""."""
        checks, grants = self._server.checks, self._server.grants
        offered = ("authorization_code", "refresh_token", *((GRANT_TYPE,) if self._server.settings.device else ()))
        if form and form.get("grant_type") not in offered:
            checks.note(Rule.UNSUPPORTED, "a grant_type that the metadata does not name")
        family, stale = grants.present(form.get("refresh_token", ""))
        if stale:
            checks.note(Rule.STALE_TOKEN, f"an old refresh token of {family} although its successor was used")
        return family

    def _answer_request(
        self, request: web.Request, form: Mapping[str, str], number: int, bad_request: OAuthError | None
    ) -> web.Response:
        server = self._server
        with server.lock:
            try:
                if bad_request is not None:
                    raise bad_request
                server.authenticate(form, request.headers.get("Authorization"), ENDPOINT)
                key = self._prove(request, form)
                grant = self._grant(form)
            except OAuthError as problem:
                server.log.outcome(number, problem.code)
                answer = error_response(problem)
                if server.settings.dpop and server.proofs.nonce:
                    answer.headers["DPoP-Nonce"] = server.proofs.nonce
                return answer
            if key:
                server.keys.setdefault(grant.family, key)
            server.log.outcome(number, "ok")
            return web.json_response(self._token_response(grant), headers=NO_STORE)

    def _prove(self, request: web.Request, form: Mapping[str, str]) -> str:
        """The key that the proof was made with (RFC 9449 section 5). Nothing else happens to the request without one."""
        server = self._server
        if not server.settings.dpop:
            return ""
        try:
            key = server.proofs.check(request.headers.get("DPoP"), request.method, f"{server.base()}{ENDPOINT}")
        except BadProof as problem:
            raise OAuthError(problem.code, str(problem)) from None
        bound = server.keys.get(server.grants.family_of(form.get("refresh_token", "")), key)
        code = server.grants.code_key(form.get("code", "")) or key
        if key != bound or key != code:
            raise OAuthError("invalid_grant", "The token or code is bound to another key")
        return key

    def _grant(self, form: Mapping[str, str]) -> Grant:
        server = self._server
        match form.get("grant_type"):
            case "authorization_code":
                return self._redeem(form)
            case "refresh_token":
                return self._refresh(form)
            case kind if kind == GRANT_TYPE and server.settings.device:
                return server.devices.redeem(server.require(form, "device_code", ENDPOINT), form.get("resource"))
            case _:
                raise OAuthError("unsupported_grant_type", "Only authorization_code and refresh_token are supported")

    def _redeem(self, form: Mapping[str, str]) -> Grant:
        """RFC 6749 section 4.1.3 and RFC 7636 section 4.6. A code is spent by the first attempt, good or bad."""
        server, checks, grants = self._server, self._server.checks, self._server.grants
        code = server.require(form, "code", ENDPOINT)
        redirect_uri = server.require(form, "redirect_uri", ENDPOINT)
        verifier = form.get("code_verifier", "")
        if grants.code_was_used(code):
            checks.note(Rule.CODE_REUSED, "a code was sent twice")
        authorization = grants.consume_code(code)
        checks.signed_in(authorization.state)
        if not verifier:
            checks.note(Rule.PKCE_MISSING, "a code was sent without code_verifier")
            raise OAuthError("invalid_grant", "code_verifier is missing")
        if not VERIFIER.fullmatch(verifier) or not verifier_matches(verifier, authorization.challenge):
            checks.note(Rule.PKCE_WRONG, "the code_verifier is illegal or does not fit the code_challenge")
            raise OAuthError("invalid_grant", "The code_verifier does not fit")
        if redirect_uri != authorization.redirect_uri:
            checks.note(Rule.REDIRECT_CHANGED, "the redirect_uri differs from that of the authorization request")
            raise OAuthError("invalid_grant", "The redirect_uri differs")
        self._same_resource(form, required=server.settings.resource is not None)
        return grants.redeem_code(code)

    def _refresh(self, form: Mapping[str, str]) -> Grant:
        """RFC 6749 section 6."""
        server, grants = self._server, self._server.grants
        token = server.require(form, "refresh_token", ENDPOINT)
        self._same_resource(form, required=False)
        granted = grants.scope_of(token)
        if granted is not None and not set(form.get("scope", "").split()) <= set(granted.split()):
            raise OAuthError("invalid_scope", "A scope was not granted at sign-in")
        try:
            return grants.refresh(token)
        except OAuthError:
            server.checks.refused(digest(token))
            raise

    def _same_resource(self, form: Mapping[str, str], *, required: bool) -> None:
        expected, sent = self._server.settings.resource, form.get("resource")
        if expected is not None and sent != expected and (required or sent is not None):
            self._server.checks.note(Rule.WRONG_RESOURCE, "a token request without the expected resource")
            raise OAuthError("invalid_target", "resource is missing or not known")

    def _token_response(self, grant: Grant) -> dict[str, object]:
        settings = self._server.settings
        answer: dict[str, object] = {
            "access_token": grant.access_token,
            "token_type": "DPoP" if settings.dpop else "Bearer",
        }
        if settings.access_token_lifetime is not None:
            answer["expires_in"] = settings.access_token_lifetime
        if grant.refresh_token is not None:
            answer["refresh_token"] = grant.refresh_token
        if grant.scope:
            answer["scope"] = grant.scope
        if grant.subject is not None and "openid" in grant.scope.split():
            answer["id_token"] = self._id_token(grant, grant.subject)
        return with_changes(answer, settings.extra)

    def _id_token(self, grant: Grant, subject: str) -> str:
        """OpenID Connect Core section 2."""
        now, settings = int(time.time()), self._server.settings
        claims: dict[str, object] = {"iss": self._server.base(), "sub": subject, "aud": settings.client_id, "iat": now}
        claims["exp"] = now + max(1, int(real_lifetime(settings.access_token_lifetime)))
        if grant.nonce:
            claims["nonce"] = grant.nonce
        claims = with_changes(claims, settings.id_token_changes)
        return self._server.signer.sign(claims, settings.id_token_alg, settings.client_secret or "")


def with_changes(answer: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """The same object with some keys changed; `...` removes a key."""
    return {name: value for name, value in {**answer, **changes}.items() if value is not ...}


def _connected(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()
