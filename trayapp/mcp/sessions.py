"""Sessions of MCP clients: each has an id of ours, which stays the same while the upstream's sessions come and go.

An id has 128 random bits and belongs to one workload and one path of it: whoever shows the workload's key and the id is
that session. The ids outlive a restart. There are at most `SESSIONS_MAX`, in `TOTAL_MAX` bytes, and the one that was idle
longest goes first.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from trayapp.mcp.messages import Json
from trayapp.mcp.revisions import BY_VERSION, Revision, negotiated

SESSIONS_MAX = 1000
TOTAL_MAX = 16 * 1024 * 1024  # bytes of all sessions' parameters and results
REPLAYED_MAX = 64  # requests that a new upstream session is told again
FORMAT = 1


@dataclass(slots=True, eq=False)
class Session:
    """One client. `upstream` is the id that the upstream gave; with `live` and None the upstream has no sessions."""

    id: str
    workload: str
    path: str  # path and query below the workload
    account: str  # whose login the upstream's session was made with
    params: Json  # of its `initialize`
    told: Json  # the result it was given
    live: bool = False  # the upstream knows it
    upstream: str | None = None
    called: bool = False  # a call succeeded in the upstream's session, so something there may depend on it
    unsaid: bool = False  # such a session was lost, and the client has not been told
    stale: bool = False  # its lists came from notes, or may have changed unheard
    guessed: bool = False  # what it was told at `initialize` was neither the upstream's word nor noted
    depended_on: str | None = None  # the last session that was lost although a call had succeeded in it
    elicitation: str = ""  # the id of a page that it was asked to open
    replayed: dict[str, Json] = field(default_factory=dict)  # by method and subject: log level, subscriptions
    size: int = field(init=False)  # bytes of `params` and `told`

    def __post_init__(self) -> None:
        self.size = len(json.dumps(self.params)) + len(json.dumps(self.told))

    @property
    def revision(self) -> Revision:
        """The revision that it was told."""
        version = self.told.get("protocolVersion")
        return BY_VERSION.get(version, negotiated(None)) if isinstance(version, str) else negotiated(None)

    @property
    def capabilities(self) -> object:
        """The client's."""
        return self.params.get("capabilities")

    def replay(self, method: str, params: Json) -> None:
        """Remember what a new upstream session has to be told again."""
        subject = str(params.get("uri", "")) if method != "logging/setLevel" else ""
        if method == "resources/unsubscribe":
            self.replayed.pop(f"resources/subscribe {subject}", None)
        elif len(self.replayed) < REPLAYED_MAX:
            self.replayed[f"{method} {subject}"] = params

    def lost(self) -> None:
        """The upstream does not know it any more."""
        if self.called and self.upstream is not None:
            self.unsaid, self.depended_on = True, self.upstream
        self.renewed()

    def renewed(self) -> None:
        """Another upstream session has to be made; the person who signed in again knows why."""
        self.live, self.upstream, self.called = False, None, False


class Sessions:
    """All sessions, the one used last at the end."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self.changed = False

    def begin(self, workload: str, path: str, account: str, params: Json, told: Json) -> Session:
        """A new one."""
        session = Session(secrets.token_hex(16), workload, path, account, params, told)
        self._sessions[session.id] = session
        total = sum(each.size for each in self._sessions.values())
        while len(self._sessions) > 1 and (len(self._sessions) > SESSIONS_MAX or total > TOTAL_MAX):
            total -= self._sessions.pop(next(iter(self._sessions))).size
        self.changed = True
        return session

    def find(self, id_: str, workload: str, path: str) -> Session | None:
        """The session of that id, if it is this workload's and path's. It counts as used."""
        session = self._sessions.get(id_)
        if session is None or session.workload != workload or session.path != path:
            return None
        self._sessions[id_] = self._sessions.pop(id_)
        return session

    def end(self, session: Session) -> None:
        """Its id is unknown from now on."""
        self.changed = self._sessions.pop(session.id, None) is not None or self.changed

    def of(self, workload: str) -> list[Session]:
        """The sessions of one workload."""
        return [each for each in self._sessions.values() if each.workload == workload]

    def forget(self, workload: str) -> None:
        """The workload is gone."""
        for session in self.of(workload):
            self.end(session)

    def dump(self) -> str:
        """For the disk: what a restart needs."""
        return json.dumps({"format": FORMAT, "sessions": [_row(each) for each in self._sessions.values()]})


_KEPT = (
    "id",
    "workload",
    "path",
    "account",
    "params",
    "told",
    "live",
    "upstream",
    "called",
    "unsaid",
    "stale",
    "guessed",
    "replayed",
)


def _row(session: Session) -> dict[str, Any]:
    return {name: getattr(session, name) for name in _KEPT}


def load(text: str) -> Sessions:
    """Sessions from the disk; a damaged file means none, a damaged row is left out."""
    sessions = Sessions()
    for row in _rows(text):
        try:
            session = Session(**{name: row[name] for name in _KEPT})
            texts = (session.id, session.workload, session.path, session.account, session.upstream or "")
            objects = (session.params, session.told, session.replayed)
            if all(isinstance(each, str) for each in texts) and all(isinstance(each, dict) for each in objects):
                sessions._sessions[session.id] = session
        except (KeyError, TypeError):
            continue
    return sessions


def _rows(text: str) -> Iterable[dict[str, Any]]:
    try:
        data = json.loads(text)
        found = data["sessions"] if data["format"] == FORMAT else []
    except (ValueError, RecursionError, KeyError, TypeError):
        return []
    return [row for row in found[-SESSIONS_MAX:] if isinstance(row, dict)] if isinstance(found, list) else []
