"""A day in a minute, without an account: three workloads, their servers inside this process, logins in memory.

Everything else is the real program: engine, tray, notifications, command line. The script of the day is `_play`: all
green, a firewall in front of every server (amber), the network back (green), one server blocked until the ceiling (red,
notification), and one click that makes it green again. Under `fast` the click is played too.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from trayapp.app.app import App
from trayapp.app.parts import Parts
from trayapp.config.loader import Config, Settings
from trayapp.config.paths import Paths
from trayapp.core.menu import GLYPH_CHARACTERS
from trayapp.core.model import Login, Policy, Secret, Spec
from trayapp.core.presentation import Action, Verb
from trayapp.core.public import rfc3339
from trayapp.core.snapshot import Snapshot, WorkloadView
from trayapp.oauthtest import EchoWorkload, Mode, OAuthServer, browse
from trayapp.vault.keystore import MemoryKeystore

log = logging.getLogger(__name__)

NAMES = ("calendar", "notes", "tickets")
LEFT_OUT = "tickets"  # the one that stays blocked until its ceiling
PATIENCE = 60.0  # s for each scene; a demo that hangs says so
HOLD = 6.0  # s that a scene stays on the screen


def policy(fast: bool) -> Policy:
    """The rules of the real program with a day's waiting taken out of them."""
    pace = 0.1 if fast else 1.0
    return Policy(
        initial_retry_interval=1.0 * pace,
        max_retry_interval=2.0 * pace,
        max_tries=3,
        tick_interval=2.0 * pace,
        ceiling=5.0 * pace,
        burst=(0.0, 1.0 * pace, 2.0 * pace),
        usable_margin=0.1 * pace,
        refresh_spacing=0.2 * pace,
        automatic_attempts=1000,
        portal_window=0.0,
        hot_wait=1.0 * pace,
    )


def run(*, tray: bool, fast: bool, exit_when_done: bool, as_json: bool) -> int:
    """`amberlight demo`. Exit code 0; 1 if the day did not go as it should."""
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="amberlight-demo-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        servers = {name: stack.enter_context(_server(fast)) for name in NAMES}
        echoes = {name: stack.enter_context(EchoWorkload(server)) for name, server in servers.items()}
        paths = _paths(root)
        paths.make()
        logging.basicConfig(filename=paths.log_file, level=logging.INFO)
        specs = {name: _spec(name, servers[name], echoes[name].url, fast) for name in NAMES}
        scene = Scene(as_json)
        keystore = MemoryKeystore()
        app = App(
            paths,
            lambda: Config(Settings(port=0), specs),
            Parts(
                keystore=lambda: keystore,
                open_url=_played if fast else _opened,
                on_snapshot=scene.show,
                notifications=tray,
                autostart=None,
            ),
        )
        _sign_in_all(keystore, servers)
        day = threading.Thread(target=_day, args=(app, scene, servers, fast, exit_when_done), name="day", daemon=True)
        day.start()
        code = app.run(tray=tray)
        scene.end()
        day.join(5.0)
        return code or scene.code


def _server(fast: bool) -> OAuthServer:
    return OAuthServer(access_token_lifetime=0.8 if fast else 6.0, check=False, grace=60.0, consent="auto")


def _paths(root: Path) -> Paths:
    """Everything below `root`, but where the command line looks for the running app, if no other one runs."""
    mine = Paths.under(root)
    usual = Paths.default()
    if usual.server_file.exists():
        print("Another Amberlight runs: `amberlight` commands go to that one, not to this demo.", file=sys.stderr)
        return mine
    return Paths(
        config_file=mine.config_file,
        site_config_file=mine.site_config_file,
        state_dir=mine.state_dir,
        data_dir=mine.data_dir,
        runtime_dir=usual.runtime_dir,
        log_file=mine.log_file,
    )


def _spec(name: str, server: OAuthServer, url: str, fast: bool) -> Spec:
    return Spec(
        name=name,
        url=url,
        client_id=server.client_id,
        issuer=server.issuer,
        authorization_endpoint=server.authorization_endpoint,
        token_endpoint=server.token_endpoint,
        scopes=("mcp",),
        policy=policy(fast),
    )


def _sign_in_all(keystore: MemoryKeystore, servers: dict[str, OAuthServer]) -> None:
    """The logins of yesterday."""
    import asyncio

    for name, server in servers.items():
        grant = server.issue(scope="mcp")
        login = Login(
            generation=1,
            lineage=f"demo-{name}",
            refresh_token=Secret(grant.refresh_token or ""),
            obtained_at=time.time(),
            token_endpoint=server.token_endpoint,
            client_id=server.client_id,
            issuer=server.issuer,
            scope="mcp",
        )
        asyncio.run(keystore.store(name, login))


def _played(url: str) -> bool:
    """The browser of `--fast`: it follows the page's own redirects, as the consent page agrees by itself."""
    threading.Thread(target=browse, args=(url,), name="browser", daemon=True).start()
    return True


