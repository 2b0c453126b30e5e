"""The table of commands. Each is a function of its arguments and this user's paths and returns an exit code.

`run` turns every expected failure into one sentence on standard error; an unexpected one is written to a file with its
traceback, and the sentence says where. A command imports its own module when it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, NOT_RUNNING, OutputError
from trayapp.cli.errors import NOT_RUNNING_TEXT, api_error_text, unexpected_text
from trayapp.cli.output import clean, print_error, print_json, print_line
from trayapp.config.paths import Paths


def run(arguments: argparse.Namespace) -> int:
    """Run a parsed command line; the exit code. Raises `OutputError`."""
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
    except (OutputError, BrokenPipeError):
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print_error(f"amberlight: {clean(where)}{error.strerror or type(error).__name__}")
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort: a person gets a sentence, never a traceback
        print_error(unexpected_text(error, paths))
        return FAILED


# --- the app itself --------------------------------------------------------------------------------------------------


def demo(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.demo import demo as program

    return program.run(
        tray=not arguments.no_tray,
        fast=arguments.fast,
        exit_when_done=arguments.exit,
        as_json=arguments.format == "json",
    )


def setup(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import setup as program

    return program.setup(arguments, paths)


def autostart(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.autostart import autostart as command

    return command(arguments, paths)


def dashboard(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.dashboard import dashboard as command

    return command(arguments, paths)


def change_port(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.change_port import change_port as command

    return command(arguments, paths)


def quit_app(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.actions import quit_app as command

    return command(arguments, paths)


def report(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.report import report as command

    return command(arguments, paths)


def uninstall(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.uninstall import uninstall as command

    return command(arguments, paths)


def completion(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.completion import script

    print_line(script(arguments.shell))
    return 0


# --- showing ---------------------------------------------------------------------------------------------------------


def listing(arguments: argparse.Namespace, paths: Paths) -> int:
    if arguments.watch:
        from trayapp.cli.watching import watch

        return watch(arguments, paths)
    from trayapp.cli.listing import listing as command

    return command(arguments, paths)


def status(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import listing

    return listing.status(arguments, paths) if arguments.name else listing.overview(arguments, paths)


def history(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.history import history as command

    return command(arguments, paths)


def wait(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.waiting import wait as command

    return command(arguments, paths)


def logs(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.logs import logs as command

    return command(arguments, paths)


def doctor(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.doctor import doctor as command

    return command(arguments, paths)


# --- for scripts and clients -----------------------------------------------------------------------------------------


def token(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.token_wait import token as command

    return command(arguments, paths)


def execute(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.exec_command import replace_process
    from trayapp.cli.token_wait import usable_token

    value = usable_token(ApiClient.of(paths), arguments.name, arguments.min_validity)
    return value if isinstance(value, int) else replace_process(arguments.after, arguments.env, value)


def git_credential(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.git_credential import git_credential as command

    return command(arguments, paths)


def client_config(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.client_config import show

    client = ApiClient.of(paths)
    answer = client.aggregate() if arguments.all else client.client(arguments.name)
    if arguments.format == "json":
        print_json(answer)
        return 0
    if arguments.all:
        return show(client, answer, "/mcp", arguments.program, logins="all logins")
    return show(client, answer, arguments.name, arguments.program)


def client_metadata(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.client_metadata import client_metadata as command

    return command(arguments, paths)


def connect(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import connect as program

    command = program.connect if arguments.command == "connect" else program.disconnect
    overview = arguments.command == "connect" and arguments.client is None
    if arguments.format == "json" and not overview:
        from trayapp.cli.json_result import with_lines

        return with_lines(lambda: command(arguments, paths))
    return command(arguments, paths)


# --- acting ----------------------------------------------------------------------------------------------------------


def retry(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.actions import retry as command

    return command(arguments, paths)


def stop(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.actions import stop as command

    return command(arguments, paths)


def start(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.actions import start as command

    return command(arguments, paths)


def restart(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.actions import restart as command

    return command(arguments, paths)


def reauthorize(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.sign_in_wait import reauthorize as command

    if arguments.format == "json":
        from trayapp.cli.json_result import with_status

        return with_status(lambda: command(arguments, paths), paths, lambda: arguments.name)
    return command(arguments, paths)


def secret(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.secrets import secret as command

    return command(arguments, paths)


# --- the configuration's entries -------------------------------------------------------------------------------------


def add(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import add_command
    from trayapp.cli.json_result import with_status

    if arguments.format == "json":
        return with_status(lambda: add_command.add(arguments, paths), paths, lambda: arguments.name)
    return add_command.add(arguments, paths)


def catalog(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.catalog import catalog as command

    return command(arguments, paths)


def remove(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli import add_command

    return add_command.remove(arguments, paths)


def edit(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.edit_command import edit as command

    return command(arguments, paths)


def rename(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.edit_command import rename as command

    return command(arguments, paths)


def set_value(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.set_command import set_value as command

    return command(arguments, paths)


def sign_out(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.edit_command import sign_out as command

    return command(arguments, paths)


def config(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.config_command import config as command

    return command(arguments, paths)


def import_entries(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.import_command import run as command

    if arguments.format == "json":
        from trayapp.cli.json_result import with_lines

        return with_lines(lambda: command(arguments, paths))
    return command(arguments, paths)


def take_over(arguments: argparse.Namespace, paths: Paths) -> int:
    from trayapp.cli.take_over import take_over as command

    if arguments.format == "json":
        from trayapp.cli.json_result import with_lines

        return with_lines(lambda: command(arguments, paths))
    return command(arguments, paths)


COMMANDS: Mapping[str, Callable[[argparse.Namespace, Paths], int]] = {
    "demo": demo,
    "setup": setup,
    "autostart": autostart,
    "dashboard": dashboard,
    "open": dashboard,
    "change-port": change_port,
    "quit": quit_app,
    "report": report,
    "uninstall": uninstall,
    "completion": completion,
    "list": listing,
    "status": status,
    "history": history,
    "wait": wait,
    "logs": logs,
    "doctor": doctor,
    "token": token,
    "exec": execute,
    "git-credential": git_credential,
    "client-config": client_config,
    "client-metadata": client_metadata,
    "connect": connect,
    "disconnect": connect,
    "retry": retry,
    "stop": stop,
    "start": start,
    "restart": restart,
    "reauthorize": reauthorize,
    "secret": secret,
    "add": add,
    "catalog": catalog,
    "remove": remove,
    "import": import_entries,
    "take-over": take_over,
    "edit": edit,
    "rename": rename,
    "set": set_value,
    "sign-out": sign_out,
    "config": config,
}
