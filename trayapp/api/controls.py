"""The Protocol through which the API reaches engine and app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from trayapp.core import metrics
from trayapp.core.answered import Answered
from trayapp.core.checks import Report
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import AccessToken, Problem, Secret, Spec
from trayapp.core.presentation import Action
from trayapp.core.snapshot import Snapshot, Unavailable

if TYPE_CHECKING:  # the app loads these when somebody looks at the clients: 1 MB
    from trayapp.clients.connecting import Change
    from trayapp.clients.connecting import Row as ClientRow
    from trayapp.clients.table import Client
    from trayapp.config.described import Row
    from trayapp.importers.offers import Offer


@dataclass(frozen=True, slots=True)
class ClientNeeded:
    """A server that registers no clients: what a person has to create there. `secret`: required, optional or none."""

    redirect_uri: str
    redirect_port: int
    secret: str
    client_from: str = ""  # completes "Create one …"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why the configuration was not changed: HTTP status, error code, a sentence, and what is wrong by field."""

    status: int
    code: str
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)
    client: ClientNeeded | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A workload as a person typed it, or changes of one: keys of its table (None takes one out)."""

    name: str  # new name of one that exists; empty: as before
    keys: Mapping[str, object]
    secret: Secret | None = None  # the client's; an empty one deletes it
    check: bool = False  # look at the server first
    revision: str = ""  # of the table that it is about; empty: whatever it says


@dataclass(frozen=True, slots=True)
class Edited:
    """A workload was changed: its name now, what was done, and what is left to do."""

    name: str
    message: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal came to: by name, why a workload is still there; and what else to know, a sentence each."""

    refused: Mapping[str, Rejected] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsTable:
    """All settings of one table. `problem`: why the user's file can't be changed; `notes`: by setting, what to know."""

    revision: str
    file: str
    problem: str
    rows: Sequence[Row]
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortChanged:
    """The port from now on, what was done, and clients by their titles: whose files name it now, and whose don't."""

    port: int
    message: str
    updated: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TakeOverPlan:
    """What taking over another program's workload would change. `clients`: title, file and entry of each that goes to
    its proxy. `needs_secret`: its client has one, which stays there. `problem`: why it can't be done, in a sentence; empty
    if it can."""

    name: str
    url: str
    owner: str
    configured_as: str | None
    clients: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    needs_secret: bool
    problem: str


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A workload is its owner's again: what was done, clients by their titles, and sentences on what wasn't."""

    name: str
    message: str
    updated: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """The same for one that was taken over; `authorization_url`: of the sign-in that was begun."""

    name: str
    message: str
    updated: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    authorization_url: str | None = None


class Control(Protocol):
    """What the API needs of engine and app. Belongs to the server's loop."""

    @property
    def started_at(self) -> float:
        """When the app started; wall seconds."""
        ...

    def snapshot(self) -> Snapshot: ...

    def spec(self, name: str) -> Spec | None: ...

    def post(self, action: Action) -> None:
        """Post an action, to be carried out later; never waits."""
        ...

    async def token(self, name: str, min_validity: float, wait: float) -> AccessToken | Unavailable:
        """A token with at least `min_validity` seconds left, or why there is none (M15). May be cancelled.

        `wait` is the longest wait in seconds, where that is longer than the usual one.
        """
        ...

    def token_used(self, name: str, token: Secret, *, accepted: bool) -> None:
        """A server took this token, or didn't."""
        ...

    async def client(self, name: str) -> ClientAccess | None:
        """How a program on this machine reaches the workload; None while nothing listens. Makes the key at first use, and
        asks the server for its transport."""
        ...

    async def clients(self, names: Sequence[str]) -> list[ClientAccess] | None:
        """The same for several workloads that exist; None while nothing listens."""
        ...

    def aggregate(self) -> ClientAccess | None:
        """The same for `/mcp`, which serves all workloads."""
        ...

    async def survey_clients(self) -> list[ClientRow] | Problem:
        """Each client of the table, with what it has of each workload."""
        ...

    async def connect_client(self, client: Client, names: Sequence[str], *, replace: bool) -> Change | Problem:
        """Write entries for these workloads (`ALL`: a single one for all) into the client's file; one that is not ours is
        replaced only with `replace`."""
        ...

    async def disconnect_client(self, client: Client, names: Sequence[str]) -> Change | Problem:
        """Take our entries for these workloads out of the client's file."""
        ...

    def counted(self) -> metrics.Counters:
        """The counters of engine and proxy, for `/metrics`."""
        ...

    async def reauthorize(self, name: str, *, browser: bool, accept: bool, flow: str = "") -> str | Problem | None:
        """Begin a sign-in or join the one in progress; returns the authorization URL once the listener is bound.

        `flow` is browser or device; empty means as configured. `browser` opens the page here; `accept` agrees in
        advance to another account or fewer scopes.
        """
        ...

    def cancel_sign_in(self, name: str, *, register: bool = False) -> None:
        """Cancel the sign-in in progress, if there is one; everything else stays as it was.

        With `register` the next sign-in registers a new client: a person saw that the server doesn't know this one.
        """
        ...

    def registered(self, name: str) -> bool:
        """Whether the latest sign-in uses a client that Amberlight registered."""
        ...

    def steps(self, name: str) -> tuple[str, ...]:
        """What the latest sign-in has found and done so far, one line each."""
        ...

    async def set_secret(self, name: str, secret: Secret | None) -> Problem | None:
        """Store a client secret for the configured client_id, or delete it; a `Problem` if that failed."""
        ...

    def paste(self, name: str, url: str) -> Problem | None:
        """Pass on a redirect URL that a person copied; None if the sign-in in progress took it."""
        ...

    async def remove(self, names: Sequence[str]) -> Removed:
        """Revoke and delete the logins and take the workloads out of the configuration."""
        ...

    async def add(self, draft: Draft) -> str | Rejected:
        """Write a workload to the configuration and load it; its name, which may have been corrected."""
        ...

    async def edit(self, name: str, draft: Draft) -> Edited | Rejected:
        """Change a workload in the configuration, its name too, and load it."""
        ...

    async def settings(self, name: str = "") -> SettingsTable | Rejected:
        """The settings of the app, or of a workload."""
        ...

    async def change_settings(self, changes: Mapping[str, object], revision: str) -> SettingsTable | Rejected:
        """Change settings of the app; the table then."""
        ...

    async def offers(self) -> list[Offer] | Problem:
        """Servers of installed clients and ToolHive that aren't workloads yet."""
        ...

    async def check(self, name: str) -> Answered | Problem:
        """Ask it for its tools, as a client does."""
        ...

    def external_problems(self) -> list[str]:
        """Why other programs' workloads are missing or out of date, a sentence each."""
        ...

    def missing_external(self, name: str) -> Problem:
        """Why no workload of another program is named `OWNER/NAME`, or none is seen: they may not be watched."""
        ...

    async def restart_external(self, name: str) -> Problem | None:
        """Have another program restart its workload `OWNER/NAME`; None once it was asked, or is being asked already."""
        ...

    async def plan_take_over(self, theirs: str, name: str = "") -> TakeOverPlan | Rejected:
        """What taking over another program's workload `OWNER/NAME` would change; `name` is the name to give it here."""
        ...

    async def take_over(self, theirs: str, name: str = "", *, browser: bool, sign_in: bool) -> Moved | Rejected:
        """Take it over: add it here, have it stopped there, point clients to it, and begin a sign-in."""
        ...

    async def taken_over_from(self, name: str) -> str | None:
        """The title of the program that had it before a take-over; None if none had, or that isn't known."""
        ...

    async def give_back(self, name: str) -> GivenBack | Rejected:
        """Undo a take-over."""
        ...

    async def change_port(self, port: int | None) -> PortChanged | Problem:
        """Listen on this port, or with None on one that is free, from now on; clients' files are updated."""
        ...

    async def reload(self) -> tuple[list[str], list[str]]:
        """Reload the configuration; errors and warnings, one sentence each."""
        ...

    def sources(self) -> list[str]:
        """Where network and sleep events come from at present."""
        ...

    async def report(self) -> Report:
        """What `doctor` asks of the running app."""
        ...

    def quit(self) -> None:
        """End the program soon; returns immediately."""
        ...

    def created_at(self, name: str) -> float:
        """When the workload was added; wall seconds."""
        ...
