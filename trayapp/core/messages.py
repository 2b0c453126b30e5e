"""Events (what happened, and when) and effects (what is wanted): the whole language of the machine.

An event carries `.now`, and `.jitter` in [0, 1) where a delay may follow from it. An effect is an order without an
answer; its answer comes back as an event. Outcomes of an attempt are values too, made by `classify.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from trayapp.core.model import AccessToken, DeviceCode, Login, Moment, Problem, Saved, Secret, Spec, Trigger, Trouble

# --- what came back from a token endpoint, raw -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer. Header names are lower case; the body is cut at 1 MiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """No complete answer. `sent` False is proof that the token never left this machine."""

    sent: bool
    kind: str  # dns refused unreachable connect_timeout tls proxy timeout reset eof truncated request internal
    summary: str


Reply: TypeAlias = Answer | Fault

# --- what an attempt came to (DESIGN.md section 3, classification) ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A new access token, and a new refresh token if the server rotates."""

    access_token: Secret
    refresh_token: Secret | None = None
    expires_in: float | None = None  # None: absent or odd (M1)
    scope: str | None = None
    id_token: Secret | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """Proved: the refresh token did not leave."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """It may have arrived, and no complete answer came."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class ServerBusy:
    """An answer that is neither a token nor a verdict."""

    problem: Problem
    retry_after: float | None = None  # s from the answer on (M12)
    maybe_spent: bool = False  # 502 and 504: a gateway answered, the server behind it may have acted
    portal: bool = False  # 200 HTML, 3xx: a captive portal is suspected
    refresh_token: Secret | None = None  # 200 without access token, but with a new refresh token: it is kept


@dataclass(frozen=True, slots=True)
class Refused:
    """The server's verdict on this combination: the only thing that ends a login."""

    problem: Problem


Outcome: TypeAlias = Refreshed | NotSent | Ambiguous | ServerBusy | Refused

# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """What all events share."""

    now: Moment


@dataclass(frozen=True, slots=True)
class Loaded(Event):
    """The keyring (both slots) and state.db were read."""

    login: Login | None
    saved: Saved = field(default=Saved())


@dataclass(frozen=True, slots=True)
class KeyringDown(Event):
    """Reading or probing failed; `attempt` is the attempt whose probe it was."""

    trouble: Trouble
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class KeyringUp(Event):
    """The keyring was unlocked, or came back."""


@dataclass(frozen=True, slots=True)
class Go(Event):
    """Due, gate open, a slot free: begin an attempt."""


@dataclass(frozen=True, slots=True)
class ProbeOk(Event):
    """The keyring is unlocked and writable, and the intent of this attempt is on disk."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The attempt's answer, current or late. `fingerprint` and `lineage` are those of the token it sent."""

    attempt: int
    fingerprint: str
    lineage: str
    outcome: Outcome
    jitter: float = 0.5
    serial: int = 0  # for the access token, given by the engine


@dataclass(frozen=True, slots=True)
class Stored(Event):
    """A login was written and read back."""

    generation: int
    lineage: str


@dataclass(frozen=True, slots=True)
class NotStored(Event):
    """It could not be written."""

    generation: int
    lineage: str
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Rejected(Event):
    """The upstream answered 401 to the access token `serial`."""

    serial: int


@dataclass(frozen=True, slots=True)
class Accepted(Event):
    """The upstream answered 2xx to a token of ours (M18)."""


@dataclass(frozen=True, slots=True)
class NetworkUp(Event):
    """The network changed or came back."""


@dataclass(frozen=True, slots=True)
class Woke(Event):
    """The machine woke up."""


@dataclass(frozen=True, slots=True)
class SleepSoon(Event):
    """The machine is about to sleep: an answer that is still out may be lost."""


@dataclass(frozen=True, slots=True)
class GateBlocked(Event):
    """The gate closed: offline, portal or sleep. The ceiling stops counting."""


@dataclass(frozen=True, slots=True)
class GateUnblocked(Event):
    """The gate is open again. The ceiling counts on."""


@dataclass(frozen=True, slots=True)
class Manual(Event):
    """The user said *Retry now*."""


@dataclass(frozen=True, slots=True)
class HotCall(Event):
    """A caller needs a token with `validity` seconds of life now, and there is none."""

    validity: float = 0.0


@dataclass(frozen=True, slots=True)
class Time(Event):
    """A deadline was reached; the clocks were read."""


@dataclass(frozen=True, slots=True)
class SignInStarted(Event):
    """A browser was opened, or a link printed; again with the code that a person has to type, once there is one."""

    device: DeviceCode | None = None


@dataclass(frozen=True, slots=True)
class SignInEnded(Event):
    """Cancelled, failed or timed out: nothing changed."""

    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class SignedIn(Event):
    """A new login of a new lineage, with its first access token."""

    login: Login
    access: AccessToken
    warning: Problem | None = None  # what could not be checked about it


@dataclass(frozen=True, slots=True)
class Pause(Event):
    """The user paused it."""


@dataclass(frozen=True, slots=True)
class Resume(Event):
    """The user resumed it."""


@dataclass(frozen=True, slots=True)
class Configured(Event):
    """A new configuration: only timing, or its identity (`Spec.identity`) too."""

    spec: Spec


@dataclass(frozen=True, slots=True)
class SignOut(Event):
    """The user gives the login up: revoke it, delete it, keep the workload."""


@dataclass(frozen=True, slots=True)
class Remove(Event):
    """It is taken out of the configuration: revoke, delete, forget."""


@dataclass(frozen=True, slots=True)
class Shutdown(Event):
    """The program ends."""


# --- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """Read both slots and state.db; answer `Loaded` or `KeyringDown`. `prompt`: a user asked, so a dialog may come up."""

    prompt: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """Prove that the keyring is writable, then write the intent; answer `ProbeOk` or `KeyringDown`."""

    attempt: int
    prompt: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Send the refresh request; answer `Finished`."""

    attempt: int
    login: Login
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Abandon:
    """Close the attempt's connection; whatever it still says is late."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Store:
    """Write this login to the slot that is not the highest, read it back, commit; answer `Stored` or `NotStored`.

    `settles` is the fingerprint of the token that it replaces: its intent is closed by the same commit.
    """

    login: Login
    settles: str = ""


@dataclass(frozen=True, slots=True)
class CloseIntent:
    """The intent of this fingerprint is settled: an answer came and no new login has to be stored."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class Save:
    """Write `machine.saved(workload)` to state.db."""


@dataclass(frozen=True, slots=True)
class Note:
    """One row of history: an attempt's end or a transition, in plain words."""

    kind: str  # attempt, sign_in, phase, ignored
    outcome: str = ""
    trigger: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Discard:
    """Revoke at the server if `revoke`, then delete both slots. The workload stays."""

    login: Login | None
    revoke: bool


@dataclass(frozen=True, slots=True)
class Forget:
    """Revoke at the server if `revoke`, then delete both slots and the record. The workload is gone."""

    login: Login | None
    revoke: bool


@dataclass(frozen=True, slots=True)
class Done:
    """The shutdown need not wait for this workload any longer."""


@dataclass(frozen=True, slots=True)
class ReadConfiguration:
    """Read the configuration file again."""


Effect: TypeAlias = (
    Load | Probe | Send | Abandon | Store | CloseIntent | Save | Note | Discard | Forget | Done | ReadConfiguration
)
