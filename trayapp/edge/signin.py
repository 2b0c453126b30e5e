"""The browser sign-in by RFC 8252: code, PKCE S256, a state used once, and a redirect listener that is bound first.

Nothing that arrives from outside ends an attempt unless it carries the right state. What does: the answer, an
`error=` of the server, a wrong issuer (RFC 9207), the time limit, and the person. Once a code is here, the exchange
runs in this task and not in the browser's connection, so a closed tab does not stop it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import re
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from authlib.common.security import generate_token
from authlib.oauth2.client import OAuth2Client

from trayapp.core.model import DeviceCode, Moment, Problem, Secret, Spec
from trayapp.core.quirks import asked_scopes, authorize_extras, wants_resource
from trayapp.edge.callback import HEAD_CAP, HEADER_LIMIT, Listener, bind
from trayapp.edge.device import by_device_code
from trayapp.edge.granted import new_login
from trayapp.edge.metadata import Endpoints, find_endpoints
from trayapp.edge.tokens import Asking, Code, HttpTokens
from trayapp.edge.wire import Wire, url_problem
from trayapp.ports import NewLogin

log = logging.getLogger(__name__)

SIGN_IN_LIMIT = 300.0  # s for the person; servers forget their side of it after about as long
LINGER = 1.0  # s that the page's last request may take to arrive
VERIFIER_LENGTH = 64  # characters; RFC 7636 section 4.1 wants 43 to 128
FIELDS = 32  # parameters of a redirect; there are about five
ONCE = ("code", "state", "error", "iss")  # RFC 6749 section 3.1: no parameter comes twice
VISIBLE = re.compile(r"[\x20-\x7e]+")  # RFC 6749 appendix A.11
ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")

# RFC 6749 section 4.1.2.1, RFC 8707 section 2, OpenID Connect Core 3.1.2.6: kind of the problem, and words.
ERRORS: Mapping[str, tuple[str, str]] = {
    "access_denied": ("denied", "You declined, or the server denied access."),
    "consent_required": ("denied", "The server needs your consent; please try again."),
    "login_required": ("denied", "The server needs you to log in; please try again."),
    "interaction_required": ("denied", "The server needs something more from you; please try again."),
    "account_selection_required": ("denied", "The server needs you to choose an account; please try again."),
    "invalid_scope": ("request", "The server does not know these scopes: check scopes."),
    "invalid_target": ("request", "The server does not know this resource: check resource."),
    "invalid_request": ("request", "The server did not understand the request: check client_id, scopes and resource."),
    "unauthorized_client": ("request", "The server does not let this client sign in like this: check client_id."),
    "unsupported_response_type": ("request", "The server does not offer this way to sign in."),
    "server_error": ("request", "The server has trouble of its own; please try again later."),
    "temporarily_unavailable": ("request", "The server is overloaded or down; please try again later."),
}
NOT_WAITING = "That address does not belong to the sign-in that is waiting."


@dataclass(slots=True)
class Flow:
    """One sign-in that waits for its redirect. `answer` is set exactly once: the code, or why there is none."""

    name: str
    url: str = field(repr=False)  # of the authorization page; it holds the state
    redirect_uri: str
    state: Secret
    verifier: Secret
    endpoints: Endpoints
    answer: asyncio.Future[Secret | Problem]

    def take(self, query: str) -> Problem | None:
        """Take a redirect's query; None if it was the awaited one, even if it brings bad news."""
        given = read_query(query)
        if given is None or not hmac.compare_digest(given.get("state", "").encode(), self.state.reveal().encode()):
            return Problem("request", NOT_WAITING)
        if self.answer.done():
            return Problem("request", "That address was used already.")
        answer = self._judge(given)
        if answer is None:
            return Problem("request", "That address holds neither a code nor an error.")
        self.answer.set_result(answer)
        return None

    def _judge(self, given: Mapping[str, str]) -> Secret | Problem | None:
        issuer = given.get("iss")
        if (issuer is None and self.endpoints.iss_promised) or (
            issuer is not None and self.endpoints.issuer and issuer != self.endpoints.issuer
        ):  # RFC 9207 section 2.4: neither a code nor an error of a stranger counts
            return Problem("request", "The answer did not come from the server that was asked; nothing was sent to it.")
        if "error" in given:
            code = given["error"] if ERROR_CODE.fullmatch(given["error"]) else ""
            kind, words = ERRORS.get(code, ("denied", f"The server refused the sign-in{f' ({code})' if code else ''}."))
            return Problem(kind, words, code=code)
        code = given.get("code", "")
        return Secret(code) if VISIBLE.fullmatch(code) else None