def _opened(url: str) -> bool:
    """The user's browser; without one, the pretend browser."""
    display = sys.platform in ("win32", "darwin") or any(
        os.environ.get(v) for v in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    try:
        if display and webbrowser.open(url):
            return True
    except webbrowser.Error:
        pass
    return _played(url)


class DemoEnded(Exception):  # noqa: N818 - somebody quit: the rest of the day is not played
    """The demo was ended before the day was."""


class Scene:
    """What the demo shows in the terminal, and what it has seen so far."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._shown: dict[str, tuple[str, str]] = {}
        self._views: dict[str, WorkloadView] = {}
        self._changed = threading.Condition()
        self.over = threading.Event()
        self.code = 0

    def show(self, snapshot: Snapshot) -> None:
        """From the engine's thread: print what changed, and wake who waits for it."""
        with self._changed:
            for name, view in sorted(snapshot.workloads.items()):
                word = (view.status.value, view.auth.detail.value)
                if self._shown.get(name) != word:
                    self._shown[name] = word
                    self._print(view)
            self._views = dict(snapshot.workloads)
            self._changed.notify_all()

    def say(self, text: str) -> None:
        """A line of the story; not in JSON."""
        if not self._as_json:
            print(f"\n{text}", flush=True)

    def until(self, what: str, holds: Callable[[dict[str, WorkloadView]], bool], *, patient: bool = False) -> None:
        """Wait for it, if `patient` however long. Raises `TimeoutError` that names it, or `DemoEnded`."""

        def seen() -> bool:
            return self.over.is_set() or bool(self._views and holds(self._views))

        with self._changed:
            if not self._changed.wait_for(seen, None if patient else PATIENCE):
                raise TimeoutError(what)
        if self.over.is_set():
            raise DemoEnded

    def end(self) -> None:
        """Nobody need wait any longer."""
        with self._changed:
            self.over.set()
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Let it be looked at."""
        self.over.wait(seconds)

    def _print(self, view: WorkloadView) -> None:
        if self._as_json:
            line = {"at": rfc3339(time.time()), "name": view.name, "status": view.status.value}
            print(json.dumps({**line, "detail": view.auth.detail.value}), flush=True)
            return
        at = time.strftime("%H:%M:%S")
        print(f"  {at}  {GLYPH_CHARACTERS[view.glyph]} {view.name:<10} {view.status.value:<16} {view.status_context}", flush=True)


def _day(app: App, scene: Scene, servers: dict[str, OAuthServer], fast: bool, exit_when_done: bool) -> None:
    """The day in a thread of its own; whatever goes wrong ends the demo with a sentence."""
    try:
        _play(app, scene, servers, fast)
    except DemoEnded:
        return
    except TimeoutError as error:
        _went_wrong(scene, f"The demo waited in vain for: {error}")
    except Exception as error:  # nobody would ever end a demo whose story has stopped
        log.exception("the day stopped")
        _went_wrong(scene, f"The demo stopped: {type(error).__name__}: {error}")
    else:
        if not exit_when_done:
            return
    app.quit()


def _went_wrong(scene: Scene, sentence: str) -> None:
    scene.code = 1
    print(sentence, file=sys.stderr)


def _play(app: App, scene: Scene, servers: dict[str, OAuthServer], fast: bool) -> None:
    hold = 0.2 if fast else HOLD
    scene.say("Good morning: everything is signed in.")
    scene.until("green", lambda views: _all(views, "running"))
    scene.pause(hold)
    scene.say("The laptop wakes behind a firewall: amber, and nobody has to do anything.")
    for server in servers.values():
        server.mode = Mode.FIREWALL
    scene.until("amber", lambda views: _all(views, "auth_retrying"))
    scene.pause(hold / 2)
    scene.say("The network is back: green by itself.")
    for server in servers.values():
        server.mode = Mode.SUCCESS
    scene.until("green again", lambda views: _all(views, "running"))
    scene.pause(hold / 2)
    scene.say(f"The server of {LEFT_OUT} stays blocked for longer than the ceiling allows: red, one click needed.")
    servers[LEFT_OUT].mode = Mode.FIREWALL
    scene.until("red", lambda views: views[LEFT_OUT].status.value == "unauthenticated")
    servers[LEFT_OUT].mode = Mode.SUCCESS
    scene.say(f"Click: menu or notification → Reauthorize{_command(app.paths)}")
    if fast:
        app.act(Action(Verb.REAUTHORIZE, LEFT_OUT))
    scene.until("the click", lambda views: _all(views, "running"), patient=not fast)
    scene.say("Green again, by one click.")
    scene.pause(hold / 2)


def _command(paths: Paths) -> str:
    """The same in a terminal, unless the commands go to another Amberlight that runs."""
    reached = paths.runtime_dir == Paths.default().runtime_dir
    return f", or: amberlight reauthorize {LEFT_OUT}" if reached else ""


def _all(views: dict[str, WorkloadView], status: str) -> bool:
    return all(view.status.value == status and view.auth.detail.value in ("ok", "retrying") for view in views.values())
