"""`Tree`: ToolHive's directories as it would leave them, with canaries wherever it may keep a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from trayapp.clients.places import Machine
from trayapp.core.external import ExternalWorkload
from trayapp.external.toolhive import ToolHive
from trayapp.external.toolhive_processes import Liveness

CANARY = "CANARY"
URL = "https://mcp.example.com/mcp"
SINCE = "2026-11-30T06:18:45.43790095Z"
SINCE_WALL = 1796019525.4379


class Running(Liveness):
    """Nothing but these processes runs, and nothing but these ports is listened at."""

    def __init__(self, names: Mapping[int, str], recorded: Collection[int], ports: Collection[int] = ()) -> None:
        self._names = {pid: name for pid, name in names.items() if pid in recorded}
        self.processes = frozenset(pid for pid, name in self._names.items() if name == "thv")
        self._ports = ports

    def listens(self, host: str, port: int) -> bool:
        return port in self._ports


class Tree:
    """A user's ToolHive below `root`. `processes` are those that run, by number; `command` is the path of `thv`."""

    def __init__(self, root: Path) -> None:
        self.run_configs = root / "state" / "toolhive" / "runconfigs"
        self.server = root / "state" / "toolhive" / "server"
        self.statuses = root / "data" / "toolhive" / "statuses"
        self.processes: dict[int, str] = {}
        self.ports: set[int] = set()
        self.command: str | None = None
        self.unreachable = ""  # a host
        self.slept = 0.0
        self.on_sleep: Callable[[], None] = lambda: None
        environ = {"XDG_STATE_HOME": str(root / "state"), "XDG_DATA_HOME": str(root / "data")}
        self.machine = Machine("linux", environ, root, lambda program: self.command if program == "thv" else None)

    def add(self, name: str, word: str = "running", pid: int = 0, context: str = "", **config: Any) -> None:
        """A remote workload, whose process runs if it has a `pid`. Keys of `config` are those of its run configuration."""
        self.configure(name, **config)
        self.status(name, word, pid, context)
        if pid:
            self.processes[pid] = "thv"

    def configure(self, name: str, **config: Any) -> None:
        self.run_configs.mkdir(parents=True, exist_ok=True)
        whole = {
            "schema_version": "v0.1.0",
            "name": name,
            "remote_url": URL,
            "remote_auth_config": {
                "client_id": f"{CANARY}-client-id",
                "client_secret": f"{CANARY}-client-secret",
                "bearer_token": "",
                "cached_refresh_token_ref": f"{CANARY}-refresh",
            },
            "header_forward": {"add_plaintext_headers": {"Authorization": f"Bearer {CANARY}-header"}},
            "transport": "streamable-http",
            "host": "127.0.0.1",
            "port": 19101,
            "env_vars": {"API_KEY": f"{CANARY}-env"},
            "secrets": [f"{CANARY},target=TOKEN"],
            "proxy_mode": "streamable-http",
        }
        (self.run_configs / f"{name}.json").write_text(json.dumps(whole | config), encoding="utf-8")

    def status(self, name: str, word: str, pid: int = 0, context: str = "", updated_at: str = SINCE) -> None:
        self.statuses.mkdir(parents=True, exist_ok=True)
        found = {"status": word, "created_at": SINCE, "updated_at": updated_at, "process_id": pid}
        if context:
            found["status_context"] = context
        (self.statuses / f"{name}.json").write_text(json.dumps(found, indent=2), encoding="utf-8")

    def serves(self, url: str, nonce: str = "nonce", pid: int = 0) -> None:
        """Its API server says that it is there."""
        self.server.mkdir(parents=True, exist_ok=True)
        found = {"url": url, "pid": pid, "nonce": nonce, "started_at": SINCE}
        (self.server / "server.json").write_text(json.dumps(found), encoding="utf-8")

    def owner(self, *, real: bool = False) -> ToolHive:
        """What is tested. Time passes only while it sleeps. With `real`, this machine's processes and ports are asked."""
        return ToolHive(
            self.machine,
            clock=lambda: self.slept,
            sleep=self._sleep,
            liveness=lambda recorded: Liveness(recorded) if real else Running(self.processes, recorded, self.ports),
            unreachable=lambda servers, _: self.unreachable if servers else "",
        )

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.on_sleep()

    def workload(self, name: str) -> ExternalWorkload:
        """What is read of this one."""
        return next(each for each in self.owner().read().workloads if each.name == name)
