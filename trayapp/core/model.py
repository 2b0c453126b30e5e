"""The data model: workloads, logins, tokens, attempts and the retry policy, as frozen values.

Nothing here changes anything: transitions are in `machine.py`, what people see is derived in `view.py`. Times are
floats in seconds: `at` keeps counting during sleep, `awake` stops in sleep, `wall` is seconds since the epoch. All of
them come in with an event; nothing in this package reads a clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlsplit

from trayapp.core.permission import Needs
from trayapp.core.refusal import Refusal
from trayapp.core.secret import Secret as Secret


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant, read on three clocks; in seconds."""

    at: float  # counts sleep: deadlines, spacing, token life
    awake: float  # stops in sleep: the ceiling and the short retry's limit
    wall: float  # since the epoch: shown and stored only


class Phase(StrEnum):
    """State of a workload in the state machine. Internal: what people see is `snapshot.Status`, derived from it."""

    LOADING = "loading"
    VALID = "valid"
    REFRESHING = "refreshing"
    WAITING = "waiting"
    SIGNED_OUT = "signed_out"
    PAUSED = "paused"
    BROKEN = "broken"


class Step(StrEnum):
    """Progress of the attempt in phase `refreshing`."""

    PROBE = "probe"
    SENT = "sent"
    STORING = "storing"


class Series(StrEnum):
    """Which retry rule set the deadline of phase `waiting`."""

    DUE = "due"  # M1, M14: the first attempt
    SHORT = "short_retry"  # M2
    TICK = "tick"  # M4, and M7 after the ceiling
    BURST = "burst"  # M8 after a network change or a wake
    AGAIN = "again"  # M9: the same token again, within the server's grace period
    PORTAL = "portal"  # M8: a portal is suspected


class Trigger(StrEnum):
    """Why a refresh is attempted."""

    DUE = "due"
    SHORT_RETRY = "short_retry"
    TICK = "tick"
    NETWORK = "network"
    WAKE = "wake"
    MANUAL = "manual"
    REJECTED = "rejected"
    START = "start"
    RECHECK = "recheck"  # M7: an automatic check of a refusal


class Trouble(StrEnum):
    """Why the keyring can't be used."""

    LOCKED = "locked"
    UNAVAILABLE = "unavailable"  # there is none, or only one that we refuse to use
    NO_COLLECTION = "no_collection"  # it is there, but there is no place in it: none was made, or its file is closed
    HANGING = "hanging"
    FAILED = "failed"  # it answered with an error


class SignedOut(StrEnum):
    """Why a workload has no usable login."""

    NEVER = "never_signed_in"
    REFUSED = "refused"
    LOST_ROTATION = "lost_rotation"
    ENDED = "ended"  # it couldn't be renewed, and has ended


@dataclass(frozen=True, slots=True)
class Policy:
    """The tunable numbers of rules M1 to M18 (RULES.md section 3), in seconds unless the name says otherwise."""

    refresh_ahead_max: float = 300.0  # M1
    refresh_ahead_fraction: float = 0.2  # M1, of the lifetime
    refresh_spacing: float = 1.0  # M1: shortest time between two refreshes
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
    ceiling_attempts: int = 3  # M6: failures since the latest wake or network change
    impossible_grace: float = 10.0  # M3: attempts impossible for this long turn a workload amber
    burst: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 20.0, 40.0)  # M8: nothing is sent while it runs
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
    usable_margin: float = 10.0  # M1: a token with less life left than this is not served
    hot_wait: float = 2.0  # M15
    attempt_limit: float = 30.0  # one attempt in all
    connect_limit: float = 5.0
    strikes: int = 3  # M18: fresh tokens rejected in a row
    fresh: float = 60.0  # M18: what "fresh" means
    strike_interval: float = 600.0  # M18: one forced refresh in this time


ACCOUNT = "account"  # the kind of a workload without an address: its token is for programs that ask for it


@dataclass(frozen=True, slots=True)
class Spec:
    """A workload as configured: names and addresses only, never a secret."""

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
    redirect_port: int = 0  # fixed port of the redirect URI, where the registered client needs one
    require_key: bool = True  # clients must send the workload's local key to the proxy
    allowed_origins: tuple[str, ...] = ()  # foreign web origins that may use the proxy
    mcp: str = "auto"  # whether MCP clients are kept connected: auto (those that look like one), on (all), off
    metadata_url: str = ""  # where the authorization server's metadata is, if not where the standard says
    client_key_file: str = ""  # the private key that proves the client (RFC 7523)
    dpop: bool = False  # bind tokens to a key even if nobody demands it (RFC 9449)
    client_metadata_url: str = ""  # of a document that is its client where the server takes such
    omit_resource: bool = False  # send no `resource`, not even the one that the url names
    kind: str = "server"  # server, or account: without a url, unknown to proxy and clients
    hosts: tuple[str, ...] = ()  # git servers that an account's token is for
    policy: Policy = field(default=Policy(), repr=False)
    needs: Needs | None = None  # of one sign-in, never configured: what to ask for as well

    def identity(self) -> tuple[str, ...]:
        """What a login is bound to. If it changes, a person must agree before any token is sent (SECURITY.md 21)."""
        # Without any of these, the server is found from the URL.
        server = self.issuer or self.metadata_url or ("" if self.token_endpoint else self.url)
        return (server, self.authorization_endpoint, self.token_endpoint, self.client_id)


