"""The `/metrics` page in Prometheus text format 0.0.4, rendered from a snapshot and counters.

Of a workload it shows name, status and numbers only: no URL, no error text, no secret.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from trayapp.core.snapshot import Snapshot, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts since the app started, by their label values. They never go down."""

    refreshes: Mapping[tuple[str, str, str], int]  # workload, outcome, trigger
    refused: Mapping[tuple[str, str], int]  # workload, the error the caller got (M15)
    proxied: Mapping[tuple[str, str], int]  # workload, status code; empty without a proxy
    streams: int = 0  # open event streams


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A metric with its samples."""

    name: str
    kind: str  # gauge or counter
    help: str
    samples: tuple[tuple[Labels, float], ...]


def render(snapshot: Snapshot, counters: Counters, *, now: float, started_at: float, version: str) -> str:
    """The whole page. `now` and `started_at` are wall seconds."""
    families = (
        *_app_families(snapshot, counters, started_at, version),
        *_workload_families(snapshot, now),
        *_counter_families(counters),
    )
    return "".join(line + "\n" for family in families for line in _lines(family))


def _app_families(snapshot: Snapshot, counters: Counters, started_at: float, version: str) -> Iterator[MetricFamily]:
    yield MetricFamily("amberlight_info", "gauge", "The running version; always 1.", (((("version", version),), 1.0),))
    yield _gauge("amberlight_start_time_seconds", "When the app started, since the epoch.", started_at)
    yield _gauge(
        "amberlight_gate_open", "1 if attempts may leave, 0 while offline, asleep or settling.", not snapshot.gate
    )
    yield _gauge("amberlight_event_streams", "Clients that listen to the event stream.", counters.streams)


def _workload_families(snapshot: Snapshot, now: float) -> Iterator[MetricFamily]:
    views = sorted(snapshot.workloads.values(), key=lambda view: view.name)
    words = [view.status for view in views]
    by_status = tuple(((("status", str(word)),), float(words.count(word))) for word in Status)
    yield MetricFamily("amberlight_workloads", "gauge", "Workloads by public status.", by_status)
    if snapshot.external:
        yield MetricFamily(
            "amberlight_external_workloads",
            "gauge",
            "Workloads that other programs keep signed in, by program and its own status word.",
            tuple(_by_owner(snapshot)),
        )
    since = [
        (view.name, max(0.0, now - view.auth.last_refreshed_at))
        for view in views
        if view.auth.last_refreshed_at is not None
    ]
    yield MetricFamily(
        "amberlight_seconds_since_last_refresh",
        "gauge",
        "Seconds since a token was last got for this workload.",
        tuple(((("workload", name),), seconds) for name, seconds in since),
    )
    yield MetricFamily(
        "amberlight_lost_rotations_total",
        "counter",
        "Logins that ended because the answer to a refresh was lost on its way.",
        tuple(((("workload", view.name),), float(view.auth.lost_rotations)) for view in views),
    )


def _by_owner(snapshot: Snapshot) -> Iterator[tuple[Labels, float]]:
    facts = (view.external for view in snapshot.external.values())
    counts = Counter((each.owner, each.word) for each in facts if each is not None)
    for (owner, word), count in sorted(counts.items()):
        yield (("owner", owner), ("status", word)), float(count)


def _counter_families(counters: Counters) -> Iterator[MetricFamily]:
    yield _counter(
        "amberlight_refreshes_total",
        "Attempts to refresh, by what they came to and why they were made.",
        ("workload", "outcome", "trigger"),
        counters.refreshes.items(),
    )
    yield _counter(
        "amberlight_callers_refused_total",
        "Callers that wanted a token and got none, by what they were told.",
        ("workload", "error"),
        counters.refused.items(),
    )
    if counters.proxied:
        yield _counter(
            "amberlight_proxy_requests_total",
            "Requests through the proxy, by the status code of the answer.",
            ("workload", "code"),
            counters.proxied.items(),
        )


def _gauge(name: str, words: str, value: float) -> MetricFamily:
    return MetricFamily(name, "gauge", words, (((), float(value)),))


def _counter(
    name: str, words: str, labels: tuple[str, ...], counts: Iterable[tuple[tuple[str, ...], int]]
) -> MetricFamily:
    samples = tuple((tuple(zip(labels, key, strict=True)), float(count)) for key, count in sorted(counts))
    return MetricFamily(name, "counter", words, samples)


def _lines(family: MetricFamily) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        inside = ",".join(f'{name}="{_quoted(render)}"' for name, render in labels)
        yield f"{family.name}{{{inside}}} {_formatted(value)}" if inside else f"{family.name} {_formatted(value)}"


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(value: str) -> str:
    return _escaped(value).replace('"', '\\"')


def _formatted(value: float) -> str:
    """A whole number without a decimal point, anything else with three digits."""
    return str(int(value)) if value.is_integer() else f"{value:.3f}"
