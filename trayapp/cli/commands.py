"""The commands. Each is a function of its arguments and this user's paths and returns an exit code.

`run` turns every expected failure into one sentence on standard error; an unexpected one is written to a file with its
traceback, and the sentence says where. Waiting for a sign-in is in `sign_in_wait.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, NEEDS_SIGN_IN, NOT_RUNNING, OK, RETRYING, USAGE
from trayapp.cli.errors import api_error_text, refuse_retry, save_traceback
from trayapp.cli.output import (
    EMPTY,
    HIDDEN,
    Style,
    auth_of,
    clean,
    print_error,
    print_json,
    print_line,
    status_lines,
    table,
)
from trayapp.cli.token_wait import usable_token
from trayapp.config.paths import Paths
from trayapp.core.model import Secret
from trayapp.core.public import LISTED

NOT_RUNNING_TEXT = "Amberlight isn't running. Start it: amberlight run"

# For scripts, the exit code says how a workload is; without a usable token it is never 0, paused workloads aside.
BY_STATUS = {"auth_retrying": RETRYING, "unauthenticated": NEEDS_SIGN_IN, "error": FAILED, "unhealthy": FAILED}


def run(arguments: argparse.Namespace) -> int:
    """Run a parsed command line; the exit code."""
    from trayapp.config.editor import EditError
    from trayapp.config.loader import ConfigError

    paths = Paths.default()
    command: Callable[[argparse.Namespace, Paths], int] = COMMANDS[arguments.command]
    try:
        return command(arguments, paths)
    except NotRunningError as error:
        print_error(NOT_RUNNING_TEXT + (f"\n({clean(error)})" if str(error) else ""))
        return NOT_RUNNING
    except ApiError as error:
        print_error(f"amberlight: {api_error_text(error, arguments, paths)}")
        return FAILED
    except ConfigError as error:
        print_error("amberlight: the configuration has mistakes:\n" + "\n".join(clean(m) for m in error.mistakes))
        return FAILED
    except EditError as error:
        print_error(f"amberlight: {clean(error)}")
        return FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"amberlight: {clean(where)}{error.strerror or type(error).__name__}")
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: a person gets a sentence, never a traceback
        print_error(f"amberlight: something unexpected went wrong ({type(error).__name__}). {save_traceback(paths)}")
        return FAILED


def _client(paths: Paths) -> ApiClient:
    return ApiClient.of(paths)


# --- the app itself --------------------------------------------------------------------------------------------------


def demo(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.demo import demo as program

    return program.run(
        tray=not arguments.no_tray,
        fast=arguments.fast,
        exit_when_done=arguments.exit,
        as_json=arguments.format == "json",
    )


# --- showing ---------------------------------------------------------------------------------------------------------


def listing(arguments: argparse.Namespace, paths: Paths) -> int:
    every = _client(paths).workloads()
    rows = [row for row in every if arguments.all or row.get("status") in LISTED]
    if arguments.format == "json":
        print_json(rows)
        return OK
    if rows:
        print_line(table(rows, Style.of(sys.stdout, os.environ), time.time()))
    if len(rows) < len(every):
        print_line(HIDDEN.format(len(every) - len(rows)))
    elif not rows:
        print_line(EMPTY)
    return OK


def status(arguments: argparse.Namespace, paths: Paths) -> int:
    row = _client(paths).status(arguments.name)
    if arguments.format == "json":
        print_json(row)
    else:
        print_line(status_lines(row, Style.of(sys.stdout, os.environ), time.time(), verbose=arguments.verbose))
    return _exit_code(row)


def _exit_code(row: Mapping[str, Any]) -> int:
    """Running and starting workloads need a usable token to be OK, even if the short retry isn't over yet (M3)."""
    word = str(row.get("status"))
    waiting = word in ("running", "starting") and auth_of(row).get("usable") is False
    return RETRYING if waiting else BY_STATUS.get(word, OK)


def token(arguments: argparse.Namespace, paths: Paths) -> int:
    """Never prints an expired token, even if the app says it is valid."""
    value = usable_token(_client(paths), arguments.name, arguments.min_validity)
    if isinstance(value, int):
        return value
    print_line(f"Authorization: Bearer {value.reveal()}" if arguments.header else value.reveal())
    return OK


