"""`FreshHome`: the home directory of somebody who has just installed Amberlight and has used Claude Code and Codex before.

Commands run in a pseudo-terminal. The app that one of them starts belongs to nobody, so it is found by its lock and ended
here. Meanwhile the process list is watched, as everybody on the machine can.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import sys
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests import ROOT
from tests.desktop.desk import Desk
from tests.desktop.screen import wait_for
from tests.real.terminal import Terminal
from trayapp.config.paths import Paths
from trayapp.server.instance import holder

PROGRAM = Path(os.environ.get("AMBERLIGHT_PROGRAM") or Path(sys.prefix, "bin", "amberlight"))
WATCH_EVERY = 0.02  # s
# A browser without a person: it follows the redirects. What the app starts has no PYTHONPATH of ours.
BROWSER = """#!{python}
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.desktop.fake_browser import main
main(Path({visits!r}), sys.argv[1])
"""


class FreshHome:
    """Everything is below `root`; the home is `root/name`. Used as a context manager, it ends the app."""

    def __init__(self, desk: Desk, root: Path, name: str = "home") -> None:
        self.root = root
        self.home = root / name
        self.visits_file = root / "visits"
        places = {place: root / place.lower() for place in ("CONFIG", "DATA", "STATE", "CACHE")}
        for directory in (self.home, root / "run", *places.values()):
            directory.mkdir(mode=0o700)
        browser = root / "browser"
        browser.write_text(BROWSER.format(python=sys.executable, root=str(ROOT), visits=str(self.visits_file)))
        browser.chmod(0o755)
        self.env = {
            **desk.env,
            **{f"XDG_{place}_HOME": str(directory) for place, directory in places.items()},
            "XDG_RUNTIME_DIR": str(root / "run"),
            "HOME": str(self.home),
            "PATH": "/usr/bin:/bin",  # with none of the clients that this machine may have
            "BROWSER": f"{browser} %s &",
        }
        self.command_lines: set[bytes] = set()
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._look, name="process list")

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._watch.join()
        self.end_app()

    @property
    def paths(self) -> Paths:
        """The files of this installation."""
        return Paths(
            config_file=self.root / "config/amberlight/config.toml",
            site_config_file=self.root / "nowhere",
            state_dir=self.root / "state/amberlight",
            data_dir=self.root / "data/amberlight",
            runtime_dir=self.root / "run/amberlight",
            log_file=self.root / "state/amberlight/log/amberlight.log",
        )

    # --- what is there before ---------------------------------------------------------------------------------------

    def configure_port(self, port: int | None = None) -> None:
        """Keep away from the default port, which another test may have."""
        if port is None:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
        self.paths.config_file.parent.mkdir(mode=0o700)
        self.paths.config_file.write_text(f"[settings]\nport = {port}\n")

    @property
    def claude_file(self) -> Path:
        return self.home / ".claude.json"

    @property
    def codex_file(self) -> Path:
        return self.home / ".codex/config.toml"

    def give_claude(self, servers: Mapping[str, str]) -> None:
        """Claude Code has been used here, with these servers (name → address)."""
        (self.home / ".claude").mkdir(exist_ok=True)
        entries = {name: {"type": "http", "url": url} for name, url in servers.items()}
        self.claude_file.write_text(json.dumps({"numStartups": 3, "mcpServers": entries}, indent=2))
        self.claude_file.chmod(0o600)

    def give_codex(self) -> None:
        """Codex has been used here, without a server; everybody may read its file."""
        self.codex_file.parent.mkdir(exist_ok=True)
        self.codex_file.write_text('# mine\nmodel = "gpt-5"\n')
        self.codex_file.chmod(0o644)

    def claude_entry(self, name: str) -> Any:
        return json.loads(self.claude_file.read_text())["mcpServers"][name]

    def codex_entry(self, name: str) -> Any:
        return tomllib.loads(self.codex_file.read_text())["mcp_servers"][name]

    # --- commands ---------------------------------------------------------------------------------------------------

    def terminal(self, *words: str) -> Terminal:
        return Terminal([str(PROGRAM), *words], self.env, self.home)

    def app_pid(self) -> int | None:
        """The process of the running app."""
        running = holder(self.paths.lock_file)
        return running.pid if running else None

    def end_app(self) -> None:
        """Quit it, as a session manager does."""
        pid = self.app_pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        try:
            wait_for(lambda: self.app_pid() is None, "the app to end", 15.0)
        except AssertionError:
            os.kill(pid, signal.SIGKILL)
            raise

    # --- what others may see ----------------------------------------------------------------------------------------

    def _look(self) -> None:
        while not self._over.is_set():
            for process in Path("/proc").iterdir():
                if process.name.isdecimal():
                    with contextlib.suppress(OSError):
                        self.command_lines.add((process / "cmdline").read_bytes())
            time.sleep(WATCH_EVERY)

    def open_files(self) -> Iterator[Path]:
        """Files that others than their owner may read, were it not for the directories above them."""
        for file in self.root.rglob("*"):
            if file.is_file() and not file.is_symlink() and stat.S_IMODE(file.stat().st_mode) & 0o077:
                yield file
