"""Everything that lives on the engine's loop, put together: engine, adapters, loopback server, notices, file watch.

`open` builds it, `until` runs it, `close` takes it down in the order that loses nothing: first no new callers, then the
engine with its attempts in flight, then keyring and journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from trayapp import __version__
from trayapp.announcer import Announcer
from trayapp.config import ConfigError, Settings
from trayapp.control import Control
from trayapp.core import gate
from trayapp.core.clients import ClientAccess
from trayapp.core.face import Action, Snapshot, Verb
from trayapp.core.gate import Gate
from trayapp.core.menu import face
from trayapp.core.model import Moment, Trouble
from trayapp.edge.api import Check, open_routes, routes
from trayapp.edge.events import Events
from trayapp.edge.install import install_id
from trayapp.edge.journal import Journal
from trayapp.edge.keys import Keys
from trayapp.edge.keystore import Keystore
from trayapp.edge.private import write_private
from trayapp.edge.proxy import Proxy
from trayapp.edge.server import LoopbackServer, PortTaken
from trayapp.edge.serverfile import ServerFileError
from trayapp.edge.signin import BrowserSignIn
from trayapp.edge.tokens import HttpTokens
from trayapp.edge.upstream import Upstreams
from trayapp.edge.wire import Wire
from trayapp.engine import Engine
from trayapp.osevents import ClockStepped, NetworkState, SleepSoon, Woke
from trayapp.osevents.clocks import SystemClock
from trayapp.osevents.watch import Watch
from trayapp.ports import Adapters, Seen
from trayapp.supply import Supply

if TYPE_CHECKING:
    from trayapp.app import App

log = logging.getLogger(__name__)

CLOSE_LIMIT = 3.0  # s for each part; a keyring or a disk that hangs must not hold up the end
WRITTEN = 1.0  # s without a change: then a configuration file counts as written
QUIT_AGAIN = 30.0  # s; a second *Quit* within this time means it, unsaved logins or not
KEYRING_HELP = {
    Trouble.LOCKED: "Unlock it; Amberlight goes on by itself.",
    Trouble.UNAVAILABLE: "Start a keyring (GNOME Keyring, KWallet, ...): without one logins are lost when Amberlight ends.",
    Trouble.HANGING: "Look for a window that asks for its password.",
    Trouble.FAILED: "Amberlight tries again by itself; the log has the details.",
}
EVENTS = "network and sleep"
POLLING = "polling"
STILL_IN_FORCE = "The last good configuration stays in force."
NO_KEYRING = "No keyring: logins are kept for this run only."
NO_HOST = "This desktop shows no tray icons. Amberlight works all the same: see amberlight list"


class Runtime:
    """One set of parts, from `open` to `close`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._parts = app.parts
        self.paths = app.paths
        self.clock = SystemClock()
        self.wire = Wire(__version__)
        self.tokens = HttpTokens(self.wire)
        self.keystore = (
            self._parts.keystore()
            if self._parts.keystore
            else Keystore(install_id(self.paths.data_dir, self.paths.config_file.parent))
        )
        self.journal = Journal(self.paths.state_db)
        self.keys = Keys(self.paths.keys_file)
        self.look = Look(self)
        adapters = Adapters(
            clock=self.clock,
            tokens=self.tokens,
            keystore=self.keystore,
            journal=self.journal,
            sign_in=BrowserSignIn(self.wire, self.tokens, open_url=self._parts.open_url),
            watcher=self.look,
        )
        self.engine = Engine(adapters, self._published, on_verb=self._verb, read_configuration=self._read_again)
        self.announcer = Announcer(self.engine, app.act, enabled=self._parts.notifications)
        self.control = Control(self)
        self.events = Events(self.control)
        self.proxy = Proxy(Supply(self.engine), self.keys, Upstreams(self.wire.tls))
        self.server: LoopbackServer | None = None
        self.settings = Settings()
        self._warnings: dict[str, str] = {}
        self._quit_at = float("-inf")
        self._good = False  # a configuration was read; from then on a bad file changes nothing

    @property
    def started_at(self) -> float:
        """Wall; when the program began."""
        return self._app.started_at

    async def open(self) -> None:
        """Build, listen, and take up the configured workloads."""
        self.engine.gate = self.look.first_gate()
        self.read_configuration()
        self.engine.say(muted=self._muted())
        await self._serve()
        await self.announcer.open()
        self.engine.task("watch the keyring", self.keystore.watch(self._keyring_up))
        self.engine.task("look whether there is a keyring", self._look_at_keyring())
        self.engine.task("listen to the system", self.look.watch.run())
        if self._parts.on_start is not None:
            self._parts.on_start(self.control)

    async def until(self, over: asyncio.Event) -> None:
        """Run until `over`. Raises whatever ended the engine unexpectedly."""
        running = asyncio.create_task(self.engine.run(), name="engine")
        waiting = asyncio.create_task(over.wait(), name="wait for quit")
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        try:
            if running.done():
                await running
        finally:
            await self.engine.close()
            await asyncio.gather(running, return_exceptions=True)

    async def close(self) -> None:
        """In the order that loses nothing."""
        self.events.close()  # who only listens need not be waited for
        for what, closing in (
            ("the loopback server", self.server.close if self.server is not None else None),
            ("the proxy", self.proxy.close),
            ("the notifications", self.announcer.close),
            ("the keyring", self.keystore.close),
            ("state.db", self.journal.close),
        ):
            if closing is None:
                continue
            try:
                async with asyncio.timeout(CLOSE_LIMIT):
                    await closing()
            except TimeoutError:
                log.warning("%s did not end in time and is left behind", what)
            except Exception:  # the others still have to be closed
                log.exception("%s did not end well", what)

    async def checks(self) -> list[Check]:
        """What only the running app knows, for `doctor`."""
        trouble = await self.keystore.status()
        keyring = Check("keyring", "ok", await self.keystore.describe())
        if trouble is not None:
            keyring = Check("keyring", "problem", await self.keystore.describe(), KEYRING_HELP[trouble])
        wrong = await self.journal.status()
        state = Check("state", "ok", "state.db is written.")
        if wrong:
            state = Check("state", "warning", wrong, "No login is lost by this; see that the disk is not full.")
        reason = self.engine.gate.reason(self.clock.now().at)
        network = Check("network", "ok", "There is a network.")
        if reason is not None:
            network = Check("network", "warning", f"Nothing is attempted now: {reason}.", "It goes on by itself.")
        return [keyring, state, network, self._events(), *(Check("app", "warning", t) for t in self._warnings.values())]

    def sources(self) -> list[str]:
        """Who tells of network and sleep now; looking from time to time is always among them."""
        return [*self.look.watch.live, POLLING]

    def _events(self) -> Check:
        """How changes of network and sleep are noticed."""
        watch = self.look.watch
        if not watch.live:
            return Check(
                EVENTS, "warning", "Nobody tells of them: looked at every 30 s.", "Amberlight works, only later."
            )
        sleep = "" if watch.power else " Nobody tells before a sleep: an answer on its way then may come too late."
        return Check(EVENTS, "ok", f"Told by {', '.join(watch.live)}.{sleep}")

    def client_access(self, name: str) -> ClientAccess | None:
        """How a program on this machine reaches a workload; None while nothing listens, or without such a workload."""
        if self.server is None or name not in self.engine.workloads:
            return None
        lasting = self.server.port == self.settings.port
        key = self.keys.key(name) if self.engine.workloads[name].spec.require_key else None
        return ClientAccess(name, f"{self.server.url}/w/{name}", key, lasting)

    def quit(self) -> None:
        """The whole program."""
        self._app.quit()

    # --- configuration -----------------------------------------------------------------------------------------------

    def read_configuration(self) -> tuple[list[str], list[str]]:
        """Read the files and take up what they say: errors and warnings. A bad file changes nothing but what is shown."""
        self.look.remember_files()
        try:
            config = self._app.configuration()
        except ConfigError as error:
            return self._misread([str(mistake) for mistake in error.mistakes]), []
        except OSError as error:
            return self._misread([f"{error.filename or self.paths.config_file} cannot be read: {error.strerror}"]), []
        for sentence in config.warnings:
            log.warning("configuration: %s", sentence)
        self.settings, self._good = config.settings, True
        self.engine.say(broken="")
        self.warn("configuration")
        self.engine.gate = gate.timed(self.engine.gate, config.settings.settle, config.settings.settle_max)
        self.engine.configure(config.workloads.values())
        return [], list(config.warnings)

    def _misread(self, sentences: list[str]) -> list[str]:
        """At the start it is a red cross; later the last good configuration stays in force, and that is said."""
        for sentence in sentences:
            log.error("configuration: %s", sentence)
        if self._good:
            self.warn("configuration", f"{sentences[0]}. {STILL_IN_FORCE}")
        else:
            self.engine.say(broken=sentences[0])
        return sentences

    def _read_again(self) -> None:
        self.read_configuration()

    def warn(self, topic: str, sentence: str = "") -> None:
        """A line at the top of the menu; none takes it away."""
        if sentence:
            self._warnings[topic] = sentence
        else:
            self._warnings.pop(topic, None)
        self.engine.say(warnings=tuple(self._warnings.values()))

    # --- what comes in -----------------------------------------------------------------------------------------------

    def _published(self, snapshot: Snapshot) -> None:
        if self._app.tray is not None:
            self._app.tray.publish(face(snapshot, local_time))
        self.announcer.published(snapshot)
        self.events.published(snapshot)
        if self._parts.on_snapshot is not None:
            self._parts.on_snapshot(snapshot)

    def _verb(self, action: Action) -> None:
        """Clicks that concern the app."""
        match action.verb:
            case Verb.QUIT:
                self._quit_asked()
            case Verb.MUTE:
                self._toggle_mute()
            case Verb.SHOW:
                self.announcer.show_all()
            case Verb.COPY_CLIENT:
                access = self.client_access(action.name)
                self.engine.task("copy client settings", self.announcer.copy_client(action.name, access))
            case Verb.COPY_ERROR:
                self.engine.task("copy error details", self.announcer.copy_error(action.name))
            case _:
                log.info("nothing to do for %s", action.verb)

    def _quit_asked(self) -> None:
        """A login that is in memory only would be lost: say so once, then do it."""
        unsaved, at = self.engine.unsaved(), self.clock.now().at
        if unsaved and at - self._quit_at > QUIT_AGAIN:
            self._quit_at = at
            self.announcer.warn_quit(unsaved)
            return
        self.quit()

    def _toggle_mute(self) -> None:
        muted = not self.engine.snapshot().muted
        write_private(self.paths.muted_file, "yes\n" if muted else "no\n")
        self.engine.say(muted=muted)

    def _muted(self) -> bool:
        """The last choice in the menu; before the first one, the setting."""
        try:
            return self.paths.muted_file.read_text(encoding="utf-8").strip() == "yes"
        except (OSError, ValueError):
            return self.settings.muted

    def tray_host(self, present: bool) -> None:
        """Whether a panel shows the icon (plain GNOME does not)."""
        self.warn("host", "" if present else NO_HOST)
        if not present:
            log.warning(NO_HOST)
            self.announcer.say("host", "Amberlight is running", NO_HOST)

    def _keyring_up(self) -> None:
        self.warn("keyring")
        self.announcer.user_is_back()
        self.engine.task("the keyring is back", self.engine.keyring_up())

    async def _look_at_keyring(self) -> None:
        trouble = await self.keystore.status()
        if trouble is not None and trouble.value == "unavailable":
            log.warning(NO_KEYRING)
            self.warn("keyring", NO_KEYRING)

    async def _serve(self) -> None:
        for attempt in (self.settings.port, 0):
            server = LoopbackServer(
                port=attempt,
                runtime_dir=self.paths.runtime_dir,
                version=__version__,
                routes=routes(self.control, version=__version__, events=self.events),
                open_routes=[*open_routes(), *self.proxy.routes()],
                allowed_origins=self.proxy.allowed_origins,
            )
            try:
                log.info("listening on %s", await server.start())
            except PortTaken as taken:
                log.warning("%s", taken)
                self.warn("port", f"{taken} Clients cannot reach Amberlight; refreshing goes on.")
            except ServerFileError as error:
                log.warning("%s", error)
                self.warn("server", f"{error} Commands cannot reach Amberlight; refreshing goes on.")
                return
            else:
                self.server = server
                return


