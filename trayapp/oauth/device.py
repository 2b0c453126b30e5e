"""Sign-in by device code (RFC 8628): show a code that a person enters anywhere, and poll until it is used.

Transport trouble never ends a sign-in: only the server's own word, the end of the code's life, or the person does. So
the machine may sleep or change networks while it waits. Everything that is shown from a server's answer is checked
first: the address may be opened, and the code consists of letters and digits (SECURITY.md 13).
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from trayapp.core.classify import classify, problem_of
from trayapp.core.model import DeviceCode, Moment, Problem, Secret, Spec
from trayapp.core.outcomes import Ambiguous, Answer, Fault, Refreshed, Reply, ServerBusy
from trayapp.engine.ports import NewLogin
from trayapp.oauth.address_class import PLACE_TEXTS, class_of_host
from trayapp.oauth.code_exchange import ERROR_TEXTS, new_login
from trayapp.oauth.flow import DECLINED, REFUSED
from trayapp.oauth.metadata import Endpoints
from trayapp.oauth.tokens import DeviceGrant, HttpTokens, kept_secrets
from trayapp.oauth.wire import url_problem

INTERVAL = 5.0  # s between two polls if the server doesn't say (section 3.5)
INTERVAL_MIN = 1.0  # s; shorter intervals of a server are raised to this
SLOW_DOWN_STEP = 5.0  # s that each `slow_down` adds permanently (section 3.5)
BACKOFF_MAX = 60.0  # s between two polls while the server can't be reached
CODE_LIFETIME = 300.0  # s, if the server doesn't say
CODE_LIFETIME_MAX = 1800.0  # s; servers say 5 to 30 minutes
REQUEST_LIMIT = 30.0  # s for one request
URI_MAX = 2000  # characters; what fits a terminal and a menu
USER_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,38}[A-Za-z0-9])?")  # no control characters, no markup
VISIBLE = re.compile(r"[\x20-\x7e]{1,8192}")

NO_DEVICE_CODE = "The server doesn't let this client sign in with a device code"
# Error codes of both endpoints of the device flow, beyond those of RFC 6749 section 5.2.
REFUSAL_TEXTS: Mapping[str, str] = {
    **ERROR_TEXTS,
    "unauthorized_client": NO_DEVICE_CODE,
    "unsupported_grant_type": NO_DEVICE_CODE,
    "device_flow_disabled": NO_DEVICE_CODE,
}
RETRYABLE_STATUSES = (408, 425, 429)  # a 4xx that means "later"
RETRYABLE_CODES = ("temporarily_unavailable", "server_error")
DENIED = Problem("denied", DECLINED, code="access_denied")
EXPIRED = "The code expired before it was entered. Try again."
LOGIN_LOST = Problem("exchange", "The server's answer with the new login got lost. Try again.")

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DeviceAuthorization:
    """The answer of the device authorization endpoint (section 3.2). Times are seconds."""

    device_code: Secret
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    lifetime: float
    interval: float


async def by_device_code(
    grant: DeviceGrant,
    spec: Spec,
    endpoints: Endpoints,
    tokens: HttpTokens,
    on_code: Callable[[DeviceCode], None],
    now: Callable[[], Moment],
    *,
    sleep: Sleep = asyncio.sleep,
) -> NewLogin | Problem:
    """Run the whole flow. `on_code` receives the code to show. Cancelling ends the flow; the code then simply expires."""
    if not grant.endpoint:
        return _no_device_flow(spec)
    sent_at = now()
    authorization = read_authorization(await tokens.device_code(grant, limit=REQUEST_LIMIT), endpoints)
    if isinstance(authorization, Problem):
        return authorization
    on_code(
        DeviceCode(
            authorization.user_code,
            authorization.verification_uri,
            authorization.verification_uri_complete,
            sent_at.wall + authorization.lifetime,
        )
    )
    return await _Polling(
        grant, spec, endpoints, tokens, authorization, sent_at.at + authorization.lifetime, now, sleep
    ).run()


def _no_device_flow(spec: Spec) -> Problem:
    command = f"amberlight reauthorize {spec.name} --no-browser"
    return Problem(
        "no_device_flow",
        f"This server doesn't offer sign-in with a device code. Without a browser here, run `{command}`."[:200],
    )


# --- the code --------------------------------------------------------------------------------------------------------


def read_authorization(reply: Reply, endpoints: Endpoints) -> DeviceAuthorization | Problem:
    """Read the answer of the device authorization endpoint (sections 3.2 and 5.4)."""
    if isinstance(reply, Fault):
        return Problem("device", problem_of(reply).summary)
    fields = _object(reply)
    device_code, user_code = fields.get("device_code"), fields.get("user_code")
    if reply.status != 200 or "error" in fields or not isinstance(device_code, str):
        return _authorization_problem(reply, endpoints)
    if not VISIBLE.fullmatch(device_code):
        return Problem("device", "The server sent a device code with invalid characters.")
    if not isinstance(user_code, str) or not USER_CODE.fullmatch(user_code):
        return Problem("device", "The server sent a code that isn't made of letters and digits.")
    uri = fields.get(
        "verification_uri", fields.get("verification_url")
    )  # the early draft's name, which Google still uses
    if not isinstance(uri, str) or (problem := _uri_problem(uri, endpoints)):
        return Problem("device", f"The server's URL for the code {problem if isinstance(uri, str) else 'is missing'}.")
    complete = fields.get("verification_uri_complete")
    same = isinstance(complete, str) and not _uri_problem(complete, endpoints) and _origin(complete) == _origin(uri)
    return DeviceAuthorization(
        Secret(device_code),
        user_code,
        uri,
        complete if same and isinstance(complete, str) else "",  # what is opened must be at the address that is shown
        lifetime=min(_seconds(fields.get("expires_in"), CODE_LIFETIME), CODE_LIFETIME_MAX),
        interval=max(_seconds(fields.get("interval"), INTERVAL), INTERVAL_MIN),
    )


def _uri_problem(uri: str, endpoints: Endpoints) -> str:
    """Why a person must not be sent to this address, as the end of a sentence; empty if nothing is wrong."""
    if problem := "is too long" if len(uri) > URI_MAX else url_problem(uri):
        return problem
    reached = class_of_host(urlsplit(uri).hostname or "")
    return f"is {PLACE_TEXTS[reached]}, but the server isn't" if reached < endpoints.nearest_allowed else ""


def _origin(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.scheme, parts.netloc.lower()


def _authorization_problem(answer: Answer, endpoints: Endpoints) -> Problem:
    problem = _problem_of(answer)
    if not problem.code and answer.status in (404, 405, 410, 501):
        host = urlsplit(endpoints.device).hostname
        return Problem(
            "device", f"{host} has no device authorization endpoint at this URL ({answer.status}).", answer.status
        )
    if problem.code in REFUSAL_TEXTS:
        return Problem("device", f"{REFUSAL_TEXTS[problem.code]} ({problem.code}).", answer.status, problem.code)
    if answer.status == 200 and not problem.code and problem.kind not in ("portal", "truncated"):
        return Problem("device", "The server's answer contains no device code.", 200)
    return Problem("device", problem.summary, answer.status, problem.code)


# --- polling ---------------------------------------------------------------------------------------------------------


class _Polling:
    """The polling loop (section 3.5). `expires_at` is on the clock that counts sleep, as the code's life does."""

    def __init__(
        self,
        grant: DeviceGrant,
        spec: Spec,
        endpoints: Endpoints,
        tokens: HttpTokens,
        authorization: DeviceAuthorization,
        expires_at: float,
        now: Callable[[], Moment],
        sleep: Sleep,
    ) -> None:
        self._grant = grant
        self._spec = spec
        self._endpoints = endpoints
        self._tokens = tokens
        self._code = authorization.device_code
        self._interval = authorization.interval
        self._expires_at = expires_at
        self._now = now
        self._sleep = sleep
        self._failures = 0  # consecutive polls without an answer from the server
        self._login_may_be_lost = False  # a lost answer may have held the login

    async def run(self) -> NewLogin | Problem:
        """Poll until the flow ends."""
        wait = self._interval
        while True:
            left = self._expires_at - self._now().at
            await self._sleep(max(0.0, min(wait, left)))
            sent_at = self._now()
            if sent_at.at >= self._expires_at:
                return Problem("timed_out", EXPIRED)
            reply = await self._tokens.poll(self._grant, self._code, limit=REQUEST_LIMIT)
            answer = self._evaluate(reply, sent_at)
            if not isinstance(answer, float):
                return answer
            wait = answer

    def _evaluate(self, reply: Reply, sent_at: Moment) -> NewLogin | Problem | float:
        """The end of the flow, or the seconds to wait before the next poll."""
        outcome = classify(reply, wall=sent_at.wall)
        if isinstance(outcome, Refreshed):
            return new_login(self._spec, self._endpoints, reply, sent_at, **kept_secrets(self._grant))
        code = outcome.problem.code
        match code:
            case "authorization_pending":
                self._failures = 0
                return self._interval
            case "slow_down":
                self._failures = 0
                interval = _seconds(_object(reply).get("interval"), 0.0)  # GitHub sends the new interval along
                self._interval = max(self._interval + SLOW_DOWN_STEP, min(interval, CODE_LIFETIME_MAX))
                return self._interval
            case "access_denied":
                return DENIED
            case "expired_token":
                return Problem("timed_out", EXPIRED, code=code)
            case "invalid_grant" if self._login_may_be_lost:
                return LOGIN_LOST
        if _is_transient(reply, code):
            self._failures += 1
            self._login_may_be_lost |= isinstance(outcome, Ambiguous) or (
                isinstance(outcome, ServerBusy) and outcome.maybe_spent
            )
            retry_after = (outcome.retry_after or 0.0) if isinstance(outcome, ServerBusy) else 0.0
            slower: float = min(self._interval * 2 ** min(self._failures, 10), BACKOFF_MAX)
            return max(self._interval, slower, retry_after)
        return _token_problem(outcome.problem)


def _is_transient(reply: Reply, code: str) -> bool:
    """Whether an answer is transport or server trouble rather than the server's word on this sign-in."""
    if isinstance(reply, Fault) or not code or code in RETRYABLE_CODES:
        return True
    return reply.status >= 500 or reply.status in RETRYABLE_STATUSES


def _token_problem(problem: Problem) -> Problem:
    words = REFUSAL_TEXTS.get(problem.code, REFUSED)
    return Problem("exchange", f"{words} ({problem.code}).", problem.http_status, problem.code)


def _problem_of(answer: Answer) -> Problem:
    outcome = classify(answer)
    return (
        Problem("device", "The server sent a token before it was requested.")
        if isinstance(outcome, Refreshed)
        else outcome.problem
    )


def _object(reply: Reply) -> Mapping[str, object]:
    """The JSON object of an answer; empty for anything else."""
    if isinstance(reply, Fault):
        return {}
    try:
        value = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _seconds(value: object, default: float) -> float:
    """A positive number of seconds, also if written as digits; `default` for anything else."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        seconds = float(value)
    except OverflowError:
        return default
    return seconds if math.isfinite(seconds) and seconds > 0 else default
