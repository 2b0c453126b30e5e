"""Signs that a server no longer knows a registered client: in its answers, and in how a sign-in ended (M16).

A server that has lost its clients shows an error page to the person, from which nothing comes back here. So it is asked
beforehand, and a sign-in that ends without an answer casts doubt on its registration. Pure: values in, booleans out.
"""

from __future__ import annotations

import html
import json
import re

from trayapp.core.model import Problem
from trayapp.core.outcomes import Answer, Fault
from trayapp.core.refusal import CLIENT_CODES

READ_MAX = 64 * 1024  # characters of an error page; its sentence stands before that
# Standard codes that blame something else: the grant, which was made up; scopes, resource or person.
OTHER_CODES = (
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "unsupported_grant_type",
    "unsupported_response_type",
    "access_denied",
    "authorization_pending",
    "expired_token",
    "slow_down",
)
NO_VERDICT = (407, 408, 425, 429)  # 4xx that say "not now", or come from a proxy

_WORDS_AFTER = (
    r"(?:un(?:known|registered|recogni[sz]ed)|invalid|not (?:found|known|valid|registered|recogni[sz]ed)"
    r"|(?:does not|doesn.?t) exist|could not be found|(?:has been|was) deleted)"
)
_WORDS_BEFORE = r"(?:un(?:known|registered|recogni[sz]ed)|invalid|no such|non-?existent)"
# Of an HTTP client, as firewalls and gateways speak of it, nothing follows for the registration.
_OTHER = r"metadata|certificates?|ip|address(?:es)?|requests?|versions?"
_CLIENT = rf"client(?:[\s_-]?id(?:entifier)?)?(?!\w|[\s_-](?:{_OTHER})\b)"
_NAMED = re.compile(
    rf"\b{_WORDS_BEFORE}[\s_-]+['\"`(]?(?:(?:oauth2?|oidc|public|registered)[\s_-]+)?{_CLIENT}"
    rf"|\b{_CLIENT}(?!\s+error\b)['\"`:=,()\s\w.-]{{0,100}}?\b{_WORDS_AFTER}\b",
    re.IGNORECASE,
)
# It matches to the end if nothing closes a script, so that it stays linear.
_INVISIBLE = re.compile(r"<(?:script|style)\b.*?(?:</(?:script|style)|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL)


def names_unknown_client(reply: Answer | Fault) -> bool:
    """Whether the answer to a probe with made-up values says that the server doesn't know the client.

    A 4xx that names the client: by its code, or in words, because many servers check clients in a place that knows no
    OAuth errors (`422 {"message": "Unrecognized client_id"}`). Anything else proves nothing.
    """
    if isinstance(reply, Fault) or not 400 <= reply.status < 500 or reply.status in NO_VERDICT:
        return False
    text = reply.body[:READ_MAX].decode("utf-8", "replace")
    code = _error_code(text)
    if code:
        return code in CLIENT_CODES or (code not in OTHER_CODES and bool(_NAMED.search(text)))
    return bool(_NAMED.search(html.unescape(_INVISIBLE.sub(" ", text))))


def _error_code(text: str) -> str:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    code = body.get("error") if isinstance(body, dict) else None
    return code if isinstance(code, str) else ""


def casts_doubt(problem: Problem) -> bool:
    """Whether a sign-in's refusal by the server may be due to its registration: the token, device or pushed request
    endpoint refused it, and blames nothing else. `invalid_grant` does for a code that has just been issued."""
    status = problem.http_status or 0
    if problem.kind not in ("exchange", "device", "pushed") or not 400 <= status < 500 or status in NO_VERDICT:
        return False
    return problem.code == "invalid_grant" or problem.code not in OTHER_CODES
