"""`amberlight take-over`: move another program's workload here, or back. The app does the work; this asks and reports."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from trayapp.cli.add_command import show_client_needed
from trayapp.cli.client import BASE, ApiClient, ApiError
from trayapp.cli.codes import FAILED, OK, USAGE
from trayapp.cli.errors import api_error_text, sign_in_later
from trayapp.cli.output import clean, print_error, print_line
from trayapp.cli.questions import can_ask, confirmed
from trayapp.cli.sign_in_wait import requested_method, sign_in
from trayapp.config.paths import Paths
from trayapp.core.snapshot import Status
from trayapp.external.take_over import secret_first

LIMIT = 180.0  # s; its server is checked, its program stops it, and clients' files are written
DELETES = "It and its login are removed here, unless it was configured before the take-over."


def take_over(arguments: argparse.Namespace, paths: Paths) -> int:
    """Show what would change, ask, have it done, and wait for the sign-in; with `--undo`, give it back."""
    if (arguments.name is None) == (arguments.undo is None):
        print_error("amberlight: give OWNER/NAME or --undo NAME. See `amberlight take-over --help`.")
        return USAGE
    if arguments.undo is not None:
        return _give_back(arguments, paths)
    client = ApiClient.of(paths)
    if "/" not in arguments.name:
        client.status(arguments.name)
        print_error(f"amberlight: {arguments.name} is already an Amberlight workload.")
        return FAILED
    owner, _, name = arguments.name.partition("/")
    path = f"{BASE}/external/{quote(owner, safe='')}/{quote(name, safe='')}/take-over"
    query = f"?name={quote(arguments.new, safe='')}" if arguments.new else ""
    plan = client.request("GET", f"{path}{query}", limit=LIMIT)
    _show(arguments.name, plan)
    if problem := plan.get("problem"):
        print_error(f"amberlight: {clean(problem)}")
        return FAILED
    if arguments.dry_run:
        print_line("\nNothing was changed.")
        return OK
    if (code := _agreed(arguments, f"\nTake over {clean(plan.get('name'))}?")) is not None:
        return code
    body = {"sign_in": False} | ({"name": arguments.new} if arguments.new else {})
    try:
        done = client.request("POST", path, body, LIMIT)
    except ApiError as error:
        if error.code != "client_id_needed":
            raise
        show_client_needed(argparse.Namespace(name=plan.get("name")), {"url": clean(plan.get("url"))}, error)
        print_error(f"Then take it over: amberlight take-over {arguments.name}")
        return FAILED
    code = _report(done)
    return max(code, _sign_in(client, arguments, paths, str(done.get("name")), plan))


def _give_back(arguments: argparse.Namespace, paths: Paths) -> int:
    if arguments.dry_run or arguments.new or arguments.no_browser:
        print_error("amberlight: --undo can only be combined with --yes and --format.")
        return USAGE
    client, name = ApiClient.of(paths), arguments.undo
    if (code := _agreed(arguments, f"Give {name} back? {DELETES}")) is not None:
        return code
    return _report(client.request("POST", f"{BASE}/workloads/{quote(name, safe='')}/give-back", {}, LIMIT))


def _agreed(arguments: argparse.Namespace, question: str) -> int | None:
    """None if the person agrees; else the exit code."""
    if arguments.yes:
        return None
    if not can_ask():
        print_error("amberlight: to confirm, add --yes.")
        return USAGE
    if confirmed(question):
        return None
    print_line("Nothing was changed.")
    return OK


def _report(done: Mapping[str, Any]) -> int:
    """Say what was done and what wasn't."""
    print_line(clean(done.get("message")), flush=True)
    failed = done.get("failed") or ()
    for sentence in failed:
        print_error(f"amberlight: {clean(sentence)}")
    return FAILED if failed else OK


def _show(theirs: str, plan: Mapping[str, Any]) -> None:
    """The plan, a line for each thing that would change."""
    owner, name, url = clean(plan.get("owner")), clean(plan.get("name")), clean(plan.get("url"))
    if plan.get("configured_as"):
        print_line(f"{clean(theirs)} is already configured here as {name} ({url}).")
    elif name:
        print_line(f"{clean(theirs)} becomes the workload {name} ({url}). {owner} stops it, and you sign in once.")
    clients = [each for each in plan.get("clients") or () if isinstance(each, Mapping)]
    if clients:
        print_line("Client entries that will point to Amberlight:")
    for each in clients:
        print_line(f"  {clean(each.get('title'))} ({clean(each.get('file'))}): {clean(each.get('entry'))}")
    for note in plan.get("notes") or ():
        print_line(clean(note))


def _sign_in(client: ApiClient, arguments: argparse.Namespace, paths: Paths, name: str, plan: Mapping[str, Any]) -> int:
    """Wait for the sign-in, unless none is needed or the client's secret is missing."""
    if plan.get("needs_secret") is True and not _stored_secret(client, name):
        print_line(secret_first(name))
        return OK
    if plan.get("configured_as") and client.status(name).get("status") != Status.UNAUTHENTICATED:
        return OK
    try:
        code = sign_in(client, name, **requested_method(arguments), accept=False)
    except ApiError as error:  # for example a server that can't be reached
        print_error(f"amberlight: {api_error_text(error, arguments, paths)}\n{sign_in_later(name)}")
        code = FAILED
    if code != OK:
        print_error(f"{name} stays in Amberlight without a login. To undo this: amberlight take-over --undo {name}")
    return code


def _stored_secret(client: ApiClient, name: str) -> bool:
    """Ask for the client's secret, which stays with its owner; whether one is stored now."""
    if not can_ask():
        return False
    from trayapp.cli.secrets import read_secret

    secret = read_secret("Client secret (Enter to store it later): ")
    if secret is None or not secret:
        return False
    client.secret(name, secret)
    return True
