"""Paths of all files Amberlight uses. No other module asks the platform for a directory.

They come from platformdirs, so the XDG variables move them on Linux. AMBERLIGHT_HOME, or the directory `amberlight-home`
beside a frozen program, takes them all. Our directories are 0700 and our files 0600.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trayapp.config.home import home
from trayapp.system.plain_files import NotRespondingError, within
from trayapp.system.private_files import private_directory

if TYPE_CHECKING:
    from platformdirs import PlatformDirs

APP = "amberlight"
MAKE_LIMIT = 1.0  # s for a directory that the app can do without at its start


@dataclass(frozen=True, slots=True)
class Paths:
    """All paths of one installation. `under(root)` makes a separate installation, for tests and the demo."""

    config_file: Path
    site_config_file: Path
    state_dir: Path
    data_dir: Path
    runtime_dir: Path
    log_file: Path

    @classmethod
    def default(cls) -> Paths:
        """The paths for this user. Raises `HomeError`."""
        if (root := home()) is not None:
            return cls.under(root)
        from platformdirs import PlatformDirs

        dirs = PlatformDirs(APP, appauthor=False)
        state = Path(dirs.user_state_dir)
        return cls(
            config_file=Path(dirs.user_config_dir, "config.toml"),
            site_config_file=Path(dirs.site_config_dir, "config.toml"),
            state_dir=state,
            data_dir=Path(dirs.user_data_dir),
            runtime_dir=_private_runtime_dir(dirs) or state / "run",
            log_file=Path(dirs.user_log_dir, "amberlight.log"),
        )

    @classmethod
    def under(cls, root: Path) -> Paths:
        """All paths below one directory."""
        return cls(
            config_file=root / "config" / "config.toml",
            site_config_file=root / "site" / "config.toml",
            state_dir=root / "state",
            data_dir=root / "data",
            runtime_dir=root / "run",
            log_file=root / "log" / "amberlight.log",
        )

    @property
    def server_file(self) -> Path:
        """Address and API key of the running app."""
        return self.runtime_dir / "server.json"

    @property
    def other_runtime_dir(self) -> Path:
        """Where `server.json` goes if the runtime directory can't be used, or was taken away with the login."""
        return self.state_dir / "run"

    @property
    def pages_file(self) -> Path:
        """Digests of the keys of open dashboard pages."""
        return self.runtime_dir / "pages.json"

    @property
    def alive_file(self) -> Path:
        """Heartbeat: Amberlight was alive when this file was last modified."""
        return self.runtime_dir / "alive"

    @property
    def state_db(self) -> Path:
        """The SQLite database with state, intents and history."""
        return self.state_dir / "state.db"

    @property
    def lock_file(self) -> Path:
        """Held by the one running app."""
        return self.state_dir / "amberlight.lock"

    @property
    def config_lock_file(self) -> Path:
        """Held while the configuration file is rewritten."""
        return self.state_dir / "config.lock"

    @property
    def keys_file(self) -> Path:
        """The local keys that clients send to the proxy."""
        return self.state_dir / "keys.json"

    @property
    def mcp_dir(self) -> Path:
        """What MCP servers offered when they last answered, and the sessions of their clients."""
        return self.state_dir / "mcp"

    @property
    def activity_db(self) -> Path:
        """Which client used which workload."""
        return self.state_dir / "activity.db"

    @property
    def muted_file(self) -> Path:
        """The last choice of *Mute notifications* in the menu: yes or no."""
        return self.state_dir / "muted"

    @property
    def quit_file(self) -> Path:
        """*Quit* was chosen since the login."""
        return self.runtime_dir / "quit"

    @property
    def starting_lock_file(self) -> Path:
        """Held by a client's bridge while it starts the app."""
        return self.state_dir / "starting.lock"

    @property
    def background_log_file(self) -> Path:
        """What the app said on its standard output and error when a client's bridge started it."""
        return self.log_file.with_name("background.log")

    @property
    def install_file(self) -> Path:
        """The random id of this installation. Not in state.db, which may be deleted without losing a login."""
        return self.data_dir / "install-id"

    @property
    def renames_file(self) -> Path:
        """Renamed workloads whose logins still have to move. Not in state.db, for the same reason."""
        return self.data_dir / "renames.json"

    @property
    def command_log_file(self) -> Path:
        """Tracebacks of commands that ended unexpectedly."""
        return self.log_file.with_name("commands.log")

    @property
    def own_directories(self) -> tuple[Path, ...]:
        """The directories that only Amberlight uses, so that it may make them private."""
        return (self.state_dir, self.data_dir, self.runtime_dir, self.log_file.parent)

    def make(self) -> None:
        """Create all our directories. Raises `NotPrivateError` or `OSError`."""
        settings = self.config_file.parent
        with contextlib.suppress(NotRespondingError):  # reading the configuration will say so; the app runs without it
            within(settings, lambda: private_directory(settings, shared=True), MAKE_LIMIT)
        for directory in self.own_directories:
            private_directory(directory)


def _private_runtime_dir(dirs: PlatformDirs) -> Path | None:
    """The platform's runtime directory; None if the session has no private one.

    In that case platformdirs warns and returns a directory below /tmp, whose name others can guess and claim first.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Path(dirs.user_runtime_dir)
    if sys.platform != "win32" and found.is_relative_to(f"/tmp/runtime-{os.getuid()}"):  # noqa: S108 - it is refused
        return None
    return found
