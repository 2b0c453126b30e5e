"""Step-up: an upstream that wants more than the login grants changes nothing but what a person is told (section 7)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.login_plan import MFA
from tests.simulation.planned import length, random_stream
from tests.simulation.servers import Family
from tests.simulation.truth import Truth
from trayapp.core.messages import Event, PermissionNeeded, SignedIn, SignInEnded
from trayapp.core.model import AccessToken, Problem, Spec, Workload
from trayapp.core.permission import Needs, scopes_in
from trayapp.core.presentation import Verb

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

SIGNS_IN = 0.5  # how often a person does what the notification says
DECLINES = 0.3  # and then declines on the page
DECLINED = Problem("access_denied", "The sign-in was declined.")


class StepUp:
    """Plays the upstream, and observes what its challenges and the sign-ins after them change."""

    def __init__(self, world: World, truths: dict[str, Truth]) -> None:
        self._world, self._truths = world, truths
        self._told: dict[str, Family] = {}  # the login of which a person was told

    def used(self, process: Process, truth: Truth, got: AccessToken) -> None:
        """A client uses the token: the upstream may want more."""
        missing = [each for each in truth.wants if each not in scopes_in(truth.family.scope)]
        if not missing or got.value.reveal() not in truth.family.access:
            return
        engine, name = process.engine, truth.name
        scopes = tuple(each for each in missing if each != MFA)
        needs = Needs(bool(scopes), scopes, MFA in missing, ("mfa",) if MFA in missing else ())
        before, seen, served = engine.workloads[name], engine.view_of(name), engine.callers.peek(name)
        engine.apply(name, PermissionNeeded(engine.now(), got.serial, needs))
        after, now = engine.workloads[name], engine.view_of(name)
        current = before.access is not None and before.access.serial == got.serial
        if seen is None or now is None or now.status is not seen.status or now.colour is not seen.colour:
            self._broken(name, "insufficient_scope changes the status")
        if engine.callers.peek(name) != served or _essence(after) != _essence(before):
            self._broken(name, "insufficient_scope changes more than what is noted")
        if current and (after.needs is None or not set(scopes) <= set(after.needs.scopes)):
            self._broken(name, "what the upstream asked for isn't noted")
        if current and self._told.get(name) is not truth.family:
            self._told[name] = truth.family
            self._world.say(name, "the upstream wants more: {}", " ".join(missing))
            rng = random_stream(self._world.seed, f"stepup {name} {self._world.clocks.t:.3f}")
            if rng.random() < SIGNS_IN:
                loop = asyncio.get_running_loop()
                loop.call_later(length(rng, 5.0, 7200.0), self._world.click, Verb.REAUTHORIZE, name)

    def page(self, spec: Spec, family_before: Family) -> Problem | str:
        """The person at a page that asks for more: what it grants, or why nothing."""
        if spec.needs is None:
            return ""
        name, asked = spec.name, spec.needs.scopes
        lost = set(scopes_in(family_before.scope)) - {MFA} - set(asked)
        if lost:
            self._broken(name, f"the sign-in for more doesn't ask for what the login has: {sorted(lost)}")
        rng = random_stream(self._world.seed, f"page {name} {self._world.clocks.t:.3f}")
        if rng.random() < DECLINES:
            return DECLINED
        strong = (MFA,) if spec.needs.authentication or MFA in scopes_in(family_before.scope) else ()
        return " ".join(dict.fromkeys((*asked, *strong)))

    def applied(self, name: str, before: Workload, event: Event, after: Workload) -> None:
        """A sign-in ended, with or without a login."""
        if isinstance(event, SignInEnded) and _essence(before) != _essence(after):
            self._broken(name, "a sign-in that was declined changes the workload")
        if isinstance(event, SignedIn) and after.needs is not None:
            self._broken(name, "a sign-in doesn't end what the upstream asked of the login before")

    def _broken(self, name: str, what: str) -> None:
        self._world.broke(name, "step-up", what)


def _essence(w: Workload) -> tuple[object, ...]:
    """What a challenge or a declined sign-in must not change."""
    return w.phase, w.login, w.access, w.attempt, w.due, w.failing, w.strikes, w.signed_out, w.unsaved, w.maybe_spent
