"""Checks of attempts under way: how many (M8, M11), and that a token is spent only over a connection that was proven."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tests.simulation.sharing import Ways
from tests.simulation.truth import Call, Truth
from trayapp.core.messages import Event, Finished
from trayapp.core.model import Trigger, Workload
from trayapp.core.outcomes import Fault, NotSent, Reply
from trayapp.engine.paths import RESCUES, TRIES, WINDOW
from trayapp.engine.ports import SystemChange
from trayapp.oauth.progress import SEND_WITHIN, RequestProgress
from trayapp.oauth.wire import CHANGES, CHANGES_WINDOW

if TYPE_CHECKING:
    from tests.simulation.world import World

EPSILON = 0.01  # s


class Preflight:
    """Observes every attempt from its first packet to its end."""

    def __init__(self, world: World, truths: dict[str, Truth]) -> None:
        self._world = world
        self.ways = Ways(world, truths)
        self._unsent: dict[str, deque[float]] = {}  # by server: when attempts ended of which nothing was sent
        self._run = -1
        self._noticed: deque[float] = deque(maxlen=CHANGES + 1)  # when the program noticed a change
        self._noticed_epoch = -1  # of the network

    def _broken(self, name: str, what: str) -> None:
        self._world.broke(name, "preflight", what)

    def begins(self, call: Call, *, in_doubt: bool) -> None:
        """An attempt begins."""
        if call.run != self._run:  # a restart forgets earlier attempts, as it does their instants
            self._run = call.run
            self._unsent.clear()
        if call.trigger is Trigger.MANUAL:
            return
        most = TRIES + (RESCUES if in_doubt else 0)
        recent = self._unsent.get(call.server, ())
        if sum(t > call.t - WINDOW + EPSILON for t in recent) >= most:
            self._broken(call.name, f"more than {most} attempts in a minute that sent nothing")

    def noticed(self, seen: SystemChange) -> None:
        """The program has noticed that the machine woke, or that its network changed."""
        self.ways.changed(nudge=seen.woke or (seen.network and not seen.offline))
        if seen.network or seen.woke:
            self._noticed.append(self._world.clocks.t)
            self._noticed_epoch = self._world.network.epoch

    def _restless(self) -> bool:
        """Whether the network changes so often that not every change ends an attempt (M8)."""
        noticed = self._noticed
        return len(noticed) > CHANGES and self._world.clocks.t - noticed[0] < CHANGES_WINDOW + SEND_WITHIN

    def alone(self, call: Call, flying: list[Call]) -> None:
        """This attempt is to begin beside those that are under way."""
        flying = [other for other in flying if other.run == call.run]
        if any(other.name == call.name for other in flying):
            self._world.broke(call.name, "single flight", "a second request while the first is in flight (M11)")
        if len(flying) >= 8 or sum(other.server == call.server for other in flying) >= 2:
            self._world.broke(call.name, "single flight", "more requests in flight than M11 allows")
        self.ways.begins(call, flying)

    def opens_at(self, server: str) -> float:
        """Until when that limit may hold automatic attempts back (true time)."""
        recent = self._unsent.get(server, ())
        return recent[-TRIES] + WINDOW if len(recent) >= TRIES else 0.0

    def sent(self, call: Call, progress: RequestProgress | None) -> None:
        """The request leaves; `progress` is None if no connection was proven before."""
        world = self._world
        if progress is None:
            self._broken(call.name, "a token was sent before its connection was proven")
        elif world.network.epoch == call.epoch:
            return
        elif progress.overtaken or (self._noticed_epoch > call.epoch and not self._restless()):
            self._broken(call.name, "a token was sent after the program had noticed another network")
        # What changes in silence, within `SEND_WITHIN` of connecting, shows in nothing: the last look can't see it.
        elif world.clocks.now().at - progress._connected_at > SEND_WITHIN + EPSILON:
            self._broken(call.name, "a token was sent over a connection that an earlier network had proven")

    def acted(self, call: Call) -> None:
        """The server has handled the request."""
        if not call.sent:
            self._broken(call.name, "a token was spent that was never sent")

    def ended(self, call: Call, reply: Reply) -> None:
        """The attempt has ended with this reply."""
        world, sent = self._world, not isinstance(reply, Fault) or reply.sent
        if sent is not call.sent:
            self._broken(call.name, f"the program takes it for {'sent' if sent else 'not sent'}, which it wasn't")
        if isinstance(reply, Fault) and reply.kind in ("request", "internal"):
            self._broken(call.name, f"an unexpected fault: {reply.kind}, {reply.summary}")
        self.ways.ended(call, reply)
        if sent:
            return
        self._unsent.setdefault(call.server, deque(maxlen=TRIES + RESCUES)).append(world.clocks.t)
        if world.network.troubles["loss"] and isinstance(reply, Fault) and reply.kind == "connect_timeout":
            # Where packets get lost a handshake may take longer than it may; no event will report the end of that.
            world.checks.recovery.answer_lost(call.name)

    def applied(self, name: str, before: Workload, event: Event, after: Workload) -> None:
        """The engine has taken note of an outcome."""
        self.ways.applied(name, before, event, after)
        if not isinstance(event, Finished) or not isinstance(event.outcome, NotSent) or before.attempt is None:
            return
        if before.attempt.number == event.attempt and before.attempt.began.at in after.recent:
            self._broken(name, "an attempt that sent nothing counts towards the limit of attempts")
