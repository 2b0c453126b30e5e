"""`amberlight logs`: the end of the log, what it says of one workload or since a time, and what is added to it."""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from trayapp.app.log_tail import follow, last_lines
from trayapp.cli.codes import FAILED, OK
from trayapp.cli.log_filter import LogFilter, LogLine, parse_line
from trayapp.cli.output import clean, json_text, print_error, print_line
from trayapp.config.paths import Paths
from trayapp.core.public import rfc3339

LINES = 50
EVERYTHING = 1 << 22  # lines; the log is at most 4 MB
OLD_FILES = (3, 2, 1)  # as `app/logs.py` rotates them, oldest first


def logs(arguments: argparse.Namespace, paths: Paths) -> int:
    """Print the chosen lines; with `--follow`, also those that come."""
    since = arguments.since(time.time()) if arguments.since else None
    count = arguments.count if arguments.count is not None else LINES if since is None else EVERYTHING
    chosen = LogFilter(arguments.name or "", since)
    whole = arguments.name or since is not None
    try:
        newest = last_lines(paths.log_file, EVERYTHING if whole else count)
    except FileNotFoundError:
        print_error(f"amberlight: there's no log yet ({paths.log_file})")
        return FAILED
    earlier = _earlier(paths.log_file) if whole else iter(())
    read = (parse_line(text) for lines in (earlier, newest) for text in lines)
    for line in deque((line for line in read if chosen.wants(line)), count):
        _print(line, as_json=arguments.format == "json")
    if arguments.follow:
        for text in follow(paths.log_file):
            if chosen.wants(line := parse_line(text)):
                _print(line, as_json=arguments.format == "json", flush=True)
    return OK


def _earlier(log_file: Path) -> Iterator[str]:
    for number in OLD_FILES:
        try:
            yield from last_lines(Path(f"{log_file}.{number}"), EVERYTHING)
        except OSError:
            continue


def _print(line: LogLine, *, as_json: bool, flush: bool = False) -> None:
    if not as_json:
        print_line(clean(line.text), flush=flush)
        return
    fields = {"at": rfc3339(line.at), "level": line.level or None, "logger": line.logger or None}
    print_line(json_text({**fields, "message": clean(line.message)}), flush=flush)
