"""All settings with their values, as forms show them: what stands in the files, what applies without it, and why.

Values are as in config.toml ("10s", not 10.0). Nothing is validated here: a value that is wrong is shown as it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trayapp.config import settings as known
from trayapp.config.kinds import KINDS, Kind, as_toml
from trayapp.config.loader import parse, read_file
from trayapp.config.paths import Paths
from trayapp.config.settings import IN_SETTINGS, IN_WORKLOAD, POLICY_FIELDS, Setting
from trayapp.config.toml_lines import Key
from trayapp.core.model import ACCOUNT
from trayapp.system.plain_files import within

SETTINGS: Key = ("settings",)
OF_SERVERS = ("url", "dpop", "require_key", "allowed_origins", "mcp")
OF_ACCOUNTS = ("hosts",)
_GROUPS: Mapping[str, str] = {
    "port": "network",
    "allowed_users": "network",
    "muted": "notifications",
    "notifications": "notifications",
    "quiet_hours": "notifications",
    "log_level": "diagnostics",
    "activity": "diagnostics",
    "require_key": "access",
    "allowed_origins": "access",
    "mcp": "access",
}


def workload_table(name: str) -> Key:
    """The table of a workload."""
    return ("workloads", name)


@dataclass(frozen=True, slots=True)
class Row:
    """One setting. `value` applies now; `default` would without the user's own; `source` says where `value` is from."""

    name: str
    group: str
    kind: Kind
    meaning: str
    value: Any
    default: Any
    changed: bool  # the user's config.toml sets it here
    source: str  # file, site, settings (of the whole app), environment or default
    required: bool = False  # there is no workload without it


@dataclass(frozen=True, slots=True)
class Files:
    """Both files as they were read. Data only; `text` is the user's."""

    site: Mapping[str, Any]
    user: Mapping[str, Any]


def read_files(paths: Paths) -> Files:
    """Read both files. Raises `ConfigError` if one isn't TOML or can't be read."""

    def read() -> Files:
        site, user = (parse(file, read_file(file) or "") for file in (paths.site_config_file, paths.config_file))
        return Files(site, user)

    return within(paths.config_file, read)


def section(data: Mapping[str, Any], table: Key) -> Mapping[str, Any]:
    """The table; empty if there is none."""
    found: Any = data
    for part in table:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def revision(files: Files, table: Key) -> str:
    """Changes whenever the user's table says something else; comments and order don't count."""
    text = json.dumps(section(files.user, table), sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def settings_rows(files: Files, environ: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of `[settings]`."""
    return tuple(_row(files, environ, setting, SETTINGS) for setting in IN_SETTINGS.values())


def workload_rows(files: Files, environ: Mapping[str, str], name: str) -> tuple[Row, ...]:
    """The rows of `[workloads.NAME]` that matter to its kind."""
    table = workload_table(name)
    kind = section(files.user, table).get("kind", section(files.site, table).get("kind"))
    left_out = OF_SERVERS if kind == ACCOUNT else OF_ACCOUNTS
    return tuple(_row(files, environ, each, table) for each in IN_WORKLOAD.values() if each.name not in left_out)


def _row(files: Files, environ: Mapping[str, str], setting: Setting, table: Key) -> Row:
    candidates = [("site", section(files.site, table))]
    if table != SETTINGS and setting.in_settings:
        candidates += [("settings", section(data, SETTINGS)) for data in (files.user, files.site)]
    source, default = next(
        ((source, keys[setting.name]) for source, keys in candidates if setting.name in keys),
        _fallback(setting, environ),
    )
    own = section(files.user, table)
    changed = setting.name in own
    value = own[setting.name] if changed else default
    return Row(
        setting.name,
        _group(setting),
        KINDS[setting.check],
        setting.meaning.replace("`", ""),
        _plain(value),
        _plain(default),
        changed,
        "file" if changed else source,
        setting.name == "url",
    )


def _fallback(setting: Setting, environ: Mapping[str, str]) -> tuple[str, Any]:
    """Where no file says it: the environment's value if it is valid, else the default."""
    if text := environ.get(setting.variable, "") if setting.variable else "":
        try:
            return "environment", as_toml(known.from_variable(setting, text), setting)
        except ValueError:
            pass
    return "default", as_toml(setting.default, setting)


def _group(setting: Setting) -> str:
    if setting.name in POLICY_FIELDS or setting.name in ("settle", "settle_max"):
        return "timing"
    return _GROUPS.get(setting.name, "general" if setting.in_settings else "server")


def _plain(value: Any) -> Any:
    """A TOML value as JSON has it."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
