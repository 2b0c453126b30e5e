"""Events (what happened, and when) and effects (what to do): the interface of the state machine.

An event carries `now`, and `jitter` in [0, 1) where a delay may follow from it. An effect is a request to the engine; if
it has a result, that comes back as an event. Outcomes of an attempt are in `outcomes.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

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
    Trigger,
    Trouble,
)
from trayapp.core.outcomes import NotSent, Outcome
from trayapp.core.permission import Needs

# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events: the instant it happened."""

    now: Moment


@dataclass(frozen=True, slots=True)
class Loaded(Event):
    """Both slots of the keyring, and state.db, were read."""

    login: Login | None
    saved: Saved = field(default=Saved())
    serial: int = 0  # of the access token, if the login is one; assigned by the engine
    asked: bool = False  # whether a click led to it


@dataclass(frozen=True, slots=True)
class KeyringDown(Event):
    """Reading the keyring, or an attempt's probe, failed; `attempt` is None for a read, which has read state.db."""

    trouble: Trouble
    attempt: int | None = None
    saved: Saved = field(default=Saved())


@dataclass(frozen=True, slots=True)
class KeyringUp(Event):
    """The keyring was unlocked, or came back."""


@dataclass(frozen=True, slots=True)
class Go(Event):
    """Begin an attempt: it is due, the gate is open and admission allows it."""


@dataclass(frozen=True, slots=True)
class ProbeOk(Event):
    """The keyring is writable, and the intent of this attempt is on disk."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """An attempt ended, now or late. `fingerprint` and `lineage` are those of the login it sent."""

    attempt: int
    fingerprint: str
    lineage: str
    outcome: Outcome
    jitter: float = 0.5
    serial: int = 0  # of the new access token, assigned by the engine


@dataclass(frozen=True, slots=True)
class Stored(Event):
    """A login was written and read back."""

    generation: int
    lineage: str


@dataclass(frozen=True, slots=True)
class LoginMissing(Event):
    """The keyring no longer holds a login that it held before: it was replaced, or reset."""

    generation: int
    lineage: str


@dataclass(frozen=True, slots=True)
class NotStored(Event):
    """A login couldn't be written, or not read back."""

    generation: int
    lineage: str
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class Rejected(Event):
    """The upstream answered 401 to access token number `serial`; `code` is the error of its challenge (RFC 6750)."""

    serial: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class PermissionNeeded(Event):
    """The upstream knows access token number `serial`, and wants more than it grants (RFC 6750 section 3.1, RFC 9470)."""

    serial: int
    needs: Needs


@dataclass(frozen=True, slots=True)
class Accepted(Event):
    """The upstream answered 2xx to an access token (M18)."""


@dataclass(frozen=True, slots=True)
class NetworkUp(Event):
    """The network changed or came back."""


@dataclass(frozen=True, slots=True)
class Woke(Event):
    """The machine woke up."""


@dataclass(frozen=True, slots=True)
class SleepSoon(Event):
    """The machine is about to sleep: the answer of an attempt in flight may be lost."""


@dataclass(frozen=True, slots=True)
class Unreachable(Event):
    """Another workload's attempt found no way to this one's server: nothing was sent (M8)."""

    outcome: NotSent
    began: float  # at; when that attempt began
    jitter: float = 0.5


@dataclass(frozen=True, slots=True)
class GateBlocked(Event):
    """Offline, portal or sleep began: the ceiling stops counting (M6)."""


@dataclass(frozen=True, slots=True)
class GateUnblocked(Event):
    """Offline, portal or sleep ended: the ceiling counts again (M6)."""


@dataclass(frozen=True, slots=True)
class Manual(Event):
    """A person chose *Retry now*."""


@dataclass(frozen=True, slots=True)
class HotCall(Event):
    """A caller needs a token with `validity` seconds of life left, and there is none (M15)."""

    validity: float = 0.0


@dataclass(frozen=True, slots=True)
class Time(Event):
    """A deadline of the workload was reached."""


@dataclass(frozen=True, slots=True)
class SignInStarted(Event):
    """A sign-in began; sent again with the user code once a device authorization has one, and when it's known whether
    the browser opened."""

    device: DeviceCode | None = None
    browser_fault: BrowserFault | None = None


@dataclass(frozen=True, slots=True)
class SignInEnded(Event):
    """A sign-in was cancelled, failed or timed out: nothing else changed."""

    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class SignedIn(Event):
    """A sign-in brought a login of a new lineage, with its first access token."""

    login: Login
    access: AccessToken
    warning: Problem | None = None  # what couldn't be verified about it


@dataclass(frozen=True, slots=True)
class ClientRenewed(Event):
    """The server gave this client another secret (RFC 7592); the one before ends."""

    client_id: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Pause(Event):
    """A person paused the workload."""


@dataclass(frozen=True, slots=True)
class Resume(Event):
    """A person resumed the workload."""


@dataclass(frozen=True, slots=True)
class Configured(Event):
    """The workload's configuration changed: only timing, or its identity (`Spec.identity`) too."""

    spec: Spec


@dataclass(frozen=True, slots=True)
class SignOut(Event):
    """A person signed out: revoke and delete the login, keep the workload."""


@dataclass(frozen=True, slots=True)
class Remove(Event):
    """A person removed the workload: revoke and delete the login, forget the workload."""


@dataclass(frozen=True, slots=True)
class Shutdown(Event):
    """The program is quitting."""


# --- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """Read both slots and state.db; answered by `Loaded` or `KeyringDown`. `prompt`: the keyring may show its dialog."""

    prompt: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """Prove that the keyring is writable, then record the intent; answered by `ProbeOk` or `KeyringDown`."""

    attempt: int
    prompt: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Send the refresh request; answered by `Finished`."""

    attempt: int
    login: Login
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Abandon:
    """Close the attempt's connection; an answer that still comes is late."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Store:
    """Write this login to the slot that isn't current and read it back; answered by `Stored` or `NotStored`.

    `settles` is the fingerprint of the token it replaces; recording the generation also closes that token's intent.
    """

    login: Login
    settles: str = ""


@dataclass(frozen=True, slots=True)
class CheckStored:
    """Look whether the keyring still holds this login; answered by `LoginMissing` if it doesn't, else by nothing."""

    login: Login


@dataclass(frozen=True, slots=True)
class CloseIntent:
    """Close the intent of this fingerprint: the answer came, and no new login has to be stored."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class Save:
    """Write `machine.saved(workload)` to state.db."""


@dataclass(frozen=True, slots=True)
class Note:
    """Record one row of history: the end of an attempt, or a transition."""

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
    """The shutdown no longer has to wait for this workload."""


@dataclass(frozen=True, slots=True)
class ReadConfiguration:
    """Read the configuration file again."""


Effect: TypeAlias = (
    Load
    | Probe
    | Send
    | Abandon
    | Store
    | CheckStored
    | CloseIntent
    | Save
    | Note
    | Discard
    | Forget
    | Done
    | ReadConfiguration
)
