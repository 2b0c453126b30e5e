"""Workloads as text: the table of `list` and the page of `status`. Both fit any terminal; only a pipe gets them uncut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from trayapp.app.local_time import local_datetime
from trayapp.cli.columns import cut, cut_start, pad, width, wrap
from trayapp.cli.output import GLYPHS, Style, clean, duration_text, local_time, parse_time, time_since, time_until
from trayapp.core.external import GONE, UNWELL, status_of
from trayapp.core.labels import LEAVING, external_label, label_of
from trayapp.core.model import ACCOUNT
from trayapp.core.presentation import Colour
from trayapp.core.sentences import SHORT_STATE, TIMED, WORTH_A_WORD, beyond_login
from trayapp.core.snapshot import Detail, Status
from trayapp.core.view import AMBER, BLUE, StatusStyle, style_of

Json = Mapping[str, Any]

COLUMNS = ("NAME", "STATE", "HOST", "FOR", "DETAIL")
_NAME, _STATE, _HOST, _FOR = range(4)
SEPARATOR = "  "
BELOW = "    "  # begins the line of a detail that doesn't fit beside its workload
HOST_MIN = 14  # columns; a shorter piece of a host names nothing
NAME_WIDE = 24  # longer names give way to the hosts
NAME_MIN = 8
TEXT_MIN = 12  # columns that a wrapped text gets, however narrow the terminal is
UNTROUBLED = (
    Detail.OK,
    Detail.STARTING,
    Detail.REFRESH_DELAYED,
    Detail.PERMISSION_NEEDED,
    Detail.STRONGER_SIGN_IN,
    None,
)
_DETAILS = frozenset(Detail)
QUIET_ELSEWHERE = GONE | {Status.RUNNING, Status.STARTING}  # another program's words about these say nothing more
CONTEXT_MAX = 100  # columns of its words about the others, in a list
BEYOND_LOGIN = (Detail.PERMISSION_NEEDED, Detail.STRONGER_SIGN_IN)  # the login is good


# --- one row ---------------------------------------------------------------------------------------------------------


def auth_of(row: Json) -> Json:
    auth = row.get("auth")
    return auth if isinstance(auth, Mapping) else {}


def is_external(row: Json) -> bool:
    """Whether another program keeps it signed in."""
    return isinstance(row.get("external"), Mapping)


def doing_text(row: Json) -> str:
    """What Amberlight is having another program do to its workload; mostly ""."""
    facts = row.get("external")
    return clean(facts.get("doing")) if isinstance(facts, Mapping) and facts.get("doing") else ""


def label_text(row: Json) -> str:
    """The label of the state; the app's own word for a state that this version doesn't know."""
    if is_external(row):
        return external_label(status_of(str(row.get("status"))), clean(row.get("status")))
    try:
        status = Status(str(row.get("status")))
    except ValueError:
        return clean(row.get("status"))
    found = label_of(status, _detail(row), usable=auth_of(row).get("usable") is True)
    return found or LEAVING[status]


def _detail(row: Json) -> Detail:
    try:
        return Detail(str(auth_of(row).get("detail")))
    except ValueError:
        return Detail.OK


def row_style(row: Json, now: float) -> StatusStyle:
    """How a row is drawn: amber if it has no usable token and no verdict, even while the status is `running`."""
    status, auth = str(row.get("status")), auth_of(row)
    if is_external(row):
        return style_of(status_of(status))
    if status == Status.UNAUTHENTICATED and (auth.get("signing_in") or auth.get("detail") == Detail.NEVER_SIGNED_IN):
        return BLUE
    untroubled = auth.get("detail") in UNTROUBLED
    expires = parse_time(auth.get("token_expires_at"))
    usable = auth.get("usable") is True or (expires is not None and expires > now)
    if status in (Status.RUNNING, Status.STARTING) and not untroubled and not usable:
        return AMBER
    return style_of(status)


def state_text(row: Json, style: Style, now: float) -> str:
    """Glyph and label, without colour."""
    label = label_text(row)
    return f"{GLYPHS[row_style(row, now).glyph]} {label}" if style.glyphs else label


def host_of(row: Json) -> str:
    """Host of a workload's server, with its port if it has one of its own; for an account, whose it is."""
    if row.get("kind") == ACCOUNT:
        return clean(auth_of(row).get("account") or ACCOUNT)
    try:
        parts = urlsplit(clean(row.get("url")))
        port = parts.port
    except ValueError:
        return clean(row.get("url"))
    return f"{parts.hostname or ''}{f':{port}' if port else ''}" or clean(row.get("url"))


