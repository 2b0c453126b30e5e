"""`amberlight autostart on|off|status`. Works without the app; a running one is told, so that its menu is up to date."""

from __future__ import annotations

import argparse
import contextlib

from trayapp.autostart import AutostartError, Kind, State, login_command, native
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import clean, print_error, print_json, print_line
from trayapp.config.paths import Paths


def autostart(arguments: argparse.Namespace, paths: Paths) -> int:
    """Exit code 0 if the requested state is reached; `status` fails only for an entry that starts nothing."""
    system = native()
    before = system.status()
    try:
        match arguments.what:
            case "on":
                state = system.on(login_command())
                as_requested = state.on
            case "off":
                state = system.off()
                as_requested = not state.on
            case _:
                state = system.status()
                as_requested = state.kind is not Kind.BROKEN
    except AutostartError as error:
        print_error(f"amberlight: {clean(error)}")
        return FAILED
    if arguments.what != "status":
        _notify_app(paths)
    unchanged = arguments.what != "status" and state == before
    _print(state, "Already " if unchanged else "", as_json=arguments.format == "json")
    return OK if as_requested else FAILED


def _print(state: State, already: str, *, as_json: bool) -> None:
    text = f"{already}{state.text[:1].lower()}{state.text[1:]}" if already else state.text
    if as_json:
        print_json({"state": state.kind.value, "text": text, "help": state.help})
    else:
        print_line("\n".join(clean(line) for line in (text, state.help) if line))


def _notify_app(paths: Paths) -> None:
    with contextlib.suppress(NotRunningError, ApiError, OSError):
        ApiClient.of(paths).reload()
