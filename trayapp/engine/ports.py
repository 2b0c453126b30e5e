"""The engine's ports, as Protocols: what it expects of its adapters, and what its own parts may ask of it.

Adapters match by structure and need not import this file. All their coroutines run on the engine's loop and never raise
for an expected failure: failures are values. Cancelling one of them never leaves a secret half written.

The engine's parts (`effects`, `callers`, `sign_ins`, `suspend`) know the engine as `EngineCore` and the few additions
below it, never as the whole object. So each can be tested without an engine, and no import runs back up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trayapp.core.gate import Gate
from trayapp.core.messages import Event, Note
from trayapp.core.model import (
    AccessToken,
    BrowserFault,
    DeviceCode,
    Login,
    Moment,
    Problem,
    Saved,
    Secret,
    Spec,
    Trouble,
    Workload,
)
from trayapp.core.outcomes import Reply
from trayapp.core.snapshot import Removal, WorkloadView


class Clock(Protocol):
    """The three clocks, random numbers, and waiting: `osevents/clocks.py`. Tests and the simulator bring their own."""

    def now(self) -> Moment:
        """The three clocks, read together."""
        ...

    def jitter(self) -> float:
        """A number in [0, 1)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait about this long, by a clock that may stop while the machine sleeps."""
        ...


class TokenEndpoint(Protocol):
    """The token endpoint of whichever server a login came from: `oauth/tokens.py`."""

    async def refresh(self, login: Login, *, limit: float, connect: float, in_doubt: bool = False) -> Reply:
        """One refresh request (RFC 6749 section 6), on a fresh connection, without any retry underneath.

        `limit` and `connect` are seconds, for all of it and for connecting. `in_doubt`: the token may be spent (M9), so no
        redirect is followed to an address that is new.
        """
        ...

    async def revoke(self, login: Login) -> bool:
        """Revoke the login (RFC 7009), best effort within 10 s; whether the server confirmed it."""
        ...


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """What the keyring holds of a workload: the current login, and a candidate that waits for agreement."""

    login: Login | None
    candidate: Login | None = None


class Keystore(Protocol):
    """Logins in the operating system's keyring, two slots each: `vault/keystore.py`, RULES.md section 4."""

    async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble:
        """Read both slots. With `prompt` the system may show its unlock dialog: only after a person's click."""
        ...

    async def probe(self, name: str, *, prompt: bool = False) -> Trouble | None:
        """Prove that the keyring can be written, and read the slots of `name`, before its token is spent."""
        ...

    async def store(self, name: str, login: Login) -> Trouble | None:
        """Write to the slot that does not hold the highest generation, header last, and read back."""
        ...

    async def holds(self, name: str, login: Login) -> bool | Trouble:
        """Whether the keyring still has this login, or a newer one."""
        ...

    async def store_candidate(self, name: str, login: Login) -> Trouble | None:
        """The same as a candidate, which a start ignores. `store` of the same login makes it the current one."""
        ...

    async def discard_candidate(self, name: str, login: Login) -> Trouble | None:
        """Delete this candidate, if a slot still holds it."""
        ...

    async def discard(self, name: str) -> Trouble | None:
        """Delete both slots."""
        ...


@dataclass(frozen=True, slots=True)
class SystemChange:
    """What has changed in the operating system since the previous poll."""

    woke: bool = False
    sleep_soon: bool = False
    network: bool = False  # it changed; `offline` and `portal` are its state now
    offline: bool = False
    portal: bool = False


class Watcher(Protocol):
    """Notices sleep, wake and changes of the network: `app/watcher.py`. Cheap enough for every pass of the engine."""

    @property
    def announces_network(self) -> bool:
        """Whether the system reports a network that returns, so that the engine need not poll for it more often."""
        ...

    def poll(self, now: Moment) -> SystemChange | None:
        """What has changed since the previous poll; None if nothing has."""
        ...


