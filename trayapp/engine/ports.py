"""The engine's ports, as Protocols: what it expects of its adapters, and what its own parts may ask of it.

Adapters fit by shape and need not import this file. All their coroutines run on the engine's loop and never raise for
an expected failure: failures are values. Cancelling one of them never leaves a secret half written.

The engine's parts (`effects`, `callers`, `sign_ins`, `suspend`) know the engine as `EngineCore` and the few additions
below it, never as the whole object: so each can be tested without an engine, and no import runs back up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from trayapp.core.gate import Gate
from trayapp.core.messages import Event, Note, Reply
from trayapp.core.model import (
    AccessToken,
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
from trayapp.core.snapshot import WorkloadView


class Clock(Protocol):
    """The three clocks, random numbers, and waiting. Tests and the simulator bring their own."""

    def now(self) -> Moment: ...

    def jitter(self) -> float:
        """A number in [0, 1)."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait about so long, by a clock that may stop in sleep."""
        ...


class TokenEndpoint(Protocol):
    """The token endpoint of whichever server a login came from: `oauth/tokens.py`."""

    async def refresh(self, login: Login, *, limit: float, connect: float) -> Reply:
        """One refresh request (RFC 6749 section 6), on a fresh connection, without any retry underneath."""
        ...

    async def revoke(self, login: Login) -> bool:
        """RFC 7009, best effort within 10 s; whether the server confirmed it."""
        ...


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """What the keyring holds of a workload: the current login, and a candidate that waits for agreement."""

    login: Login | None
    candidate: Login | None = None


class Keystore(Protocol):
    """Logins in the operating system's keyring, two slots each: `vault/keystore.py`, RULES.md section 4."""

    async def load(self, name: str, *, prompt: bool = False) -> StoredLogin | Trouble: ...

    async def probe(self, *, prompt: bool = False) -> Trouble | None: ...

    async def store(self, name: str, login: Login) -> Trouble | None:
        """Write to the slot that does not hold the highest generation, header last, and read back."""
        ...

    async def store_candidate(self, name: str, login: Login) -> Trouble | None:
        """The same, but ignored at start. `store` of the same login makes it the current one."""
        ...

    async def discard(self, name: str) -> Trouble | None:
        """Delete both slots."""
        ...


@dataclass(frozen=True, slots=True)
class SystemChange:
    """What a look at the operating system showed, where it differs from the look before."""

    woke: bool = False
    sleep_soon: bool = False
    network: bool = False  # it changed; `offline` and `portal` are its state now
    offline: bool = False
    portal: bool = False


class Watcher(Protocol):
    """Looks at clocks, routes and addresses when it is asked to; cheap enough for every wake-up of the engine."""

    @property
    def told(self) -> bool:
        """Whether the system tells of a network that returns, so that nobody has to look out for it."""
        ...

    def poll(self, now: Moment) -> SystemChange | None: ...


class Journal(Protocol):
    """`storage/journal.py`: state.db. A failure is logged and loses no login, so nothing is returned for it."""

    async def load(self, name: str) -> Saved: ...

    async def intent(self, name: str, login: Login, attempt: int, wall: float) -> bool:
        """Durably: this token is about to be sent. False if it could not be written."""
        ...

    async def close_intent(self, name: str, fingerprint: str, generation: int | None = None) -> None:
        """One transaction: the generation that is current now, and the intent closed."""
        ...

    async def save(self, name: str, saved: Saved) -> None: ...

    async def note(self, name: str, wall: float, note: Note, status: str, detail: str) -> None: ...

    async def forget(self, name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of an ID token came to. Without `problem` the subject is who signed in; with one it is not known.

    `refused`: the token is for somebody else, so the sign-in is none. Otherwise a problem is only a warning.
    """

    problem: Problem | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class NewLogin:
    """What a sign-in brought. The lineage is new; the generation is the sign-in's guess, the engine sets it.

    `check` looks whether the ID token, from which the subject is, is what it claims to be; it takes as long as a request
    and belongs after the login was stored. None: there is nothing to be checked.
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
    ) -> NewLogin | Problem:
        """The whole flow, by `spec.flow`. `show` gets the page's address once the redirect listener is bound or the
        device code is here (`show_code` had it just before); with `browser` it was opened there by a person's wish.
        Cancelling ends it."""
        ...

    def paste(self, name: str, url: str) -> Problem | None:
        """A redirect URL that a person copied (`--no-browser`); None if the waiting flow took it."""
        ...

    def reopen(self, name: str) -> bool:
        """Open the page of the flow that is already under way once more."""
        ...


@dataclass(frozen=True, slots=True)
class Adapters:
    """Everything outside that the engine speaks to."""

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
        """Run `work` as a task named `what`; the program does not end before one that is `needed`."""
        ...


class GatedCore(EngineCore, Protocol):
    """The same, and whether attempts may leave now (M10)."""

    @property
    def gate(self) -> Gate: ...


class TokenIssuer(EngineCore, Protocol):
    """For `sign_ins`: access tokens carry serial numbers, and only the engine counts them."""

    def serial(self) -> int:
        """The number of the next access token."""
        ...


class EffectHost(GatedCore, TokenIssuer, Protocol):
    """For `effects`: what an effect reports when it is done."""

    def view_of(self, name: str) -> WorkloadView | None:
        """The workload as everybody sees it."""
        ...

    def finished(self, name: str) -> None:
        """A shutdown need not wait for the workload any longer."""
        ...

    def gone(self, name: str) -> None:
        """The workload was removed, and nothing of it is left."""
        ...

    def answered(self) -> None:
        """A server beyond this machine answered, so there is a network (M10)."""
        ...

    def read_configuration(self) -> None:
        """Read config.toml again."""
        ...


class CallerHost(GatedCore, Protocol):
    """For `callers`: a caller without a token makes the engine look at its clocks (M15)."""

    def view_of(self, name: str) -> WorkloadView | None:
        """The workload as everybody sees it."""
        ...

    def caught_up(self, name: str) -> bool:
        """Derive the view again if time alone has changed it; whether it did."""
        ...

    def hot(self, name: str, validity: float) -> None:
        """A caller found no token with `validity` seconds of life."""
        ...


class SuspendHost(GatedCore, Protocol):
    """For `suspend`: every workload is told of an imminent sleep."""

    async def everyone(self, *events: Callable[[Moment], Event]) -> None:
        """Send these events to every workload, in slices."""
        ...
