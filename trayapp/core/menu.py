"""Tray icon, tooltip and menu, rebuilt whole from each snapshot.

Keys are stable across rebuilds, so a late click hits the item it was meant for. Workloads are ranked by how they are
drawn, not by status alone: one without a usable token ranks as retrying even while its status is still `running`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum

from trayapp.core import outages
from trayapp.core.model import BrowserFault
from trayapp.core.presentation import Action, Colour, Glyph, IconView, MenuItem, TrayView, Verb
from trayapp.core.sentences import LocalTime, enter_code, left_over_short, scope_names, short
from trayapp.core.snapshot import Detail, Snapshot, Status, WorkloadView

SEGMENTS_MAX = 6  # more segments would be too narrow to see at 22 pixels
TOOLTIP_NAMES = 5  # lines below the summary

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


# The words of the summary line, in its order: for one workload, for several.
SUMMARY_WORDS: Mapping[Rank, tuple[str, str]] = {
    Rank.RUNNING: ("running", "running"),
    Rank.STARTING: ("starting", "starting"),
    Rank.RETRYING: ("retrying", "retrying"),
    Rank.SIGNED_OUT: ("needs sign-in", "need sign-in"),
    Rank.NEVER: ("not signed in yet", "not signed in yet"),
    Rank.SIGNING_IN: ("signing in", "signing in"),
    Rank.ERROR: ("with a configuration error", "with configuration errors"),
    Rank.UNHEALTHY: ("rejected by its service", "rejected by their services"),
    Rank.STOPPED: ("paused", "paused"),
    Rank.ENDING: ("stopping", "stopping"),
    Rank.UNKNOWN: ("unknown", "unknown"),
}
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


def rank(view: WorkloadView) -> Rank:
    """The severity of a workload, as it is drawn."""
    if view.colour is Colour.AMBER:
        return Rank.RETRYING
    if view.status is Status.UNAUTHENTICATED and view.colour is Colour.BLUE:
        return Rank.SIGNING_IN if view.auth.signing_in else Rank.NEVER
    return _RANKS.get(view.status, Rank.UNKNOWN)


def summary(snapshot: Snapshot) -> str:
    """One line: "2 running · 1 retrying · 1 needs sign-in"."""
    if not snapshot.workloads:
        return "Configuration error" if snapshot.broken else "No workloads yet"
    ranks = [rank(view) for view in snapshot.workloads.values()]
    counts = ((ranks.count(r), one, several) for r, (one, several) in SUMMARY_WORDS.items())
    return " · ".join(f"{n} {one if n == 1 else several}" for n, one, several in counts if n)


def tray_view(snapshot: Snapshot, local: LocalTime) -> TrayView:
    """Everything the tray draws. `local` formats a wall time as the user's time of day."""
    return TrayView(_icon(snapshot), _tooltip(snapshot, local), tuple(_menu(snapshot, local)))


def _by_name(snapshot: Snapshot) -> list[WorkloadView]:
    return sorted(snapshot.workloads.values(), key=lambda view: view.name)


def _icon(snapshot: Snapshot) -> IconView:
    views = _by_name(snapshot)
    if snapshot.broken:
        return IconView(Glyph.CROSS, Colour.RED, attention=True)
    worst = min(views, key=rank, default=None)
    if snapshot.outage is not None and (worst is None or worst.colour is not Colour.RED):
        return IconView(Glyph.WARNING, Colour.AMBER, attention=True)
    if worst is None:
        return IconView(Glyph.OPEN, Colour.GREY)
    segments = tuple(view.colour for view in views) if len(views) <= SEGMENTS_MAX else ()
    return IconView(worst.glyph, worst.colour, segments, attention=worst.colour is Colour.RED)


def _tooltip(snapshot: Snapshot, local: LocalTime) -> str:
    first = "Configuration error" if snapshot.broken else summary(snapshot)
    if snapshot.outage is not None and not snapshot.broken:
        first = outages.short(snapshot.outage)
    worst = sorted((v for v in _by_name(snapshot) if rank(v) < Rank.RUNNING), key=rank)
    lines = [f"{view.name}: {short(view, local)}" for view in worst]
    if len(lines) > TOOLTIP_NAMES:
        lines[TOOLTIP_NAMES - 1 :] = [f"and {len(lines) - TOOLTIP_NAMES + 1} more"]
    return "\n".join([first, *lines])


# --- menu ------------------------------------------------------------------------------------------------------------


