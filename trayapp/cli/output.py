"""What the commands print: lines, tables, colours. Everything here makes text from values; `say` alone prints.

On a terminal there are glyphs and colours (none under `NO_COLOR` or `TERM=dumb`), elsewhere plain aligned text. Text
that came from elsewhere never reaches a terminal with a control character in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from trayapp.core.presentation import Colour, Glyph
from trayapp.core.sentences import SHORT_STATE
from trayapp.core.snapshot import Detail, Status
from trayapp.core.view import AMBER, BLUE, StatusStyle, style_of

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
# 256-colour numbers that are readable on dark and light: 214 is the one amber there is.
COLOURS: Mapping[Colour, int] = {
    Colour.GREEN: 35,
    Colour.AMBER: 214,
    Colour.RED: 160,
    Colour.BLUE: 33,
    Colour.GREY: 245,
}
_SHORT: Mapping[str, str] = {detail.value: words for detail, words in SHORT_STATE.items()}
COLUMNS = ("NAME", "STATUS", "DETAIL", "NEXT", "URL", "SINCE")
EMPTY = "No workloads yet. Add one: amberlight add NAME URL"
HIDDEN = "Not shown: {} paused. See: amberlight list --all"
SHORTEST_URL = 12  # characters that a narrow terminal leaves of an address


@dataclass(frozen=True, slots=True)
class Style:
    """What the output can show."""

    glyphs: bool = False
    colours: bool = False
    width: int = 0  # of the terminal; 0: no limit

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> Style:
        """The style of this stream; one that is no terminal gets plain text."""
        if not stream.isatty():
            return cls()
        import shutil

        colours = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        return cls(unicode, colours, shutil.get_terminal_size().columns)

    def paint(self, text: str, colour: Colour) -> str:
        """The text in a colour, or as it is."""
        return f"\x1b[38;5;{COLOURS[colour]}m{text}\x1b[0m" if self.colours else text


def say(text: str) -> None:
    """One or more lines on the standard output."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """A line on the standard error."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def say_json(value: object) -> None:
    say(json.dumps(value, indent=2, ensure_ascii=False))


def clean(value: object) -> str:
    """Text from elsewhere, on one line and without control characters; None is nothing."""
    if value is None:
        return ""
    return "".join(c if c.isprintable() else " " for c in str(value))


# --- times -----------------------------------------------------------------------------------------------------------


