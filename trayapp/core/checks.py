"""What `doctor` says of one thing, in the command line and in the app."""

from __future__ import annotations

from dataclasses import dataclass

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what to do about it (empty when all is well)."""

    name: str
    state: str
    text: str
    help: str = ""
