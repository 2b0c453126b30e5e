"""Planted bugs, one at a time: which invariant catches each, and after how many laptop-days.

`python -m tests.simulation.planted_bugs`. Each is a small, plausible mistake in a copy of one function; everything else
is unchanged. A world with the bug in place must break an invariant, or the simulation would be worthless.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from tests.simulation import network_plan, plan, runner
from tests.simulation.planned import PlannedEvent
from tests.simulation.planted_login_bugs import LOGIN_BUGS
from trayapp.core import attempts, classify, gate, machine, messages, model, outcomes, schedule, storing
from trayapp.core.model import Moment, Phase, Step, Workload
from trayapp.engine.effects import EffectRunner
from trayapp.engine.engine import Engine
from trayapp.engine.paths import IN_FLIGHT_PER_SERVER, Paths
from trayapp.oauth.progress import RequestProgress
from trayapp.oauth.wire import Wire
from trayapp.storage import journal
from trayapp.vault import login_store, slots

PATIENCE = 30  # worlds
DAYS = 8  # of each
OFTEN = 20  # times as many events of a kind where a mistake shows too rarely


@dataclass(frozen=True, slots=True)
class Bug:
    """A mistake, how to plant it, and the rules that may catch it."""

    name: str
    plant: Callable[[], AbstractContextManager[Any]]
    caught_by: frozenset[str]  # the rules that may name it


def _table(phase: Phase, event: type[messages.Event], action: Any) -> AbstractContextManager[Any]:
    rows = {**machine.TABLE, phase: {**machine.TABLE[phase], event: action}}
    return mock.patch.object(machine, "TABLE", rows)


def _no_intent() -> AbstractContextManager[Any]:
    async def intent(self: object, *args: object) -> bool:
        return True

    return mock.patch.object(journal.Journal, "intent", intent)


@contextmanager
def _sleep_counts() -> Iterator[None]:
    """In worlds whose servers are in trouble so often that outages last for hours."""
    now, storms = Engine.now, plan._storms

    def often(*args: Any) -> Iterator[PlannedEvent]:
        for _ in range(OFTEN):
            yield from storms(*args)

    def awake_all_night(self: Engine) -> Moment:
        real = now(self)
        return Moment(real.at, real.at, real.wall)

    with mock.patch.object(plan, "_storms", often), mock.patch.object(Engine, "now", awake_all_night):
        yield


def _no_settling() -> AbstractContextManager[Any]:
    return mock.patch.object(gate.Gate, "settles_at", return_value=None)


@contextmanager
def _late_answers() -> Iterator[None]:
    """An abandoned attempt continues, and any answer is taken for the awaited one."""

    def finished(w: Workload, e: messages.Finished) -> storing.Result:
        if w.login is None or w.attempt is None:
            return real(w, e)
        return real(w, replace(e, attempt=w.attempt.number))

    def late(w: Workload, e: messages.Finished) -> storing.Result:
        if w.login is None or not isinstance(e.outcome, outcomes.Refreshed):
            return w, ()
        attempt = model.Attempt(e.attempt, model.Trigger.DUE, Step.SENT, e.now, e.fingerprint, e.lineage)
        return real(replace(w, phase=Phase.REFRESHING, attempt=attempt), e)

    real, perform = attempts.finished, EffectRunner.perform

    def without_abandon(self: EffectRunner, name: str, effect: messages.Effect) -> None:
        if not isinstance(effect, messages.Abandon):
            perform(self, name, effect)

    rows = {phase: {**row, messages.Finished: late} for phase, row in machine.TABLE.items()}
    rows[Phase.REFRESHING][messages.Finished] = finished
    with mock.patch.object(machine, "TABLE", rows), mock.patch.object(EffectRunner, "perform", without_abandon):
        yield


def _highest_slot() -> AbstractContextManager[Any]:
    def target(pair: tuple[slots.Slot, slots.Slot], avoid: str | None, login: model.Login) -> slots.Slot:
        return next(slot for slot in pair if avoid is None or slot.letter == avoid)

    return mock.patch.object(slots, "target", target)


def _firewall_is_a_verdict() -> AbstractContextManager[Any]:
    real = classify.classify

    def judged(reply: outcomes.Reply, provider: str = "", wall: float = 0.0) -> outcomes.Outcome:
        if isinstance(reply, outcomes.Answer) and reply.status == 403:
            return outcomes.Refused(model.Problem("oauth", "403", 403, "forbidden"))
        return real(reply, provider, wall)

    return mock.patch("trayapp.engine.effects.classify", judged)


def _twice_at_once() -> AbstractContextManager[Any]:
    def begin_a_second_one(w: Workload, e: messages.NetworkUp) -> storing.Result:
        return attempts.begin(w, messages.Go(e.now))

    return _table(Phase.REFRESHING, messages.NetworkUp, begin_a_second_one)


def _no_mark() -> AbstractContextManager[Any]:
    def forgotten(w: Workload, e: messages.Finished) -> storing.Result:
        w, effects = attempts.finished(w, e)
        return replace(w, maybe_spent=False), effects

    return _table(Phase.REFRESHING, messages.Finished, forgotten)


def _no_retry_after() -> AbstractContextManager[Any]:
    return mock.patch.object(schedule, "retry_after", return_value=0.0)


def _rejected_is_served() -> AbstractContextManager[Any]:
    def usable(self: model.AccessToken, at: float, margin: float) -> bool:
        ends = self.ends_at(margin)
        return ends is None or at < ends

    return mock.patch.object(model.AccessToken, "usable", usable)


def _unsaved_is_lost() -> AbstractContextManager[Any]:
    def forget(w: Workload, now: Moment) -> Workload:
        return replace(w, unsaved=False)

    return mock.patch.object(storing, "schedule_write", forget)


def _unsent_counts() -> AbstractContextManager[Any]:
    def finished(w: Workload, e: messages.Finished) -> storing.Result:
        after, effects = attempts.finished(w, e)
        return replace(after, recent=w.recent), effects

    return _table(Phase.REFRESHING, messages.Finished, finished)


@contextmanager
def _no_last_look() -> Iterator[None]:
    """The token leaves over any connection that was made, however long ago and over whatever network."""

    async def ready(self: RequestProgress) -> None:
        if self.connecting is not None:
            self.connecting.reschedule(None)

    def unnoticed(self: Wire) -> None:
        pass

    with (
        mock.patch.object(RequestProgress, "_ready_to_send", ready),
        mock.patch.object(Wire, "network_changed", unnoticed),
    ):
        yield


def _sent_too_late() -> AbstractContextManager[Any]:
    """A request is called sent when its answer begins, not when it leaves."""
    call = RequestProgress.__call__

    async def traced(self: RequestProgress, name: str, info: Any) -> None:
        await call(self, name, info)
        self.sent = self.answered

    return mock.patch.object(RequestProgress, "__call__", traced)


def _two_at_an_unproven_way() -> AbstractContextManager[Any]:
    return mock.patch.object(Paths, "slots", return_value=IN_FLIGHT_PER_SERVER)


def _every_server_is_told() -> AbstractContextManager[Any]:
    """A server that can't be reached postpones the workloads of all others as well."""
    return mock.patch("trayapp.engine.effects.server_of", return_value=mock.ANY)