class Journal(Protocol):
    """state.db: `storage/journal.py`. A failure is logged and loses no login, so nothing is returned for it."""

    async def load(self, name: str) -> Saved:
        """What was remembered of the workload; the defaults if nothing was."""
        ...

    async def intent(self, name: str, login: Login, attempt: int, wall: float) -> bool:
        """Record durably that this token is about to be sent. False if it could not be written."""
        ...

    async def close_intent(self, name: str, fingerprint: str, generation: int | None = None) -> None:
        """Close the intent and record the generation that is current now, in one transaction."""
        ...

    async def save(self, name: str, saved: Saved) -> None:
        """Remember this for the next start."""
        ...

    async def note(self, name: str, wall: float, note: Note, status: str, detail: str) -> None:
        """Write one row of history."""
        ...

    async def forget(self, name: str) -> None:
        """Erase everything about the workload."""
        ...

    async def undeleted(self) -> dict[str, str]:
        """By name, what was saved as `discard`: logins that are still to be deleted from the keyring."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of checking an ID token. Without `problem` its subject is who signed in; with one that is unknown.

    `refused`: the token was made for another issuer, client or sign-in, so this sign-in is void. Otherwise a problem is
    only a warning.
    """

    problem: Problem | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class NewLogin:
    """What a sign-in yielded. The lineage is new; the generation is a placeholder that the engine replaces.

    `check` validates the ID token that the subject was read from. It takes as long as a request, so it is called after
    the login is stored. None if there is nothing to check.
    """

    login: Login
    access: AccessToken
    check: Callable[[], Awaitable[Checked]] | None = field(default=None, compare=False, repr=False)
    id_token: Secret | None = field(default=None, compare=False, repr=False)


class SignIn(Protocol):
    """Sign-ins in the browser or by device code, one per workload at a time: `oauth/signin.py`."""

    async def run(
        self,
        spec: Spec,
        *,
        browser: bool,
        show: Callable[[str], None],
        now: Callable[[], Moment],
        show_code: Callable[[DeviceCode], None],
        browser_fault: Callable[[BrowserFault | None], None],
    ) -> NewLogin | Problem:
        """The whole flow, by `spec.flow`. Cancelling it ends it. `browser_fault` gets what came of opening the browser.

        `show` gets the page's URL once the redirect listener is bound, or right after `show_code` got the device code;
        and again whenever the URL has changed.
        With `browser` a person asked for it, and the page has been opened in the browser.
        """
        ...

    def paste(self, name: str, url: str) -> Problem | None:
        """Take a redirect URL that a person copied (`--no-browser`); None if the waiting flow accepted it."""
        ...

    def reopen(self, name: str) -> bool:
        """Open the page of the flow under way once more; whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class Adapters:
    """Everything outside that the engine calls."""

    clock: Clock
    tokens: TokenEndpoint
    keystore: Keystore
    journal: Journal
    sign_in: SignIn
    watcher: Watcher


class EngineCore(Protocol):
    """What every part of the engine may ask of it. On the engine's loop."""

    @property
    def workloads(self) -> Mapping[str, Workload]:
        """The current state by name. Only `apply` changes it."""
        ...

    def now(self) -> Moment:
        """The three clocks."""
        ...

    def apply(self, name: str, event: Event) -> None:
        """Send one event through the machine."""
        ...

    def task(self, what: str, work: Coroutine[Any, Any, None], *, needed: bool = False) -> asyncio.Task[None]:
        """Run `work` as a task named `what`; a quit waits for one that is `needed`."""
        ...


class GatedCore(EngineCore, Protocol):
    """The same, and whether attempts may leave now (M10)."""

    @property
    def gate(self) -> Gate: ...


class TokenIssuer(EngineCore, Protocol):
    """For `sign_ins`: access tokens carry serial numbers, and only the engine counts them."""

    def next_serial(self) -> int:
        """The serial number for a new access token."""
        ...


class RemovalHost(EngineCore, Protocol):
    """For `removals`: what is left to do is public."""

    def set_app_fields(self, *, removals: tuple[Removal, ...]) -> None:
        """Show these."""
        ...


class EffectHost(GatedCore, TokenIssuer, RemovalHost, Protocol):
    """For `effects`: what they report, and what a history row needs."""

    def view_of(self, name: str) -> WorkloadView | None:
        """The workload as it is shown to people and programs."""
        ...

    def finished(self, name: str) -> None:
        """A quit need not wait for the workload any longer."""
        ...

    def removed(self, name: str) -> None:
        """The workload's login and records are deleted; forget the workload."""
        ...

    def answered(self) -> None:
        """A server beyond this machine answered, so there is a network (M10)."""
        ...

    def wake(self) -> None:
        """Make a pass soon."""
        ...

    def read_configuration(self) -> object:
        """Read config.toml again."""
        ...


class CallerHost(GatedCore, Protocol):
    """For `callers`: a caller without a token makes the engine read its clocks (M15)."""

    def view_of(self, name: str) -> WorkloadView | None:
        """The workload as it is shown to people and programs."""
        ...

    def update_view(self, name: str) -> bool:
        """Derive the view again if time alone has changed it; whether it had."""
        ...

    def hot_call(self, name: str, validity: float) -> None:
        """A caller found no token with `validity` seconds of life."""
        ...


class SuspendHost(GatedCore, Protocol):
    """For `suspend`: every workload is told of an imminent sleep."""

    async def apply_to_all(self, *events: Callable[[Moment], Event]) -> None:
        """Apply these events to every workload, in slices."""
        ...