def detail_text(row: Json, now: float) -> str:
    """What there is to say beyond the label, in a few words; mostly ""."""
    if is_external(row):
        calm = status_of(str(row.get("status"))) in QUIET_ELSEWHERE
        return doing_text(row) or ("" if calm else cut(clean(row.get("status_context")), CONTEXT_MAX))
    auth = auth_of(row)
    return ", ".join(words for words in _details(row, auth, now) if words)


def _details(row: Json, auth: Json, now: float) -> Iterable[str]:
    detail, word = auth.get("detail"), clean(auth.get("detail"))
    if detail in BEYOND_LOGIN:
        yield beyond_login(Detail(str(detail)), scopes_of(auth, "missing_scopes"))
    elif detail in WORTH_A_WORD:
        short = SHORT_STATE[Detail(str(detail))]
        yield "" if short == label_text(row).lower() else short
    elif word not in _DETAILS and word != "None":
        yield word
    if detail == Detail.OK and auth.get("renewable") is False:
        yield renewal_text(auth, now)
    if detail in TIMED or row.get("status") == Status.AUTH_RETRYING:
        soon = time_until(auth.get("next_attempt_at"), now)
        yield f"next attempt {soon}" if soon else ""
    if row.get("status") == Status.UNAUTHENTICATED:
        ago = time_since(auth.get("rechecked_at"), now)
        yield f"checked again {ago}" if ago else ""
    yield "signing in" if auth.get("signing_in") else ""


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
    form = "%Y-%m-%d" if abs(ends - now) > 2 * 86400.0 else "%Y-%m-%d at %H:%M"
    day = f"{local_datetime(ends):{form}}"
    verb = "ends" if ends > now else "ended"
    return f"can't be renewed, {verb} on {day}"


# --- the table -------------------------------------------------------------------------------------------------------


def table(rows: Sequence[Json], style: Style, now: float) -> str:
    """The list of workloads, no line wider than the terminal. `now` is wall seconds.

    What doesn't fit gives way in this order: how long it has been so; details go below their workload; the end of a very
    long name; the start of the host; the host; the end of the name.
    """
    cells = [_cells(row, style, now) for row in rows]
    details = [detail_text(row, now) for row in rows]
    widths = [max(width(line[i]) for line in (COLUMNS[:-1], *cells)) for i in range(len(COLUMNS) - 1)]
    shown = [_NAME, _STATE, _HOST, _FOR]
    room = style.width or 1 << 30
    longest = max(map(width, details), default=0)
    if _total(shown, widths) + (longest and longest + len(SEPARATOR)) > room:
        shown.remove(_FOR)
    _narrow(widths, _NAME, NAME_WIDE, _total(shown, widths) - room)
    _narrow(widths, _HOST, HOST_MIN, _total(shown, widths) - room)
    if _total(shown, widths) > room:
        shown.remove(_HOST)
    _narrow(widths, _NAME, NAME_MIN, _total(shown, widths) - room)
    left = room - _total(shown, widths) - len(SEPARATOR)
    heads = [pad(cut(COLUMNS[i], widths[i]), widths[i]) for i in shown]
    beside = left >= len(COLUMNS[-1]) and any(detail and width(detail) <= left for detail in details)
    lines = [cut(SEPARATOR.join([*heads, *([COLUMNS[-1]] if beside else [])]).rstrip(), room)]
    for row, line, detail in zip(rows, cells, details, strict=True):
        fits = width(detail) <= left
        lines.append(_line(line, shown, widths, room, detail if fits else "", style, row_style(row, now).colour))
        if detail and not fits:
            lines += [BELOW + part for part in wrap(detail, max(room - len(BELOW), TEXT_MIN))]
    return "\n".join(lines)


def _narrow(widths: list[int], column: int, least: int, over: int) -> None:
    widths[column] -= max(0, min(over, widths[column] - least))


def _total(shown: Sequence[int], widths: Sequence[int]) -> int:
    return sum(widths[i] for i in shown) + len(SEPARATOR) * (len(shown) - 1)


def _line(
    cells: Sequence[str],
    shown: Sequence[int],
    widths: Sequence[int],
    room: int,
    detail: str,
    style: Style,
    colour: Colour,
) -> str:
    left, parts = room, []
    for i in shown:
        text = pad((cut_start if i == _HOST else cut)(cells[i], widths[i]), widths[i])
        text = cut(text, left)
        left -= width(text) + len(SEPARATOR)
        parts.append(style.paint(text, colour) if i == _STATE else text)
        if left <= 0:
            break
    return SEPARATOR.join([*parts, detail]).rstrip()


def _cells(row: Json, style: Style, now: float) -> tuple[str, ...]:
    since = parse_time(auth_of(row).get("since"))
    lasting = "" if since is None else duration_text(now - since)
    return clean(row.get("name")), state_text(row, style, now), host_of(row), lasting


# --- the page of one workload ----------------------------------------------------------------------------------------


