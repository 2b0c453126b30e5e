"""Admission of attempts: 8 in flight, 2 per authorization server, 1 while the way to it is unproven, the longest due first.

These are the limits of M11 and M8. Servers that were not reached the last time come after the others, and a token in doubt
(M9) comes before the others of its kind, as its grace passes.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping

from trayapp.core.model import Phase, Series, Workload
from trayapp.engine.instants import Instants
from trayapp.engine.paths import Paths, server_of

IN_FLIGHT = 8
GRACE_DOES_NOT_WAIT = 1e9  # s that a token in doubt (M9) counts as having waited longer than the others


class Admission:
    """Those whose attempt could begin, in a queue per server, and those in flight."""

    def __init__(self, workloads: Mapping[str, Workload], paths: Paths) -> None:
        self._workloads = workloads
        self._paths = paths
        self._queues: dict[str, Instants] = {}  # by server: since when each could begin, or a rank before all of these
        self._server_of: dict[str, str] = {}  # of each in a queue
        self._in_flight: dict[str, str] = {}  # likewise

    def changed(self, name: str, w: Workload) -> None:
        """It is another workload now, which has to join a queue anew."""
        self.forget(name)
        if w.phase is Phase.REFRESHING:
            self._in_flight[name] = server_of(w)

    def join(self, name: str, since: float) -> None:
        """Its attempt could begin since then."""
        w = self._workloads[name]
        server = self._server_of[name] = server_of(w)
        rank = since - GRACE_DOES_NOT_WAIT if w.series is Series.AGAIN else since
        self._queues.setdefault(server, Instants())[name] = rank

    def forget(self, name: str) -> None:
        """It neither waits nor is it in flight."""
        self._in_flight.pop(name, None)
        if (server := self._server_of.pop(name, None)) is not None:
            del self._queues[server][name]
            if not self._queues[server]:
                del self._queues[server]

    def admitted(self, at: float) -> Iterator[str]:
        """The names of those that may begin an attempt at `at`.

        The caller begins each one before it takes the next: only then is its phase read, so that a workload that did not
        begin after all leaves its slot free.
        """
        servers = Counter(self._in_flight.values())
        if servers.total() >= IN_FLIGHT:
            return
        tried: set[str] = set()
        found = ((self._head(server, at, servers, tried), server) for server in self._queues)
        heads = [(self._paths.failed(server), head, server) for head, server in found if head]
        heapq.heapify(heads)
        while heads and servers.total() < IN_FLIGHT:
            failed, (_, name), server = heapq.heappop(heads)
            yield name
            if name in self._workloads and self._workloads[name].phase is Phase.REFRESHING:
                servers[server] += 1
                self.forget(name)
            else:
                tried.add(name)
            if head := self._head(server, at, servers, tried):
                heapq.heappush(heads, (failed, head, server))

    def _head(self, server: str, at: float, servers: Counter[str], tried: set[str]) -> tuple[float, str] | None:
        """The one that has waited longest at this server; None if no attempt may begin there."""
        if servers[server] >= self._paths.slots(server) or server not in self._queues:
            return None
        queue = self._queues[server]
        first = queue.first()
        if first is not None and self._may_begin(first[1], at, tried):
            return first
        waiting = ((since, name) for name, since in queue.items() if since is not None)
        return min((each for each in waiting if self._may_begin(each[1], at, tried)), default=None)

    def _may_begin(self, name: str, at: float, tried: set[str]) -> bool:
        return name not in tried and name in self._workloads and self._paths.opens_at(self._workloads[name]) <= at
