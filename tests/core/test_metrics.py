"""The `/metrics` page."""

from __future__ import annotations

import re
from dataclasses import replace

from trayapp.core.external import ExternalWorkload, external_view
from trayapp.core.metrics import CONTENT_TYPE, Counters, render
from trayapp.core.model import Problem
from trayapp.core.presentation import Colour, Glyph
from trayapp.core.snapshot import AuthView, Detail, Health, Snapshot, Status, WorkloadView

NOW = 1_800_000_000.0
QUIET = Counters({}, {}, {})


def view(name: str, status: Status = Status.RUNNING, **auth: object) -> WorkloadView:
    seen = replace(AuthView(Detail.OK, NOW), **auth)  # type: ignore[arg-type]
    address = f"https://{name}.example/mcp?canary=1"
    return WorkloadView(name, address, status, "canary", Health.HEALTHY, Colour.GREEN, Glyph.TICK, seen)


def page(*views: WorkloadView, counted: Counters = QUIET, gate: str = "") -> str:
    snapshot = Snapshot(1, {view.name: view for view in views}, gate=gate)
    return render(snapshot, counted, now=NOW, started_at=NOW - 60.5, version="1.2.3")


def samples(page: str) -> dict[str, str]:
    """Value by name and labels."""
    return dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))


def test_the_app_itself() -> None:
    """Version, start, gate and listeners."""

    made = samples(page(counted=replace(QUIET, streams=3)))

    assert made['amberlight_info{version="1.2.3"}'] == "1"
    assert made["amberlight_start_time_seconds"] == "1799999939.500"
    assert made["amberlight_gate_open"] == "1"
    assert made["amberlight_event_streams"] == "3"
    assert samples(page(gate="offline"))["amberlight_gate_open"] == "0"


def test_workloads_by_status() -> None:
    """Every status has a sample, even at zero: a series that disappears isn't a zero."""

    made = samples(page(view("a"), view("b"), view("c", Status.AUTH_RETRYING)))

    assert made['amberlight_workloads{status="running"}'] == "2"
    assert made['amberlight_workloads{status="auth_retrying"}'] == "1"
    assert made['amberlight_workloads{status="unauthenticated"}'] == "0"
    assert len(Status) == sum(key.startswith("amberlight_workloads{") for key in made)


def test_how_long_ago_a_token_was_got() -> None:
    """In seconds; no sample for a workload that never got one; never negative after the clock was set back."""

    made = samples(
        page(view("a", last_refreshed_at=NOW - 1.25), view("b"), view("c", last_refreshed_at=NOW + 9, lost_rotations=2))
    )

    assert made['amberlight_seconds_since_last_refresh{workload="a"}'] == "1.250"
    assert 'amberlight_seconds_since_last_refresh{workload="b"}' not in made
    assert made['amberlight_seconds_since_last_refresh{workload="c"}'] == "0"
    assert made['amberlight_lost_rotations_total{workload="c"}'] == "2"


def test_what_was_counted() -> None:
    """Refreshes by outcome and trigger, refused callers by error, requests through the proxy by status code."""

    counted = Counters(
        {("a", "refreshed", "due"): 4, ("a", "not_sent", "wake"): 1}, {("a", "retrying"): 1000}, {("a", "200"): 7}
    )
    made = samples(page(counted=counted))

    assert made['amberlight_refreshes_total{workload="a",outcome="refreshed",trigger="due"}'] == "4"
    assert made['amberlight_refreshes_total{workload="a",outcome="not_sent",trigger="wake"}'] == "1"
    assert made['amberlight_callers_refused_total{workload="a",error="retrying"}'] == "1000"
    assert made['amberlight_proxy_requests_total{workload="a",code="200"}'] == "7"
    assert "proxy" not in page()


def test_every_line_is_in_the_format() -> None:
    """HELP and TYPE stand before the samples of each name, each name once, each line ends, nothing else is there."""

    counted = Counters({("a", "refreshed", "due"): 4}, {("a", "retrying"): 1}, {("a", "200"): 7})
    made = page(view("a", last_refreshed_at=NOW), counted=counted)
    sample = re.compile(r'(amberlight_[a-z_]+)(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)+\})? [0-9.]+')
    named: list[str] = []

    assert made.endswith("\n")
    for line in made.splitlines():
        if line.startswith("# HELP "):
            named.append(line.split()[2])
        elif line.startswith("# TYPE "):
            assert line.split()[2:] in ([named[-1], "gauge"], [named[-1], "counter"])
        else:
            found = sample.fullmatch(line)
            assert found, line
            assert found[1] == named[-1]
    assert len(named) == len(set(named))
    assert all(name.endswith("_total") == (f"# TYPE {name} counter" in made) for name in named)
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


def test_odd_labels_are_escaped() -> None:
    """Quotes, backslashes and line breaks cannot forge a sample."""

    made = page(counted=replace(QUIET, refused={('a"} 1\n\\', "x"): 1}))

    assert 'amberlight_callers_refused_total{workload="a\\"} 1\\n\\\\",error="x"} 1\n' in made


def test_no_url_and_no_error_is_shown() -> None:
    """Only names and statuses."""

    made = page(view("a", Status.UNAUTHENTICATED, last_error=Problem("http", "canary", 403, "canary")))

    assert "canary" not in made
    assert "example" not in made


def test_workloads_of_other_programs() -> None:
    """By program and its own word, without names; nothing at all where there are none."""

    rows = [ExternalWorkload(f"w{n}", "https://canary.example", "", word) for n, word in enumerate(("running", 'a"b'))]
    views = [external_view("toolhive", "ToolHive", row, ()) for row in (*rows, rows[0])]
    snapshot = Snapshot(1, external={f"{n}": view for n, view in enumerate(views)})
    made = samples(render(snapshot, QUIET, now=NOW, started_at=NOW, version="1"))

    assert {
        'amberlight_external_workloads{owner="ToolHive",status="a\\"b"}': "1",
        'amberlight_external_workloads{owner="ToolHive",status="running"}': "2",
    } == {key: value for key, value in made.items() if "external" in key}
    assert "external" not in page(view("a"))
