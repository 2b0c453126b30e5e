"""`OAuthServer`, the object that a test works with. The endpoints live in their own files."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from aiohttp import web

from trayapp.oauthtest.authorize import AuthorizationEndpoint
from trayapp.oauthtest.background import Background
from trayapp.oauthtest.checks import Rule, Violation
from trayapp.oauthtest.device import ENDPOINT, GRANT_TYPE, PAGE, DeviceEndpoint
from trayapp.oauthtest.faults import HTML, NO_STORE, PORTAL_PATH
from trayapp.oauthtest.grants import Grant, OAuthError
from trayapp.oauthtest.log import Record
from trayapp.oauthtest.proofs import Proofs
from trayapp.oauthtest.pushed import ENDPOINT as PAR
from trayapp.oauthtest.pushed import PushedEndpoint
from trayapp.oauthtest.registration import ENDPOINT as REGISTER
from trayapp.oauthtest.registration import RegistrationEndpoint
from trayapp.oauthtest.script import Mode
from trayapp.oauthtest.settings import ServerSettings
from trayapp.oauthtest.state import ServerState, error_response
from trayapp.oauthtest.token import TokenRoute, with_changes


class OAuthServer(ServerSettings):
    """A scriptable authorization server on 127.0.0.1, alive inside its `with` statement.

    It runs on a thread of its own, so synchronous and asynchronous tests use it alike; every method may be called from
    any thread. Leaving the context ends it within a second and raises `ClientMisbehaved` or `ScriptNotUsedUp`, unless
    another exception is already being raised or `check` is false. The options are those of `ServerSettings`.
    """

    def __post_init__(self) -> None:
        self._background = Background(self._application, name="oauthtest", tls=self.ssl_context, host=self.host)
        self._state = ServerState(self, lambda: self._background.url)
        self._authorization = AuthorizationEndpoint(self._state)
        self._token = TokenRoute(self._state)
        self._device = DeviceEndpoint(self._state)

    def __repr__(self) -> str:
        return f"<OAuthServer on port {self._background.port or 'none'}, mode {self.mode.name}>"

    def __enter__(self) -> Self:
        self._background.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._background.stop()
        if kind is None and self.check:
            self.verify()

    def verify(self) -> None:
        """Raise `ClientMisbehaved` or `ScriptNotUsedUp` now, if there is a reason to."""
        with self._state.lock:
            self._state.checks.finish()
            self._state.script.finish()

    # --- where it is -----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return self._background.url

    @property
    def issuer(self) -> str:
        """The issuer of its metadata: `url`."""
        return self.url

    @property
    def authorization_endpoint(self) -> str:
        """Where the browser goes."""
        return self.url + "/authorize"

    @property
    def token_endpoint(self) -> str:
        """Where codes and refresh tokens go."""
        return self.url + "/token"

    @property
    def revocation_endpoint(self) -> str:
        """The revocation endpoint (RFC 7009)."""
        return self.url + "/revoke"

    @property
    def device_authorization_endpoint(self) -> str:
        """The device authorization endpoint (RFC 8628); exists with `device`."""
        return self.url + ENDPOINT

    def down(self) -> None:
        """Refuse connections, and drop the open ones, until `up`."""
        self._background.down()

    def up(self) -> None:
        """Listen again on the same port, with the same memory."""
        self._background.up()

    # --- what the token endpoint does ------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """What the token endpoint does when no script is left. Set it to change that."""
        return self._state.script.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        with self._state.lock:
            self._state.script.mode = Mode(mode)

    def script(self, *modes: Mode) -> None:
        """Play these modes, one for each coming token request, after those already queued; then `mode` applies again."""
        with self._state.lock:
            self._state.script.add(*modes)

    @property
    def script_rest(self) -> tuple[Mode, ...]:
        """The modes still to be played."""
        with self._state.lock:
            return self._state.script.rest

    def clear_script(self) -> None:
        """Forget the modes still to be played."""
        with self._state.lock:
            self._state.script.clear()

    def release(self, mode: Mode = Mode.SUCCESS) -> None:
        """Let hanging requests continue as in this mode, and slow ones answer now. A request that hangs in its body is
        closed, because that body was never meant to be completed."""
        self._background.call_soon(lambda: self._token.release(mode))

    # --- what it gave out ------------------------------------------------------------------------------------------

    def issue(self, scope: str = "", subject: str | None = None) -> Grant:
        """A login without a browser: a new family with its first refresh token and access token."""
        with self._state.lock:
            return self._state.grants.issue(scope, self.subject if subject is None else subject)

    def revoke(self, family: str) -> None:
        """Revoke one family, as its user or an administrator would."""
        with self._state.lock:
            self._state.grants.end(family)

    def revoke_all(self) -> None:
        """Revoke every family."""
        with self._state.lock:
            for family in self._state.grants.live():
                self._state.grants.end(family)

    def live_families(self) -> tuple[str, ...]:
        """The families that can still be refreshed, oldest first."""
        with self._state.lock:
            return self._state.grants.live()

    def current_refresh_token(self, family: str) -> str:
        """The newest refresh token of a family, whether or not the client ever received it. Raises `KeyError`."""
        with self._state.lock:
            return self._state.grants.current(family)

    def valid_access(self, token: str) -> bool:
        """Whether a resource would accept this access token now."""
        with self._state.lock:
            return self._state.grants.valid_access(token)

    def access_key(self, token: str) -> str:
        """The thumbprint of the key that an access token is bound to; empty if to none."""
        with self._state.lock:
            return self._state.keys.get(self._state.grants.family_of(token), "")

    def new_nonce(self) -> None:
        """The token endpoint asks for another nonce from now on."""
        with self._state.lock:
            self._state.proofs.renew()

    def resource_proofs(self) -> Proofs:
        """Checks for a resource of its own, whose violations count as this server's."""
        return Proofs(self._state.checks, nonces=self.dpop_nonces)

    def user_codes(self) -> tuple[str, ...]:
        """User codes that nobody has entered yet, oldest first."""
        with self._state.lock:
            return self._state.devices.pending_user_codes()

    def approve(self, user_code: str) -> None:
        """A person entered the code and agreed. Raises `KeyError` for an unknown one."""
        with self._state.lock:
            self._state.devices.decide(user_code, approved=True)

    def deny(self, user_code: str) -> None:
        """A person entered the code and declined. Raises `KeyError` for an unknown one."""
        with self._state.lock:
            self._state.devices.decide(user_code, approved=False)

    def new_keys(self) -> None:
        """Sign ID tokens with other keys from now on."""
        self._state.signer.forget()

    # --- what it saw -----------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Record]:
        """A copy of the request log, oldest first."""
        return self._state.log.all()

    @property
    def violations(self) -> list[Violation]:
        """The violations of the client so far."""
        with self._state.lock:
            return list(self._state.checks.found)

    def count(self, kind: str, *, grant: str | None = None, outcome: str | None = None) -> int:
        """How many requests of this kind came, with this grant_type and outcome (None: any)."""
        return self._state.log.count(kind, grant, outcome)

    def wait(
        self, kind: str, *, grant: str | None = None, outcome: str | None = None, times: int = 1, timeout: float = 5.0
    ) -> bool:
        """Block until that many requests came; False after `timeout` seconds. In a coroutine use `asyncio.to_thread`."""
        return self._state.log.wait(kind, grant, outcome, times, timeout)

    @property
    def max_in_flight(self) -> int:
        """The largest number of token requests in flight at the same time."""
        with self._state.lock:
            return self._token.max_in_flight

    @property
    def connections(self) -> int:
        """TCP connections accepted so far."""
        return self._background.connections

    # --- the application -------------------------------------------------------------------------------------------

    def _application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/authorize", self._authorization.authorize)
        app.router.add_post("/consent", self._authorization.consent)
        app.router.add_route("*", "/token", self._token.handle)
        app.router.add_route("*", "/revoke", self._revoke)
        app.router.add_get("/.well-known/oauth-authorization-server", self._metadata)
        app.router.add_get("/.well-known/openid-configuration", self._metadata)
        app.router.add_get("/jwks", self._jwks)
        if self.device:
            app.router.add_route("*", ENDPOINT, self._device.authorize)
            app.router.add_get(PAGE, self._device.page)
            app.router.add_post(PAGE, self._device.page)
        if self.pushed:
            app.router.add_route("*", PAR, PushedEndpoint(self._state, self._authorization).push)
        if self.registration:
            app.router.add_post(REGISTER, RegistrationEndpoint(self._state).register)
        app.router.add_route("*", PORTAL_PATH, self._portal)
        return app

    async def _metadata(self, request: web.Request) -> web.StreamResponse:
        """RFC 8414 section 3.2; the same document for OpenID Connect Discovery."""
        number = self._state.log.add("metadata", self.clock(), request.method)
        try:
            await self._state.receive(request, request.path)
        except OAuthError as problem:
            self._state.log.outcome(number, problem.code)
            return error_response(problem)
        self._state.log.outcome(number, "ok")
        return web.json_response(with_changes(self._metadata_document(), self.metadata_changes))

    def _metadata_document(self) -> dict[str, object]:
        auth_methods = ["none"] if self.client_secret is None else ["client_secret_basic", "client_secret_post"]
        auth_methods = auth_methods if self.client_key is None else ["private_key_jwt"]
        document: dict[str, object] = {
            "issuer": self.issuer,
            "authorization_endpoint": self.authorization_endpoint,
            "token_endpoint": self.token_endpoint,
            "revocation_endpoint": self.revocation_endpoint,
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": auth_methods,
            "revocation_endpoint_auth_methods_supported": auth_methods,
            "authorization_response_iss_parameter_supported": self.send_iss,
        }
        if self.subject is not None:
            document["jwks_uri"] = f"{self.url}/jwks"
        if self.device:
            document["device_authorization_endpoint"] = self.device_authorization_endpoint
            document["grant_types_supported"] = ["authorization_code", "refresh_token", GRANT_TYPE]
        if self.registration:
            document["registration_endpoint"] = self.url + REGISTER
        if self.pushed:
            document["pushed_authorization_request_endpoint"] = self.url + PAR
            document["require_pushed_authorization_requests"] = self.pushed == "required"
        if self.dpop:
            document["dpop_signing_alg_values_supported"] = ["ES256"]
        if self.scopes:
            document["scopes_supported"] = list(self.scopes)
        return document

    async def _revoke(self, request: web.Request) -> web.StreamResponse:
        """RFC 7009: an unknown token is answered with 200 too."""
        state = self._state
        number: int | None = None
        try:
            await state.receive(request, "/revoke")
            form = await state.form(request, "/revoke")
            number = state.log.add("revoke", self.clock(), request.method, form)
            with state.lock:
                state.authenticate(form, request.headers.get("Authorization"), "/revoke")
                known = state.grants.revoke(state.require(form, "token", "/revoke"))
        except OAuthError as problem:
            if number is None:
                number = state.log.add("revoke", self.clock(), request.method)
            state.log.outcome(number, problem.code)
            return error_response(problem)
        state.log.outcome(number, "ok" if known else "unknown_token")
        return web.Response(headers=NO_STORE)

    async def _jwks(self, request: web.Request) -> web.StreamResponse:
        """RFC 7517 section 5."""
        number = self._state.log.add("jwks", self.clock(), request.method)
        self._state.log.outcome(number, "ok")
        return web.json_response(self._state.signer.keys())

    async def _portal(self, request: web.Request) -> web.StreamResponse:
        """Where `Mode.CAPTIVE_REDIRECT` points. A client must never go there with a token."""
        number = self._state.log.add("portal", self.clock(), request.method)
        with self._state.lock:
            self._state.checks.note(Rule.FOLLOWED_REDIRECT, f"{request.method} to the portal")
        self._state.log.outcome(number, "ok")
        return web.Response(text="<h1>Welcome to the guest network</h1>", headers={"Content-Type": HTML})
