"""What a client is told instead of an answer: what happened and what to do, as a sentence and as facts for programs."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from trayapp.core.snapshot import Detail, Status, Unavailable

REASON_MAX = 300  # characters of a server's own words
UNAVAILABLE = "isn't available"
KEYRING = "is waiting for the keyring"
FATE = "The call may or may not have run. Check before you repeat it."
META = "io.github.amberlight/workload"  # the key of the facts in `_meta`


@dataclass(frozen=True, slots=True)
class Blocked:
    """Why the workload cannot answer now. `retry_after` in seconds; None where waiting doesn't help."""

    workload: str
    text: str
    status: str = ""
    detail: str = ""
    retry_after: int | None = None
    next_attempt_at: float | None = None  # wall

    def facts(self) -> dict[str, object]:
        """For programs; every key is always there."""
        return {
            "workload": self.workload,
            "status": self.status,
            "detail": self.detail,
            "retry_after": self.retry_after,
            "next_attempt_at": self.next_attempt_at,
        }


def without_token(name: str, why: Unavailable) -> Blocked:
    """There is no usable token. `why.help` says what happens or what to do next."""
    wait = f" Try again in {_span(why.retry_after)}." if why.status in _WAITING and why.retry_after else ""
    named = why.help.startswith((f"{name} is ", f"{name} needs ", f"{name}: "))
    obstacle = KEYRING if why.status in _WAITING and why.detail in _KEYRING else None
    state = "" if named else f"{name} {obstacle or _STATES.get(why.status, UNAVAILABLE)}. "
    text = f"{state}{_sentence(why.help)}{wait}"
    return Blocked(name, text, why.status.value, why.detail.value, why.retry_after, why.next_attempt_at)


def unreachable(name: str, reason: str) -> Blocked:
    """The login is fine; the workload's server can't be reached. `reason` is a sentence about its host."""
    text = f"{name} {UNAVAILABLE}. {_sentence(reason)} Try again shortly."
    return Blocked(name, text, Status.RUNNING.value, "upstream_unreachable", 5)


def answered_badly(name: str, host: str, status: int, called: bool) -> Blocked:
    """A gateway, or an overloaded server, answered 502, 503 or 504 in the MCP server's place."""
    fate = f" {FATE}" if called else ""
    return Blocked(name, f"{host} answered {status} for {name}.{fate}", Status.RUNNING.value, "upstream_error", 5)


def send_again(name: str) -> Blocked:
    """The token was replaced during a request that can't be repeated from here."""
    return Blocked(name, f"{name} got a new token during this request. Try again.", "running", "retrying", 1)


def fate_unknown(name: str) -> Blocked:
    """The call was sent, and the connection ended before the answer."""
    text = f"The connection to {name} was lost before it answered. {FATE}"
    return Blocked(name, text, Status.RUNNING.value, "fate_unknown")


def session_restarted(name: str) -> Blocked:
    """The upstream forgot the session, and something in it may have depended on earlier calls."""
    text = (
        f"{name} restarted its session, so this call wasn't made. State from earlier calls may be gone. "
        "Set it up again if needed, then repeat the call."
    )
    return Blocked(name, text, Status.RUNNING.value, "session_restarted", 0)


def refused_request(name: str, status: int, said: str) -> Blocked:
    """The server, or something before it, answered with an HTTP error that isn't an MCP response. `said` is its text."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    reason = " ".join("".join(each if each.isprintable() else " " for each in said).split())[:REASON_MAX]
    text = f"{name} answered {status}{f' ({phrase})' if phrase else ''}{f': {reason}' if reason else ''}"
    return Blocked(name, _sentence(text), Status.RUNNING.value, "upstream_error")


def no_session(name: str, reason: str) -> Blocked:
    """The server didn't start a session; nothing of the request was sent."""
    return Blocked(
        name, _sentence(f"{name} didn't start a session: {reason}"), Status.RUNNING.value, "upstream_error", 5
    )


def gone(name: str) -> Blocked:
    """There is no such workload (any more)."""
    return Blocked(name, f"Amberlight no longer has a workload {name}. List the tools again.", Status.UNKNOWN.value)


def not_passed_on(name: str, what: str) -> str:
    """For a server's request to its client, which `/mcp` can't pass to any one of its clients."""
    return f"{name} asked for {what}, which /mcp doesn't pass on. Connect the client to /w/{name} for that."


_KEYRING = (Detail.KEYRING_LOCKED, Detail.KEYRING_UNAVAILABLE)
_WAITING = (Status.AUTH_RETRYING, Status.STARTING, Status.RUNNING)
_STATES = {
    Status.AUTH_RETRYING: "is reconnecting",
    Status.RUNNING: "is reconnecting",
    Status.STARTING: "is starting",
    Status.UNAUTHENTICATED: "needs a sign-in",
    Status.STOPPED: "is paused",
    Status.REMOVING: "is being removed",
    Status.ERROR: "has a configuration error",
    Status.UNHEALTHY: "refuses access",
}


def _span(seconds: int) -> str:
    if seconds < 120:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes = round(seconds / 60)
    return f"{minutes} minutes"


def _sentence(words: str) -> str:
    words = words.strip()
    return words if not words or words.endswith((".", "!", "?")) else f"{words}."
