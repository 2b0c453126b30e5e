"""One authorization request and the redirect that answers it (RFC 6749 section 4.1, PKCE, RFC 9207): values, no I/O.

Only a redirect with the state of this very request counts, once, and only from the issuer that was asked. What an error
means is said in our own words; the server's are never shown.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

from authlib.common.security import generate_token
from authlib.oauth2.client import OAuth2Client

from trayapp.core.activity import looks_secret
from trayapp.core.model import Problem, Secret, Spec
from trayapp.core.quirks import accepts_resource, extra_authorization_parameters, scope_parameter
from trayapp.oauth.callback import HEAD_MAX, Arrival
from trayapp.oauth.metadata import Endpoints

VERIFIER_LENGTH = 64  # characters; RFC 7636 section 4.1 wants 43 to 128
PARAMETERS_MAX = 32  # parameters of a redirect, which has about five
VISIBLE = re.compile(r"[\x20-\x7e]+")  # RFC 6749 appendix A.11
ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,32}")

REFUSED = "The server refused the sign-in"
DECLINED = "You declined, or the server denied access."
UNKNOWN_RESOURCE = 'The server doesn\'t know this resource; check resource, or set it to "" to leave it out'
UNKNOWN_SCOPES = "The server doesn't know these scopes; check scopes"
BAD_REQUEST = "The server rejected the request as invalid; check client_id, scopes and resource"
# RFC 6749 section 4.1.2.1, RFC 8707 section 2, OpenID Connect Core 3.1.2.6: error code → kind of problem, sentence.
ERRORS: Mapping[str, tuple[str, str]] = {
    "access_denied": ("denied", DECLINED),
    "consent_required": ("denied", "The server needs your consent. Try again."),
    "login_required": ("denied", "The server requires you to sign in there. Try again."),
    "interaction_required": ("denied", "The server requires another step. Try again."),
    "account_selection_required": ("denied", "The server asks you to choose an account. Try again."),
    "invalid_scope": ("request", f"{UNKNOWN_SCOPES}."),
    "invalid_target": ("request", f"{UNKNOWN_RESOURCE}."),
    "invalid_request": ("request", f"{BAD_REQUEST}."),
    "unauthorized_client": ("request", "The server doesn't let this client sign in this way. Check client_id."),
    "unsupported_response_type": ("request", "The server doesn't offer this way to sign in."),
    "server_error": ("request", "The server reported an internal error. Try again later."),
    "temporarily_unavailable": ("request", "The server is overloaded or down. Try again later."),
}
NOT_SENT = "Amberlight didn't send it anything."
NOT_WAITING = "This URL doesn't belong to the current sign-in."


@dataclass(slots=True)
class Flow:
    """One sign-in that waits for its redirect. `answer` is set exactly once: the code, or why there is none."""

    name: str
    url: str = field(repr=False)  # of the authorization page; it contains the state
    redirect_uri: str
    state: Secret
    verifier: Secret
    endpoints: Endpoints
    answer: asyncio.Future[Secret | Problem]
    redirected: bool = False  # a redirect with our state has come
    _taken: bytes = field(default=b"", repr=False)  # hash of its query, which holds the code

    def accept(self, query: str) -> Problem | None:
        """Take the query of a redirect. None if it was the awaited one, even if it brings an error; otherwise why it
        wasn't."""
        parameters = read_query(query)
        if not any(map(self._is_own_state, parameters.get("state", ()))):
            return Problem("request", NOT_WAITING)
        if self.answer.done():
            return Problem("request", "This URL was already used.")
        if set(parameters.get("iss", ())) == {self.endpoints.issuer}:  # a framework wrote it, and so did what uses it
            parameters["iss"] = [self.endpoints.issuer]
        repeated = [name for name, values in parameters.items() if len(values) > 1]
        answer = _repeats(repeated[0]) if repeated else self._read_answer({k: v for k, (v,) in parameters.items()})
        if answer is None:
            return Problem("request", "This URL contains neither a code nor an error.")
        self.redirected, self._taken = True, _hash(query)
        self.answer.set_result(answer)
        return None

    def arrive(self, query: str) -> Arrival:
        """Take the query of a request to the redirect address, like `accept`."""
        if self.redirected and hmac.compare_digest(self._taken, _hash(query)):
            return Arrival.AGAIN
        if self.accept(query) is None:
            return Arrival.AWAITED
        parameters = read_query(query)
        unmarked = "error" in parameters and "state" not in parameters and not self.answer.done()
        return Arrival.UNMARKED if unmarked else Arrival.STALE

    def _is_own_state(self, state: str) -> bool:
        # A pasted text may hold anything, lone surrogates included.
        return hmac.compare_digest(state.encode("utf-8", "surrogatepass"), self.state.reveal().encode())

    def _read_answer(self, parameters: Mapping[str, str]) -> Secret | Problem | None:
        # RFC 9207 section 2.4: neither a code nor an error from another issuer counts.
        issuer = parameters.get("iss")
        if (issuer is None and self.endpoints.iss_promised) or (
            issuer is not None and self.endpoints.issuer and issuer != self.endpoints.issuer
        ):
            return Problem("request", f"The answer came from a different server. {NOT_SENT}")
        if "error" in parameters:
            error = parameters["error"]
            code = error if ERROR_CODE.fullmatch(error) and not looks_secret(error) else ""
            kind, words = ERRORS.get(code, ("denied", f"{REFUSED}{f' ({code})' if code else ''}."))
            return Problem(kind, words, code=code)
        code = parameters.get("code", "")
        return Secret(code) if VISIBLE.fullmatch(code) else None


