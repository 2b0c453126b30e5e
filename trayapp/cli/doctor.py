"""`amberlight doctor`: checks everything that Amberlight depends on, with or without the app, and says what to do.

Each check ends as ok, warning (works with limits) or problem (doesn't work), within seconds, whatever hangs. No prompt
appears, and no token is sent: servers are only asked for the time. Nothing is changed, except, with `--fix`, what can be
fixed safely in clients' files.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from trayapp.app import checks
from trayapp.app.client_checks import clients
from trayapp.app.file_checks import files
from trayapp.cli import codes
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.output import Style, checks_text, print_json, print_line
from trayapp.config.paths import Paths
from trayapp.core.checks import PROBLEM, WARNING, Check, Report
from trayapp.system.port_holder import holder_text, port_holder


def doctor(arguments: argparse.Namespace, paths: Paths) -> int:
    """Print all checks; exit code 1 if there is a problem."""
    found = run_checks(paths, os.environ, fix=arguments.fix)
    if arguments.format == "json":
        print_json(found)
    else:
        print_line(checks_text(found, Style.of(sys.stdout, os.environ)))
    return codes.FAILED if any(check["state"] == PROBLEM for check in found) else codes.OK


def run_checks(paths: Paths, environ: Mapping[str, str], *, fix: bool = False) -> list[dict[str, Any]]:
    """All checks, as `{name, state, text, help, fixable}`; with `fix`, clients' files are fixed."""
    logging.getLogger("trayapp").addHandler(logging.NullHandler())  # the checks say all that matters
    config, first = checks.configuration(paths, environ)
    report, app = running(paths)
    port = [] if report is not None or config is None else taken_port(config.settings.port)
    network = asyncio.run(checks.network_checks(config, report))
    found = [*first, *files(paths), *network, checks.autostart(), *clients(paths, config, fix=fix), *port, *app]
    return [asdict(check) for check in found]


def taken_port(port: int) -> list[Check]:
    """A check while no app answers: whether another program has its port. None where the system doesn't say."""
    holder = port_holder(port) if port else None
    if holder is None or holder.amberlight:
        return []
    text = f"Port {port} is in use by {holder_text(holder) or 'another program'}, so clients won't be able to connect."
    help_ = "set another port under [settings] in config.toml."
    return [Check("port", WARNING, text, f"Quit that program, or {help_}" if holder.own else help_.capitalize())]


def running(paths: Paths) -> tuple[Report | None, list[Check]]:
    """The running app's report (None if there is no app), and the checks shown for it."""
    try:
        client = ApiClient.of(paths)
        report = client.doctor()
    except NotRunningError as error:
        text = f"Amberlight isn't running. {error}".strip()
        return None, [Check("app", WARNING, text, "Start it: amberlight run")]
    except ApiError as error:
        return None, [Check("app", PROBLEM, str(error), "Quit Amberlight and start it again: amberlight run")]
    url = f"http://{client.host}:{client.port}"
    return report, checks.running_checks(report, client.pid, client.version, url)
