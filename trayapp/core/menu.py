"""Tray icon, tooltip and menu, rebuilt whole from each snapshot.

The menu fits any screen: what is worst comes first, at most `ROWS_MAX` rows and `LINE_MAX` characters a line, and the
rest is on the dashboard. Keys are stable across rebuilds, so a late click hits the item it was meant for. Workloads are
ranked by how they are drawn, not by status alone: one without a usable token ranks as retrying even while its status is
still `running`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import IntEnum

from trayapp.core import outages
from trayapp.core.app_notices import in_short
from trayapp.core.external import drawn
from trayapp.core.labels import LEAVING, Label, label
from trayapp.core.model import ACCOUNT, BrowserFault
from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, TrayView, Verb
from trayapp.core.sentences import LocalTime, enter_code, left_over_short, scope_names, short
from trayapp.core.snapshot import Detail, Snapshot, Status, WorkloadView

SEGMENTS_MAX = 6  # more segments would be too narrow to see at 22 pixels
TOOLTIP_NAMES = 5  # lines below the summary
LINE_MAX = 60  # characters; a wider menu covers half the screen
NAME_MIN = 24  # characters of a name that even a crowded line keeps
WORKLOADS_MAX = 8  # rows of workloads; the worst ones
SHORTCUTS_MAX = 3  # rows above them that sign in with one click
WARNINGS_MAX = 3  # rows about the app itself, beside the two that say that nothing works
ROWS_MAX = WARNINGS_MAX + SHORTCUTS_MAX + WORKLOADS_MAX + 15  # with the other rows and separators

GLYPH_CHARACTERS: Mapping[Glyph, str] = {
    Glyph.TICK: "✔",
    Glyph.RETRY: "↻",
    Glyph.WARNING: "⚠",
    Glyph.CROSS: "✖",
    Glyph.OPEN: "○",
    Glyph.SQUARE: "■",
    Glyph.QUESTION: "?",
}


class Rank(IntEnum):
    """Severity, worst first. The worst workload decides the icon; `UNKNOWN` and after only if there is nothing else."""

    SIGNED_OUT = 0
    ERROR = 1
    UNHEALTHY = 2
    RETRYING = 3
    SIGNING_IN = 4
    NEVER = 5
    STARTING = 6
    RUNNING = 7
    UNKNOWN = 8
    ENDING = 9
    STOPPED = 10


_RANKS: Mapping[Status, Rank] = {
    Status.UNAUTHENTICATED: Rank.SIGNED_OUT,
    Status.ERROR: Rank.ERROR,
    Status.UNHEALTHY: Rank.UNHEALTHY,
    Status.AUTH_RETRYING: Rank.RETRYING,
    Status.STARTING: Rank.STARTING,
    Status.RUNNING: Rank.RUNNING,
    Status.STOPPED: Rank.STOPPED,
    Status.POLICY_STOPPED: Rank.STOPPED,
    Status.STOPPING: Rank.ENDING,
    Status.REMOVING: Rank.ENDING,
}
# The labels in the order of the summary line, worst first.
SUMMARY_ORDER: tuple[str, ...] = (
    Label.SIGN_IN_NEEDED,
    Label.ACCESS_REFUSED,
    Label.CONFIGURATION_ERROR,
    Label.KEYRING_LOCKED,
    Label.KEYRING_UNAVAILABLE,
    Label.OFFLINE,
    Label.RECONNECTING,
    Label.NOT_SIGNED_IN,
    Label.STARTING,
    Label.CONNECTED,
    Label.PAUSED,
    *LEAVING.values(),
)


def rank(view: WorkloadView) -> Rank:
    """The severity of a workload, as it is drawn."""
    if view.colour is Colour.AMBER:
        return Rank.RETRYING
    if view.status is Status.UNAUTHENTICATED and view.colour is Colour.BLUE:
        return Rank.SIGNING_IN if view.auth.signing_in else Rank.NEVER
    return _RANKS.get(view.status, Rank.UNKNOWN)


def ranked(snapshot: Snapshot) -> list[WorkloadView]:
    """The workloads, worst first; among the running ones, those that a person should know something about."""
    views = drawn(snapshot.everything.values())
    return sorted(views, key=lambda view: (rank(view), not _notable(view), view.name))


def _notable(view: WorkloadView) -> bool:
    return view.auth.detail is not Detail.OK or view.auth.ends_soon


def summary(snapshot: Snapshot) -> str:
    """One line: "1 sign-in needed · 1 reconnecting · 2 connected"."""
    counts = Counter(label(view) for view in drawn(snapshot.everything.values()))
    if not counts:
        return Label.CONFIGURATION_ERROR if snapshot.broken else "No workloads yet"
    shown = [each for each in SUMMARY_ORDER if counts[each]]
    while len(line := _counted(counts, shown)) > LINE_MAX:
        shown.remove(next(each for each in reversed(shown) if each != Label.CONNECTED))  # people ask for that one
    return line


def _counted(counts: Counter[str], shown: list[str]) -> str:
    """How many workloads have each of these labels, and how many another one."""
    parts = [f"{counts[each]} {each.lower()}" for each in shown]
    more = counts.total() - sum(counts[each] for each in shown)
    return " · ".join([*parts, f"{more} more"] if more else parts)


def tray_view(snapshot: Snapshot, local: LocalTime) -> TrayView:
    """Everything the tray draws. `local` formats a wall time as the user's time of day."""
    return TrayView(_icon(snapshot), _tooltip(snapshot, local), tuple(_menu(snapshot, local)))


