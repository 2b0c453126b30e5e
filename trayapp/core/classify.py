"""Classification of token endpoint replies: refreshed, try later, or refused. Decided here and nowhere else.

The rule in one sentence: a login ends only by the server's own, complete, well-formed "no"; anything that a firewall, a
proxy, a captive portal or a failing server can say means "later". `classify` walks the eight rows of RULES.md section 3
("Classification") in order, and the first that matches is the outcome. It never raises, whatever the bytes are, and no
part of a body is quoted unless it is fit to show.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite
from urllib.parse import parse_qsl

from trayapp.core.activity import looks_secret
from trayapp.core.id_claims import CHECK_CLOCK
from trayapp.core.jwt_end import jwt_end
from trayapp.core.model import Problem, Secret
from trayapp.core.outcomes import Ambiguous, Answer, Fault, NotSent, Outcome, Refreshed, Refused, Reply, ServerBusy
from trayapp.core.quirks import is_temporary, refusal_text, verdict
from trayapp.core.sentences import UNEXPECTED

NO_LONGER_ACCEPTED = "The server no longer accepts this login"
# Row 6: the codes of RFC 6749 section 5.2, and RFC 6750's `invalid_token`, with what they mean for people.
VERDICTS: Mapping[str, str] = {
    "invalid_grant": NO_LONGER_ACCEPTED,
    "invalid_client": "The server no longer knows this app's registration",
    "unauthorized_client": "The server no longer lets this app refresh its login",
    "unsupported_grant_type": "The server doesn't support refreshing logins",
    "invalid_scope": "The server no longer grants the scopes of this login",
    "invalid_request": "The server rejected the refresh request as invalid",
    "invalid_token": NO_LONGER_ACCEPTED,
}
VERDICT_STATUSES = (400, 401, 403)  # and 200, which some servers use for everything, if no one else can have sent it
INTERACTION = "The server requires you to sign in again"  # row 4: a second factor or consent is needed
GATEWAY_STATUSES = (502, 504)  # row 7: a gateway gave up; the server behind it may have used the token
NETWORK_LOGIN_REQUIRED = 511  # RFC 6585 section 6: sent by captive portals only

SUMMARY_MAX = 200  # characters, as `Problem` promises
DESCRIPTION_MAX = 120  # characters of the server's own explanation
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOKEN = re.compile(r"[\x21-\x7e]+")  # RFC 6749 appendix A.12 and A.17, but no space: a header couldn't carry it
_SCOPE = re.compile(r"[\x20-\x7e]{0,4096}")
_SECRET_LIKE = re.compile(
    r"[A-Za-z0-9_\-.~+/=%]{20,}|://"
)  # long enough to be a token, or an address that may hold one
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)
_FORM = re.compile(rb"[A-Za-z0-9_.~%+&=*-]+")

INTERCEPTED = "A VPN, firewall or Wi-Fi sign-in page can cause this."
# Rows 1 and 2: why no complete answer came, for people. The transport's own reason follows the first sentence in brackets.
FAULTS: Mapping[str, str] = {
    "dns": "Can't find {server}. Check your network, VPN and the address.",
    "refused": "Can't reach {server} (connection refused).",
    "unreachable": "Can't reach {server} (no route). Check your network and VPN.",
    "connect_timeout": "Can't reach {server} (timed out). Check your network, VPN and firewall.",
    "tls": f"No secure connection to {{server}}. {INTERCEPTED}",
    "proxy": "The HTTP proxy blocked the request. Check the proxy settings.",
    "timeout": "No answer from {server} in time.",
    "reset": "The connection to {server} was lost before the answer came.",
    "eof": "The connection was closed by {server} without an answer.",
    "truncated": "The answer from {server} was cut off.",
    "request": "Couldn't make the request.",
    "internal": UNEXPECTED,
}
EXPLAINED = ("tls", "proxy", "request")  # kinds whose own short reason helps a person


@dataclass(frozen=True, slots=True)
class _Body:
    """A response body, parsed as far as possible. `fields` is the content of a JSON object or a form."""

    fields: Mapping[str, object]
    json: bool = False  # it is JSON, of whatever type
    json_object: bool = False
    claims_json: bool = False  # its type says JSON, or it looks like JSON
    html: bool = False


def classify(reply: Reply, provider: str = "", wall: float = 0.0) -> Outcome:
    """The outcome of a reply. `provider` is `provider_of(token_endpoint)`; `wall` is now, for a Retry-After date."""
    if isinstance(reply, Fault):  # rows 1 and 2
        problem = problem_of(reply)
        return Ambiguous(problem) if reply.sent else NotSent(problem)
    if reply.status == 407:  # row 1: the proxy didn't pass it on
        return NotSent(Problem("proxy", "The HTTP proxy requires a sign-in (407). Check the proxy settings.", 407))
    body = _read_body(reply)
    success = 200 <= reply.status < 300
    if success and (token := _printable_token(body.fields.get("access_token"))):  # row 3
        refreshed = _refreshed(token, body.fields, _server_time(reply.headers, wall))
        return replace(refreshed, redirected_to=reply.redirected_to, verified=reply.verified)
    if quirk := verdict(provider, reply.status, body.fields):  # row 4
        return Refused(_verdict_problem(reply.status, *quirk, body, provider))
    if success and body.claims_json and not body.json:  # row 5
        return Ambiguous(Problem("truncated", "The server's answer was damaged in transit.", reply.status))
    code = body.fields.get("error")
    decides = reply.status in VERDICT_STATUSES or (reply.status == 200 and reply.verified)
    if decides and isinstance(code, str) and code in VERDICTS and not is_temporary(provider, body.fields):  # row 6
        return Refused(_verdict_problem(reply.status, code, code, body, provider))
    return _busy(reply, body, wall)  # rows 7 and 8


def problem_of(fault: Fault, server: str = "the sign-in server") -> Problem:
    """The problem to show for a fault. The transport's own reason stands in brackets where it helps and is fit to show."""
    summary = FAULTS.get(fault.kind, "The request failed.").format(server=server)
    detail = _sanitised(fault.summary) if fault.kind in EXPLAINED or fault.kind not in FAULTS else ""
    return Problem(fault.kind, _cut(_with_reason(summary, detail.rstrip(".")), SUMMARY_MAX))


