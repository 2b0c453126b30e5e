"""Kinds of settings for forms: what a value is, which ones are valid, and how to write one.

Each check of `checks.py` has one entry here; a test makes sure of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from trayapp.config import checks
from trayapp.config.checks import Check
from trayapp.config.durations import format_duration
from trayapp.config.settings import Setting
from trayapp.core.notice_kinds import KINDS as NOTICE_KINDS


@dataclass(frozen=True, slots=True)
class Kind:
    """`help` says what a valid value looks like; `choices` are all of them, or all items of a list."""

    name: str
    help: str
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None


_DURATION = 'A number with a unit, like "10s", "5m" or "1h30m".'
KINDS: Final[Mapping[Check, Kind]] = {
    checks.flag: Kind("flag", "On or off."),
    checks.key_required: Kind("flag", "On or off."),
    checks.count: Kind("count", "A whole number.", minimum=1, maximum=1_000_000),
    checks.fraction: Kind("number", "A number from 0 up to, but not including, 1.", minimum=0, maximum=1),
    checks.factor: Kind("number", "A number from 1 to 100.", minimum=1, maximum=100),
    checks.port: Kind("port", "A port from 0 to 65535; 0: any free one.", minimum=0, maximum=65535),
    checks.duration: Kind("duration", _DURATION),
    checks.duration_or_zero: Kind("duration", f"{_DURATION} 0s is allowed."),
    checks.durations: Kind("durations", 'Durations, like "0s", "2s", "5s"; at least one.'),
    checks.log_level: Kind("choice", "One of these.", ("debug", "info", "warning", "error")),
    checks.flow: Kind("choice", "One of these.", ("browser", "device")),
    checks.kind: Kind("choice", "One of these.", ("server", "account")),
    checks.hosts: Kind("texts", 'Lowercase hosts, like "git.example.com".'),
    checks.mcp: Kind("choice", "One of these.", ("auto", "on", "off")),
    checks.notice_kinds: Kind("choices", "Any of these, or none.", NOTICE_KINDS),
    checks.hours: Kind("hours", 'From and to, like "22:00-07:00"; empty: none.'),
    checks.text: Kind("text", "Printable ASCII."),
    checks.key_file: Kind("text", "The full path of a file."),
    checks.scopes: Kind("texts", "Scopes without spaces."),
    checks.url: Kind("url", "A URL that starts with https://, or http:// for this computer."),
    checks.client_document: Kind("url", "A URL that starts with https:// and has a path."),
    checks.issuer: Kind("url", "A URL that starts with https://, without a query."),
    checks.resource: Kind("text", "An absolute URL without #; empty: none is sent."),
    checks.origins: Kind("texts", 'Origins without a path, like "https://app.example.com".'),
    checks.users: Kind("texts", "Users of this computer, by name or number."),
}


def as_toml(value: Any, setting: Setting) -> Any:
    """A value that the program uses, as it would stand in config.toml."""
    if value is None:
        return None
    if setting.check in (checks.duration, checks.duration_or_zero):
        return format_duration(value)
    if setting.check is checks.durations:
        return [format_duration(each) for each in value]
    return list(value) if isinstance(value, tuple) else value
