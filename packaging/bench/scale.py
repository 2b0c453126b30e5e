"""Scaling to 10, 100, 1,000 and 10,000 workloads: memory and processor time of each, and the longest step of the loop.

    .venv/bin/python packaging/bench/scale.py [--runs 5] [--quick] [--json] [--sizes 10 100 1000]

The real engine in virtual time, with logins and token endpoint in memory. A run is a short life: all start together, an
hour passes, the network is gone for an hour and comes back, a person clicks *Retry all now*, then *Retry now* for one
after the other. Each size is measured in a process of its own: memory by tracemalloc (after the start, minus what each
login holds), times without it. A step is one callback of the event loop, the taking up of the configuration included; with
10,000 the longest are full garbage collections. All times are processor time, as on a busy machine a clock would measure
other load.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from figures import Figure, options, show

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIZES = (10, 100, 1000, 10_000)
STEP, EACH = 20.0, 6.0  # ms at 1,000, KB
LINEAR = 1.25  # × the cost of one workload, from 100 to 1,000: a quarter for noise
CLICKS = 100  # on single workloads
ENDPOINT = "https://as.example/token"
HOUR = 3600.0


def main() -> None:
    """Measure and print, or run as one of the measured processes."""
    made = options(__doc__, runs=5)
    made.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    made.add_argument("--role", nargs=2, help="used by this script itself")
    given = made.parse_args()
    if given.role:
        role, size = given.role
        work = {"memory": weigh, "life": live}[role]
        print(json.dumps(asyncio.run(work(int(size)))))
        return
    show(measure(1 if given.quick else given.runs, tuple(given.sizes)), given)


def measure(runs: int, sizes: tuple[int, ...] = SIZES) -> list[Figure]:
    """All sizes, in turns."""
    lives: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size in sizes:
            lives[size].append(child("life", size))
    rows = []
    for size in sizes:
        kept = child("memory", size)["kb"]
        what = {name: tuple(life[name] for life in lives[size]) for name in lives[size][0]}
        rows += [
            Figure(f"{size:,} workloads: memory, each", "KB", (kept,), budget=EACH if size > 10 else None),
            Figure(
                f"{size:,} workloads: longest step", "ms", what["longest_ms"], budget=STEP if size == 1000 else None
            ),
            Figure(f"{size:,} workloads: start until all are green", "ms", what["green_ms"]),
            Figure(f"{size:,} workloads: a life in short, each", "ms", what["each_ms"]),
            Figure(f"{size:,} workloads: one click on one of them", "ms", what["click_ms"]),
        ]
    for small, large in pairwise(size for size in sizes if size >= 100):
        pairs = zip(lives[large], lives[small], strict=True)
        growth = tuple(many["each_ms"] / few["each_ms"] for many, few in pairs)
        budget = LINEAR if large == 1000 else None
        rows.append(Figure(f"cost of one among {large:,} to one among {small:,}", "×", growth, budget=budget))
    return rows


def child(role: str, size: int) -> dict[str, float]:
    """The figures of a fresh process."""
    command = [sys.executable, __file__, "--role", role, str(size)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@asynccontextmanager
async def engine(size: int, clock: Any, watcher: Any, logins: list[tuple[str, Any]]) -> AsyncIterator[Any]:
    """A running engine with a workload for each of these logins."""
    from tests.engine.engines import ForgetfulJournal, HeldSignIn, Tokens, keystore_with
    from trayapp.app.memory import freeze_loaded
    from trayapp.core.gate import Gate
    from trayapp.core.model import Spec
    from trayapp.engine.engine import Engine
    from trayapp.engine.ports import Adapters

    adapters = Adapters(
        clock=clock,
        tokens=Tokens(life=2 * HOUR),
        keystore=await keystore_with(*logins),
        journal=ForgetfulJournal(),
        sign_in=HeldSignIn(),
        watcher=watcher,
    )
    made = Engine(adapters, lambda snapshot: None, first_gate=Gate())
    specs = [Spec(name, f"https://{name}.example", "client", token_endpoint=ENDPOINT) for name, _ in logins]
    freeze_loaded()
    await made.configure(specs)
    running = asyncio.create_task(made.run(), name="engine")
    try:
        yield made
    finally:
        await made.close()
        await running


def signed_in(size: int) -> list[tuple[str, Any]]:
    """`size` names with a login each."""
    from trayapp.core.model import Login, Secret

    names = [f"w{number}" for number in range(size)]
    return [(n, Login(1, f"line-{n}", Secret(f"rt-{n}"), 0.0, ENDPOINT, "client")) for n in names]


async def weigh(size: int) -> dict[str, float]:
    """KB per running workload. The rotated login replaces the one from before the measurement."""
    from tests.engine.engines import VirtualClock, Watcher

    async with engine(1, VirtualClock(), Watcher(), signed_in(1)):
        pass  # load and cache what the first engine needs
    logins, clock = signed_in(size), VirtualClock()
    gc.collect()
    tracemalloc.start()
    async with engine(size, clock, Watcher(), logins) as made:
        await green(made, clock)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return {"kb": held / size / 1024}


async def live(size: int) -> dict[str, float]:
    """The longest step, and the processor time of the whole life per workload."""
    from tests.engine.engines import VirtualClock, Watcher
    from trayapp.core.presentation import Action, Verb
    from trayapp.engine.ports import SystemChange

    clock, watcher, longest = VirtualClock(), Watcher(), Longest()
    gc.collect()
    began = time.thread_time()
    with longest:
        async with engine(size, clock, watcher, signed_in(size)) as made:
            await green(made, clock)
            started = time.thread_time() - began
            await clock.pass_time(HOUR)
            for offline in (True, False):
                watcher.changes.append(SystemChange(network=True, offline=offline))
                made.wake()
                await clock.pass_time(HOUR)
            made.post(Action(Verb.RETRY_ALL))
            await green(made, clock)
            lived = time.thread_time() - began
            for number in range(CLICKS):
                made.post(Action(Verb.RETRY, f"w{number % size}"))
                await clock.pass_time(1.0)
            clicked = time.thread_time() - began - lived
            longest.stop()  # the end is one step for all
    return {
        "longest_ms": longest.seconds * 1000,
        "green_ms": started * 1000,
        "each_ms": lived / size * 1000,
        "click_ms": clicked / CLICKS * 1000,
    }


async def green(made: Any, clock: Any) -> None:
    """Wait until every workload runs; virtual time passes only when nothing else can happen."""
    from trayapp.core.model import Phase

    for _ in range(10_000):
        await clock.pass_time(0.1)
        if all(w.phase is Phase.VALID for w in made.workloads.values()):
            return
    raise SystemExit("the workloads did not become green")


class Longest:
    """Times every step of the loop within a `with` block, and holds the longest."""

    def __enter__(self) -> Longest:
        self.seconds = 0.0
        before = self._before = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            before(handle)
            if asyncio.Handle._run is timed:  # not the step that stops it
                self.seconds = max(self.seconds, time.thread_time() - began)

        asyncio.Handle._run = timed  # type: ignore[assignment,method-assign]
        return self

    def stop(self) -> None:
        """Measure no more."""
        asyncio.Handle._run = self._before  # type: ignore[method-assign]

    def __exit__(self, *error: object) -> None:
        self.stop()


if __name__ == "__main__":
    main()