class BrowserSignIn:
    """Runs sign-ins, one per workload at a time. All methods are called on the engine's loop.

    `open_url` runs in a thread of its own, gets one https (or loopback) address and never a shell.
    """

    def __init__(
        self,
        wire: Wire,
        tokens: HttpTokens,
        *,
        open_url: Callable[[str], bool] | None = None,
        limit: float = SIGN_IN_LIMIT,
        linger: float = LINGER,
        header_limit: float = HEADER_LIMIT,
    ) -> None:
        self._wire = wire
        self._tokens = tokens
        self._open_url = open_url or open_browser
        self._limit = limit
        self._linger = linger
        self._header_limit = header_limit
        self._running: dict[str, Flow | None] = {}  # None: not waiting for a redirect (yet)
        self._pages: dict[str, str] = {}  # where a device code is typed in

    async def run(
        self,
        spec: Spec,
        *,
        browser: bool,
        show: Callable[[str], None],
        now: Callable[[], Moment],
        show_code: Callable[[DeviceCode], None] = lambda _: None,
    ) -> NewLogin | Problem:
        """The whole flow. Cancelling ends the listener; only one runs per name."""
        if spec.name in self._running:
            return Problem("request", f"A sign-in of {spec.name} is under way already."[:200])
        if not spec.client_id:
            return Problem("request", f"{spec.name} has no client_id."[:200])
        self._running[spec.name] = None
        try:
            endpoints = await find_endpoints(spec, self._wire)
            if isinstance(endpoints, Problem):
                return endpoints
            if spec.flow == "device":
                return await self._device(spec, endpoints, browser, show, show_code, now)
            return await self._listen(spec, endpoints, browser, show, now)
        finally:
            del self._running[spec.name]
            self._pages.pop(spec.name, None)

    def paste(self, name: str, url: str) -> Problem | None:
        """A redirect URL that a person copied, or just its query; None if the waiting flow took it."""
        flow = self._running.get(name)
        if name in self._pages:
            return Problem("request", f"The sign-in of {name} waits for its code to be entered, not for an address.")
        if flow is None:
            return Problem("request", f"No sign-in of {name} is waiting."[:200])
        query = pasted_query(url, flow.redirect_uri)
        return Problem("request", NOT_WAITING) if query is None else flow.take(query)

    def reopen(self, name: str) -> bool:
        """Open the page of the flow that waits once more."""
        flow = self._running.get(name)
        if page := self._pages.get(name):
            self._open(name, page)
            return True
        if flow is None or flow.answer.done():
            return False
        self._open(name, flow.url)
        return True

    def cancel(self, name: str) -> bool:
        """End a flow that waits for its redirect; it returns the problem `cancelled`."""
        flow = self._running.get(name)
        if flow is None or flow.answer.done():
            return False
        flow.answer.set_result(Problem("cancelled", "The sign-in was cancelled."))
        return True

    async def _listen(
        self,
        spec: Spec,
        endpoints: Endpoints,
        browser: bool,
        show: Callable[[str], None],
        now: Callable[[], Moment],
    ) -> NewLogin | Problem:
        # A client that was registered with a port was registered with a whole address, and servers compare the path
        # exactly (RFC 8252 section 7.3); all others get one that nobody can guess.
        path = "/callback" if spec.redirect_port else f"/callback/{secrets.token_urlsafe(16)}"
        try:
            sock = bind(spec.redirect_port)
            flow = begin(spec, endpoints, f"http://127.0.0.1:{sock.getsockname()[1]}{path}")
            listener = Listener(sock, path, lambda query: flow.take(query) is None, header_limit=self._header_limit)
            await listener.start()
        except OSError:
            return _port_problem(spec)
        try:
            self._running[spec.name] = flow
            show(flow.url)
            if browser:
                self._open(flow.name, flow.url)
            result = await self._finish(spec, flow, now)
            listener.finish(isinstance(result, NewLogin))
            await listener.linger(self._linger)
            return result
        finally:
            await listener.close()

    async def _finish(self, spec: Spec, flow: Flow, now: Callable[[], Moment]) -> NewLogin | Problem:
        try:
            async with asyncio.timeout(self._limit):
                code = await flow.answer
        except TimeoutError:
            return Problem("timed_out", f"Nobody finished the sign-in within {self._limit / 60:g} minutes.")
        if isinstance(code, Problem):
            return code
        began = now()
        reply = await self._tokens.exchange(
            Code(
                token_endpoint=flow.endpoints.token,
                client_id=spec.client_id,
                code=code,
                verifier=flow.verifier,
                redirect_uri=flow.redirect_uri,
                resource=spec.resource,
            )
        )
        return new_login(spec, flow.endpoints, reply, began)

    async def _device(
        self,
        spec: Spec,
        endpoints: Endpoints,
        browser: bool,
        show: Callable[[str], None],
        show_code: Callable[[DeviceCode], None],
        now: Callable[[], Moment],
    ) -> NewLogin | Problem:
        """RFC 8628: the person types a code, here or on another machine."""

        def begun(code: DeviceCode) -> None:
            page = self._pages[spec.name] = code.verification_uri_complete or code.verification_uri
            show_code(code)
            show(page)
            if browser:
                self._open(spec.name, page)

        asking = Asking(
            endpoint=endpoints.device,
            token_endpoint=endpoints.token,
            client_id=spec.client_id,
            scope=" ".join(spec.scopes),
            resource=spec.resource,
        )
        return await by_device_code(asking, spec, endpoints, self._tokens, begun, now)

    def _open(self, name: str, url: str) -> None:
        """In a daemon thread: a browser that hangs holds up neither the loop nor the end of the program."""

        def work() -> None:
            try:
                opened = self._open_url(url)
            except Exception as exc:  # noqa: BLE001 - a broken browser setting must not end the sign-in
                log.warning("%s: the browser could not be opened (%s)", name, type(exc).__name__)
            else:
                if not opened:
                    log.warning("%s: no browser could be opened; open the shown address by hand", name)

        threading.Thread(target=work, name=f"browser {name}", daemon=True).start()


