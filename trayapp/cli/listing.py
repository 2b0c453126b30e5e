"""`amberlight list` and `status`: how the workloads are, and Amberlight itself."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from trayapp.cli.client import ApiClient, ApiError
from trayapp.cli.codes import FAILED, NEEDS_SIGN_IN, OK, RETRYING
from trayapp.cli.columns import wrap
from trayapp.cli.output import Style, clean, local_time, parse_time, print_error, print_json, print_line
from trayapp.cli.workload_text import auth_of, label_text, status_lines, table
from trayapp.config.paths import Paths
from trayapp.core.app_notices import broken_text
from trayapp.core.external import GONE
from trayapp.core.outages import TITLE
from trayapp.core.public import LISTED
from trayapp.core.sentences import NO_ACTION
from trayapp.core.snapshot import Status

Json = Mapping[str, Any]

EMPTY = (
    "No workloads configured. Add one: amberlight add NAME URL\nOr find the servers of your clients: amberlight setup"
)
HIDDEN = "Not shown: {}. See: amberlight list --all"
# For scripts, the exit code says how a workload is; without a usable token it is never 0, paused workloads aside.
BY_STATUS = {"auth_retrying": RETRYING, "unauthenticated": NEEDS_SIGN_IN, "error": FAILED, "unhealthy": FAILED}
# What only a person can move out of the way; one keyring and one network are everybody's.
OBSTACLES = {"keyring_locked": "the keyring", "keyring_unavailable": "the keyring", "portal": "the network"}
URGENCY = (NEEDS_SIGN_IN, FAILED, RETRYING)  # of several workloads, the code that most needs a person


def listing(arguments: argparse.Namespace, paths: Paths) -> int:
    client = ApiClient.of(paths)
    every, problems = every_workload(client)
    code = report_app(app_state(client))
    for problem in problems:
        print_error(f"amberlight: {clean(problem)}")
    rows = listed(every, everything=arguments.all)
    if arguments.format == "json":
        print_json(rows)
    elif every or code == OK:  # else the configuration can't be read, which has been said
        print_line(list_text(rows, every, Style.of(sys.stdout, os.environ), time.time()))
    return code


def every_workload(client: ApiClient) -> tuple[list[Json], list[str]]:
    """All rows, ours before those of other programs; and what of the others could not be read."""
    ours = client.workloads()
    others, problems = client.external()
    return [*ours, *others], problems


def listed(rows: Sequence[Json], *, everything: bool) -> list[Json]:
    """The rows to show: without `everything`, those that work or want to."""
    return [row for row in rows if everything or _is_listed(row)]


def _is_listed(row: Json) -> bool:
    """Another program's is listed unless it is stopped or on the way there, whatever else its word means."""
    word = row.get("status")
    return word not in GONE if row.get("external") else word in LISTED


def list_text(rows: Sequence[Json], every: Sequence[Json], style: Style, now: float) -> str:
    """The table, or what to do if it is empty."""
    parts = [table(rows, style, now)] if rows else []
    if len(rows) < len(every):
        stopped = sum(1 for row in every if row.get("external") and not _is_listed(row))
        paused = len(every) - len(rows) - stopped
        counts = (f"{count} {word}" for count, word in ((paused, "paused"), (stopped, "stopped")) if count)
        parts += _wrapped(HIDDEN.format(", ".join(counts)), style)
    return "\n".join(parts or (part for line in EMPTY.splitlines() for part in _wrapped(line, style)))


def status(arguments: argparse.Namespace, paths: Paths) -> int:
    client = ApiClient.of(paths)
    row = client.status(arguments.name)
    report_problems(client)
    if arguments.format == "json":
        print_json(row)
    else:
        print_line(status_lines(row, Style.of(sys.stdout, os.environ), time.time(), verbose=arguments.verbose))
    return exit_code(row)


def exit_code(row: Json) -> int:
    """Running and starting workloads need a usable token to be OK, even if the short retry isn't over yet (M3)."""
    word = str(row.get("status"))
    waiting = word in ("running", "starting") and auth_of(row).get("usable") is False
    return RETRYING if waiting else BY_STATUS.get(word, OK)


# --- Amberlight as a whole -------------------------------------------------------------------------------------------


