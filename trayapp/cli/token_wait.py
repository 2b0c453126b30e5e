"""Gets one usable token for a command (`token`, `exec`), or prints why there is none.

The app waits for a refresh in progress; here only its answer is checked. An expired token is never returned; one with
less time left than requested is, with a warning.
"""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from trayapp.cli.client import TOKEN_WAIT, ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, NEEDS_SIGN_IN, OK, RETRYING, TEMPORARY, USAGE
from trayapp.cli.output import clean, duration_words, parse_time, print_error, print_json, print_line
from trayapp.core.model import ACCOUNT, Secret

if TYPE_CHECKING:
    from trayapp.config.paths import Paths

EXIT_CODES = {"reauth_required": NEEDS_SIGN_IN, "retrying": RETRYING, "starting": RETRYING}
SLACK = 1.0  # s; may pass between the app's answer and reading the clock here


def token(arguments: argparse.Namespace, paths: Paths) -> int:
    """Print it. An expired token is never printed, even if the app says it is valid."""
    from trayapp.cli.listing import report_problems

    if problem := _sasl_problem(arguments):
        print_error(f"amberlight: {problem}")
        return USAGE
    client = ApiClient.of(paths)
    found = token_or_code(client, arguments.name, arguments.min_validity)
    if isinstance(found, int):
        return TEMPORARY if found == RETRYING and _is_account(client, arguments.name) else found
    report_problems(client)
    value, expires_at = found
    if arguments.sasl:
        from trayapp.cli.sasl import initial_response

        print_line(initial_response(arguments.sasl, arguments.user, value))
    elif arguments.format == "json":
        print_json({"access_token": value.reveal(), "token_type": "Bearer", "expires_at": expires_at})
    else:
        print_line(f"Authorization: Bearer {value.reveal()}" if arguments.header else value.reveal())
    return OK


def _is_account(client: ApiClient, name: str) -> bool:
    with suppress(ApiError, NotRunningError):
        return client.status(name).get("kind") == ACCOUNT
    return False


def _sasl_problem(arguments: argparse.Namespace) -> str:
    """What is wrong with --sasl and --user; empty if nothing is."""
    if not arguments.sasl:
        return "--user is for --sasl" if arguments.user is not None else ""
    from trayapp.cli.sasl import user_problem

    problem = user_problem(arguments.user or "")
    return f"--user {problem}" if problem else ""


def usable_token(client: ApiClient, name: str, min_validity: float) -> Secret | int:
    """The token, or the exit code after the reason has been printed to standard error."""
    found = token_or_code(client, name, min_validity)
    return found if isinstance(found, int) else found[0]


def token_or_code(
    client: ApiClient, name: str, min_validity: float, wait: float = TOKEN_WAIT
) -> tuple[Secret, str | None] | int:
    """The token and its end (RFC 3339), or the exit code after the reason has been printed to standard error."""
    try:
        answer = client.token(name, min_validity, wait)
    except ApiError as error:
        if error.code not in EXIT_CODES:
            raise
        print_error(f"amberlight: no token for {name}: {clean(error)}")
        return EXIT_CODES[error.code]
    value, ends, now = answer.get("access_token"), parse_time(answer.get("expires_at")), time.time()
    if not isinstance(value, str) or not value or not value.isprintable():
        print_error(f"amberlight: Amberlight's answer has no token for {name}")
        return FAILED
    if answer.get("expires_at") is not None and (ends is None or ends <= now):
        print_error(f"amberlight: the token of {name} has just expired. Try again in a few seconds.")
        return RETRYING
    if ends is not None and ends - now < min_validity - SLACK:
        left = duration_words(ends - now)
        print_error(f"amberlight: no token of {name} is valid for that long; this one ends in {left}")
    return Secret(value), None if ends is None else str(answer["expires_at"])