def begin(spec: Spec, endpoints: Endpoints, redirect_uri: str) -> Flow:
    """A new flow with its own state (256 bit) and verifier. Call it on the loop."""
    state, verifier = secrets.token_urlsafe(32), generate_token(VERIFIER_LENGTH)
    client = OAuth2Client(
        session=None,
        client_id=spec.client_id,
        redirect_uri=redirect_uri,
        scope=asked_scopes(endpoints.token, spec.scopes) or None,
        code_challenge_method="S256",  # without it authlib silently leaves PKCE out
    )
    url, _ = client.create_authorization_url(
        endpoints.authorization,
        state=state,
        code_verifier=verifier,
        resource=(spec.resource if wants_resource(endpoints.token) else "") or None,
        **authorize_extras(endpoints.token, spec.resource),
    )
    answer: asyncio.Future[Secret | Problem] = asyncio.get_running_loop().create_future()
    return Flow(spec.name, url, redirect_uri, Secret(state), Secret(verifier), endpoints, answer)


def read_query(query: str) -> dict[str, str] | None:
    """The parameters of a redirect; None if one that must be unique is not, or if it is no query at all."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:
        return None
    names = [name for name, _ in pairs]
    return None if any(names.count(name) > 1 for name in ONCE) else dict(pairs)


def pasted_query(text: str, redirect_uri: str) -> str | None:
    """The query of a copied address, if the address is the redirect's own; of a bare query, itself."""
    text = text.strip().strip("\"'<>").strip()
    if len(text) > HEAD_CAP:
        return None
    if "://" not in text.partition("?")[0]:
        return text.partition("#")[0].removeprefix("?")
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return parts.query if f"{parts.scheme}://{parts.netloc}{parts.path}" == redirect_uri else None


def open_browser(url: str) -> bool:
    """The person's own browser. On a Linux without a display none is tried: it would be one inside the terminal."""
    if url_problem(url):
        return False
    if sys.platform.startswith("linux") and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))):
        return False
    return webbrowser.open(url)


def _port_problem(spec: Spec) -> Problem:
    where = f"Port {spec.redirect_port} (redirect_port of {spec.name})" if spec.redirect_port else "No port"
    words = "is used by another program: close that one, or choose another port." if spec.redirect_port else "is free."
    return Problem("port_taken", f"{where} {words}"[:200])