def moment(value: object) -> float | None:
    """Wall seconds of an RFC 3339 time; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def span(seconds: float) -> str:
    """A length of time in at most two units: "42 s", "5 min", "1 h 10 min", "3 d 2 h"."""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min"
    size, unit, part, rest = (86400, "d", 3600, "h") if left >= 86400 else (3600, "h", 60, "min")
    small = left % size // part
    return f"{left // size} {unit} {small} {rest}" if small else f"{left // size} {unit}"


def ahead(value: object, now: float) -> str:
    """ "in 5 min", "now" when it is past, empty when there is no time."""
    at = moment(value)
    if at is None:
        return ""
    return f"in {span(at - now)}" if at > now else "now"


def ago(value: object, now: float) -> str:
    """ "5 min ago"; empty when there is no time."""
    at = moment(value)
    return "" if at is None else f"{span(now - at)} ago"


# --- workloads -------------------------------------------------------------------------------------------------------


def auth_of(row: Json) -> Json:
    auth = row.get("auth")
    return auth if isinstance(auth, Mapping) else {}


def look_of(row: Json, now: float) -> StatusStyle:
    """How a row is drawn: amber whenever it has no usable token and no verdict, even while the word is `running`."""
    status, auth = str(row.get("status")), auth_of(row)
    if status == Status.UNAUTHENTICATED and (auth.get("signing_in") or auth.get("detail") == Detail.NEVER_SIGNED_IN):
        return BLUE
    calm = auth.get("detail") in (Detail.OK, Detail.STARTING, Detail.REFRESH_DELAYED, None)
    expires = moment(auth.get("token_expires_at"))
    usable = expires is not None and expires > now
    if status in (Status.RUNNING, Status.STARTING) and not calm and not usable:
        return AMBER
    return style_of(status)


def detail_words(row: Json) -> str:
    """The detail in a few words; nothing where the status says it all."""
    auth = auth_of(row)
    detail = auth.get("detail")
    words = "" if detail == Detail.OK or detail == row.get("status") else _SHORT.get(str(detail), clean(detail))
    return ", ".join(w for w in (words, "signing in" if auth.get("signing_in") else "") if w)


def table(rows: Sequence[Json], style: Style, now: float) -> str:
    """The list. `now` is wall seconds."""
    looks = [look_of(row, now) for row in rows]
    cells = [_cells(row, each, style, now) for row, each in zip(rows, looks, strict=True)]
    widths = [max(len(line[i]) for line in (COLUMNS, *cells)) for i in range(len(COLUMNS))]
    if style.width and (over := sum(widths) + 2 * len(widths) - 2 - style.width) > 0:
        widths[4] = max(SHORTEST_URL, widths[4] - over)
    lines = ["  ".join(_fit(head, width) for head, width in zip(COLUMNS, widths, strict=True)).rstrip()]
    for line, each in zip(cells, looks, strict=True):
        fitted = [_fit(cell, width) for cell, width in zip(line, widths, strict=True)]
        plain_end = fitted[2:]
        lines.append("  ".join([fitted[0], style.paint(fitted[1], each.colour), *plain_end]).rstrip())
    return "\n".join(lines)


def _cells(row: Json, each: StatusStyle, style: Style, now: float) -> tuple[str, ...]:
    auth = auth_of(row)
    status = clean(row.get("status"))
    shown = f"{GLYPHS[each.glyph]} {status}" if style.glyphs else status
    next_at, since = ahead(auth.get("next_attempt_at"), now), ago(auth.get("since"), now)
    return clean(row.get("name")), shown, detail_words(row), next_at, clean(row.get("url")), since


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def status_lines(row: Json, style: Style, now: float, *, verbose: bool) -> str:
    """One workload in plain lines."""
    each, auth = look_of(row, now), auth_of(row)
    status = clean(row.get("status"))
    shown = style.paint(f"{GLYPHS[each.glyph]} {status}" if style.glyphs else status, each.colour)
    fields = [("Name", clean(row.get("name"))), ("Status", shown), ("Detail", detail_words(row))]
    fields += [
        ("Health", clean(row.get("health"))),
        ("URL", clean(row.get("url"))),
        ("Sign-in", device_words(auth.get("device"))),
        ("Since", _both(auth.get("since"), ago(auth.get("since"), now))),
        ("Token ends", _both(auth.get("token_expires_at"), ahead(auth.get("token_expires_at"), now))),
        ("Next attempt", _both(auth.get("next_attempt_at"), ahead(auth.get("next_attempt_at"), now))),
        ("Last error", error_words(auth.get("last_error"))),
        ("Note", clean(row.get("status_context"))),
    ]
    if verbose:
        fields += _verbose(auth, now)
        fields.append(("Events from", ", ".join(clean(source) for source in _list(row.get("sources")))))
    width = max(len(name) for name, _ in fields) + 2
    return "\n".join(f"{name + ':':<{width}}{text}" for name, text in fields if text)


def device_words(device: object) -> str:
    """What to type where, of a sign-in that waits for it."""
    if not isinstance(device, Mapping):
        return ""
    return f"enter code {clean(device.get('user_code'))} at {clean(device.get('verification_uri'))}"


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _verbose(auth: Json, now: float) -> Iterable[tuple[str, str]]:
    yield "Failed attempts", clean(auth.get("attempts"))
    yield "Last outcome", clean(auth.get("last_outcome"))
    yield "Last trigger", clean(auth.get("last_trigger"))
    yield "Last refreshed", _both(auth.get("last_refreshed_at"), ago(auth.get("last_refreshed_at"), now))
    yield "Retrying since", _both(auth.get("retrying_since"), ago(auth.get("retrying_since"), now))
    yield "Asks you", _both(auth.get("ceiling_at"), ahead(auth.get("ceiling_at"), now))
    yield "Lost rotations", clean(auth.get("lost_rotations"))
    yield "Signing in", "yes" if auth.get("signing_in") else "no"


def _both(value: object, relative: str) -> str:
    return f"{clean(value)} ({relative})" if relative else ""


def error_words(error: object) -> str:
    """ "A firewall page (HTTP 403)": summary, and what is known besides."""
    if not isinstance(error, Mapping):
        return ""
    status, code = error.get("http_status"), clean(error.get("code"))
    facts = [f"HTTP {clean(status)}" if status else "", code]
    known = ", ".join(fact for fact in facts if fact and fact not in clean(error.get("summary")))
    summary = clean(error.get("summary")) or clean(error.get("kind"))
    return f"{summary} ({known})" if known else summary


# --- doctor ----------------------------------------------------------------------------------------------------------

STATES: Mapping[str, tuple[str, Colour]] = {
    "ok": ("✔", Colour.GREEN),
    "warning": ("⚠", Colour.AMBER),
    "problem": ("✖", Colour.RED),
}


def checks_text(checks: Sequence[Json], style: Style) -> str:
    """One line per check, and under it what to do."""
    width = max((len(str(check["name"])) for check in checks), default=0)
    lines = []
    for check in checks:
        glyph, colour = STATES.get(str(check["state"]), ("?", Colour.GREY))
        sign = style.paint(glyph, colour) if style.glyphs else style.paint(f"{check['state']:<7}", colour)
        lines.append(f"{sign}  {clean(check['name']):<{width}}  {clean(check['text'])}")
        if check["help"]:
            lines.append(f"{' ' * (1 if style.glyphs else 7)}  {'':<{width}}  → {clean(check['help'])}")
    return "\n".join(lines)
