"""The invariants, checked against what servers and machine know to be true, never against what the app believes.

Each exception that the rules allow is a line here with its reason; what no line excuses is a broken invariant.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.simulation import losses
from tests.simulation.access_only import AccessOnly
from tests.simulation.keyring_checks import KeyringChecks
from tests.simulation.preflight import Preflight
from tests.simulation.recovery import RecoveryDeadlines
from tests.simulation.refusals import CLIENT, Refusals
from tests.simulation.servers import AuthServer, Family
from tests.simulation.step_up import StepUp
from tests.simulation.truth import Call, Doubt, Truth, token_of
from trayapp.core import deadlines, schedule
from trayapp.core.messages import Event, ProbeOk, Rejected, Stored
from trayapp.core.model import AccessToken, Login, Phase, Policy, SignedOut, Trigger, Workload
from trayapp.core.outcomes import Answer, Reply
from trayapp.core.presentation import Colour
from trayapp.core.snapshot import Status, WorkloadView
from trayapp.engine.ports import SystemChange

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

EPSILON = 0.05  # s; tolerance for what happens at the same instant
RESCUE = 36.0  # s of good network within a grace: M9's series must have retried by then; one attempt takes up to 30
AUTOMATIC = 15  # attempts in ten minutes (M8)
RESCUES = 6  # attempts of M9's series, which may exceed that limit
ORDINARY = 4  # refreshes ahead in ten minutes; the shortest life here is 300 s
SERIES = 120.0  # s; longer than M2 and M9 together
STALE_COUNT = 45.0  # s; how much later "offline" is noticed where the system sends no message


class Checks(KeyringChecks):
    """Observes every step of a world and reports broken invariants."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.truths: dict[str, Truth] = {}
        self.recovery = RecoveryDeadlines(world, self.truths)
        self.preflight = Preflight(world, self.truths)
        self.refusals = Refusals(world, self.truths)
        self.access_only = AccessOnly(world, self.truths)
        self.step_up = StepUp(world, self.truths)
        self.calls = 0
        self.obstacles = losses.Obstacles(world, self.truths)
        self.losses: Counter[str] = Counter()  # families that a server ended because a spent token came again, by cause
        self._run = -1

    # --- requests ----------------------------------------------------------------------------------------------------

    def sending(self, process: Process, server: AuthServer, login: Login) -> Call:
        """A request begins."""
        t, engine = self.world.clocks.t, process.engine
        name = self.world.names[login.lineage]
        truth, w = self.truths[name], engine.workloads[name]
        trigger = w.attempt.trigger if w.attempt else Trigger.DUE
        call = Call(name, process.number, login.refresh_token.reveal(), t, trigger, server.host)
        call.epoch, call.slept = self.world.network.epoch, self.world.clocks.slept
        self.calls += 1
        self.world.say(name, "attempt ({})", trigger)
        if server.endpoint != truth.server.endpoint:
            self.broken(name, "endpoint", "a token goes to another server than it came from")
        self.preflight.alone(call, [each.flying for each in self.truths.values() if each.flying is not None])
        self._not_replaced(truth, call)
        self.access_only.sending(truth)
        self.refusals.sending(truth, call)
        if trigger is not Trigger.MANUAL:
            self._not_too_often(truth, call, w.spec.policy)
            self._not_early(truth, call, w.spec.policy)
            self._gate(call, w.maybe_spent)
        self.preflight.begins(call, in_doubt=w.maybe_spent)
        truth.calls.append(call)
        truth.flying = call
        truth.since_nudge += 1
        if call.token in truth.doubts:
            truth.doubts[call.token].asked += 1
        return call

    def _not_replaced(self, truth: Truth, call: Call) -> None:
        run = truth.replaced.get(call.token)
        if run is None:
            return
        # A crash between a received answer and its storing loses the new login: only the old one is left to try
        # (RULES.md section 4). In the run that received it, or once it was stored, there is no such excuse.
        if run == call.run or (truth.stored not in (call.token, "") and truth.stored not in truth.replaced):
            self.broken(truth.name, "replaced", "a token that a received answer had replaced is sent again")

    def _not_too_often(self, truth: Truth, call: Call, policy: Policy) -> None:
        # A restart forgets earlier attempts: state.db keeps no instants of a clock that may start over.
        mine = [c for c in truth.calls if c.run == call.run and c.trigger is not Trigger.MANUAL and c.sent]
        if sum(call.t - c.t < policy.automatic_window for c in mine) >= AUTOMATIC + RESCUES + ORDINARY:
            self.broken(truth.name, "too often", "more automatic attempts in ten minutes than M8 allows")
        # A restart forgets Retry-After too.
        if truth.asked_by == call.run and call.t < truth.not_before - EPSILON:
            self.broken(
                truth.name, "Retry-After", f"{truth.not_before - call.t:.0f} s earlier than the server asked (M12)"
            )

    def _not_early(self, truth: Truth, call: Call, policy: Policy) -> None:
        value, start, end = truth.access
        known = truth.access_run == call.run and value not in truth.rejected
        # A start, also after a pause, always refreshes once (M14); and a manual attempt is followed up by M2 to M9.
        if not known or call.trigger in (Trigger.REJECTED, Trigger.START) or any(c.t > start for c in truth.calls):
            return
        if truth.person_asked_t > start:
            return  # the request may have had to wait for the keyring or the network
        due = schedule.refresh_due(start, end, policy)
        if due is None or (call.t < due - 1.0 - 0.01 * (due - start) and not self.world.asked_for_more(truth.name)):
            self.broken(truth.name, "early", "a usable token is refreshed before its time (M1, M8)")

    def _gate(self, call: Call, in_doubt: bool) -> None:
        recovery = self.recovery
        if self.truths[call.name].let_go != recovery.notices and call.t == recovery.notice_t:
            return  # let go in the same instant, right before the engine noticed the change
        if recovery.sleep_told:
            self.broken(call.name, "gate", "an attempt begins while sleep is imminent (M10)")
        if call.t < recovery.settles - EPSILON:
            self.broken(
                call.name, "gate", f"an attempt {recovery.settles - call.t:.1f} s before the network settled (M10)"
            )
        if recovery.closed_t is not None:
            last = max([recovery.closed_t, *(c.t for c in self.truths[call.name].calls if c.run == call.run)])
            if call.t - last < (10.0 if in_doubt else 600.0) - 1.0:
                self.broken(call.name, "gate", "offline, and more than one attempt in a tick (M10)")

    def acted(self, call: Call, server: AuthServer, token: str, family: Family | None) -> None:
        """The server has decided on the request."""
        truth, t = self.truths[call.name], self.world.clocks.t
        if family is not None and not family.alive and family.ended == "reuse" and family is truth.family:
            self._ended_by_reuse(truth, call, family)
        if server.rotates and token not in truth.doubts and family is not None and not family.holds(token):
            # The program may have been in doubt for longer: what it asked without success is part of that series (M2, M9).
            earlier = sum(c.sent and c.token == token and 0.0 < call.t - c.t < SERIES for c in truth.calls)
            truth.doubts[token] = Doubt(t, server.grace, call, asked=1 + earlier)

    def _ended_by_reuse(self, truth: Truth, call: Call, family: Family) -> None:
        family.ended = "reuse, told" if call.ended is None else "late"
        self.recovery.changed("its login is gone")
        self.world.say(truth.name, "the server ends the family: a spent token came again")
        doubt = truth.doubts.get(call.token)
        self.obstacles.changed()
        self.losses[losses.cause(truth, doubt) if doubt else "a token that nobody was in doubt about"] += 1
        if truth.replaced.get(call.token) == call.run or call.ended is not None:
            return  # reported already; or the request was sent long ago and arrived late
        if call.token in self.refusals.of:
            return  # the server said no while its grace lasted: from then on only a person has it asked (M7, M9)
        if doubt is None:
            self.broken(truth.name, "lost", "a spent token was sent that nobody was in doubt about")
            return
        self._good_until(truth, doubt)
        rescue = RESCUE + self.preflight.ways.occupied(truth, doubt.learned_t or 0.0)
        if self.recovery.closed_t is not None:
            rescue += 60.0  # while the kernel reports offline: once a minute
        if doubt.grace > 0.0 and doubt.best >= rescue and doubt.asked <= 6:
            self.broken(
                truth.name,
                "lost",
                f"a grace of {doubt.grace:.0f} s with {doubt.best:.0f} s of good network was not used",
            )

    def _good_until(self, truth: Truth, doubt: Doubt) -> None:
        """Update the good time within the grace, counted from when the program knew that no answer comes."""
        good = self.recovery.good_since.get(truth.name)
        if good is None or doubt.learned_t is None:
            return
        end = min(self.world.clocks.t, doubt.acted_t + doubt.grace)
        doubt.best = max(doubt.best, end - max(good, doubt.learned_t))

    def started(self) -> None:
        """A new run: what the last one received and did not store is in doubt from now on."""
        for truth in self.truths.values():
            found = self.world.keyring.login(self.world.install, truth.name)
            if found is not None:  # what was only in memory is gone: received and not stored
                truth.held = truth.stored = token_of(found)
                truth.family = truth.server.family_of(truth.held) or truth.family
            for doubt in truth.doubts.values():
                doubt.learned_t, doubt.best = self.world.clocks.t, 0.0

    def before_bad(self, name: str) -> None:
        """The good time of a workload ends now."""
        for doubt in self.truths[name].doubts.values():
            self._good_until(self.truths[name], doubt)

    def answer_will_be_lost(self, call: Call) -> None:
        """The server, or the network on the way, will lose this one answer."""
        self.world.say(call.name, "this answer will not arrive")
        call.fate = losses.BROKE_OFF
        self.recovery.answer_lost(call.name)

    def sent(self, call: Call) -> None:
        """The request leaves the machine."""
        call.sent = True
        self.refusals.sent(call)
        if call.trigger is Trigger.MANUAL:  # the person has it asked despite Retry-After; its answer says how to go on
            self.truths[call.name].not_before = 0.0

    def over(self, call: Call) -> None:
        """The request has ended, with or without an answer."""
        truth = self.truths[call.name]
        call.ended = self.world.clocks.t
        if truth.flying is call:
            truth.flying = None
        if not call.delivered or self.world.process is None:
            call.fate = call.fate or losses.fate(self.world, call)
        if not call.delivered:
            self.recovery.answer_lost(call.name)
        for doubt in truth.doubts.values():
            if doubt.learned_t is None:
                doubt.learned_t = call.ended

    def answered(self, process: Process, call: Call, reply: Reply) -> None:
        """A complete reply reaches the program."""
        truth, t = self.truths[call.name], self.world.clocks.t
        if not isinstance(reply, Answer):
            self.world.say(call.name, "no answer: {}", reply.kind)
            call.fate = call.fate or losses.fate(self.world, call)
            self.recovery.failed(call.name, call.t)
            return
        self.world.say(call.name, "answer {}", reply.status)
        if not self.world.network.portals:
            self.world.shown_to_carry(True)
        wait = float(reply.headers.get("retry-after", "0"))
        if wait:
            truth.not_before, truth.asked_by = t + min(wait, 3600.0), process.number
        body = self.world.body(reply)
        if reply.status == 200 and "access_token" in body:
            self._received(truth, call, body, process.number)
            self.refusals.answered(call, reply)
        else:
            self.refusals.answered(call, reply)
            call.fate = losses.GATEWAY
            self.recovery.failed(call.name, call.t)
        page = reply.status == 200 and "json" not in reply.headers.get("content-type", "")
        if reply.status != 302 and not page:
            self.recovery.closed_t = None  # the network works, whatever the kernel reports

    def _received(self, truth: Truth, call: Call, body: dict[str, object], run: int) -> None:
        t = self.world.clocks.t
        new = str(body.get("refresh_token", call.token))
        if new != call.token:
            truth.replaced[call.token] = run
        truth.held, truth.held_run = new, run
        life = body.get("expires_in")
        # It lives from some instant after it was asked for (M1).
        truth.access = (str(body["access_token"]), t, call.t + float(str(life)) if life is not None else None)
        truth.access_run, truth.not_before = run, 0.0
        self._success(truth)

    def _success(self, truth: Truth) -> None:
        truth.online_at_success, truth.changes_at_success = self.world.online(), self.world.changes

    def signed_in(self, name: str, family: Family, access: str) -> None:
        """The person has signed in; the program is about to learn of it."""
        truth = self.truths[name]
        truth.family = family
        truth.held = family.current
        truth.doubts.clear()
        truth.access_run = -1
        truth.not_before = 0.0  # what the server asked for concerned the login before
        self.refusals.signed_in(name, family.current)
        self._success(truth)

    # --- the program's own steps -------------------------------------------------------------------------------------

    def applied(self, process: Process, name: str, before: Workload, event: Event, after: Workload) -> None:
        """One event went through the machine."""
        engine, truth = process.engine, self.truths[name]
        view = engine.view_of(name)
        if isinstance(event, ProbeOk):
            truth.let_go = self.recovery.notices
        if view is None or process.closing:
            return
        self._say(name, before, after, event, view)
        self.refusals.applied(process, name, before, event, after)
        self.access_only.applied(name, before, event, after)
        self.step_up.applied(name, before, event, after)
        lagging = (due := engine._view_due.get(name)) is not None and due <= engine.now().at
        if not lagging:
            self._colours(process, truth, after, view)
        if isinstance(event, Stored) and event.generation == (after.login.generation if after.login else -1):
            self._stored(truth, after)
        if after.phase is Phase.SIGNED_OUT and before.phase is not Phase.SIGNED_OUT:
            self._signed_out(truth, after)
        failing = after.failing
        known = before.phase is Phase.LOADING or (before.failing is not None and before.failing.gave_up)
        if failing is not None and failing.gave_up and not known:
            self._gave_up(truth, after)
        if before.phase is Phase.PAUSED and after.phase is not Phase.PAUSED:
            self.recovery.changed("resumed")
        if isinstance(event, Rejected) and (access := after.access) is not None and access.rejected:
            self.recovery.answer_lost(name)
        self._accounted(process, name, after)
        self.preflight.applied(name, before, event, after)
        self.recovery.view_derived(name, view)

    def _say(self, name: str, before: Workload, after: Workload, event: Event, view: WorkloadView) -> None:
        if before.phase is not after.phase or before.series is not after.series:
            self.world.say(
                name, "{}: {} → {} {} ({} {})", type(event).__name__, before.phase, after.phase, after.series,
                view.status, view.auth.detail,
            )  # fmt: skip

    def _colours(self, process: Process, truth: Truth, w: Workload, view: WorkloadView) -> None:
        served = isinstance(process.engine.callers.peek(truth.name), AccessToken)
        if view.colour is Colour.GREEN and not served:
            self.broken(truth.name, "colour", f"green ({view.auth.detail}) while callers are refused")
        if (
            view.colour is Colour.RED and served and w.signed_out is None and truth.server.renews
        ):  # after a verdict the token is served to its end (M5); where there is no other, only a 2xx clears strikes (M18)
            self.broken(truth.name, "colour", f"red ({view.auth.detail}) while callers are served")
        if view.status is Status.UNAUTHENTICATED and w.login is not None:
            ceiling = w.failing is not None and w.failing.gave_up
            token = token_of(w.login)
            excused = (
                ceiling or token in self.refusals.of or self.access_only.over(truth) or self.access_only.refused(truth)
            )
            if not excused and truth.server.honours(token, self.world.clocks.t):
                self.broken(truth.name, "red", f"red ({view.auth.detail}) with a login that its server honours")

    def _stored(self, truth: Truth, w: Workload) -> None:
        if w.login is None:
            return
        token = token_of(w.login)
        truth.stored = token
        truth.doubts = {spent: doubt for spent, doubt in truth.doubts.items() if spent == token}
        found = self.world.keyring.login(self.world.install, truth.name)
        if found is None or token_of(found) != token:
            self.broken(truth.name, "storage", "called stored, and the keyring holds something else")

    def _signed_out(self, truth: Truth, w: Workload) -> None:
        t = self.world.clocks.t
        if w.signed_out is SignedOut.NEVER:
            self.broken(truth.name, "lost", "a login that was there is called never signed in")
        elif truth.held in self.refusals.of and not truth.family.ended.startswith("reuse"):
            return  # that very token was refused, by an answer that reached the program (M7, M16)
        elif self.access_only.over(truth) or self.access_only.refused(truth):
            return  # its end has come, by the clock of the machine, or the upstream refused it twice (section 6)
        elif truth.server.honours(truth.held, t) and self._kept(truth):
            self.broken(truth.name, "lost", "red while the login that was received last is honoured")
        elif truth.family.ended.startswith("reuse"):
            # Without state.db the program cannot know that the token was in flight. A verdict ends the mark (M9), and one
            # about the client says nothing of the token.
            refused = self.refusals.of.get(truth.held)
            again = refused is not None and (refused.verdicts > 1 or refused.code in CLIENT)
            if w.signed_out is not SignedOut.LOST_ROTATION and self.world.remembers(truth.name) and not again:
                self.broken(truth.name, "lost rotation", "a lost rotation is shown as a refusal")
            truth.family.ended = "shown"  # if a crash loses the next login, this one is refused once more

    def _kept(self, truth: Truth) -> bool:
        """Whether the newest login should be known: it was stored, or this run received it."""
        process = self.world.process
        return truth.stored == truth.held or (process is not None and truth.held_run == process.number)

    def _gave_up(self, truth: Truth, w: Workload) -> None:
        online = self.world.online() - truth.online_at_success
        slack = 60.0 + STALE_COUNT * (self.world.changes - truth.changes_at_success)
        self.world.say(truth.name, "ceiling after {:.1f} h awake and online", online / 3600)
        if online < w.spec.policy.ceiling - slack:
            self.broken(
                truth.name, "ceiling", f"after {online / 3600:.1f} h of {w.spec.policy.ceiling / 3600:.0f} h (M6)"
            )
        if self.world.network.offline and self.recovery.closed_t is not None:
            self.broken(truth.name, "ceiling", "decided by an attempt that was made offline (M6)")
        if truth.since_nudge < w.spec.policy.ceiling_attempts:
            self.broken(
                truth.name, "ceiling", f"only {truth.since_nudge} attempts since the latest wake or change (M6)"
            )

    def _accounted(self, process: Process, name: str, w: Workload) -> None:
        """Every workload has a deadline, an attempt, or a named thing that it waits for (M13)."""
        if w.phase not in (Phase.LOADING, Phase.VALID, Phase.WAITING) or process.engine.gate.sleeping:
            return
        endless = w.phase is Phase.VALID and w.access is not None and w.access.expires_at is None
        reading = w.phase is Phase.LOADING and w.due is None  # the keyring's answer will come
        ceiling = w.failing is not None and w.failing.gave_up
        if not (endless or reading or ceiling) and deadlines.next_deadline(w, process.engine.gate) is None:
            self.broken(name, "forgotten", f"nothing will ever happen in phase {w.phase} (M13)")

    # --- the machine -------------------------------------------------------------------------------------------------

    def noticed(self, process: Process, seen: object) -> None:
        """The engine has just noticed a change of the machine."""
        assert isinstance(seen, SystemChange)
        if seen.network:
            self.world.shown_to_carry(False)
        self.recovery.noticed(process, seen)
        if seen.woke or (seen.network and not seen.offline):
            for truth in self.truths.values():
                truth.since_nudge = int(truth.flying is not None)  # if it fails, then after the change
