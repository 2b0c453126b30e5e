"""`amberlight report`: a file to attach to a bug report. It has no secrets, and a person can read all of it.

Everything passes through `core/redaction.py`, which also knows the keys that this installation has.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trayapp import __version__
from trayapp.cli.client import ApiClient, ApiError, NotRunningError
from trayapp.cli.codes import OK
from trayapp.cli.doctor import run_checks
from trayapp.cli.log_tail import last_lines
from trayapp.cli.output import Style, checks_text, clean, print_json, print_line, print_result
from trayapp.cli.workload_text import table
from trayapp.config.editor import limited_load
from trayapp.config.loader import ConfigError
from trayapp.config.paths import Paths
from trayapp.core.public import rfc3339, spec_json
from trayapp.core.redaction import GONE, redact_all
from trayapp.system.plain_files import read_plain, within
from trayapp.system.private_files import errors_name

LOG_LINES = 500
COMMAND_LOG_LINES = 60
KEY_FILE_MAX = 1 << 20  # bytes
DESKTOP = ("XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "LANG")
PACKAGES = ("aiohttp", "httpx2", "authlib", "keyring", "dbus-fast", "pystray", "desktop-notifier", "mcp")

Json = dict[str, Any]


def report(arguments: argparse.Namespace, paths: Paths) -> int:
    now = time.time()
    made = contents(paths, os.environ, now)
    if arguments.output is None and arguments.format == "json":
        print_json(made)
        return OK
    text = json.dumps(made, indent=2, ensure_ascii=False) if arguments.format == "json" else report_text(made, now)
    if arguments.output == "-":
        print_line(text)
        return OK
    file = Path(arguments.output or f"amberlight-report-{time.strftime('%Y-%m-%d-%H%M%S', time.localtime(now))}.txt")
    _write_new(file, text)
    said = f"Wrote {clean(file)}. It has no secrets, but names your workloads and servers. Read it before you send it."
    print_result(arguments, said, file=str(file))
    return OK


def _write_new(file: Path, text: str) -> None:
    """A new file that only its owner can read. Raises `OSError` if there is one already."""
    with errors_name(file):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(text + "\n")


# --- what is in it ---------------------------------------------------------------------------------------------------


def contents(paths: Paths, environ: Mapping[str, str], now: float) -> Json:
    """The report as a JSON object, redacted."""
    made: Json = {
        "made_at": rfc3339(now),
        "versions": versions(environ),
        "configuration": configuration(paths, environ),
        "app": app(paths),
        "checks": run_checks(paths, environ),
        "log": _tail(paths.log_file, LOG_LINES),
        "commands_log": _tail(paths.command_log_file, COMMAND_LOG_LINES),
        "background_log": _tail(paths.background_log_file, COMMAND_LOG_LINES),
    }
    redacted: Json = redact_all(made, secrets=known_secrets(paths, environ), home=str(Path.home()))
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


def app(paths: Paths) -> Json:
    """How the running app and its workloads are, or why nobody can tell."""
    try:
        client = ApiClient.of(paths)
        return {"state": client.app(), "workloads": [_without_code(row) for row in client.workloads()]}
    except NotRunningError as error:
        return {"problem": f"Amberlight isn't running. {error}".strip()}
    except ApiError as error:
        return {"problem": str(error)}


def _without_code(row: Json) -> Json:
    """A row of the list; the code of a device sign-in opens the account to whoever types it."""
    auth = row.get("auth")
    if not isinstance(auth, Mapping) or not auth.get("device"):
        return row
    return {**row, "auth": {**auth, "device": GONE}}


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


def report_text(made: Json, now: float) -> str:
    """The report for a person to read, in sections."""
    rows = made["app"].get("workloads") or []
    state = made["app"].get("problem") or json.dumps(made["app"].get("state"), indent=2, ensure_ascii=False)
    sections = {
        "Versions": "\n".join(f"{name}: {value}" for name, value in made["versions"].items()),
        "State": f"{table(rows, Style(), now)}\n\n{state}" if rows else str(state),
        "Checks": checks_text(made["checks"], Style()),
        "Settings": json.dumps(made["configuration"], indent=2, ensure_ascii=False),
        "Workloads": json.dumps(rows, indent=2, ensure_ascii=False),
        "Log": "\n".join(made["log"]),
        "Failed commands": "\n".join(made["commands_log"]),
        "Output in the background": "\n".join(made["background_log"]),
    }
    parts = [f"Amberlight report, {made['made_at']}"]
    parts += [f"## {title}\n\n{text or '(nothing)'}" for title, text in sections.items()]
    return "\n\n".join(parts)
