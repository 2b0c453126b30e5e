"""All benchmarks, one after another, in one table with their budgets; README.md lists these and says how to read it.

    .venv/bin/python packaging/bench/all.py [--runs 5] [--quick] [--json] [--only start memory ...]

Each script runs in its own process; one that fails is a row that says so. Five runs take about an hour.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from figures import Figure, noise, options, table

HERE = Path(__file__).parent
LIMIT = 3600.0  # s for one script
SILENCE = 2.0  # s that DNS is late in recovery.py
RECOVERY = {
    "10x10": ("10 workloads on 10 servers", 0.6),
    "100x50": ("100 workloads on 50 servers", 1.0),
    "10x10-slow": ("10 on 10, 300 ms and 2 % loss", 4.0),
    "10x10-dns": ("10 on 10, DNS 2 s later", 3.5),
}
RECOVERY_SPREAD = 2.0  # worst round × the median
PROXY = {"1": (2.5, 4.0), "8": (None, None), "32": (5.0, 8.0)}  # × the requests of an httpx2 proxy


def main() -> None:
    """Run the scripts and print the table."""
    made = options(__doc__, runs=5)
    made.add_argument("--only", nargs="+", choices=list(SCRIPTS), default=list(SCRIPTS), metavar="SCRIPT")
    given = made.parse_args()
    before = noise()
    found = [figure for name in given.only for figure in rows(name, given.runs, quick=given.quick)]
    if given.json:
        busy = {"before": before, "after": noise()}
        print(json.dumps({"noise": busy, "figures": [figure.json() for figure in found]}, indent=1))
        return
    print(f"before: {before}\nafter: {noise()}\n\n{table(found)}")


def rows(name: str, runs: int, *, quick: bool) -> list[Figure]:
    """The rows of one script."""
    runs_option, read = SCRIPTS[name]
    how = ["--quick"] if quick else ([runs_option, str(runs)] if runs_option else [])
    print(f"{name} …", file=sys.stderr)
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", *how]
    times = runs if runs_option is None and not quick else 1
    try:
        return list(read([printed(command) for _ in range(times)]))
    except (subprocess.SubprocessError, ValueError, KeyError) as error:
        return [Figure(name, "", note=f"failed: {type(error).__name__}; run {name}.py to see why")]


def printed(command: list[str]) -> Any:
    """The script's output, parsed. Raises `SubprocessError` or ValueError."""
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT).stdout)


# --- from each script's JSON to rows ---------------------------------------------------------------------------------


def of_figures(found: list[list[dict[str, Any]]]) -> Iterable[Figure]:
    """The rows of a script that prints figures."""
    names = [field.name for field in fields(Figure)]
    for row in found[0]:
        lists = {name: tuple(row[name]) for name in ("values", "ratios")}
        yield Figure(**{name: row[name] for name in names} | lists)


def of_idle(found: list[dict[str, Any]]) -> Iterable[Figure]:
    rounds = found[0]["rounds"]
    awake = tuple(each["wake_ups_per_minute"] for each in rounds)
    yield Figure("idle: wake-ups", "a minute", awake, budget=3.0)
    yield Figure("idle: processor time", "ms a minute", tuple(each["cpu_ms_per_minute"] for each in rounds), budget=5.0)


def of_recovery(found: list[dict[str, Any]]) -> Iterable[Figure]:
    for case, told in found[0].items():
        what, budget = RECOVERY[case]
        times = tuple(each["seconds"] for each in told["rounds"])
        yield Figure(f"network back to running: {what}", "s", times, budget=budget)
        yield Figure(f"{what}: worst to median", "×", (told["worst_to_median"],), budget=RECOVERY_SPREAD)
        if later := tuple(each["after_dns"] for each in told["rounds"] if "after_dns" in each):
            yield Figure(f"{what}: from DNS to running", "s", later, budget=budget - SILENCE)


def of_proxy(found: list[dict[str, Any]]) -> Iterable[Figure]:
    for count, (budget, stretch) in PROXY.items():
        ours, other = ([run[who][count]["rps"] for run in found] for who in ("amberlight", "httpx2"))
        ratios = tuple(mine / theirs for mine, theirs in zip(ours, other, strict=True))
        what = f"proxy, {count} connection{'s' if count != '1' else ''}; peer: httpx2"
        yield Figure(what, "req/s", tuple(ours), ratios, of="ratio", budget=budget, stretch=stretch, at_least=True)
        if all("thv" in run for run in found):
            ratios = tuple(run["amberlight"][count]["rps"] / run["thv"][count]["rps"] for run in found)
            yield Figure(what.replace("httpx2", "thv"), "req/s", tuple(ours), ratios)


def of_aggregate(found: list[dict[str, Any]]) -> Iterable[Figure]:
    costs, sizes = (tuple(run[what] for run in found) for what in ("cost_ms", "process_pss_mb"))
    yield Figure("/mcp: a call, beyond one through the proxy", "ms", costs, budget=20.0)
    yield Figure("/mcp: memory of its process while used", "MB", sizes)


Read = Callable[[Any], Iterable[Figure]]
SCRIPTS: dict[
    str, tuple[str | None, Read]
] = {  # the option for the number of runs; "": its own default; None: start it once per run
    "start": ("--runs", of_figures),
    "memory": ("--runs", of_figures),
    "idle": ("--rounds", of_idle),
    "recovery": ("", of_recovery),
    "hot": ("", of_figures),
    "scale": ("--runs", of_figures),
    "proxy": (None, of_proxy),
    "aggregate": (None, of_aggregate),
    "stdio": ("--runs", of_figures),
}

if __name__ == "__main__":
    main()
