"""Which workloads can be listed and called at present, and what a client is told about those that can't.

Pure; the time is a parameter. Listed are workloads that work or will recover automatically (`running`,
`auth_retrying`, `starting`); called are those that have, or may have, a token. Every other call is answered
immediately, without a request to anyone, with the reason and what to do: wait some seconds, or sign in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LISTED = frozenset({"running", "auth_retrying", "starting"})
CALLED = frozenset({"running", "starting"})
UNKNOWN_WAIT = 30  # s; while no attempt is planned, the same as the proxy says (M15)
WAIT_MAX = 3600  # s


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """One workload as the event stream reports it. `next_attempt_at` is wall seconds."""

    name: str
    url: str
    status: str
    health: str
    context: str = ""
    detail: str = ""
    next_attempt_at: float | None = None
    signing_in: bool = False

    @property
    def listed(self) -> bool:
        return self.status in LISTED

    @property
    def called(self) -> bool:
        return self.status in CALLED


@dataclass(frozen=True, slots=True)
class BlockedReason:
    """Why a call was not made. `retry_after` is in seconds; None where waiting doesn't help."""

    workload: str
    text: str
    status: str = ""
    detail: str = ""
    retry_after: int | None = None

    def facts(self) -> dict[str, object]:
        """The reason for programs; every key is always present."""
        return {
            "workload": self.workload,
            "status": self.status,
            "detail": self.detail,
            "retry_after": self.retry_after,
        }


class Blocked(Exception):  # noqa: N818 - an answer, not a fault
    """The workload can't be called now."""

    def __init__(self, reason: BlockedReason) -> None:
        super().__init__(reason.text)
        self.reason = reason


def row_of(data: object) -> WorkloadRow | None:
    """The row in a list or event; None if this isn't one."""
    if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
        return None
    auth = data.get("auth")
    auth = auth if isinstance(auth, Mapping) else {}
    return WorkloadRow(
        name=data["name"],
        url=_text(data, "url"),
        status=_text(data, "status"),
        health=_text(data, "health"),
        context=_text(data, "status_context"),
        detail=_text(auth, "detail"),
        next_attempt_at=_wall_seconds(auth.get("next_attempt_at")),
        signing_in=auth.get("signing_in") is True,
    )


def gone(name: str) -> BlockedReason:
    """The reason when there is no such workload, or no longer."""
    return BlockedReason(name, f"Amberlight has no workload {name} any more. List the tools again.")


def blocked(row: WorkloadRow, now: float) -> BlockedReason | None:
    """The reason not to call this workload; None if it can be called. `now` is wall seconds."""
    if row.called:
        return None
    name, context = row.name, _sentence(row.context)
    match row.status:
        case "auth_retrying":
            wait = _wait(row.next_attempt_at, now)
            text = f"{name} cannot renew its login right now. {context}Try again in {wait} s: it heals by itself."
            return BlockedReason(name, text, row.status, row.detail, wait)
        case "unauthenticated":
            how = f"Sign in: amberlight reauthorize {name}, or Reauthorize {name}… in Amberlight's tray menu."
            if row.signing_in:
                how = "A sign-in is under way: finish it in the browser."
            return BlockedReason(name, f"{name} needs a sign-in. {context}{how}", row.status, row.detail)
        case "stopped":
            text = f"{name} is paused. Resume it: amberlight start {name}, or in Amberlight's tray menu."
            return BlockedReason(name, text, row.status, row.detail)
        case "error":
            return BlockedReason(
                name, f"{name} is not configured rightly. {context}See: amberlight doctor.", "error", row.detail
            )
    return BlockedReason(name, f"{name} does not work now ({row.status}). {context}".strip(), row.status, row.detail)


def proxy_refusal(name: str, status: int, body: object, retry_after: str | None, now: float) -> BlockedReason:
    """The reason when the proxy answered instead of the workload, whose state may just have changed."""
    data: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
    word, detail = _text(data, "status"), _text(data, "detail")
    if word and word not in CALLED:
        at = now + int(retry_after) if retry_after and retry_after.isdigit() else None
        reason = blocked(WorkloadRow(name, "", word, "", _text(data, "help"), detail, at), now)
        if reason is not None:
            return reason
    wait = int(retry_after) if retry_after and retry_after.isdigit() else None
    text = _text(data, "help") or _text(data, "message") or f"It answered {status}."
    again = f" Try again in {wait} s." if wait is not None else ""
    return BlockedReason(name, f"{name}: {text}{again}", word, detail, wait)


def _wait(at: float | None, now: float) -> int:
    return UNKNOWN_WAIT if at is None else min(max(math.ceil(at - now), 1), WAIT_MAX)


def _wall_seconds(value: object) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else None
    except ValueError:
        return None


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _sentence(text: str) -> str:
    """The text with a full stop and a space after it; "" if it is empty."""
    text = text.strip()
    return "" if not text else f"{text} " if text[-1] in ".!?" else f"{text}. "
