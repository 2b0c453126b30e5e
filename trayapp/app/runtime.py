"""Build, run and close everything on the engine's loop: engine, adapters, loopback server, notifications, watcher.

`open` begins it, `run_until` runs it, `close` takes it down in the order that loses nothing: first no new callers, then
keyring and journal, after the engine has ended its attempts. Each part gets what it uses; none of them knows this file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from trayapp import __version__
from trayapp.api.events import Events
from trayapp.api.history import event_json
from trayapp.api.pagekeys import PageKeys
from trayapp.api.reauthorize_page import ReauthorizePage
from trayapp.app.app_actions import AppActions
from trayapp.app.change_port import PortChange
from trayapp.app.client_addresses import ClientAddresses
from trayapp.app.client_files import ClientFiles
from trayapp.app.client_secrets import watch
from trayapp.app.closing import close_all
from trayapp.app.configuration import ConfigurationReader
from trayapp.app.configuration_edits import AppHooks, ConfigurationEdits
from trayapp.app.control import AppCalls, AppControl
from trayapp.app.dashboard import Dashboard
from trayapp.app.diagnostics import Diagnostics
from trayapp.app.editing import Configuration
from trayapp.app.external import ExternalWatch
from trayapp.app.icon_notice import IconNotice, this_desktop
from trayapp.app.inspection import Inspection
from trayapp.app.keyring_news import KeyringNews
from trayapp.app.listening import Listening
from trayapp.app.local_server import server_factory, sign_in_host
from trayapp.app.local_time import Zone, local_time
from trayapp.app.notifier import Notifier, allowed_kinds
from trayapp.app.parts import Parts
from trayapp.app.records import Records
from trayapp.app.server_file import ServerFile
from trayapp.app.start_at_login import StartAtLogin
from trayapp.app.token_source import EngineTokenSource
from trayapp.app.warning_lines import WarningLines
from trayapp.app.watcher import Reactions, SystemWatcher
from trayapp.config.loader import Config
from trayapp.config.paths import Paths
from trayapp.core.menu import tray_view
from trayapp.core.metrics import Counters
from trayapp.core.model import Moment, Spec
from trayapp.core.presentation import Action
from trayapp.core.snapshot import Snapshot
from trayapp.engine.engine import Engine
from trayapp.engine.ports import Adapters
from trayapp.oauth.lazy_sign_in import LazySignIn
from trayapp.oauth.tokens import HttpTokens
from trayapp.oauth.wire import Wire
from trayapp.osevents.clocks import SystemClock
from trayapp.proxy.aggregate import Aggregate
from trayapp.proxy.proxy import Proxy
from trayapp.proxy.upstream import Upstreams
from trayapp.server.keys import Keys
from trayapp.storage.installation import install_id
from trayapp.storage.journal import Journal
from trayapp.storage.timeline import Timeline
from trayapp.system.lookups import Lookups
from trayapp.vault.keystore import Keystore

if TYPE_CHECKING:
    from trayapp.server.server import LoopbackServer
    from trayapp.tray.icon import TrayIcon

log = logging.getLogger(__name__)


class Runtime:
    """One set of parts, from `open` to `close`. `quit_` ends the program; `act` takes a click from any thread.

    `load` reads the configuration files; `started_at` is wall seconds.
    """

    def __init__(
        self,
        paths: Paths,
        load: Callable[[], Config],
        parts: Parts,
        *,
        started_at: float,
        act: Callable[[Action], None],
        quit_: Callable[[], None],
        tray: TrayIcon | None,
    ) -> None:
        self.paths = paths
        self._parts = parts
        self._tray = tray
        self.clock = SystemClock()
        self.zone = Zone()
        self.lookups = Lookups(asyncio.get_running_loop())
        self.wire = Wire(__version__, now=lambda: self.clock.now().at)
        self.tokens = HttpTokens(self.wire)
        self.keystore = (
            parts.keystore() if parts.keystore else Keystore(install_id(paths.data_dir, paths.config_file.parent))
        )
        self.journal = Journal(paths.state_db)
        self.keys = Keys(paths.keys_file)
        self.page_keys = PageKeys(paths.pages_file)
        self.watcher = SystemWatcher(self.clock.now, self._reactions())
        self.sign_in = LazySignIn(
            self.wire, self.tokens, self.keystore, parts.open_url, lambda: not self.engine.snapshot().this_run_only
        )
        adapters = Adapters(self.clock, self.tokens, self.keystore, self.journal, self.sign_in, self.watcher)
        self.engine = Engine(
            adapters,
            self._published,
            on_app_action=lambda action: self.actions.act(action),
            read_configuration=lambda: self.engine.task("read the configuration", self.configuration.reread()),
        )
        self.warnings = WarningLines(lambda lines: self.engine.set_app_fields(warnings=lines))
        self.server_file = ServerFile(
            (paths.runtime_dir, paths.other_runtime_dir),
            parts.announce,
            lambda text: self.warnings.set("server", text),
            self.engine.wake,
        )
        self.configuration = ConfigurationReader(
            load,
            (paths.site_config_file, paths.config_file),
            self.engine,
            self.warnings,
            lambda: self.engine.task("look whether a login starts Amberlight", self.at_login.refresh()),
            lambda specs: self._configured(specs),
            lambda name: self.edits.removing.hides(name),
        )
        self.notifier = Notifier(
            self.clock.now,
            self.engine.snapshot,
            lambda: self.engine.callers.refused,
            act,
            enabled=parts.notifications,
            allowed=lambda: allowed_kinds(self.configuration.settings, self.clock.now().wall),
            show_balloon=tray.show_balloon if tray else None,
        )
        self.icon_notice = IconNotice(
            paths.state_dir, self.notifier, self.warnings, lambda: self.engine.snapshot().muted, this_desktop()
        )
        self.at_login = StartAtLogin(
            parts.autostart,
            lambda checked: self.engine.set_app_fields(autostart=checked),
            lambda sentence: self.notifier.show_text("autostart", "Start at login", sentence),
        )
        self.external = ExternalWatch(parts.machine, self.engine, self.notifier.show_text, parts.owners)
        self.clients = ClientAddresses(
            lambda: self.server,
            lambda: self.configuration.settings.port,
            self.engine.spec,
            self.keys,
            lambda name: self.proxy.transports.speaks_sse(name),
        )
        self.client_files = ClientFiles(parts.machine, paths.state_dir, self.clients, self.engine)
        self.keyring_news = KeyringNews(self.keystore, self.engine, self.warnings, self.notifier.user_is_back)
        self.diagnostics = Diagnostics(
            self.engine,
            self.keystore,
            self.journal.status,
            self.watcher.watch,
            lambda: self.warnings.lines,
            lambda: tray is not None,
            self.external.checks,
            self.external.urls,
            lambda: self.edits.take_over.taken_over(),
        )
        self.edits = ConfigurationEdits(
            Configuration(paths, self.configuration.read),
            self.engine,
            self.sign_in,
            self.keystore,
            self.journal,
            self.keys,
            self.at_login,
            AppHooks(
                self.client_files,
                self.external,
                self._forget_endpoint,
                lambda: self.engine.snapshot().muted,
                lambda: self.actions.set_muted(self.configuration.settings.muted),
                lambda name, new: self.records.renamed(name, new),
                lambda port: self.port_change.change(port),
            ),
        )
        self.control = AppControl(self.engine, self.sign_in, self._app_calls(quit_), started_at=started_at)
        self.events = Events(self.control, version=__version__)
        self.timeline = Timeline(
            self.journal,
            paths.alive_file,
            lambda what, work: self.engine.task(what, work, needed=True),
            lambda name, new: self.events.emit("history", lambda: event_json(name, new)),
        )
        self.records = Records(paths, self.engine.task, self.events)
        self.inspection = Inspection(
            paths,
            self.diagnostics.report,
            self.control,
            lambda: self.server.url if self.server is not None else "",
            parts.machine,
        )
        self.reauthorize_page = ReauthorizePage(
            now=lambda: self.clock.now().at,
            address=lambda: self.server.url if self.server is not None else None,
            server_of=lambda name: sign_in_host(self.engine.view_of(name), self.engine.spec(name)),
            begin=lambda name: self.engine.sign_ins.begin(name, browser=False, accept=False),
        )
        self.proxy = Proxy(
            EngineTokenSource(self.engine, self.engine.callers),
            self.keys,
            Upstreams(self.wire.tls),
            paths.mcp_dir,
            self.reauthorize_page.link,
            self.records.activity,
        )
        self.aggregate = Aggregate(self.keys, lambda: self.server)
        self.listening = Listening(
            server_factory(
                paths.runtime_dir,
                self.control,
                self.events,
                self.page_keys,
                self.timeline,
                self.reauthorize_page,
                self.aggregate,
                self.proxy,
                lambda: self.configuration.settings.allowed_users,
                self.records.activity,
                self.inspection,
            ),
            lambda: self.configuration.settings.port,
            lambda outage: self.engine.set_app_fields(outage=outage),
            lambda server: self.server_file.keep(server, self.clock.now()),
            self.server_file.missing,
            self.engine.task,
        )
        self.port_change = PortChange(self.listening, paths, self.configuration, self.engine, self.client_files)
        self.dashboard = Dashboard(
            now=self.clock.now,
            task=self.engine.task,
            address=lambda: self.server.url if self.server is not None else None,
            secret=self.page_keys.link,
            unused=self.page_keys.is_link,
            directory=paths.runtime_dir,
            tell=lambda sentence: self.notifier.show_text("dashboard", "Amberlight", sentence),
            show_all=self.notifier.show_all,
            open_url=parts.open_url,
        )
        self.actions = AppActions(
            self.engine,
            self.notifier,
            self.at_login,
            self.dashboard,
            self.sign_in.page,
            self.port_change.change,
            self.external.restart_clicked,
            paths.muted_file,
            quit_,
        )

    def _app_calls(self, quit_: Callable[[], None]) -> AppCalls:
        """What the API needs of the app."""
        return AppCalls(
            client=self.clients.transport,
            clients=self.clients.several,
            aggregate=self.clients.aggregate,
            client_files=self.client_files,
            counted=self._counters,
            read_configuration=self.configuration.read,
            sources=self.diagnostics.sources,
            report=self.diagnostics.report,
            edits=self.edits,
            change_port=lambda port: self.port_change.change(port),
            external=self.external,
            quit=quit_,
        )

    def _reactions(self) -> Reactions:
        """What the watcher calls. Some are bound late, as the watcher is made before the engine and the notifier."""
        return Reactions(
            poll_soon=lambda: self.engine.wake(),
            user_is_back=lambda: self.notifier.user_is_back(),
            time_passed=self._time_passed,
            sleep_imminent=lambda done: self.engine.task("hold the sleep up", self.engine.suspend.delay(done)),
            connections_stale=self._connections_stale,
        )

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Load the configured workloads, listen, and begin to watch."""
        self.engine.task("look when Amberlight last ran", self.timeline.started(self.clock.now().wall), needed=True)
        self.engine.gate = self.watcher.first_gate()
        await self.configuration.read()
        self.engine.set_app_fields(muted=self.actions.muted(self.configuration.settings.muted))
        await self.listening.settle()
        await self.notifier.open()
        self.engine.task("keep listening", self.listening.run())
        self.engine.task("watch the keyring", self.keystore.watch(self.keyring_news.up))
        self.engine.task("look whether there is a keyring", self.keyring_news.check())
        self.engine.task("look at client secrets", watch(self.engine, self.sign_in.client_secret, self.warnings))
        self.engine.task("listen to the system", self.watcher.watch.run())
        self.engine.task("watch the configuration", self.configuration.watch.run())
        self.engine.task("look for other programs", self.external.run())
        if self._parts.on_start is not None:
            self._parts.on_start(self.control)

    async def run_until(self, over: asyncio.Event) -> None:
        """Run the engine until `over` is set, then end it. Raises whatever ended it unexpectedly."""
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
        """Close every part, in the order that loses nothing."""
        self.events.close()  # readers of events need not be waited for
        self.proxy.steady.end_streams()
        await close_all(
            (
                ("the endpoint of all workloads", self.aggregate.close),
                ("server.json", self.server_file.close),
                ("the loopback server", self.listening.close),
                ("the proxy", self.proxy.close),
                ("the pages of sign-ins", self.sign_in.close),
                ("the notifications", self.notifier.close),
                ("starting at login", self.at_login.close),
                ("other programs", self.external.close),
                ("the clients' files", self.client_files.close),
                ("the configuration", self.configuration.close),
                ("the keyring", self.keystore.close),
                ("the history", lambda: self.timeline.stopped(self.clock.now().wall)),
                ("state.db", self.journal.close),
                ("the activity", self.records.activity.close),
            )
        )

    @property
    def server(self) -> LoopbackServer | None:
        """The loopback server that clients are to use; None while nothing listens."""
        return self.listening.server

    # --- callbacks ----------------------------------------------------------------------------------------------------

    def _published(self, snapshot: Snapshot) -> None:
        """The engine published a snapshot: pass it to everything that shows or records it."""
        self._draw(snapshot)
        self.notifier.published(snapshot)
        self.events.published(snapshot)
        self.proxy.steady.published()
        self.timeline.published(snapshot, self.clock.now().wall)
        if self._parts.on_snapshot is not None:
            self._parts.on_snapshot(snapshot)

    def _configured(self, specs: Collection[Spec]) -> None:
        """A good configuration was read; the engine takes its workloads next."""
        self.edits.configured([spec.name for spec in specs])
        self.engine.set_app_fields(muted=self.actions.muted(self.configuration.settings.muted))
        self.records.configured(self.configuration.settings)
        self.external.configured(self.configuration.settings)
        self.clients.make_keys(specs)
        self.listening.configured()

    def _forget_endpoint(self, name: str) -> None:
        self.engine.task(f"forget what clients of {name} were told", self.proxy.steady.forget(name))

    def _counters(self) -> Counters:
        engine = self.engine
        return Counters(engine.effects.refreshes, engine.callers.refusals, self.proxy.answered, self.events.readers)

    def _draw(self, snapshot: Snapshot) -> None:
        if self._tray is not None:
            self._tray.publish(lambda: tray_view(snapshot, local_time))

    def _time_passed(self, now: Moment) -> None:
        if self.zone.changed():
            self._draw(self.engine.snapshot())
        self.listening.passes()
        self.server_file.passes(now)
        self.configuration.watch.passed()
        self.external.passed()
        self.notifier.time_passes()
        self.timeline.passes(now)
        self.records.passes(now)

    def _connections_stale(self) -> None:
        self.lookups.network_changed()
        self.wire.network_changed()
        self.external.machine_returned()
        self.engine.task("drop idle connections", self.proxy.renew())
