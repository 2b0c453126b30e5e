"""The ground truth of each workload, independent of the program's view: what `checks.py` compares with."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tests.simulation.servers import AuthServer, Family
from trayapp.core.model import Login, Trigger


def token_of(login: Login) -> str:
    """The token that a login is."""
    secret = login.refresh_token if login.renewable or login.access_token is None else login.access_token
    return secret.reveal()


@dataclass
class Call:
    """One refresh request."""

    name: str
    run: int  # the run of the program that made it
    token: str
    t: float
    trigger: Trigger
    server: str
    sent: bool = False
    delivered: bool = True  # its answer, if any, reaches the program
    ended: float | None = None
    epoch: int = 0  # of the network when it began
    slept: float = 0.0  # s that the laptop had slept until then
    fate: str = ""  # how its answer got lost (`losses.py`)


@dataclass
class Doubt:
    """A token that was spent although its answer did not arrive."""

    acted_t: float
    grace: float
    call: Call  # the one that spent it
    learned_t: float | None = None  # when the program learned that no answer comes
    best: float = 0.0  # s; the longest uninterrupted good time within the grace after that
    asked: int = 0
    blocked: dict[str, float] = field(default_factory=dict)  # s of the grace, by what stood in the way (`losses.py`)


@dataclass
class Truth:
    """The true state of one workload."""

    name: str
    server: AuthServer
    family: Family
    stored: str  # the newest refresh token known to be in the keyring
    held: str  # the newest one that the program received
    held_run: int = 0  # in which run of the program
    replaced: dict[str, int] = field(default_factory=dict)  # token → the run that received its successor
    doubts: dict[str, Doubt] = field(default_factory=dict)
    access: tuple[str, float, float | None] = ("", 0.0, None)  # the newest that arrived: value, from, to
    access_run: int = -1
    rejected: set[str] = field(default_factory=set)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=64))
    flying: Call | None = None
    not_before: float = 0.0
    asked_by: int = -1
    since_nudge: int = 0
    online_at_success: float = 0.0
    changes_at_success: int = 0
    let_go: int = 0  # how many changes the engine had noticed when it let the latest attempt go
    usable: bool = False  # whether the login in the keyring was honoured before the write in progress
    paused: bool = False
    wants: list[str] = field(default_factory=list)  # scopes that the upstream wants at present
    errs: list[str] = field(default_factory=list)  # codes of the 401 that the upstream says by mistake at present
    person_asked_t: float = float("-inf")  # when a person last asked for an attempt, by *Retry now* or *Resume*