def _with_reason(summary: str, reason: str) -> str:
    first, end, rest = summary.partition(". ")
    return f"{first.rstrip('.')} ({reason}).{end[1:]}{rest}" if reason else summary


def _refreshed(access_token: str, fields: Mapping[str, object], now: float) -> Refreshed:
    """Row 3. Anything odd about the rest of the answer counts as absent, because the access token is good (M1).

    Without a usable `expires_in`, the token's own `exp` says how long it lives, measured from `now`.
    """
    scope, id_token = fields.get("scope"), _printable_token(fields.get("id_token"))
    lifetime = _lifetime(fields.get("expires_in"))
    if lifetime is None and (end := jwt_end(access_token)) is not None:
        lifetime = max(0.0, end - now)
    return Refreshed(
        access_token=Secret(access_token),
        refresh_token=_secret(fields.get("refresh_token")),
        expires_in=lifetime,
        scope=scope if isinstance(scope, str) and _SCOPE.fullmatch(scope) else None,
        id_token=Secret(id_token) if id_token else None,
        bound=str(fields.get("token_type")).lower() == "dpop",  # RFC 9449 section 5
    )


def _busy(answer: Answer, body: _Body, wall: float) -> ServerBusy:
    """Rows 7 and 8: a response that is neither a token nor a verdict."""
    status = answer.status
    success = 200 <= status < 300
    portal = status == NETWORK_LOGIN_REQUIRED or 300 <= status < 400 or (success and body.html)
    code = _code(body.fields.get("error"))
    kind = "portal" if portal else "oauth" if code else "http"
    return ServerBusy(
        problem=Problem(kind, _cut(_busy_summary(answer, body, code, portal), SUMMARY_MAX), status, code),
        retry_after=_retry_after(answer.headers, wall),
        maybe_spent=status in GATEWAY_STATUSES,
        portal=portal,
        refresh_token=_secret(body.fields.get("refresh_token")) if success and body.json_object else None,
    )


