"""A report for a bug tracker, for the command line and the dashboard. It has no secrets, and a person can read all of it.

Everything passes through `core/redaction.py`, which also knows the keys that this installation has.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from trayapp import __version__
from trayapp.app.log_tail import last_lines
from trayapp.config.editor import limited_load
from trayapp.config.loader import ConfigError
from trayapp.config.paths import Paths
from trayapp.core.one_line import clean
from trayapp.core.public import rfc3339, spec_json
from trayapp.core.redaction import GONE, redact_all
from trayapp.system.plain_files import read_plain, within

LOG_LINES = 500
COMMAND_LOG_LINES = 60
KEY_FILE_MAX = 1 << 20  # bytes
DESKTOP = ("XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "LANG")
PACKAGES = ("aiohttp", "httpx2", "authlib", "keyring", "dbus-fast", "pystray", "desktop-notifier", "mcp")

Json = dict[str, Any]


def file_name(now: float) -> str:
    """A name for the file, in local time."""
    return f"amberlight-report-{time.strftime('%Y-%m-%d-%H%M%S', time.localtime(now))}.txt"


def contents(
    paths: Paths, environ: Mapping[str, str], now: float, app: Json, checks: Sequence[Mapping[str, object]]
) -> Json:
    """The report as a JSON object, redacted. `app` is how the app and its workloads are, or the problem with that."""
    accounts: set[str] = set()
    if rows := app.get("workloads"):
        accounts = {str(account) for row in rows if (account := _auth(row).get("account"))}
        app = {**app, "workloads": [_without_person(row) for row in rows]}
    made: Json = {
        "made_at": rfc3339(now),
        "versions": versions(environ),
        "configuration": configuration(paths, environ),
        "app": app,
        "checks": list(checks),
        "log": _tail(paths.log_file, LOG_LINES),
        "commands_log": _tail(paths.command_log_file, COMMAND_LOG_LINES),
        "background_log": _tail(paths.background_log_file, COMMAND_LOG_LINES),
    }
    secrets = known_secrets(paths, environ) | accounts
    redacted: Json = redact_all(made, secrets=secrets, home=str(Path.home()))
    return redacted | {"versions": made["versions"]}  # which look opaque, and are ours


def versions(environ: Mapping[str, str]) -> Json:
    """Of Amberlight, what it runs on, and the libraries that matter most."""
    from importlib.metadata import PackageNotFoundError, version

    found: Json = {"amberlight": __version__, "python": platform.python_version(), "system": platform.platform()}
    found["frozen"] = bool(getattr(sys, "frozen", False))
    found |= {name: environ.get(name) for name in DESKTOP}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def configuration(paths: Paths, environ: Mapping[str, str]) -> Json:
    """Every setting as it is in force, without client ids; or the mistakes."""
    try:
        config = limited_load(paths, environ=environ)
    except ConfigError as error:
        return {"mistakes": [str(mistake) for mistake in error.mistakes]}
    except OSError as error:
        return {"mistakes": [str(error)]}
    workloads = []
    for spec in config.workloads.values():
        one = {key: value for key, value in spec_json(spec).items() if key != "oauth_config"}
        one["client_id"] = "set" if one.get("client_id") else None
        workloads.append(one)
    files = [str(file) for file in config.files]
    return {"files": files, "settings": asdict(config.settings), "workloads": workloads, "warnings": config.warnings}


def _auth(row: Json) -> Mapping[str, Any]:
    auth = row.get("auth")
    return auth if isinstance(auth, Mapping) else {}


def _without_person(row: Json) -> Json:
    """A row of the list without who the person is, and without the code of a device sign-in, which opens the account to
    whoever types it."""
    auth = _auth(row)
    gone = {key: GONE for key in ("account", "device") if auth.get(key)}
    return {**row, "auth": {**auth, **gone}} if gone else row


def known_secrets(paths: Paths, environ: Mapping[str, str]) -> set[str]:
    """The API key, the local keys, and what `amberlight exec` gave this process."""
    found = {value for name, value in environ.items() if "TOKEN" in name or "SECRET" in name or "KEY" in name}
    for file in (paths.server_file, paths.other_runtime_dir / paths.server_file.name, paths.keys_file):
        try:
            read = within(file, lambda file=file: read_plain(file, KEY_FILE_MAX))  # type: ignore[misc]
            found |= set(_texts(json.loads(read), secret=False))
        except (OSError, ValueError, RecursionError):
            continue
    return found


def _texts(value: object, *, secret: bool) -> list[str]:
    """What stands under a name with "key" in it, at any depth."""
    if isinstance(value, str):
        return [value] if secret else []
    if isinstance(value, Mapping):
        pairs = value.items()
        return [text for name, each in pairs for text in _texts(each, secret=secret or "key" in str(name))]
    return []


def _tail(file: Path, count: int) -> list[str]:
    try:
        return [clean(line) for line in last_lines(file, count)]
    except OSError:
        return []


# --- as text ---------------------------------------------------------------------------------------------------------


def report_text(made: Json) -> str:
    """The report for a person to read, in sections."""
    rows = made["app"].get("workloads") or []
    state = made["app"].get("problem") or json.dumps(made["app"].get("state"), indent=2, ensure_ascii=False)
    sections = {
        "Versions": "\n".join(f"{name}: {value}" for name, value in made["versions"].items()),
        "State": "\n\n".join(filter(None, (_table(rows), str(state)))),
        "Checks": "\n".join(_check_lines(made["checks"])),
        "Settings": json.dumps(made["configuration"], indent=2, ensure_ascii=False),
        "Workloads": json.dumps(rows, indent=2, ensure_ascii=False),
        "Log": "\n".join(made["log"]),
        "Failed commands": "\n".join(made["commands_log"]),
        "Output in the background": "\n".join(made["background_log"]),
    }
    parts = [f"Amberlight report, {made['made_at']}"]
    parts += [f"## {title}\n\n{text or '(nothing)'}" for title, text in sections.items()]
    return "\n\n".join(parts)


def _table(rows: Sequence[Json]) -> str:
    """Name, state and server of each workload."""
    cells = [(clean(row.get("name")), _state(row), _host(row)) for row in rows]
    widths = [max((len(row[column]) for row in cells), default=0) for column in range(2)]
    return "\n".join(f"{name:<{widths[0]}}  {state:<{widths[1]}}  {host}" for name, state, host in cells)


def _state(row: Json) -> str:
    return clean(row.get("label") or row.get("status"))


def _host(row: Json) -> str:
    try:
        return urlsplit(str(row.get("url"))).hostname or ""
    except ValueError:
        return ""


def _check_lines(checks: Sequence[Json]) -> list[str]:
    """A line for each check, and another one for what to do."""
    width = max((len(clean(check["name"])) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"{clean(check['state']):<7}  {clean(check['name']):<{width}}  {clean(check['text'])}")
        if check["help"]:
            lines.append(f"{'':<{width + 11}}→ {clean(check['help'])}")
    return lines
