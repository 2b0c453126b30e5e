"""`python -m tests.simulation.compare --days 10000`: the same worlds under three rules, and what the difference is worth.

The rules differ in when an attempt may leave after a network change, and in what it proves before its token does. Each is
a patch of the same program; worlds are paired by seed. An invariant that a rule breaks doesn't end its world here.
Finished worlds are kept as `deep.py` keeps them, so an interrupted comparison continues where it stopped.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

from tests.simulation import deep, process, recovery, runner, wire, world
from trayapp.core import attempts, machine, retry
from trayapp.core.gate import Gate
from trayapp.core.messages import Finished
from trayapp.core.model import Phase, Policy, Workload
from trayapp.core.outcomes import NotSent
from trayapp.core.snapshot import WorkloadView
from trayapp.core.storing import Result
from trayapp.engine.paths import Paths
from trayapp.oauth.progress import RequestProgress

# What ends a trouble of the network, or begins another network.
NETWORK = ("move", "link", "dns", "portal", "vpn", "awake", "routes", "lie", "oneway", "tlshang")
RESAMPLED = 2_000  # times, for the interval
CONFIDENCE = 0.95


@contextmanager
def _patched(*patches: AbstractContextManager[object]) -> Iterator[None]:
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield


def _finished_as_counted(w: Workload, e: Finished) -> Result:
    """An attempt that sent nothing counted towards M8's limit as any other."""
    after, effects = attempts.finished(w, e)
    return (replace(after, recent=w.recent) if isinstance(e.outcome, NotSent) else after), effects


async def _no_look(progress: RequestProgress) -> None:
    """Nothing is looked at before the request leaves."""
    if progress.connecting is not None:
        progress.connecting.reschedule(None)


def _always_open(paths: Paths, w: Workload) -> float:
    """Connections that failed have no limit of their own."""
    return 0.0


def _unnoticed(transport: wire.SimulatedWire) -> None:
    """A connection that is being made isn't ended because the network changed."""


def _three_seconds() -> AbstractContextManager[None]:
    """Settling as long as DHCP and DNS usually take, six tries after that, and each of them counts."""
    rows = {
        **machine.TABLE,
        Phase.REFRESHING: {**machine.TABLE[Phase.REFRESHING], Finished: _finished_as_counted},
    }
    return _patched(
        mock.patch.object(process, "Gate", partial(Gate, settle=3.0, settle_max=15.0)),
        mock.patch.object(world, "Policy", partial(Policy, burst=(0.0, 2.0, 5.0, 10.0, 20.0, 40.0))),
        mock.patch.object(machine, "TABLE", rows),
        mock.patch.object(retry, "TLS_SUSPECT", 0.0),
        mock.patch.object(Paths, "opens_at", _always_open),
        mock.patch.object(wire.SimulatedWire, "network_changed", _unnoticed),
        mock.patch.object(RequestProgress, "_ready_to_send", _no_look),
    )


def _without_preflight() -> AbstractContextManager[None]:
    """The request leaves with the first packets, over whatever connection."""
    return _patched(
        mock.patch.object(wire.SimulatedWire, "preflight", False),
        mock.patch.object(wire.SimulatedWire, "network_changed", _unnoticed),
    )


RULES: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "3 s": _three_seconds,
    "250 ms without preflight": _without_preflight,
    "250 ms with preflight": _patched,
}
PROGRAM = "250 ms with preflight"  # the rule of the program as it is


@dataclass(frozen=True, slots=True)
class Lived:
    """The result of one world under one rule, as kept in the file."""

    rule: str
    seed: int
    days: float
    seconds: float
    requests: int  # attempts
    sent: int  # those that spent a token, or may have
    losses: int
    recoveries: list[float]  # s from the last event of the network to green
    broken: dict[str, int]


