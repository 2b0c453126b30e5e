"""Search for the shortest plan that loses a login: `python -m tests.simulation.search --grace 60`.

Random weeks (`deep.py`) tell how often a login is lost; this asks how little it takes. A plan is a few events of one short
world with one workload. Hypothesis varies plans towards those that leave a token in doubt for longest, and shrinks what it
finds; then only cheaper plans count, until none is found. A broken invariant ends the search, with its plan.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, find, settings, target
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from tests.simulation import runner
from tests.simulation.loop import VirtualLoop
from tests.simulation.plan import KINDS, Plan, PlannedEvent
from tests.simulation.planned import random_stream
from tests.simulation.servers import AuthServer
from tests.simulation.world import World

HOST = "as0.example"  # of no known provider
LIFE = 300.0  # s of its access tokens, so that there are several refreshes
LASTS = 1500  # s that a world lasts after its first event
EVENTS = 4  # at most in one plan
LATEST = 600  # s; the latest event: by then there were two refreshes
LONGEST = 900  # s; the longest trouble
MAX_SHRINKS = 12  # rounds of looking for a cheaper plan

# The first ones are preferred when a plan is shrunk.
TROUBLES = (
    ("roam", ""),
    ("crash", ""),
    *(("fuse", str(point)) for point in (1, 2, 4, 8, 12, 16, 20)),
    ("oneway", ""),
    *(("storm", f"{HOST} {kind}") for kind in ("broken200", "hang", "reset", "502", "503", "timeout")),
    ("link down", ""),
    ("move", ""),
    ("sleep", ""),
    ("routes", "hang"),
    ("nat", "0.02"),
    *((f"keyring {kind}", "") for kind in ("lock", "failing", "hang", "read_only", "stale", "lying")),
    ("disk full", ""),
    ("disk hang", ""),
)
INSTANTS = ("roam", "move")  # have no duration

Events = Sequence[PlannedEvent]


class BrokenInvariantError(AssertionError):
    """A plan broke a rule, which is worse than a lost login."""


@dataclass(frozen=True, slots=True)
class Played:
    """What became of one plan."""

    causes: tuple[str, ...]  # of lost logins (`losses.py`)
    doubt: float  # s; the longest that the token held was one whose successor had got lost
    history: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The cheapest plan that was found."""

    events: tuple[PlannedEvent, ...]
    played: Played

    def text(self) -> str:
        lines = [
            f"  {e.t:5.0f} s  {e.what} {e.target}" + (f" for {e.duration:.0f} s" if e.duration else "")
            for e in self.events
        ]
        return "\n".join(["plan:", *lines, f"lost: {self.played.causes[0]}", *self.played.history])


def cost(events: Events) -> tuple[int, float]:
    """What a plan takes: the number of events, then their seconds in all."""
    return len(events), sum(event.duration for event in events)


def plans(most: int = EVENTS, longest: int = LONGEST) -> st.SearchStrategy[list[PlannedEvent]]:
    """All plans of up to `most` events, none longer than `longest` seconds."""

    def event(trouble: tuple[str, str], t: int, duration: int) -> PlannedEvent:
        what, rest = trouble
        return PlannedEvent(float(t), what, 0.0 if what in INSTANTS else float(duration), rest)

    one = st.builds(event, st.sampled_from(TROUBLES), st.integers(0, LATEST), st.integers(1, longest))
    return st.lists(one, min_size=1, max_size=most)


def play(events: Events, grace: float, seed: int = 0) -> Played:
    """Carry out this plan in a world where nothing else happens, until a login is lost."""
    made: list[World] = []
    doubts: list[float] = [0.0]

    async def live() -> None:
        end = LASTS + max(event.t + event.duration for event in events)
        order = sorted(events, key=lambda e: e.t)
        plan = Plan(end, (*order, PlannedEvent(end, "clock step")))  # a clock that is set by nothing ends the world
        server = AuthServer(HOST, rotates=True, grace=grace, life=LIFE, rng=random_stream(seed, HOST))
        world = World(seed, 1, 1, frozenset(KINDS), servers=[server], planned=plan)
        world.native = world.signals = True
        made.append(world)
        watching = asyncio.ensure_future(_watch(world, doubts))
        with runner.catching_exceptions(world):
            await world.live()
        watching.cancel()

    with asyncio.Runner(loop_factory=VirtualLoop) as loop:
        loop.get_loop().set_exception_handler(lambda _, context: None)  # ignore what a crash leaves behind
        loop.run(live())
    world = made[0]
    history = tuple(runner.lines(world, "w0"))
    if world.failure is not None:
        raise BrokenInvariantError("\n".join([f"{world.failure[1]}: {world.failure[2]}", *map(str, events), *history]))
    return Played(tuple(world.checks.losses), max(doubts), history)


async def _watch(world: World, doubts: list[float]) -> None:
    """Note for how long a token was in doubt, and end the world with its first lost login."""
    truth = world.checks.truths["w0"]
    while not world.checks.losses:
        if (doubt := truth.doubts.get(truth.held)) is not None:
            doubts.append(world.clocks.t - doubt.acted_t)
        await asyncio.sleep(1.0)
    world.stop.set()


def shortest(
    grace: float, *, most: int = EVENTS, longest: int = LONGEST, examples: int = 2000, random: bool = False
) -> Found | None:
    """The cheapest plan that loses a login, as far as `examples` plans per round show; None if none of them does."""
    best: Found | None = None
    how = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=not random,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.target, Phase.shrink),
    )

    def loses(events: list[PlannedEvent]) -> bool:
        if best is not None and cost(events) >= cost(best.events):
            return False
        played = play(events, grace)
        target(min(played.doubt, 10.0 * LONGEST), label="seconds in doubt")
        return bool(played.causes)

    for _ in range(MAX_SHRINKS):
        try:
            events = find(plans(most, longest), loses, settings=how)
        except NoSuchExample:
            break
        best = Found(tuple(sorted(events, key=lambda e: e.t)), play(events, grace))
        most = len(events)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.search", description=__doc__)
    parser.add_argument("--grace", type=float, default=60.0, help="s for which the server accepts a spent token")
    parser.add_argument("--events", type=int, default=EVENTS, help="at most in a plan")
    parser.add_argument("--longest", type=int, default=LONGEST, help="s that one trouble may last")
    parser.add_argument("--examples", type=int, default=2000, help="plans per round")
    parser.add_argument("--random", action="store_true", help="other plans each time")
    args = parser.parse_args()
    found = shortest(args.grace, most=args.events, longest=args.longest, examples=args.examples, random=args.random)
    if found is None:
        print(f"none of {args.examples} plans loses a login")
        return 1
    count, seconds = cost(found.events)
    print(f"grace {args.grace:.0f} s: {count} event{'s' * (count > 1)} of {seconds:.0f} s in all")
    print(found.text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
