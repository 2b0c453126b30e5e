"""The table of all settings: name, kind, default, meaning, place and environment variable.

`loader.py` validates files by it, `--help` and the table in the README are generated from it, and a test compares it
with `core.model.Policy`. A setting's check (`checks.py`) validates its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from trayapp.config.checks import (
    Check,
    client_document,
    count,
    duration,
    duration_or_zero,
    durations,
    factor,
    flag,
    flow,
    fraction,
    hosts,
    hours,
    issuer,
    key_file,
    key_required,
    kind,
    log_level,
    mcp,
    notice_kinds,
    origins,
    port,
    resource,
    scopes,
    text,
    url,
    users,
)
from trayapp.config.durations import DurationError, format_duration, quoted
from trayapp.core.model import Policy
from trayapp.core.notice_kinds import KINDS as NOTICE_KINDS

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NAME_HELP: Final = "Use up to 63 lowercase letters, numbers, - and _, starting with a letter or number"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is None if there is none."""

    name: str
    check: Check
    meaning: str
    default: Any = None
    in_settings: bool = True  # may stand in [settings]
    in_workload: bool = False  # may stand in [workloads.NAME]
    variable: str = ""  # environment variable; overrides only the default


_REFRESH = "TOOLHIVE_TOKEN_REFRESH_"
_RETRYING = "TOOLHIVE_TOKEN_AUTH_RETRYING_"

_APP = (
    Setting("port", port, "port of the local server; 0: any free port", 8765),
    Setting("log_level", log_level, "detail of the log: debug, info, warning or error", "info"),
    Setting("muted", flag, "don't show notifications", False),
    Setting(
        "notifications",
        notice_kinds,
        "what to notify about: sign_in (sign-in needed), reconnecting (a client is waiting), ending (a login ends soon), "
        "permission (a client needs more)",
        NOTICE_KINDS,
    ),
    Setting("quiet_hours", hours, 'hold notifications during these hours, like "22:00-07:00"', ""),
    Setting(
        "activity",
        flag,
        "record for 7 days which client used which workload; turning it off also deletes what was recorded",
        True,
    ),
    Setting("toolhive_watch", flag, "also show ToolHive's remote workloads", True),
    Setting(
        "toolhive_heal",
        flag,
        "after a temporary failure, have ToolHive restart the workload once the network is back or the computer wakes",
        False,
    ),
    Setting("allowed_users", users, "other users of this computer who may connect with a local key (Linux)", ()),
    Setting(
        "client_metadata_url",
        client_document,
        "URL at which you host the document that `amberlight client-metadata` prints; servers that accept it as client ID "
        "need no registration",
        in_workload=True,
    ),
    Setting("settle", duration_or_zero, "wait after a network change or a wake before sending anything", 0.25),
    Setting("settle_max", duration_or_zero, "longest such wait if the network keeps changing", 2.0),
)

_WORKLOAD = (
    Setting(
        "kind", kind, "server, or account (a login without an address, for mail programs, git and scripts)", "server"
    ),
    Setting("url", url, "address of the server (required; an account has none)"),
    Setting(
        "issuer",
        issuer,
        "address of the sign-in server, whose metadata names the endpoints; by default, the server names it",
    ),
    Setting(
        "metadata_url",
        url,
        "address of the sign-in server's metadata, if it isn't at the standard place; who it's from is checked only if the "
        "sign-in server is set",
    ),
    Setting("authorization_endpoint", url, "sign-in page, if not from the metadata"),
    Setting("token_endpoint", url, "where tokens are refreshed, if not from the metadata"),
    Setting("revocation_endpoint", url, "where removed logins are revoked (RFC 7009)"),
    Setting("device_authorization_endpoint", url, "where device codes come from, if not from the metadata (RFC 8628)"),
    Setting("flow", flow, "how to sign in: browser, or device (enter a code on any device)", "browser"),
    Setting("client_id", text, "client ID at the sign-in server; by default, Amberlight registers one"),
    Setting(
        "dpop",
        flag,
        "bind tokens to a key (DPoP, RFC 9449) even if the server doesn't require it, from the next sign-in on; not for accounts",
        False,
    ),
    Setting(
        "client_key_file",
        key_file,
        "file with the client's private key (PEM or JWK, readable only by you), if it signs its requests (private_key_jwt)",
    ),
    Setting(
        "scopes",
        scopes,
        "scopes to request besides `offline_access`; without a sign-in server set, those that the server names",
        (),
    ),
    Setting(
        "resource", resource, 'audience of the tokens (RFC 8707); by default, what the server names; "" sends none'
    ),
    Setting("redirect_port", port, "fixed port of the sign-in redirect, if the client needs one; 0: any", 0),
    Setting("hosts", hosts, "git servers that may get an account's token", ()),
    Setting("require_key", key_required, "clients must send the workload's local key; on Windows, always", True),
    Setting("allowed_origins", origins, "web pages and web-based clients that may use it, by origin", ()),
    Setting(
        "mcp",
        mcp,
        "keep MCP clients connected during outages: auto (what looks like MCP), on (every POST), off",
        "auto",
    ),
)

