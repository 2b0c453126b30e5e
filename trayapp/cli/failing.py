"""How a command that failed says so: the app's own sentence, or the place of a traceback that helps nobody on a terminal."""

from __future__ import annotations

import argparse
import os

from trayapp.cli.client import ApiError, Client, NotRunningError
from trayapp.cli.output import clean
from trayapp.paths import Paths


def api_words(error: ApiError, arguments: argparse.Namespace, paths: Paths) -> str:
    """The app's own sentence; for an unknown name the nearest known one."""
    if error.code != "unknown_workload" or not getattr(arguments, "name", None):
        return clean(error)
    from difflib import get_close_matches

    try:
        names = [str(row.get("name")) for row in Client.find(paths.runtime_dir).workloads(everything=True)]
    except (NotRunningError, ApiError):
        names = []
    near = get_close_matches(arguments.name, names, 1)
    if near:
        return f"there is no workload {arguments.name}; did you mean {clean(near[0])}?"
    return f"there is no workload {arguments.name}; see: amberlight list --all"


def leave_traceback(paths: Paths) -> str:
    """Append it to a file of ours; the sentence that says where."""
    import traceback

    try:
        paths.log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(paths.command_log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(traceback.format_exc())
    except OSError:
        return "Its details could not be written down."
    return f"Details: {paths.command_log_file}"
