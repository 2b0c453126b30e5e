"""State shared by the endpoints of one server, and what each endpoint does first with a request.

One lock guards all of it: the condition of the request log. The endpoints hold it only between two awaits.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections.abc import Callable, Mapping

from aiohttp import web

from trayapp.oauthtest.assertions import verify
from trayapp.oauthtest.checks import Checks, Rule
from trayapp.oauthtest.device_codes import Devices
from trayapp.oauthtest.faults import NO_STORE
from trayapp.oauthtest.forms import SECRET_FIELDS, BadForm, basic_credentials, parse_form
from trayapp.oauthtest.grants import Grants, OAuthError
from trayapp.oauthtest.idtokens import Signer
from trayapp.oauthtest.log import Log
from trayapp.oauthtest.proofs import Proofs
from trayapp.oauthtest.script import Script
from trayapp.oauthtest.settings import ServerSettings

FORM = "application/x-www-form-urlencoded"


class ServerState:
    """The server's memory. `base` returns its own URL, which is also the issuer."""

    def __init__(self, settings: ServerSettings, base: Callable[[], str]) -> None:
        self.settings = settings
        self.base = base
        self.lock = threading.Condition()
        self.log = Log(self.lock)
        self.grants = Grants(settings)
        self.checks = Checks(settings.allow)
        self.script = Script()
        self.devices = Devices(settings, self.grants, self.checks)
        self.signer = Signer()
        self.proofs = Proofs(self.checks, nonces=settings.dpop_nonces)
        self.keys: dict[str, str] = {}  # family → thumbprint of the key that its tokens are bound to
        self._assertions: set[str] = set()  # that were used

    async def receive(self, request: web.Request, where: str) -> dict[str, str]:
        """Wait the latency and parse the query, which may hold no secret but those of RFC 6749 section 4.1.1."""
        if self.settings.latency > 0:
            await asyncio.sleep(self.settings.latency)
        with self.lock:
            self.checks.user_agent(request.headers.get("User-Agent"), where)
        return self.query(request, where)

    def query(self, request: web.Request, where: str) -> dict[str, str]:
        """The query of a request. Raises `OAuthError`."""
        try:
            query = parse_form(request.raw_path.partition("?")[2])
        except BadForm as problem:
            with self.lock:
                self.checks.note(Rule.BAD_FORM, f"the query of a request to {where}: {problem}")
            raise OAuthError("invalid_request", f"The query: {problem}") from None
        allowed = {"state", "code_challenge", "nonce"}
        for name in sorted(query.keys() & SECRET_FIELDS - allowed):
            with self.lock:
                self.checks.note(Rule.SECRET_IN_URL, f"{name} in the query of a request to {where}")
        return query

    async def form(self, request: web.Request, where: str) -> dict[str, str]:
        """The form in the body of a POST. Raises `OAuthError`."""
        if request.method != "POST":
            with self.lock:
                self.checks.note(Rule.WRONG_METHOD, f"{request.method} to {where}")
            raise OAuthError("invalid_request", "The method must be POST", 405)
        body = await request.read()
        try:
            if request.content_type != FORM:
                raise BadForm(f"the Content-Type is not {FORM}")
            return parse_form(body)
        except BadForm as problem:
            with self.lock:
                self.checks.note(Rule.BAD_FORM, f"the body of a request to {where}: {problem}")
            raise OAuthError("invalid_request", f"The body: {problem}") from None

    def require(self, fields: Mapping[str, str], name: str, where: str) -> str:
        """A required parameter. Raises `OAuthError`."""
        value = fields.get(name)
        if not value:
            self.checks.note(Rule.MISSING_PARAMETER, f"a request to {where} without {name}")
            raise OAuthError("invalid_request", f"{name} is missing")
        return value

    def authenticate(self, form: Mapping[str, str], header: str | None, where: str) -> None:
        """Authenticate the client (RFC 6749 section 2.3): by Basic header or in the body, never by both. Raises
        `OAuthError`."""
        if self.settings.client_key is not None:
            self._authenticate_by_key(form, self.settings.client_key, where)
            return
        basic = basic_credentials(header) if header else None
        if header and basic is None:
            raise OAuthError(
                "invalid_client", "The Authorization header is not Basic with a client's id and secret", 401
            )
        if basic and "client_secret" in form:
            self.checks.note(Rule.TWO_AUTHENTICATIONS, f"a request to {where} has its client secret twice")
            raise OAuthError("invalid_request", "Authenticate by header or by body, not by both")
        client_id, secret = basic or (self.require(form, "client_id", where), form.get("client_secret", ""))
        if client_id != self.settings.client_id or form.get("client_id", client_id) != client_id:
            raise OAuthError("invalid_client", "The client is not known", 401)
        expected = self.settings.client_secret
        if expected is not None and not hmac.compare_digest(secret.encode(), expected.encode()):
            raise OAuthError("invalid_client", "The client's secret is wrong", 401)

    def _authenticate_by_key(self, form: Mapping[str, str], key: Mapping[str, object], where: str) -> None:
        audiences = (self.base(), f"{self.base()}/token", f"{self.base()}{where}")
        spent = verify(form, key, self.settings.client_id, audiences)
        if form.get("client_id", self.settings.client_id) != self.settings.client_id:
            raise OAuthError("invalid_client", "The client is not known", 401)
        if spent in self._assertions:
            self.checks.note(Rule.ASSERTION_REUSED, f"a request to {where} with an assertion that was used before")
            raise OAuthError("invalid_client", "The assertion was used before", 401)
        self._assertions.add(spent)


def error_response(problem: OAuthError) -> web.Response:
    """An error response (RFC 6749 section 5.2)."""
    headers = dict(NO_STORE)
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="oauthtest"'
    body = {"error": problem.code, "error_description": problem.text}
    return web.json_response(body, status=problem.status, headers=headers)
