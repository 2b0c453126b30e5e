"""Output of the commands: lines, colours, times, checks. Only `print_line` and its relatives print.

On a terminal there are glyphs and colours (none under `NO_COLOR` or `TERM=dumb`), elsewhere plain aligned text. Text
from elsewhere never reaches a terminal with a control character in it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

from trayapp.app.local_time import local_datetime
from trayapp.cli.codes import OutputError
from trayapp.cli.columns import wrap
from trayapp.cli.plain_signs import is_utf8
from trayapp.core.lengths import duration_text as duration_text
from trayapp.core.lengths import duration_words as duration_words
from trayapp.core.one_line import clean as clean
from trayapp.core.presentation import Colour, Glyph

if TYPE_CHECKING:
    import argparse

Json = Mapping[str, Any]

GLYPHS: Mapping[Glyph, str] = {
    Glyph.TICK: "✔",
    Glyph.RETRY: "↻",
    Glyph.WARNING: "⚠",
    Glyph.CROSS: "✖",
    Glyph.OPEN: "○",
    Glyph.SQUARE: "■",
    Glyph.QUESTION: "?",
}
# 256-colour numbers that are readable on dark and light backgrounds; 214 is the only amber among them.
COLOURS: Mapping[Colour, int] = {
    Colour.GREEN: 35,
    Colour.AMBER: 214,
    Colour.RED: 167,
    Colour.BLUE: 33,
    Colour.GREY: 245,
}


@dataclass(frozen=True, slots=True)
class Style:
    """What the output stream can show."""

    glyphs: bool = False
    colours: bool = False
    width: int = 0  # of the terminal; 0: no limit

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> Style:
        """The style for this stream; plain text unless it is a terminal."""
        if not stream.isatty():
            return cls()
        import shutil

        colours = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        return cls(bool(stream.encoding) and is_utf8(stream), colours, shutil.get_terminal_size().columns)

    def paint(self, text: str, colour: Colour) -> str:
        """The text in this colour, if the stream has colours."""
        return f"\x1b[38;5;{COLOURS[colour]}m{text}\x1b[0m" if self.colours else text


def print_line(text: str, *, flush: bool = False) -> None:
    """Print one or more lines to standard output. Raises `OutputError`."""
    _write(text + "\n")
    if flush:
        flush_output()


def print_question(text: str) -> None:
    """Print what is answered in the same line. Raises `OutputError`."""
    _write(text)
    flush_output()


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
    except OSError as error:
        raise OutputError(error) from None


def flush_output() -> None:
    """Write what is still buffered. Raises `OutputError`."""
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError as error:
            raise OutputError(error) from None


def print_error(text: str) -> None:
    """Print a line to standard error, after anything still buffered for standard output."""
    flush_output()
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # nobody can be told; the exit code says it
            sys.stderr.write(text + "\n")
            sys.stderr.flush()


def print_json(value: object) -> None:
    print_line(json_text(value, indent=2))


def json_text(value: object, indent: int | None = None) -> str:
    """JSON for standard output. Where that lacks letters they are escaped, so that a program gets them all the same."""
    return json.dumps(value, indent=indent, ensure_ascii=not is_utf8(sys.stdout))


def print_result(arguments: argparse.Namespace, text: str, **facts: object) -> None:
    """What a command did: a line for a person, or `{"message", …}` for a program."""
    if getattr(arguments, "format", "text") == "json":
        print_json({"message": text, **facts})
    else:
        print_line(text)


def print_noted(arguments: argparse.Namespace, text: str, answer: Json, **facts: object) -> None:
    """The same, with the `notes` of the app's answer: what else to know or to do, a line each."""
    notes = [clean(note) for note in answer.get("notes") or ()]
    print_result(arguments, text, **facts, notes=notes)
    if getattr(arguments, "format", "text") != "json":
        for note in notes:
            print_line(note)


# --- times -----------------------------------------------------------------------------------------------------------


def parse_time(value: object) -> float | None:
    """Wall seconds of an RFC 3339 time; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def local_time(at: float) -> str:
    """ "2026-01-02 15:04", in local time."""
    return f"{local_datetime(at):%Y-%m-%d %H:%M}"


def time_until(value: object, now: float) -> str:
    """ "in 5 min", "now" if it is past, "" if there is no time."""
    at = parse_time(value)
    if at is None:
        return ""
    return f"in {duration_text(at - now)}" if at > now else "now"


def time_since(value: object, now: float) -> str:
    """ "5 min ago"; "" if there is no time."""
    at = parse_time(value)
    return "" if at is None else f"{duration_text(now - at)} ago"


# --- doctor ----------------------------------------------------------------------------------------------------------

CHECK_TEXT_MIN = 40  # columns that the text of a check gets beside its name
STATES: Mapping[str, tuple[str, Colour]] = {
    "ok": ("✔", Colour.GREEN),
    "warning": ("⚠", Colour.AMBER),
    "problem": ("✖", Colour.RED),
}


def checks_text(checks: Sequence[Json], style: Style) -> str:
    """A paragraph for each check: its name, what was found, and what to do. A narrow terminal gets the name above."""
    longest = max((len(str(check["name"])) for check in checks), default=0)
    lines = []
    for check in checks:
        glyph, colour = STATES.get(str(check["state"]), ("?", Colour.GREY))
        sign = glyph if style.glyphs else f"{check['state']:<7}"
        name = clean(check["name"])
        above = 0 < style.width < longest + CHECK_TEXT_MIN
        indent = len(sign) + 2 + (0 if above else longest + 2)
        room = max(style.width - indent, CHECK_TEXT_MIN // 2) if style.width else 1 << 30
        text = wrap(clean(check["text"]), room)
        if check["help"]:
            first, *rest = wrap(clean(check["help"]), room - 2)
            text += [f"→ {first}", *(f"  {line}" for line in rest)]
        head = f"{style.paint(sign, colour)}  {name if above else f'{name:<{longest}}'}"
        lines += [head, " " * indent + text[0]] if above else [f"{head}  {text[0]}"]
        lines += [" " * indent + line for line in text[1:]]
    return "\n".join(lines)
