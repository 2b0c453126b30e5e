"""Logins without a refresh token: served to their end, red at it or after a confirmed 401, and never asked for (section 6)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.planned import length, random_stream
from tests.simulation.servers import MARGIN
from tests.simulation.truth import Truth, token_of
from trayapp.core.messages import Accepted, Event, Loaded, Rejected, SignedIn, Woke
from trayapp.core.model import AccessToken, Phase, SignedOut, Workload
from trayapp.core.presentation import Verb

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

EPSILON = 0.05  # s
SPACING = 10.0  # s between two rejections that count
KEPT = 3  # rejections in a row that are remembered
INVALID = "invalid_token"
AT_START = 12.0  # s after a start in which it must be served, whatever network and servers do
CLICKED = 30.0  # s after *Retry now* in which a refused token must be served once more
RETRIES = 0.5  # how often a person clicks that


class AccessOnly:
    """Observes the workloads of a server that gives no refresh tokens."""

    def __init__(self, world: World, truths: dict[str, Truth]) -> None:
        self._world, self._truths = world, truths
        self._ends: dict[str, float] = {}  # by workload: true time at which the program must take its token to end
        self._stepped: dict[str, float] = {}  # by token: how wrong the wall clock was at the sign-in
        self._heard: dict[str, list[tuple[float, str]]] = {}  # rejections in a row that count, and when (`at`)
        self._serial: dict[str, int] = {}
        self._confirmed: dict[str, tuple[float, int]] = {}  # by token: when, and in which run

    def made(self, token: str) -> None:
        """A sign-in gave this token; its end is kept as wall time."""
        self._stepped[token] = self._world.clocks.stepped

    def started(self, process: Process) -> None:
        """A new run: what was heard from the upstream is forgotten, and the token is served soon."""
        self._heard.clear()
        if any(not truth.server.renews for truth in self._truths.values()):
            asyncio.get_running_loop().call_later(AT_START, self._served, process, self._world.clocks.t)

    def _served(self, process: Process, began: float) -> None:
        world, t = self._world, self._world.clocks.t
        disk, director = world.disk, world.director
        if world.process is not process or process.closing or world.keyring.troubled or director.well_since > began:
            return
        if disk.full or disk.hang or disk.lost_at > began:  # state.db is read before the login is used
            return
        for truth in self._truths.values():
            token = truth.stored
            if truth.server.renews or truth.paused or truth.person_asked_t > began or token in self._confirmed:
                continue
            if t >= self._ends.get(truth.name, float("inf")) - MARGIN or not truth.server.honours(token, t):
                continue
            if not isinstance(process.engine.callers.peek(truth.name), AccessToken):
                self._broken(truth, f"{AT_START:.0f} s after the start it isn't served, and it hasn't ended")

    def doubted(self, name: str) -> bool:
        """Whether the upstream's last word was a 401: only a 2xx makes an unhealthy workload green again (M18)."""
        return bool(self._heard.get(name))

    def refused(self, truth: Truth) -> bool:
        """Whether the upstream has refused its token twice, and no person has had it tried since."""
        return truth.held in self._confirmed

    def over(self, truth: Truth) -> bool:
        """Whether its end has come, as the clock of the machine shows it."""
        end = self._ends.get(truth.name, float("inf"))
        return not truth.server.renews and self._world.clocks.t >= end - MARGIN - EPSILON

    def end(self, truth: Truth, t: float) -> float:
        """Until when (true time) its token may be served."""
        return self._ends.get(truth.name, t)

    def applied(self, name: str, before: Workload, event: Event, after: Workload) -> None:
        """One event went through the machine."""
        truth = self._truths[name]
        if truth.server.renews or after.login is None:
            return
        if after.phase in (Phase.REFRESHING, Phase.WAITING) or after.maybe_spent:
            self._broken(truth, f"an attempt with a login that can't be renewed ({after.phase})")
        if after.signed_out is SignedOut.LOST_ROTATION:
            self._broken(truth, "a token that was never sent anywhere is called a lost rotation")
        if isinstance(event, Woke) and before.phase is Phase.VALID:
            self._read(truth, after)
        if isinstance(event, SignedIn) or (isinstance(event, Loaded) and before.phase is not after.phase):
            if before.phase is not Phase.LOADING:  # a resume is neither a sign-in nor a 2xx
                self._heard[name] = []
            self._read(truth, after)
            if before.phase is Phase.SIGNED_OUT and self._confirmed.pop(token_of(after.login), None) is not None:
                self._heard[name] = [(event.now.at, INVALID)]  # tried once more: the next 401 confirms it again (M7)
        red = after.phase is Phase.SIGNED_OUT and before.phase is not Phase.SIGNED_OUT
        early = self._ends.get(name, float("inf")) - MARGIN - EPSILON - self._world.clocks.t
        if red and after.signed_out is SignedOut.ENDED and early > 0.0:
            self._broken(truth, f"red {early:.0f} s before its end")

    def _read(self, truth: Truth, w: Workload) -> None:
        """Its end is wall time: where the clock was set since the sign-in, it is read as much earlier or later."""
        assert w.login is not None
        token = token_of(w.login)
        family = truth.server.family_of(token)
        if family is not None and token in family.access:
            wrong = self._world.clocks.stepped - self._stepped[token]
            self._ends[truth.name] = family.access[token] - (wrong if truth.server.life is not None else 0.0)

    def sending(self, truth: Truth) -> None:
        """A request to the token endpoint begins."""
        if not truth.server.renews:
            self._broken(truth, "a token request for a login without a refresh token")

    # --- the upstream ------------------------------------------------------------------------------------------------

    async def used(self, process: Process, truth: Truth, got: AccessToken) -> None:
        """A client uses the token; after a 401 it repeats its request twice."""
        world, value = self._world, got.value.reveal()
        rng = random_stream(world.seed, f"norefresh {process.number} {world.clocks.t:.3f}")
        self._after_confirmation(process, truth, value)
        for pause in (0.0, rng.uniform(0.1, 9.0), rng.uniform(5.0, 40.0)):
            await asyncio.sleep(pause)
            if not process.alive or process.closing:
                return
            now = process.engine.callers.peek(truth.name)
            if not isinstance(now, AccessToken) or now.value.reveal() != value:
                return
            code = INVALID if value in truth.family.dead_access else truth.errs[-1] if truth.errs else None
            if code is None:
                heard, self._heard[truth.name] = self._heard.get(truth.name), []
                process.engine.apply(truth.name, Accepted(process.engine.now()))
                if heard:
                    world.checks.recovery.changed("a 2xx")
                return
            self._says_401(process, truth, now, code)

    def _after_confirmation(self, process: Process, truth: Truth, value: str) -> None:
        if value not in self._confirmed:
            return
        t, run = self._confirmed[value]
        # The verdict is kept in state.db, which may have been full or lost, or the machine stopped before it was written.
        if run == process.number or (
            self._world.disk.lost_at < t - 60.0 and self._world.checks.refusals.ran_on(run, t)
        ):
            self._broken(truth, "served after two confirmed 401s")

    def _says_401(self, process: Process, truth: Truth, got: AccessToken, code: str) -> None:
        world, at = self._world, process.engine.now().at
        world.say(truth.name, "the upstream says 401 {}", code)
        heard = self._heard.setdefault(truth.name, [])
        if not heard or at - heard[-1][0] >= SPACING:
            heard.append((at, code))
            del heard[:-KEPT]
        confirmed = [each for _, each in heard].count(INVALID) >= 2
        if confirmed:
            self._confirmed[got.value.reveal()] = world.clocks.t, process.number
            heard.clear()
            rng = random_stream(world.seed, f"norefresh {truth.name} {world.clocks.t:.3f}")
            if rng.random() < RETRIES:
                asyncio.get_running_loop().call_later(length(rng, 20.0, 7200.0), self._click, truth, got.value.reveal())
            world.checks.recovery.changed("its token is refused")
        process.engine.apply(truth.name, Rejected(process.engine.now(), got.serial, code))
        red = process.engine.workloads[truth.name].signed_out is SignedOut.REFUSED
        if confirmed and not red:
            self._broken(truth, f"two requests {SPACING:.0f} s apart were refused, and it isn't red")
        if red and not confirmed:
            self._broken(truth, "red, and no second request has confirmed the 401")

    def _click(self, truth: Truth, token: str) -> None:
        if token == truth.held and token in self._confirmed:
            self._world.say(truth.name, "the person retries")
            truth.person_asked_t = self._world.clocks.t
            self._world.click(Verb.RETRY, truth.name)
            self.asked_for(truth)

    def asked_for(self, truth: Truth) -> None:
        """A person clicked *Retry now*."""
        world = self._world
        if self.refused(truth) and world.process is not None and not world.keyring.troubled:
            asyncio.get_running_loop().call_later(CLICKED, self._after_click, world.process, truth, world.clocks.t)

    def _after_click(self, process: Process, truth: Truth, clicked: float) -> None:
        """It was served once more, unless something kept the program from reading it."""
        world, known = self._world, self._confirmed.get(truth.held)
        busy = world.process is not process or process.closing or truth.paused or world.disk.full or world.disk.hang
        if known is None or known[0] > clicked or busy or world.keyring.troubled or self.over(truth):
            return
        if isinstance(process.engine.callers.peek(truth.name), AccessToken):
            return  # it was served even before the click: a run that had lost state.db knew of no refusal
        if max(world.director.well_since, world.disk.lost_at) < clicked and truth.server.honours(
            truth.held, world.clocks.t
        ):
            self._broken(truth, f"*Retry now*, and {CLICKED:.0f} s later it isn't served")

    def _broken(self, truth: Truth, what: str) -> None:
        self._world.broke(truth.name, "no refresh token", what)
