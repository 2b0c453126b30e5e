"""One world from its seed, what came of it, and the shortest way to a broken invariant."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.simulation.loop import StalledError, VirtualLoop
from tests.simulation.plan import DAY, KINDS
from tests.simulation.world import World

SHOWN = 60  # lines of a shortened history


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one world."""

    seed: int
    days: float  # lived, until the end or the first broken invariant
    seconds: float  # of real time
    requests: int
    runs: int
    losses: int  # families that a server ended because a spent token came again
    digest: str  # of the whole history: equal for equal seeds
    failure: tuple[str, str, str] | None = None
    history: tuple[str, ...] = ()
    without: frozenset[str] = field(default=frozenset())

    def text(self) -> str:
        """The broken invariant and what led to it."""
        assert self.failure is not None
        name, rule, what = self.failure
        head = f"seed {self.seed}, day {self.days:.2f}, workload {name or '-'}: {rule}: {what}"
        off = f"\nswitched off without changing that: {', '.join(sorted(self.without))}" if self.without else ""
        return f"{head}{off}\n" + "\n".join(self.history)


def run(seed: int, days: int, workloads: int = 3, without: frozenset[str] = frozenset()) -> Report:
    """Live this world."""
    began = time.perf_counter()
    made: list[World] = []
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.get_loop().set_exception_handler(lambda loop, context: None)  # what a crash left behind
            runner.run(_live(seed, days, workloads, without, made))
    except StalledError as error:
        made[0].broke("", "spin", str(error))
    world = made[0]
    name = world.failure[0] if world.failure else ""
    return Report(
        seed=seed,
        days=min(world.clocks.t / DAY, float(days)),
        seconds=time.perf_counter() - began,
        requests=world.checks.calls,
        runs=world.runs,
        losses=world.checks.losses,
        digest=world.digest,
        failure=world.failure,
        history=tuple(_lines(world, name)) if world.failure else (),
        without=without,
    )


async def _live(seed: int, days: int, workloads: int, without: frozenset[str], made: list[World]) -> None:
    world = World(seed, days, workloads, without)
    made.append(world)
    with _listening(world):
        await world.live()


@contextmanager
def _listening(world: World) -> Iterator[None]:
    """An exception that the engine had to catch is a broken invariant too (M13)."""
    log, ear = logging.getLogger("trayapp"), _Ear(world)
    before, through = log.level, log.propagate
    log.addHandler(ear)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(ear)
        log.setLevel(before)
        log.propagate = through


class _Ear(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None and self._world.process is not None:
            error = record.exc_info[1]
            if not isinstance(error, asyncio.CancelledError) and isinstance(error, Exception):
                text = logging.Formatter().formatException(record.exc_info)
                self._world.broke("", "exception", f"{record.getMessage()}\n{text}")


def _lines(world: World, name: str) -> Iterator[str]:
    """The last lines that concern the workload or everybody."""
    mine = [line for line in world.history if line[1] in (name, "") or not name]
    for t, who, text, values in mine[-SHOWN:]:
        day, rest = divmod(t, DAY)
        clock = f"{int(rest // 3600):02}:{int(rest % 3600 // 60):02}:{rest % 60:05.2f}"
        yield f"  day {int(day):3} {clock} {who:4}{text.format(*values)}"


def shortened(report: Report, days: int, workloads: int) -> Report:
    """The same rule broken with as many kinds of fault switched off as possible: what is left is what it takes."""
    assert report.failure is not None
    best, rule = report, report.failure[1]
    for kind in KINDS:
        tried = run(report.seed, days, workloads, best.without | {kind})
        if tried.failure is not None and tried.failure[1] == rule:
            best = tried
    return best
