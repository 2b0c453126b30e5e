"""What people and programs see of the workloads: status words, menu, icon, notices, as plain values.

`view.py` makes these from the machine's state; the tray draws them, the API sends them, the command line prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the tray needs faces before anybody needs workloads: making those classes takes 10 ms
    from trayapp.core.model import DeviceCode, Problem


class Status(StrEnum):
    """The public words, ToolHive's exactly."""

    STARTING = "starting"
    RUNNING = "running"
    AUTH_RETRYING = "auth_retrying"
    UNAUTHENTICATED = "unauthenticated"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"
    UNHEALTHY = "unhealthy"
    REMOVING = "removing"
    POLICY_STOPPED = "policy_stopped"
    UNKNOWN = "unknown"


class Detail(StrEnum):
    """Why, in order of precedence: the first that holds is the one (DESIGN.md section 2)."""

    NOT_STORED = "not_stored"
    KEYRING_LOCKED = "keyring_locked"
    KEYRING_UNAVAILABLE = "keyring_unavailable"
    CONFIG_ERROR = "config_error"
    CONFIRM_CHANGE = "confirm_change"
    UPSTREAM_REJECTS = "upstream_rejects"
    REFUSED = "refused"
    LOST_ROTATION = "lost_rotation"
    CEILING = "ceiling"
    NEVER_SIGNED_IN = "never_signed_in"
    PAUSED = "paused"
    SLEEPING = "sleeping"
    PORTAL = "portal"
    OFFLINE = "offline"
    SETTLING = "settling"
    SERVER_SAID_WAIT = "server_said_wait"
    RETRYING = "retrying"
    REFRESH_DELAYED = "refresh_delayed"
    STARTING = "starting"
    OK = "ok"


class Health(StrEnum):
    """The vMCP words."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNAUTHENTICATED = "unauthenticated"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


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
class AuthView:
    """The `auth` object. Times are wall seconds here; the API writes them as RFC 3339 in UTC."""

    detail: Detail
    since: float
    attempts: int = 0  # failed attempts of this outage
    last_outcome: str | None = None
    last_error: Problem | None = None
    last_trigger: str | None = None
    next_attempt_at: float | None = None
    ceiling_at: float | None = None
    token_expires_at: float | None = None
    retrying_since: float | None = None
    last_refreshed_at: float | None = None
    lost_rotations: int = 0
    signing_in: bool = False
    device: DeviceCode | None = None
    sign_in_error: Problem | None = None
    sign_in_warning: Problem | None = None


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """One workload as everybody sees it."""

    name: str
    url: str
    status: Status
    status_context: str  # one plain sentence; empty when all is well
    health: Health
    colour: Colour
    glyph: Glyph
    auth: AuthView


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything public at one instant. Views are shared between snapshots; only changed ones are new."""

    serial: int
    workloads: Mapping[str, WorkloadView] = field(default_factory=dict)
    gate: str = ""  # why nothing is attempted: a Detail word, or empty
    muted: bool = False
    broken: str = ""  # the configuration cannot be read: one sentence naming file and line; the icon is a red cross
    warnings: tuple[str, ...] = ()  # of the app itself: port taken, bad configuration, no keyring
    autostart: bool | None = None  # whether a login starts Amberlight; None: not to be chosen here


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
class Face:
    """All that the tray draws, made from one snapshot."""

    icon: IconView
    tooltip: str
    menu: tuple[MenuItem, ...]


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why a caller gets no token (M15): the body of the 503, and its `Retry-After`."""

    error: str  # retrying, starting, reauth_required, stopped, config_error, upstream_rejects, unknown_workload
    status: Status
    detail: Detail
    since: float  # wall
    retry_after: int | None  # s
    next_attempt_at: float | None  # wall
    help: str  # what to do, one sentence