def app_state(client: ApiClient) -> Json:
    """How Amberlight itself is; {} from an app of an earlier version."""
    try:
        return client.app()
    except ApiError as error:
        if error.status == 404:
            return {}
        raise


def report_app(app: Json) -> int:
    """Print what is wrong with Amberlight itself; the exit code. A configuration that can't be read is a failure."""
    others = [clean(line) for line in (app.get("outdated"), *(app.get("warnings") or ())) if line]
    for line in dict.fromkeys((*app_problems(app), *others)):
        print_error(f"amberlight: {line}")
    return FAILED if app.get("broken") else OK


def app_problems(app: Json) -> list[str]:
    """What keeps all workloads or all clients from Amberlight: a file that can't be read, a port that can't be used."""
    found = []
    if broken := clean(app.get("broken") or ""):
        found.append(broken_text(broken))
    if isinstance(outage := app.get("outage"), Mapping):
        found.append(f"{clean(outage.get('text'))} {clean(outage.get('command_help'))}")
    return found


def report_problems(client: ApiClient) -> int:
    """The same for commands about one workload: only what concerns each of them; the exit code."""
    app = app_state(client)
    for line in app_problems(app):
        print_error(f"amberlight: {line}")
    return FAILED if app.get("broken") else OK


def overview(arguments: argparse.Namespace, paths: Paths) -> int:
    """`status` without a name: a line that answers the question, and what needs attention. The most urgent code."""
    client = ApiClient.of(paths)
    found, problems = every_workload(client)
    rows, app = [row for row in found if not row.get("external") or _is_listed(row)], app_state(client)
    codes = {exit_code(row) for row in rows} | ({FAILED} if app.get("broken") or app.get("outage") else set())
    code = next((each for each in URGENCY if each in codes), OK)
    if arguments.format == "json":
        counts = Counter(str(row.get("status")) for row in rows)
        own: dict[str, Any] = {
            "pid": client.pid,
            "url": f"http://{client.host}:{client.port}",
            "version": client.version,
        }
        print_json({"app": own | dict(app), "counts": dict(counts), "workloads": rows})
        return code
    report_app(app)
    for problem in problems:
        print_error(f"amberlight: {clean(problem)}")
    style, now = Style.of(sys.stdout, os.environ), time.time()
    if rows or not app.get("broken"):
        lines = headline(rows, outage=bool(app.get("outage")))
        print_line("\n".join(part for line in lines for part in _wrapped(line, style)))
    shown = rows if arguments.verbose else [row for row in rows if exit_code(row) != OK]
    if shown:
        print_line("\n" + table(shown, style, now))
    if arguments.verbose:
        started = parse_time(app.get("started_at"))
        since = f", since {local_time(started)}" if started is not None else ""
        where = f"http://{client.host}:{client.port}, process {client.pid}"
        print_line(f"\nAmberlight {clean(client.version)} at {where}{since}")
    return code


def _wrapped(text: str, style: Style) -> list[str]:
    return wrap(text, style.width) if style.width else [text]


def headline(rows: Sequence[Json], *, outage: bool) -> list[str]:
    """ "1 workload needs attention." and "3 connected, 1 reconnecting"."""
    if not rows:
        return EMPTY.splitlines()
    codes = Counter(exit_code(row) for row in rows)
    labels = Counter(label_text(row).lower() for row in rows)
    counts = ", ".join(f"{count} {label}" for label, count in labels.most_common())
    return [f"{TITLE}." if outage else _verdict(codes, rows), counts]


def _verdict(codes: Mapping[int, int], rows: Sequence[Json]) -> str:
    if attention := codes.get(NEEDS_SIGN_IN, 0) + codes.get(FAILED, 0):
        return "1 workload needs attention." if attention == 1 else f"{attention} workloads need attention."
    for detail, obstacle in OBSTACLES.items():
        if held := [row for row in rows if exit_code(row) == RETRYING and auth_of(row).get("detail") == detail]:
            return f"{_are(len(held))} waiting for {obstacle}. {clean(held[0].get('status_context'))}"
    if waiting := codes.get(RETRYING, 0):
        return f"{_are(waiting)} reconnecting. {NO_ACTION}"
    if all(row.get("status") == Status.STOPPED for row in rows):
        return "All workloads are paused."
    return "All workloads are connected."


def _are(count: int) -> str:
    return "1 workload is" if count == 1 else f"{count} workloads are"
