"""ToolHive's files: where they are, and of each workload the few fields that are shown here.

A workload has a run configuration in the state directory and a status file in the data directory. Both are replaced as a
whole when they change. Secrets stand in the run configuration, beside the fields that are taken; nothing else of a file
leaves this module, not even in an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from trayapp.clients.places import Machine
from trayapp.external.reachability import Server
from trayapp.importers import toolhive as importer
from trayapp.system.plain_files import read_plain
from trayapp.system.xdg_directories import data_home

# What ToolHive allows, but for a first character that its own command would take for an option or a hidden file.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
HOST = re.compile(r"[A-Za-z0-9._:%\[\]-]*")
STATUS_MAX = 1 << 16  # bytes of a status file; they have a few hundred
SERVER_MAX = 1 << 14  # bytes of `server.json`
PORT_MAX = (1 << 16) - 1
PROCESS_MAX = (1 << 32) - 1  # on Windows; no system has higher process numbers
STREAMABLE, SSE, STDIO = "streamable-http", "sse", "stdio"
SIGN_IN_URLS = ("issuer", "token_url", "Issuer", "TokenURL")  # the latter in its older spelling
EVERYWHERE = ("", "0.0.0.0", "::", "localhost", "127.0.0.1")  # noqa: S104 - only compared: reached at 127.0.0.1


class DamagedError(Exception):
    """A file isn't what it should be; the text completes "FILE …"."""


@dataclass(frozen=True, slots=True)
class Places:
    """Its directories. None of them has to exist."""

    run_configs: Path
    statuses: Path
    server: Path

    @property
    def server_file(self) -> Path:
        """Where its API server says how it is reached."""
        return self.server / "server.json"


@dataclass(frozen=True, slots=True)
class RunConfig:
    """A remote workload as it is configured. `host` and `port` are those of its proxy; port 0: none yet.

    `servers` are those that its start needs: its own and, if they are configured, those of its sign-in.
    """

    name: str
    url: str
    client_url: str
    host: str
    port: int
    servers: tuple[Server, ...]


@dataclass(frozen=True, slots=True)
class StatusFile:
    """A workload's state as it was written last. `pid` 0: no process is recorded."""

    word: str
    context: str
    since: float  # wall
    pid: int


def places(machine: Machine) -> Places:
    """The directories of the Go library that ToolHive uses (github.com/adrg/xdg), for this user."""
    run_configs = importer.folder(machine.platform, machine.environ, machine.home)
    data = data_home(machine.platform, machine.environ, machine.home)
    return Places(run_configs, data / "toolhive" / "statuses", run_configs.with_name("server"))


def names(at: Places) -> Iterator[str]:
    """The names of all that is configured, sorted; nothing if there is no such directory. Raises `OSError`."""
    try:
        found = sorted(file.name for file in at.run_configs.iterdir())
    except FileNotFoundError:
        return
    for each in found:
        if each.endswith(".json") and NAME.fullmatch(name := each.removesuffix(".json")):
            yield name


def run_config(at: Places, name: str) -> RunConfig | None:
    """The configuration of a remote workload; None for a program on this machine. Raises `DamagedError`, `OSError`."""
    config = _object(run_config_file(at, name), importer.RUN_CONFIG_MAX)
    url = _text(config, "remote_url").strip()
    if not url:
        return None
    host, port = _text(config, "host"), number(config, "port", PORT_MAX)
    mode = _mode(_text(config, "transport"), _text(config, "proxy_mode"))
    auth = config.get("remote_auth_config")
    urls = [url, *(_text(auth, key) for key in SIGN_IN_URLS)] if isinstance(auth, Mapping) else [url]
    servers = tuple(dict.fromkeys(found for each in urls if (found := _server(each)) is not None))
    return RunConfig(name, url, client_url(mode, host, port, name, url), host, port, servers)


def status(at: Places, name: str) -> StatusFile | None:
    """A workload's state; None if it has none. Raises `DamagedError`, `OSError`."""
    file = status_file(at, name)
    try:
        found = _object(file, STATUS_MAX)
    except FileNotFoundError:
        return None
    if not (word := _text(found, "status")):
        raise DamagedError("is damaged: it has no status")
    since = moment(_text(found, "updated_at"))
    since = file.stat().st_mtime if since is None else since
    return StatusFile(word, _text(found, "status_context"), since, number(found, "process_id", PROCESS_MAX))


def run_config_file(at: Places, name: str) -> Path:
    """Where a workload's configuration is."""
    return at.run_configs / f"{name}.json"


def status_file(at: Places, name: str) -> Path:
    """Where a workload's state is."""
    return at.statuses / f"{name}.json"


def client_url(mode: str, host: str, port: int, name: str, url: str) -> str:
    """Where clients reach a workload's proxy, as ToolHive itself writes it into their files; empty without a port.

    The path is that of the server. A legacy SSE server without one is at /sse, and has the name as the fragment.
    """
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    if not 0 < port <= PORT_MAX or mode not in (STREAMABLE, SSE) or not HOST.fullmatch(host):
        return ""
    path = path if path.startswith("/") and path != "/" else ""
    base = f"http://{address(host)}:{port}"
    return f"{base}{path}" if mode == STREAMABLE else f"{base}{path or '/sse'}#{quote(name)}"


def address(host: str) -> str:
    """The host by which a proxy is reached that listens on `host`."""
    host = host.strip("[]")
    return "127.0.0.1" if host in EVERYWHERE else f"[{host}]" if ":" in host else host


def moment(text: str) -> float | None:
    """The wall clock's seconds of an RFC 3339 time with any number of digits; None if it isn't one, or Go's zero."""
    try:
        found = datetime.fromisoformat(text)
        return found.timestamp() if found.tzinfo is not None and found.year > 1 else None
    except (ValueError, OverflowError):
        return None


def server_info(at: Places) -> Mapping[str, Any] | None:
    """What its API server says of itself; None if there is none. Raises `DamagedError`, `OSError`."""
    try:
        return _object(at.server_file, SERVER_MAX, follow=False)
    except FileNotFoundError:
        return None


def number(found: Mapping[str, Any], key: str, highest: int) -> int:
    """A whole number from 1 to `highest`; 0 for anything else."""
    value = found.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= highest else 0


def _server(url: str) -> Server | None:
    """Where a URL leads; None if that isn't a web server."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in ("http", "https"):
        return None
    return Server(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def _mode(transport: str, proxy_mode: str) -> str:
    """How clients talk to the proxy."""
    return (proxy_mode or STREAMABLE) if transport == STDIO else transport


def _object(file: Path, size_max: int, *, follow: bool = True) -> Mapping[str, Any]:
    data = read_plain(file, size_max, follow=follow)
    if len(data) > size_max:
        raise DamagedError(f"is larger than {size_max >> 10} KiB")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise DamagedError("is damaged: it isn't valid JSON") from None
    if not isinstance(found, Mapping):
        raise DamagedError("is damaged: it isn't a JSON object")
    return found


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return value if isinstance(value, str) else ""
