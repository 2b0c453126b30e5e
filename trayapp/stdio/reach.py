"""Wait for the app, no longer than clients do, and start it if that is allowed."""

from __future__ import annotations

import time
from typing import Protocol

from trayapp.config.paths import Paths
from trayapp.stdio import place
from trayapp.stdio.place import Place, Target

HELLO_WAIT = 8.0  # s; the least patient client (Codex) gives a server 10 s to start
CALL_WAIT = 20.0  # s; clients give a call 60 s
NO_START_WAIT = 3.0  # s if it may not be started: it may be restarting after an upgrade
POLL = 0.05  # s


class AwayError(Exception):
    """The app can't be reached. The text is a sentence."""


class Starts(Protocol):
    """What starts the app."""

    def ensure(self) -> tuple[bool, str]: ...


class Reach:
    """Finds the app, again and again. `starter` None: the one of this user, loaded when it is first needed."""

    def __init__(self, paths: Paths, target: Target, starter: Starts | None = None) -> None:
        self._paths = paths
        self._starter = starter
        self.target = target
        self._refused: Place | None = None
        self._seen = False  # it has answered
        self._away_since: float | None = None  # monotonic seconds

    def now(self) -> Place | None:
        """The app, if it runs."""
        return place.find(self._paths)

    def key(self) -> str:
        """The local key, read each time: it may be created or replaced while we run."""
        return place.local_key(self._paths, self.target.key)

    def wait(self, until: float) -> Place:
        """The app, started if need be. Raises `AwayError` at the monotonic time `until`, or when waiting is pointless."""
        while True:
            found, now = self.now(), time.monotonic()
            if found is not None and found != self._refused:
                return found
            if self._away_since is None:
                self._away_since = now
            soon = self._away_since + NO_START_WAIT
            if not self._seen or now >= min(soon, until):  # else perhaps somebody restarts it
                hope, why = self._start()
                if now >= (until if hope else min(until, soon)):
                    self._refused = None
                    raise AwayError(why if found is None else f"Nothing answers at Amberlight's port {found.port}.")
            time.sleep(POLL)
            self._refused = None

    def refused(self, found: Place) -> None:
        """Nothing listens there: it has just ended, or been killed."""
        self._refused = found

    def arrived(self) -> None:
        """It has answered."""
        self._seen, self._away_since = True, None

    def _start(self) -> tuple[bool, str]:
        if self._starter is None:
            from trayapp.stdio.starter import (
                Starter,
            )  # subprocess and more, which a client of a running app never needs

            self._starter = Starter(self._paths)
        return self._starter.ensure()
