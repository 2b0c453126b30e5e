"""Builds and runs the demo: three workloads, their servers in this process, logins in memory only.

Everything else is the real program: engine, tray, notifications, command line. What happens is in `story.py`.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from trayapp.app.app import App
from trayapp.app.icon_notice import keep
from trayapp.app.parts import Parts
from trayapp.config.loader import Config, Settings
from trayapp.config.paths import Paths
from trayapp.core.first_start import Told
from trayapp.core.model import Login, Policy, Secret, Spec
from trayapp.demo.audience import Audience, audience
from trayapp.demo.story import BLOCKED, NAMES, Narrator, play
from trayapp.oauthtest import EchoWorkload, OAuthServer, browse
from trayapp.server.instance import is_held
from trayapp.system.browser import NoBrowserError
from trayapp.system.browser import browse as browse_here
from trayapp.vault.keystore import MemoryKeystore


def policy(fast: bool) -> Policy:
    """The real retry rules with a day's waiting removed. The ceiling has to outlast the scene in amber."""
    pace = 0.1 if fast else 1.0
    return Policy(
        initial_retry_interval=1.0 * pace,
        max_retry_interval=2.0 * pace,
        max_tries=3,
        tick_interval=2.0 * pace,
        ceiling=2.0 if fast else 8.0,
        burst=(0.0, 1.0 * pace, 2.0 * pace),
        usable_margin=0.1 * pace,
        refresh_spacing=0.2 * pace,
        automatic_attempts=1000,
        portal_window=0.0,
        hot_wait=1.0 * pace,
    )


def run(*, tray: bool, fast: bool, exit_when_done: bool, as_json: bool) -> int:
    """`amberlight demo`. Exit code 0; 1 if the story didn't go as written."""
    with ExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="amberlight-demo-"))
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        servers = {name: stack.enter_context(_server(fast)) for name in NAMES}
        echoes = {name: stack.enter_context(EchoWorkload(server)) for name, server in servers.items()}
        paths = _paths(root)
        paths.make()
        for told in (Told.ICON, Told.NO_TRAY):
            keep(paths.state_dir, told)  # the terminal says what to look at
        stack.enter_context(_log_to(paths.log_file))
        specs = {name: _spec(name, servers[name], echoes[name].url, fast) for name in NAMES}
        narrator = Narrator(as_json)
        found = audience(tray=tray, arguments=_the_click(paths))
        watching = Audience(problem=found.problem) if fast else found  # at high speed nobody is waited for
        keystore = MemoryKeystore()
        app = App(
            paths,
            lambda: Config(Settings(port=0), specs),
            Parts(
                keystore=lambda: keystore,
                open_url=lambda url: _simulated_browser(url) if narrator.clicked else _browser(url),
                on_snapshot=narrator.show,
                notifications=tray,
                autostart=None,
                machine=None,
            ),
        )
        _sign_in_all(keystore, servers)
        ends = exit_when_done or not found.icon
        arguments = (app, narrator, servers, watching, fast, ends)
        story = threading.Thread(target=play, args=arguments, name="day", daemon=True)
        story.start()
        code = app.run(tray=tray)
        narrator.end()
        story.join(5.0)
        return code or narrator.code


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Log to this file. It is closed in the end, as Windows deletes no open file; what is logged later is dropped."""
    handler = logging.FileHandler(path, encoding="utf-8")
    logging.basicConfig(handlers=[handler, logging.NullHandler()], level=logging.INFO)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _server(fast: bool) -> OAuthServer:
    return OAuthServer(access_token_lifetime=0.8 if fast else 6.0, check=False, grace=60.0, consent="auto")


def _paths(root: Path) -> Paths:
    """All paths below `root`, except that commands should find the demo if no other app is running."""
    own = Paths.under(root)
    usual = Paths.default()
    if usual.server_file.exists() or is_held(usual.lock_file):
        print("Another Amberlight is running. `amberlight` commands go to that one, not to this demo.", file=sys.stderr)
        return own
    return Paths(
        config_file=own.config_file,
        site_config_file=own.site_config_file,
        state_dir=own.state_dir,
        data_dir=own.data_dir,
        runtime_dir=usual.runtime_dir,
        log_file=own.log_file,
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
    """Store a login for each workload, as if it had been made yesterday."""
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


def _simulated_browser(url: str) -> bool:
    """The browser if the demo itself clicks: follows redirects in a thread. The servers' consent page agrees immediately."""
    threading.Thread(target=browse, args=(url,), name="browser", daemon=True).start()
    return True


def _browser(url: str) -> bool:
    """The user's browser; the simulated one where there is none."""
    try:
        return browse_here(url)
    except NoBrowserError:
        return _simulated_browser(url)


def _the_click(paths: Paths) -> tuple[str, ...]:
    """The command that does what the click does; none where it would reach another Amberlight that is running."""
    return ("reauthorize", BLOCKED) if paths.runtime_dir == Paths.default().runtime_dir else ()