def _every_way_is_proven() -> AbstractContextManager[Any]:
    """A wake or another network leaves the ways as proven as they were."""
    return mock.patch.object(Paths, "doubt", return_value=None)


def _lost_answer_proves() -> AbstractContextManager[Any]:
    tried = Paths.tried

    def answered(self: Paths, server: str, outcome: outcomes.Outcome, at: float) -> bool:
        if isinstance(outcome, outcomes.Ambiguous):
            outcome = outcomes.ServerBusy(outcome.problem)
        return tried(self, server, outcome, at)

    return mock.patch.object(Paths, "tried", answered)


def _old_failure_counts() -> AbstractContextManager[Any]:
    def told(w: Workload, e: messages.Unreachable) -> storing.Result:
        return attempts.unreachable(w, replace(e, began=e.now.at))

    return _table(Phase.WAITING, messages.Unreachable, told)


def _unsent_lifts_the_mark() -> AbstractContextManager[Any]:
    def finished(w: Workload, e: messages.Finished) -> storing.Result:
        w, effects = attempts.finished(w, e)
        return (replace(w, maybe_spent=False) if isinstance(e.outcome, outcomes.NotSent) else w), effects

    return _table(Phase.REFRESHING, messages.Finished, finished)


@contextmanager
def _old_connections_are_used() -> Iterator[None]:
    """In worlds whose network changes more often than usual between connecting and sending."""
    midway = network_plan.AT_RANDOM["midway"]

    def often(*args: Any) -> Iterator[PlannedEvent]:
        for _ in range(OFTEN):
            yield from midway(*args)

    with (
        mock.patch.dict(network_plan.AT_RANDOM, midway=often),
        mock.patch.object(Wire, "network_changed", return_value=None),
    ):
        yield


