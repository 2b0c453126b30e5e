"""The token endpoint: checks the client, takes a mode from the script, and plays it.

A request is counted when it has been read, before it is answered. Only a *decision* (modes SUCCESS, SLOW and
DROPPED_ANSWER) touches a grant; every other mode leaves the refresh token as good as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping

from aiohttp import web

from trayapp.oauthtest.checks import VERIFIER, Rule, fits
from trayapp.oauthtest.device import GRANT_TYPE
from trayapp.oauthtest.faults import NO_STORE, canned, cut_answer, hang_up
from trayapp.oauthtest.forms import digest
from trayapp.oauthtest.grants import Grant, OAuthError, real_lifetime
from trayapp.oauthtest.script import Mode
from trayapp.oauthtest.state import ServerState, refusal

WHERE = "/token"


class TokenRoute:
    """POST /token."""

    def __init__(self, shared: ServerState) -> None:
        self._shared = shared
        self._hanging: set[asyncio.Future[Mode]] = set()
        self._in_flight: dict[int, tuple[web.Request, str]] = {}  # the family of a refresh request, else ""
        self.max_in_flight = 0

    def release(self, mode: Mode) -> None:
        """On the server's loop: let every hanging request go on as in this mode, and every slow one answer now."""
        for waiting in self._hanging:
            if not waiting.done():
                waiting.set_result(mode)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One token request."""
        shared = self._shared
        form: dict[str, str] = {}
        broken: OAuthError | None = None
        try:
            await shared.arrive(request, WHERE)
            form = await shared.form(request, WHERE)
        except OAuthError as problem:
            broken = problem
        with shared.changed:
            family = self._judge(form)
            number = shared.log.add("token", shared.settings.clock(), request.method, form)
            mode = shared.script.next()
        with self._under_way(number, request, family):
            return await self._play(mode, request, form, number, broken)

    async def _play(
        self, mode: Mode, request: web.Request, form: Mapping[str, str], number: int, broken: OAuthError | None
    ) -> web.StreamResponse:
        shared, settings = self._shared, self._shared.settings
        if mode is Mode.SUCCESS:
            return self._decide(request, form, number, broken)
        if mode is Mode.SLOW:
            answer = self._decide(request, form, number, broken)
            await self._wait(settings.delay)
            return answer
        if mode is Mode.DROPPED_ANSWER:
            self._decide(request, form, number, broken)
        shared.log.outcome(number, mode.value)
        match mode:
            case Mode.HANG_BEFORE_HEADERS:
                then = await self._wait(None)
                return await self._play(then, request, form, number, broken)
            case Mode.HANG_IN_BODY:
                waiting = self._waiting()
                await cut_answer(request, shared.grants.token("at"))
                await waiting
                return await hang_up(request)
            case Mode.TRUNCATED_BODY:
                await cut_answer(request, shared.grants.token("at"))
                return await hang_up(request)
            case Mode.EOF | Mode.DROPPED_ANSWER:
                return await hang_up(request)
            case Mode.RESET:
                return await hang_up(request, reset=True)
            case _:
                return canned(mode, settings.retry_after, shared.base(), shared.grants.token("at"))

    # --- waiting -------------------------------------------------------------------------------------------------

    def _waiting(self) -> asyncio.Future[Mode]:
        future: asyncio.Future[Mode] = asyncio.get_running_loop().create_future()
        self._hanging.add(future)
        future.add_done_callback(self._hanging.discard)
        return future

    async def _wait(self, seconds: float | None) -> Mode:
        """Until `release`, or so long. The client's going cancels it."""
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting()
        except TimeoutError:
            return Mode.SUCCESS

    @contextlib.contextmanager
    def _under_way(self, number: int, request: web.Request, family: str) -> Iterator[None]:
        """Count the request among those in flight; one whose client has hung up is no longer."""
        with self._shared.changed:
            alive = [kin for other, kin in self._in_flight.values() if _connected(other)]
            if family and family in alive:
                self._shared.checks.note(Rule.TWO_AT_ONCE, f"two refresh requests of {family} in flight at once")
            self._in_flight[number] = (request, family)
            self.max_in_flight = max(self.max_in_flight, len(alive) + 1)
        try:
            yield
        finally:
            with self._shared.changed:
                del self._in_flight[number]

    # --- judging and deciding ------------------------------------------------------------------------------------

    def _judge(self, form: Mapping[str, str]) -> str:
        """What is wrong with the client whatever the answer will be; the family whose refresh token it shows, or ""."""
        checks, grants = self._shared.checks, self._shared.grants
        offered = ("authorization_code", "refresh_token", *((GRANT_TYPE,) if self._shared.settings.device else ()))
        if form and form.get("grant_type") not in offered:
            checks.note(Rule.UNSUPPORTED, "a grant_type that the metadata does not name")
        family, stale = grants.present(form.get("refresh_token", ""))
        if stale:
            checks.note(Rule.STALE_TOKEN, f"an old refresh token of {family} although its successor was used")
        return family

    def _decide(
        self, request: web.Request, form: Mapping[str, str], number: int, broken: OAuthError | None
    ) -> web.Response:
        shared = self._shared
        with shared.changed:
            try:
                if broken is not None:
                    raise broken
                shared.authenticate(form, request.headers.get("Authorization"), WHERE)
                grant = self._grant(form)
            except OAuthError as problem:
                shared.log.outcome(number, problem.code)
                return refusal(problem)
            shared.log.outcome(number, "ok")
            return web.json_response(self._answer(grant), headers=NO_STORE)

    def _grant(self, form: Mapping[str, str]) -> Grant:
        shared = self._shared
        match form.get("grant_type"):
            case "authorization_code":
                return self._redeem(form)
            case "refresh_token":
                return self._refresh(form)
            case kind if kind == GRANT_TYPE and shared.settings.device:
                return shared.devices.redeem(shared.need(form, "device_code", WHERE), form.get("resource"))
            case _:
                raise OAuthError("unsupported_grant_type", "Only authorization_code and refresh_token are supported")

    def _redeem(self, form: Mapping[str, str]) -> Grant:
        """RFC 6749 section 4.1.3 and RFC 7636 section 4.6. A code is spent by the first try, good or bad."""
        shared, checks, grants = self._shared, self._shared.checks, self._shared.grants
        code = shared.need(form, "code", WHERE)
        redirect_uri = shared.need(form, "redirect_uri", WHERE)
        verifier = form.get("code_verifier", "")
        if grants.used(code):
            checks.note(Rule.CODE_REUSED, "a code was sent twice")
        asked = grants.asked(code)
        checks.signed_in(asked.state)
        if not verifier:
            checks.note(Rule.PKCE_MISSING, "a code was sent without code_verifier")
            raise OAuthError("invalid_grant", "code_verifier is missing")
        if not VERIFIER.fullmatch(verifier) or not fits(verifier, asked.challenge):
            checks.note(Rule.PKCE_WRONG, "the code_verifier is illegal or does not fit the code_challenge")
            raise OAuthError("invalid_grant", "The code_verifier does not fit")
        if redirect_uri != asked.redirect_uri:
            checks.note(Rule.REDIRECT_CHANGED, "the redirect_uri differs from that of the authorization request")
            raise OAuthError("invalid_grant", "The redirect_uri differs")
        self._same_resource(form, needed=shared.settings.resource is not None)
        return grants.redeemed(code)

    def _refresh(self, form: Mapping[str, str]) -> Grant:
        """RFC 6749 section 6."""
        shared, grants = self._shared, self._shared.grants
        token = shared.need(form, "refresh_token", WHERE)
        self._same_resource(form, needed=False)
        granted = grants.scope_of(token)
        if granted is not None and not set(form.get("scope", "").split()) <= set(granted.split()):
            raise OAuthError("invalid_scope", "A scope was not granted at sign-in")
        try:
            return grants.refresh(token)
        except OAuthError:
            shared.checks.refused(digest(token))
            raise

    def _same_resource(self, form: Mapping[str, str], *, needed: bool) -> None:
        wanted, given = self._shared.settings.resource, form.get("resource")
        if wanted is not None and given != wanted and (needed or given is not None):
            self._shared.checks.note(Rule.WRONG_RESOURCE, "a token request without the expected resource")
            raise OAuthError("invalid_target", "resource is missing or not known")

    def _answer(self, grant: Grant) -> dict[str, object]:
        settings = self._shared.settings
        answer: dict[str, object] = {"access_token": grant.access_token, "token_type": "Bearer"}
        if settings.access_token_lifetime is not None:
            answer["expires_in"] = settings.access_token_lifetime
        if grant.refresh_token is not None:
            answer["refresh_token"] = grant.refresh_token
        if grant.scope:
            answer["scope"] = grant.scope
        if grant.subject is not None and "openid" in grant.scope.split():
            answer["id_token"] = self._id_token(grant, grant.subject)
        return changed(answer, settings.extra)

    def _id_token(self, grant: Grant, subject: str) -> str:
        """OpenID Connect Core section 2."""
        now, settings = int(time.time()), self._shared.settings
        claims: dict[str, object] = {"iss": self._shared.base(), "sub": subject, "aud": settings.client_id, "iat": now}
        claims["exp"] = now + max(1, int(real_lifetime(settings.access_token_lifetime)))
        if grant.nonce:
            claims["nonce"] = grant.nonce
        claims = changed(claims, settings.id_token_changes)
        return self._shared.signer.sign(claims, settings.id_token_alg, settings.client_secret or "")


def changed(answer: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """The same object with some keys set; `...` takes a key away."""
    return {name: value for name, value in {**answer, **changes}.items() if value is not ...}


def _connected(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()
