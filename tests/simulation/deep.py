"""`python -m tests.simulation.deep --days 100000`: simulate very many worlds on all processors, in several sittings.

Each finished world is one line of a file in the folder of results. Interrupt it at any time; the same command continues
where it stopped. A file belongs to one state of the program: once the code has changed, a new file begins.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.simulation import runner

ROOT = Path(__file__).parents[2]
SIMULATED = (
    "trayapp/core",
    "trayapp/engine",
    "trayapp/vault",
    "trayapp/storage",
    "trayapp/osevents",
    "trayapp/oauth/faults.py",
    "trayapp/oauth/progress.py",
    "trayapp/oauth/wire.py",
    "tests/simulation",
)
J = TypeVar("J")
R = TypeVar("R")
REPORTED = 30.0  # s between two lines about the progress


@dataclass(frozen=True, slots=True)
class World:
    """The result of one world, as kept in the file."""

    seed: int
    days: float
    seconds: float
    requests: int
    runs: int
    losses: dict[str, int]  # by cause
    digest: str
    failure: tuple[str, str, str] | None


@dataclass
class Total:
    """All finished worlds together."""

    worlds: int = 0
    days: float = 0.0
    requests: int = 0
    runs: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    broken: dict[int, tuple[str, str, str]] = field(default_factory=dict)

    def add(self, world: World) -> None:
        """Count this one too."""
        self.worlds += 1
        self.days += world.days
        self.requests += world.requests
        self.runs += world.runs
        self.losses.update(world.losses)
        if world.failure is not None:
            self.broken[world.seed] = world.failure

    def lines(self) -> Iterator[str]:
        """The table at the end."""
        yield f"{self.worlds:,} worlds, {self.days:,.0f} laptop-days, {self.requests:,} requests, {self.runs:,} runs"
        yield f"{'lost logins':<72}{'number':>7}{'per 1,000 days':>16}"
        for cause, number in [*sorted(self.losses.items()), ("all", self.losses.total())]:
            yield f"{cause:<72}{number:>7,}{1000.0 * number / max(self.days, 1.0):>16.2f}"
        rules = Counter(rule for _, rule, _ in self.broken.values())
        yield f"broken invariants: {dict(rules.most_common()) or 'none'}"
        for seed, (name, rule, what) in sorted(self.broken.items()):
            yield f"  seed {seed}, {name or 'all'}: {rule}: {what.splitlines()[0]}"


def fingerprint(root: Path = ROOT, folders: Iterable[str] = SIMULATED) -> str:
    """A digest of all the code that a world depends on."""
    found = hashlib.sha256()
    modules = (path for each in folders for path in _modules(root / each))
    for path in sorted(modules):
        found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:12]


def _modules(path: Path) -> Iterable[Path]:
    return path.rglob("*.py") if path.is_dir() else (path,)


def kept_lines(file: Path) -> Iterator[dict[str, Any]]:
    """What this file of results holds; a line that an interruption cut off counts as not there."""
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def finished(file: Path) -> Iterator[World]:
    """The worlds in this file."""
    for known in kept_lines(file):
        failure = known.pop("failure")
        yield World(**known, failure=tuple(failure) if failure else None)


def carried_out(file: Path, live: Callable[[J], R], jobs: Iterable[J], processes: int) -> Generator[R]:
    """The results of these jobs as they come, each of them kept as a line of the file. A result is a slotted dataclass."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with (
        file.open("a+", encoding="utf-8") as kept,
        multiprocessing.get_context("spawn").Pool(processes, _begin_process) as pool,
    ):
        if file.stat().st_size and not file.read_bytes().endswith(b"\n"):
            kept.write("\n")  # after a line that was cut off
        for result in pool.imap_unordered(live, jobs):
            kept.write(_as_line(result))
            kept.flush()
            yield result


def live(job: tuple[int, int, int]) -> World:
    """Simulate one world."""
    seed, days, workloads = job
    report = runner.run(seed, days, workloads)
    return World(
        seed,
        report.days,
        report.seconds,
        report.requests,
        report.runs,
        dict(report.causes),
        report.digest,
        report.failure,
    )


def _as_line(result: Any) -> str:
    return json.dumps({name: getattr(result, name) for name in type(result).__slots__}) + "\n"


def prepare_process() -> None:
    """Expect what worlds leave behind: coroutines that a crash dropped, and much garbage with few cycles."""
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda unraisable: None
    gc.set_threshold(50_000, 20, 100)


def _begin_process() -> None:
    """The parent alone handles Ctrl+C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prepare_process()


class Deep:
    """A run over many seeds."""

    def __init__(self, file: Path, seeds: range, days: int, workloads: int) -> None:
        self.file, self.seeds, self.days, self.workloads = file, seeds, days, workloads
        self.total = Total()
        known: set[int] = set()
        for world in finished(file):
            if world.seed in seeds and world.seed not in known:
                known.add(world.seed)
                self.total.add(world)
        self.left = [seed for seed in seeds if seed not in known]

    def run(self, processes: int, keep_going: bool) -> None:
        """Simulate what is left, until the end or the first broken invariant."""
        if self.total.broken and not keep_going:
            return
        jobs = ((seed, self.days, self.workloads) for seed in self.left)
        began = reported = time.monotonic()
        lived = 0.0
        with closing(carried_out(self.file, live, jobs, processes)) as worlds:
            for world in worlds:
                self.total.add(world)
                lived += world.days
                now = time.monotonic()
                if now - reported > REPORTED:
                    reported = now
                    self._progress(lived / (now - began))
                if world.failure is not None and not keep_going:
                    return

    def _progress(self, rate: float) -> None:
        left = (len(self.seeds) - self.total.worlds) * self.days / max(rate, 1e-9)
        print(
            f"{self.total.days:,.0f} of {len(self.seeds) * self.days:,} laptop-days, {rate:.1f} a second,"
            f" {left / 60.0:.0f} min left; {self.total.losses.total()} lost logins, {len(self.total.broken)} broken",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.deep", description=__doc__)
    parser.add_argument("--days", type=int, default=100_000, help="laptop-days in all")
    parser.add_argument("--each", type=int, default=30, help="laptop-days of each world")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--workloads", type=int, default=3)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "simulation", help="folder of finished worlds")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first broken invariant")
    args = parser.parse_args(arguments)
    program = fingerprint()
    file = args.results / f"{program}-{args.each}-{args.workloads}.jsonl"
    others = [path.name for path in args.results.glob("*.jsonl") if not path.name.startswith(program)]
    if others and not file.exists():
        print(f"The program has changed since {', '.join(sorted(others))}: a new run begins in {file}.")
    deep = Deep(file, range(args.seed, args.seed + -(-args.days // args.each)), args.each, args.workloads)
    if deep.total.worlds:
        print(f"Going on after {deep.total.worlds:,} worlds in {file}.")
    try:
        deep.run(args.processes, args.keep_going)
    except KeyboardInterrupt:
        print("Interrupted. Run the same command to continue.")
    print("\n".join(deep.total.lines()))
    for seed in sorted(deep.total.broken):
        print(f"repeat: python -m tests.simulation --days {args.each} --workloads {args.workloads} --seed {seed}")
    return 1 if deep.total.broken else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl+C, so that no process is left behind
    sys.exit(main())
