"""Everything that lives on the engine's loop, put together: engine, adapters, loopback server, notices, file watch.

`open` builds it, `until` runs it, `close` takes it down in the order that loses nothing: first no new callers, then the
engine with its attempts in flight, then keyring and journal.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from trayapp import __version__
from trayapp.api.api import open_routes, routes
from trayapp.api.events import Events
from trayapp.api.history import event_json
from trayapp.api.pagekeys import PageKeys
from trayapp.api.pages import Pages
from trayapp.app.control import AppControl
from trayapp.app.dashboard import Dashboard
from trayapp.app.notifier import Notifier
from trayapp.app.start_at_login import StartAtLogin
from trayapp.app.token_source import EngineTokenSource
from trayapp.app.watcher import SystemWatcher
from trayapp.config.loader import ConfigError, Settings
from trayapp.core import gate
from trayapp.core.checks import Check, Report, keyring_check
from trayapp.core.client_settings import ClientAccess
from trayapp.core.menu import tray_view
from trayapp.core.presentation import Action, Verb
from trayapp.core.snapshot import Snapshot
from trayapp.engine.engine import Engine
from trayapp.engine.ports import Adapters
from trayapp.oauth.lazy_sign_in import LazySignIn
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire
from trayapp.osevents.clocks import SystemClock
from trayapp.proxy import aggregate
from trayapp.proxy.aggregate import Aggregate
from trayapp.proxy.proxy import Proxy
from trayapp.proxy.upstream import Upstreams
from trayapp.server.keys import Keys
from trayapp.server.server import LoopbackServer, PortTaken
from trayapp.server.serverfile import ServerFileError
from trayapp.storage.installation import install_id
from trayapp.storage.journal import Journal
from trayapp.storage.timeline import Timeline
from trayapp.system.private_files import write_private
from trayapp.vault.keystore import Keystore

if TYPE_CHECKING:
    from trayapp.app.app import App

log = logging.getLogger(__name__)

CLOSE_LIMIT = 3.0  # s for each part; a keyring or a disk that hangs must not hold up the end
QUIT_AGAIN = 30.0  # s; a second *Quit* within this time means it, unsaved logins or not
EVENTS = "network and sleep"
POLLING = "polling"
STILL_IN_FORCE = "The last good configuration stays in force."
NO_KEYRING = "No keyring: logins are kept for this run only."
NO_HOST = "This desktop shows no tray icons. Amberlight works all the same: see amberlight dashboard"


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
        self.page_keys = PageKeys(self.paths.pages_file)
        self.watcher = SystemWatcher(self)
        self.sign_in = LazySignIn(self.wire, self.tokens, self.keystore, self._parts.open_url)
        adapters = Adapters(
            clock=self.clock,
            tokens=self.tokens,
            keystore=self.keystore,
            journal=self.journal,
            sign_in=self.sign_in,
            watcher=self.watcher,
        )
        self.engine = Engine(adapters, self._published, on_verb=self._verb, read_configuration=self._read_again)
        self.notifier = Notifier(self.engine, app.act, enabled=self._parts.notifications)
        self.at_login = StartAtLogin(self._parts.autostart, self._shows_autostart, self._tells_autostart)
        self.control = AppControl(self)
        self.events = Events(self.control, version=__version__)
        self.timeline = Timeline(
            self.journal,
            self.paths.alive_file,
            lambda what, work: self.engine.task(what, work, needed=True),
            lambda name, new: self.events.tell("history", lambda: event_json(name, new)),
        )
        self.proxy = Proxy(EngineTokenSource(self.engine), self.keys, Upstreams(self.wire.tls))
        self.aggregate = Aggregate(self.keys, self.paths.aggregate_file, lambda: self.server)
        self.dashboard = Dashboard(self, self._parts.open_url)
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
        self.engine.task("look when Amberlight last ran", self.timeline.started(self.clock.now().wall), needed=True)
        self.engine.gate = self.watcher.first_gate()
        self.read_configuration()
        self.engine.say(muted=self._muted())
        await self._serve()
        await self.notifier.open()
        self.engine.task("watch the keyring", self.keystore.watch(self._keyring_up))
        self.engine.task("look whether there is a keyring", self._look_at_keyring())
        self.engine.task("listen to the system", self.watcher.watch.run())
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
            ("the endpoint of all workloads", self.aggregate.close),
            ("the loopback server", self.server.close if self.server is not None else None),
            ("the proxy", self.proxy.close),
            ("the pages of sign-ins", self.sign_in.close),
            ("the notifications", self.notifier.close),
            ("starting at login", self.at_login.close),
            ("the keyring", self.keystore.close),
            ("the history", self._stopped),
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

    async def _stopped(self) -> None:
        await self.timeline.stopped(self.clock.now().wall)

    async def report(self) -> Report:
        """What only the running app knows, for `doctor`."""
        logins = {name: workload.login for name, workload in self.engine.workloads.items()}
        endpoints = {name: login.token_endpoint for name, login in logins.items() if login is not None}
        return Report(tuple(await self._checks()), self._app.tray is not None, endpoints)

    async def _checks(self) -> list[Check]:
        keyring = keyring_check(await self.keystore.status(), await self.keystore.describe())
        wrong = await self.journal.status()
        state = Check("state", "ok", "state.db is written.")
        if wrong:
            state = Check("state", "warning", wrong, "No login is lost by this; see that the disk is not full.")
        reason = self.engine.gate.reason(self.clock.now().at)
        network = Check("network", "ok", "There is a network.")
        if reason is not None:
            network = Check("network", "warning", f"Nothing is attempted now: {reason}.", "It goes on by itself.")
        others = (Check("app", "warning", said) for topic, said in self._warnings.items() if topic != "keyring")
        return [keyring, state, network, self._events(), *others]

    def sources(self) -> list[str]:
        """Who tells of network and sleep now; looking from time to time is always among them."""
        return [*self.watcher.watch.live, POLLING]

    def _events(self) -> Check:
        """How changes of network and sleep are noticed."""
        watch = self.watcher.watch
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

    def aggregate_access(self) -> ClientAccess | None:
        """How a program on this machine reaches all of them at once; None while nothing listens."""
        if self.server is None:
            return None
        lasting = self.server.port == self.settings.port
        return ClientAccess("amberlight", f"{self.server.url}{aggregate.PATH}", self.keys.key(aggregate.KEY), lasting)

    def quit(self) -> None:
        """The whole program."""
        self._app.quit()

    # --- configuration -----------------------------------------------------------------------------------------------

    def read_configuration(self) -> tuple[list[str], list[str]]:
        """Read the files and take up what they say: errors and warnings. A bad file changes nothing but what is shown."""
        self.watcher.remember_files()
        self.engine.task("look whether a login starts Amberlight", self.at_login.look())
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
        self.engine.gate = gate.with_settling_times(
            self.engine.gate, config.settings.settle, config.settings.settle_max
        )
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
            self._app.tray.publish(lambda: tray_view(snapshot, local_time))
        self.notifier.published(snapshot)
        self.events.published(snapshot)
        self.timeline.published(snapshot, self.clock.now().wall)
        if self._parts.on_snapshot is not None:
            self._parts.on_snapshot(snapshot)

    def _verb(self, action: Action) -> None:
        """Clicks that concern the app."""
        match action.verb:
            case Verb.QUIT:
                self._quit_asked()
            case Verb.MUTE:
                self._toggle_mute()
            case Verb.AUTOSTART:
                self.engine.task("switch starting at login", self.at_login.toggle())
            case Verb.SHOW | Verb.ADD:
                self.dashboard.clicked(add=action.verb is Verb.ADD)
            case Verb.COPY_CLIENT:
                access = self.client_access(action.name)
                self.engine.task("copy client settings", self.notifier.copy_client(action.name, access))
            case Verb.COPY_ERROR:
                self.engine.task("copy error details", self.notifier.copy_error(action.name))
            case _:
                log.info("nothing to do for %s", action.verb)

    def _quit_asked(self) -> None:
        """A login that is in memory only would be lost: say so once, then do it."""
        unsaved, at = self.engine.unsaved(), self.clock.now().at
        if unsaved and at - self._quit_at > QUIT_AGAIN:
            self._quit_at = at
            self.notifier.warn_quit(unsaved)
            return
        self.quit()

    def _toggle_mute(self) -> None:
        muted = not self.engine.snapshot().muted
        write_private(self.paths.muted_file, "yes\n" if muted else "no\n")
        self.engine.say(muted=muted)

    def _shows_autostart(self, checked: bool | None) -> None:
        self.engine.say(autostart=checked)

    def _tells_autostart(self, sentence: str) -> None:
        self.notifier.say("autostart", "Start at login", sentence)

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
            self.notifier.say("host", "Amberlight is running", NO_HOST)

    def _keyring_up(self) -> None:
        self.warn("keyring")
        self.notifier.user_is_back()
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
                routes=routes(
                    self.control, version=__version__, events=self.events, page_keys=self.page_keys, past=self.timeline
                ),
                open_routes=[*open_routes(self.page_keys), *self.aggregate.routes(), *self.proxy.routes()],
                pages=Pages().routes(),
                page_key=lambda key: self.page_keys.admits(key) or self.aggregate.admits(key),
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


def local_time(wall: float) -> str:
    """The clock on the wall, as people read it: 14:32."""
    return time.strftime("%H:%M", time.localtime(wall))
