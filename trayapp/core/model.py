"""The values that everything else talks about: what a workload is and what is known of it.

Only data lives here, frozen and slotted. What changes it is in `machine.py`; what people see of it is in `face.py`
and `view.py`. Times named `at` count sleep, `awake` stop in sleep, `wall` are seconds since the epoch; all are
floats of seconds and all were told to us, never asked for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlsplit


class Secret:
    """A string that never shows itself: not in `repr`, not in a format, not in a traceback's locals."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The string itself; call it only where it goes to the keyring or into a request."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled")


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on the three clocks, in seconds."""

    at: float  # counts sleep: deadlines, spacing, token life
    awake: float  # stops in sleep: the ceiling and the short retry's limit
    wall: float  # since the epoch: shown and stored only


class Phase(StrEnum):
    """Where a workload stands; kept by the machine, never shown as it is."""

    LOADING = "loading"
    VALID = "valid"
    REFRESHING = "refreshing"
    WAITING = "waiting"
    SIGNED_OUT = "signed_out"
    PAUSED = "paused"
    BROKEN = "broken"


class Step(StrEnum):
    """How far the attempt of phase `refreshing` is."""

    PROBE = "probe"
    SENT = "sent"
    STORING = "storing"


class Series(StrEnum):
    """Which rule set the deadline of phase `waiting`."""

    DUE = "due"  # M1, M14: the first attempt
    SHORT = "short_retry"  # M2
    TICK = "tick"  # M4, and M7 after the ceiling
    BURST = "burst"  # M8 after a network change or a wake
    AGAIN = "again"  # M9: the same token once more, inside the server's grace
    PORTAL = "portal"  # M8: a portal is suspected


class Trigger(StrEnum):
    """Why an attempt is made."""

    DUE = "due"
    SHORT_RETRY = "short_retry"
    TICK = "tick"
    NETWORK = "network"
    WAKE = "wake"
    MANUAL = "manual"
    REJECTED = "rejected"
    START = "start"


class Trouble(StrEnum):
    """What is wrong with the keyring."""

    LOCKED = "locked"
    UNAVAILABLE = "unavailable"  # none there, or one that is refused
    HANGING = "hanging"
    FAILED = "failed"  # it answered with an error


class SignedOut(StrEnum):
    """Why a workload has no login that may be used."""

    NEVER = "never_signed_in"
    REFUSED = "refused"
    LOST_ROTATION = "lost_rotation"


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers of the rules M1 to M18, in seconds unless the name says otherwise."""

    refresh_ahead_max: float = 300.0  # M1
    refresh_ahead_fraction: float = 0.2  # M1, of the lifetime
    refresh_spacing: float = 1.0  # M1: never sooner after the last refresh
    lifetime_cap: float = 30 * 86400.0  # M1
    initial_retry_interval: float = 10.0  # M2, TOOLHIVE_TOKEN_REFRESH_INITIAL_RETRY_INTERVAL
    max_retry_interval: float = 120.0  # M2, TOOLHIVE_TOKEN_REFRESH_MAX_RETRY_INTERVAL
    max_tries: int = 5  # M2, TOOLHIVE_TOKEN_REFRESH_MAX_TRIES; the failing attempt is the first
    max_elapsed_time: float = 300.0  # M2, awake time; TOOLHIVE_TOKEN_REFRESH_MAX_ELAPSED_TIME
    retry_factor: float = 1.5  # M2
    retry_jitter: float = 0.5  # M2, of the delay, either way
    tick_interval: float = 600.0  # M4, TOOLHIVE_TOKEN_AUTH_RETRYING_TICK_INTERVAL
    tick_jitter: float = 0.1  # M4
    ceiling: float = 86400.0  # M6, counted time; TOOLHIVE_TOKEN_AUTH_RETRYING_MAX_ELAPSED
    ceiling_attempts: int = 3  # M6: failures since the latest wake or network-up
    impossible_grace: float = 10.0  # M3: attempts impossible for this long turn a workload amber
    burst: tuple[float, ...] = (0.0, 2.0, 5.0, 10.0, 20.0, 40.0)  # M8
    burst_jitter: float = 0.2  # M8
    portal_interval: float = 60.0  # M8
    portal_window: float = 600.0  # M8
    automatic_attempts: int = 15  # M8: at most so many in `automatic_window`
    automatic_window: float = 600.0  # M8
    manual_spacing: float = 1.0  # M8
    rejected_spacing: float = 10.0  # M8
    again: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0)  # M9, after the end of the previous attempt
    gateway_repeat: float = 2.0  # classification row 7: one repeat after 502 and 504, then M2
    retry_after_cap: float = 3600.0  # M12
    usable_margin: float = 10.0  # a token with less life than this is not handed out
    hot_wait: float = 2.0  # M15
    attempt_limit: float = 30.0  # one attempt in all
    connect_limit: float = 5.0
    strikes: int = 3  # M18: fresh tokens rejected in a row
    fresh: float = 60.0  # M18: what "fresh" means
    strike_interval: float = 600.0  # M18: one forced refresh in this time


