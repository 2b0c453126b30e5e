"""One usable token for a command that runs now (`token`, `exec`), or a sentence and an exit code.

The app waits for a refresh under way; here only the answer is judged: a token that is over is never handed on, and one
that has less life left than was asked for is, with a word about it.
"""

from __future__ import annotations

import time

from trayapp.cli.client import ApiClient, ApiError
from trayapp.cli.codes import FAILED, NEEDS_SIGN_IN, RETRYING
from trayapp.cli.output import clean, complain, moment, span
from trayapp.core.model import Secret

BY_ERROR = {"reauth_required": NEEDS_SIGN_IN, "retrying": RETRYING, "starting": RETRYING}
SLACK = 1.0  # s; what passes between the app's answer and our look at the clock


def usable_token(client: ApiClient, name: str, min_validity: float) -> Secret | int:
    """The token, or the exit code after the reason was told on the standard error."""
    try:
        answer = client.token(name, min_validity)
    except ApiError as error:
        if error.code not in BY_ERROR:
            raise
        complain(f"amberlight: no token for {name}: {clean(error)}")
        return BY_ERROR[error.code]
    value, ends, now = answer.get("access_token"), moment(answer.get("expires_at")), time.time()
    if not isinstance(value, str) or not value or not value.isprintable():
        complain(f"amberlight: the app's answer holds no token for {name}")
        return FAILED
    if answer.get("expires_at") is not None and (ends is None or ends <= now):
        complain(f"amberlight: the token of {name} has just expired; try again in a moment")
        return RETRYING
    if ends is not None and ends - now < min_validity - SLACK:
        complain(f"amberlight: no token of {name} lasts as long as asked for; this one ends in {span(ends - now)}")
    return Secret(value)
