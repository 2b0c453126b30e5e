"""Plain values for what people see: icon, menu and notices.

`menu.py` and `notices.py` make them from snapshots; the tray and the notifications show them. This module imports nothing
of ours, because the tray loads it first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Colour(StrEnum):
    """The palette of the icon; each value is a CSS colour."""

    GREEN = "#2e9e5b"
    AMBER = "#f5a623"
    RED = "#e45a4c"
    BLUE = "#3b82d0"
    GREY = "#8a8f98"


class Glyph(StrEnum):
    """The shape in the middle of the icon, because colour must never be the only sign."""

    TICK = "tick"  # disc with a tick
    RETRY = "retry"  # ring with a circling arrow
    WARNING = "warning"  # triangle with an exclamation mark
    CROSS = "cross"
    OPEN = "open"  # open ring
    SQUARE = "square"
    QUESTION = "question"


class Verb(StrEnum):
    """What a person can do, from menu, notification, dashboard or command line."""

    RETRY = "retry"
    RETRY_ALL = "retry_all"
    REAUTHORIZE = "reauthorize"
    CANCEL_SIGN_IN = "cancel_sign_in"
    ACCEPT = "accept"  # use a new login that raised a question (RULES.md section 5)
    PAUSE = "pause"
    RESUME = "resume"
    SIGN_OUT = "sign_out"
    REMOVE = "remove"
    CONNECT = "connect"  # a client
    RESTART = "restart"  # another program's workload, by that program
    TAKE_OVER = "take_over"  # another program's workload, from that program
    COPY_ERROR = "copy_error"
    COPY_SIGN_IN = "copy_sign_in"  # the address of the sign-in page
    MUTE = "mute"
    AUTOSTART = "autostart"  # start at login, or not
    CHANGE_PORT = "change_port"  # listen on a port that is free
    SHOW = "show"
    ADD = "add"
    SET_UP = "set_up"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Action:
    """What a click does. `name` is the workload; empty if the verb isn't about one."""

    verb: Verb
    name: str = ""


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One menu item. `key` is stable across rebuilds, so a late click never hits another item."""

    key: str
    text: str = ""
    action: Action | None = None
    enabled: bool = True
    checked: bool | None = None
    separator: bool = False
    items: tuple[MenuItem, ...] = ()


@dataclass(frozen=True, slots=True)
class IconView:
    """The tray icon: up to 6 workloads have a segment each; with more, the worst colour fills the disc.

    Without a glyph there is no state to show, and it is the logo.
    """

    glyph: Glyph | None
    colour: Colour
    segments: tuple[Colour, ...] = ()
    attention: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification to show; a later one with the same `key` replaces it."""

    key: str
    title: str
    body: str
    buttons: tuple[tuple[str, Action], ...] = ()


@dataclass(frozen=True, slots=True)
class TrayView:
    """Everything the tray draws, made from one snapshot."""

    icon: IconView
    tooltip: str
    menu: tuple[MenuItem, ...]