class Observer:
    """Measures what the checks of a world don't. Active in the context `watching`."""

    def __init__(self) -> None:
        self.recoveries: list[float] = []
        self.sent = 0
        self.broken: Counter[str] = Counter()
        self._since: dict[str, float] = {}  # by workload that isn't green: when the network last changed

    def changed(self, deadlines: recovery.RecoveryDeadlines, why: str) -> None:
        """Something in the world has changed."""
        for name in deadlines._truths:
            if not deadlines.world.good(name):
                self._since.pop(name, None)
            elif why in NETWORK and not deadlines._green(name):
                self._since[name] = deadlines.world.clocks.t

    def derived(self, deadlines: recovery.RecoveryDeadlines, name: str) -> None:
        """The engine has derived a view of this workload."""
        if name in self._since and deadlines._green(name):
            self.recoveries.append(round(deadlines.world.clocks.t - self._since.pop(name), 2))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the world that is simulated meanwhile, and don't let a broken invariant end it."""
        changed, derived = recovery.RecoveryDeadlines.changed, recovery.RecoveryDeadlines.view_derived
        sent = process.Process.crash_point_or_wait

        def on_changed(deadlines: recovery.RecoveryDeadlines, why: str, **details: bool) -> None:
            changed(deadlines, why, **details)
            self.changed(deadlines, why)

        def on_derived(deadlines: recovery.RecoveryDeadlines, name: str, view: WorkloadView) -> None:
            derived(deadlines, name, view)
            self.derived(deadlines, name)

        async def on_sent(run: process.Process, what: str) -> None:
            self.sent += what == wire.REQUEST_IS_OUT
            await sent(run, what)

        def on_broken(_: world.World, name: str, rule: str, what: str) -> None:
            self.broken[rule] += 1

        with _patched(
            mock.patch.object(recovery.RecoveryDeadlines, "changed", on_changed),
            mock.patch.object(recovery.RecoveryDeadlines, "view_derived", on_derived),
            mock.patch.object(process.Process, "crash_point_or_wait", on_sent),
            mock.patch.object(world.World, "broke", on_broken),
        ):
            yield


def live(job: tuple[str, int, int, int]) -> Lived:
    """Simulate one world under one rule."""
    rule, seed, days, workloads = job
    observer = Observer()
    with RULES[rule](), observer.watching():
        report = runner.run(seed, days, workloads)
    return Lived(
        rule,
        seed,
        report.days,
        report.seconds,
        report.requests,
        observer.sent,
        report.losses,
        observer.recoveries,
        dict(observer.broken),
    )