def execute(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.exec_command import replace_process

    value = usable_token(_client(paths), arguments.name, arguments.min_validity)
    return value if isinstance(value, int) else replace_process(arguments.after, arguments.env, value)


def client_config(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.client_config import show

    if arguments.all:
        return show(_client(paths).aggregate(), "/mcp", arguments.program, logins="all logins")
    return show(_client(paths).client(arguments.name), arguments.name, arguments.program)


def connect(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import connect as program

    return program.connect(arguments, paths) if arguments.command == "connect" else program.disconnect(arguments, paths)


def setup(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import setup as program

    return program.setup(arguments, paths)


def logs(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.log_tail import follow, last_lines

    try:
        lines = last_lines(paths.log_file, arguments.count)
    except FileNotFoundError:
        print_error(f"amberlight: there is no log yet ({paths.log_file})")
        return FAILED
    for line in lines:
        print_line(clean(line))
    if arguments.follow:
        for line in follow(paths.log_file):
            print_line(clean(line))
            sys.stdout.flush()
    return OK


def doctor(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.doctor import run_checks
    from trayapp.cli.output import checks_text
    from trayapp.core.checks import PROBLEM

    checks = run_checks(paths, os.environ, fix=arguments.fix)
    if arguments.json:
        print_json(checks)
    else:
        print_line(checks_text(checks, Style.of(sys.stdout, os.environ)))
    return FAILED if any(check["state"] == PROBLEM for check in checks) else OK


# --- acting ----------------------------------------------------------------------------------------------------------


def retry(arguments: argparse.Namespace, paths: Paths) -> int:
    client = _client(paths)
    if arguments.name is None:
        client.retry_all()
        print_line("Trying all workloads now. See: amberlight list")
    else:
        if (code := refuse_retry(client.status(arguments.name))) != OK:
            return code
        client.post(arguments.name, "retry")
        print_line(f"Trying {arguments.name} now. See: amberlight status {arguments.name}")
    return OK


def stop(arguments: argparse.Namespace, paths: Paths) -> int:
    _client(paths).post(arguments.name, "stop")
    print_line(f"Paused {arguments.name}. Resume it: amberlight start {arguments.name}")
    return OK


def start(arguments: argparse.Namespace, paths: Paths) -> int:
    _client(paths).post(arguments.name, "restart")
    print_line(f"Resumed {arguments.name}. See: amberlight status {arguments.name}")
    return OK


def reauthorize(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.sign_in_wait import requested_method, sign_in

    return sign_in(_client(paths), arguments.name, **requested_method(arguments), accept=arguments.accept)


def secret(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.secrets import asked_secret

    client = _client(paths)
    client.status(arguments.name)  # fails for an unknown name before a secret is typed
    if arguments.action == "delete":
        client.secret(arguments.name, Secret(""))
        print_line(f"Deleted the client secret of {arguments.name}. The current login keeps using it until it ends.")
        return OK
    secret = asked_secret(arguments.name)
    if secret is None:
        return USAGE
    client.secret(arguments.name, secret)
    print_line(
        f"Stored the client secret of {arguments.name} in the keyring. Sign in: amberlight reauthorize {arguments.name}"
    )
    return OK


# --- the configuration's entries -------------------------------------------------------------------------------------


def add(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import add_command

    return add_command.add(arguments, paths)


def catalog(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.catalog import catalog as command

    return command(arguments, paths)


def remove(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import add_command

    return add_command.remove(arguments, paths)


def autostart(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.autostart import autostart as command

    return command(arguments, paths)


def dashboard(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.dashboard import dashboard as command

    return command(arguments, paths)


def import_entries(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.import_command import run as command

    return command(arguments, paths)


COMMANDS: Mapping[str, Callable[[argparse.Namespace, Paths], int]] = {
    "demo": demo,
    "add": add,
    "catalog": catalog,
    "remove": remove,
    "import": import_entries,
    "dashboard": dashboard,
    "list": listing,
    "status": status,
    "retry": retry,
    "reauthorize": reauthorize,
    "secret": secret,
    "token": token,
    "exec": execute,
    "client-config": client_config,
    "connect": connect,
    "setup": setup,
    "disconnect": connect,
    "stop": stop,
    "start": start,
    "logs": logs,
    "doctor": doctor,
    "autostart": autostart,
}
