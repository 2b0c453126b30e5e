"""Request log: which requests came, when, and with what outcome, without any secret."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trayapp.oauthtest.forms import redacted

PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Record:
    """One request. `form` and `query` hold digests in place of secrets (`oauthtest.digest` makes the same)."""

    kind: str  # authorize, consent, token, revoke, metadata, jwks, register, device, device_page, portal
    at: float  # the server's clock
    outcome: str = PENDING  # ok, the error code, or the name of the mode that was played
    method: str = "GET"
    form: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def grant(self) -> str:
        """The grant_type of a token request."""
        return self.form.get("grant_type", "")

    def matches(self, kind: str, grant: str | None, outcome: str | None) -> bool:
        """Whether this is one of the requests to count; None means any."""
        return self.kind == kind and grant in (None, self.grant) and outcome in (None, self.outcome)


class Log:
    """All requests so far. Its condition is the lock of the whole server, and is notified at every change."""

    def __init__(self, condition: threading.Condition) -> None:
        self._condition = condition
        self._records: list[Record] = []

    def add(
        self,
        kind: str,
        at: float,
        method: str,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> int:
        """Note a request that arrived. The returned number identifies it in `outcome`."""
        with self._condition:
            self._records.append(Record(kind, at, PENDING, method, redacted(form or {}), redacted(query or {})))
            self._condition.notify_all()
            return len(self._records) - 1

    def outcome(self, number: int, outcome: str) -> None:
        """Set the outcome of a request."""
        with self._condition:
            self._records[number] = replace(self._records[number], outcome=outcome)
            self._condition.notify_all()

    def all(self) -> list[Record]:
        """A copy, oldest first."""
        with self._condition:
            return list(self._records)

    def count(self, kind: str, grant: str | None = None, outcome: str | None = None) -> int:
        """How many requests match."""
        with self._condition:
            return sum(record.matches(kind, grant, outcome) for record in self._records)

    def wait(self, kind: str, grant: str | None, outcome: str | None, times: int, timeout: float) -> bool:
        """Wait until so many requests match; False if `timeout` seconds were not enough."""
        with self._condition:
            return self._condition.wait_for(lambda: self.count(kind, grant, outcome) >= times, timeout)