def interval(differences: list[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of these, by resampling worlds."""
    rng = random.Random(0)
    means = sorted(statistics.fmean(rng.choices(differences, k=len(differences))) for _ in range(RESAMPLED))
    edge = round(RESAMPLED * (1.0 - CONFIDENCE) / 2.0)
    return means[edge], means[-1 - edge]


def quantile(times: list[float], part: float) -> float:
    """The smallest of these that at least `part` of them don't exceed; 0 if there are none."""
    return sorted(times)[min(len(times) - 1, int(part * len(times)))] if times else 0.0


class Comparison:
    """Each rule beside the program's, over the worlds that were simulated under both."""

    def __init__(self, lived: dict[tuple[str, int], Lived]) -> None:
        self._lived = lived

    def seeds(self, rule: str) -> list[int]:
        """The worlds that were simulated under this rule and the program's."""
        return sorted(seed for each, seed in self._lived if each == rule and (PROGRAM, seed) in self._lived)

    def of(self, rule: str, seeds: Iterable[int]) -> list[Lived]:
        """These worlds under this rule."""
        return [self._lived[rule, seed] for seed in seeds]

    def lines(self) -> Iterator[str]:
        """The tables."""
        rules = [rule for rule in RULES if self.seeds(rule)]
        if len(rules) < 2:
            yield "No world has been simulated under two rules yet."
            return
        yield "per 1,000 laptop-days"
        yield (
            f"{'rule':<28}{'days':>8}{'lost logins':>13}{'attempts':>10}{'sent':>8}{'median':>9}{'90 %':>9}"
            f"{'recoveries':>12}"
        )
        for rule in rules:
            worlds = self.of(rule, self.seeds(rule))
            days = sum(one.days for one in worlds)
            each = 1000.0 / days
            times = [t for one in worlds for t in one.recoveries]
            yield (
                f"{rule:<28}{days:>8,.0f}{sum(w.losses for w in worlds) * each:>13.1f}"
                f"{sum(w.requests for w in worlds) * each:>10,.0f}{sum(w.sent for w in worlds) * each:>8,.0f}"
                f"{quantile(times, 0.5):>7.2f} s{quantile(times, 0.9):>7.1f} s{len(times) * each:>12,.0f}"
            )
        yield f"lost logins more than {PROGRAM}, same worlds, with the 95 % interval"
        for rule in rules:
            if rule != PROGRAM:
                yield f"{rule:<28}{self._difference(rule)}"
        for rule in rules:
            broken: Counter[str] = Counter()
            for one in self.of(rule, self.seeds(rule)):
                broken.update(one.broken)
            yield f"broken invariants, {rule}: {dict(broken.most_common()) or 'none'}"

    def _difference(self, rule: str) -> str:
        seeds = self.seeds(rule)
        pairs = zip(self.of(rule, seeds), self.of(PROGRAM, seeds), strict=True)
        differences = [1000.0 * (other.losses - ours.losses) / ours.days for other, ours in pairs]
        low, high = interval(differences)
        return f"{statistics.fmean(differences):>+12.1f}   {low:+.1f} to {high:+.1f}"


def kept(file: Path) -> dict[tuple[str, int], Lived]:
    """The finished worlds of this file, by rule and seed."""
    return {(one.rule, one.seed): one for one in (Lived(**known) for known in deep.kept_lines(file))}


def run(
    file: Path, seeds: range, rules: Iterable[str], days: int, workloads: int, processes: int
) -> dict[tuple[str, int], Lived]:
    """Simulate what isn't in the file yet, all these rules of a seed one after the other."""
    lived = {key: one for key, one in kept(file).items() if key[1] in seeds}
    jobs = [(rule, seed, days, workloads) for seed in seeds for rule in rules if (rule, seed) not in lived]
    if lived:
        print(f"Going on after {len(lived):,} worlds in {file}.")
    began = reported = time.monotonic()
    new: defaultdict[str, float] = defaultdict(float)
    try:
        with closing(deep.carried_out(file, live, jobs, processes)) as results:
            for one in results:
                lived[one.rule, one.seed] = one
                new[one.rule] += one.days
                if (now := time.monotonic()) - reported > deep.REPORTED:
                    reported = now
                    rate = sum(new.values()) / (now - began)
                    left = (len(jobs) * days - sum(new.values())) / rate
                    print(
                        f"{len(lived):,} worlds, {rate:.1f} laptop-days a second, {left / 60.0:.0f} min left",
                        flush=True,
                    )
    except KeyboardInterrupt:
        print("Interrupted. Run the same command to continue.")
    seconds = time.monotonic() - began
    print(f"{sum(new.values()):,.0f} laptop-days in {seconds:.0f} s: {sum(new.values()) / seconds:.1f} a second")
    return lived


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.compare", description=__doc__)
    parser.add_argument("--days", type=int, default=10_000, help="laptop-days under each rule")
    parser.add_argument(
        "--rule", action="append", choices=[rule for rule in RULES if rule != PROGRAM], help="compare this one only"
    )
    parser.add_argument("--each", type=int, default=30, help="laptop-days of each world")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--workloads", type=int, default=3)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    folder = deep.ROOT / "build" / "simulation" / "compare"
    parser.add_argument("--results", type=Path, default=folder, help="folder of finished worlds")
    args = parser.parse_args(arguments)
    file = args.results / f"{deep.fingerprint()}-{args.each}-{args.workloads}.jsonl"
    seeds = range(args.seed, args.seed + -(-args.days // args.each))
    rules = [rule for rule in RULES if args.rule is None or rule in (*args.rule, PROGRAM)]
    lived = run(file, seeds, rules, args.each, args.workloads, args.processes)
    print("\n".join(Comparison(lived).lines()))
    return 1 if any(one.broken for one in lived.values() if one.rule == PROGRAM) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl+C, so that no process is left behind
    sys.exit(main())