def _icon(snapshot: Snapshot) -> IconView:
    views = sorted(drawn(snapshot.everything.values()), key=lambda view: view.name)
    if snapshot.broken:
        return IconView(Glyph.CROSS, Colour.RED, attention=True)
    worst = min(views, key=rank, default=None)
    if snapshot.outage is not None and (worst is None or worst.colour is not Colour.RED):
        return IconView(Glyph.WARNING, Colour.AMBER, attention=True)
    if worst is None:
        return IconView(None, Colour.GREY)
    segments = tuple(view.colour for view in views) if len(views) <= SEGMENTS_MAX else ()
    return IconView(worst.glyph, worst.colour, segments, attention=worst.colour is Colour.RED)


def _tooltip(snapshot: Snapshot, local: LocalTime) -> str:
    first = [summary(snapshot)]
    if snapshot.broken:
        first = [Label.CONFIGURATION_ERROR, cut(in_short(snapshot.broken))]
    elif snapshot.outage is not None:
        first = [cut(outages.short(snapshot.outage))]
    worst = [view for view in ranked(snapshot) if rank(view) < Rank.RUNNING]
    lines = [named("", view.title, f": {_state(view, local)}") for view in worst]
    if len(lines) > TOOLTIP_NAMES:
        lines[TOOLTIP_NAMES - 1 :] = [f"and {len(lines) - TOOLTIP_NAMES + 1} more"]
    return "\n".join([*first, *lines])


# --- lines -----------------------------------------------------------------------------------------------------------


def cut(text: str) -> str:
    """The text as one line of a menu; a long one loses its end."""
    line = " ".join(text.split())
    return line if len(line) <= LINE_MAX else f"{line[: LINE_MAX - 1].rstrip()}…"


def named(before: str, name: str, after: str) -> str:
    """A line with a workload's name; a long name loses its middle, as its end tells it from the others."""
    room = max(LINE_MAX - len(before) - len(after), NAME_MIN)
    if len(name) > room:
        end = room // 2
        name = f"{name[: room - 1 - end]}…{name[-end:]}"
    return cut(f"{before}{name}{after}")


# --- menu ------------------------------------------------------------------------------------------------------------


