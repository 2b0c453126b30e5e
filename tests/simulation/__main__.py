"""`python -m tests.simulation --days 6 --seed 0 --seeds 50`: simulate some worlds and report every broken invariant."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.simulation import deep, runner
from tests.simulation.plan import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="laptop-days of each world")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many worlds")
    parser.add_argument("--workloads", type=int, default=3)
    parser.add_argument("--without", default="", help=f"kinds of fault to switch off: {','.join(KINDS)}")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first broken invariant")
    parser.add_argument("--no-shorten", action="store_true", help="show the history as it was")
    args = parser.parse_args()
    deep.prepare_process()
    without = frozenset(args.without.split(",")) - {""}
    days = seconds = requests = runs = losses = 0.0
    broken: Counter[str] = Counter()
    for seed in range(args.seed, args.seed + args.seeds):
        report = runner.run(seed, args.days, args.workloads, without)
        days, seconds = days + report.days, seconds + report.seconds
        requests, runs, losses = requests + report.requests, runs + report.runs, losses + report.losses
        if report.failure is None:
            continue
        broken[report.failure[1]] += 1
        if not args.no_shorten:
            report = runner.shortened(report, args.days, args.workloads)
        print(report.text(), flush=True)
        if not args.keep_going:
            break
    print(
        f"{days:.0f} laptop-days of {args.workloads} workloads in {args.seeds} worlds from seed {args.seed}:"
        f" {requests:.0f} requests, {runs:.0f} runs of the program, {losses:.0f} lost rotations,"
        f" {seconds:.0f} s ({seconds / max(days, 1.0):.3f} s a day); broken: {dict(broken) or 'nothing'}"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
