"""Output of the commands: lines, tables, colours. Formats values as text; only `print_line` and its relatives print.

On a terminal there are glyphs and colours (none under `NO_COLOR` or `TERM=dumb`), elsewhere plain aligned text. Text
from elsewhere never reaches a terminal with a control character in it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TextIO

from trayapp.core.presentation import Colour, Glyph
from trayapp.core.sentences import SHORT_STATE, beyond_login
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
# 256-colour numbers that are readable on dark and light backgrounds; 214 is the only amber among them.
COLOURS: Mapping[Colour, int] = {
    Colour.GREEN: 35,
    Colour.AMBER: 214,
    Colour.RED: 160,
    Colour.BLUE: 33,
    Colour.GREY: 245,
}
_SHORT: Mapping[str, str] = {detail.value: words for detail, words in SHORT_STATE.items()}
BEYOND_LOGIN = (Detail.PERMISSION_NEEDED, Detail.STRONGER_SIGN_IN)  # the login is good
UNTROUBLED = (Detail.OK, Detail.STARTING, Detail.REFRESH_DELAYED, *BEYOND_LOGIN, None)
COLUMNS = ("NAME", "STATUS", "DETAIL", "NEXT", "URL", "SINCE")
EMPTY = "No workloads yet. Begin with amberlight setup, or add one: amberlight add NAME URL"
HIDDEN = "Not shown: {} paused. See: amberlight list --all"
URL_MIN = 12  # characters of a URL that even a narrow terminal shows


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
        unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        return cls(unicode, colours, shutil.get_terminal_size().columns)

    def paint(self, text: str, colour: Colour) -> str:
        """The text in this colour, if the stream has colours."""
        return f"\x1b[38;5;{COLOURS[colour]}m{text}\x1b[0m" if self.colours else text


def print_line(text: str) -> None:
    """Print one or more lines to standard output."""
    sys.stdout.write(text + "\n")


def print_error(text: str) -> None:
    """Print a line to standard error, after anything still buffered for standard output."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_json(value: object) -> None:
    print_line(json.dumps(value, indent=2, ensure_ascii=False))


def clean(value: object) -> str:
    """Text from elsewhere, on one line and without control characters; None becomes ""."""
    if value is None:
        return ""
    return "".join(c if c.isprintable() else " " for c in str(value))


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


def duration_text(seconds: float) -> str:
    """A duration in at most two units: "42 s", "5 min", "1 h 10 min", "3 d 2 h"."""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min"
    size, unit, part, rest = (86400, "d", 3600, "h") if left >= 86400 else (3600, "h", 60, "min")
    small = left % size // part
    return f"{left // size} {unit} {small} {rest}" if small else f"{left // size} {unit}"


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


# --- workloads -------------------------------------------------------------------------------------------------------


def auth_of(row: Json) -> Json:
    auth = row.get("auth")
    return auth if isinstance(auth, Mapping) else {}


def row_style(row: Json, now: float) -> StatusStyle:
    """How a row is drawn: amber if it has no usable token and no verdict, even while the status is `running`."""
    status, auth = str(row.get("status")), auth_of(row)
    if status == Status.UNAUTHENTICATED and (auth.get("signing_in") or auth.get("detail") == Detail.NEVER_SIGNED_IN):
        return BLUE
    untroubled = auth.get("detail") in UNTROUBLED
    expires = parse_time(auth.get("token_expires_at"))
    usable = expires is not None and expires > now
    if status in (Status.RUNNING, Status.STARTING) and not untroubled and not usable:
        return AMBER
    return style_of(status)


def detail_text(row: Json, now: float) -> str:
    """The detail in a few words; "" where the status says it all."""
    auth = auth_of(row)
    detail = auth.get("detail")
    words = "" if detail == Detail.OK or detail == row.get("status") else _SHORT.get(str(detail), clean(detail))
    if detail in BEYOND_LOGIN:
        words = beyond_login(Detail(str(detail)), scopes_of(auth, "missing_scopes"))
    if detail == Detail.OK and auth.get("renewable") is False:
        words = renewal_text(auth, now)
    ago = time_since(auth.get("rechecked_at"), now) if row.get("status") == Status.UNAUTHENTICATED else ""
    checked = f"checked again {ago}" if ago else ""
    return ", ".join(w for w in (words, checked, "signing in" if auth.get("signing_in") else "") if w)


def scopes_of(auth: Json, key: str) -> tuple[str, ...]:
    """Scopes in an `auth` object."""
    return tuple(clean(scope) for scope in _list(auth.get(key)))


def renewal_text(auth: Json, now: float) -> str:
    """What there is to know of a login without a refresh token; "" of any other."""
    if auth.get("renewable") is not False:
        return ""
    ends = parse_time(auth.get("login_ends_at"))
    if ends is None:
        return "can't be renewed, no known end"
    try:
        form = "%Y-%m-%d" if abs(ends - now) > 2 * 86400.0 else "%Y-%m-%d at %H:%M"
        day = datetime.fromtimestamp(ends).astimezone().strftime(form)
    except (OverflowError, OSError, ValueError):
        return "can't be renewed"
    verb = "ends" if ends > now else "ended"
    return f"can't be renewed, {verb} on {day}"


