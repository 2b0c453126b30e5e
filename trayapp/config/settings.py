"""The table of all settings: name, kind, default, meaning, place and environment variable.

`loader.py` validates files by it, `--help` and the table in the README are generated from it, and a test compares it
with `core.model.Policy`. A kind is a function that validates a value and raises ValueError with a sentence that says
what a valid one looks like.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from trayapp.config.durations import DurationError, format_duration, parse_duration, quoted
from trayapp.core.model import Policy
from trayapp.core.notice_kinds import KINDS as NOTICE_KINDS

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
NAME_HELP: Final = "Use up to 63 lowercase letters, numbers, - and _, starting with a letter or number"
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

T = TypeVar("T")
Check = Callable[[Any], Any]  # a TOML value → the value the program uses; raises ValueError(sentence)


# --- kinds -----------------------------------------------------------------------------------------------------------


def _typed(value: object, wanted: type[T], expected: str) -> T:
    """`value` if it has exactly the type `wanted`; isinstance would let booleans pass as integers."""
    if type(value) is not wanted:
        raise ValueError(f"must be {expected}, not {_type_name(value)}")
    return value


def _type_name(value: object) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")


def duration(value: object) -> float:
    """Seconds, more than zero."""
    seconds = duration_or_zero(value)
    if seconds <= 0:
        raise ValueError('must be longer than zero, like "10s"')
    return seconds


def duration_or_zero(value: object) -> float:
    """Seconds, zero or more."""
    seconds = parse_duration(_typed(value, str, 'a duration in quotes, like "10s" or "1h30m"'))
    if seconds < 0:
        raise ValueError('must be at least zero, like "10s"')
    return seconds


def durations(value: object) -> tuple[float, ...]:
    """A series of durations in seconds; at least one."""
    items = _typed(value, list, 'a list of durations, like ["0s", "2s", "5s"]')
    if not items:
        raise ValueError('must name at least one duration, like ["0s", "2s", "5s"]')
    return tuple(duration_or_zero(v) for v in items)


def count(value: object) -> int:
    """A number of things; at least one."""
    number = _typed(value, int, "a whole number, like 5")
    if not 1 <= number <= 1_000_000:
        raise ValueError("must be a whole number from 1 to 1000000")
    return number


def _number(value: object) -> float:
    if type(value) is int:  # TOML integers are unlimited, floats aren't
        return float(min(max(value, -1000), 1000))
    return _typed(value, float, "a number, like 0.5")


def fraction(value: object) -> float:
    """A fraction, from 0 up to but not including 1."""
    number = _number(value)
    if not 0 <= number < 1:  # nan fails here too
        raise ValueError("must be a number from 0 up to, but not including, 1, like 0.2")
    return number


def factor(value: object) -> float:
    """A growth factor, from 1 to 100."""
    number = _number(value)
    if not (math.isfinite(number) and 1 <= number <= 100):
        raise ValueError("must be a number from 1 to 100, like 1.5")
    return number


def port(value: object) -> int:
    """A TCP port; 0: any free one."""
    number = _typed(value, int, "a port number from 0 to 65535")
    if not 0 <= number <= 65535:
        raise ValueError("must be a port number from 0 to 65535 (0: any free one)")
    return number


def flag(value: object) -> bool:
    """A boolean."""
    return _typed(value, bool, "true or false, without quotes")


def log_level(value: object) -> str:
    """A log level."""
    levels = ("debug", "info", "warning", "error")
    if value not in levels:
        raise ValueError('must be one of "debug", "info", "warning", "error"')
    return str(value)


def notice_kinds(value: object) -> tuple[str, ...]:
    """A list of kinds of notifications; may be empty."""
    items = _typed(value, list, f"a list of {', '.join(NOTICE_KINDS)}")
    for item in items:
        if item not in NOTICE_KINDS:
            raise ValueError(f"must be a list of {', '.join(NOTICE_KINDS)}")
    return tuple(kind for kind in NOTICE_KINDS if kind in items)


def hours(value: object) -> str:
    """A time of day, from and to; empty: none."""
    span = _typed(value, str, 'a text like "22:00-07:00"').replace(" ", "").replace("–", "-")
    if span and not re.fullmatch(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:[01][0-9]|2[0-3]):[0-5][0-9]", span):
        raise ValueError('must be two times of the day, like "22:00-07:00", or "" for none')
    return span


def flow(value: object) -> str:
    """The flow of a sign-in: browser or device."""
    if value not in ("browser", "device"):
        raise ValueError('must be "browser" or "device"')
    return str(value)


def mcp(value: object) -> str:
    """Which requests count as an MCP client's."""
    if value not in ("auto", "on", "off"):
        raise ValueError('must be "auto", "on" or "off"')
    return str(value)


def text(value: object) -> str:
    """Printable ASCII, not empty (RFC 6749 appendix A.1: VSCHAR)."""
    words = _typed(value, str, "a text in quotes")
    if not re.fullmatch(r"[\x20-\x7e]+", words) or words.strip() != words:
        raise ValueError("must be printable ASCII text without spaces around it")
    return words