@dataclass(frozen=True, slots=True)
class Spec:
    """A workload as it is configured. Only names and addresses: no secret is ever in it."""

    name: str
    url: str
    client_id: str = ""
    issuer: str = ""
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    revocation_endpoint: str = ""
    device_authorization_endpoint: str = ""  # RFC 8628
    flow: str = "browser"  # how to sign in: browser or device
    scopes: tuple[str, ...] = ()
    resource: str = ""  # RFC 8707
    redirect_port: int = 0  # a fixed port when a registered client needs it
    require_key: bool = True  # the proxy wants the workload's local key
    allowed_origins: tuple[str, ...] = ()  # foreign web origins that may use the proxy
    policy: Policy = field(default=Policy(), repr=False)

    def identity(self) -> tuple[str, ...]:
        """What a login belongs to: when it changes, the user is asked before any token is sent."""
        server = self.issuer or ("" if self.token_endpoint else self.url)  # with neither, the address itself is asked
        return (server, self.authorization_endpoint, self.token_endpoint, self.client_id)


@dataclass(frozen=True, slots=True)
class Login:
    """A refresh token and what came with it. It is only ever sent to the endpoint that it came from."""

    generation: int
    lineage: str  # random, given at sign-in, kept through rotations
    refresh_token: Secret
    obtained_at: float  # wall
    token_endpoint: str
    client_id: str
    issuer: str = ""
    client_secret: Secret | None = None
    registration: Secret | None = None  # JSON text of a dynamic registration (RFC 7591)
    subject: str = ""
    scope: str = ""
    resource: str = ""
    revocation_endpoint: str = ""

    def fingerprint(self) -> str:
        """The combination that a verdict is about: 32 hex digits that give nothing away."""
        secret = self.client_secret.reveal() if self.client_secret else ""
        parts = (self.refresh_token.reveal(), self.client_id, secret, self.token_endpoint, self.scope)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def rotated(self, refresh_token: Secret, wall: float, scope: str | None = None) -> Login:
        """The next generation of the same lineage."""
        return replace(
            self,
            generation=self.generation + 1,
            refresh_token=refresh_token,
            obtained_at=wall,
            scope=self.scope if scope is None else scope,
        )


