"""The way to each authorization server: proven or not, and how often nobody got through (M8).

A connection that fails before anything is sent costs no token, so after a network change it is tried often: but by one
workload of a server at a time, whose result counts for the others, and not more than `TRIES` times a minute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from trayapp.core.model import Phase, Series, Trigger, Workload
from trayapp.core.outcomes import Ambiguous, NotSent, Outcome

IN_FLIGHT_PER_SERVER = 2  # M11
TRIES = 12  # failed connections to one server in `WINDOW`
RESCUES = 6  # more of them for a token in doubt (M9), whose grace doesn't wait
WINDOW = 60.0  # s
OF_THE_REQUEST = ("request", "internal")  # kinds of a problem that says nothing about the way


class Paths:
    """What is known of the ways to the servers. Instants are seconds on the clock `at`."""

    def __init__(self) -> None:
        self._unproven: set[str] = set()
        self._silent: set[str] = set()  # an answer of theirs never came
        self._proven: set[str] | None = None  # since every way was in doubt; None: that never happened
        self._telling: Counter[str] = Counter()
        self._failures: dict[str, list[float]] = {}

    def doubt(self) -> None:
        """The machine woke or its network changed: every way has to be proven anew."""
        self._proven = set()

    def tried(self, server: str, outcome: Outcome, at: float) -> bool:
        """Take note of the end of an attempt; whether it found no way to the server."""
        if not isinstance(outcome, NotSent):
            self._unproven.discard(server)
            if isinstance(outcome, Ambiguous):  # the next answer may get lost as well
                self._silent.add(server)
                return False
            self._silent.discard(server)
            if self._proven is not None:
                self._proven.add(server)
            return False
        if outcome.problem.kind in OF_THE_REQUEST:
            return False
        self._unproven.add(server)
        recent = [each for each in self._failures.get(server, []) if each > at - WINDOW]
        self._failures[server] = [*recent, at][-(TRIES + RESCUES) :]
        return True

    def slots(self, server: str) -> int:
        """How many attempts may be in flight to this server."""
        if self._telling.get(server):
            return 0
        new = self._proven is not None and server not in self._proven
        return 1 if new or server in self._unproven or server in self._silent else IN_FLIGHT_PER_SERVER

    def failed(self, server: str) -> bool:
        """Whether the last attempt found no way to it. It comes after the others, as the next one may hang for seconds."""
        return server in self._unproven

    @contextmanager
    def telling(self, server: str) -> Iterator[None]:
        """While its workloads hear that there is no way to it, none of them begins an attempt."""
        self._telling[server] += 1
        try:
            yield
        finally:
            self._telling -= Counter((server,))

    def opens_at(self, w: Workload) -> float:
        """The earliest instant at which the server of this workload may be tried again."""
        if w.trigger is Trigger.MANUAL and w.phase is Phase.WAITING:
            return 0.0
        most = TRIES + (RESCUES if w.series is Series.AGAIN else 0)
        failures = self._failures.get(server_of(w), [])
        return failures[-most] + WINDOW if len(failures) >= most else 0.0

    def next_opening(self, at: float) -> float | None:
        """When the first server that was tried too often may be tried again; None if there is none after `at`."""
        most = (TRIES, TRIES + RESCUES)
        openings = (each[-n] + WINDOW for each in self._failures.values() for n in most if len(each) >= n)
        return min((opening for opening in openings if opening > at), default=None)


def server_of(w: Workload) -> str:
    """Host and port of the token endpoint."""
    return server_at(w.login.token_endpoint if w.login else w.spec.token_endpoint)


def server_at(endpoint: str) -> str:
    """Host and port of a token endpoint."""
    return urlsplit(endpoint).netloc
