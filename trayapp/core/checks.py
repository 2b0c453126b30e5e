"""Results of `amberlight doctor`, as values shared by the command line and the running app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trayapp.core.model import Trouble

OK, WARNING, PROBLEM = "ok", "warning", "problem"

_KEYRING: Mapping[Trouble, tuple[str, str]] = {
    Trouble.LOCKED: (WARNING, "Unlock it; Amberlight goes on by itself."),
    Trouble.UNAVAILABLE: (
        PROBLEM,
        "Start Amberlight in a desktop session with a keyring (GNOME Keyring, KWallet). Until then logins last only as"
        " long as it runs.",
    ),
    Trouble.NO_COLLECTION: (
        PROBLEM,
        "Open the database of your keyring, or create a default collection in its program.",
    ),
    Trouble.HANGING: (PROBLEM, "Look for a window that asks for its password."),
    Trouble.FAILED: (PROBLEM, "Amberlight tries again by itself; its log has the details."),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One line: what was checked, its state, and what to do about it (empty if nothing)."""

    name: str
    state: str
    text: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything `doctor` asks the running app."""

    checks: tuple[Check, ...]
    tray: bool  # it has an icon, whether or not a panel shows it; not with --no-tray
    token_endpoints: Mapping[str, str]  # where each login is refreshed, by workload


def keyring_check(trouble: Trouble | None, text: str) -> Check:
    """The check of the keyring; `text` names it, or says what is wrong with it."""
    state, help_ = (OK, "") if trouble is None else _KEYRING[trouble]
    return Check("keyring", state, text, help_)
