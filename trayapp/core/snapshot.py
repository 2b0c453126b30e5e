"""What programs and people are told of the workloads: status words and snapshots, as plain values.

`view.py` makes these from the machine's state; the API sends them, the command line prints them, and `menu.py` makes
faces of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trayapp.core.model import DeviceCode, Problem
from trayapp.core.presentation import Colour, Glyph


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
    unsaved: bool = False  # the newest login could not be written and ends with the program; not in the API


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
class Unavailable:
    """Why a caller gets no token (M15): the body of the 503, and its `Retry-After`."""

    error: str  # retrying, starting, reauth_required, stopped, config_error, upstream_rejects, unknown_workload
    status: Status
    detail: Detail
    since: float  # wall
    retry_after: int | None  # s
    next_attempt_at: float | None  # wall
    help: str  # what to do, one sentence
