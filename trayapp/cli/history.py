"""`amberlight history NAME`: which states a workload went through, and for how long each lasted."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from trayapp.cli.client import ApiClient
from trayapp.cli.codes import OK
from trayapp.cli.columns import pad, width, wrap
from trayapp.cli.output import GLYPHS, Style, clean, duration_text, local_time, parse_time, print_json, print_line
from trayapp.config.paths import Paths
from trayapp.core.labels import LEAVING, external_label, label_of
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.public import rfc3339
from trayapp.core.sentences import RUNNING_TEXT
from trayapp.core.snapshot import Detail, Status

Json = Mapping[str, Any]

DAY = 86400.0  # s
ROWS_MAX = 5000  # of one answer of the app
GAPS = {"asleep": "Asleep", "not_running": "Not running"}
SEPARATOR = "  "


def history(arguments: argparse.Namespace, paths: Paths) -> int:
    now = time.time()
    since = arguments.since(now) if arguments.since else now - DAY
    answer = ApiClient.of(paths).history(arguments.name, str(rfc3339(since)), ROWS_MAX)
    rows = [row for row in answer.get("rows") or () if isinstance(row, Mapping)]
    kept = rows if arguments.count is None else rows[len(rows) - min(arguments.count, len(rows)) :]
    if arguments.format == "json":
        print_json({**answer, "rows": kept})
    elif not kept:
        print_line(f"No history of {arguments.name} since {local_time(since)}.")
    else:
        style = Style.of(sys.stdout, os.environ)
        print_line(history_text(kept, style, now, external="/" in arguments.name))
        if answer.get("more"):
            print_line("There is more. Ask for a part of it with --since.")
    return OK


def history_text(rows: Sequence[Json], style: Style, now: float, *, external: bool = False) -> str:
    """A line for each state, oldest first: when it began, what it was, how long it lasted, and why.

    `external`: of another program's workload.
    """
    starts = [parse_time(row.get("at")) or now for row in rows]
    ends = [*starts[1:], now]
    cells = [
        (local_time(start), _state(row, style, external=external), duration_text(end - start))
        for row, start, end in zip(rows, starts, ends, strict=True)
    ]
    widths = [max(width(line[i]) for line in cells) for i in range(3)]
    lines = []
    for row, line in zip(rows, cells, strict=True):
        when, state, lasted = (pad(cell, columns) for cell, columns in zip(line, widths, strict=True))
        head = SEPARATOR.join([when, style.paint(state, _colour(row)), lasted])
        lines += _with_text(head, sum(widths) + 3 * len(SEPARATOR), _reason(row, external=external), style)
    return "\n".join(lines)


def _with_text(head: str, used: int, text: str, style: Style) -> list[str]:
    """The reason beside the state, or below it where the terminal is too narrow for that."""
    if not text or not style.width:
        return [f"{head}{SEPARATOR}{text}".rstrip()]
    if style.width - used >= 30:
        first, *rest = wrap(text, style.width - used)
        return [f"{head}{SEPARATOR}{first}", *(" " * used + line for line in rest)]
    return [head.rstrip(), *(f"    {line}" for line in wrap(text, max(style.width - 4, 12)))]


def _state(row: Json, style: Style, *, external: bool) -> str:
    word = clean(row.get("status"))
    try:
        status, detail = Status(word), Detail(str(row.get("detail")))
        if external:
            label = external_label(status, word)
        else:
            label = label_of(status, detail, usable=row.get("colour") == "green") or LEAVING[status]
    except ValueError:
        label = GAPS.get(str(row.get("detail")), word)
    return f"{_glyph(row)} {label}" if style.glyphs else label


def _glyph(row: Json) -> str:
    try:
        return GLYPHS[Glyph(str(row.get("glyph")))]
    except ValueError:
        return " "


def _colour(row: Json) -> Colour:
    return Colour.__members__.get(str(row.get("colour")).upper(), Colour.GREY)


def _reason(row: Json, *, external: bool) -> str:
    text = clean(row.get("text"))
    if external:
        return "" if text in (RUNNING_TEXT, clean(row.get("status"))) else text
    return "" if row.get("detail") == "ok" or text == clean(row.get("status")) else text