def _busy_summary(answer: Answer, body: _Body, code: str, portal: bool) -> str:
    status = answer.status
    if 300 <= status < 400 and answer.verified:
        return f"The server redirected the request ({status}). Its endpoint may have moved."
    if 300 <= status < 400:
        return f"The network redirected the request ({status}). It may ask you to sign in to Wi-Fi."
    if portal:
        return (
            f"A web page was returned instead of an answer ({status}), probably by a firewall or a Wi-Fi sign-in page."
        )
    if code == "invalid_dpop_proof":  # RFC 9449 section 5; its proofs are ours, so it is most likely the time in them
        return f"The server didn't accept the login's proof ({code}). {CHECK_CLOCK}"
    if code:
        return f'The server returned "{code}" ({status}), which doesn\'t end the login.'
    if status == 429:
        return "The server is limiting requests (429)."
    if status >= 500:
        return f"The server has a problem of its own ({status})."
    if body.html:
        return f"A firewall or proxy blocked the request ({status})."
    if 200 <= status < 300:
        return f"The server's answer has no access token ({status})."
    return f"The server returned an unexpected answer ({status})."


def _verdict_problem(status: int, code: str, word: str, body: _Body, provider: str) -> Problem:
    """A verdict for people: its meaning, the server's own code, and an explanation.

    The explanation is ours where `providers.py` has one, else the server's description if that is fit to show.
    """
    meaning = VERDICTS.get(code, INTERACTION)
    fields = body.fields
    if known := refusal_text(provider, code, fields):
        return Problem("oauth", _cut(f"{meaning} ({word}). {known}", SUMMARY_MAX), status, code)
    server_text = fields.get("error_description") or fields.get("msg")
    description = _sanitised(server_text) if body.json_object and isinstance(server_text, str) else ""
    summary = f"{meaning} ({word})." + (f" It says: {description}" if description else "")
    return Problem("oauth", _cut(summary, SUMMARY_MAX), status, code)


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_body(answer: Answer) -> _Body:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    start = answer.body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    html = "html" in kind or start.startswith(b"<")
    claims = kind == "application/json" or kind.endswith("+json") or start.startswith((b"{", b"["))
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, too many digits, nested too deeply
        form = kind == "application/x-www-form-urlencoded" or kind in ("", "text/plain")
        return _Body(_form(answer.body) if form else {}, claims_json=claims, html=html)
    is_object = isinstance(value, dict)
    return _Body(value if is_object else {}, json=True, json_object=is_object, claims_json=claims)


def _form(body: bytes) -> dict[str, object]:
    """The fields of a form-encoded body, which some servers send whatever was accepted; empty if it is anything else."""
    text = body.strip()
    return dict(parse_qsl(text.decode("ascii"))) if _FORM.fullmatch(text) else {}


def _printable_token(value: object) -> str:
    """`value` if it is a token that a header or a form can carry, else empty."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else ""


def _secret(value: object) -> Secret | None:
    token = _printable_token(value)
    return Secret(token) if token else None


def _code(value: object) -> str:
    """`value` if it is an error code, else empty: some servers send back the token itself."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) and not looks_secret(value) else ""


def _lifetime(value: object) -> float | None:
    """`expires_in` in seconds: a positive number, or one as digits; anything else counts as absent (M1)."""
    if isinstance(value, str):
        value = float(value) if _SECONDS.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value)
    except OverflowError:  # an integer beyond all floats
        return None
    return seconds if isfinite(seconds) and seconds > 0 else None


def _retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Retry-After in seconds (RFC 9110 section 10.2.3); a date is measured against the server's own `Date` if it sent one."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        return seconds if isfinite(seconds) else None
    until = _http_date(text)
    if until is None:
        return None
    wait = until - _server_time(headers, wall)
    return wait if wait > 0 else None


def _server_time(headers: Mapping[str, str], wall: float) -> float:
    """The server's own time if it states one, so that a wrong clock here doesn't matter; else `wall`."""
    now = _http_date(headers.get("date", ""))
    return wall if now is None else now


def _http_date(text: str) -> float | None:
    """An HTTP date in any of its three forms (RFC 9110 section 5.6.7), as seconds since the epoch."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


# --- showing ---------------------------------------------------------------------------------------------------------


def _sanitised(text: str) -> str:
    """The first line of a server's text, printable and short; empty if there might be a token in it."""
    line = next(iter(text.strip().splitlines()), "")
    shown = " ".join("".join(c for c in line if c.isprintable()).split())
    return "" if _SECRET_LIKE.search(shown) else _cut(shown, DESCRIPTION_MAX)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
