"""The configuration is taken up in slices: never half a workload, one configuration after the other, in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.engines import Tokens, VirtualClock, World, settled, virtual_engine
from trayapp.core.model import Phase, Spec, Workload
from trayapp.core.presentation import Verb
from trayapp.engine.roster import TAKEN, Roster

MANY = 10 * TAKEN


def specs(*numbers: int, client: str = "client") -> list[Spec]:
    return [Spec(f"w{n}", f"https://w{n}.example", client, token_endpoint="https://as.example/token") for n in numbers]


class Book:
    """A roster whose workloads do nothing. `story` says what happened, with the turn of the loop in which it did."""

    def __init__(self) -> None:
        self.workloads: dict[str, Workload] = {}
        self.story: list[tuple[int, str]] = []
        self.turn = 0
        self.roster = Roster(self.workloads, self._add, self._change, self._drop)

    def _add(self, spec: Spec) -> None:
        self.workloads[spec.name] = Workload(spec)
        self.story.append((self.turn, f"+{spec.name}"))

    def _change(self, spec: Spec) -> None:
        self.workloads[spec.name] = replace(self.workloads[spec.name], spec=spec)
        self.story.append((self.turn, f"~{spec.name}"))

    def _drop(self, name: str) -> None:
        self.story.append((self.turn, f"-{name}"))
        del self.workloads[name]
        self.roster.removed(name)

    @property
    def in_one_turn(self) -> int:
        """The most that happened in one turn of the loop."""
        turns = [turn for turn, _ in self.story]
        return max(turns.count(turn) for turn in turns)


@asynccontextmanager
async def counted_turns(book: Book) -> AsyncIterator[None]:
    async def count() -> None:
        while True:
            book.turn += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    try:
        yield
    finally:
        counting.cancel()
        with suppress(asyncio.CancelledError):
            await counting


async def test_a_step_of_the_loop_takes_a_slice_at_most() -> None:
    """At the start, at a change of all and at their end alike."""

    book = Book()
    async with counted_turns(book):
        for named in (specs(*range(1000)), specs(*range(1000), client="other"), []):
            book.story.clear()
            await book.roster.take(named)
            assert 1000 == len(book.story)
            assert TAKEN == book.in_one_turn
            assert {spec.name: spec for spec in named} == {name: w.spec for name, w in book.workloads.items()}
    assert not book.roster.busy


async def test_what_comes_in_the_middle_waits_and_is_taken_afterwards() -> None:
    """Each caller returns when its own configuration is in force; those dropped go first."""

    book = Book()
    later: list[asyncio.Task[None]] = []
    async with counted_turns(book):
        first = asyncio.create_task(book.roster.take(specs(*range(MANY))))
        for _ in range(3):
            await asyncio.sleep(0)
        assert 0 < len(book.story) < MANY
        later += [
            asyncio.create_task(book.roster.take(named))
            for named in (specs(*range(MANY // 2), client="other"), specs(*range(MANY // 2 + 1)))
        ]
        await first
        assert book.roster.busy
        assert [f"+w{n}" for n in range(MANY)] == [what for _, what in book.story[:MANY]]
        await later[0]
        dropped, changed = range(MANY // 2, MANY), range(MANY // 2)
        second = [f"-w{n}" for n in dropped] + [f"~w{n}" for n in changed]
        assert second == [what for _, what in book.story[MANY : 2 * MANY]]
        await later[1]
    assert [f"w{n}" for n in range(MANY // 2 + 1)] == list(book.workloads)
    assert specs(*range(MANY // 2 + 1)) == [w.spec for w in book.workloads.values()]
    assert TAKEN == book.in_one_turn


@pytest.mark.parametrize("number", [0, MANY - 1])
async def test_what_a_person_removes_in_the_middle_stays_removed(number: int) -> None:
    """Whether its slice has come or not; the next configuration that names it brings it back."""

    book = Book()
    await book.roster.take(specs(*range(MANY)))
    again = asyncio.create_task(book.roster.take(specs(*range(MANY), client="other")))
    await asyncio.sleep(0)
    del book.workloads[f"w{number}"]
    assert book.roster.removed(f"w{number}") is None
    await again
    assert MANY - 1 == len(book.workloads)
    await book.roster.take(specs(*range(MANY)))
    assert MANY == len(book.workloads)


async def test_nothing_is_taken_after_the_end() -> None:
    """Not even the rest of what has begun, and nobody waits for it."""

    book = Book()
    taking = [asyncio.create_task(book.roster.take(specs(*range(MANY)))) for _ in range(2)]
    await asyncio.sleep(0)
    book.roster.end()
    await asyncio.gather(*taking)
    assert TAKEN == len(book.workloads)


# --- in the engine ---------------------------------------------------------------------------------------------------


def named(world: World, count: int) -> list[Spec]:
    return [replace(world.w().spec, name=f"w{n}") for n in range(count)]


async def test_a_part_of_the_configuration_is_never_shown(tmp_path: Path) -> None:
    """Tray, pages and notifications see all of it or what was there before, also when two come one after the other."""

    clock = VirtualClock()
    async with virtual_engine(["one"], tmp_path, clock, Tokens()) as world:
        await clock.pass_time(5.0)
        before, one = len(world.snapshots), world.w().spec
        taking = [
            asyncio.create_task(world.engine.configure([one, *named(world, count)])) for count in (MANY, MANY // 2)
        ]
        while not all(task.done() for task in taking):
            await clock.pass_time(0.3)
        await clock.pass_time(5.0)
        assert MANY // 2 + 1 == len(world.engine.workloads)
        sizes = {len(snapshot.workloads) for _, snapshot in world.snapshots[before:]}
        assert {MANY // 2 + 1} <= sizes <= {1, MANY + 1, MANY // 2 + 1}


async def test_the_others_are_served_meanwhile(tmp_path: Path) -> None:
    """Clicks and callers have their turn between two slices."""

    clock = VirtualClock()
    async with virtual_engine(["one"], tmp_path, clock, Tokens()) as world:
        await clock.pass_time(5.0)
        taking = asyncio.create_task(world.engine.configure([world.w().spec, *named(world, MANY)]))
        await asyncio.sleep(0)
        world.do(Verb.PAUSE)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert Phase.PAUSED is world.w().phase
        assert MANY > len(world.engine.workloads)
        await taking
        assert MANY + 1 == len(world.engine.workloads)


async def test_a_quit_in_the_middle_waits_for_no_rest(tmp_path: Path) -> None:
    """What has been taken ends as usual, and nothing begins after the quit."""

    clock = VirtualClock()
    async with virtual_engine(["one"], tmp_path, clock, Tokens()) as world:
        await clock.pass_time(5.0)
        taking = asyncio.create_task(world.engine.configure([world.w().spec, *named(world, MANY)]))
        await asyncio.sleep(0)
        await world.engine.close()
        await taking
        held = len(world.engine.workloads)
        assert MANY > held > 1
        await settled()
        assert held == len(world.engine.workloads)
