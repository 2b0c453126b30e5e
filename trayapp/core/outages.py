"""Outages of the loopback server: why clients can't reach Amberlight, and what helps, in sentences.

The remedy is another port, or the end of the program that has ours. People click *Change port…* for that, or run a
command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

CHANGE = "Change port…"
BY_MENU = f"choose {CHANGE}"
BY_COMMAND = "run `amberlight change-port`."


class Cause(StrEnum):
    """Why nothing can connect to the configured port."""

    IN_USE = "in_use"
    OTHER_USER = "other_user"  # in use by a program that isn't this user's to end
    RESERVED = "reserved"  # the system doesn't let this user listen there
    NO_LOOPBACK = "no_loopback"  # 127.0.0.1 isn't there
    UNREACHABLE = "unreachable"  # Amberlight listens, and connections don't arrive
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outage:
    """Clients can't reach Amberlight at `port`, which is the configured one; 0: no port at all can be had."""

    port: int
    cause: Cause
    holder: str = ""  # who has the port: "python3 (process 1234)"; empty: not known
    reason: str = ""  # the system's words, where there is nothing better to say
    listening: int | None = None  # where it listens meanwhile, for commands and the dashboard


_HELD = "Port {port} is in use by {holder}"
_TAKEN = "port {port} is in use"
_FACTS: Mapping[Cause, str] = {
    Cause.IN_USE: _HELD,
    Cause.OTHER_USER: _HELD,
    Cause.RESERVED: "The system reserves port {port}",
    Cause.NO_LOOPBACK: "This computer has no loopback network (127.0.0.1)",
    Cause.UNREACHABLE: "Something blocks connections to port {port} on this computer",
    Cause.FAILED: "Port {port} can't be used ({reason})",
}
_SHORT: Mapping[Cause, str] = {
    Cause.IN_USE: _TAKEN,
    Cause.OTHER_USER: _TAKEN,
    Cause.RESERVED: "port {port} is reserved",
    Cause.NO_LOOPBACK: "no loopback network",
    Cause.UNREACHABLE: "port {port} is blocked",
    Cause.FAILED: "port {port} can't be used",
}
TITLE = "Clients can't connect"
WITHOUT_PORT = "No port on this computer can be used ({reason})"
RETRYING = "Amberlight keeps trying."


def movable(outage: Outage) -> bool:
    """Whether another port helps."""
    return bool(outage.port) and outage.cause is not Cause.NO_LOOPBACK


def why(outage: Outage) -> str:
    """What is wrong with the port, without a full stop."""
    form = _FACTS[outage.cause] if outage.port or outage.cause is Cause.NO_LOOPBACK else WITHOUT_PORT
    holder, reason = outage.holder or "another program", outage.reason or "no reason given"
    return form.format(port=outage.port, holder=holder, reason=reason)


def fact(outage: Outage) -> str:
    """The same and what it means, as a sentence."""
    return f"{why(outage)}, so clients can't connect."


def remedy(outage: Outage, *, how: str) -> str:
    """What to do about it; `how` is `BY_MENU` or `BY_COMMAND`."""
    if outage.cause is Cause.NO_LOOPBACK:
        return f"Bring up the network interface lo. {RETRYING}"
    if not movable(outage):
        return RETRYING
    if outage.cause is Cause.IN_USE:
        return f"Quit that program, or {how}"
    if outage.cause is Cause.UNREACHABLE:
        return f"Check your firewall, or {how}"
    return f"To use another port, {how}"


def short(outage: Outage) -> str:
    """The same in one menu line: "Clients can't connect: port 8765 is in use"."""
    words = "no port can be used" if not outage.port and outage.cause is Cause.FAILED else _SHORT[outage.cause]
    return f"{TITLE}: {words.format(port=outage.port)}"


def changed_text(port: int, updated: tuple[str, ...] = (), failed: tuple[str, ...] = ()) -> str:
    """The result of a change: the new port, the clients that know it by now, and those that have to be told."""
    sentences = [f"Amberlight now uses port {port}."]
    if updated:
        sentences.append(f"Updated {_joined(updated)}.")
    if failed:
        sentences.append(f"Couldn't update {_joined(failed)}: reconnect {'it' if len(failed) == 1 else 'them'}.")
    return " ".join(sentences)


def _joined(names: tuple[str, ...]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
