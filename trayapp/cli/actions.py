"""`amberlight retry`, `stop`, `start`, `restart` and `quit`: what has changed is said in one line, and so is that nothing had to."""

from __future__ import annotations

import argparse
import time

from trayapp.cli.client import BASE, ApiClient, NotRunningError
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.errors import refuse_retry
from trayapp.cli.listing import report_problems
from trayapp.cli.output import clean, print_error, print_result
from trayapp.config.paths import Paths
from trayapp.core.snapshot import Status
from trayapp.server.instance import is_held, process_exists

QUIT_LIMIT = 20.0  # s; attempts in flight end first, and their logins are stored
POLL = 0.1  # s


def retry(arguments: argparse.Namespace, paths: Paths) -> int:
    client, name = ApiClient.of(paths), arguments.name
    if name is None:
        if (code := report_problems(client)) != OK and not client.workloads():
            return code
        client.retry_all()
        print_result(arguments, "Trying all workloads now. See: amberlight list", changed=None)
        return OK
    if (code := refuse_retry(client.status(name))) != OK:
        return code
    client.post(name, "retry")
    print_result(arguments, f"Trying {name} now. See: amberlight status {name}", changed=[name])
    return OK


def stop(arguments: argparse.Namespace, paths: Paths) -> int:
    """Pause one workload, or all that aren't paused."""
    client, name = ApiClient.of(paths), arguments.name
    if arguments.all:
        names = [str(row.get("name")) for row in client.workloads() if row.get("status") != Status.STOPPED]
        return _all(arguments, client, "stop", names, "Paused", "running", "Resume them: amberlight start --all")
    if client.status(name).get("status") == Status.STOPPED:
        print_result(arguments, f"{name} is already paused.", changed=[])
        return OK
    client.post(name, "stop")
    print_result(arguments, f"Paused {name}. Resume it: amberlight start {name}", changed=[name])
    return OK


def start(arguments: argparse.Namespace, paths: Paths) -> int:
    """Resume one workload, or all that are paused."""
    client, name = ApiClient.of(paths), arguments.name
    if arguments.all:
        names = [str(row.get("name")) for row in client.workloads() if row.get("status") == Status.STOPPED]
        return _all(arguments, client, "restart", names, "Resumed", "paused", "See: amberlight list")
    if client.status(name).get("status") != Status.STOPPED:
        print_result(arguments, f"{name} is already running.", changed=[])
        return OK
    client.post(name, "restart")
    print_result(arguments, f"Resumed {name}. See: amberlight status {name}", changed=[name])
    return OK


def restart(arguments: argparse.Namespace, paths: Paths) -> int:
    """Have another program restart its workload."""
    client, name = ApiClient.of(paths), arguments.name
    row = client.status(name)
    if "/" not in name:
        print_error(
            f"amberlight: {name} is Amberlight's own. Refresh it: amberlight retry {name}; or pause and resume it: "
            f"amberlight stop {name}, amberlight start {name}"
        )
        return FAILED
    client.post(name, "restart")
    print_result(
        arguments, f"{clean(row.get('owner'))} is restarting {name}. See: amberlight status {name}", changed=[name]
    )
    return OK


def _all(
    arguments: argparse.Namespace, client: ApiClient, verb: str, names: list[str], done: str, before: str, after: str
) -> int:
    if not names:
        if (code := report_problems(client)) != OK:
            return code
        print_result(arguments, f"No workload is {before}.", changed=[])
        return OK
    client.several(verb, names)
    count = "1 workload" if len(names) == 1 else f"{len(names)} workloads"
    print_result(arguments, f"{done} {count}. {after}", changed=names)
    return OK


def quit_app(arguments: argparse.Namespace, paths: Paths) -> int:
    """Quit the running app, and wait until it has ended."""
    try:
        client = ApiClient.of(paths)
    except NotRunningError:
        print_result(arguments, "Amberlight isn't running.", quit=False)
        return OK
    if not quit_running(client, paths):
        print_error(f"amberlight: Amberlight (process {client.pid}) is still quitting. See: amberlight logs")
        return FAILED
    print_result(arguments, "Amberlight has quit. Start it again: amberlight run", quit=True)
    return OK


def quit_running(client: ApiClient, paths: Paths) -> bool:
    """Ask the app to quit; whether it has ended in time."""
    client.request("POST", f"{BASE}/quit")
    until = time.monotonic() + QUIT_LIMIT
    while process_exists(client.pid) and is_held(paths.lock_file):
        if time.monotonic() > until:
            return False
        time.sleep(POLL)
    return True
