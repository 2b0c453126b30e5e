"""`amberlight autostart on|off|status`: works without the app; one that runs is told, so that its menu is right."""

from __future__ import annotations

import argparse
import contextlib

from trayapp.autostart import AutostartError, Kind, State, login_command, native
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import clean, complain, say, say_json
from trayapp.config.paths import Paths


def autostart(arguments: argparse.Namespace, paths: Paths) -> int:
    """Exit code 0 if what was asked for is so; `status` fails only for an entry that starts nothing."""
    system = native()
    try:
        match arguments.what:
            case "on":
                state = system.on(login_command())
                well = state.on
            case "off":
                state = system.off()
                well = not state.on
            case _:
                state = system.status()
                well = state.kind is not Kind.BROKEN
    except AutostartError as error:
        complain(f"amberlight: {clean(error)}")
        return FAILED
    if arguments.what != "status":
        _tell_the_app(paths)
    _say(state, as_json=arguments.format == "json")
    return OK if well else FAILED


def _say(state: State, *, as_json: bool) -> None:
    if as_json:
        say_json({"state": state.kind.value, "text": state.text, "help": state.help})
    else:
        say("\n".join(clean(line) for line in (state.text, state.help) if line))


def _tell_the_app(paths: Paths) -> None:
    with contextlib.suppress(NotRunningError, ApiError, OSError):
        ApiClient.find(paths.runtime_dir).reload()
