"""Admission of attempts: 8 in flight, 2 per authorization server, 1 while the way to it is unproven, the longest due first.

These are the limits of M11 and M8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from trayapp.core.model import Phase, Workload
from trayapp.engine.paths import Paths, server_of

IN_FLIGHT = 8


def admitted(
    ready: Iterable[tuple[float, str]], workloads: Mapping[str, Workload], paths: Paths, at: float
) -> Iterator[str]:
    """The names of `ready`, which is in due order, that may begin an attempt at `at`.

    The caller begins each one before it takes the next: only then is its phase read, so that a workload that did not
    begin after all leaves its slot free.
    """
    servers = Counter(server_of(w) for w in workloads.values() if w.phase is Phase.REFRESHING)
    for _, name in ready:
        if servers.total() >= IN_FLIGHT:
            return
        server = server_of(workloads[name])
        if servers[server] < paths.slots(server) and paths.opens_at(workloads[name]) <= at:
            yield name
            servers[server] += name in workloads and workloads[name].phase is Phase.REFRESHING
