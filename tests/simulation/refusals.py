"""Refusals by mistake: red is right while the server says no, and M7 says when it may be asked again.

`Refused` is kept of every token whose refusal reached the program: only that excuses red with a login that its server
honours. Unasked it may be sent again 10 and 60 minutes later, if the server blamed the client or never rotated it; and
then it must be, as soon as nothing else is in the way.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.simulation.planned import length, random_stream
from tests.simulation.truth import Call, Truth, token_of
from trayapp.core.messages import Event, Finished
from trayapp.core.model import Phase, SignedOut, Trigger, Workload
from trayapp.core.outcomes import Answer
from trayapp.core.presentation import Verb
from trayapp.core.quirks import may_recheck

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

AGAIN = (600.0, 3600.0)  # s after the refusal (M7)
CLIENT = ("invalid_client", "unauthorized_client")
CODES = (*CLIENT, "invalid_grant")
SLACK = 120.0  # s; a look-out for the network, a minute of M8's limit of what was not sent, and the attempt itself
EPSILON = 1.0  # s
CLICKED = 75.0  # s in which *Retry now* must have led to a request: what is in flight ends first
AT_HAND = 5.0  # s before the end of a run in which state.db may not have been written yet
RETRIES = 0.6  # how often a person clicks *Retry now* on a workload that was refused


@dataclass
class Refused:
    """A token that its server refused, by an answer that reached the program."""

    code: str
    t: float
    wall: float
    run: int
    stepped: float
    lost: bool  # shown as a lost rotation
    sure: bool  # the first verdict on it; otherwise state.db may have lost the earlier ones, or not
    settled: tuple[int, float]  # the run that the last verdict reached, and when
    verdicts: int = 1
    checks: int = 0  # automatic ones that began, or were missed
    counted: int = 0  # the same without those that a crash ended before anything was sent: state.db need not have them
    before: int | None = None  # `counted` before the check under way, of which nothing has been sent yet
    due: float | None = None  # true time of the next one
    in_doubt: bool = False  # sent again since, and no complete answer came (M9)


class Refusals:
    """Observes refused logins, and holds the deadlines of their checks."""

    def __init__(self, world: World, truths: dict[str, Truth]) -> None:
        self._world, self._truths = world, truths
        self.of: dict[str, Refused] = {}  # by token
        self._accepted: dict[str, tuple[Refused, float]] = {}  # in this run, after a refusal: by token, and when
        self._verdicts: dict[str, tuple[str, str]] = {}  # by workload: token and code of an answer on its way
        self._originals: dict[str, float] = {}  # by token: when a sign-in gave it; a crash may have lost it
        self._doubted: dict[str, bool] = {}  # by workload: whether its token was in doubt before the attempt under way
        self._well: dict[str, float] = {}  # red workloads that could be asked for, and since when
        self._run_ended: dict[int, float] = {}

    # --- requests ----------------------------------------------------------------------------------------------------

    def signed_in(self, name: str, token: str) -> None:
        """The person has signed in."""
        self._originals[token] = self._world.clocks.t

    def run_ended(self, number: int) -> None:
        """A run of the program is over."""
        t = self._run_ended[number] = self._world.clocks.t
        for token, (known, accepted) in self._accepted.items():
            if t - accepted <= AT_HAND:  # state.db may still say that it is refused
                self.of[token] = replace(known, in_doubt=False, settled=(number, t))
        self._accepted.clear()
        for known in self.of.values():
            if known.before is not None:
                known.counted, known.before = known.before, None

    def ran_on(self, run: int, t: float) -> bool:
        """Whether this run outlasted what happened at `t`, so that it must be in state.db."""
        return self._run_ended.get(run, float("inf")) - t > AT_HAND

    def sending(self, truth: Truth, call: Call) -> None:
        """A request begins."""
        known = self.of.get(call.token)
        if known is None:
            return
        known.before = None
        if call.trigger is Trigger.MANUAL or not self._remembered(known, call.run):
            return
        if call.trigger is not Trigger.RECHECK:
            self._broken(truth, f"a token that was refused ({known.code}) is sent again, as {call.trigger}")
        elif not self._allowed(truth, call.token, known):
            self._broken(truth, f"unasked, although another check could end the login ({known.code})")
        elif known.counted > len(AGAIN):  # this one is counted
            self._broken(truth, "a third check")
        elif call.t < known.t + AGAIN[0] - EPSILON and self._world.clocks.stepped == known.stepped:
            self._broken(truth, f"a check {call.t - known.t:.0f} s after the refusal")

    def _remembered(self, known: Refused, run: int) -> bool:
        """Whether the program can know of it: state.db has it."""
        disk = self._world.disk
        if run == known.run:
            return True
        return not disk.full and not disk.hang and disk.lost_at < known.t - 60.0 and self.ran_on(known.run, known.t)

    def _allowed(self, truth: Truth, token: str, known: Refused) -> bool:
        """Whether sending it again unasked can do no harm (M7)."""
        if known.lost or known.in_doubt or not may_recheck(truth.server.endpoint):
            return False
        return known.code in CLIENT or token in self._originals

    def _required(self, truth: Truth, token: str, known: Refused) -> bool:
        """Whether it must be sent again: the program has to know that the token is the sign-in's own."""
        if not (known.sure and self._allowed(truth, token, known)) or known.checks >= len(AGAIN):
            return False
        if not self._remembered(known, self._world.runs) or not self.ran_on(*known.settled):
            return False  # a run that ended with the verdict may have left the token in doubt
        return known.code in CLIENT or self._world.disk.lost_at < self._originals[token]

    def answered(self, call: Call, reply: Answer) -> None:
        """A complete answer is about to reach the program."""
        self._verdicts.pop(call.name, None)
        json_ = "json" in reply.headers.get("content-type", "")
        body = self._world.body(reply) if json_ else {}
        known = self.of.get(call.token)
        if known is not None:
            known.in_doubt = (
                reply.status in (502, 504) or (reply.status == 200 and json_) or self._doubted.get(call.name, False)
            )
        if reply.status in (400, 401) and body.get("error") in CODES:
            self._verdicts[call.name] = call.token, str(body["error"])
        elif reply.status == 200 and "access_token" in body and known is not None:
            self._accepted[call.token] = self.of.pop(call.token), self._world.clocks.t
            self._world.checks.recovery.changed("its login is accepted again")

    def sent(self, call: Call) -> None:
        """The request leaves the machine: until an answer comes, its token is in doubt."""
        if (known := self.of.get(call.token)) is not None:
            self._doubted[call.name] = known.in_doubt
            known.in_doubt = True

    def applied(self, process: Process, name: str, before: Workload, event: Event, after: Workload) -> None:
        """One event went through the machine, before it is looked at."""
        if isinstance(event, Finished) and before.attempt is not None and before.attempt.number == event.attempt:
            token, code = self._verdicts.pop(name, ("", ""))
            if token:
                self._record(process, name, token, code, after)
        if after.login is None:
            return
        known = self.of.get(token_of(after.login))
        if known is None:
            self._well.pop(name, None)
            return
        checks = after.attempt is not None and after.attempt.trigger is Trigger.RECHECK
        if before.phase is Phase.SIGNED_OUT and after.phase is Phase.REFRESHING and checks:
            passed = sum(process.engine.now().wall >= known.wall + each for each in AGAIN)
            known.checks = max(known.checks + 1, passed)
            known.before, known.counted = known.counted, max(known.counted + 1, passed)
        if before.phase is not Phase.SIGNED_OUT and after.phase is Phase.SIGNED_OUT:
            self._plan(name, token_of(after.login), known)

    def _record(self, process: Process, name: str, token: str, code: str, after: Workload) -> None:
        t, lost = self._world.clocks.t, after.signed_out is SignedOut.LOST_ROTATION
        known = self.of.get(token)
        if known is not None and self._remembered(known, process.number):
            known.code, known.lost, known.verdicts = code, known.lost or lost, known.verdicts + 1
            known.in_doubt, known.settled = False, (process.number, t)
            return
        clocks = self._world.clocks
        run = process.number
        sure = known is None
        self.of[token] = Refused(code, t, clocks.now().wall, run, clocks.stepped, lost, sure, (run, t))
        self._world.say(name, "refused: {}", code)
        rng = random_stream(self._world.seed, f"refused {name} {t:.3f}")
        if rng.random() < RETRIES:
            asyncio.get_running_loop().call_later(length(rng, 20.0, 7200.0), self._click, name, token)

    # --- unasked ------------------------------------------------------------------------------------------------------

    def _plan(self, name: str, token: str, known: Refused) -> None:
        """Red again, or still: the next check is due 10 or 60 minutes after the refusal, and 10 after it was last asked."""
        truth, clocks = self._truths[name], self._world.clocks
        known.due = None
        if self._required(truth, token, known):
            asked = max([known.t, *(call.ended or call.t for call in truth.calls if call.token == token)])
            wait = max(known.wall + AGAIN[known.checks] - clocks.now().wall, asked + AGAIN[0] - clocks.t, 0.0)
            known.due = clocks.t + min(wait, AGAIN[1])
        self._well.pop(name, None)
        self._look(name)

    def changed(self) -> None:
        """Something in the world changed."""
        if self.of:
            for name in self._truths:
                self._look(name)

    def _look(self, name: str) -> None:
        known, t = self._red(name), self._world.clocks.t
        if known is None or not self._world.could_be(name):
            self._well.pop(name, None)
        elif name not in self._well:
            self._well[name] = t
            if known.due is not None:
                self._check_at(max(t, known.due) + SLACK, name, known, known.due)

    def _check_at(self, t: float, name: str, known: Refused, due: float) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(t - self._world.clocks.t, self._check, name, known, due, self._well[name])

    def _red(self, name: str) -> Refused | None:
        """The refusal for which it is red now."""
        process = self._world.process
        w = process.engine.workloads.get(name) if process is not None else None
        if w is None or w.login is None or w.phase is not Phase.SIGNED_OUT:
            return None
        return self.of.get(token_of(w.login))

    def _check(self, name: str, known: Refused, due: float, well: float) -> None:
        if self._red(name) is not known or known.due != due or self._well.get(name) != well:
            return
        world, truth, t = self._world, self._truths[name], self._world.clocks.t
        process = world.process
        if process is None or process.closing or not world.could_be(name):
            return
        w = process.engine.workloads[name]
        recent = [c.t for c in truth.calls if c.run == process.number and c.trigger is not Trigger.MANUAL and c.sent]
        later = 0.0
        if w.signing_in or world.checks.recovery.closed_t is not None or world.checks.recovery.sleep_told:
            later = t + SLACK  # a page is open; or the kernel says offline, and no refused login is tried then
        if truth.asked_by == process.number and truth.not_before + SLACK > t:
            later = truth.not_before + SLACK + 0.1  # M12
        if len(recent) >= 15 and t < recent[-15] + 600.0 + SLACK:
            later = recent[-15] + 600.0 + SLACK + 0.1  # M8's limit of attempts
        if world.clocks.stepped != known.stepped and t < due + AGAIN[1] + SLACK:
            later = due + AGAIN[1] + SLACK + 0.1  # a set clock delays it by an hour at most
        if later:
            self._check_at(later, name, known, due)
        else:
            self._broken(
                truth, f"nothing has been in its way for {t - max(due, well):.0f} s, and it isn't looked at again"
            )

    # --- by a person -------------------------------------------------------------------------------------------------

    def _click(self, name: str, token: str) -> None:
        if self._red(name) is not None and self._red(name) is self.of.get(token):
            self._world.say(name, "the person retries")
            self._truths[name].person_asked_t = self._world.clocks.t
            self._world.click(Verb.RETRY, name)
            self.asked_for(name)

    def asked_for(self, name: str) -> None:
        """A person clicked *Retry now*."""
        known = self._red(name)
        if known is not None and name in self._well:
            at = self._world.clocks.t, self._well[name]
            asyncio.get_running_loop().call_later(CLICKED, self._after_click, name, known, *at)

    def _after_click(self, name: str, known: Refused, clicked: float, well: float) -> None:
        """It was tried, unless something came into its way. Whether it is green by then is a deadline of its own."""
        tried = [c for c in self._truths[name].calls if (c.ended or c.t) >= clicked]
        if self._red(name) is known and self._well.get(name) == well and not tried:
            self._broken(self._truths[name], f"*Retry now*, and no attempt in {CLICKED:.0f} s")

    def _broken(self, truth: Truth, what: str) -> None:
        self._world.broke(truth.name, "refused", what)