def status_lines(row: Json, style: Style, now: float, *, verbose: bool) -> str:
    """One workload as lines of `Field: value`, wrapped to the terminal."""
    auth = auth_of(row)
    detail = doing_text(row) if is_external(row) else detail_text(row, now)
    fields = [("Name", clean(row.get("name"))), ("State", state_text(row, style, now)), ("Detail", detail)]
    fields += [
        *_external(row),
        ("URL", clean(row.get("url"))),
        ("Account", clean(auth.get("account"))),
        ("Sign-in", device_text(auth.get("device"))),
        ("Since", _moment(auth, "since", now)),
        ("Redirected", f"token requests go to {moved}" if (moved := clean(auth.get("redirected_to"))) else ""),
        ("Token", "bound to a key (DPoP)" if auth.get("bound") is True else ""),
        ("Token ends", _moment(auth, "token_expires_at", now)),
        ("Login ends", _moment(auth, "login_ends_at", now)),
        ("Next attempt", _moment(auth, "next_attempt_at", now)),
        ("Refused", _moment(auth, "refused_at", now)),
        ("Checked", _moment(auth, "rechecked_at", now)),
        ("Last error", error_text(auth.get("last_error"))),
        ("Details", context if (context := clean(row.get("status_context"))) != detail else ""),
        ("To do", _to_do(row)),
    ]
    if verbose:
        fields += _verbose(row, auth, now)
    column = max(len(name) for name, _ in fields) + 2
    colour = row_style(row, now).colour
    return "\n".join(
        _field(name, text, column, style, colour if name == "State" else None) for name, text in fields if text
    )


def _external(row: Json) -> Iterable[tuple[str, str]]:
    facts = row.get("external")
    if isinstance(facts, Mapping):
        yield "Owner", clean(row.get("owner"))
        yield "Served at", clean(facts.get("client_url") or "")


def _to_do(row: Json) -> str:
    """The commands that help another program's workload."""
    facts, name = row.get("external"), clean(row.get("name"))
    if not isinstance(facts, Mapping) or facts.get("doing") or status_of(str(row.get("status"))) not in UNWELL:
        return ""
    actions = _list(facts.get("actions"))
    commands = {"restart": f"amberlight restart {name}", "take_over": f"amberlight take-over {name}"}
    return ", or ".join(command for action, command in commands.items() if action in actions)


def _field(name: str, text: str, column: int, style: Style, colour: Colour | None) -> str:
    lines = wrap(text, max(style.width - column, TEXT_MIN)) if style.width else [text]
    if colour is not None:
        lines = [style.paint(line, colour) for line in lines]
    return "\n".join(f"{name + ':' if i == 0 else '':<{column}}{line}" for i, line in enumerate(lines))


def _moment(auth: Json, key: str, now: float) -> str:
    """ "2026-01-02 15:04 (5 min ago)", in local time."""
    at = parse_time(auth.get(key))
    if at is None:
        return clean(auth.get(key))
    relative = time_until(auth.get(key), now) if at > now else time_since(auth.get(key), now)
    return f"{local_time(at)} ({relative})"


def device_text(device: object) -> str:
    """Which code to enter where, for a sign-in that waits for it."""
    if not isinstance(device, Mapping):
        return ""
    return f"enter code {clean(device.get('user_code'))} at {clean(device.get('verification_uri'))}"


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _verbose(row: Json, auth: Json, now: float) -> Iterable[tuple[str, str]]:
    yield "Status", clean(row.get("status"))
    yield "Health", clean(row.get("health"))
    if is_external(row):
        return
    yield "Failed attempts", clean(auth.get("attempts"))
    yield "Last outcome", clean(auth.get("last_outcome"))
    yield "Last trigger", clean(auth.get("last_trigger"))
    yield "Last refreshed", _moment(auth, "last_refreshed_at", now)
    yield "Retrying since", _moment(auth, "retrying_since", now)
    yield "Asks you", _moment(auth, "ceiling_at", now)
    yield "Lost rotations", clean(auth.get("lost_rotations"))
    yield "Signing in", "yes" if auth.get("signing_in") else "no"
    yield "Events from", ", ".join(clean(source) for source in _list(row.get("sources")))


def error_text(error: object) -> str:
    """ "A firewall page (HTTP 403)": the summary, and status and code if they aren't in it."""
    if not isinstance(error, Mapping):
        return ""
    status, code = error.get("http_status"), clean(error.get("code"))
    summary = clean(error.get("summary")) or clean(error.get("kind"))
    facts = [f"HTTP {clean(status)}" if status and f"({clean(status)})" not in summary else "", code]
    known = ", ".join(fact for fact in facts if fact and fact not in summary)
    return f"{summary.removesuffix('.')} ({known})" if known else summary