@dataclass(frozen=True, slots=True)
class Login:
    """A refresh token and what came with it. It is only ever sent to the token endpoint it came from.

    Where the server gives no refresh token, the login is the access token (RULES.md section 6).
    """

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
    account: str = field(default="", repr=False)  # whose it is, for people to read; private, so never in a log
    scope: str = ""
    resource: str = ""
    revocation_endpoint: str = ""
    proof_key: Secret | None = None  # its tokens are bound to this key (RFC 9449), as a JWK
    access_token: Secret | None = None  # kept only if there is no refresh token
    expires_at: float | None = None  # wall; the end of that access token, if the server said

    @property
    def renewable(self) -> bool:
        """Whether it has a refresh token."""
        return bool(self.refresh_token)

    def fingerprint(self) -> str:
        """Fingerprint of everything a verdict is about: 32 hex digits that reveal nothing."""
        secret = self.client_secret.reveal() if self.client_secret else ""
        token = self.refresh_token if self.renewable or self.access_token is None else self.access_token
        parts = (token.reveal(), self.client_id, secret, self.token_endpoint, self.scope)
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


SHORT_LIFE_MARGIN = 0.1  # of the lifetime (M1): 10 s would make a token of 30 s unusable before its refresh is due


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token, held in memory only. `serial` names it in events, so that its value need not travel."""

    serial: int
    value: Secret
    obtained_at: float  # at
    expires_at: float | None  # at; None: the server didn't say
    expires_wall: float | None = None
    rejected: bool = False
    proof_key: Secret | None = None  # of its login, if it is bound to that (RFC 9449)

    def ends_at(self, margin: float) -> float | None:
        """When it stops being usable: `margin` seconds, or a tenth of a short life, before it expires. None: never (M1)."""
        if self.expires_at is None:
            return None
        return self.expires_at - min(margin, SHORT_LIFE_MARGIN * (self.expires_at - self.obtained_at))

    def usable(self, at: float, margin: float) -> bool:
        """Whether it has more than the margin left and the upstream hasn't rejected it."""
        ends = self.ends_at(margin)
        return not self.rejected and (ends is None or at < ends)

    def lasts(self, at: float, validity: float) -> bool:
        """Whether it has at least `validity` seconds left."""
        return self.expires_at is None or self.expires_at - at >= validity


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something failed, safe to show and to log: no token, no raw body, a summary of at most 200 characters."""

    kind: (
        str  # dns, refused, unreachable, tls, proxy, timeout, reset, eof, truncated, portal, http, oauth, keyring, ...
    )
    summary: str
    http_status: int | None = None
    code: str = ""


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """The user code of a device authorization and where to type it (RFC 8628 section 3.2). Shown, but never logged."""

    user_code: str
    verification_uri: str
    verification_uri_complete: str = ""  # includes the code; empty if the server sent none
    expires_wall: float = 0.0


class BrowserFault(StrEnum):
    """What is known of a sign-in page that may not be in front of the person."""

    NOT_OPENED = "not_opened"  # no browser could be opened
    UNCERTAIN = "uncertain"  # the program that opens it has not ended: it may be the browser, or hang


@dataclass(frozen=True, slots=True)
class Attempt:
    """The refresh attempt in flight."""

    number: int
    trigger: Trigger
    step: Step
    began: Moment
    fingerprint: str
    lineage: str
    deadline: float = float("inf")  # at; a request still unanswered then counts as ambiguous (M9)
    reprobe_for: Trigger | None = None  # if its probe fails, probe again immediately, for this reason


@dataclass(frozen=True, slots=True)
class Failing:
    """An outage: from the first failed attempt after a success to the next success."""

    since: Moment
    tries: int = 0  # failed attempts in the current series (M2, M8, M9), reset by a nudge
    total: int = 0  # failed attempts of the whole outage
    exhausted: bool = False  # the short retry (M2) is used up: this is the long phase
    long_wait: bool = False  # M3: a wait that server or limit imposed reached beyond what was left of the short retry
    retrying_since: float | None = None  # wall; when the long phase began
    counted: float = 0.0  # M6: seconds counted towards the ceiling until `counting_from`
    counting_from: float | None = None  # awake clock; None while the count is stopped
    fresh_tries: int = 0  # M6: failures since the latest wake or network change
    fresh_counted: float = 0.0  # M6: counted time at that wake or network change
    gave_up: bool = False  # the ceiling has passed


@dataclass(frozen=True, slots=True)
class Saved:
    """What state.db keeps of a workload across restarts. Losing it loses no login."""

    lineage: str = ""  # of the login that the rest is about
    retrying_since: float | None = None  # wall
    counted: float = 0.0
    gave_up: bool = False
    signed_out: SignedOut | None = None
    combination: str = ""  # the refused combination
    refusal: Refusal | None = None
    original: str = ""
    lost_rotations: int = 0
    last_error: Problem | None = None
    last_refreshed_at: float | None = None  # wall
    paused: bool = False
    discard: str = ""  # what is to be deleted of a login that was given up (`engine/removals.py`)
    open_intent: str = ""  # fingerprint of a token that may have been sent and got no complete answer
    open_generation: int = 0  # of the login that it belongs to


@dataclass(frozen=True, slots=True)
class Workload:
    """The whole state of one workload. Only `machine.step` makes the next one."""

    spec: Spec
    phase: Phase = Phase.LOADING
    login: Login | None = None  # the newest login, stored or not
    access: AccessToken | None = None
    attempt: Attempt | None = None  # set exactly in phase `refreshing`
    due: float | None = None  # at; when `waiting` or `valid` wants its next attempt; None: not by time
    series: Series = Series.DUE
    trigger: Trigger = Trigger.START  # of the next attempt
    not_before: float = 0.0  # at; M12
    failing: Failing | None = None
    maybe_spent: bool = False  # M9: the mark
    marked_at: float | None = None  # at; when the token in doubt was sent; meaningful only while the mark stands
    slots_read: bool = False  # whether both slots have been read in this run
    highest_generation: int = 0  # of all logins seen in this run
    unsaved: bool = False  # the newest login is in memory only
    storing: int | None = None  # generation that is being written to the keyring
    store_at: float | None = None  # at; when a failed write is tried again
    keyring: Trouble | None = None
    keyring_since: float | None = None  # at
    keyring_tries: int = 0
    gate_blocked: bool = False  # offline, behind a portal or asleep: the ceiling doesn't count (M6)
    nudged_at: float | None = None  # at; the latest network change or wake
    signed_out: SignedOut | None = None
    combination: str = ""  # the refused combination
    refusal: Refusal | None = None  # the verdict on it
    original: str = ""  # fingerprint of the login as the sign-in gave it: unlike the present one's if that was rotated
    replaced: Saved | None = None  # what is known of the login before the last sign-in, until that one's is stored
    lost_rotations: int = 0
    broken: str = ""  # what is wrong with the configuration, in one sentence
    confirm: Spec | None = None  # a changed identity that a person has to agree to
    signing_in: bool = False
    device: DeviceCode | None = None  # the code to type to finish the sign-in
    browser_fault: BrowserFault | None = None  # of the sign-in under way
    sign_in_error: Problem | None = None  # why the last sign-in failed
    sign_in_warning: Problem | None = None  # what couldn't be verified about the current login
    redirected_to: str = ""  # where the token endpoint redirected the last refresh
    strikes: int = 0  # M18: fresh tokens rejected in a row
    needs: Needs | None = None  # what the upstream asks for beyond this login
    rejections: tuple[tuple[float, str], ...] = ()  # at, error; of a login that can't be renewed, since its last 2xx
    after: str = ""  # deferred until the attempt has ended: "pause", "confirm", "sign_out", "shutdown" or "remove"
    attempts: int = 0  # the last attempt number used
    recent: tuple[float, ...] = ()  # at; attempts that count towards M8's limit, newest last
    last_attempt_at: float | None = None  # at
    last_outcome: str = ""
    last_error: Problem | None = None
    last_trigger: Trigger | None = None
    last_refreshed_at: float | None = None  # wall

    @property
    def rechecking(self) -> bool:
        """Whether a refused login is being tried once more: it stays red until the server accepts it (M7)."""
        return self.phase is Phase.REFRESHING and self.signed_out is not None

    @property
    def loopback(self) -> bool:
        """Whether its token endpoint is on this machine, so that only sleep closes the gate (M10)."""
        return _on_this_machine(self.login.token_endpoint if self.login else self.spec.token_endpoint)


@lru_cache(maxsize=4096)  # needed at every pass over every workload
def _on_this_machine(endpoint: str) -> bool:
    return (urlsplit(endpoint).hostname or "") in ("127.0.0.1", "::1", "localhost")
