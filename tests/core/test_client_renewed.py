"""A client whose server gave it another secret: the login is sent with it and stored, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.history import Player, played, player
from trayapp.core import machine
from trayapp.core import messages as m
from trayapp.core.model import Phase, Secret

CONNECTED = "loaded; go; probe ok; refreshed"


def connected(secret: str | None = "old") -> Player:
    """A workload with a token, whose client has this secret."""
    p = played(player(), CONNECTED)
    assert p.w.login is not None
    p.w = replace(p.w, login=replace(p.w.login, client_secret=Secret(secret) if secret else None))
    return p


def test_the_login_gets_the_new_secret_and_is_stored() -> None:
    """As a newer generation of the same lineage; the access token is served meanwhile."""

    p = connected()
    before = p.w
    w, effects = machine.step(before, m.ClientRenewed(p.now, "c", Secret("new")))

    assert w.login is not None
    assert before.login is not None
    assert (Secret("new"), before.login.lineage) == (w.login.client_secret, w.login.lineage)
    assert before.highest_generation + 1 == w.login.generation == w.highest_generation == w.storing
    assert before.login == replace(w.login, client_secret=Secret("old"), generation=before.login.generation)
    assert (Phase.VALID, before.access, before.due, True) == (w.phase, w.access, w.due, w.unsaved)
    assert (m.Store(w.login, ""),) == effects

    w, effects = machine.step(w, m.Stored(p.now, w.login.generation, w.login.lineage))
    assert (Phase.VALID, False) == (w.phase, w.unsaved)


@pytest.mark.parametrize(("secret", "client_id"), [("old", "other"), ("new", "c"), (None, "c")])
def test_a_secret_that_concerns_another_client_changes_nothing(secret: str | None, client_id: str) -> None:
    """Of another registration, the same once more, or of a login whose client has none."""

    p = connected(secret)

    assert (p.w, ()) == machine.step(p.w, m.ClientRenewed(p.now, client_id, Secret("new")))


def test_without_a_login_there_is_nothing_to_change() -> None:
    """It may have been signed out since."""

    p = connected()
    without = replace(p.w, login=None)

    assert (without, ()) == machine.step(without, m.ClientRenewed(p.now, "c", Secret("new")))


@pytest.mark.parametrize("after", ["go", "go; probe ok", "go; probe ok; ambiguous", "pause"])
def test_an_attempt_and_a_token_in_doubt_keep_the_secret_they_were_sent_with(after: str) -> None:
    """Otherwise nobody could tell any more which token was sent; it's told again once the login works."""

    p = played(connected(), f"manual; {after}" if after.startswith("go") else after)
    assert Phase.VALID is not p.w.phase

    assert (p.w, ()) == machine.step(p.w, m.ClientRenewed(p.now, "c", Secret("new")))
