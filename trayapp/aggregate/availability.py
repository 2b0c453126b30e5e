"""What the process knows of a workload from the event stream, and what a refusal of the proxy means.

Pure; the time is a parameter. Which sentence goes with a state is decided in `mcp/blocked.py`, for `/w/NAME` and here alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trayapp.core.model import ACCOUNT
from trayapp.core.sentences import help_of
from trayapp.core.snapshot import Detail, Status, Unavailable
from trayapp.mcp import blocked
from trayapp.mcp.blocked import Blocked

LISTED = frozenset({"running", "auth_retrying", "starting"})  # they work, or recover without anybody's help
CALLED = frozenset({"running", "starting"})  # they have, or may have, a token
UNKNOWN_WAIT = 30  # s; while no attempt is planned, the same as the proxy says (M15)
WAIT_MAX = 3600  # s


class BlockedError(Exception):
    """The workload did not answer; `why` says what a client is told instead."""

    def __init__(self, why: Blocked) -> None:
        super().__init__(why.text)
        self.why = why


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """One workload as the event stream reports it. `next_attempt_at` is wall seconds."""

    name: str
    url: str
    status: str
    health: str
    detail: str = ""
    next_attempt_at: float | None = None

    @property
    def listed(self) -> bool:
        return self.status in LISTED

    @property
    def called(self) -> bool:
        return self.status in CALLED


def row_of(data: object) -> WorkloadRow | None:
    """The row in a list or event; None if this isn't one. An account isn't: it has no tools. Another program's workload
    isn't either: that program serves it."""
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        return None
    if data.get("kind") == ACCOUNT or data.get("external") is not None:
        return None
    auth = data.get("auth")
    auth = auth if isinstance(auth, Mapping) else {}
    return WorkloadRow(
        name=data["name"],
        url=_text(data, "url"),
        status=_text(data, "status"),
        health=_text(data, "health"),
        detail=_text(auth, "detail"),
        next_attempt_at=_wall_seconds(auth.get("next_attempt_at")),
    )


def blocked_by_state(row: WorkloadRow, now: float) -> Blocked | None:
    """Why this workload can't be called; None if it can, or may. `now` is wall seconds."""
    if row.called:
        return None
    wait = None
    if row.status == Status.AUTH_RETRYING:
        at = row.next_attempt_at
        wait = UNKNOWN_WAIT if at is None else min(max(math.ceil(at - now), 1), WAIT_MAX)
    return blocked.without_token(row.name, _unavailable(row.name, row.status, row.detail, wait, row.next_attempt_at))


def refusal(name: str, status: int, body: object, retry_after: str | None) -> Blocked:
    """What an HTTP error means that came instead of an answer: the proxy's own, or the upstream's.

    `body` is parsed JSON, or text.
    """
    data: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    word, said = _text(data, "status"), _text(data, "message")
    if word and "help" in data:  # the proxy has no usable token
        wait = int(retry_after) if retry_after and retry_after.isdigit() else None
        at = _wall_seconds(data.get("next_attempt_at"))
        return blocked.without_token(
            name, _unavailable(name, word, _text(data, "detail"), wait, at, _text(data, "help"))
        )
    if said and _text(data, "error").startswith(("upstream_", "proxy_")):  # or no way to the upstream
        return blocked.unreachable(name, said)
    return blocked.refused_request(name, status, said or _reason(body))


def _unavailable(
    name: str, status: str, detail: str, wait: int | None, at: float | None, words: str = ""
) -> Unavailable:
    """`words` say what helps; without them it is what the proxy says of this state. Unknown states are passed over."""
    known = Status(status) if status in set(Status) else Status.UNKNOWN
    why = Detail(detail) if detail in set(Detail) else Detail.OK
    if not words and known is not Status.UNKNOWN:
        words = help_of(name, known, why)
    return Unavailable("", known, why, 0.0, wait, at, words)


def _reason(body: object) -> str:
    """What a server's error says, in whatever form: JSON as servers like to write it, or a line of text."""
    if isinstance(body, Mapping):
        for key in ("error", "error_description", "detail", "title"):
            found = body.get(key)
            found = found.get("message") if isinstance(found, Mapping) else found
            if isinstance(found, str) and found:
                return found
        return ""
    return body if isinstance(body, str) and "<" not in body else ""  # a page is made for people with a browser


def _wall_seconds(value: object) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""
