"""What the loopback API needs of the engine and the app, in one Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from trayapp.core import metrics
from trayapp.core.checks import Report
from trayapp.core.client_settings import ClientAccess
from trayapp.core.model import AccessToken, Problem, Secret, Spec
from trayapp.core.presentation import Action
from trayapp.core.snapshot import Snapshot, Unavailable


@dataclass(frozen=True, slots=True)
class RejectedWorkload:
    """Why a workload was not added: HTTP status, code, the field that is wrong (or none), and a sentence."""

    status: int
    code: str
    field: str
    message: str


class Control(Protocol):
    """What the API needs of the engine and the app. All of it runs on the server's own loop."""

    @property
    def started_at(self) -> float:
        """Wall; when the app started."""
        ...

    def snapshot(self) -> Snapshot: ...

    def spec(self, name: str) -> Spec | None: ...

    def post(self, action: Action) -> None:
        """A click, to be done later; never waits."""
        ...

    async def token(self, name: str, min_validity: float, wait: float) -> AccessToken | Unavailable:
        """A usable token with so many seconds of life left, or why there is none (M15). May be cancelled.

        `wait` is the longest wait, in seconds, where that is longer than the usual one.
        """
        ...

    def client(self, name: str) -> ClientAccess | None:
        """How a program on this machine reaches it; None while nothing listens. Makes the local key at first use."""
        ...

    def aggregate(self) -> ClientAccess | None:
        """The same for `/mcp`, which is all workloads at once."""
        ...

    def counted(self) -> metrics.Counters: ...

    async def reauthorize(self, name: str, *, browser: bool, accept: bool, flow: str = "") -> str | Problem | None:
        """Begin a sign-in, or join the one under way; the authorization URL once its listener is bound.

        `flow` is browser or device, empty: as configured.
        `browser` opens the page here; `accept` agrees beforehand to a changed account or fewer scopes.
        """
        ...

    def cancel_sign_in(self, name: str) -> None:
        """End the sign-in that waits, if one does; everything stays as it was."""
        ...

    def steps(self, name: str) -> tuple[str, ...]:
        """What the newest sign-in has found and done so far, in plain lines."""
        ...

    async def set_secret(self, name: str, secret: Secret | None) -> Problem | None:
        """Keep a client secret for the configured client_id, or take it away; why it could not be kept."""
        ...

    def paste(self, name: str, url: str) -> Problem | None:
        """A redirect URL that a person copied; None if the waiting sign-in took it."""
        ...

    async def remove(self, name: str) -> bool:
        """Revoke, delete, take it out of the configuration; False if there is no such workload."""
        ...

    async def add(self, name: str, keys: Mapping[str, object]) -> RejectedWorkload | None:
        """Write a workload with these keys of the configuration into it and take it up; None if that went well."""
        ...

    async def reload(self) -> tuple[list[str], list[str]]:
        """Read the configuration again: errors and warnings, each one sentence."""
        ...

    def sources(self) -> list[str]:
        """The names of those who tell of network and sleep now."""
        ...

    async def report(self) -> Report:
        """What `doctor` asks."""
        ...

    def quit(self) -> None:
        """End the program soon; returns at once."""
        ...

    def created_at(self, name: str) -> float:
        """Wall; when the workload was added."""
        ...