def begin(
    spec: Spec, endpoints: Endpoints, redirect_uri: str, extras: Mapping[str, str] = MappingProxyType({})
) -> Flow:
    """A new flow with its own state (256 bit) and verifier. Call it on the event loop."""
    state, verifier = secrets.token_urlsafe(32), generate_token(VERIFIER_LENGTH)
    client = OAuth2Client(
        session=None,
        client_id=spec.client_id,
        redirect_uri=redirect_uri,
        scope=scope_parameter(endpoints.token, spec.scopes) or None,
        code_challenge_method="S256",  # without this authlib silently omits PKCE
    )
    url, _ = client.create_authorization_url(
        endpoints.authorization,
        state=state,
        code_verifier=verifier,
        resource=(spec.resource if accepts_resource(endpoints.token) else "") or None,
        **{**extras, **extra_authorization_parameters(endpoints.token, spec.resource)},
    )
    answer: asyncio.Future[Secret | Problem] = asyncio.get_running_loop().create_future()
    return Flow(spec.name, url, redirect_uri, Secret(state), Secret(verifier), endpoints, answer)


def _repeats(name: str) -> Problem:
    """Which of two values is meant can't be known (RFC 6749 section 3.1). With our state, it is the server's answer."""
    which = "two issuers (iss)" if name == "iss" else f"{name if PARAMETER.fullmatch(name) else 'a parameter'} twice"
    return Problem(
        "request", f"The server's answer contains {which}. {NOT_SENT} Try again, or tell the server's operator."
    )


def _hash(query: str) -> bytes:
    return sha256(query.encode("utf-8", "surrogatepass")).digest()


def read_query(query: str) -> dict[str, list[str]]:
    """The parameters of a redirect and their values; none if it isn't a query, or has too many."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        return {}
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def pasted_query(text: str, redirect_uri: str) -> str | None:
    """The query of a pasted address, if the address is the redirect's own. A bare query is returned as it is."""
    text = text.strip().strip("\"'<>").strip()
    if len(text) > HEAD_MAX:
        return None
    if "://" not in text.partition("?")[0]:
        return text.partition("#")[0].removeprefix("?")
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return parts.query if f"{parts.scheme}://{parts.netloc}{parts.path}" == redirect_uri else None
