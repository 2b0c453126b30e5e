"""Property test of the state machine: its invariants hold in any order of events (RULES.md section 3)."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.core.history import ENDPOINT, SPEC, access, access_only, login
from tests.core.test_id_claims import token
from trayapp.core import deadlines, machine, view
from trayapp.core import gate as gates
from trayapp.core import messages as m
from trayapp.core import outcomes as o
from trayapp.core.gate import Gate
from trayapp.core.model import Login, Moment, Phase, Problem, Saved, Secret, SignedOut, Step, Trigger, Trouble, Workload
from trayapp.core.permission import Needs
from trayapp.core.snapshot import Status

settings.register_profile("fast", max_examples=60, stateful_step_count=50, deadline=None)
settings.register_profile("deep", max_examples=3000, stateful_step_count=100, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

PROBLEM = Problem("x", "x")


class World(RuleBasedStateMachine):
    """The machine with an engine, a keyring and a server that do anything they are allowed to do."""

    def __init__(self) -> None:
        super().__init__()
        self.w: Workload
        self.now = Moment(1000.0, 1000.0, 1e6)
        self.gate = Gate()
        self.in_flight: dict[int, m.Send] = {}  # sent and not answered
        self.probing: list[int] = []
        self.storing: list[Login] = []
        self.checking: list[Login] = []
        self.doubted_at = 0.0  # when the upstream first said invalid_token, since the last 2xx and sign-in
        self.confirmed = False  # and this one comes at least 10 s later
        self.void: set[int] = set()  # of these the answer is still to come
        self.reading = 0
        self.slots: Login | None = None  # the newest login that the keyring confirmed
        self.verdicts: set[str] = set()  # combinations that a verdict was about
        self.rechecks: Counter[str] = Counter()  # of these, sent again unasked
        self.clicked = False  # *Retry now*, since the last attempt by hand
        self.given_up = False  # a person asked for sign-out or removal
        self.gone = False
        self.sends: list[tuple[float, bool]] = []  # at, automatic
        self.tokens = 1
        self.secrets = 0
        self.serial = 0

    # --- the loop between machine and world --------------------------------------------------------------------------

    def feed(self, event: m.Event) -> None:
        before = self.w
        self.w, effects = machine.step(before, event)
        self._check_step(before, event)
        for effect in effects:
            self._carry_out(effect)

    def _carry_out(self, effect: m.Effect) -> None:
        match effect:
            case m.Load():
                self.reading += 1
            case m.Probe(attempt=number):
                self.probing.append(number)
            case m.Send(attempt=number, login=sent, trigger=trigger):
                assert not self.in_flight, "at most one attempt in flight"
                assert sent.renewable, "there is nothing to send without a refresh token"
                self._check_verdict(sent, trigger)
                assert sent.token_endpoint == ENDPOINT
                self._check_spacing(trigger)
                self.in_flight[number] = effect
                hurried = self.w.failing is not None or trigger is Trigger.REJECTED
                self.sends.append((self.now.at, hurried and trigger is not Trigger.MANUAL))
            case m.CheckStored(login=wanted):
                self.checking.append(wanted)
            case m.Abandon(attempt=number):
                self.in_flight.pop(number, None)
            case m.Store(login=wanted):
                assert wanted.generation > (self.slots.generation if self.slots else 0) or wanted == self.slots
                self.storing.append(wanted)
            case m.Discard() | m.Forget():
                assert self.given_up, "a login is only deleted when a person asks"
                self.slots = None
                self.void.update(id(wanted) for wanted in self.storing)  # written before, and deleted with the rest
                self.gone = self.gone or isinstance(effect, m.Forget)

    def _check_verdict(self, sent: Login, trigger: Trigger) -> None:
        """A refused combination is sent again by a click, or twice unasked; anything else never is (M7)."""
        if trigger is Trigger.RECHECK:
            self.rechecks[sent.fingerprint()] += 1
            assert sent.fingerprint() in self.verdicts
            assert self.rechecks[sent.fingerprint()] <= 2, "twice at most"
            assert not self.w.maybe_spent
            assert self.w.signed_out is SignedOut.REFUSED
        elif sent.fingerprint() in self.verdicts:
            assert trigger is Trigger.MANUAL
            assert self.clicked
            assert self.w.rechecking
        self.clicked = self.clicked and trigger is not Trigger.MANUAL

    def _check_spacing(self, trigger: Trigger) -> None:
        if not self.sends:
            return
        automatic = [at for at, hurried in self.sends if hurried and at > self.now.at - 600.0]
        manual = trigger is Trigger.MANUAL
        assert manual or self.w.failing is None or len(automatic) < 15, "at most 15 automatic attempts in ten minutes"
        assert trigger is not Trigger.MANUAL or self.now.at >= self.sends[-1][0] + 1.0

    def _check_step(self, before: Workload, event: m.Event) -> None:
        late = isinstance(event, m.Finished) and (before.attempt is None or before.attempt.number != event.attempt)
        if late:
            assert before.phase is self.w.phase, "a late answer changes no phase"
        if before.login is not None and self.w.login is None:
            assert self.given_up or isinstance(event, m.Loaded), "a login is never dropped by itself"
        turned_red = self.w.phase is Phase.SIGNED_OUT and before.phase is not Phase.SIGNED_OUT
        if turned_red and self.w.signed_out is not SignedOut.NEVER:
            refused = isinstance(event, m.Finished) and isinstance(event.outcome, o.Refused)
            ended = self.w.signed_out is SignedOut.ENDED and self._is_over()
            confirmed = isinstance(event, m.Rejected) and self.confirmed and deadlines.access_only(before)
            known = before.rechecking or isinstance(event, m.Loaded)
            assert refused or ended or confirmed or known, "red only by a verdict, or at its end"
        gave_up = self.w.failing is not None and self.w.failing.gave_up
        if gave_up and not (before.failing is not None and before.failing.gave_up):
            assert isinstance(event, m.Finished | m.Time | m.Loaded), "or by the ceiling, decided by a failed attempt"

    def _is_over(self) -> bool:
        ends = None if self.w.access is None else self.w.access.ends_at(self.w.spec.policy.usable_margin)
        return deadlines.access_only(self.w) and ends is not None and self.now.at >= ends

    # --- rules -------------------------------------------------------------------------------------------------------

    @initialize(there=st.booleans())
    def begin(self, there: bool) -> None:
        self.slots = replace(login(), subject="alice") if there else None
        self.w, effects = machine.begin(SPEC)
        for effect in effects:
            self._carry_out(effect)

    @rule(seconds=st.sampled_from([0.3, 1.0, 3.0, 11.0, 40.0, 400.0, 5000.0, 100000.0]), asleep=st.booleans())
    def time_passes(self, seconds: float, asleep: bool) -> None:
        self.now = Moment(self.now.at + seconds, self.now.awake + (0.0 if asleep else seconds), self.now.wall + seconds)
        self.feed(m.Time(self.now))

    def may_go(self) -> bool:
        opens = deadlines.opens_at(self.w, self.gate)
        return opens is not None and opens <= self.now.at

    @rule()
    def the_engine_passes(self) -> None:
        """What the engine does in each pass."""
        if self.may_go():
            self.feed(m.Go(self.now))

    @rule()
    def wait_for_the_deadline(self) -> None:
        """Skip to the next deadline."""
        deadline = deadlines.next_deadline(self.w, self.gate)
        if deadline is not None:
            passed = max(0.0, deadline - self.now.at)
            self.now = Moment(self.now.at + passed, self.now.awake + passed, self.now.wall + passed)
            self.feed(m.Go(self.now) if self.may_go() else m.Time(self.now))
            later = deadlines.next_deadline(self.w, self.gate)
            assert later is None or later > self.now.at or self.may_go(), (
                "a deadline that brings nothing hides the later ones"
            )

    @precondition(lambda self: self.reading)
    @rule(trouble=st.none() | st.sampled_from(list(Trouble)))
    def the_keyring_is_read(self, trouble: Trouble | None) -> None:
        self.reading -= 1
        if trouble is not None:
            self.feed(m.KeyringDown(self.now, trouble))
        else:
            saved = machine.saved(self.w, self.now)
            self.serial += 1
            self.feed(
                m.Loaded(
                    self.now,
                    self.slots,
                    replace(saved, paused=False) if self.w.phase else Saved(),
                    serial=self.serial,
                    asked=self.clicked,
                )
            )

    @precondition(lambda self: self.probing)
    @rule(trouble=st.none() | st.sampled_from(list(Trouble)))
    def the_probe_ends(self, trouble: Trouble | None) -> None:
        number = self.probing.pop(0)
        self.feed(m.ProbeOk(self.now, number) if trouble is None else m.KeyringDown(self.now, trouble, number))

    @precondition(lambda self: self.storing)
    @rule(trouble=st.none() | st.sampled_from(list(Trouble)))
    def the_write_ends(self, trouble: Trouble | None) -> None:
        wanted = self.storing.pop(0)
        if trouble is not None:
            self.feed(m.NotStored(self.now, wanted.generation, wanted.lineage, trouble))
            return
        if not self.gone and id(wanted) not in self.void:
            self.slots = wanted
        self.feed(m.Stored(self.now, wanted.generation, wanted.lineage))

    @rule()
    def the_keyring_is_replaced(self) -> None:
        """By an empty one, which says that it is there."""
        self.slots = None
        self.feed(m.KeyringUp(self.now))

    @precondition(lambda self: self.checking)
    @rule(readable=st.booleans())
    def the_login_is_looked_for(self, readable: bool) -> None:
        wanted = self.checking.pop(0)
        if readable and (self.slots is None or self.slots.generation < wanted.generation):
            self.feed(m.LoginMissing(self.now, wanted.generation, wanted.lineage))

    @precondition(lambda self: self.in_flight)
    @rule(
        kind=st.sampled_from(
            [
                "rotated",
                "same",
                "renamed",
                "endless",
                "not_sent",
                "ambiguous",
                "busy",
                "gateway",
                "page",
                "refused",
                "unknown_client",
            ]
        ),
        jitter=st.floats(0.0, 0.999),
    )
    def the_server_answers(self, kind: str, jitter: float) -> None:
        number, send = self.in_flight.popitem()
        self.feed(self._answer(number, send, kind, jitter))

    def _answer(self, number: int, send: m.Send, kind: str, jitter: float) -> m.Finished:
        self.serial += 1
        self.tokens += 1
        new = Secret(f"t{self.tokens}")
        name = token(aud=send.login.client_id, iat=0, email=f"alice{self.tokens}@example.com")
        outcomes: dict[str, o.Outcome] = {
            "rotated": o.Refreshed(Secret("a"), new, 1000.0),
            "same": o.Refreshed(Secret("a"), None, 100.0),
            "renamed": o.Refreshed(Secret("a"), None, 100.0, id_token=name, verified=True),
            "endless": o.Refreshed(Secret("a"), send.login.refresh_token, None),
            "not_sent": o.NotSent(PROBLEM),
            "ambiguous": o.Ambiguous(PROBLEM),
            "busy": o.ServerBusy(PROBLEM, retry_after=30.0),
            "gateway": o.ServerBusy(PROBLEM, maybe_spent=True),
            "page": o.ServerBusy(PROBLEM, portal=True, refresh_token=new),
            "refused": o.Refused(Problem("oauth", "x", 400, "invalid_grant")),
            "unknown_client": o.Refused(Problem("oauth", "x", 401, "invalid_client")),
        }
        sent = send.login
        attempt = self.w.attempt
        if attempt is not None and attempt.number == number:
            if kind in ("refused", "unknown_client"):
                self.verdicts.add(sent.fingerprint())
            elif kind in ("rotated", "same", "renamed", "endless"):  # accepted after all
                self.verdicts.discard(sent.fingerprint())
                del self.rechecks[sent.fingerprint()]
        return m.Finished(self.now, number, sent.fingerprint(), sent.lineage, outcomes[kind], jitter, self.serial)

    @rule(kind=st.sampled_from(["refused", "rotated", "ambiguous"]))
    def a_late_answer_comes(self, kind: str) -> None:
        """The answer of an attempt that is long over."""
        held = self.w.login
        own = held if held is not None and held.renewable else login(99, "ghost")  # of another login nothing was sent
        self.feed(self._answer(10_000, m.Send(10_000, own, Trigger.DUE), kind, 0.5))

    @rule(
        event=st.sampled_from(
            [
                m.KeyringUp,
                m.NetworkUp,
                m.Woke,
                m.SleepSoon,
                m.GateBlocked,
                m.GateUnblocked,
                m.Manual,
                m.Accepted,
                m.HotCall,
            ]
        )
    )
    def something_happens(self, event: type[m.Event]) -> None:
        if event is m.Accepted:
            self.doubted_at = 0.0
        self.clicked = self.clicked or event is m.Manual
        self.feed(event(self.now))

    @rule(offline=st.booleans(), portal=st.booleans())
    def the_network_changes(self, offline: bool, portal: bool) -> None:
        before = self.gate.blocked()
        self.gate = gates.network(self.gate, self.now.at, offline=offline, portal=portal)
        if before != self.gate.blocked():
            self.feed((m.GateBlocked if self.gate.blocked() else m.GateUnblocked)(self.now))
        if not self.gate.blocked():
            self.feed(m.NetworkUp(self.now))

    @rule(code=st.sampled_from(["", "invalid_token"]))
    def the_upstream_rejects(self, code: str) -> None:
        if self.w.access is None:
            return
        if code and self.now.at >= self.doubted_at + 10.0:
            self.confirmed = self.doubted_at > 0.0
        self.doubted_at = self.doubted_at or (self.now.at if code else 0.0)
        self.feed(m.Rejected(self.now, self.w.access.serial, code))
        self.confirmed = False

    @rule(ours=st.booleans())
    def the_client_gets_another_secret(self, ours: bool) -> None:
        before = self.w
        self.secrets += 1
        self.feed(m.ClientRenewed(self.now, "c" if ours else "other", Secret(f"s{self.secrets}")))
        assert before.phase is self.w.phase
        assert (before.access, before.attempt, before.maybe_spent) == (
            self.w.access,
            self.w.attempt,
            self.w.maybe_spent,
        )
        assert ours or before is self.w

    @rule(scope=st.sampled_from(["write", "admin"]), stale=st.booleans())
    def the_upstream_wants_more(self, scope: str, stale: bool) -> None:
        before, serial = self.w, self.w.access.serial if self.w.access is not None else 0
        needs = Needs(permission=True, scopes=(scope,))
        self.feed(m.PermissionNeeded(self.now, serial + 1000 * stale, needs))
        assert before == replace(self.w, needs=before.needs), "it is only noted"
        assert not stale or before is self.w, "and not for another token"

    @rule(life=st.none() | st.sampled_from([30.0, 5000.0, 3e7]), renewable=st.booleans())
    def somebody_signs_in(self, life: float | None, renewable: bool) -> None:
        self.tokens += 1
        self.serial += 1
        self.doubted_at = 0.0
        if renewable:
            new = replace(
                login(1, f"N{self.tokens}"), refresh_token=Secret(f"t{self.tokens}"), client_secret=Secret("s")
            )
            self.feed(m.SignedIn(self.now, new, access(self.serial, self.now.at)))
        else:
            new = access_only(self.now, life, f"A{self.tokens}")
            self.feed(m.SignedIn(self.now, new, access(self.serial, self.now.at, life)))
        assert self.w.needs is None, "what the earlier login lacked isn't said of this one"
        if not self.gone and self.w.after != "remove":
            assert self.w.phase in (Phase.VALID, Phase.PAUSED), "every red ends after one successful sign-in"

    @rule(event=st.sampled_from([m.Pause, m.Resume, m.SignInStarted, m.SignInEnded]))
    def somebody_clicks(self, event: type[m.Event]) -> None:
        self.feed(event(self.now))

    @rule()
    def the_timing_is_changed(self) -> None:
        policy = replace(self.w.spec.policy, refresh_ahead_max=100.0)
        self.feed(m.Configured(self.now, replace(SPEC, policy=policy)))

    @precondition(lambda self: self.serial > 3)
    @rule()
    def somebody_signs_out(self) -> None:
        self.given_up = True
        self.feed(m.SignOut(self.now))

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def an_attempt_exists_exactly_while_refreshing(self) -> None:
        if hasattr(self, "w"):
            assert (self.w.attempt is not None) == (self.w.phase is Phase.REFRESHING)

    @invariant()
    def every_workload_waits_for_something(self) -> None:
        """There is always a deadline, an attempt, or a named event to wait for."""
        if not hasattr(self, "w"):
            return
        w = self.w
        if w.after == "remove" or w.phase in (Phase.SIGNED_OUT, Phase.PAUSED, Phase.BROKEN):
            return
        if w.phase is Phase.LOADING:
            assert w.due is not None or self.reading, "a deadline, or the keyring's answer"
        elif w.phase is Phase.REFRESHING:
            assert w.attempt is not None
            waits = {Step.PROBE: self.probing, Step.SENT: self.in_flight, Step.STORING: self.storing}[w.attempt.step]
            assert waits, "the keyring's or the server's answer"
        elif w.phase is Phase.WAITING:
            assert w.due is not None or (w.failing is not None and w.failing.gave_up), "a deadline, or the next change"
        else:
            endless = w.access is not None and w.access.expires_at is None
            ends = deadlines.login_ends_at(w) is not None or bool(w.after)  # the write is waited for, then that is done
            assert w.due is not None or endless or ends, "a deadline, or the upstream's 401"

    @invariant()
    def what_cannot_be_renewed_is_never_attempted(self) -> None:
        """Such a login is served or ended, and never in doubt: no request was ever made with it."""
        if hasattr(self, "w") and deadlines.access_only(self.w):
            assert self.w.phase not in (Phase.WAITING, Phase.REFRESHING)
            assert not self.w.maybe_spent
            assert self.w.failing is None
            assert self.w.signed_out is not SignedOut.LOST_ROTATION
            assert deadlines.opens_at(self.w, self.gate) is None

    @invariant()
    def it_is_served_to_its_end(self) -> None:
        """Usable exactly as long as it is neither over nor refused twice."""
        if hasattr(self, "w") and deadlines.access_only(self.w) and self.w.phase is Phase.VALID:
            assert self.w.access is not None
            assert not self.w.access.rejected

    @invariant()
    def a_refused_login_stays_red_while_it_is_checked(self) -> None:
        """Nothing but a token, a sign-in or a person ends that status; network and wakes bring no check about."""
        if not hasattr(self, "w"):
            return
        w = self.w
        if w.rechecking and not w.after:
            assert view.derive(w, self.gate, self.now).status is Status.UNAUTHENTICATED
        assert w.signed_out is None or w.phase not in (Phase.VALID, Phase.WAITING)
        if w.phase is Phase.SIGNED_OUT and w.due is not None and w.trigger is Trigger.RECHECK:
            opens = deadlines.opens_at(w, self.gate)
            assert opens is None or not (w.signing_in or self.gate.blocked())

    @invariant()
    def no_login_is_lost(self) -> None:
        """What the machine holds is never older than what the keyring confirmed."""
        if hasattr(self, "w") and self.w.login is not None and self.w.slots_read and self.slots is not None:
            assert self.w.login.generation >= self.slots.generation

    @invariant()
    def unsaved_is_never_forgotten(self) -> None:
        """A login that is in memory only has a write under way, a time for the next one, or a read that comes first."""
        if hasattr(self, "w") and self.w.unsaved and not self.gone and self.w.after != "remove":
            if self.w.phase is Phase.LOADING and self.w.due is not None:
                return  # it is read again first
            assert self.w.storing is not None or self.w.store_at is not None or self.reading


@pytest.mark.timeout(900)  # the deep profile takes minutes
def test_invariants_hold_in_any_order_of_events() -> None:
    """Random histories break no invariant."""

    run_state_machine_as_test(World, settings=settings(suppress_health_check=list(HealthCheck)))
