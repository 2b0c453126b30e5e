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
from trayapp.cli.output import Style, clean, print_error, print_json, print_line
from trayapp.cli.workload_text import auth_of, state_text, status_lines, table
from trayapp.config.paths import Paths
from trayapp.core.app_notices import FIX_FILE
from trayapp.core.outages import TITLE
from trayapp.core.public import LISTED
from trayapp.core.snapshot import Status

Json = Mapping[str, Any]

EMPTY = "No workloads configured. Add one: amberlight add NAME URL   Or let Amberlight help: amberlight setup"
HIDDEN = "Not shown: {} paused. See: amberlight list --all"
# For scripts, the exit code says how a workload is; without a usable token it is never 0, paused workloads aside.
BY_STATUS = {"auth_retrying": RETRYING, "unauthenticated": NEEDS_SIGN_IN, "error": FAILED, "unhealthy": FAILED}
URGENCY = (NEEDS_SIGN_IN, FAILED, RETRYING)  # of several workloads, the code that most needs a person


def listing(arguments: argparse.Namespace, paths: Paths) -> int:
    client = ApiClient.of(paths)
    every = client.workloads()
    code = report_app(app_state(client))
    rows = listed(every, everything=arguments.all)
    if arguments.format == "json":
        print_json(rows)
    elif every or code == OK:  # else the configuration can't be read, which has been said
        print_line(list_text(rows, every, Style.of(sys.stdout, os.environ), time.time()))
    return code


def listed(rows: Sequence[Json], *, everything: bool) -> list[Json]:
    """The rows to show: without `everything`, those that work or want to."""
    return [row for row in rows if everything or row.get("status") in LISTED]


def list_text(rows: Sequence[Json], every: Sequence[Json], style: Style, now: float) -> str:
    """The table, or what to do if it is empty."""
    parts = [table(rows, style, now)] if rows else []
    if len(rows) < len(every):
        parts.append(HIDDEN.format(len(every) - len(rows)))
    return "\n".join(parts) or EMPTY


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
    warnings = [clean(line) for line in app.get("warnings") or ()]
    for line in dict.fromkeys((*app_problems(app), *warnings)):
        print_error(f"amberlight: {line}")
    return FAILED if app.get("broken") else OK


def app_problems(app: Json) -> list[str]:
    """What keeps all workloads or all clients from Amberlight: a file that can't be read, a port that can't be used."""
    found = []
    if broken := clean(app.get("broken") or ""):
        found.append(f"{broken.removesuffix('.')}. {FIX_FILE}")
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
    rows, app = client.workloads(), app_state(client)
    codes = {exit_code(row) for row in rows}
    code = next((each for each in URGENCY if each in codes), OK)
    if arguments.format == "json":
        counts = Counter(str(row.get("status")) for row in rows)
        own: dict[str, Any] = {
            "pid": client.pid,
            "url": f"http://{client.host}:{client.port}",
            "version": client.version,
        }
        print_json({"app": {**own, **app}, "counts": dict(counts), "workloads": rows})
        return max(code, FAILED) if app.get("broken") else code
    style, now = Style.of(sys.stdout, os.environ), time.time()
    print_line(headline(rows, style, now, outage=bool(app.get("outage"))))
    troubled = [row for row in rows if exit_code(row) != OK]
    shown = rows if arguments.verbose else troubled
    if shown:
        print_line("\n" + table(shown, style, now))
    if not rows and not app.get("broken"):
        print_line(EMPTY)
    if arguments.verbose:
        print_line(
            f"\nAmberlight {clean(client.version)}, process {client.pid}, http://{client.host}:{client.port}, "
            f"since {clean(app.get('started_at'))}"
        )
    return report_app(app) or code


def headline(rows: Sequence[Json], style: Style, now: float, *, outage: bool = False) -> str:
    """ "1 workload needs attention.\\n3 connected, 1 reconnecting" """
    attention = [row for row in rows if exit_code(row) in (NEEDS_SIGN_IN, FAILED)]
    waiting = [row for row in rows if exit_code(row) == RETRYING]
    if not rows:
        return "Amberlight is running."
    if attention:
        one = len(attention) == 1
        first = f"{len(attention)} workload{'' if one else 's'} need{'s' if one else ''} attention."
    elif outage:
        first = f"{TITLE}."
    elif waiting:
        count = len(waiting)
        first = f"{count} workload{' is' if count == 1 else 's are'} reconnecting. No action needed."
    elif all(row.get("status") == Status.STOPPED for row in rows):
        first = "All workloads are paused."
    else:
        first = "All workloads are connected."
    counts = Counter(state_text(row, style, now) for row in rows)
    return f"{first}\n{', '.join(f'{count} {words}' for words, count in counts.most_common())}"
