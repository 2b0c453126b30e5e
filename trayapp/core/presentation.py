"""What people see: icon, menu and notices, as plain values. The first thing that is loaded, so it needs nothing else.

`menu.py` and `notices.py` make these from snapshots; the tray and the notifications show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Colour(StrEnum):
    """The palette of the icon; the value is the colour itself."""

    GREEN = "#2e9e5b"
    AMBER = "#f5a623"
    RED = "#d64545"
    BLUE = "#3b82d0"
    GREY = "#8a8f98"


class Glyph(StrEnum):
    """The shape in the middle of the icon; colour is never the only sign."""

    TICK = "tick"  # disc with a tick
    RETRY = "retry"  # ring with a circling arrow
    WARNING = "warning"  # triangle with an exclamation mark
    CROSS = "cross"
    OPEN = "open"  # open ring
    SQUARE = "square"
    QUESTION = "question"


class Verb(StrEnum):
    """What a person can ask for, from menu, notification, dashboard or command line."""

    RETRY = "retry"
    RETRY_ALL = "retry_all"
    REAUTHORIZE = "reauthorize"
    CANCEL_SIGN_IN = "cancel_sign_in"
    ACCEPT = "accept"  # the new login although it is of another account, or may do less
    PAUSE = "pause"
    RESUME = "resume"
    SIGN_OUT = "sign_out"
    REMOVE = "remove"
    COPY_CLIENT = "copy_client"
    COPY_ERROR = "copy_error"
    MUTE = "mute"
    AUTOSTART = "autostart"  # start at login, or not
    SHOW = "show"
    ADD = "add"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Action:
    """A click. `name` is the workload, empty where the verb concerns all."""

    verb: Verb
    name: str = ""


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One line of the menu. `key` is stable across rebuilds: a late click never hits another item."""

    key: str
    text: str = ""
    action: Action | None = None
    enabled: bool = True
    checked: bool | None = None
    separator: bool = False
    items: tuple[MenuItem, ...] = ()


@dataclass(frozen=True, slots=True)
class IconView:
    """The tray icon as a value: one segment per workload up to 6, above that none and the worst colour fills it."""

    glyph: Glyph
    colour: Colour
    segments: tuple[Colour, ...] = ()
    attention: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification to be shown; the same `key` replaces or withdraws it."""

    key: str
    title: str
    body: str
    buttons: tuple[tuple[str, Action], ...] = ()


@dataclass(frozen=True, slots=True)
class TrayView:
    """All that the tray draws, made from one snapshot."""

    icon: IconView
    tooltip: str
    menu: tuple[MenuItem, ...]