def table(rows: Sequence[Json], style: Style, now: float) -> str:
    """The list of workloads. `now` is wall seconds."""
    styles = [row_style(row, now) for row in rows]
    cells = [_cells(row, each, style, now) for row, each in zip(rows, styles, strict=True)]
    widths = [max(len(line[i]) for line in (COLUMNS, *cells)) for i in range(len(COLUMNS))]
    if style.width and (over := sum(widths) + 2 * len(widths) - 2 - style.width) > 0:
        widths[4] = max(URL_MIN, widths[4] - over)
    lines = ["  ".join(_fit(head, width) for head, width in zip(COLUMNS, widths, strict=True)).rstrip()]
    for line, each in zip(cells, styles, strict=True):
        fitted = [_fit(cell, width) for cell, width in zip(line, widths, strict=True)]
        plain_end = fitted[2:]
        lines.append("  ".join([fitted[0], style.paint(fitted[1], each.colour), *plain_end]).rstrip())
    return "\n".join(lines)


def _cells(row: Json, each: StatusStyle, style: Style, now: float) -> tuple[str, ...]:
    auth = auth_of(row)
    status = clean(row.get("status"))
    shown = f"{GLYPHS[each.glyph]} {status}" if style.glyphs else status
    next_at, since = time_until(auth.get("next_attempt_at"), now), time_since(auth.get("since"), now)
    return clean(row.get("name")), shown, detail_text(row, now), next_at, clean(row.get("url")), since


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def status_lines(row: Json, style: Style, now: float, *, verbose: bool) -> str:
    """One workload as lines of `Field: value`."""
    each, auth = row_style(row, now), auth_of(row)
    status = clean(row.get("status"))
    shown = style.paint(f"{GLYPHS[each.glyph]} {status}" if style.glyphs else status, each.colour)
    fields = [("Name", clean(row.get("name"))), ("Status", shown), ("Detail", detail_text(row, now))]
    fields += [
        ("Health", clean(row.get("health"))),
        ("URL", clean(row.get("url"))),
        ("Sign-in", device_text(auth.get("device"))),
        ("Since", _with_relative(auth.get("since"), time_since(auth.get("since"), now))),
        ("Redirected", f"token requests go to {moved}" if (moved := clean(auth.get("redirected_to"))) else ""),
        ("Token ends", _with_relative(auth.get("token_expires_at"), time_until(auth.get("token_expires_at"), now))),
        ("Login ends", _with_relative(auth.get("login_ends_at"), time_until(auth.get("login_ends_at"), now))),
        ("Next attempt", _with_relative(auth.get("next_attempt_at"), time_until(auth.get("next_attempt_at"), now))),
        ("Refused", _with_relative(auth.get("refused_at"), time_since(auth.get("refused_at"), now))),
        ("Rechecked", _with_relative(auth.get("rechecked_at"), time_since(auth.get("rechecked_at"), now))),
        ("Last error", error_text(auth.get("last_error"))),
        ("Note", clean(row.get("status_context"))),
    ]
    if verbose:
        fields += _verbose(auth, now)
        fields.append(("Events from", ", ".join(clean(source) for source in _list(row.get("sources")))))
    width = max(len(name) for name, _ in fields) + 2
    return "\n".join(f"{name + ':':<{width}}{text}" for name, text in fields if text)


def device_text(device: object) -> str:
    """Which code to enter where, for a sign-in that waits for it."""
    if not isinstance(device, Mapping):
        return ""
    return f"enter code {clean(device.get('user_code'))} at {clean(device.get('verification_uri'))}"


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _verbose(auth: Json, now: float) -> Iterable[tuple[str, str]]:
    yield "Failed attempts", clean(auth.get("attempts"))
    yield "Last outcome", clean(auth.get("last_outcome"))
    yield "Last trigger", clean(auth.get("last_trigger"))
    yield (
        "Last refreshed",
        _with_relative(auth.get("last_refreshed_at"), time_since(auth.get("last_refreshed_at"), now)),
    )
    yield "Retrying since", _with_relative(auth.get("retrying_since"), time_since(auth.get("retrying_since"), now))
    yield "Asks you", _with_relative(auth.get("ceiling_at"), time_until(auth.get("ceiling_at"), now))
    yield "Lost rotations", clean(auth.get("lost_rotations"))
    yield "Signing in", "yes" if auth.get("signing_in") else "no"


def _with_relative(value: object, relative: str) -> str:
    return f"{clean(value)} ({relative})" if relative else ""


def error_text(error: object) -> str:
    """ "A firewall page (HTTP 403)": the summary, and status and code if they aren't in it."""
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
    """One line per check, and below it what to do."""
    width = max((len(str(check["name"])) for check in checks), default=0)
    lines = []
    for check in checks:
        glyph, colour = STATES.get(str(check["state"]), ("?", Colour.GREY))
        sign = style.paint(glyph, colour) if style.glyphs else style.paint(f"{check['state']:<7}", colour)
        lines.append(f"{sign}  {clean(check['name']):<{width}}  {clean(check['text'])}")
        if check["help"]:
            lines.append(f"{' ' * (1 if style.glyphs else 7)}  {'':<{width}}  → {clean(check['help'])}")
    return "\n".join(lines)
