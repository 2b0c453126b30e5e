"""One simulated world: a laptop, its servers and its user, from the first day to the last.

Everything is drawn from the seed and nothing from the real machine, so the same seed gives the same history, line by
line. The director carries out the plan.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.simulation import clients, login_plan, plan, sharing
from tests.simulation.checks import Checks
from tests.simulation.director import Director
from tests.simulation.machine import Clocks, Network
from tests.simulation.plan import DAY, PlannedEvent
from tests.simulation.process import INSTALL, Process
from tests.simulation.servers import AuthServer, Family, random_servers
from tests.simulation.storage import Disk, Keyring
from tests.simulation.truth import Truth
from trayapp.core.model import Login, Phase, Policy, Secret, Spec
from trayapp.core.outcomes import Answer
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Status
from trayapp.engine.engine import QUIT_LIMIT
from trayapp.engine.suspend import END_POLL
from trayapp.vault.login_store import LoginStore

HISTORY = 400  # lines that are kept for a broken invariant
HOUR = 3600.0


class World:
    """A world and its present state. Create and run it on a `VirtualLoop`."""

    def __init__(
        self,
        seed: int,
        days: int,
        workloads: int,
        without: frozenset[str] = frozenset(),
        servers: list[AuthServer] | None = None,
        planned: plan.Plan | None = None,
    ) -> None:
        self.seed, self.without = seed, without
        self.rng = plan.random_stream(seed, "world")
        self.clocks = Clocks(asyncio.get_running_loop())
        self.network = Network()
        self.packets = plan.random_stream(seed, "packets")
        self.native = self.rng.random() < 0.5  # the system reports changes; otherwise only polling notices them
        self.signals = self.rng.random() < 0.6  # the keyring signals an unlock
        self.install = INSTALL
        self.keyring = Keyring(plan.random_stream(seed, "vault"), self.rng.choice(("windows", "mac", "mac")))
        self.disk = Disk()
        made = servers or random_servers(self.rng, workloads, lambda host: plan.random_stream(seed, f"server {host}"))
        server_of = sharing.shared(seed, made)
        self.servers = sharing.each_once(server_of)
        if "norefresh" not in without:
            login_plan.without_refresh_tokens(plan.random_stream(seed, "norefresh"), self.servers)
        self.specs = [self._spec(i, server) for i, server in enumerate(server_of)]
        self.names: dict[str, str] = {}  # lineage → workload
        self.process: Process | None = None
        self.runs = 0
        self.crash_countdown = 0  # calls until the machine stops; 0: it does not
        self.crash_away = 60.0
        self.asleep = False
        self.changes = 0  # of anything that the counted time of the ceiling depends on
        self._online = 0.0  # s awake, running and online
        self._counted_at = 0.0
        self.carries = False  # a server has answered since the program was last told of a network
        self._asked: dict[str, float] = {}
        self.history: deque[tuple[float, str, str, tuple[Any, ...]]] = deque(maxlen=HISTORY)
        self._digest = hashlib.sha256()
        self.lines = 0
        self.failure: tuple[str, str, str] | None = None  # workload, rule, what
        self.stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.checks = Checks(self)
        names = [spec.name for spec in self.specs]
        self.plan = planned or plan.make(seed, days, without, [server.host for server in self.servers], names)
        self._numbers = itertools.count()
        self.acts: dict[int, tuple[asyncio.TimerHandle, Callable[[], None]]] = {}  # pending actions of servers
        self.director = Director(self)
        self.keyring.writing, self.keyring.wrote = self.checks.writing, self.checks.wrote
        for spec, server in zip(self.specs, server_of, strict=True):
            self._first_login(spec, server)

    # --- its parts -----------------------------------------------------------------------------------------------------

    def _spec(self, number: int, server: AuthServer) -> Spec:
        ceiling = self.rng.choice((3 * HOUR, 8 * HOUR, 24 * HOUR, 24 * HOUR))
        policy = Policy(ceiling=ceiling)
        return Spec(f"w{number}", f"https://w{number}.example", "client", token_endpoint=server.endpoint, policy=policy)

    def _first_login(self, spec: Spec, server: AuthServer) -> None:
        family, _ = server.sign_in(spec.name, 0.0)
        self.checks.truths[spec.name] = Truth(spec.name, server, family, family.current, family.current)
        LoginStore(INSTALL).write(self.keyring, spec.name, self.login_of(server, family), candidate=False)

    def login_of(self, server: AuthServer, family: Family) -> Login:
        """The login of a sign-in that began this family."""
        lineage = f"line-{family.current[:40]}"
        self.names[lineage] = family.owner
        wall = self.clocks.now().wall
        scope = " ".join(scope for scope in family.scope.split() if scope != login_plan.MFA)
        login = Login(1, lineage, Secret(family.current), wall, server.endpoint, "client", scope=scope)
        if server.renews:
            return login
        self.checks.access_only.made(family.current)
        ends = None if server.life is None else wall + server.life
        return replace(login, refresh_token=Secret(""), access_token=Secret(family.current), expires_at=ends)

    def server_at(self, endpoint: str) -> AuthServer:
        return next(server for server in self.servers if server.endpoint == endpoint)

    def body(self, reply: Answer) -> dict[str, object]:
        try:
            found = json.loads(reply.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    # --- its state -------------------------------------------------------------------------------------------------------

    def obstacle(self, server: AuthServer) -> str:
        """What blocks requests from the laptop to this server; empty if nothing does."""
        net = self.network
        if net.down:
            return "no link"
        if net.dns:
            return "no names"
        if net.portals:
            return "portal"
        if server.vpn and net.vpn_down:
            return "no VPN"
        if net.hidden or net.hangs(server.host):
            return net.hidden or "tlshang"
        return (server.storms or server.blunders or [""])[-1]

    def good(self, name: str) -> bool:
        """Whether nothing is in this workload's way, and its server didn't say no to its login (M7)."""
        return self.could_be(name) and self.checks.truths[name].held not in self.checks.refusals.of

    def could_be(self, name: str) -> bool:
        """Whether nothing is in this workload's way but a refusal."""
        truth = self.checks.truths[name]
        if self.asleep or self.process is None or truth.paused or not truth.family.alive:
            return False
        if self.checks.access_only.doubted(name) or self.checks.access_only.over(truth):
            return False
        if self.checks.access_only.refused(truth):
            return False
        if self.keyring.troubled or self.disk.full or self.disk.hang or self.obstacle(truth.server):
            return False
        w = self.process.engine.workloads.get(name)
        if w is None or w.phase is Phase.PAUSED:
            return False
        return self.process.alive and truth.server.honours(truth.held, self.clocks.t)

    def online(self) -> float:
        """Seconds so far in which an attempt was possible: awake, running, and online as far as the program can know."""
        now = self.clocks.loop.time()
        if self.process is not None and not self.asleep and (self.carries or not self.network.offline):
            self._online += now - self._counted_at
        self._counted_at = now
        return self._online

    def shown_to_carry(self, carries: bool) -> None:
        """A server answered, so there is a network whatever the kernel reports; or the program was told of another one."""
        self.online()
        self.carries = carries

    def server_acts_later(self, delay: float, act: Callable[[], None]) -> None:
        """Schedule what a server does in `delay` seconds, whether or not the laptop is awake then."""
        key = next(self._numbers)

        def now() -> None:
            del self.acts[key]
            act()

        self.acts[key] = (asyncio.get_running_loop().call_later(delay, now), now)

    def remembers(self, name: str) -> bool:
        """Whether state.db can know that a token was in flight."""
        spent = min((doubt.acted_t for doubt in self.checks.truths[name].doubts.values()), default=0.0)
        return not self.disk.full and self.disk.lost_at < spent - 60.0

    def asked_for_more(self, name: str) -> bool:
        """Whether a caller wanted more life than the token had left."""
        return self.clocks.t - self._asked.get(name, float("-inf")) < 5.0

    # --- history ---------------------------------------------------------------------------------------------------------

    def say(self, name: str, text: str, *values: Any) -> None:
        """Add a line to the history."""
        self.lines += 1
        line = (self.clocks.t, name, text, values)
        self._digest.update(repr(line).encode())
        self.history.append(line)

    @property
    def digest(self) -> str:
        """A digest of the whole history so far, equal for equal seeds."""
        return self._digest.hexdigest()[:12]

    def broke(self, name: str, rule: str, what: str) -> None:
        """An invariant is broken: the world ends here."""
        if self.failure is None:
            self.say(name, "BROKEN {}: {}", rule, what)
            self.failure = (name, rule, what)
            self.stop.set()

    # --- running ---------------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """Run until the plan is over or an invariant is broken."""
        self.start()
        director = asyncio.ensure_future(self.director.run())
        stop = asyncio.ensure_future(self.stop.wait())
        await asyncio.wait((director, stop), return_when=asyncio.FIRST_COMPLETED)
        for task in (director, stop):
            task.cancel()
        if director.done() and not director.cancelled():
            director.result()
        if self.process is not None:
            self.process.stop()

    def click(self, verb: Verb, name: str) -> None:
        """A click of the person, now or before the program started."""
        if self.process is not None:
            self.process.engine.post(Action(verb, name))

    # --- runs of the program ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The program starts."""
        if self.process is not None:
            return
        self.online()
        self.runs += 1
        self.say("", "run {} begins", self.runs)
        self.keyring.restarted()
        self.process = process = Process(self, self.runs)
        process.task("callers", self._callers(process))
        process.task("person", self._person(process))
        asyncio.get_running_loop().call_later(5.0, self._switches)  # what the person chose while nothing ran
        self.checks.started()
        self.checks.access_only.started(process)
        self.checks.recovery.started()

    def _switches(self) -> None:
        for spec in self.specs:
            self.click(Verb.PAUSE if self.checks.truths[spec.name].paused else Verb.RESUME, spec.name)

    def crash(self, why: str) -> None:
        """The machine stops without warning."""
        process = self.process
        if process is None:
            return
        self.say("", "CRASH {}", why)
        self._gone(process, self.crash_away)

    def _gone(self, process: Process, away: float) -> None:
        self.shown_to_carry(False)
        self.crash_countdown = 0
        self.changes += 1
        self.process = None
        process.stop()
        self.checks.refusals.run_ended(process.number)
        for truth in self.checks.truths.values():
            if truth.flying is not None:
                self.checks.over(truth.flying)
        self.checks.torn()
        self.checks.recovery.changed("not running")
        asyncio.get_running_loop().call_later(away, self.start)

    def end(self, h: PlannedEvent) -> None:
        """End the program: a crash, a reboot, or a clean quit."""
        process = self.process
        if process is None or process.closing:
            return
        if h.what == "quit":
            task = asyncio.ensure_future(self._quit(process, h.duration))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        self.crash_away = h.duration
        self.crash(h.what)
        if h.what == "reboot":
            self.clocks.reboot()
        if h.what == "crash and lose state.db":
            self.disk.delete(self.clocks.t)

    async def _quit(self, process: Process, away: float) -> None:
        process.closing = True
        limit = self.clocks.t + QUIT_LIMIT - 4 * END_POLL
        await process.engine.close()
        if self.process is process:
            lost = [] if self.keyring.troubled else process.engine.workloads.values()
            unsaved = [w.spec.name for w in lost if self.checks.in_memory_only(w)]
            # An answer that comes just as the limit ends comes too late to be stored (M17).
            unsaved = [name for name in unsaved if self.checks.truths[name].access[1] < limit]
            if unsaved and not self._troubled_lately():
                self.broke(unsaved[0], "quit", "the program ended with a login in memory only")
            self._gone(process, away)

    def _troubled_lately(self) -> bool:
        return self.clocks.t - self.director.well_since < 1000.0

    async def _callers(self, process: Process) -> None:
        """Clients that request tokens at random intervals."""
        rng = plan.random_stream(self.seed, f"callers {process.number}")
        while True:
            await asyncio.sleep(rng.uniform(60.0, 900.0))
            for name in rng.sample([spec.name for spec in self.specs], k=rng.randint(1, len(self.specs))):
                process.task(f"caller of {name}", clients.call(self, process, name))

    async def _person(self, process: Process) -> None:
        """A person who looks at the icon about every ten minutes, and sometimes does what it asks for."""
        rng = plan.random_stream(self.seed, f"person {process.number}")
        while True:
            await asyncio.sleep(rng.uniform(60.0, 1200.0))
            for name in (spec.name for spec in self.specs):
                view = process.engine.view_of(name)
                if view is not None and view.status is Status.UNAUTHENTICATED and rng.random() < 0.3:
                    self.click(Verb.REAUTHORIZE, name)


__all__ = ["DAY", "World"]
