"""Notifications about Amberlight itself: clients can't connect, no configuration, logins that end with the program.

Like `notices.py`: the difference between what was shown and the current snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Set

from trayapp.core import outages
from trayapp.core.presentation import Action, Notice, Verb
from trayapp.core.snapshot import Snapshot, Status

_MISTAKE = re.compile(r"(?:/|[A-Za-z]:\\).*[/\\](?P<file>[^/\\:]+)(?P<line>:\d+)?: (?:\S+: )?(?P<what>.+)")
KIND = "app"
UNSAVED = f"{KIND}:unsaved:"
BROKEN = "Can't read the configuration"
PARTLY_BROKEN = "The configuration has a mistake"
FIX_FILE = "Fix it, and Amberlight reloads it automatically."
THIS_RUN_ONLY = "There's no keyring to save this login in, so it lasts until Amberlight quits."
START_KEYRING = "Start a keyring, such as GNOME Keyring or KWallet, and Amberlight saves it."


def changes(
    shown: frozenset[str], snapshot: Snapshot, *, quiet: bool = False
) -> tuple[frozenset[str], tuple[Notice, ...], tuple[str, ...]]:
    """The keys of what has been shown and is still true, the notices to show, and the keys to withdraw.

    While it is `quiet`, or notifications are muted, only the answer to a sign-in is shown: a person asked for it.
    """
    true = {notice.key: notice for notice in app_notices(snapshot)}
    new = sorted(true.keys() - shown)
    if quiet or snapshot.muted:
        new = [key for key in new if key.startswith(UNSAVED)]
    return shown & true.keys() | frozenset(new), tuple(true[key] for key in new), tuple(sorted(shown - true.keys()))


def forget(shown: frozenset[str], keys: Set[str]) -> frozenset[str]:
    """Without those that nobody could see: `changes` shows them again while they are true."""
    return shown - keys


def app_notices(snapshot: Snapshot) -> tuple[Notice, ...]:
    """What is true of the app now and worth saying. The key tells one case from another."""
    found: list[Notice] = []
    if (outage := snapshot.outage) is not None:
        key = f"{KIND}:outage:{outage.port}:{outage.cause}"
        body = f"{outages.fact(outage)} {outages.remedy(outage, how=outages.BY_MENU)}"
        button = ((outages.CHANGE, Action(Verb.CHANGE_PORT)),) if outages.movable(outage) else ()
        found.append(Notice(key, outages.TITLE, body, button))
    if snapshot.broken:
        title = PARTLY_BROKEN if snapshot.workloads else BROKEN
        found.append(Notice(f"{KIND}:broken", title, broken_text(snapshot.broken)))
    if snapshot.this_run_only:
        body = f"{THIS_RUN_ONLY} {START_KEYRING}"
        for name in _unsaved(snapshot):
            found.append(Notice(f"{UNSAVED}{name}", f"Signed in to {name} for this run only", body))
    return tuple(found)


def in_short(mistake: str) -> str:
    """A mistake in a file for a narrow place: "config.toml:4: must be a URL", without folder and key. Any other text
    stays as it is."""
    found = _MISTAKE.fullmatch(mistake)
    return mistake if found is None else f"{found['file']}{found['line'] or ''}: {found['what']}"


def broken_text(broken: str) -> str:
    """Why there is no configuration, or not all of it, and what to do."""
    return f"{sentence(broken)} {FIX_FILE}"


def problems(snapshot: Snapshot) -> tuple[str, ...]:
    """What a person at a terminal has to know of the app itself, in sentences that name commands."""
    outage = snapshot.outage
    return (
        *([broken_text(snapshot.broken)] if snapshot.broken else []),
        *([f"{outages.fact(outage)} {outages.remedy(outage, how=outages.BY_COMMAND)}"] if outage is not None else []),
    )


def _unsaved(snapshot: Snapshot) -> list[str]:
    views = snapshot.workloads.values()
    return [view.name for view in views if view.auth.unsaved and view.status is Status.RUNNING]


def sentence(text: str) -> str:
    """With a full stop."""
    return text if text.endswith((".", "!", "?")) else f"{text}."