def scopes(value: object) -> tuple[str, ...]:
    """A list of scope tokens (RFC 6749 section 3.3)."""
    tokens = _typed(value, list, 'a list of strings, like ["read", "offline_access"]')
    for scope in tokens:
        if type(scope) is not str or not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope):
            raise ValueError('must be a list of strings without spaces or quotes, like ["read", "offline_access"]')
    return tuple(tokens)


def url(value: object) -> str:
    """A URL a token may be sent to: https, or http on this machine; no user name, no fragment."""
    address = _typed(value, str, 'a URL in quotes, like "https://mcp.example.com/mcp"')
    if not re.fullmatch(r"[\x21-\x7e]+", address):
        raise ValueError("must be a URL without spaces or special characters; percent-encode them")
    try:
        parts = urlsplit(address)
        host, number = parts.hostname, parts.port
    except ValueError:
        raise ValueError('isn\'t a valid URL; write it like "https://mcp.example.com/mcp"') from None
    if "@" in parts.netloc:  # don't repeat the value: it may be a password
        raise ValueError("can't contain a user name or password; remove what stands before the @")
    if parts.scheme not in ("http", "https") or not host or number == 0:
        raise ValueError('must be a complete URL, like "https://mcp.example.com/mcp"')
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("must start with https:// (http:// only for this computer: 127.0.0.1, [::1] or localhost)")
    if "#" in address:
        raise ValueError("can't have a fragment; remove what follows the #")
    return address


def issuer(value: object) -> str:
    """The identifier of an authorization server (RFC 8414 section 2): a URL without query."""
    address = url(value)
    if "?" in address:
        raise ValueError("can't have a query; an issuer is a URL without ? (RFC 8414)")
    return address


def resource(value: object) -> str:
    """An absolute URI without fragment (RFC 8707 section 2); any scheme, because some servers use their own. Empty: none
    is sent."""
    address = _typed(value, str, "a URL in quotes")
    if address and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x22\x24-\x7e]+", address):
        raise ValueError('must be an absolute URL without spaces and # (RFC 8707), or "" to send none')
    return address


def origins(value: object) -> tuple[str, ...]:
    """A list of web origins, as in the header Origin (RFC 6454 section 6.2)."""
    items = _typed(value, list, 'a list of strings, like ["https://app.example.com"]')
    for item in items:
        if type(item) is not str or not re.fullmatch(r"[a-z][a-z0-9+.-]*://[\x21-\x29\x2b-\x2e\x30-\x7e]+", item):
            raise ValueError('must be a list of origins without a path, like ["https://app.example.com"]')
    return tuple(items)


def users(value: object) -> tuple[int, ...]:
    """A list of users of this machine, by name or number; their user ids."""
    items = _typed(value, list, 'a list of users, like ["alice", 1001]')
    return tuple(item if type(item) is int and 0 <= item < 1 << 32 else _user_id(item) for item in items)


def _user_id(name: object) -> int:
    if type(name) is not str or not name or "\0" in name:
        raise ValueError('must be a list of users, by name or number, like ["alice", 1001]')
    try:
        import pwd
    except ImportError:  # Windows, where nobody can tell whose a connection is
        return -1
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, UnicodeError):
        raise ValueError(f"names {quoted(name)}, but this computer has no such user") from None


# --- the table -------------------------------------------------------------------------------------------------------


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
        "what to notify about: sign_in (sign-in needed), reconnecting (a client is waiting), ending, permission",
        NOTICE_KINDS,
    ),
    Setting("quiet_hours", hours, 'hold notifications during these hours, like "22:00-07:00"', ""),
    Setting(
        "activity",
        flag,
        "remember for 7 days which client used which workload; false also deletes what was remembered",
        True,
    ),
    Setting("allowed_users", users, "other users of this computer who may connect with a local key (Linux)", ()),
    Setting("settle", duration_or_zero, "wait after a network change or a wake before sending anything", 0.25),
    Setting("settle_max", duration_or_zero, "longest such wait if the network keeps changing", 2.0),
)

_WORKLOAD = (
    Setting("url", url, "URL of the server (required)"),
    Setting("issuer", issuer, "sign-in server whose metadata names the endpoints; by default, found from the url"),
    Setting(
        "metadata_url",
        url,
        "URL of its metadata, if it isn't at the standard place; its issuer is checked only if issuer is set",
    ),
    Setting("authorization_endpoint", url, "sign-in page, if not from the issuer"),
    Setting("token_endpoint", url, "where tokens are refreshed, if not from the issuer"),
    Setting("revocation_endpoint", url, "where removed logins are revoked (RFC 7009)"),
    Setting("device_authorization_endpoint", url, "where device codes come from, if not from the issuer (RFC 8628)"),
    Setting("flow", flow, "how to sign in: browser, or device (enter a code on any device)", "browser"),
    Setting("client_id", text, "client id at the sign-in server; by default, Amberlight registers one"),
    Setting(
        "scopes",
        scopes,
        "scopes to request besides `offline_access`; without an issuer, those that the server names",
        (),
    ),
    Setting(
        "resource", resource, 'audience of the tokens (RFC 8707); by default, what the server names; "" sends none'
    ),
    Setting("redirect_port", port, "fixed port of the sign-in redirect, if the client needs one; 0: any", 0),
    Setting("require_key", flag, "clients must send the workload's local key", True),
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