class Look:
    """The engine's watcher: clocks, network, and the configuration file, at each of its wake-ups."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.watch = Watch(self._now, runtime.clock.now)
        self._files: tuple[tuple[int, ...], ...] = ()

    def first_gate(self) -> Gate:
        """How the network is at the start; nothing has to settle."""
        now = self._runtime.clock.now()
        offline = any(isinstance(event, NetworkState) and event.offline for event in self.watch.poll(now))
        return Gate(offline=offline, closed_since=now.at if offline else None)

    def poll(self, now: Moment) -> Seen | None:
        """What changed since the last look; None if nothing did."""
        if self.files_changed():
            self._read_when_written(now.wall)
        seen = Seen()
        for event in self.watch.poll(now):
            match event:
                case NetworkState(offline=offline, portal=portal):
                    seen = replace(seen, network=True, offline=offline, portal=portal)
                case Woke() | ClockStepped():  # a step of the wall clock is a wake hint (DESIGN.md section 3)
                    seen = replace(seen, woke=True)
                    self._runtime.announcer.user_is_back()
                case SleepSoon(done=done):
                    seen = replace(seen, sleep_soon=True)
                    self._runtime.engine.task("hold the sleep up", self._hold(done))
        self._runtime.announcer.time_passes()
        if seen.network or seen.woke:
            self._runtime.engine.task("drop idle connections", self._runtime.proxy.renew())
        return None if seen == Seen() else seen

    async def _hold(self, done: Callable[[], None]) -> None:
        """The gate is closed when this begins; the machine sleeps when it ends."""
        try:
            await self._runtime.engine.sleeping.settled()
        finally:
            done()

    def _read_when_written(self, wall: float) -> None:
        """An editor may be in the middle of it: a file that is younger than a moment is looked at once more."""
        age = wall - self._youngest()
        if 0.0 <= age < WRITTEN:
            asyncio.get_running_loop().call_later(WRITTEN, self._now)
            return
        log.info("the configuration file changed")
        self._runtime.read_configuration()

    def _youngest(self) -> float:
        """Wall; when a configuration file was last written."""
        return max((stamp[0] / 1e9 for stamp in self._stamps()), default=0.0)

    def _now(self) -> None:
        self._runtime.engine.look()

    def remember_files(self) -> None:
        """The files as they are now have been read."""
        self._files = self._stamps()

    def files_changed(self) -> bool:
        """Whether a configuration file is another one than what was read."""
        return self._files != self._stamps()

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        stamps: list[tuple[int, ...]] = []
        for path in (self._runtime.paths.site_config_file, self._runtime.paths.config_file):
            with contextlib.suppress(OSError):
                found = path.stat()
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
        return tuple(stamps)


def local_time(wall: float) -> str:
    """The clock on the wall, as people read it: 14:32."""
    return time.strftime("%H:%M", time.localtime(wall))