def _menu(snapshot: Snapshot, local: LocalTime) -> Iterator[MenuItem]:
    views = _by_name(snapshot)
    if snapshot.broken:
        yield MenuItem("broken", f"✖ {snapshot.broken}", enabled=False)
    if snapshot.outage is not None:
        yield MenuItem("outage", f"⚠ {outages.short(snapshot.outage)}", enabled=False)
        if outages.movable(snapshot.outage):
            yield MenuItem("change_port", outages.CHANGE, Action(Verb.CHANGE_PORT))
    for number, warning in enumerate(snapshot.warnings):
        yield MenuItem(f"warning:{number}", f"⚠ {warning}", enabled=False)
    for removal in snapshot.removals:
        yield MenuItem(f"removal:{removal.name}", f"⚠ {left_over_short(removal)}", enabled=False)
    yield MenuItem("summary", summary(snapshot), enabled=False)
    if any(view.auth.detail is Detail.KEYRING_LOCKED and _can_retry(view) for view in views):
        yield MenuItem(
            "keyring", "Unlock the keyring…", Action(Verb.RETRY_ALL)
        )  # a manual retry may show the keyring's dialog
    yield from (_device_code_item(view) for view in views if view.auth.device is not None)
    yield from (_sign_in_item(view) for view in views if _needs_sign_in(view) and view.auth.device is None)
    yield from (_copy_sign_in_item(view) for view in views if view.auth.browser_fault is BrowserFault.NOT_OPENED)
    yield MenuItem("dashboard", "Open dashboard", Action(Verb.SHOW))
    yield MenuItem("separator:workloads", separator=True)
    yield from (_workload_item(view, local) for view in views)
    if not views and not snapshot.broken:
        yield MenuItem("empty", "No workload yet", enabled=False)
    yield MenuItem("separator:all", separator=True)
    active = any(_can_retry(view) for view in views)
    yield MenuItem("retry_all", "Retry all now", Action(Verb.RETRY_ALL), enabled=active)
    yield MenuItem("add", "Add a workload…", Action(Verb.ADD))
    yield MenuItem("mute", "Mute notifications", Action(Verb.MUTE), checked=snapshot.muted)
    if snapshot.autostart is not None:
        yield MenuItem("autostart", "Start at login", Action(Verb.AUTOSTART), checked=snapshot.autostart)
    yield MenuItem("separator:quit", separator=True)
    yield MenuItem("quit", _quit_text(views), Action(Verb.QUIT))


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
    return MenuItem(
        f"device:{view.name}", f"{view.name}: {enter_code(view.auth.device)}…", Action(Verb.REAUTHORIZE, view.name)
    )


def _sign_in_item(view: WorkloadView) -> MenuItem:
    if view.auth.signing_in:
        text = f"Reopen sign-in page of {view.name}…"
    elif view.auth.detail is Detail.NEVER_SIGNED_IN:
        text = f"Sign in to {view.name}…"
    elif view.auth.detail is Detail.PERMISSION_NEEDED and view.auth.missing_scopes:
        text = f"Reauthorize {view.name} (adds {scope_names(view.auth.missing_scopes)})…"
    else:
        text = f"Reauthorize {view.name}…"
    return MenuItem(f"top:{view.name}", text, Action(Verb.REAUTHORIZE, view.name))


def _copy_sign_in_item(view: WorkloadView) -> MenuItem:
    """No browser could be opened: the way on, also where nothing shows notifications."""
    text = f"Copy sign-in address of {view.name}"
    return MenuItem(f"copy:{view.name}", text, Action(Verb.COPY_SIGN_IN, view.name))


def _workload_item(view: WorkloadView, local: LocalTime) -> MenuItem:
    text = f"{GLYPH_CHARACTERS[view.glyph]} {view.name}: {short(view, local)}"
    if view.status is Status.REMOVING:
        return MenuItem(f"workload:{view.name}", text, enabled=False)
    return MenuItem(f"workload:{view.name}", text, items=tuple(_submenu(view)))


def _submenu(view: WorkloadView) -> Iterator[MenuItem]:
    def item(verb: Verb, text: str, enabled: bool = True) -> MenuItem:
        return MenuItem(f"{verb}:{view.name}", text, Action(verb, view.name), enabled=enabled)

    never = view.auth.detail is Detail.NEVER_SIGNED_IN
    sign_in = "Reopen sign-in page…" if view.auth.signing_in else "Sign in…" if never else "Reauthorize…"
    yield item(Verb.RETRY, "Retry now", _can_retry(view) and not _nothing_to_retry(view))
    yield item(Verb.REAUTHORIZE, sign_in, view.auth.detail is not Detail.CONFIG_ERROR)
    if view.auth.signing_in:
        yield item(Verb.CANCEL_SIGN_IN, "Cancel sign-in")
        yield item(Verb.COPY_SIGN_IN, "Copy sign-in address")
    yield item(Verb.CONNECT, "Connect a client…")
    yield item(Verb.COPY_ERROR, "Copy error details", view.auth.last_error is not None)
    if view.status is Status.STOPPED:
        yield item(Verb.RESUME, "Resume")
    else:
        yield item(Verb.PAUSE, "Pause")
    yield item(Verb.SIGN_OUT, "Sign out", not never)


def _can_retry(view: WorkloadView) -> bool:
    return view.status not in (Status.STOPPED, Status.REMOVING)


def _nothing_to_retry(view: WorkloadView) -> bool:
    """Its login can't be renewed. In red, a retry looks for another one in the keyring."""
    return not view.auth.renewable and view.status is not Status.UNAUTHENTICATED


def _quit_text(views: list[WorkloadView]) -> str:
    """Quit, with a warning where a login would be lost."""
    unsaved = [view.name for view in views if view.auth.unsaved and view.status is not Status.REMOVING]
    return f"Quit (the newest login of {', '.join(unsaved)} is not saved)" if unsaved else "Quit"