SHORT_LIFE_MARGIN = 0.1  # of a token's life: ten seconds would leave a token of thirty unusable before it is due


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token in memory. `serial` is what an upstream's rejection names, so the value need not travel."""

    serial: int
    value: Secret
    obtained_at: float  # at
    expires_at: float | None  # at; None: the server did not say
    expires_wall: float | None = None
    rejected: bool = False

    def ends_at(self, margin: float) -> float | None:
        """When it is no longer handed out: `margin` seconds before its end, or a tenth of a short life; None: never."""
        if self.expires_at is None:
            return None
        return self.expires_at - min(margin, SHORT_LIFE_MARGIN * (self.expires_at - self.obtained_at))

    def usable(self, at: float, margin: float) -> bool:
        """More than the margin of life left, and the upstream has not rejected it."""
        ends = self.ends_at(margin)
        return not self.rejected and (ends is None or at < ends)

    def lasts(self, at: float, validity: float) -> bool:
        """Whether it has so many seconds of life left."""
        return self.expires_at is None or self.expires_at - at >= validity


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something failed, fit to be shown and logged: no token, no raw body, at most 200 characters."""

    kind: (
        str  # dns, refused, unreachable, tls, proxy, timeout, reset, eof, truncated, portal, http, oauth, keyring, ...
    )
    summary: str
    http_status: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person has to type where (RFC 8628 section 3.2); fit to be shown, and no secret, but it belongs in no log."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str = ""  # the code is in it already; empty where the server gave none
    expires_wall: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """The refresh in flight."""

    number: int
    trigger: Trigger
    step: Step
    began: Moment
    fingerprint: str
    lineage: str
    deadline: float = float("inf")  # at; a sent request without an answer is ambiguous from then on
    reprobe_for: Trigger | None = None  # if its probe fails: the keyring is asked once more at once, for this reason


@dataclass(frozen=True, slots=True)
class Failing:
    """An outage: from the first failure after the last success to the next one."""

    since: Moment
    tries: int = 0  # failed attempts in the current series (M2, M8, M9), reset by a nudge
    total: int = 0  # failed attempts of the whole outage
    exhausted: bool = False  # M2 is used up: the long phase
    retrying_since: float | None = None  # wall; when the long phase began
    counted: float = 0.0  # M6: awake, not offline, since then
    counting_from: float | None = None  # awake clock; None while the count is stopped
    fresh_tries: int = 0  # M6: failures since the latest wake or network-up
    fresh_counted: float = 0.0  # M6: counted time at that wake or network-up
    gave_up: bool = False  # the ceiling is passed


@dataclass(frozen=True, slots=True)
class Saved:
    """What state.db remembers of a workload across a restart. Losing it loses no login."""

    lineage: str = ""  # of the login that all of this is about
    retrying_since: float | None = None  # wall
    counted: float = 0.0
    gave_up: bool = False
    signed_out: SignedOut | None = None
    combination: str = ""  # the refused combination
    lost_rotations: int = 0
    last_error: Problem | None = None
    last_refreshed_at: float | None = None  # wall
    paused: bool = False
    open_intent: str = ""  # fingerprint of a token that was sent and never answered
    open_generation: int = 0  # of the login that it belongs to


@dataclass(frozen=True, slots=True)
class Workload:
    """Everything known of one workload. `machine.step` makes the next one; nobody else does."""

    spec: Spec
    phase: Phase = Phase.LOADING
    login: Login | None = None  # the newest login we hold, stored or not
    access: AccessToken | None = None
    attempt: Attempt | None = None  # set exactly in phase `refreshing`
    due: float | None = None  # at; when `waiting` wants its attempt, or `valid` its refresh; None: not by time
    series: Series = Series.DUE
    trigger: Trigger = Trigger.START  # of the next attempt
    not_before: float = 0.0  # at; M12
    failing: Failing | None = None
    maybe_spent: bool = False  # M9
    marked_at: float | None = None  # at; when the token was sent that is in doubt; only read while the mark stands
    slots_read: bool = False  # both slots were read in this run
    highest_generation: int = 0  # the highest generation known
    unsaved: bool = False  # the newest login is in memory only
    storing: int | None = None  # generation on its way into the keyring
    store_at: float | None = None  # at; when a failed write is tried again
    keyring: Trouble | None = None
    keyring_since: float | None = None  # at
    keyring_tries: int = 0
    gate_blocked: bool = False  # offline, behind a portal or asleep: the ceiling does not count
    nudged_at: float | None = None  # at; the latest network change or wake
    signed_out: SignedOut | None = None
    combination: str = ""  # the refused combination
    lost_rotations: int = 0
    broken: str = ""  # what is wrong with the configuration, one sentence
    confirm: Spec | None = None  # a changed identity that waits for the user's agreement
    signing_in: bool = False
    device: DeviceCode | None = None  # what a person has to type to finish the sign-in
    sign_in_error: Problem | None = None  # why the last sign-in came to nothing
    sign_in_warning: Problem | None = None  # what could not be checked about the one that brought the login
    strikes: int = 0  # M18
    after: str = ""  # what follows the attempt in flight: "pause", "confirm", "sign_out", "shutdown" or "remove"
    attempts: int = 0  # numbers given out
    recent: tuple[float, ...] = ()  # at; automatic attempts, newest last
    last_attempt_at: float | None = None  # at
    last_outcome: str = ""
    last_error: Problem | None = None
    last_trigger: Trigger | None = None
    last_refreshed_at: float | None = None  # wall

    @property
    def loopback(self) -> bool:
        """Whether its token endpoint is on this machine: then no network gates it (M10)."""
        return _on_this_machine(self.login.token_endpoint if self.login else self.spec.token_endpoint)


@lru_cache(maxsize=4096)  # asked for at every look at every workload
def _on_this_machine(endpoint: str) -> bool:
    return (urlsplit(endpoint).hostname or "") in ("127.0.0.1", "::1", "localhost")
