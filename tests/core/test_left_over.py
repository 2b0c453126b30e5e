"""What is said of a removed login that isn't gone yet."""

from __future__ import annotations

import pytest

from trayapp.core.menu import tray_view
from trayapp.core.sentences import left_over
from trayapp.core.snapshot import Removal, Snapshot

LOCKED = (
    "The login of old is still in the keyring, which can't be used now. Amberlight deletes it once the keyring is unlocked,"
    " even after a restart."
)
TO_BE_SURE = "To be sure, remove Amberlight's access in your account there."


@pytest.mark.parametrize(
    ("removal", "text"),
    [
        (Removal("old", deleted=False), LOCKED),
        (
            Removal("old", "as.test", revoked=False, until=5.0),
            "It may still be valid at as.test, which didn't confirm that it's revoked. Amberlight retries for an hour. "
            + TO_BE_SURE,
        ),
        (
            Removal("old", "as.test", revoked=False),
            f"It may still be valid at as.test, which doesn't support revocation. {TO_BE_SURE}",
        ),
        (
            Removal("old", deleted=False, revoked=False),
            f"{LOCKED} It may still be valid at its server, which didn't confirm that it's revoked. {TO_BE_SURE}",
        ),
    ],
)
def test_it_says_what_is_left_and_what_to_do(removal: Removal, text: str) -> None:
    """Honest, and bounded: how long Amberlight keeps trying."""

    if removal.deleted:
        text = text.replace("It may", "The login of old may", 1)
    assert text == left_over(removal)
    assert text.replace(" Amberlight retries for an hour.", "") == left_over(removal, quits=True)


def test_the_menu_has_a_line_for_each() -> None:
    """At its top; the dashboard says all of it."""

    removals = (Removal("old", deleted=False), Removal("older", "as.test", revoked=False, until=5.0))
    items = tray_view(Snapshot(1, removals=removals), str).menu

    assert [
        "⚠ old: its removed login is still in the locked keyring",
        "⚠ older: its removed login may still be valid at as.test",
    ] == [item.text for item in items if item.key.startswith("removal:")]