def _menu(snapshot: Snapshot, local: LocalTime) -> Iterator[MenuItem]:
    views = ranked(snapshot)
    yield from _broken(snapshot)
    yield from _warnings(snapshot)
    if views or not snapshot.broken:
        yield MenuItem("summary", summary(snapshot), enabled=False)
    if any(view.auth.detail is Detail.KEYRING_LOCKED and _can_retry(view) for view in views):
        yield MenuItem(
            "keyring", "Unlock the keyring…", Action(Verb.RETRY_ALL)
        )  # a manual retry may show the keyring's dialog
    yield from _shortcuts(views)[:SHORTCUTS_MAX]
    yield MenuItem("dashboard", "Open dashboard", Action(Verb.SHOW))
    yield MenuItem("separator:workloads", separator=True)
    if views:
        yield from (_workload_item(view, local) for view in views[:WORKLOADS_MAX])
        if len(views) > WORKLOADS_MAX:
            yield MenuItem("all", "All workloads…", Action(Verb.SHOW))
        yield MenuItem("separator:all", separator=True)
        active = any(_can_retry(view) for view in views)
        yield MenuItem("retry_all", "Reconnect all", Action(Verb.RETRY_ALL), enabled=active)
    first = not snapshot.workloads and not snapshot.broken
    yield MenuItem("add", "Add your first workload…" if first else "Add workload…", Action(Verb.ADD))
    yield MenuItem("mute", "Mute notifications", Action(Verb.MUTE), checked=snapshot.muted)
    if snapshot.autostart is not None:
        yield MenuItem("autostart", "Start at login", Action(Verb.AUTOSTART), checked=snapshot.autostart)
    yield MenuItem("separator:quit", separator=True)
    yield MenuItem("quit", _quit_text(views), Action(Verb.QUIT))


def _broken(snapshot: Snapshot) -> Iterator[MenuItem]:
    """What keeps the app as a whole from working. A click shows the whole sentence on the dashboard."""
    if snapshot.broken:
        yield MenuItem("broken", cut(f"✖ {in_short(snapshot.broken)}"), Action(Verb.SHOW))
    if snapshot.outage is not None:
        yield MenuItem("outage", cut(f"⚠ {outages.short(snapshot.outage)}"), Action(Verb.SHOW))
        if outages.movable(snapshot.outage):
            yield MenuItem("change_port", outages.CHANGE, Action(Verb.CHANGE_PORT))


def _warnings(snapshot: Snapshot) -> list[MenuItem]:
    """What else a person should know about the app; the whole sentences, and the others, are on the dashboard."""
    texts = {f"warning:{number}": warning for number, warning in enumerate(snapshot.warnings)}
    texts |= {f"removal:{removal.name}": left_over_short(removal) for removal in snapshot.removals}
    items = [MenuItem(key, cut(f"⚠ {in_short(text)}"), Action(Verb.SHOW)) for key, text in texts.items()]
    if len(items) <= WARNINGS_MAX:
        return items
    shown = items[: WARNINGS_MAX - 1]
    return [*shown, MenuItem("warnings", f"⚠ {len(items) - len(shown)} more warnings…", Action(Verb.SHOW))]


def _shortcuts(views: list[WorkloadView]) -> list[MenuItem]:
    """What one click away solves; first where a person is in the middle of a sign-in."""
    waiting = [view for view in views if view.auth.device is not None or view.auth.browser_fault is not None]
    others = [view for view in views if view not in waiting]
    return [item for view in (*waiting, *others) for item in _shortcuts_of(view)]


def _shortcuts_of(view: WorkloadView) -> Iterator[MenuItem]:
    if view.external is not None:
        if view.status is Status.UNAUTHENTICATED and Verb.RESTART in view.external.actions:
            yield MenuItem(f"top:{view.name}", named("Restart ", view.title, ""), Action(Verb.RESTART, view.name))
        return
    if view.auth.device is not None:
        yield _device_code_item(view)
    elif _needs_sign_in(view):
        yield _sign_in_item(view)
    if view.auth.browser_fault is BrowserFault.NOT_OPENED:
        # The way on, also where nothing shows notifications.
        text = named("Copy sign-in URL of ", view.name, "")
        yield MenuItem(f"copy:{view.name}", text, Action(Verb.COPY_SIGN_IN, view.name))


def _needs_sign_in(view: WorkloadView) -> bool:
    """Whether a sign-in is what this workload needs; then it is one click away at the top of the menu."""
    return view.status in (Status.UNAUTHENTICATED, Status.UNHEALTHY) or view.auth.detail in (
        Detail.CONFIRM_CHANGE,
        Detail.PERMISSION_NEEDED,
        Detail.STRONGER_SIGN_IN,
    )


def _device_code_item(view: WorkloadView) -> MenuItem:
    """A device authorization waits for its code (RFC 8628): a click opens the verification page on this machine."""
    assert view.auth.device is not None  # noqa: S101 - the caller looked
    text = named("", view.name, f": {enter_code(view.auth.device)}…")
    return MenuItem(f"device:{view.name}", text, Action(Verb.REAUTHORIZE, view.name))


