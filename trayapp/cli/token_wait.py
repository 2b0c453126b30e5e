"""Gets one usable token for a command (`token`, `exec`), or prints why there is none.

The app waits for a refresh in progress; here only its answer is checked. An expired token is never returned; one with
less time left than requested is, with a warning.
"""

from __future__ import annotations

import time

from trayapp.cli.client import ApiClient, ApiError
from trayapp.cli.codes import FAILED, NEEDS_SIGN_IN, RETRYING
from trayapp.cli.output import clean, duration_text, parse_time, print_error
from trayapp.core.model import Secret

EXIT_CODES = {"reauth_required": NEEDS_SIGN_IN, "retrying": RETRYING, "starting": RETRYING}
SLACK = 1.0  # s; may pass between the app's answer and reading the clock here


def usable_token(client: ApiClient, name: str, min_validity: float) -> Secret | int:
    """The token, or the exit code after the reason has been printed to standard error."""
    try:
        answer = client.token(name, min_validity)
    except ApiError as error:
        if error.code not in EXIT_CODES:
            raise
        print_error(f"amberlight: no token for {name}: {clean(error)}")
        return EXIT_CODES[error.code]
    value, ends, now = answer.get("access_token"), parse_time(answer.get("expires_at")), time.time()
    if not isinstance(value, str) or not value or not value.isprintable():
        print_error(f"amberlight: the app's answer holds no token for {name}")
        return FAILED
    if answer.get("expires_at") is not None and (ends is None or ends <= now):
        print_error(f"amberlight: the token of {name} has just expired; try again in a moment")
        return RETRYING
    if ends is not None and ends - now < min_validity - SLACK:
        print_error(
            f"amberlight: no token of {name} lasts as long as asked for; this one ends in {duration_text(ends - now)}"
        )
    return Secret(value)
