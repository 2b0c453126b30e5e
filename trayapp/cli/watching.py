"""`amberlight list --watch`: the list, drawn again whenever something changes; in a pipe, the rows that changed."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.listing import app_problems, app_state, list_text, listed
from trayapp.cli.output import Style, clean, json_text, local_time, print_error, print_line
from trayapp.cli.workload_text import detail_text, doing_text, is_external, label_text
from trayapp.config.paths import Paths

SILENCE = 40.0  # s; the app gives a sign of life every 15
RECONNECT_EVERY = 1.0  # s
CLEAR = "\x1b[H\x1b[J"  # to the top, and clear the rest
BEGIN, END = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the alternate screen, without a cursor
AWAY = "Can't reach Amberlight. Reconnecting…"

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """All rows, and what is wrong with Amberlight itself."""

    rows: Sequence[Json]
    problems: tuple[str, ...] = ()


def watch(arguments: argparse.Namespace, paths: Paths) -> int:
    """Runs until Ctrl-C. Raises `NotRunningError` if no app runs at the start."""
    client = ApiClient.of(paths)
    client.workloads()
    views = observed(lambda: ApiClient.of(paths))
    if arguments.format == "json" or not sys.stdout.isatty():
        return _print_changes(views, everything=arguments.all, as_json=arguments.format == "json")
    try:
        print_line(BEGIN, flush=True)
        for view in views:
            style = Style.of(sys.stdout, os.environ)
            print_line(CLEAR + _screen(view, style, everything=arguments.all), flush=True)
    finally:
        print_line(END, flush=True)
    return 0


def _screen(view: View | None, style: Style, *, everything: bool) -> str:
    """What is wrong with Amberlight itself, and as much of the list as the terminal has lines."""
    if view is None:
        return AWAY
    import shutil

    rows = view.rows
    text = "\n".join(view.problems)
    if rows or not view.problems:
        text += "\n" * bool(text) + list_text(listed(rows, everything=everything), rows, style, time.time())
    lines = shutil.get_terminal_size().lines - 3
    shown = text.splitlines()
    more = [f"… {len(shown) - lines} more lines"] if len(shown) > lines else []
    return "\n".join([*shown[:lines], *more, "", "Press Ctrl-C to stop."])


def _print_changes(views: Iterator[View | None], *, everything: bool, as_json: bool) -> int:
    """A line for each workload at first, then for each that looks different; problems of Amberlight itself as errors."""
    before: dict[str, tuple[str, ...]] = {}
    problems: tuple[str, ...] = ()
    away = False
    for view in views:
        if view is None and not away:
            print_error(f"amberlight: {AWAY}")
            if not as_json:
                before.clear()  # the rows say that it is back
        away = view is None
        if view is not None and view.problems != problems:
            problems = view.problems
            for problem in problems:
                print_error(f"amberlight: {problem}")
        for row in view.rows if view else ():
            if row.get("name") not in before and not listed([row], everything=everything):
                continue
            now = time.time()
            name, auth = str(row.get("name")), row.get("auth")
            detail = str(auth.get("detail") if isinstance(auth, Mapping) else "")
            told = str(row.get("status")), detail, doing_text(row)
            if before.get(name) == told:
                continue
            before[name] = told
            detail = detail_text(row, now)
            words = f"{label_text(row)}{f' ({detail})' if detail else ''}"
            line = json_text(row) if as_json else f"{local_time(now)}  {clean(name)}: {words}"
            print_line(line, flush=True)
    return 0


def observed(connect: Callable[[], ApiClient], sleep: Callable[[float], object] = time.sleep) -> Iterator[View | None]:
    """All rows: now, after each change, and at each sign of life. None while the app can't be reached."""
    while True:
        rows: dict[str, Json] = {}
        try:
            client = connect()
            problems = tuple(app_problems(app_state(client)))
            for kind, data in client.changes(SILENCE):
                if kind == "reset":
                    rows = {str(row["name"]): row for row in data["workloads"]}
                elif kind == "workload":
                    rows[str(data["name"])] = data
                elif kind == "removed":
                    rows.pop(str(data["name"]), None)
                elif kind == "app":
                    problems = tuple(app_problems(data))
                elif kind:  # about the history
                    continue
                ordered = sorted(rows.items(), key=lambda item: (is_external(item[1]), item[0]))
                yield View([row for _, row in ordered], problems)
        except (NotRunningError, ApiError, KeyError, TypeError):
            pass
        yield None
        sleep(RECONNECT_EVERY)
