"""Rows of state.db read back: what is saved of a workload, and its history."""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass, fields, replace
from typing import Any

from trayapp.core.model import Problem, Saved, SignedOut
from trayapp.core.refusal import Refusal

log = logging.getLogger(__name__)

TABLES_BY_NAME = ("workload", "intent", "history", "segment")
HISTORY_COLUMNS = "wall, name, kind, outcome, trigger, problem_kind, http_status, code, summary, status, detail"


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One row of history. `wall` is seconds since the epoch."""

    wall: float
    name: str
    kind: str
    outcome: str
    trigger: str
    problem: Problem | None
    status: str
    detail: str


def load(db: sqlite3.Connection, name: str) -> Saved:
    """The saved state and the open intent of a workload; empty if there is neither."""
    state = _state(db, name)
    intent = db.execute("SELECT fingerprint, generation FROM intent WHERE name = ?", (name,)).fetchone()
    saved = _saved(state) if state is not None else Saved()
    return replace(saved, open_intent=intent[0], open_generation=intent[1]) if intent else saved


def rename(db: sqlite3.Connection, name: str, new: str, *, resume: bool) -> None:
    """Give all rows another name. What little was written under the new one since the start gives way."""
    if _state(db, name) is not None:
        db.execute("DELETE FROM workload WHERE name = ?", (new,))
    if db.execute("SELECT 1 FROM intent WHERE name = ?", (name,)).fetchone():
        db.execute("DELETE FROM intent WHERE name = ?", (new,))
    for table in TABLES_BY_NAME:
        db.execute(f"UPDATE {table} SET name = ? WHERE name = ?", (new, name))  # noqa: S608
    if resume and (state := _state(db, new)) is not None:
        db.execute("UPDATE workload SET state = ? WHERE name = ?", (_resumed(state), new))


def _state(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute("SELECT state FROM workload WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def _resumed(text: str) -> str:
    try:
        values = json.loads(text)
        values.pop("paused", None)
        return json.dumps(values)
    except (ValueError, TypeError, AttributeError):
        return text


def undeleted(db: sqlite3.Connection) -> dict[str, str]:
    """By name: what is left to delete (`Saved.discard`)."""
    rows = db.execute("SELECT name, state FROM workload WHERE state LIKE '%\"discard\"%'")
    return {name: word for name, text in rows if (word := _saved(text).discard)}


def _saved(text: str) -> Saved:
    """The record from its JSON. Unknown fields are dropped; an invalid record counts as empty."""
    try:
        values = json.loads(text)
        known = {field.name: values[field.name] for field in fields(Saved) if field.name in values}
        if "signed_out" in known:
            known["signed_out"] = SignedOut(known["signed_out"])
        if "last_error" in known:
            known["last_error"] = Problem(**known["last_error"])
        if "refusal" in known:
            known["refusal"] = Refusal(**known["refusal"])
        return Saved(**known)
    except (ValueError, TypeError, KeyError):
        log.warning("Ignoring an invalid saved state in state.db.")
        return Saved()


def history(db: sqlite3.Connection, name: str, since_wall: float) -> list[HistoryRow]:
    """The history of a workload since `since_wall`, oldest first."""
    rows = db.execute(
        f"SELECT {HISTORY_COLUMNS} FROM history WHERE name = ? AND wall >= ? ORDER BY wall, id",  # noqa: S608
        (name, since_wall),
    )
    return [_history_row(row) for row in rows]


def newest_history(db: sqlite3.Connection, name: str, since_wall: float, limit: int) -> list[HistoryRow]:
    """What happened to a workload's login, newest first; without how it looked, which the timeline has."""
    rows = db.execute(
        f"SELECT {HISTORY_COLUMNS} FROM history WHERE name = ? AND wall >= ? AND kind != 'status'"  # noqa: S608
        " ORDER BY wall DESC, id DESC LIMIT ?",
        (name, since_wall, limit),
    )
    return [_history_row(row) for row in rows]


def _history_row(row: tuple[Any, ...]) -> HistoryRow:
    wall, name, kind, outcome, trigger, problem_kind, http_status, code, summary, status, detail = row
    problem = None if problem_kind is None else Problem(problem_kind, summary, http_status, code)
    return HistoryRow(wall, name, kind, outcome, trigger, problem, status, detail)
