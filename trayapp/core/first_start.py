"""What an installation does once: it says where its icon is, or what to do without one, and opens its set-up."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from trayapp.core.presentation import Action, Notice, Verb

KEY = "where"  # of the notification
TITLE = "Amberlight is running"
GNOME_EXTENSION = "AppIndicator and KStatusNotifierItem Support"
PLACES = {"darwin": "menu bar", "win32": "taskbar"}  # by `sys.platform`; elsewhere it is a panel


class Told(StrEnum):
    """What has been said or shown."""

    ICON = "icon"
    NO_TRAY = "no_tray"
    SET_UP = "set_up"


@dataclass(frozen=True, slots=True)
class Desktop:
    """Where this runs: `sys.platform`, and the names in XDG_CURRENT_DESKTOP ("ubuntu:GNOME")."""

    platform: str
    names: str = ""

    @property
    def is_gnome(self) -> bool:
        return "gnome" in self.names.lower().replace("-", ":").split(":")


@dataclass(frozen=True, slots=True)
class Start:
    """How the app was started. `page` is what the command said: a page may open, or never; None if it said nothing."""

    page: bool | None = None
    terminal: bool = False  # somebody watches it in one
    remote: bool = False  # over SSH: the browser would open where nobody is
    browser: bool = False  # one could be opened

    @property
    def by_a_person(self) -> bool:
        """Whether somebody started it just now: in a terminal, or from the desktop's menu, whose command says so."""
        return self.terminal if self.page is None else self.page


def opens_set_up(start: Start, told: Set[str], workloads: int) -> bool:
    """Whether this start opens the set-up: once, where a person sees it, and while there is nothing else to see."""
    here = start.by_a_person and start.browser and not start.remote
    return here and not workloads and Told.SET_UP not in told


def no_tray(desktop: Desktop) -> str:
    """This desktop shows no icon, and what to do about it."""
    if desktop.is_gnome:
        return f"GNOME shows no tray icons. Turn on the extension {GNOME_EXTENSION}, or run `amberlight dashboard`."
    return "This desktop shows no tray icons. To see your workloads, run `amberlight dashboard`."


def notice(shown: bool, told: Set[str], desktop: Desktop, *, muted: bool) -> tuple[Told, Notice] | None:
    """What to say now that an icon is `shown`, or not, and the mark to keep once it was read; None: nothing new."""
    what = Told.ICON if shown else Told.NO_TRAY
    if muted or what in told:
        return None
    if shown:
        body = f"Look for its icon in the {PLACES.get(desktop.platform, 'panel')}."
        return what, Notice(KEY, TITLE, body)
    return what, Notice(KEY, TITLE, no_tray(desktop), (("Open dashboard", Action(Verb.SHOW)),))
