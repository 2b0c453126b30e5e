"""Admission of attempts: at most 8 in flight, 2 per authorization server, the longest due first (M11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from trayapp.core.model import Phase, Workload

IN_FLIGHT = 8
IN_FLIGHT_PER_SERVER = 2


def admitted(ready: Iterable[tuple[float, str]], workloads: Mapping[str, Workload]) -> Iterator[str]:
    """The names of `ready`, which is in due order, that may begin an attempt.

    The caller begins each one before it takes the next: only then is its phase read, so that a workload that did not
    begin after all leaves its slot free.
    """
    servers = Counter(_server(w) for w in workloads.values() if w.phase is Phase.REFRESHING)
    for _, name in ready:
        if servers.total() >= IN_FLIGHT:
            return
        server = _server(workloads[name])
        if servers[server] < IN_FLIGHT_PER_SERVER:
            yield name
            servers[server] += name in workloads and workloads[name].phase is Phase.REFRESHING


def _server(w: Workload) -> str:
    """Host and port of the token endpoint."""
    endpoint = w.login.token_endpoint if w.login else w.spec.token_endpoint
    return urlsplit(endpoint).netloc
