"""Checks of values in config.toml: each takes one and returns what the program uses.

They raise `ValueError` with a sentence that says what a valid value looks like, and never repeat what may be a secret.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from trayapp.config.durations import parse_duration, quoted
from trayapp.core.model import ACCOUNT
from trayapp.core.notice_kinds import KINDS as NOTICE_KINDS

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
TEXT_MAX: Final = 2048  # characters of a text: as much as browsers and servers take of an address, and no ID is longer
LIST_MAX: Final = 8192  # characters of a list of texts in all: scopes go to the sign-in page in its address
# Whether a key is needed in any case: others can connect to the loopback port, and the system doesn't say who does
# (SECURITY.md 25).
ANYBODY_CONNECTS = sys.platform == "win32"
ITEMS_MAX: Final = 100  # durations of a series

_GIT_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:]{2,45}\])(?::[1-9][0-9]{0,4})?")


T = TypeVar("T")
Check = Callable[[Any], Any]


def _typed(value: object, wanted: type[T], expected: str) -> T:
    """`value` if it has exactly the type `wanted`; isinstance would let booleans pass as integers."""
    if type(value) is not wanted:
        raise ValueError(f"must be {expected}, not {_type_name(value)}")
    return value


def _text(value: object, expected: str) -> str:
    """A text of bearable length. It's shown in many places, and sent with each request."""
    words = _typed(value, str, expected)
    if len(words) > TEXT_MAX:
        raise ValueError(f"must have at most {TEXT_MAX} characters")
    return words


def _list(value: object, expected: str) -> list[Any]:
    """The same for a list."""
    items = _typed(value, list, expected)
    if sum(len(item) + 1 if type(item) is str else 1 for item in items) > LIST_MAX:
        raise ValueError(f"must have at most {LIST_MAX} characters in all")
    return items


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
    seconds = parse_duration(_text(value, 'a duration in quotes, like "10s" or "1h30m"'))
    if seconds < 0:
        raise ValueError('must be at least zero, like "10s"')
    return seconds


def durations(value: object) -> tuple[float, ...]:
    """A series of durations in seconds; at least one."""
    items = _typed(value, list, 'a list of durations, like ["0s", "2s", "5s"]')
    if not items:
        raise ValueError('must name at least one duration, like ["0s", "2s", "5s"]')
    if len(items) > ITEMS_MAX:
        raise ValueError(f"must name at most {ITEMS_MAX} durations")
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


def key_required(value: object) -> bool:
    """A boolean, which can't be false where the port isn't this user's alone and nobody says who connects."""
    if flag(value) or not ANYBODY_CONNECTS:
        return bool(value)
    raise ValueError("can't be false on Windows, where every user of this computer can connect to Amberlight")


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
    span = _text(value, 'a text like "22:00-07:00"').replace(" ", "").replace("–", "-")
    if span and not re.fullmatch(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]-(?:[01][0-9]|2[0-3]):[0-5][0-9]", span):
        raise ValueError('must be two times of the day, like "22:00-07:00", or "" for none')
    return span


def flow(value: object) -> str:
    """The flow of a sign-in: browser or device."""
    if value not in ("browser", "device"):
        raise ValueError('must be "browser" or "device"')
    return str(value)


def kind(value: object) -> str:
    """What a workload is: a server, or an account without an address."""
    if value not in ("server", ACCOUNT):
        raise ValueError('must be "server" or "account"')
    return str(value)


def hosts(value: object) -> tuple[str, ...]:
    """A list of host names as git gives them, with a port where it isn't https's own."""
    items = _list(value, 'a list of hosts, like ["git.example.com"]')
    for item in items:
        if type(item) is not str or not _GIT_HOST.fullmatch(item):
            raise ValueError('must be a list of lowercase hosts, like ["git.example.com", "git.example.com:8443"]')
    return tuple(item.removesuffix(":443") for item in items)


def mcp(value: object) -> str:
    """Which requests count as an MCP client's."""
    if value not in ("auto", "on", "off"):
        raise ValueError('must be "auto", "on" or "off"')
    return str(value)


def text(value: object) -> str:
    """Printable ASCII, not empty (RFC 6749 appendix A.1: VSCHAR)."""
    words = _text(value, "a text in quotes")
    if not re.fullmatch(r"[\x20-\x7e]+", words) or words.strip() != words:
        raise ValueError("must be printable ASCII text without spaces around it")
    return words


def key_file(value: object) -> str:
    """The full path of a file with a private key."""
    path = _text(value, 'a path in quotes, like "/home/ada/client.pem"')
    if not Path(path).is_absolute() or not path.isprintable():
        raise ValueError('must be the full path of a file, like "/home/ada/client.pem"')
    return path


def scopes(value: object) -> tuple[str, ...]:
    """A list of scope tokens (RFC 6749 section 3.3)."""
    tokens = _list(value, 'a list of strings, like ["read", "offline_access"]')
    for scope in tokens:
        if type(scope) is not str or not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope):
            raise ValueError('must be a list of strings without spaces or quotes, like ["read", "offline_access"]')
    return tuple(tokens)


def url(value: object) -> str:
    """A URL a token may be sent to: https, or http on this machine; no user name, no fragment."""
    address = _text(value, 'a URL in quotes, like "https://mcp.example.com/mcp"')
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


def client_document(value: object) -> str:
    """The address of a Client ID Metadata Document: https, with a path, without query and dot segments."""
    address = url(value)
    parts = urlsplit(address)
    if parts.scheme != "https":
        raise ValueError("must start with https://, because sign-in servers fetch it")
    if parts.path in ("", "/"):
        raise ValueError('must have a path, like "https://example.com/amberlight.json"')
    if "?" in address or any(part.lower().replace("%2e", ".") in (".", "..") for part in parts.path.split("/")):
        raise ValueError("can't have a query, nor . or .. in its path")
    return address


def resource(value: object) -> str:
    """An absolute URI without fragment (RFC 8707 section 2); any scheme, because some servers use their own. Empty: none
    is sent."""
    address = _text(value, "a URL in quotes")
    if address and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x22\x24-\x7e]+", address):
        raise ValueError('must be an absolute URL without spaces and # (RFC 8707), or "" to send none')
    return address


def origins(value: object) -> tuple[str, ...]:
    """A list of web origins, as in the header Origin (RFC 6454 section 6.2)."""
    items = _list(value, 'a list of strings, like ["https://app.example.com"]')
    for item in items:
        if type(item) is not str or not re.fullmatch(r"[a-z][a-z0-9+.-]*://[\x21-\x29\x2b-\x2e\x30-\x7e]+", item):
            raise ValueError('must be a list of origins without a path, like ["https://app.example.com"]')
    return tuple(items)


def users(value: object) -> tuple[int, ...]:
    """A list of users of this machine, by name or number; their user ids."""
    items = _list(value, 'a list of users, like ["alice", 1001]')
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