def _sign_in_item(view: WorkloadView) -> MenuItem:
    return MenuItem(f"top:{view.name}", _sign_in_text(view), Action(Verb.REAUTHORIZE, view.name))


def _sign_in_text(view: WorkloadView) -> str:
    if view.auth.signing_in:
        return named("Reopen sign-in page of ", view.name, "…")
    if view.auth.detail is Detail.NEVER_SIGNED_IN:
        return named("Sign in to ", view.name, "…")
    if view.auth.detail is Detail.PERMISSION_NEEDED and view.auth.missing_scopes:
        whole = f"Reauthorize {view.name} (adds {scope_names(view.auth.missing_scopes)})…"
        return whole if len(whole) <= LINE_MAX else named("Reauthorize ", view.name, " (adds permissions)…")
    return named("Reauthorize ", view.name, "…")


def _workload_item(view: WorkloadView, local: LocalTime) -> MenuItem:
    text = named(f"{GLYPH_CHARACTERS[view.glyph]} ", view.title, f": {_state(view, local)}")
    if view.status is Status.REMOVING:
        return MenuItem(f"workload:{view.name}", text, enabled=False)
    return MenuItem(f"workload:{view.name}", text, items=tuple(_submenu(view)))


def _state(view: WorkloadView, local: LocalTime) -> str:
    """The state in a row; without the names of scopes where they don't fit."""
    state = short(view, local)
    if len(view.title) + len(state) + 4 > LINE_MAX:
        return short(replace(view, auth=replace(view.auth, missing_scopes=())), local)
    return state


def _submenu(view: WorkloadView) -> Iterator[MenuItem]:
    """What can be asked of one workload; first what helps it most."""

    def item(verb: Verb, text: str, enabled: bool = True) -> MenuItem:
        return MenuItem(f"{verb}:{view.name}", text, Action(verb, view.name), enabled=enabled)

    if view.external is not None:
        busy = bool(view.external.doing)
        yield item(Verb.RESTART, "Restart", Verb.RESTART in view.external.actions and not busy)
        yield item(Verb.TAKE_OVER, "Take over…", Verb.TAKE_OVER in view.external.actions and not busy)
        yield item(Verb.COPY_ERROR, "Copy error details", bool(view.status_context))
        return
    never = view.auth.detail is Detail.NEVER_SIGNED_IN
    sign_in = "Reopen sign-in page…" if view.auth.signing_in else "Sign in…" if never else "Reauthorize…"
    renew = (
        item(Verb.RETRY, "Retry now", _can_retry(view) and not _nothing_to_retry(view)),
        item(Verb.REAUTHORIZE, sign_in, view.auth.detail is not Detail.CONFIG_ERROR),
    )
    yield from reversed(renew) if _needs_sign_in(view) else renew
    if view.auth.signing_in:
        yield item(Verb.CANCEL_SIGN_IN, "Cancel sign-in")
        yield item(Verb.COPY_SIGN_IN, "Copy sign-in URL")
    if view.kind != ACCOUNT:
        yield item(Verb.CONNECT, "Connect a client…")
    yield item(Verb.COPY_ERROR, "Copy error details", view.auth.last_error is not None)
    if view.status is Status.STOPPED:
        yield item(Verb.RESUME, "Resume")
    else:
        yield item(Verb.PAUSE, "Pause")
    yield item(Verb.SIGN_OUT, "Sign out", not never)


def _can_retry(view: WorkloadView) -> bool:
    return view.external is None and view.status not in (Status.STOPPED, Status.REMOVING)


def _nothing_to_retry(view: WorkloadView) -> bool:
    """Its login can't be renewed. In red, a retry looks for another one in the keyring."""
    return not view.auth.renewable and view.status is not Status.UNAUTHENTICATED


def _quit_text(views: list[WorkloadView]) -> str:
    """Quit, with a warning where a login would be lost."""
    unsaved = [view.name for view in views if view.auth.unsaved and view.status is not Status.REMOVING]
    if len(unsaved) > 1:
        return f"Quit ({len(unsaved)} logins aren't saved yet)"
    return named("Quit (the login of ", unsaved[0], " isn't saved yet)") if unsaved else "Quit"
