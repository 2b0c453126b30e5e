"""Types of arguments: each takes a text from the command line and returns its value, or says what is wrong with it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable

DAY = 86400.0  # s
WAIT_MAX = 30 * DAY
SINCE_MAX = 3650 * DAY
LINES_MAX = 1_000_000  # the log is at most 4 MB


def workload_name(text: str) -> str:
    """A NAME of ours."""
    import re

    if "/" in text and (refusal := _of_another_program(text)):
        raise ArgumentTypeError(refusal)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", text):
        raise ArgumentTypeError(
            "a name has 1 to 63 lowercase letters, digits, _ and -, and starts with a letter or digit"
        )
    return text


def name_here(text: str) -> str:
    """The NAME here of a workload that was taken over."""
    if "/" in text:
        raise ArgumentTypeError("use its name in Amberlight; see: amberlight list --all")
    return workload_name(text)


def listed_name(text: str) -> str:
    """A NAME as `list` shows it: another program's workload is OWNER/NAME, such as toolhive/github."""
    if "/" not in text:
        return workload_name(text)
    from trayapp.core.external import split_name

    if split_name(text) is None:
        raise ArgumentTypeError("another program's workload has a name like toolhive/github; see: amberlight list")
    return text


def _of_another_program(name: str) -> str:
    """What to do instead about `OWNER/NAME`; "" if it isn't such a name."""
    from trayapp.core.external import split_name
    from trayapp.core.owners import TITLES

    parts = split_name(name)
    if parts is None or parts[0] not in TITLES:
        return ""
    return (
        f"{TITLES[parts[0]]} keeps {name} signed in. Restart it: amberlight restart {name}; or take it over: "
        f"amberlight take-over {name}"
    )


def new_name(text: str) -> str:
    """The NAME of a new workload: `Notion` is corrected to `notion`."""
    from trayapp.config.corrections import corrected_name

    return workload_name(corrected_name(text))


def seconds(text: str) -> float:
    """Seconds, or a duration like 5m: at most a day."""
    return _duration(text, DAY, "must be from 0 to 86400 seconds")


def limit(text: str) -> float:
    """The same for a wait: at most 30 days."""
    return _duration(_hours(text), WAIT_MAX, "must be from 0 seconds to 30 days")


def _duration(text: str, most: float, rule: str) -> float:
    from trayapp.config.durations import DurationError, parse_duration

    try:
        value = float(text) if text.isdecimal() and text.isascii() else parse_duration(text)
    except DurationError as error:
        raise ArgumentTypeError(str(error)) from None
    if not 0 <= value <= most:
        raise ArgumentTypeError(rule)
    return value


def _hours(text: str) -> str:
    """Days as hours: people write 7d, which the configuration's durations don't have."""
    number, day, rest = text.partition("d")
    return f"{int(number) * 24}h{rest}" if day and number.isascii() and number.isdecimal() and len(number) < 5 else text


def moment(text: str) -> Callable[[float], float]:
    """How long ago (2h, 7d) or a date and time in local time, as a function of now (wall seconds)."""
    from datetime import UTC, datetime

    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        ago = _ago(text)
        return lambda now: max(0.0, now - ago)
    try:
        at = when.timestamp()  # without a zone, local time
    except (ValueError, OverflowError, OSError):  # beyond the system's calendar, where hours don't matter
        at = when.replace(tzinfo=UTC).timestamp()
    return lambda now: max(0.0, at)


def _ago(text: str) -> float:
    if not text.isdecimal():
        try:
            return _duration(_hours(text), SINCE_MAX, "")
        except ArgumentTypeError:
            pass
    raise ArgumentTypeError("must be a time span such as 2h or 7d, or a time such as 2026-01-02T15:04")


def variable(text: str) -> str:
    """The name of an environment variable."""
    import re

    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise ArgumentTypeError("a variable name has letters, digits and underscores, and doesn't start with a digit")
    return text


def lines(text: str) -> int:
    """A number of lines. None at all would look as if there were none."""
    if not (text.isdecimal() and text.isascii() and len(text) < 8 and 1 <= int(text) <= LINES_MAX):
        raise ArgumentTypeError(f"must be a whole number from 1 to {LINES_MAX}")
    return int(text)


def port(text: str) -> int:
    """A port number."""
    if not (text.isdecimal() and text.isascii() and len(text) < 6 and int(text) <= 65535):
        raise ArgumentTypeError("must be a port number from 0 to 65535")
    return int(text)


def listening_port(text: str) -> int:
    """A port number that can be listened on."""
    if not (text.isdecimal() and text.isascii() and len(text) < 6 and 0 < int(text) <= 65535):
        raise ArgumentTypeError("must be a port number from 1 to 65535")
    return int(text)


def client_name(text: str) -> str:
    """A CLIENT that `connect` knows."""
    from trayapp.clients.table import BY_NAME, TABLE

    if text not in BY_NAME:
        names = ", ".join(client.name for client in TABLE)
        raise ArgumentTypeError(f"no client has this name. Known clients: {names}")
    return text


def reader(text: str) -> str:
    """A client, or the plain text for all others."""
    from trayapp.clients.table import BY_NAME

    return text if text == "json" else BY_NAME[client_name(text)].name


def one_of(words: Iterable[str]) -> Callable[[str], str]:
    """One of these words, whichever way it is written: "Sign-in needed" is sign-in-needed."""
    known = tuple(words)

    def chosen(text: str) -> str:
        word = text.casefold().replace(" ", "-").replace("_", "-")
        if word not in known:
            raise ArgumentTypeError(f"must be one of: {', '.join(known)}")
        return word

    return chosen
