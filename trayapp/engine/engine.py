"""The one owner of all workload state: events in, `machine.step`, effects out, snapshots published.

Nothing outside changes a workload. Whatever happens (an answer, a click, a wake) becomes an event and goes through
`apply`, one at a time on the engine's loop; adapters answer by events of their own. There is one timer: the engine
sleeps until the nearest deadline that the core derives from state, at most `MAX_SLEEP`, reads its clocks and asks again.
Deadlines are therefore never armed, cancelled or forgotten, and a laptop that was suspended is noticed in the next pass.
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
from trayapp.engine.agenda import Agenda, Workloads
from trayapp.engine.callers import Callers
from trayapp.engine.effects import EffectRunner
from trayapp.engine.instants import Instants
from trayapp.engine.ports import Adapters, SystemChange
from trayapp.engine.publisher import AppFields, Publisher
from trayapp.engine.roster import SLICE, Roster
from trayapp.engine.sign_ins import SignIns
from trayapp.engine.suspend import END_POLL, SuspendDelay
from trayapp.engine.tasks import Tasks, first_of

log = logging.getLogger(__name__)

MAX_SLEEP = 30.0  # s; a wake that no event announced is noticed within this time (pizauth: 37 s, tailscale: 15 s)
RESTLESS_SLEEP = 5.0  # s; the same while something fails and the system doesn't report the network
_EVENT_OF = {Verb.RETRY: Manual, Verb.PAUSE: Pause, Verb.RESUME: Resume, Verb.SIGN_OUT: SignOut}
QUIT_LIMIT = 10.0  # s that a quit waits for attempts in flight and their storing


class Engine:
    """Owns the workloads, the gate and the timer. Only `apply` changes a workload."""

    def __init__(
        self,
        adapters: Adapters,
        publish: Callable[[Snapshot], None],
        *,
        on_app_action: Callable[[Action], None] = lambda action: None,
        read_configuration: Callable[[], object] = lambda: None,
        first_gate: Gate | None = None,
    ) -> None:
        """Call it on the loop that will execute `run`. Events may come before `run` does.

        `on_app_action` gets the actions that concern the app and no workload: quit, mute, show.
        """
        self._adapters = adapters
        self._on_app_action = on_app_action
        self.read_configuration = read_configuration
        self.effects = EffectRunner(self, adapters)
        self.gate = first_gate or Gate()
        self.workloads: dict[str, Workload] = (workloads := Workloads())
        self.created: dict[str, float] = {}
        self._views: dict[str, WorkloadView] = {}
        self._view_due = Instants()
        self._publisher = Publisher(publish, self._views)
        self._last_serial = 0
        self._wake = asyncio.Event()
        self._tasks = Tasks(self._task_ended)
        self._finished: set[str] = set()
        self._roster = Roster(self.workloads, self._add, self._change, self._drop)
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._agenda = Agenda(workloads, self.effects.paths)
        self.callers = Callers(self)
        self.sign_ins = SignIns(self, adapters, self.effects.removals.is_given_up)
        self.effects.on_slots_read = self.sign_ins.candidates.found
        self.suspend = SuspendDelay(self, adapters.clock, self._tasks)

    # --- for the app and the other parts ------------------------------------------------------------------------------

    def now(self) -> Moment:
        """The three clocks."""
        return self._adapters.clock.now()

    def post(self, action: Action) -> None:
        """Take a click or a command. May be called from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the program has ended
            self._loop.call_soon_threadsafe(self._perform, action)

    def snapshot(self) -> Snapshot:
        """Everything public as it is now."""
        return self._publisher.snapshot(self.gate.reason(self.now().at) or "")

    def set_app_fields(self, **fields: Unpack[AppFields]) -> None:
        """Set what the app itself has to show beside the workloads."""
        self._publisher.set_app_fields(**fields)
        self._wake.set()

    def spec(self, name: str) -> Spec | None:
        """How a workload is configured; None if there is none of that name."""
        return found.spec if (found := self.workloads.get(name)) else None

    def view_of(self, name: str) -> WorkloadView | None:
        """One workload as it is shown to people and programs; None if there is none of that name."""
        return self._views.get(name)

    async def token(self, name: str, min_validity: float = 0.0) -> AccessToken | Unavailable:
        """A token with `min_validity` seconds of life, or why there is none (M15)."""
        return await self.callers.token(name, min_validity)

    async def configure(self, specs: Iterable[Spec]) -> None:
        """Take the workloads that the configuration names now, in slices.

        One that it no longer names is dropped, and its login is kept: only `Remove` revokes and deletes.
        """
        await self._roster.take(specs)
        self._wake.set()

    def set_settling_times(self, settle: float, settle_max: float) -> None:
        """Set how long a network has to be quiet before anything is sent, and the longest wait for it; seconds (M10)."""
        self.gate = gate.with_settling_times(self.gate, settle, settle_max)

    async def system_changed(self, change: SystemChange) -> None:
        """Something happened to the machine or its network: first the gate changes, then every workload is told."""
        was_blocked, at = self.gate.blocked(), self.now().at
        if change.sleep_soon:
            self.gate = gate.sleep_soon(self.gate, at)
            self.suspend.begin()
        if change.woke:
            self.gate = gate.woke(self.gate, at)
        if change.network:
            self.gate = gate.network(self.gate, at, offline=change.offline, portal=change.portal)
        self.effects.paths.doubt()
        blocked = self.gate.blocked()
        events = {
            GateBlocked: blocked and not was_blocked,
            GateUnblocked: was_blocked and not blocked,
            Woke: change.woke,
            NetworkUp: change.network and not blocked,
        }
        log.info("news of the machine: %s; gate %s", change, self.gate.reason(at) or "open")
        await self.apply_to_all(*(event for event, happened in events.items() if happened))

    def wake(self) -> None:
        """Make a pass soon: the watcher may have something to report."""
        self._wake.set()

    async def keyring_up(self) -> None:
        """The keyring was unlocked, or it appeared."""
        self.effects.removals.keyring_up()
        await self.apply_to_all(KeyringUp)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until `close`: read the clocks, begin what is due, publish, and sleep until the next deadline."""
        self.task("continue removals", self.effects.removals.begin())
        while not self._closing:
            self._wake.clear()
            try:
                delay = await self._pass()
            except Exception:  # M13: another pass follows, but not immediately: this one may fail again and again
                log.exception("the engine stumbled; it looks again in %.0f s", RESTLESS_SLEEP)
                delay = RESTLESS_SLEEP
                self._wake.clear()
            if not self._wake.is_set() and not self._closing:
                await first_of(self._wake, self._adapters.clock.sleep(max(0.0, delay)))

    async def _pass(self) -> float:
        """One pass over everything; returns the seconds until the next one."""
        if (change := self._adapters.watcher.poll(self.now())) is not None:
            await self.system_changed(change)
        seen, now = await self._run_due(), self.now()
        if self._roster.busy:  # it wakes the engine when it is done
            return self._until_next(seen)
        return min(self._until_next(seen), self._publisher.publish_if_due(self.gate.reason(now.at) or "", now.awake))

    async def close(self) -> None:
        """End: nothing new begins; attempts in flight and their storing have `QUIT_LIMIT` seconds (M17)."""
        self._closing = True
        self._roster.end()
        self._mark_changed()
        self.sign_ins.cancel_all()
        for name in list(self.workloads):
            self.apply(name, Shutdown(self.now()))
        until = self._loop.time() + QUIT_LIMIT
        while (waits := self._tasks.needed or self.workloads.keys() - self._finished) and self._loop.time() < until:
            self._wake.clear()
            await first_of(self._wake, asyncio.sleep(END_POLL))
        if waits:
            left = {*(set(self.workloads) - self._finished), *(task.get_name() for task in self._tasks.needed)}
            log.warning("quitting without an answer to: %s", ", ".join(sorted(left)))
        await self._tasks.end()

    def unsaved(self) -> list[str]:
        """Workloads whose newest login is in memory only."""
        return [name for name, w in self.workloads.items() if w.unsaved and w.storing is None]

    def task(self, what: str, work: Coroutine[Any, Any, None], *, needed: bool = False) -> asyncio.Task[None]:
        """Run `work` as a task named `what`; `close` waits for one that is `needed`."""
        return self._tasks.begin(what, work, needed=needed)

    def _task_ended(self) -> None:
        if self._closing:  # otherwise whatever the task did has already woken the loop
            self._wake.set()

    # --- the cycle of events and effects ------------------------------------------------------------------------------

    def _add(self, spec: Spec) -> None:
        """A new workload: its first state, its first effects."""
        w, effects = machine.begin(spec)
        if self.gate.blocked(w.loopback):
            w, more = machine.step(w, GateBlocked(self.now()))
            effects = (*effects, *more)
        self.workloads[spec.name] = w
        self.created[spec.name] = self.now().wall
        self._derive(spec.name)
        for effect in effects:
            self.effects.perform(spec.name, effect)

    def _change(self, spec: Spec) -> None:
        self.apply(spec.name, Configured(self.now(), spec))

    def _drop(self, name: str) -> None:
        self.sign_ins.cancel(name)
        self.apply(name, Shutdown(self.now()))

    def apply(self, name: str, event: Event) -> None:
        """Send one event through the machine. The only place where a workload changes."""
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
            self.callers.workload_changed(name)
            self._wake.set()

    def _derive(self, name: str) -> None:
        """Derive the public view of this workload. Only changed ones are derived, so many workloads cost little at rest."""
        now, old = self.now(), self._views.get(name)
        try:
            new = view.derive(self.workloads[name], self.gate, now, old)
            self._view_due[name] = view.next_change(self.workloads[name], self.gate, now, new)
        except Exception:  # M13: the effects that the machine wants are carried out nevertheless
            log.exception("the view of %s could not be derived", name)
            self._view_due[name] = now.at + RESTLESS_SLEEP
            return
        if new == old:
            return
        self._views[name] = new
        self._mark_changed()
        if old is None or (old.status, old.auth.detail) != (new.status, new.auth.detail):
            log.info("%s is %s (%s)", name, new.status, new.auth.detail)
            self.effects.write_note(name, Note("status", problem=new.auth.last_error))
            if new.status is Status.RUNNING:
                self.callers.clear_refusal(name)

    def _mark_changed(self) -> None:
        self._publisher.mark_changed()
        self._wake.set()

    async def apply_to_all(self, *events: Callable[[Moment], Event]) -> None:
        """Apply these events to every workload, in slices."""
        for number, name in enumerate(list(self.workloads)):
            for event in events:
                self.apply(name, event(self.now()))
            if name in self.workloads:
                self._derive(name)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
        self._mark_changed()

    async def _run_due(self) -> Moment:
        """Do what is due by time, in slices, then `Go` in due order while there are slots (M11). The moment of that."""
        now, due = self.now(), SLICE
        while due:
            if self._agenda.update(self.gate):
                await asyncio.sleep(0)
                continue
            now, due = self.now(), 0
            while due < SLICE and (view_due := self._view_due.take(now.at)) is not None:
                self._derive(view_due[1])
                due += 1
            for name in self._agenda.overdue(now.at, SLICE - due):
                self.apply(name, Time(now))
                due += 1
            if due == SLICE:
                await asyncio.sleep(0)
        if not self._closing:
            for name in self._agenda.admitted(now.at):
                self.apply(name, Go(now))
        return now

    def _until_next(self, seen: Moment) -> float:
        """Seconds until the next pass: to the first deadline after `seen`, even if it has passed; at most `MAX_SLEEP`."""
        if self._agenda.update(self.gate):
            return 0.0
        now, at = self.now(), self._agenda.next_instant(seen.at, self._view_due)
        restless = self._agenda.is_restless(now.at) and not self._adapters.watcher.announces_network
        return max(0.0, min(at - now.at, RESTLESS_SLEEP if restless else MAX_SLEEP))

    # --- clicks and commands ------------------------------------------------------------------------------------------

    def _perform(self, action: Action) -> None:
        """Carry out one click or command."""
        now, name = self.now(), action.name
        match action.verb:
            case Verb.RETRY | Verb.PAUSE | Verb.RESUME | Verb.SIGN_OUT:
                self.apply(name, _EVENT_OF[action.verb](now))
            case Verb.RETRY_ALL:
                self.task("retry all", self.apply_to_all(Manual))
            case Verb.REAUTHORIZE:
                self.sign_ins.reauthorize(name)
            case Verb.CANCEL_SIGN_IN:
                self.sign_ins.cancel(name)
            case Verb.ACCEPT:
                self.sign_ins.accept(name)
            case Verb.REMOVE:
                self.sign_ins.cancel(name)
                self.apply(name, Remove(now))
            case Verb.CONNECT | Verb.COPY_ERROR | Verb.COPY_SIGN_IN | Verb.SHOW | Verb.ADD | Verb.SET_UP:
                self._on_app_action(action)
            case Verb.MUTE | Verb.AUTOSTART | Verb.CHANGE_PORT | Verb.QUIT | Verb.RESTART | Verb.TAKE_OVER:
                self._on_app_action(action)
            case _:
                assert_never(action.verb)

    # --- what effects and callers report ------------------------------------------------------------------------------

    def finished(self, name: str) -> None:
        """A quit need not wait for this workload any longer. If the configuration no longer names it, it is removed."""
        self._finished.add(name)
        if self._roster.is_dropped(name):
            self.removed(name)
        self._wake.set()

    def removed(self, name: str) -> None:
        """Forget everything about this workload. If the configuration dropped it and names it again, it begins anew."""
        self.sign_ins.forget(name)
        for by_name in (self.workloads, self._views, self._view_due, self.created):
            by_name.pop(name, None)
        self._agenda.forget(name)
        self.effects.forget(name)
        self.callers.forget(name)
        self._finished.discard(name)
        self._mark_changed()
        if (again := self._roster.removed(name)) is not None:
            self._add(again)

    def answered(self) -> None:
        """A server answered, so there is a network, whatever kernel and desktop report (M10)."""
        before, self.gate = self.gate, gate.answered(self.gate, self.now().at)
        if before.blocked() and not self.gate.blocked():
            self.task("the network carries after all", self.apply_to_all(GateUnblocked, NetworkUp))

    def next_serial(self) -> int:
        """The serial number for a new access token."""
        self._last_serial += 1
        return self._last_serial

    def update_view(self, name: str) -> bool:
        """Derive the view again if time alone has changed it; whether it had. For callers without a token (M15)."""
        due, at = self._view_due.get(name), self.now().at
        if due is None or at < due:
            return False
        self._derive(name)
        self._wake.set()
        return True

    def hot_call(self, name: str, validity: float) -> None:
        """A caller found no token with `validity` seconds of life: read the clocks now (M15)."""
        self.apply(name, HotCall(self.now(), validity))
        self._wake.set()
