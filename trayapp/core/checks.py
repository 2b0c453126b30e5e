"""Results of `amberlight doctor`, as values shared by the command line and the running app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trayapp.core.model import Trouble
from trayapp.core.sentences import KEYRING_REMEDIES, RETRYING, SEE_LOG

OK, WARNING, PROBLEM = "ok", "warning", "problem"
CHECK_DISK = "Check the disk or network share."

_HELP: Mapping[Trouble, str] = {
    **KEYRING_REMEDIES,
    Trouble.UNAVAILABLE: "Start Amberlight in a desktop session with a keyring, such as GNOME Keyring or KWallet. Until then,"
    " logins are lost when Amberlight quits.",
    Trouble.FAILED: f"{RETRYING} {SEE_LOG}",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was checked, its state, and what to do about it (empty if nothing). `fixable`: `doctor --fix` can."""

    name: str
    state: str
    text: str
    help: str = ""
    fixable: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """Everything `doctor` asks the running app."""

    checks: tuple[Check, ...]
    tray: bool  # it has an icon, whether or not a panel shows it; not with --no-tray
    token_endpoints: Mapping[str, str]  # where each login is refreshed, by workload


def keyring_check(trouble: Trouble | None, text: str) -> Check:
    """The check of the keyring; `text` names it, or says what the problem is."""
    if trouble is None:
        return Check("keyring", OK, text)
    return Check("keyring", WARNING if trouble is Trouble.LOCKED else PROBLEM, text, _HELP[trouble])
