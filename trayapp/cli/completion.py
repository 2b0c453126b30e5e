"""Completion of command lines in shells, by argcomplete: the shell runs this program, which completes names, too."""

from __future__ import annotations

import os
from collections.abc import Iterable

from trayapp.cli.codes import OK

PROGRAM = "amberlight"
EXTERNAL_LIMIT = 1.0  # s; whoever presses Tab waits


def script(shell: str) -> str:
    """What the shell has to run once."""
    from argcomplete.shell_integration import shellcode

    return str(shellcode([PROGRAM], use_defaults=False, shell=shell)).strip("\n")


def complete() -> int:
    """Answer the shell, which has put the command line into the environment. Ends this process."""
    import argcomplete

    from trayapp.cli.arguments import listed_name
    from trayapp.cli.grammar import parser

    top = parser()
    completers = {"NAME": workload_names, "OWNER/NAME": external_names, "CLIENT": client_names, "STATE": states}
    for command in top.every_parser():
        for action in command._actions:
            completer = completers.get(str(action.metavar))
            if completer is workload_names and action.type is listed_name:
                completer = listed_names
            if completer is not None:
                action.completer = completer  # type: ignore[attr-defined]  # where argcomplete looks for it
    argcomplete.autocomplete(top, always_complete_options=False, exit_method=os._exit)
    return OK


def workload_names(prefix: str, **_: object) -> Iterable[str]:
    """Names in the configuration; none if it can't be read now."""
    from trayapp.config.editor import limited_load
    from trayapp.config.loader import ConfigError
    from trayapp.config.paths import Paths

    try:
        names = limited_load(Paths.default()).workloads
    except (ConfigError, OSError):
        return ()
    return sorted(name for name in names if name.startswith(prefix))


def external_names(prefix: str, **_: object) -> Iterable[str]:
    """Workloads of other programs; none unless the app runs and answers soon."""
    from trayapp.cli.client import ApiClient, ApiError, NotRunningError
    from trayapp.config.paths import Paths

    try:
        rows = ApiClient.of(Paths.default()).external(EXTERNAL_LIMIT)[0]
    except (ApiError, NotRunningError, OSError):
        return ()
    return sorted(name for row in rows if (name := str(row.get("name"))).startswith(prefix))


def listed_names(prefix: str, **_: object) -> Iterable[str]:
    """The names that `list` shows."""
    return [*workload_names(prefix), *external_names(prefix)]


def states(prefix: str, **_: object) -> Iterable[str]:
    from trayapp.cli.grammar import COLOURS, STATES

    return [state for state in (*STATES, *COLOURS) if state.startswith(prefix)]


def client_names(prefix: str, **_: object) -> Iterable[str]:
    from trayapp.clients.table import TABLE

    return sorted(client.name for client in TABLE if client.name.startswith(prefix))
