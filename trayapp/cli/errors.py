"""Error messages of the commands: what the app refused, why a retry is pointless, where a traceback was saved."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import FAILED, NEEDS_SIGN_IN, OK
from trayapp.cli.output import clean, print_error
from trayapp.cli.workload_text import auth_of
from trayapp.config.paths import Paths
from trayapp.core.app_notices import broken_text
from trayapp.system.plain_files import within
from trayapp.system.private_files import NotPrivateError, open_private, private_directory

NOT_RUNNING_TEXT = "Amberlight isn't running. Start it: amberlight run"


def api_error_text(error: ApiError, arguments: argparse.Namespace, paths: Paths) -> str:
    """The app's own sentence; for an unknown workload, the closest known name, or why none is known."""
    name = getattr(arguments, "name", None) or ""
    if error.code != "unknown_workload" and not (
        "/" in name and error.status == 404 and error.code != "unseen"
    ):  # an earlier version has no such path
        return clean(error)
    if not name:
        return clean(error)
    from difflib import get_close_matches

    names: list[str] = []
    broken = ""
    with suppress(NotRunningError, ApiError):
        client = ApiClient.of(paths)
        names = [str(row.get("name")) for row in (*client.workloads(), *client.external()[0])]
        broken = clean(client.app().get("broken") or "")
    if broken and (not names or f": workloads.{arguments.name}" in broken):
        return broken_text(broken)
    missing = f"there's no workload {arguments.name}."
    theirs = [each for each in names if each.partition("/")[2] == name]
    similar = theirs or get_close_matches(name, names, 1)
    if similar:
        return f"{missing} Did you mean {clean(similar[0])}?"
    return f"{missing} See: amberlight list --all"


def refuse_retry(row: Mapping[str, Any]) -> int:
    """OK, or the exit code after a message if a refresh is pointless: the workload is paused or never signed in, or
    has a login that can't be renewed."""
    name = clean(row.get("name"))
    if row.get("status") == "stopped":
        print_error(f"amberlight: {name} is paused. Resume it: amberlight start {name}")
        return FAILED
    if auth_of(row).get("detail") == "never_signed_in":
        print_error(f"amberlight: {name} isn't signed in yet. Sign in: amberlight reauthorize {name}")
        return NEEDS_SIGN_IN
    if auth_of(row).get("renewable") is False and row.get("status") in ("running", "unhealthy"):
        print_error(f"amberlight: the login of {name} can't be renewed. Sign in again: amberlight reauthorize {name}")
        return FAILED
    return OK


def refuse_missing_file(paths: Paths) -> int:
    """OK, or the exit code after a message if the running app's file is missing: adding would create an almost empty one."""
    if within(paths.config_file, paths.config_file.exists):
        return OK
    try:
        answer = ApiClient.of(paths).reload()
    except NotRunningError:
        return OK
    for sentence in answer.get("errors") or ():
        print_error(f"amberlight: {clean(sentence)}")
    return OK if answer.get("ok") is True else FAILED


def sign_in_later(name: str) -> str:
    """What is left to do after an add without a sign-in."""
    return f"Sign in later: amberlight reauthorize {name}"


def unexpected_text(error: Exception, paths: Paths) -> str:
    """The last resort: a sentence instead of a traceback, which is saved."""
    return f"amberlight: an unexpected error occurred ({type(error).__name__}). {save_traceback(paths)}"


def save_traceback(paths: Paths) -> str:
    """Append the traceback to the log of failed commands; a sentence that says where."""
    import traceback

    try:
        private_directory(paths.log_file.parent)
        handle = open_private(paths.command_log_file, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(traceback.format_exc())
    except (OSError, NotPrivateError):
        return "The details couldn't be saved."
    return f"Details: {paths.command_log_file}"