def _unsteady_is_steady() -> AbstractContextManager[Any]:
    return mock.patch.object(gate, "UNSTEADY", 0.0)


def _life_from_arrival() -> AbstractContextManager[Any]:
    def finished(w: Workload, e: messages.Finished) -> storing.Result:
        if w.attempt is not None and isinstance(e.outcome, outcomes.Refreshed):
            w = replace(w, attempt=replace(w.attempt, began=e.now))
        return attempts.finished(w, e)

    return _table(Phase.REFRESHING, messages.Finished, finished)


def _any(*rules: str) -> frozenset[str]:
    return frozenset(rules)


BUGS = (
    Bug("the intent is not written down", _no_intent, _any("lost rotation")),
    Bug("sleep counts towards the ceiling", _sleep_counts, _any("ceiling")),
    Bug("nothing has to settle", _no_settling, _any("gate")),
    Bug("a late answer is accepted", _late_answers, _any("replaced", "lost", "storage", "single flight", "colour", "red")),
    Bug("the highest slot is written", _highest_slot, _any("storage")),
    Bug("a firewall's 403 is a verdict", _firewall_is_a_verdict, _any("red", "lost")),
    Bug("a network change sends two refreshes at the same time", _twice_at_once, _any("single flight")),
    Bug("the maybe-spent mark is forgotten", _no_mark, _any("lost rotation")),
    Bug("Retry-After is ignored", _no_retry_after, _any("Retry-After")),
    Bug("a rejected token is served", _rejected_is_served, _any("callers")),
    Bug("an attempt that sent nothing counts towards the limit", _unsent_counts, _any("preflight")),
    Bug("the token leaves without a last look", _no_last_look, _any("preflight")),
    Bug("a request counts as sent when it is answered", _sent_too_late, _any("preflight")),
    Bug("two attempts over an unproven way", _two_at_an_unproven_way, _any("one way")),
    Bug("one server's failure counts at every server", _every_server_is_told, _any("shared")),
    Bug("a network change leaves every way proven", _every_way_is_proven, _any("one way")),
    Bug("an answer that never came proves the way", _lost_answer_proves, _any("one way")),
    Bug("a failure over the old network counts on the new one", _old_failure_counts, _any("shared")),
    Bug("an attempt that sent nothing lifts the mark", _unsent_lifts_the_mark, _any("lost rotation")),
    Bug("a network change leaves attempts on the old network", _old_connections_are_used, _any("preflight")),
    Bug("an unsteady network settles like any other", _unsteady_is_steady, _any("gate")),
    Bug("a token's life counts from its arrival", _life_from_arrival, _any("callers")),
    *(Bug(*each) for each in LOGIN_BUGS),
    Bug("a login that was not stored is forgotten", _unsaved_is_lost, _any("unsaved", "storage", "replaced", "lost", "quit")),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Catch:
    """The result of hunting a bug."""

    bug: Bug
    days: float  # lived until it was caught
    report: runner.Report | None


def hunt(bug: Bug, first_seed: int = 0, worlds: int = PATIENCE) -> Catch:
    """Simulate worlds with this bug until an invariant catches it."""
    days = 0.0
    with bug.plant():
        for seed in range(first_seed, first_seed + worlds):
            report = runner.run(seed, DAYS)
            days += report.days
            if report.failure is not None and report.failure[1] in bug.caught_by:
                return Catch(bug, days, report)
    return Catch(bug, days, None)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted_bugs", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--show", action="store_true", help="print the history of each catch")
    args = parser.parse_args()
    missed = 0
    print(f"{'planted':<44}{'days':>6}  caught by")
    for bug in BUGS:
        catch = hunt(bug, args.seed)
        missed += catch.report is None
        _, rule, what = catch.report.failure if catch.report and catch.report.failure else ("", "nobody", "")
        print(f"{bug.name:<44}{catch.days:>6.1f}  {rule}: {what}", flush=True)
        if args.show and catch.report is not None:
            print(catch.report.text())
    return 1 if missed else 0


__all__ = ["BUGS", "hunt", "login_store"]

if __name__ == "__main__":
    sys.exit(main())
