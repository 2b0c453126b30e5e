"""Public values: statuses, details and snapshots of workloads.

`view.py` derives them from the machine's state; the API sends them, the command line prints them, and `menu.py` draws
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from trayapp.core.model import BrowserFault, DeviceCode, Problem
from trayapp.core.outages import Outage
from trayapp.core.presentation import Colour, Glyph, Verb


class Status(StrEnum):
    """The public status of a workload, in exactly ToolHive's words."""

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
    """Why the status is what it is, in order of precedence: the first that holds (RULES.md section 2)."""

    CONFIG_ERROR = "config_error"
    CONFIRM_CHANGE = "confirm_change"
    REFUSED = "refused"
    LOST_ROTATION = "lost_rotation"
    ENDED = "ended"
    NEVER_SIGNED_IN = "never_signed_in"
    NOT_STORED = "not_stored"
    PAUSED = "paused"
    KEYRING_LOCKED = "keyring_locked"
    KEYRING_UNAVAILABLE = "keyring_unavailable"
    UPSTREAM_REJECTS = "upstream_rejects"
    CEILING = "ceiling"
    SLEEPING = "sleeping"
    PORTAL = "portal"
    OFFLINE = "offline"
    SETTLING = "settling"
    SERVER_SAID_WAIT = "server_said_wait"
    RETRYING = "retrying"
    REFRESH_DELAYED = "refresh_delayed"
    STARTING = "starting"
    PERMISSION_NEEDED = "permission_needed"
    STRONGER_SIGN_IN = "stronger_sign_in"
    OK = "ok"


class Health(StrEnum):
    """The health of a workload, in vMCP's words."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNAUTHENTICATED = "unauthenticated"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AuthView:
    """Facts about a workload's login. Times are wall seconds; the API writes them as RFC 3339 in UTC."""

    detail: Detail
    since: float
    attempts: int = 0  # failed attempts of this outage
    last_outcome: str | None = None
    last_error: Problem | None = None
    last_trigger: str | None = None
    next_attempt_at: float | None = None
    ceiling_at: float | None = None
    usable: bool = False  # clients get a token now (M1)
    token_expires_at: float | None = None
    retrying_since: float | None = None
    last_refreshed_at: float | None = None
    lost_rotations: int = 0
    signing_in: bool = False
    device: DeviceCode | None = None
    browser_fault: BrowserFault | None = None
    sign_in_error: Problem | None = None
    sign_in_warning: Problem | None = None
    redirected_to: str = ""  # where the token endpoint redirected the last refresh, without the query
    refused_at: float | None = None  # when the server refused this login
    rechecked_at: float | None = None  # and when it was tried once more since (M7)
    renewable: bool = (
        True  # False: the server gave no refresh token, so only a sign-in replaces it (RULES.md section 6)
    )
    bound: bool = False  # its tokens work only with a key that is kept with the login (RFC 9449)
    login_ends_at: float | None = None  # of a login that can't be renewed; None: no end is known
    ends_soon: bool = False  # and it is time to remind a person
    missing_scopes: tuple[str, ...] = ()  # that the upstream asked for (RULES.md section 7)
    reauthorize_scopes: tuple[
        str, ...
    ] = ()  # what a sign-in now would ask for on its behalf: the granted and the missing
    account: str = field(default="", repr=False)  # whose login it is, if the server says so; private, so never in a log
    unsaved: bool = False  # the newest login could not be written and ends with the program; not in the API


@dataclass(frozen=True, slots=True)
class External:
    """What is known of another program's workload beside what every workload has (`external.py`)."""

    owner: str  # the program that keeps it signed in, by its title
    name: str  # its name there
    word: str  # its status in that program's own word
    client_url: str  # where its clients reach it; empty: not known
    actions: tuple[Verb, ...]  # what can be done about it from here
    doing: str = ""  # what Amberlight is having done to it, one sentence; empty: nothing


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """One workload as the API, the menu and the command line see it.

    Another program's is named `OWNER/NAME`, so that its name is never one of ours.
    """

    name: str
    url: str
    status: Status
    status_context: str  # what happened, then what to do; empty when all is well
    health: Health
    colour: Colour
    glyph: Glyph
    auth: AuthView
    kind: str = "server"  # or account, which has no url
    external: External | None = None  # of a workload that another program keeps signed in

    @property
    def title(self) -> str:
        """Its name for people: another program's says whose it is."""
        return self.name if self.external is None else f"{self.external.name} ({self.external.owner})"


@dataclass(frozen=True, slots=True)
class Removal:
    """A login that a person gave up, and that isn't gone yet."""

    name: str
    server: str = ""  # the host that knows it; empty: not known before the keyring can be read
    deleted: bool = True  # from the keyring
    revoked: bool = True  # at the server, or never to be
    until: float | None = None  # wall; how long the server is asked; None: it can't be


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything public at one instant. Unchanged views are shared between snapshots."""

    serial: int
    workloads: Mapping[str, WorkloadView] = field(default_factory=dict)
    gate: str = ""  # why no attempt may leave: a `Detail`, or empty
    muted: bool = False
    broken: str = ""  # why there is no configuration, or a workload is missing: one sentence naming file and line
    outdated: str = ""  # why the configuration in force is an earlier one: the same of a file that was good before
    outage: Outage | None = None  # why clients can't reach Amberlight
    this_run_only: bool = False  # there is no keyring: logins end with the program
    warnings: tuple[str, ...] = ()  # about the app itself: bad configuration, no keyring, no tray
    removals: tuple[Removal, ...] = ()
    autostart: bool | None = None  # whether Amberlight starts at login; None: it can't be chosen here
    external: Mapping[str, WorkloadView] = field(default_factory=dict)  # other programs', by `OWNER/NAME`

    @property
    def everything(self) -> Mapping[str, WorkloadView]:
        """Our workloads and those of other programs."""
        return {**self.workloads, **self.external} if self.external else self.workloads


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
