"""The one owner of all workload state: events in, `machine.step`, effects out, snapshots published.

Nothing outside changes a workload. Whatever happens (an answer, a click, a wake) becomes an event and goes through
`_apply`, one at a time on the engine's loop; adapters answer by events of their own. There is one timer: the engine
sleeps until the nearest deadline that the core derives from state, at most `MAX_SLEEP`, reads its clocks and asks again.
Deadlines are therefore never armed, cancelled or forgotten, and a suspended laptop is noticed at the next look.

`post` may be called from any thread; everything else belongs to the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Unpack, assert_never

from trayapp.core import gate, machine, view
from trayapp.core.gate import Gate
from trayapp.core.messages import (
    Configured,
    Event,
    GateBlocked,
    GateUnblocked,
    Go,
    HotCall,
    KeyringUp,
    Manual,
    NetworkUp,
    Note,
    Pause,
    Remove,
    Resume,
    Shutdown,
    SignOut,
    Time,
    Woke,
)
from trayapp.core.model import AccessToken, Moment, Spec, Workload
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot, Status, Unavailable, WorkloadView
from trayapp.engine.admission import admitted
from trayapp.engine.agenda import Agenda
from trayapp.engine.callers import Callers
from trayapp.engine.effects import EffectRunner
from trayapp.engine.ports import Adapters, SystemChange
from trayapp.engine.publisher import AppFields, Publisher
from trayapp.engine.sign_ins import SignIns
from trayapp.engine.suspend import CLOSE_LOOK, SuspendDelay
from trayapp.engine.tasks import Tasks, first_of

log = logging.getLogger(__name__)

MAX_SLEEP = 30.0  # s; a wake that no event announced is noticed within this time (pizauth: 37 s, tailscale: 15 s)
RESTLESS_SLEEP = 5.0  # s; the same while something fails and nobody tells of the network that all wait for
SLICE = 16  # workloads that one step of the loop changes before others have their turn
QUIT_PATIENCE = 10.0  # s; for an attempt in flight and its storing


class Engine:
    """Owns the workloads, the gate and the timer."""

    def __init__(
        self,
        adapters: Adapters,
        publish: Callable[[Snapshot], None],
        *,
        on_verb: Callable[[Action], None] = lambda action: None,
        read_configuration: Callable[[], None] = lambda: None,
        first_gate: Gate | None = None,
    ) -> None:
        """Make it on the loop that `run` will use; events may come before that."""
        self._out = adapters
        self._on_verb = on_verb  # verbs that concern the app, not a workload: quit, mute, show
        self.read_configuration = read_configuration
        self.effects = EffectRunner(self, adapters)
        self.gate = first_gate or Gate()
        self.workloads: dict[str, Workload] = {}
        self.created: dict[str, float] = {}
        self._views: dict[str, WorkloadView] = {}
        self._view_due: dict[str, float | None] = {}
        self._publisher = Publisher(publish, self._views)
        self._tokens_given = 0
        self._wake = asyncio.Event()
        self._tasks = Tasks(self._task_ended)
        self._done: set[str] = set()
        self._dropped: set[str] = set()
        self._again: dict[str, Spec] = {}  # configured anew while their removal is under way
        self._wanted: dict[str, Spec] = {}
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._agenda = Agenda()
        self.callers = Callers(self)
        self.sign_ins = SignIns(self, adapters.sign_in, adapters.keystore)
        self.suspend = SuspendDelay(self, adapters.clock, self._tasks)

    # --- what others may ask -----------------------------------------------------------------------------------------

    def now(self) -> Moment:
        """The three clocks."""
        return self._out.clock.now()

    def post(self, action: Action) -> None:
        """A click or command, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the program has ended
            self._loop.call_soon_threadsafe(self._do, action)

    def snapshot(self) -> Snapshot:
        """Everything public as it is now."""
        return self._publisher.snapshot(self._gate_word())

    def say(self, **what: Unpack[AppFields]) -> None:
        """What the app itself has to show beside the workloads."""
        self._publisher.say(**what)
        self._wake.set()

    def spec(self, name: str) -> Spec | None:
        """How a workload is configured; None without one of that name."""
        found = self.workloads.get(name)
        return None if found is None else found.spec

    def view_of(self, name: str) -> WorkloadView | None:
        """One workload as everybody sees it."""
        return self._views.get(name)

    async def token(self, name: str, min_validity: float = 0.0) -> AccessToken | Unavailable:
        """A token for a caller (M15), or why there is none."""
        return await self.callers.token(name, min_validity)

    def configure(self, specs: Iterable[Spec]) -> None:
        """The workloads that the configuration names now. One that it no longer names is let go, its login is kept:
        only `remove` revokes and deletes."""
        self._wanted = {spec.name: spec for spec in specs}
        for name in [name for name in self.workloads if name not in self._wanted]:
            self._dropped.add(name)
            self.sign_ins.cancel(name)
            self._apply(name, Shutdown(self.now()))
        for name, spec in self._wanted.items():
            if name not in self.workloads:
                self._begin(spec)
            elif spec != (self.workloads[name].confirm or self.workloads[name].spec):
                self._apply(name, Configured(self.now(), spec))

    def time_gate(self, settle: float, settle_max: float) -> None:
        """How long a network has to be quiet before anything is sent, and the longest wait for that; seconds (M10)."""
        self.gate = gate.with_settling_times(self.gate, settle, settle_max)

    def apply(self, name: str, event: Event) -> None:
        """An event from an adapter's task on this loop."""
        self._apply(name, event)

    async def seen(self, seen: SystemChange) -> None:
        """The operating system's news: the gate first, then every workload, in slices."""
        was, at = self.gate.blocked(), self.now().at
        if seen.sleep_soon:
            self.gate = gate.sleep_soon(self.gate, at)
            self.suspend.begin()
        if seen.woke:
            self.gate = gate.woke(self.gate, at)
        if seen.network:
            self.gate = gate.network(self.gate, at, offline=seen.offline, portal=seen.portal)
        now = self.gate.blocked()
        true = {
            GateBlocked: now and not was,
            GateUnblocked: was and not now,
            Woke: seen.woke,
            NetworkUp: seen.network and not now,
        }
        log.info("news of the machine: %s; gate %s", seen, self.gate.reason(at) or "open")
        await self.everyone(*(event for event, so in true.items() if so))

    def look(self) -> None:
        """Somebody has news of the machine: ask the watcher soon. On the engine's loop."""
        self._wake.set()

    async def keyring_up(self) -> None:
        """The keyring was unlocked, or appeared."""
        await self.everyone(KeyringUp)

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until `close`: look at the clocks, begin what is due, publish, sleep until the next deadline."""
        while not self._closing:
            self._wake.clear()
            try:
                delay = await self._pass()
            except Exception:  # M13: whatever it was, the next look comes; not at once, it might fail for ever
                log.exception("the engine stumbled; it looks again in %.0f s", RESTLESS_SLEEP)
                delay = RESTLESS_SLEEP
                self._wake.clear()
            if not self._wake.is_set() and not self._closing:
                await first_of(self._wake, self._out.clock.sleep(max(0.0, delay)))

    async def _pass(self) -> float:
        """One look at everything; the seconds until the next one."""
        seen = self._out.watcher.poll(self.now())
        if seen is not None:
            await self.seen(seen)
        await self._look()
        return min(self._until_next(self.now()), self._publisher.if_due(self._gate_word(), self.now().awake))

    async def close(self) -> None:
        """Nothing new begins; attempts in flight and their storing have `QUIT_PATIENCE` seconds (M17)."""
        self._closing = True
        self._touch()
        self.sign_ins.cancel_all()
        for name in list(self.workloads):
            self._apply(name, Shutdown(self.now()))
        until = self._loop.time() + QUIT_PATIENCE
        while (late := self._unfinished()) and self._loop.time() < until:
            self._wake.clear()
            await first_of(self._wake, asyncio.sleep(CLOSE_LOOK))
        if late:
            log.warning("quitting without an answer to: %s", ", ".join(sorted(late)))
        await self._tasks.end()

    def _unfinished(self) -> set[str]:
        """What the end waits for, by name."""
        return {*(set(self.workloads) - self._done), *(task.get_name() for task in self._tasks.needed)}

    def unsaved(self) -> list[str]:
        """Workloads whose newest login is in memory only."""
        return [name for name, w in self.workloads.items() if w.unsaved and w.storing is None]

    def task(self, what: str, work: Coroutine[Any, Any, None], *, needed: bool = False) -> asyncio.Task[None]:
        """A named task; `close` waits for one that is `needed`."""
        return self._tasks.begin(what, work, needed=needed)

    def _task_ended(self) -> None:
        if self._closing:  # otherwise whatever it did has woken the loop already
            self._wake.set()

    # --- the circle --------------------------------------------------------------------------------------------------

    def _begin(self, spec: Spec) -> None:
        w, effects = machine.begin(spec)
        if self.gate.blocked(w.loopback):
            w, more = machine.step(w, GateBlocked(self.now()))
            effects = (*effects, *more)
        self.workloads[spec.name] = w
        self.created[spec.name] = self.now().wall
        self._derive(spec.name)
        for effect in effects:
            self.effects.perform(spec.name, effect)

    def _apply(self, name: str, event: Event) -> None:
        """One event through the machine. The only place where a workload changes."""
        before = self.workloads.get(name)
        if before is None:
            return
        after, effects = machine.step(before, event)
        self.workloads[name] = after
        if after is not before:
            self._derive(name)
        for effect in effects:
            self.effects.perform(name, effect)
        if after is not before or effects:
            self.callers.changed(name)
            self._wake.set()

    def _derive(self, name: str) -> None:
        """Only the workload that changed is looked at again (PROTOTYPES.md section 5)."""
        now, old = self.now(), self._views.get(name)
        try:
            new = view.derive(self.workloads[name], self.gate, now, old)
            self._view_due[name] = view.next_change(self.workloads[name], self.gate, now)
        except Exception:  # M13: what the machine wants is done all the same
            log.exception("nobody can say how %s looks", name)
            self._view_due[name] = now.at + RESTLESS_SLEEP
            return
        if new == old:
            return
        self._views[name] = new
        self._touch()
        if old is None or (old.status, old.auth.detail) != (new.status, new.auth.detail):
            log.info("%s is %s (%s)", name, new.status, new.auth.detail)
            self.effects.write(name, Note("status", problem=new.auth.last_error))
            if new.status is Status.RUNNING:
                self.callers.forgive(name)

    def _touch(self) -> None:
        self._publisher.touch()
        self._wake.set()

    def _gate_word(self) -> str:
        reason = self.gate.reason(self.now().at)
        return reason.value if reason else ""

    async def everyone(self, *events: Callable[[Moment], Event]) -> None:
        """These events to every workload, in slices."""
        for number, name in enumerate(list(self.workloads)):
            for event in events:
                self._apply(name, event(self.now()))
            if name in self.workloads:
                self._derive(name)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        self._touch()

    async def _look(self) -> None:
        """Everything that time alone brings: views and deadlines, in slices, then `Go` in due order while there are slots."""
        now, changed = self.now(), 0
        for name in list(self.workloads):
            due, w = self._view_due.get(name), self.workloads.get(name)
            if w is None:
                continue  # it went while others had their turn
            if due is not None and due <= now.at:
                self._derive(name)
                changed += 1
            opens, deadline = self._agenda.times(name, w, self.gate)
            if deadline is not None and deadline <= now.at and (opens is None or opens > now.at):
                self._apply(name, Time(now))
                changed += 1
            if changed >= SLICE:
                await asyncio.sleep(0)
                now, changed = self.now(), 0
        if not self._closing:
            for name in admitted(self._agenda.ready(self.workloads, self.gate, now.at), self.workloads):
                self._apply(name, Go(now))

    def _until_next(self, now: Moment) -> float:
        """Seconds until somebody wants to be looked at."""
        at = self._agenda.next(self.workloads, self.gate, now.at, self._view_due.values())
        limit = RESTLESS_SLEEP if self._restless(now) and not self._out.watcher.told else MAX_SLEEP
        return max(0.0, min(at - now.at, limit))

    def _restless(self, now: Moment) -> bool:
        """Something fails or is in the way."""
        failing = (w.failing for w in self.workloads.values())
        return self.gate.reason(now.at) is not None or any(f is not None and not f.gave_up for f in failing)

    # --- clicks and commands -----------------------------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        now, name = self.now(), action.name
        match action.verb:
            case Verb.RETRY:
                self._apply(name, Manual(now))
            case Verb.RETRY_ALL:
                self.task("retry all now", self.everyone(Manual))
            case Verb.REAUTHORIZE:
                self.sign_ins.clicked(name)
            case Verb.CANCEL_SIGN_IN:
                self.sign_ins.cancel(name)
            case Verb.ACCEPT:
                self.sign_ins.accepted(name)
            case Verb.PAUSE:
                self._apply(name, Pause(now))
            case Verb.RESUME:
                self._apply(name, Resume(now))
            case Verb.SIGN_OUT:
                self._apply(name, SignOut(now))
            case Verb.REMOVE:
                self.sign_ins.cancel(name)
                self._apply(name, Remove(now))
            case Verb.COPY_CLIENT | Verb.COPY_ERROR | Verb.MUTE | Verb.AUTOSTART | Verb.SHOW | Verb.ADD | Verb.QUIT:
                self._on_verb(action)
            case _:
                assert_never(action.verb)

    # --- what the performer reports ----------------------------------------------------------------------------------

    def finished(self, name: str) -> None:
        """The shutdown need not wait for it any longer; if the file no longer names it, it is let go."""
        self._done.add(name)
        if name in self._dropped and not self._closing:
            self.gone(name)
            if name in self._wanted:  # it came back into the file while its last attempt was in flight
                self._begin(self._wanted[name])
        self._wake.set()

    def gone(self, name: str) -> None:
        """Nothing of it is left here."""
        self.sign_ins.cancel(name)
        for kept in (self.workloads, self._views, self._view_due, self.created):
            kept.pop(name, None)
        self._agenda.forget(name)
        self._done.discard(name)
        self._dropped.discard(name)
        self.callers.changed(name)
        self._touch()
        if (spec := self._again.pop(name, None)) is not None and not self._closing:
            self._begin(spec)

    def answered(self) -> None:
        """A server answered: whatever kernel and hints say, the network carries (M10)."""
        before, self.gate = self.gate, gate.answered(self.gate, self.now().at)
        if before.blocked() and not self.gate.blocked():
            self.task("the network carries after all", self.everyone(GateUnblocked, NetworkUp))

    def serial(self) -> int:
        """A number for the next access token."""
        self._tokens_given += 1
        return self._tokens_given

    def caught_up(self, name: str) -> bool:
        """A caller found no token: what time alone has changed meanwhile is seen at once, and the clocks are read (M15)."""
        due, at = self._view_due.get(name), self.now().at
        if due is None or at < due:
            return False
        self._derive(name)
        self._wake.set()
        return True

    def hot(self, name: str, validity: float) -> None:
        """A caller found no usable token: the clocks are read at once (M15)."""
        self._apply(name, HotCall(self.now(), validity))
        self._wake.set()
