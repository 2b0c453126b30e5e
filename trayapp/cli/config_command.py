"""`amberlight config`: where config.toml is, whether it is valid, and editing it."""

from __future__ import annotations

import argparse
import os

from trayapp.cli.codes import FAILED, OK
from trayapp.cli.output import clean, print_error, print_json, print_line, print_result
from trayapp.config.loader import ConfigError
from trayapp.config.paths import Paths

EXAMPLE = """\
# Workloads and settings of Amberlight. Reference: docs/settings.md
#
# [settings]
# quiet_hours = "22:00-07:00"
#
# [workloads.notion]
# url = "https://mcp.notion.com/mcp"
"""


def config(arguments: argparse.Namespace, paths: Paths) -> int:
    if arguments.what == "check":
        return _check(arguments, paths)
    if arguments.what == "edit":
        return _edit(arguments, paths)
    if arguments.format == "json":
        site = paths.site_config_file
        print_json({"path": str(paths.config_file), "exists": paths.config_file.exists(), "site": str(site)})
    else:
        print_line(str(paths.config_file))
    return OK


def _check(arguments: argparse.Namespace, paths: Paths) -> int:
    """Whether both files are valid; every mistake with its line."""
    from trayapp.config import editor

    try:
        found = editor.limited_load(paths, environ=os.environ)
        mistakes, warnings = [], [clean(text) for text in found.warnings]
        count = len(found.workloads)
    except ConfigError as error:
        mistakes, warnings, count = [clean(each) for each in error.mistakes], [], 0
    if arguments.format == "json":
        print_json({"valid": not mistakes, "workloads": count, "mistakes": mistakes, "warnings": warnings})
        return FAILED if mistakes else OK
    for text in (*mistakes, *warnings):
        print_error(f"amberlight: {text}")
    if mistakes:
        return FAILED
    if not paths.config_file.exists():
        print_line(f"{paths.config_file} doesn't exist yet. Add a workload: amberlight add NAME")
        return OK
    print_line(f"{paths.config_file} is valid: {count} workload{'' if count == 1 else 's'}.")
    return OK


def _edit(arguments: argparse.Namespace, paths: Paths) -> int:
    """The whole file in an editor. It is written only if it is valid, and only if nobody else has changed it."""
    from trayapp.cli.edit_command import loaded
    from trayapp.cli.editors import NoEditorError, edited
    from trayapp.config import editor

    old = editor.file_text(paths)
    offered = old or EXAMPLE
    try:
        new = edited(offered, paths.config_file.name, lambda text: editor.text_problem(paths, text))
    except NoEditorError as error:
        print_error(f"amberlight: {error}")
        return FAILED
    if new is None:
        return FAILED
    if new in (old, offered) or not editor.replace_text(paths, old, new):
        print_result(arguments, "Nothing was changed.")
        return OK
    return loaded(arguments, paths, f"Changed {paths.config_file}.")
