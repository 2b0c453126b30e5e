"""Running one world from its seed: the report, and the shortest history that still breaks the invariant."""

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
    """The result of one world."""

    seed: int
    days: float  # simulated, until the end or the first broken invariant
    seconds: float  # of real time
    requests: int
    runs: int
    losses: int  # families that a server ended because a spent token came again
    causes: dict[str, int]  # the same, by cause (`losses.py`)
    digest: str  # of the whole history: equal for equal seeds
    failure: tuple[str, str, str] | None = None
    history: tuple[str, ...] = ()
    without: frozenset[str] = field(default=frozenset())

    def text(self) -> str:
        """The broken invariant and its history."""
        assert self.failure is not None
        name, rule, what = self.failure
        head = f"seed {self.seed}, day {self.days:.2f}, workload {name or '-'}: {rule}: {what}"
        off = f"\nswitched off without changing that: {', '.join(sorted(self.without))}" if self.without else ""
        return f"{head}{off}\n" + "\n".join(self.history)


def run(seed: int, days: int, workloads: int = 3, without: frozenset[str] = frozenset()) -> Report:
    """Simulate this world."""
    began = time.perf_counter()
    made: list[World] = []
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.get_loop().set_exception_handler(lambda loop, context: None)  # ignore what a crash leaves behind
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
        losses=world.checks.losses.total(),
        causes=dict(world.checks.losses),
        digest=world.digest,
        failure=world.failure,
        history=tuple(lines(world, name)) if world.failure else (),
        without=without,
    )


async def _live(seed: int, days: int, workloads: int, without: frozenset[str], made: list[World]) -> None:
    world = World(seed, days, workloads, without)
    made.append(world)
    with catching_exceptions(world):
        await world.live()


@contextmanager
def catching_exceptions(world: World) -> Iterator[None]:
    """Treat an exception that the engine had to catch as a broken invariant (M13)."""
    log, handler = logging.getLogger("trayapp"), _ExceptionHandler(world)
    before, through = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.ERROR)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
        log.propagate = through


class _ExceptionHandler(logging.Handler):
    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None and self._world.process is not None:
            error = record.exc_info[1]
            if not isinstance(error, asyncio.CancelledError) and isinstance(error, Exception):
                text = logging.Formatter().formatException(record.exc_info)
                self._world.broke("", "exception", f"{record.getMessage()}\n{text}")


def lines(world: World, name: str) -> Iterator[str]:
    """The last lines that concern this workload or all of them."""
    mine = [line for line in world.history if line[1] in (name, "") or not name]
    for t, target, text, values in mine[-SHOWN:]:
        day, rest = divmod(t, DAY)
        clock = f"{int(rest // 3600):02}:{int(rest % 3600 // 60):02}:{rest % 60:05.2f}"
        yield f"  day {int(day):3} {clock} {target:4}{text.format(*values)}"


def shortened(report: Report, days: int, workloads: int) -> Report:
    """The same rule broken with as many kinds of fault switched off as possible."""
    assert report.failure is not None
    best, rule = report, report.failure[1]
    for kind in KINDS:
        tried = run(report.seed, days, workloads, best.without | {kind})
        if tried.failure is not None and tried.failure[1] == rule:
            best = tried
    return best