_TIMING: tuple[tuple[str, Check, str, str], ...] = (
    ("refresh_ahead_max", duration_or_zero, "refresh at most this long before a token expires", ""),
    ("refresh_ahead_fraction", fraction, "refresh ahead by this fraction of the token's life, if that's shorter", ""),
    ("refresh_spacing", duration_or_zero, "shortest time between two refreshes", ""),
    ("lifetime_cap", duration, "longest token life to assume", ""),
    ("initial_retry_interval", duration, "first wait of the short retry", _REFRESH + "INITIAL_RETRY_INTERVAL"),
    ("max_retry_interval", duration, "longest wait of the short retry", _REFRESH + "MAX_RETRY_INTERVAL"),
    ("max_tries", count, "tries of the short retry, including the failed one", _REFRESH + "MAX_TRIES"),
    ("max_elapsed_time", duration, "longest short retry, in time awake", _REFRESH + "MAX_ELAPSED_TIME"),
    ("retry_factor", factor, "factor by which each wait of the short retry grows", ""),
    ("retry_jitter", fraction, "random variation of the short retry's waits, as a fraction", ""),
    (
        "tick_interval",
        duration,
        "time between attempts while reconnecting (auth_retrying)",
        _RETRYING + "TICK_INTERVAL",
    ),
    ("tick_jitter", fraction, "random variation of tick_interval, as a fraction", ""),
    (
        "ceiling",
        duration,
        "reconnecting for this long, awake and online, asks you to sign in",
        _RETRYING + "MAX_ELAPSED",
    ),
    ("ceiling_attempts", count, "failures needed since the last wake or network change before it asks", ""),
    ("impossible_grace", duration_or_zero, "a workload turns amber if no attempt is possible for this long", ""),
    ("burst", durations, "waits of the attempts after a network change or a wake", ""),
    ("burst_jitter", fraction, "random variation of burst, as a fraction", ""),
    ("portal_interval", duration, "time between attempts while a Wi-Fi sign-in page is suspected", ""),
    ("portal_window", duration, "how long it's suspected", ""),
    ("automatic_attempts", count, "most automatic attempts in `automatic_window`", ""),
    ("automatic_window", duration, "time in which `automatic_attempts` are counted", ""),
    ("manual_spacing", duration_or_zero, "shortest time between two attempts by Retry now", ""),
    ("rejected_spacing", duration_or_zero, "shortest time between two refreshes forced by the upstream's 401", ""),
    ("again", durations, "waits before the same token is sent again if no complete answer came", ""),
    ("gateway_repeat", duration_or_zero, "wait before the one retry after a 502 or 504", ""),
    ("retry_after_cap", duration, "longest Retry-After that is respected", ""),
    ("usable_margin", duration_or_zero, "tokens with less life left aren't given out", ""),
    ("hot_wait", duration_or_zero, "longest time that a client waits for a first token", ""),
    ("attempt_limit", duration, "time limit of one attempt", ""),
    ("connect_limit", duration, "time limit for connecting within an attempt", ""),
    ("strikes", count, "new tokens rejected in a row that make a workload unhealthy", ""),
    ("fresh", duration, "how long a token counts as new", ""),
    ("strike_interval", duration, "time between forced refreshes while unhealthy", ""),
)
_DEFAULT_POLICY = Policy()

SETTINGS: Final[tuple[Setting, ...]] = (
    *_APP,
    *(Setting(s.name, s.check, s.meaning, s.default, False, True) for s in _WORKLOAD),
    *(
        Setting(name, check, meaning, getattr(_DEFAULT_POLICY, name), True, True, variable)
        for name, check, meaning, variable in _TIMING
    ),
)
IN_SETTINGS: Final[Mapping[str, Setting]] = {s.name: s for s in SETTINGS if s.in_settings}
IN_WORKLOAD: Final[Mapping[str, Setting]] = {s.name: s for s in SETTINGS if s.in_workload}
POLICY_FIELDS: Final = frozenset(f.name for f in fields(Policy))
VARIABLES: Final[Mapping[str, Setting]] = {s.variable: s for s in SETTINGS if s.variable}


def from_variable(setting: Setting, variable_text: str) -> Any:
    """The value of an environment variable. Raises `ValueError` with a sentence that doesn't name the variable."""
    if setting.check is count:
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", variable_text):
            raise ValueError(f"{quoted(variable_text)} isn't a whole number like 5")
        return count(int(variable_text))
    try:
        return setting.check(variable_text)
    except DurationError:
        raise
    except ValueError as error:
        raise ValueError(f"{quoted(variable_text)} {error}") from None


def toml_text(value: Any, setting: Setting) -> str:
    """A value as written in config.toml; empty for None."""
    if setting.check in (duration, duration_or_zero):
        return f'"{format_duration(value)}"'
    if setting.check is durations:
        return "[" + ", ".join(f'"{format_duration(v)}"' for v in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return "" if value is None else str(value)


def rows() -> Iterator[tuple[str, str, str, str, str]]:
    """The table for the README and `--help`: name, place, default, variable, meaning."""
    for setting in SETTINGS:
        places = ("[settings]" if setting.in_settings else "", "[workloads.NAME]" if setting.in_workload else "")
        place = " and ".join(p for p in places if p)
        yield setting.name, place, toml_text(setting.default, setting), setting.variable, setting.meaning
