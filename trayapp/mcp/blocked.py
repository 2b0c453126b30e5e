"""What a client is told instead of an answer: one sentence with what is wrong and what helps, and facts for programs."""

from __future__ import annotations

from dataclasses import dataclass

from trayapp.core.snapshot import Status, Unavailable

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
    """There is no usable token. `why.help` is the sentence that says what happens or what to do next."""
    wait = f" Try again in {_span(why.retry_after)}." if why.status in _WAITING and why.retry_after else ""
    text = f"{name} {_STATES.get(why.status, 'is not available')}. {_sentence(why.help)}{wait}"
    return Blocked(name, text, why.status.value, why.detail.value, why.retry_after, why.next_attempt_at)


def unreachable(name: str, reason: str) -> Blocked:
    """The login is fine; the workload's server is not to be had. `reason` is a sentence about its host."""
    text = f"{name} can't be reached. {_sentence(reason)} Try again shortly."
    return Blocked(name, text, Status.RUNNING.value, "upstream_unreachable", 5)


def answered_badly(name: str, host: str, status: int, called: bool) -> Blocked:
    """A gateway, or an overloaded server, answered 502, 503 or 504 in the MCP server's place."""
    fate = " The call may or may not have run: check before you repeat it." if called else ""
    return Blocked(name, f"{host} answered {status} for {name}.{fate}", Status.RUNNING.value, "upstream_error", 5)


def send_again(name: str) -> Blocked:
    """The token was replaced while a request was on its way that can't be repeated from here."""
    return Blocked(name, f"{name} got a new token while this was on its way. Call again.", "running", "retrying", 1)


def fate_unknown(name: str) -> Blocked:
    """The call was sent, and the connection ended before the answer."""
    text = f"The connection to {name} broke before it answered. The call may or may not have run: check before you repeat it."
    return Blocked(name, text, Status.RUNNING.value, "fate_unknown")


def session_restarted(name: str) -> Blocked:
    """The upstream forgot the session, and something in it may have depended on earlier calls."""
    text = (
        f"{name} restarted its session, so this call was not made: what earlier calls set up may be gone. "
        "Set it up again if it matters, then call again."
    )
    return Blocked(name, text, Status.RUNNING.value, "session_restarted", 0)


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
