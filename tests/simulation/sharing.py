"""Workloads that share an authorization server, and what M8 says about the one way to it. Ground truth, as in `checks.py`.

In about a third of the worlds two workloads have the same server. After a change of the machine, an attempt that sent
nothing or an answer that never came, the way to a server is unproven until it answers: only one attempt may be under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.planned import random_stream
from tests.simulation.servers import AuthServer
from tests.simulation.truth import Call, Truth
from trayapp.core.messages import Event, Unreachable
from trayapp.core.model import Workload
from trayapp.core.outcomes import Answer, Reply

if TYPE_CHECKING:
    from tests.simulation.world import World

EPSILON = 0.01  # s
SHARED = 1 / 3  # of the worlds
NEXT = 2.0  # s after the end of an attempt in which the next one of its server begins


def shared(seed: int, servers: list[AuthServer]) -> list[AuthServer]:
    """The server of each workload: in some worlds two of them have the same one."""
    rng = random_stream(seed, "shared servers")
    if len(servers) < 2 or rng.random() >= SHARED:
        return servers
    kept, left = rng.sample(range(len(servers)), k=2)
    return [servers[kept] if number == left else server for number, server in enumerate(servers)]


def each_once(servers: list[AuthServer]) -> list[AuthServer]:
    """The servers of a world, in the order of its workloads."""
    return list({server.host: server for server in servers}.values())


class Ways:
    """Which ways are proven, and whose attempt another workload has to wait for."""

    def __init__(self, world: World, truths: dict[str, Truth]) -> None:
        self._world = world
        self._truths = truths
        self._hosts: set[str] = set()
        self._unproven: set[str] = set()
        self._unsent: dict[str, Call] = {}  # by server: the latest attempt that sent nothing
        self._nudged_t = float("-inf")

    def started(self) -> None:
        """A new run of the program knows of no failure."""
        self._hosts = {truth.server.host for truth in self._truths.values()}
        self._unproven.clear()
        self._unsent.clear()
        self._nudged_t = float("-inf")

    def changed(self, *, nudge: bool) -> None:
        """The program has noticed a change of the machine; a wake or another network is a nudge."""
        self._unproven |= self._hosts
        if nudge:
            self._nudged_t = self._world.clocks.t

    def begins(self, call: Call, flying: list[Call]) -> None:
        """An attempt begins beside those under way."""
        beside = [other for other in flying if other.run == call.run and other.server == call.server]
        if call.server in self._unproven and any(other.name != call.name for other in beside):
            self._world.broke(call.name, "one way", "a second attempt while the way to its server is unproven (M8)")

    def ended(self, call: Call, reply: Reply) -> None:
        """An attempt has ended with this reply. Of one whose run was over by then, the next run knows nothing."""
        if self._world.process is None or self._world.process.number != call.run:
            return
        if isinstance(reply, Answer):
            answered = bool(reply.status != 200 or "json" not in str(reply.headers) or self._world.body(reply))
            (self._unproven.discard if answered else self._unproven.add)(call.server)
            return
        self._unproven.add(call.server)
        if not reply.sent:
            self._unsent[call.server] = call
            self._counts_for_others(call)

    def _counts_for_others(self, call: Call) -> None:
        """The rules of an attempt that sent nothing say when the server's other workloads try (M8)."""
        for other in self.neighbours(self._truths[call.name]):
            if other.flying is None:
                other.since_nudge += 1  # one of those that M6 asks for
                self._world.checks.recovery.failed(other.name, call.t)

    def neighbours(self, truth: Truth) -> list[Truth]:
        """The other workloads of its server."""
        return [each for each in self._truths.values() if each.server is truth.server and each is not truth]

    def free_at(self, truth: Truth, since: float) -> float:
        """Until when another workload's attempt may have the only place at its server (true time); 0: none has.

        The one that has waited longest is next (M11), so after `since` that may be so once between two of its own attempts;
        and once more if the first one got no answer, as the repeat of a token in doubt comes before all others.
        """
        t, mine = self._world.clocks.t, truth.calls[-1].t if truth.calls else float("-inf")
        for other in self.neighbours(truth):
            run = other.calls[-1].run if other.calls else -1
            calls = [call for call in other.calls if call.t > max(since, mine) and call.run == run]
            later = [call for call in calls if call.sent or call.ended is None]  # what sent nothing was shared
            repeats = len(later) == 2 and later[0].token == later[1].token and later[0].sent and not later[0].delivered
            if len(later) == 1 or repeats:
                ended = later[-1].ended
                if ended is not None:
                    return ended + NEXT
                if truth.server.host in self._unproven:
                    return t + 1.0
        return 0.0

    def occupied(self, truth: Truth, since: float) -> float:
        """For how many seconds since then its server was busy with other workloads' attempts."""
        t = self._world.clocks.t
        calls = [call for other in self.neighbours(truth) for call in other.calls]
        return sum(max(0.0, (t if call.ended is None else call.ended) - max(call.t, since)) for call in calls)

    def applied(self, name: str, before: Workload, event: Event, after: Workload) -> None:
        """The engine has told a workload that there is no way to its server."""
        if not isinstance(event, Unreachable) or after is before:
            return
        call, t = self._unsent.get(self._truths[name].server.host), self._world.clocks.t
        if call is None or call.ended is None or t - call.ended > EPSILON:
            self._world.broke(name, "shared", "postponed, and no attempt at its server has failed (M8)")
        elif call.name == name:
            self._world.broke(name, "shared", "its own failure counts twice (M8)")
        elif call.t < self._nudged_t - EPSILON:
            self._world.broke(name, "shared", "postponed by an attempt over an earlier network (M8)")
        elif self._in_doubt(self._truths[name]):
            self._world.broke(name, "shared", "the rescue of a token in doubt is postponed (M8)")

    def _in_doubt(self, truth: Truth) -> bool:
        """Whether this run has sent its token, and no answer came."""
        doubt, process = truth.doubts.get(truth.held), self._world.process
        if doubt is None or doubt.learned_t is None or process is None:
            return False
        return doubt.call.run == process.number


__all__ = ["Ways", "each_once", "shared"]
