"""Where the running app listens, and the local key of one workload. Of `server.json` only address and process are used."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trayapp.config.paths import Paths
from trayapp.server.instance import holder, process_exists
from trayapp.system.plain_files import open_plain
from trayapp.system.private_files import PRIVACY

SERVER_MAX = 64 * 1024  # bytes; ours has 200
KEYS_MAX = 4 << 20  # bytes; 10,000 keys are 1 MB
_URL = re.compile(r"http://127\.0\.0\.1:([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Place:
    """A running app."""

    port: int
    pid: int


@dataclass(frozen=True, slots=True)
class Target:
    """What the client is connected to. `label` names it in sentences; `key` is the name of its local key."""

    label: str
    path: str
    key: str

    @classmethod
    def of(cls, name: str | None) -> Target:
        """The workload, or with None all of them."""
        return cls("Amberlight", "/mcp", "/mcp") if name is None else cls(name, f"/w/{name}", name)

    @property
    def help(self) -> str:
        """The command that makes the key and shows the settings."""
        return f"amberlight client-config {'--all' if self.key == '/mcp' else self.label}"


def find(paths: Paths) -> Place | None:
    """The app, by its lock file or where it usually says where it is; None if none runs."""
    running = holder(paths.lock_file)
    places = [*([running.runtime_dir] if running else []), paths.runtime_dir, paths.other_runtime_dir]
    for directory in dict.fromkeys(places):
        match _json(directory / "server.json", SERVER_MAX):
            case {"url": str(url), "pid": int(pid)} if (found := _URL.fullmatch(url)) and process_exists(pid):
                return Place(int(found[1]), pid)
    return None


def local_key(paths: Paths, name: str) -> str:
    """The key of this name in `keys.json`; empty if it has none yet."""
    match _json(paths.keys_file, KEYS_MAX):
        case {"keys": dict(keys)} if isinstance(key := keys.get(name), str) and key.isascii() and key.isprintable():
            return key
    return ""


def _json(file: Path, limit: int) -> Any:
    """The content of one of the app's private files; None if there is none to be trusted."""
    try:
        with os.fdopen(open_plain(file, follow=False), "rb") as opened:
            status = os.fstat(opened.fileno())
            if sys.platform != "win32" and (
                status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            ):
                return None
            if PRIVACY is not None and PRIVACY.problem(opened.fileno()):
                return None
            text = opened.read(limit + 1)
        return json.loads(text) if len(text) <= limit else None
    except (OSError, ValueError, RecursionError):
        return None
