"""`amberlight wait NAME --for STATE`: returns once a workload is in a state, or when the time is up."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.listing import exit_code
from trayapp.cli.output import print_error, print_json, print_line
from trayapp.cli.workload_text import detail_text, label_text, row_style
from trayapp.config.paths import Paths
from trayapp.core.presentation import Colour
from trayapp.core.sentences import duration

POLL = 0.5  # s; the app's states are up to half a second old

Json = Mapping[str, Any]


def wait(
    arguments: argparse.Namespace,
    paths: Paths,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Exit code 0 once it is in the state, otherwise that of its state; never 0 then. An app that restarts is waited for."""
    name, wanted = arguments.name, arguments.state
    until = now() + arguments.timeout
    row: Json = ApiClient.of(paths).status(name)
    while not is_in(row, wanted, time.time()):
        if (left := until - now()) <= 0:
            return _given_up(arguments, row)
        sleep(min(POLL, left))
        row = _looked(paths, name, row, last=until <= now())
    if arguments.format == "json":
        print_json(row)
    else:
        print_line(f"{name}: {label_text(row)}.")
    return OK


def _looked(paths: Paths, name: str, before: Json, *, last: bool) -> Json:
    """The newest state; the one before while the app can't be reached. Raises what says so if it is the last look."""
    try:
        return ApiClient.of(paths).status(name)
    except (NotRunningError, ApiError) as error:
        if last or (isinstance(error, ApiError) and error.status):
            raise
        return before


def is_in(row: Json, wanted: str, now: float) -> bool:
    """Whether the row's state is this one: a label in lower case with hyphens, or a colour."""
    if wanted.upper() in Colour.__members__:
        return row_style(row, now).colour is Colour[wanted.upper()]
    return label_text(row).lower().replace(" ", "-") == wanted


def _given_up(arguments: argparse.Namespace, row: Json) -> int:
    if arguments.format == "json":
        print_json(row)
    detail = detail_text(row, time.time())
    state = f"{label_text(row)}{f' ({detail})' if detail else ''}"
    name, wanted = arguments.name, arguments.state.replace("-", " ")
    within = (
        f"didn't become “{wanted}” within {duration(arguments.timeout)}" if arguments.timeout else f"isn't “{wanted}”"
    )
    print_error(f"amberlight: {name} {within}. Its state: {state}. See: amberlight status {name}")
    return exit_code(row) or FAILED
