"""What `doctor` says of one thing, and what the running app tells it: the same values in the command line and in the app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was looked at, how it is, and what to do about it (empty when all is well)."""

    name: str
    state: str
    text: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All that `doctor` asks of the running app, in one answer."""

    checks: tuple[Check, ...]
    tray: bool  # it has an icon, whether or not a panel shows it; not with --no-tray
    token_endpoints: Mapping[str, str]  # where each login is refreshed, by workload
